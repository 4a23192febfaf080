//! Requirement: what the fuzz targets check holds for their corpus, for the decision table, and for both with bytes changed at random.

#[path = "../../../fuzz/checks/mod.rs"]
mod checks;

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

type Check = fn(&[u8]);

const TARGETS: [(&str, Check); 6] = [
    ("http1_request", checks::http1_request),
    ("http1_response", checks::http1_response),
    ("http1_body", checks::http1_body),
    ("hyper", checks::hyper),
    ("detect", checks::detect),
    ("transport_header", checks::transport_header),
];

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files: Vec<_> = folder.read_dir().expect("a corpus is checked in").map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "the corpus of {target} is empty");
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// The corpus, and the streams of the decision table where they are of use.
fn inputs(target: &str) -> Vec<Vec<u8>> {
    let table = match target {
        "http1_request" | "detect" => table("request", b""),
        "http1_response" => table("response", b""),
        "hyper" => [table("request", b"q"), table("response", b"r")].concat(),
        _ => Vec::new(),
    };
    [corpus(target), table].concat()
}

/// The shorter streams of one kind, behind a prefix.
fn table(kind: &str, prefix: &[u8]) -> Vec<Vec<u8>> {
    let rows: Vec<serde_json::Value> = serde_json::from_str(include_str!("../../../tests/vectors/http1.json")).expect("well formed");
    let bytes = |text: &str| prefix.iter().copied().chain(text.chars().map(|c| c as u8)).collect();
    rows.iter().filter(|row| row["kind"] == kind).filter_map(|row| row["bytes"].as_str().map(bytes)).collect()
}

/// Requirement: nothing that a fuzzer ever found interesting breaks a check.
#[test]
fn the_corpus_holds() {
    for (target, check) in TARGETS {
        for input in inputs(target) {
            check(&input);
        }
    }
}

#[derive(Clone, Debug)]
enum Change {
    Replace(Index, u8),
    Remove(Index),
    Insert(Index, u8),
}

fn change() -> impl Strategy<Value = Change> {
    // The bytes that framing turns on, and any other.
    let byte = prop_oneof![prop::sample::select(&b"\r\n \t:;,0159afx/*"[..]), any::<u8>()];
    (any::<Index>(), byte, 0..3).prop_map(|(at, byte, kind)| match kind {
        0 => Change::Replace(at, byte),
        1 => Change::Remove(at),
        _ => Change::Insert(at, byte),
    })
}

fn changed(mut input: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        match change {
            Change::Replace(at, byte) if !input.is_empty() => {
                let at = at.index(input.len());
                input[at] = *byte;
            }
            Change::Remove(at) if !input.is_empty() => {
                input.remove(at.index(input.len()));
            }
            Change::Insert(at, byte) => input.insert(at.index(input.len() + 1), *byte),
            _ => {}
        }
    }
    input
}

fn any_changed(target: usize) -> impl Strategy<Value = Vec<u8>> {
    (prop::sample::select(inputs(TARGETS[target].0)), prop::collection::vec(change(), 1..5))
        .prop_map(|(input, changes)| changed(input, &changes))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Requirement: requests near those that are known mean one thing, or are refused.
    #[test]
    fn requests(input in any_changed(0)) { checks::http1_request(&input); }

    /// Requirement: so do responses.
    #[test]
    fn responses(input in any_changed(1)) { checks::http1_response(&input); }

    /// Requirement: so do chunked bodies.
    #[test]
    fn bodies(input in any_changed(2)) { checks::http1_body(&input); }

    /// Requirement: what the codec takes, hyper understands alike.
    #[test]
    fn beside_hyper(input in any_changed(3)) { checks::hyper(&input); }

    /// Requirement: detection settles once.
    #[test]
    fn detection(input in any_changed(4)) { checks::detect(&input); }

    /// Requirement: transport headers are read whole, or not.
    #[test]
    fn transport_headers(input in any_changed(5)) { checks::transport_header(&input); }
}
