//! What an attempt learns while its exchange runs: told to the load estimate and the record, done to the heads of the answer.
//!
//! An answer is judged by what the trial has left; whether another takes its place is `weft_core::retry`'s to say.

use http::header::CONNECTION;
use http::{HeaderValue, Method, Response};
use weft_core::headers::{self, Party};
use weft_core::outcome::{Class, classify};
use weft_core::retry::{self, Ended, Next};
use weft_core::route;
use weft_core::timeout::Limits;

use super::target::{Chosen, Target};
use super::{Answering, Terms, Trial};
use crate::account::Record;
use crate::clock;
use crate::http::exchange::{Observe, Verdict};
use crate::http::replay::Keep;
use crate::http::{Version, orig_proto};

/// Tells the load estimate, the record and the heads what an exchange comes to, and judges answers by what the trial has left.
pub(super) struct Observer<'a, 'b> {
    pub(super) trial: &'a mut Trial<'b>,
    pub(super) method: &'a Method,
    pub(super) chosen: Chosen,
    pub(super) carried: Option<http::Version>,
    pub(super) answering: &'a Answering<'a>,
    pub(super) record: &'a mut Record,
    /// What follows an answer that was thrown away.
    pub(super) next: Option<Next>,
}

impl Observe for Observer<'_, '_> {
    fn keep(&self, upstream: Version) -> Option<Keep> {
        let most = match (&self.trial.terms.retry, self.trial.target) {
            (Some(policy), _) => policy.max_body,
            // It may say GOAWAY, or refuse the stream, when the body is on its way already.
            (None, _) if upstream == Version::H2 => retry::MAX_BODY,
            // Its proxy may say that it was not delivered.
            (None, Target::Balanced { .. }) if self.is_peer() => retry::MAX_BODY,
            _ => return None,
        };
        Some(Keep { most, room: self.trial.worker.replay_room.clone() })
    }

    fn limits(&self) -> Limits {
        let Terms { timeouts, retry, .. } = self.trial.terms;
        let attempt = retry.as_ref().and_then(|policy| policy.timeout).map(|timeout| clock::lately() + timeout);
        let body = Some(self.trial.worker.settings.http1_body_timeout);
        Limits { request: self.trial.until, attempt, response: timeouts.response, idle: timeouts.idle, body }
    }

    fn wants_status(&self) -> bool {
        self.trial.terms.retry.as_ref().is_some_and(|policy| !policy.grpc.is_empty() && self.trial.standing.retries < policy.limit)
    }

    fn judge(&mut self, head: &Response<()>, grpc: Option<u32>, whole: bool) -> Verdict {
        let not_delivered = self.is_peer() && headers::any(head.headers()) && head.headers().contains_key(&headers::NOT_DELIVERED);
        if not_delivered {
            self.chosen.failed();
        } else if self.trial.terms.retry.is_none() {
            return Verdict::PassOn;
        }
        self.trial.standing.whole = whole;
        let status = head.status().as_u16();
        let next = self.trial.next(self.method, Ended::Answered { status, grpc, not_delivered });
        if let Next::Stop(stop) = next {
            self.record.gave_up(stop);
            return Verdict::PassOn;
        }
        if !not_delivered {
            self.tell(head, grpc);
        }
        self.record.attempt_answered(status, grpc);
        self.next = Some(next);
        Verdict::Replace
    }

    fn informational(&mut self, head: &mut Response<()>) {
        self.translate(head);
    }

    fn response(&mut self, head: &mut Response<()>, grpc: Option<u32>) {
        self.tell(head, grpc);
        self.translate(head);
        for filters in self.answering.filters {
            route::apply_response(filters, head.headers_mut());
        }
        self.record.responded(head.status().as_u16());
    }

    fn request_data(&mut self, bytes: usize) {
        self.record.request_data(bytes);
    }

    fn response_data(&mut self, bytes: usize) {
        self.record.response_data(bytes);
    }
}

impl Observer<'_, '_> {
    /// Whether the answer comes from a proxy that proved an identity.
    fn is_peer(&self) -> bool {
        self.chosen.peer().endpoint.identity.is_some()
    }

    /// Tells the load estimate of an answer. A proxy that says that it cannot reach its application, or was not answered by it, answers
    /// faster than any application: it must not be preferred for it.
    fn tell(&mut self, head: &Response<()>, grpc: Option<u32>) {
        let excuse = self.is_peer()
            && classify(head.status().as_u16(), grpc) == Class::Failure
            && headers::any(head.headers())
            && head.headers().contains_key(&headers::PROXY_ERROR);
        if excuse {
            self.chosen.failed();
        } else {
            self.chosen.answered();
        }
    }

    /// HTTP/1 is carried between two proxies: undone by the client's, done by the server's. What the sender may not say is taken off in
    /// between.
    fn translate(&self, head: &mut Response<()>) {
        if let Some(version) = self.carried {
            orig_proto::uncarry(head, version);
        }
        if headers::any(head.headers()) {
            headers::strip_response(head.headers_mut(), if self.is_peer() { Party::Peer } else { Party::Stranger });
            if head.headers().get(&headers::PROXY_CONNECTION).is_some_and(|value| value == "close") {
                // Another proxy wants its client to begin anew. An HTTP/2 client has no such header, and it is left off there.
                head.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
        if self.answering.carried {
            orig_proto::carry_back(head);
        }
    }
}
