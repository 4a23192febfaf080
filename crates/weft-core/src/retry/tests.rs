use proptest::prelude::*;

use super::*;

fn refusal(stage: Stage, blame: Blame, retry: Retry, cause: Cause) -> Refusal {
    Refusal::new(stage, blame, retry, cause, "")
}

fn policy() -> Policy {
    let (mut statuses, mut grpc) = (Statuses::NONE, GrpcCodes::NONE);
    statuses.insert(500, 599);
    grpc.insert(14);
    Policy { limit: 2, statuses, grpc, ..Policy::NONE }
}

fn answered(status: u16, grpc: Option<u32>) -> Ended<'static> {
    Ended::Answered { status, grpc, not_delivered: false }
}

const NOT_DELIVERED: Ended<'static> = Ended::Answered { status: 502, grpc: None, not_delivered: true };
const FRESH: Standing =
    Standing { undelivered: 0, refused: 0, retries: 0, freshened: false, others: true, whole: true, left: None, unfunded: false };

/// Requirement: without a policy nothing is repeated that anybody may have acted on, but for idempotent requests on a connection that
/// ended as it was used; what reached nobody goes elsewhere at once, whatever its method.
#[test]
fn without_a_policy_only_what_reached_nobody_is_repeated() {
    let connect = refusal(Stage::Connect, Blame::Server, Retry::Safe, Cause::ConnectFailed);
    let own_fault = refusal(Stage::Connect, Blame::Client, Retry::Safe, Cause::IdentityMismatch);
    let refused = refusal(Stage::Exchange, Blame::Server, Retry::Safe, Cause::ServerBroke);
    let broke = refusal(Stage::Exchange, Blame::Server, Retry::Unsafe, Cause::ServerBroke);
    let waited = refusal(Stage::Balance, Blame::Server, Retry::Safe, Cause::FailFast);
    let alone = Standing { others: false, ..FRESH };
    let settled = Next::Stop(Stop::Settled);
    let (get, post) = (Method::GET, Method::POST);
    let stale = |sent| Ended::Stale { sent, refusal: &broke };
    let leaving = Ended::TurnedAway { by: TurnedAway::Leaving, refusal: &refused };
    for (name, method, ended, standing, expected) in [
        ("a connect that failed", &post, Ended::Refused(&connect), FRESH, Next::Elsewhere),
        ("with nobody else", &post, Ended::Refused(&connect), alone, settled),
        ("for the eighth time", &post, Ended::Refused(&connect), Standing { undelivered: UNDELIVERED, ..FRESH }, settled),
        ("the client's own demand", &get, Ended::Refused(&own_fault), FRESH, settled),
        ("not delivered, says its proxy", &post, NOT_DELIVERED, FRESH, Next::Elsewhere),
        ("not delivered, with nobody else", &post, NOT_DELIVERED, alone, settled),
        ("not delivered, with the body gone", &post, NOT_DELIVERED, Standing { whole: false, ..FRESH }, settled),
        ("a connection that is about to end", &post, leaving, alone, Next::Elsewhere),
        ("the ninth such connection", &post, leaving, Standing { undelivered: UNDELIVERED, ..alone }, Next::Elsewhere),
        ("one too many", &post, leaving, Standing { undelivered: TURNED_AWAY, ..alone }, settled),
        ("with the body gone", &post, leaving, Standing { whole: false, ..alone }, settled),
        ("broken in the middle", &get, Ended::Refused(&broke), FRESH, settled),
        ("nobody ready", &get, Ended::Refused(&waited), FRESH, settled),
        ("an error", &get, answered(503, None), FRESH, settled),
        ("an attempt that took too long", &get, Ended::Overdue, FRESH, settled),
        ("a stale connection", &get, stale(true), alone, Next::Fresh),
        ("a second stale connection", &get, stale(true), Standing { freshened: true, ..alone }, settled),
        ("a stale connection and no idempotence", &post, stale(true), alone, settled),
        ("a stale connection, nothing sent", &post, stale(false), alone, Next::Fresh),
        ("a stale connection, nothing sent, others", &post, stale(false), FRESH, Next::Elsewhere),
    ] {
        assert_eq!(next(None, method, ended, standing, 0), expected, "{name}");
    }
}

/// Requirement (a defect once: 32 attempts at once): a server that refuses a stream has too many; the request goes to another endpoint at once
/// or to the same one after growing pauses, few times, and not when it would be overdue; afterwards a policy may name it.
#[test]
fn a_refused_stream_is_tried_few_times() {
    let refused = refusal(Stage::Exchange, Blame::Server, Retry::Safe, Cause::ServerBroke);
    let ended = Ended::TurnedAway { by: TurnedAway::Refusing, refusal: &refused };
    let alone = Standing { others: false, ..FRESH };
    let calmly = |millis| Next::Calmly(Duration::from_millis(millis));
    for (name, standing, expected) in [
        ("others", FRESH, Next::Elsewhere),
        ("nobody else", alone, calmly(25)),
        ("again", Standing { refused: 1, ..alone }, calmly(50)),
        ("the last time", Standing { refused: 3, ..alone }, calmly(200)),
        ("after many connections that ended", Standing { undelivered: TURNED_AWAY - 1, ..alone }, calmly(25)),
        ("too often", Standing { refused: REFUSED, ..alone }, Next::Stop(Stop::Settled)),
        ("too often, others", Standing { refused: REFUSED, ..FRESH }, Next::Stop(Stop::Settled)),
        ("the body gone", Standing { whole: false, ..alone }, Next::Stop(Stop::Settled)),
        ("no time", Standing { left: Some(Duration::from_millis(25)), ..alone }, Next::Stop(Stop::Overdue)),
    ] {
        assert_eq!(next(None, &Method::POST, ended, standing, 0), expected, "{name}");
    }
    let spent = Standing { refused: REFUSED, ..alone };
    assert_eq!(next(Some(&policy()), &Method::POST, ended, spent, 0), Next::After(Duration::from_millis(25)));
}

/// Requirement: a policy repeats the answers that it names, attempts that took too long and fail-fast, after a pause, up to its limit, and
/// never a full queue or a failed connect; what stops it is told apart.
#[test]
fn a_policy_repeats_what_it_names() {
    let shed = refusal(Stage::Balance, Blame::Server, Retry::Safe, Cause::LoadShed);
    let connect = refusal(Stage::Connect, Blame::Server, Retry::Safe, Cause::ConnectFailed);
    let waited = refusal(Stage::Balance, Blame::Server, Retry::Safe, Cause::FailFast);
    let broke = refusal(Stage::Exchange, Blame::Server, Retry::Unsafe, Cause::ServerBroke);
    let alone = Standing { others: false, ..FRESH };
    let ms = |millis| Next::After(Duration::from_millis(millis));
    for (name, ended, standing, expected) in [
        ("an error", answered(503, None), alone, ms(25)),
        ("a second error", answered(503, None), Standing { retries: 1, ..alone }, ms(50)),
        ("one too many", answered(503, None), Standing { retries: 2, ..alone }, Next::Stop(Stop::Spent)),
        ("success", answered(200, None), alone, Next::Stop(Stop::Settled)),
        ("a gRPC code that is named", answered(200, Some(14)), alone, ms(25)),
        ("a gRPC code that is not", answered(200, Some(13)), alone, Next::Stop(Stop::Settled)),
        (
            "no time for the pause",
            answered(503, None),
            Standing { left: Some(Duration::from_millis(25)), ..alone },
            Next::Stop(Stop::Overdue),
        ),
        ("time enough", answered(503, None), Standing { left: Some(Duration::from_millis(26)), ..alone }, ms(25)),
        ("the body gone", answered(503, None), Standing { whole: false, ..alone }, Next::Stop(Stop::BodyLost)),
        ("no budget", answered(503, None), Standing { unfunded: true, ..alone }, Next::Stop(Stop::Unfunded)),
        ("no budget, and none needed", Ended::Refused(&connect), Standing { unfunded: true, ..FRESH }, Next::Elsewhere),
        ("too slow", Ended::Overdue, alone, ms(25)),
        ("nobody ready", Ended::Refused(&waited), alone, ms(25)),
        ("broken in the middle", Ended::Refused(&broke), alone, ms(25)),
        ("a full queue", Ended::Refused(&shed), alone, Next::Stop(Stop::Settled)),
        ("a failed connect, nobody else", Ended::Refused(&connect), alone, Next::Stop(Stop::Settled)),
        ("a failed connect does not count", Ended::Refused(&connect), Standing { retries: 2, ..FRESH }, Next::Elsewhere),
    ] {
        assert_eq!(next(Some(&policy()), &Method::POST, ended, standing, 0), expected, "{name}");
    }
}

/// Requirement: the methods that may be repeated are those of RFC 9110, 9.2.2.
#[test]
fn idempotent_methods_are_those_of_the_rfc() {
    for (method, yes) in [
        (Method::GET, true),
        (Method::HEAD, true),
        (Method::OPTIONS, true),
        (Method::TRACE, true),
        (Method::PUT, true),
        (Method::DELETE, true),
        (Method::POST, false),
        (Method::PATCH, false),
        (Method::CONNECT, false),
        (Method::from_bytes(b"PURGE").unwrap(), false),
    ] {
        assert_eq!(is_idempotent(&method), yes, "{method}");
    }
}

fn any_ended() -> impl Strategy<Value = (u16, Option<u32>, bool)> {
    (100u16..700, proptest::option::of(0u32..40), any::<bool>())
}

proptest! {
    /// Requirement: whatever happens, the number of attempts is bounded by the limits, and a body that is gone is never sent again.
    #[test]
    fn attempts_are_bounded(answers in proptest::collection::vec(any_ended(), 40), limit in 0u32..5, whole in any::<bool>(), seed in any::<u32>()) {
        let policy = Policy { limit, ..policy() };
        let mut standing = Standing { whole, ..FRESH };
        let mut attempts = 0;
        for (status, grpc, not_delivered) in answers {
            attempts += 1;
            match next(Some(&policy), &Method::POST, Ended::Answered { status, grpc, not_delivered }, standing, seed) {
                Next::Stop(_) => break,
                Next::Elsewhere => standing.undelivered += 1,
                Next::Fresh => standing.freshened = true,
                Next::Calmly(_) => standing.refused += 1,
                Next::After(_) => standing.retries += 1,
            }
        }
        prop_assert!(attempts <= 1 + TURNED_AWAY + limit as usize);
        prop_assert!(whole || attempts == 1);
    }

    /// Requirement: pauses never leave [min, max] and, without chance, never shrink.
    #[test]
    fn pauses_stay_within_bounds(min in 1u64..1000, more in 0u64..10_000, jitter in 0.0f32..2.0, retries in 0u32..100, random in any::<u32>()) {
        let backoff = Backoff { min: Duration::from_millis(min), max: Duration::from_millis(min + more), jitter };
        let pause = backoff.pause(retries, random);
        prop_assert!(backoff.min <= pause && pause <= backoff.max);
        prop_assert!(backoff.pause(retries, 0) <= backoff.pause(retries + 1, 0));
        prop_assert!(backoff.pause(retries, 0) <= pause);
    }

    /// Requirement: a set of statuses holds what was put in, and nothing else.
    #[test]
    fn statuses_hold_what_was_put_in(first in 0u32..700, last in 0u32..700, asked in 100u16..600) {
        let mut all = Statuses::NONE;
        all.insert(first, last);
        prop_assert_eq!(all.contains(asked), (first..=last).contains(&u32::from(asked)));
    }
}
