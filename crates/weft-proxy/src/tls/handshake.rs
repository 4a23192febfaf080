//! The handshake of mesh TLS over a byte stream, by the library; from then on records are our own ([`super::stream`]).
//!
//! Decides nothing: it carries bytes between the library and the stream until both sides agree, and tells a peer that fails why.

use std::io;
use std::ops::DerefMut;

use futures_util::FutureExt;
use rustls::CommonState;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::kernel::KernelConnection;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedConnectionCommon, UnbufferedStatus};
use rustls::{ConnectionTrafficSecrets, ExtractedSecrets};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What is left of the library's connection when records are no longer its business.
pub(super) enum Kept {
    Client(KernelConnection<ClientConnectionData>),
    Server(KernelConnection<ServerConnectionData>),
}

impl Kept {
    pub(super) fn next_sending(&mut self) -> Result<(u64, ConnectionTrafficSecrets), rustls::Error> {
        match self {
            Kept::Client(kept) => kept.update_tx_secret(),
            Kept::Server(kept) => kept.update_tx_secret(),
        }
    }

    pub(super) fn next_receiving(&mut self) -> Result<(u64, ConnectionTrafficSecrets), rustls::Error> {
        match self {
            Kept::Client(kept) => kept.update_rx_secret(),
            Kept::Server(kept) => kept.update_rx_secret(),
        }
    }

    /// Records that one key may protect.
    pub(super) fn limit(&self) -> u64 {
        let suite = match self {
            Kept::Client(kept) => kept.negotiated_cipher_suite(),
            Kept::Server(kept) => kept.negotiated_cipher_suite(),
        };
        suite.tls13().map_or(0, |suite| suite.common.confidentiality_limit)
    }
}

/// One side of a handshake.
pub(super) trait Side: DerefMut<Target = UnbufferedConnectionCommon<Self::Data>> {
    type Data;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;

    fn finish(self) -> Result<(ExtractedSecrets, Kept), rustls::Error>;
}

impl Side for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn finish(self) -> Result<(ExtractedSecrets, Kept), rustls::Error> {
        self.dangerous_into_kernel_connection().map(|(secrets, kept)| (secrets, Kept::Client(kept)))
    }
}

impl Side for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn finish(self) -> Result<(ExtractedSecrets, Kept), rustls::Error> {
        self.dangerous_into_kernel_connection().map(|(secrets, kept)| (secrets, Kept::Server(kept)))
    }
}

/// What came of a handshake.
pub(super) struct Agreed {
    pub(super) secrets: ExtractedSecrets,
    pub(super) kept: Kept,
    /// What the peer has sent behind the handshake: content that the library has opened, then sealed bytes.
    pub(super) opened: Vec<u8>,
    pub(super) sealed: Vec<u8>,
    /// The peer has said that nothing follows.
    pub(super) ended: bool,
}

/// Where the library stands after one step.
enum Step {
    /// It has more to do at once.
    GoesOn,
    /// What it has to say is to be sent.
    Says,
    /// For the peer.
    Waits,
    /// The peer has said that nothing follows.
    Ended,
    Agreed,
}

/// Carries a handshake out. `look` sees the library's connection when it has succeeded, and may still refuse the peer. Errors are the
/// stream's, `InvalidData` with the library's reason, and `UnexpectedEof` when the peer closes before the end.
pub(super) async fn shake<S: Side, T: AsyncRead + AsyncWrite + Unpin, L>(
    mut side: S,
    stream: &mut T,
    look: impl FnOnce(&CommonState) -> io::Result<L>,
) -> io::Result<(Agreed, L)> {
    let (mut incoming, mut outgoing, mut opened, mut ended) = (Vec::new(), Vec::new(), Vec::new(), false);
    loop {
        match step(&mut side, &mut incoming, &mut outgoing, &mut opened) {
            Ok(Step::Says) => {
                stream.write_all(&outgoing).await?;
                stream.flush().await?;
                outgoing.clear();
            }
            Ok(Step::Waits) => {
                incoming.reserve(READ);
                if stream.read_buf(&mut incoming).await? == 0 {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "tls handshake eof"));
                }
            }
            Ok(Step::GoesOn) => {}
            Ok(Step::Ended) => ended = true,
            Ok(Step::Agreed) => break,
            Err(why) => {
                // The alert; the peer learns from it, but nobody waits for a peer that does not read. Asked for more than it has to say, the
                // library would look at bytes again that it has given up.
                while side.wants_write() {
                    let _ = step(&mut side, &mut incoming, &mut outgoing, &mut opened);
                }
                let _ = stream.write_all(&outgoing).now_or_never();
                return Err(invalid(why));
            }
        }
    }
    let looked = look(&side)?;
    let (secrets, kept) = side.finish().map_err(invalid)?;
    Ok((Agreed { secrets, kept, opened, sealed: incoming, ended }, looked))
}

/// One step of the library's; what it has read is gone from `incoming`.
fn step<S: Side>(side: &mut S, incoming: &mut Vec<u8>, outgoing: &mut Vec<u8>, opened: &mut Vec<u8>) -> Result<Step, rustls::Error> {
    let UnbufferedStatus { mut discard, state } = side.process(incoming);
    let step = state.map(|state| match state {
        ConnectionState::EncodeTlsData(mut data) => {
            let start = outgoing.len();
            let mut room = 0;
            loop {
                outgoing.resize(start + room, 0);
                match data.encode(&mut outgoing[start..]) {
                    Err(EncodeError::InsufficientSize(needs)) => room = needs.required_size,
                    Ok(_) | Err(EncodeError::AlreadyEncoded) => break Step::GoesOn,
                }
            }
        }
        ConnectionState::TransmitTlsData(data) => {
            data.done();
            Step::Says
        }
        ConnectionState::ReadTraffic(mut content) => {
            while let Some(Ok(record)) = content.next_record() {
                discard += record.discard;
                opened.extend_from_slice(record.payload);
            }
            Step::GoesOn
        }
        ConnectionState::WriteTraffic(_) => Step::Agreed,
        ConnectionState::PeerClosed => Step::Ended,
        // Early data is not taken, and after both ends have closed there is no handshake to wait for.
        ConnectionState::BlockedHandshake | _ => Step::Waits,
    });
    incoming.drain(..discard);
    step
}

fn invalid(why: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// What is read at once: a flight with a certificate is smaller.
const READ: usize = 4096;
