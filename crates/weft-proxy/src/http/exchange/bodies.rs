//! The two bodies of an exchange on their way, each no faster than its receiver takes it.
//!
//! A body that breaks off is broken off towards its receiver too; what becomes of the exchange then is not decided here.

use std::cell::RefCell;

use http::HeaderMap;
use weft_core::headers;
use weft_core::outcome::Refusal;
use weft_core::timeout::Limit;

use super::Observe;
use super::ended::{overdue, server_broke};
use crate::http::patience::Patience;
use crate::http::refuse::{GRPC_STATUS, grpc_trailers};
use crate::http::replay::Tape;
use crate::http::{Broken, Frame, Outgoing, Reason, Source};

pub(super) enum Side {
    Client(Broken),
    Server(Refusal),
    Late(Limit),
}

/// Sends the request's body. Fails when the client breaks it off; an upstream that wants no more of it is no failure: its answer says why.
pub(super) async fn upload<O: Observe>(
    source: &mut Source,
    mut outgoing: Outgoing,
    observer: &RefCell<&mut O>,
    tape: &RefCell<Tape>,
    patience: &Patience,
) -> Result<(), Broken> {
    loop {
        let frame = tokio::select! {
            biased;
            frame = source.frame() => frame,
            _ = outgoing.closed() => return Ok(()),
            _ = patience.body_over() => Err(Broken::TooSlow),
        };
        patience.goes_on();
        match &frame {
            Ok(Some(frame)) => tape.borrow_mut().record(frame),
            Ok(None) => {}
            Err(_) => tape.borrow_mut().lose(),
        }
        let taken = match frame {
            Ok(Some(Frame::Data(data))) => {
                let bytes = data.len();
                let last = source.is_end();
                let taken = if last {
                    Outgoing::last(outgoing, data).await.map(|()| None)
                } else {
                    pass(source, outgoing.data(data)).await.map(|()| Some(outgoing))
                };
                if taken.is_ok() {
                    patience.moved();
                    observer.borrow_mut().request_data(bytes);
                }
                taken
            }
            Ok(Some(Frame::Trailers(mut trailers))) => {
                headers::strip_trailers(&mut trailers);
                outgoing.trailers(trailers).await.map(|()| None)
            }
            Ok(None) => outgoing.finish().await.map(|()| None),
            Err(why) => {
                outgoing.abort(&why);
                return Err(why);
            }
        };
        match taken {
            Ok(Some(open)) => outgoing = open,
            Ok(None) => {
                patience.sent();
                observer.borrow_mut().request_end();
                return Ok(());
            }
            Err(_) => return Ok(()),
        }
    }
}

/// Sends a piece; what comes behind it meanwhile is looked after.
async fn pass(source: &mut Source, sending: impl Future<Output = Result<(), Broken>>) -> Result<(), Broken> {
    tokio::select! {
        biased;
        sent = sending => sent,
        never = source.gather() => match never {},
    }
}

/// Sends the answer's body and returns the gRPC status that ends it.
pub(super) async fn download<O: Observe>(
    source: &mut Source,
    mut outgoing: Outgoing,
    grpc: bool,
    observer: &RefCell<&mut O>,
    patience: &Patience,
) -> Result<Option<u32>, Side> {
    loop {
        // The head leaves together with the first piece, unless that is not there yet.
        let gone = async {
            match outgoing.flush().await {
                Ok(()) => outgoing.closed().await,
                Err(why) => why,
            }
        };
        let frame = tokio::select! {
            biased;
            frame = source.frame() => frame,
            why = gone => return Err(Side::Client(why)),
            limit = patience.over(), if patience.is_limited() => {
                if grpc {
                    drop(outgoing.trailers(grpc_trailers(&overdue(limit).0)).await);
                } else {
                    outgoing.abort(&Broken::Reset(Reason::CANCEL));
                }
                return Err(Side::Late(limit));
            }
        };
        patience.moved();
        match frame {
            Ok(Some(Frame::Data(data))) => {
                observer.borrow_mut().response_data(data.len());
                let last = source.is_end();
                let sending = async {
                    if last {
                        outgoing.last(data).await.map(|()| None)
                    } else {
                        pass(source, outgoing.data(data)).await.map(|()| Some(outgoing))
                    }
                };
                let sent = tokio::select! {
                    biased;
                    sent = sending => sent.map_err(Side::Client)?,
                    // The client does not take it; what is dropped here is broken off.
                    limit = patience.over(), if patience.is_limited() => return Err(Side::Late(limit)),
                };
                match sent {
                    Some(open) => outgoing = open,
                    None => return Ok(None),
                }
            }
            Ok(Some(Frame::Trailers(mut trailers))) => {
                headers::strip_trailers(&mut trailers);
                let status = grpc_status(&trailers);
                return outgoing.trailers(trailers).await.map(|()| status).map_err(Side::Client);
            }
            Ok(None) => return outgoing.finish().await.map(|()| None).map_err(Side::Client),
            Err(why) => {
                let refusal = server_broke(&why);
                match why {
                    // A lost connection is no word of the server's: a gRPC client gets one it understands.
                    Broken::Closed | Broken::Io(_) if grpc => drop(outgoing.trailers(grpc_trailers(&refusal)).await),
                    why => outgoing.break_off(&why).await,
                }
                return Err(Side::Server(refusal));
            }
        }
    }
}

/// The status that a gRPC message ends with; 2 (UNKNOWN) if it is not a number.
pub(super) fn grpc_status(headers: &HeaderMap) -> Option<u32> {
    let status = headers.get(GRPC_STATUS)?;
    Some(status.to_str().ok().and_then(|status| status.parse().ok()).unwrap_or(2))
}
