//! How an exchange comes to its end: what the proxy answers itself, and what the record is told.
//!
//! The words of every answer come from the refusal or the filter; `refuse` turns them into a response. It never decides to stop a request.

use http::header::{CONTENT_LENGTH, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use weft_core::headers::Party;
use weft_core::outcome::{Blame, Cause, Refusal, Retry, Stage};
use weft_core::policy::Denied;
use weft_core::route::Answer;

use super::Sink;
use super::exchange::{Done, Failed};
use super::refuse::{self, Asked};
use crate::account::Record;

/// Why a request goes to nobody.
pub(crate) enum Stopped {
    Refused(Refusal),
    /// A filter answers in place of a backend.
    Redirected {
        status: u16,
        location: HeaderValue,
    },
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Stopped::Refused(refusal)
    }
}

impl From<Denied> for Stopped {
    fn from(denied: Denied) -> Self {
        Stopped::Refused(denied.into())
    }
}

impl From<Answer> for Stopped {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Redirect { status, location } => Stopped::Redirected { status, location },
            Answer::Fail { status, grpc, message } => Stopped::Refused(Refusal::new(
                Stage::Route,
                Blame::Policy,
                Retry::Safe,
                Cause::Injected { status, grpc },
                message.to_string(),
            )),
        }
    }
}

/// Answers a request that goes to nobody. `reader` says how much it is told.
pub(crate) async fn stop(stopped: Stopped, sink: Sink, asked: Asked, reader: Party, record: &mut Record) {
    let head = match &stopped {
        Stopped::Refused(refusal) => {
            record.refused(refusal);
            refuse::response(refusal, asked, reader)
        }
        Stopped::Redirected { status, location } => {
            record.ended(*status, None);
            redirect(*status, location, asked)
        }
    };
    if sink.respond(head, true).await.is_err() {
        record.client_gone();
    }
}

/// Answers what upstream did not, and tells the record how the exchange ended.
pub(crate) async fn settle(ended: Result<Done, Failed>, asked: Asked, reader: Party, record: &mut Record) {
    match ended {
        Ok(done) => {
            if let Some(carried) = &done.carried {
                record.carried(carried);
            }
            record.ended(done.status.as_u16(), done.grpc_status);
        }
        Err(Failed::Unanswered(unanswered)) => {
            stop(Stopped::Refused(unanswered.refusal), unanswered.message.sink, asked, reader, record).await;
        }
        Err(Failed::BrokenOff(refusal)) => record.broken(&refusal),
        Err(Failed::ClientGone(why)) => {
            tracing::debug!(%why, "the client went away before its answer was complete");
            record.client_gone();
        }
    }
}

fn redirect(status: u16, location: &HeaderValue, asked: Asked) -> Response<()> {
    let mut head = Response::new(());
    *head.version_mut() = asked.version;
    *head.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
    head.headers_mut().insert(LOCATION, location.clone());
    head.headers_mut().insert(CONTENT_LENGTH, 0.into());
    head
}
