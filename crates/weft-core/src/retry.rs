//! Whether a request is sent once more, to whom, and after which pause.
//!
//! Decides from how the last attempt ended, what the route allows and what is still there of the request. Four grounds, in this order:
//! nobody has seen the request (any method, at once, elsewhere); its server has more than it takes (any method, few times, with growing
//! pauses where there is nobody else); a kept connection ended as it was used (idempotent methods, at once, over a
//! fresh one); the route says that such an answer is worth another try (after a pause, counted). Time and chance are arguments. It never
//! sends anything, and is never asked once a byte of an answer has gone to the client.

use std::time::Duration;

use http::Method;

use crate::outcome::{Blame, Cause, Refusal, Retry, Stage};

/// What a route, or a request, allows to be tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Retries after the first attempt.
    pub limit: u32,
    pub statuses: Statuses,
    pub grpc: GrpcCodes,
    /// How long one attempt may take up to the head of its answer.
    pub timeout: Option<Duration>,
    /// Bytes of a request's body that are kept for it.
    pub max_body: usize,
    pub backoff: Backoff,
}

impl Policy {
    /// Nothing is worth another try; what a request's own headers are put into.
    pub const NONE: Policy = Policy {
        limit: 1,
        statuses: Statuses::NONE,
        grpc: GrpcCodes::NONE,
        timeout: None,
        max_body: MAX_BODY,
        backoff: Backoff { min: Duration::from_millis(25), max: Duration::from_millis(250), jitter: 1.0 },
    };

    fn wants(&self, status: u16, grpc: Option<u32>) -> bool {
        self.statuses.contains(status) || grpc.is_some_and(|code| self.grpc.contains(code))
    }
}

/// Bytes of a body that are kept where a route says nothing else.
pub const MAX_BODY: usize = 64 << 10;

/// A set of HTTP statuses, 100 to 611.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statuses([u64; 8]);

impl Statuses {
    pub const NONE: Statuses = Statuses([0; 8]);

    /// Adds all from `first` to `last`; what is no HTTP status is left out.
    pub fn insert(&mut self, first: u32, last: u32) {
        for status in first.max(100)..=last.min(611) {
            let bit = status - 100;
            self.0[(bit / 64) as usize] |= 1 << (bit % 64);
        }
    }

    pub fn contains(&self, status: u16) -> bool {
        let Some(bit) = status.checked_sub(100).filter(|bit| *bit < 512) else { return false };
        self.0[usize::from(bit / 64)] & 1 << (bit % 64) != 0
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }
}

/// A set of gRPC status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcCodes(u32);

impl GrpcCodes {
    pub const NONE: GrpcCodes = GrpcCodes(0);

    pub fn insert(&mut self, code: u32) {
        self.0 |= 1u32.checked_shl(code).unwrap_or(0);
    }

    pub fn contains(&self, code: u32) -> bool {
        self.0 & 1u32.checked_shl(code).unwrap_or(0) != 0
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }
}

/// Pauses that double from `min` to `max`; `jitter` is the part of a pause, 0 to 1 and more, that chance may add to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    pub min: Duration,
    pub max: Duration,
    pub jitter: f32,
}

impl Backoff {
    /// The pause before the retry that follows `retries` others.
    pub fn pause(&self, retries: u32, random: u32) -> Duration {
        let base = self.min.saturating_mul(1 << retries.min(16)).min(self.max);
        let extra = f64::from(self.jitter.max(0.0)) * f64::from(random) / f64::from(u32::MAX);
        base.mul_f64(1.0 + extra).min(self.max).max(base)
    }
}

/// How an attempt ended. Nothing of it has gone to the client.
#[derive(Clone, Copy, Debug)]
pub enum Ended<'a> {
    /// The head of an answer came: of a gRPC answer that ends at once, with its status. `not_delivered`: the server's proxy says that its
    /// application was never reached.
    Answered { status: u16, grpc: Option<u32>, not_delivered: bool },
    /// No answer came.
    Refused(&'a Refusal),
    /// A connection that had carried a request before ended without a byte of an answer. `sent`: bytes of the request had left.
    Stale { sent: bool, refusal: &'a Refusal },
    /// A living server says that it has not acted on the request.
    TurnedAway { by: TurnedAway, refusal: &'a Refusal },
    /// The attempt took longer than one attempt may.
    Overdue,
}

/// How a server turns a request away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedAway {
    /// Its connection is about to end (GOAWAY): a new one is a new chance.
    Leaving,
    /// It refuses this stream: it has as many as it takes.
    Refusing,
}

/// What has been tried before, and what is left to try with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    /// Attempts that reached nobody.
    pub undelivered: usize,
    /// Attempts that a server refused with the connection kept.
    pub refused: u32,
    /// Attempts that were repeated because the policy says so.
    pub retries: u32,
    /// A fresh connection was taken already because a kept one had ended.
    pub freshened: bool,
    /// An endpoint that was not tried yet could take the request.
    pub others: bool,
    /// The request can be sent again as it was: its body is kept, or nothing of it is gone.
    pub whole: bool,
    /// The time until the whole request is overdue; none: never.
    pub left: Option<Duration>,
    /// The budget of the destination does not pay for a retry.
    pub unfunded: bool,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// The client gets what there is.
    Stop(Stop),
    /// At once; endpoints that were tried are passed over while there are others.
    Elsewhere,
    /// At once, over a connection that has carried nothing yet.
    Fresh,
    /// After this pause, over a connection whose server has said how much it takes. It was nobody's turn yet, so it does not count.
    Calmly(Duration),
    /// After this pause. It counts.
    After(Duration),
}

/// Why there is no other attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nothing asks for one.
    Settled,
    /// The policy's limit is reached.
    Spent,
    /// The budget of the destination does not pay for another.
    Unfunded,
    /// The body is not there any more.
    BodyLost,
    /// The request would be overdue before.
    Overdue,
}

/// Attempts that may reach nobody before the client is told.
pub const UNDELIVERED: usize = 8;

/// Attempts that may meet a connection that is about to close. More: it costs little, and a crowd of requests meets several in a row where a
/// server says GOAWAY after few requests.
pub const TURNED_AWAY: usize = 32;

/// Attempts that servers may refuse. Few: they do it under load, and every attempt adds to it.
pub const REFUSED: u32 = 4;

/// Decides what follows an attempt.
pub fn next(policy: Option<&Policy>, method: &Method, ended: Ended<'_>, standing: Standing, random: u32) -> Next {
    if standing.whole && standing.undelivered < most_undelivered(ended) && reached_nobody(ended, standing.others) {
        return Next::Elsewhere;
    }
    if let Ended::TurnedAway { by: TurnedAway::Refusing, .. } = ended
        && standing.whole
        && standing.refused < REFUSED
    {
        let pause = policy.unwrap_or(&Policy::NONE).backoff.pause(standing.refused, random);
        return match standing.left {
            _ if standing.others => Next::Elsewhere,
            Some(left) if left <= pause => Next::Stop(Stop::Overdue),
            _ => Next::Calmly(pause),
        };
    }
    if let Ended::Stale { sent, .. } = ended
        && standing.whole
        && !standing.freshened
        && (!sent || is_idempotent(method))
    {
        return Next::Fresh;
    }
    let Some(policy) = policy.filter(|policy| is_worth(policy, ended)) else { return Next::Stop(Stop::Settled) };
    if standing.retries >= policy.limit {
        return Next::Stop(Stop::Spent);
    }
    if !standing.whole {
        return Next::Stop(Stop::BodyLost);
    }
    if standing.unfunded {
        return Next::Stop(Stop::Unfunded);
    }
    let pause = policy.backoff.pause(standing.retries, random);
    if standing.left.is_some_and(|left| left <= pause) { Next::Stop(Stop::Overdue) } else { Next::After(pause) }
}

/// Whether doing it twice means the same as doing it once (RFC 9110, 9.2.2).
pub fn is_idempotent(method: &Method) -> bool {
    method.is_idempotent()
}

fn most_undelivered(ended: Ended<'_>) -> usize {
    match ended {
        Ended::TurnedAway { .. } => TURNED_AWAY,
        _ => UNDELIVERED,
    }
}

/// A peer that could not be connected to, or whose application could not, is not tried again while there is no other; one that was
/// about to close, and says that it has not acted on the request, is.
fn reached_nobody(ended: Ended<'_>, others: bool) -> bool {
    match ended {
        Ended::Answered { not_delivered, .. } => not_delivered && others,
        Ended::Refused(refusal) if refusal.retry == Retry::Unsafe => false,
        Ended::Refused(refusal) => match refusal.stage {
            Stage::Connect => others && refusal.cause != Cause::IdentityMismatch && refusal.blame != Blame::Client,
            _ => false,
        },
        Ended::TurnedAway { by, .. } => by == TurnedAway::Leaving,
        Ended::Stale { sent, .. } => !sent && others,
        Ended::Overdue => false,
    }
}

fn is_worth(policy: &Policy, ended: Ended<'_>) -> bool {
    match ended {
        Ended::Answered { status, grpc, .. } => policy.wants(status, grpc),
        Ended::Overdue => true,
        Ended::Stale { refusal, .. } | Ended::TurnedAway { refusal, .. } => {
            policy.wants(refusal.cause.status(), Some(refusal.cause.grpc_status()))
        }
        Ended::Refused(refusal) => match refusal.cause {
            Cause::FailFast => true,
            Cause::ServerBroke => policy.wants(refusal.cause.status(), Some(refusal.cause.grpc_status())),
            // A full queue is not helped by more; a peer that cannot be connected to was passed over already.
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests;
