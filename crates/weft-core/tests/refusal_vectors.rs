//! Requirement: every cause is answered as `tests/vectors/refusals.json` says; the documents and the end-to-end tests read the same file.

use std::collections::BTreeSet;

use serde::Deserialize;
use weft_core::outcome::{Blame, Cause, Refusal, Retry, Stage};

#[derive(Deserialize)]
struct Row {
    cause: String,
    label: String,
    direction: String,
    stages: Vec<String>,
    blames: Vec<String>,
    retry: Vec<String>,
    http: u16,
    grpc: u32,
    closes: bool,
    meaning: String,
}

fn rows() -> Vec<Row> {
    serde_json::from_str(include_str!("../../../tests/vectors/refusals.json")).unwrap()
}

/// A cause of each kind. The match makes the compiler ask for a new one.
fn causes() -> Vec<Cause> {
    let all = vec![
        Cause::BadRequest(400),
        Cause::Unauthorized,
        Cause::NoRoute,
        Cause::RateLimited,
        Cause::Injected { status: 500, grpc: 13 },
        Cause::FailFast,
        Cause::LoadShed,
        Cause::Timeout,
        Cause::ConnectTimeout,
        Cause::ConnectFailed,
        Cause::NoCertificate,
        Cause::IdentityMismatch,
        Cause::ServerBroke,
        Cause::ClientGone,
        Cause::Unexpected,
    ];
    for cause in &all {
        match cause {
            Cause::BadRequest(_) | Cause::Unauthorized | Cause::NoRoute | Cause::RateLimited | Cause::Injected { .. } => {}
            Cause::FailFast | Cause::LoadShed | Cause::Timeout | Cause::ConnectTimeout | Cause::ConnectFailed => {}
            Cause::NoCertificate | Cause::IdentityMismatch | Cause::ServerBroke | Cause::ClientGone | Cause::Unexpected => {}
        }
    }
    all
}

#[test]
fn each_cause_is_answered_as_its_row_says() {
    let rows = rows();
    for cause in causes() {
        let label = cause.label();
        let row = rows.iter().find(|row| row.label == label).unwrap_or_else(|| panic!("{label} has no row"));
        assert_eq!(
            (cause.status(), cause.grpc_status(), cause.closes()),
            (row.http, row.grpc, row.closes),
            "{}: {}",
            row.cause,
            row.meaning
        );
    }
    assert_eq!(rows.len(), causes().len(), "a row for each cause and no more");
}

#[test]
fn rows_use_the_words_of_the_log_and_the_metrics() {
    let stages = Stage::ALL.map(Stage::name);
    for row in rows() {
        assert!(["inbound", "outbound", "both"].contains(&&*row.direction), "{}", row.cause);
        assert!(row.stages.iter().all(|stage| stages.contains(&&**stage)), "{}", row.cause);
        assert!(row.blames.iter().all(|blame| Blame::ALL.map(Blame::name).contains(&&**blame)), "{}", row.cause);
        assert!(row.retry.iter().all(|retry| Retry::ALL.map(Retry::name).contains(&&**retry)), "{}", row.cause);
        assert!(!row.stages.is_empty() && !row.blames.is_empty() && !row.retry.is_empty() && !row.meaning.is_empty(), "{}", row.cause);
    }
    let names: BTreeSet<_> = stages.into_iter().collect();
    assert_eq!(names.len(), stages.len(), "no two stages have one name");
}

/// Requirement: a request is called not delivered only when the connect to the application failed, so that not a byte was sent; a
/// proxy that is full, a denial and everything that may have been acted on are not.
#[test]
fn only_a_failed_connect_is_called_not_delivered() {
    for cause in causes() {
        for stage in Stage::ALL {
            for blame in Blame::ALL {
                for retry in Retry::ALL {
                    let said = Refusal::new(stage, blame, retry, cause, "").not_delivered();
                    let meant =
                        retry == Retry::Safe && blame == Blame::Server && (cause == Cause::ConnectFailed || cause == Cause::ConnectTimeout);
                    assert_eq!(said, meant, "{stage:?} {blame:?} {retry:?} {cause:?}");
                }
            }
        }
    }
}
