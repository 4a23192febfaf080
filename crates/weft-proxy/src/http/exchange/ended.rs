//! How an exchange ended, what it leaves for another attempt, and whose fault it was.
//!
//! Whether there is another attempt is not decided here.

use http::StatusCode;
use weft_core::outcome::{Blame, Cause, Refusal, Retry, Stage};
use weft_core::retry::TurnedAway;
use weft_core::timeout::Limit;

use crate::http::{Broken, Message};
use crate::relay;

/// An exchange whose answer reached its end.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: StatusCode,
    /// From the trailers, or from the head of a response that is only trailers.
    pub(crate) grpc_status: Option<u32>,
    /// After an upgrade: what the connection carried.
    pub(crate) carried: Option<relay::Carried>,
}

/// What came of an exchange that did not fail.
pub(crate) enum Ended {
    Done(Done),
    /// By the observer's verdict its answer was thrown away: the request as it was, for another attempt.
    Replaced(Box<Message>),
}

/// An exchange that failed.
pub(crate) enum Failed {
    /// The client has seen nothing: another upstream may be tried if the refusal says it is safe, or the sink be given the refusal.
    Unanswered(Box<Unanswered>),
    /// The client was told, by a reset or a close, that the answer ends here.
    BrokenOff(Refusal),
    /// The client went away; upstream was told.
    ClientGone(Broken),
}

pub(crate) struct Unanswered {
    pub(crate) refusal: Refusal,
    pub(crate) how: How,
    pub(crate) message: Box<Message>,
    /// Whether it can be sent again as it was: upstream did not take it, or it was kept, and the client has not heard of the attempt.
    pub(crate) whole: bool,
}

/// What is special about an exchange without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Plainly,
    /// The connection had been used before, or was about to close, and ended without a byte of an answer. `sent`: bytes of the
    /// request had left.
    Stale {
        sent: bool,
    },
    /// The server has not acted on it, by its own word.
    TurnedAway(TurnedAway),
    /// A limit of this attempt alone ran out.
    Overdue,
}

impl How {
    pub(super) fn of(why: &Broken) -> Self {
        match why {
            Broken::Stale { sent } => How::Stale { sent: *sent },
            Broken::Refused => How::TurnedAway(TurnedAway::Refusing),
            Broken::Leaving => How::TurnedAway(TurnedAway::Leaving),
            _ => How::Plainly,
        }
    }
}

pub(super) fn overdue(limit: Limit) -> (Refusal, How) {
    let how = match limit {
        Limit::Attempt | Limit::Response => How::Overdue,
        Limit::Request | Limit::Idle | Limit::Body => How::Plainly,
    };
    (Refusal::new(Stage::Exchange, Blame::Server, Retry::Unsafe, Cause::Timeout, limit.reason()), how)
}

pub(super) fn server_broke(why: &Broken) -> Refusal {
    let retry = if matches!(why, Broken::Refused | Broken::Leaving | Broken::Stale { sent: false }) { Retry::Safe } else { Retry::Unsafe };
    Refusal::new(Stage::Exchange, Blame::Server, retry, Cause::ServerBroke, format!("server: {why}"))
}

pub(super) fn not_sent(why: &Broken) -> (Refusal, How) {
    let refusal = match why {
        Broken::Malformed { .. } => bad_request(why),
        Broken::Full => Refusal::new(Stage::Connect, Blame::Server, Retry::Safe, Cause::LoadShed, why.to_string()),
        why => Refusal::new(Stage::Connect, Blame::Server, Retry::Safe, Cause::ConnectFailed, format!("request not sent: {why}")),
    };
    (refusal, if matches!(why, Broken::Closed) { How::Stale { sent: false } } else { How::of(why) })
}

pub(super) fn bad_request(why: &Broken) -> Refusal {
    let (blame, cause) = match why {
        Broken::Malformed { status, .. } if *status < 500 || *status == 501 => (Blame::Client, Cause::BadRequest(*status)),
        Broken::TooSlow => (Blame::Client, Cause::BadRequest(408)),
        _ => (Blame::Proxy, Cause::Unexpected),
    };
    Refusal::new(Stage::Exchange, blame, Retry::Unsafe, cause, format!("request: {why}"))
}
