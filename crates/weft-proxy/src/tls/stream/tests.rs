//! Our records against the library's, in both roles, over a pipe of any width.

use futures_util::FutureExt;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::*;
use crate::tls::tests::{ca, expected, mesh};
use crate::tls::{Alpn, Mesh, handshake};

const NAME: &str = "web.default";

/// Which side of a connection somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Client,
    Server,
}

impl Role {
    fn other(self) -> Role {
        match self {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        }
    }
}

/// A mesh of two.
struct Both {
    client: Mesh,
    server: Mesh,
}

impl Both {
    fn new() -> Both {
        let ca = ca();
        Both { client: mesh(&ca, &ca, "api.default", None), server: mesh(&ca, &ca, NAME, None) }
    }

    async fn shake<T: AsyncRead + AsyncWrite + Unpin>(&self, role: Role, mut pipe: T) -> io::Result<(T, Agreed)> {
        let agreed = match role {
            Role::Client => {
                let config = self.client.client(&expected(NAME), Alpn::None).unwrap();
                let side = UnbufferedClientConnection::new(config, ServerName::try_from(NAME).unwrap()).unwrap();
                handshake::shake(side, &mut pipe, |_| Ok(())).await
            }
            Role::Server => {
                let side = UnbufferedServerConnection::new(self.server.server.clone()).unwrap();
                handshake::shake(side, &mut pipe, |_| Ok(())).await
            }
        };
        Ok((pipe, agreed?.0))
    }

    async fn ours<T: AsyncRead + AsyncWrite + Unpin>(&self, role: Role, pipe: T) -> io::Result<Stream<T>> {
        let (pipe, agreed) = self.shake(role, pipe).await?;
        Ok(Stream::new(pipe, agreed).unwrap())
    }

    async fn theirs(&self, role: Role, pipe: DuplexStream) -> io::Result<Theirs> {
        Ok(match role {
            Role::Client => {
                let config = self.client.client(&expected(NAME), Alpn::None).unwrap();
                Theirs::Client(Box::new(TlsConnector::from(config).connect(ServerName::try_from(NAME).unwrap(), pipe).await?))
            }
            Role::Server => Theirs::Server(Box::new(TlsAcceptor::from(self.server.server.clone()).accept(pipe).await?)),
        })
    }

    /// Our client and the library's server.
    async fn client_and_theirs(&self) -> (Stream<DuplexStream>, Theirs) {
        let (near, far) = duplex(PIPE);
        let (ours, theirs) = tokio::join!(self.ours(Role::Client, near), self.theirs(Role::Server, far));
        (ours.unwrap(), theirs.unwrap())
    }

    /// Our server, and a client's pipe and keys: what seals by hand.
    async fn server_and_keys(&self) -> (Stream<DuplexStream>, DuplexStream, Agreed) {
        let (near, far) = duplex(PIPE);
        let (ours, theirs) = tokio::join!(self.ours(Role::Server, near), self.shake(Role::Client, far));
        let (pipe, agreed) = theirs.unwrap();
        (ours.unwrap(), pipe, agreed)
    }
}

/// The library's stream.
enum Theirs {
    Client(Box<client::TlsStream<DuplexStream>>),
    Server(Box<server::TlsStream<DuplexStream>>),
}

impl Theirs {
    fn renew(&mut self) {
        match self {
            Theirs::Client(stream) => stream.get_mut().1.refresh_traffic_keys().unwrap(),
            Theirs::Server(stream) => stream.get_mut().1.refresh_traffic_keys().unwrap(),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Theirs::Client(stream) => stream.write_all(bytes).await,
            Theirs::Server(stream) => stream.write_all(bytes).await,
        }
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Theirs::Client(stream) => stream.shutdown().await,
            Theirs::Server(stream) => stream.shutdown().await,
        }
    }

    async fn read_to_end(&mut self) -> (Vec<u8>, io::Result<usize>) {
        let mut bytes = Vec::new();
        let end = match self {
            Theirs::Client(stream) => stream.read_to_end(&mut bytes).await,
            Theirs::Server(stream) => stream.read_to_end(&mut bytes).await,
        };
        (bytes, end)
    }
}

/// A pipe that gives and takes a few bytes at a time.
struct Narrow {
    pipe: DuplexStream,
    width: usize,
}

/// Room for what a server says behind its handshake before anybody reads.
const PIPE: usize = 1 << 20;

impl AsyncRead for Narrow {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut few = vec![0; self.width.min(buf.remaining())];
        let mut few = ReadBuf::new(&mut few);
        let read = Pin::new(&mut self.pipe).poll_read(cx, &mut few);
        buf.put_slice(few.filled());
        read
    }
}

impl AsyncWrite for Narrow {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let few = &buf[..buf.len().min(self.width)];
        Pin::new(&mut self.pipe).poll_write(cx, few)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

/// A piece that is written at once, and whether new keys come before it.
type Piece = (usize, bool);

fn content(pieces: &[Piece]) -> Vec<u8> {
    (0..pieces.iter().map(|(size, _)| size).sum()).map(|number: usize| (number % 251) as u8).collect()
}

fn run<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// What one side says arrives at the other whole and in order, then a clean end; first in one direction, then in the other.
async fn converse(both: &Both, ours: Role, (room, width): (usize, usize), said: &[Piece], answered: &[Piece]) -> TestCaseResult {
    let (near, far) = duplex(room);
    let (near, far) = tokio::join!(both.ours(ours, Narrow { pipe: near, width }), both.theirs(ours.other(), far));
    let (mut near, mut far) = (near.unwrap(), far.unwrap());
    let bytes = content(said);
    let telling = async {
        let mut rest = bytes.as_slice();
        for &(size, renews) in said {
            let (now, later) = rest.split_at(size);
            if renews {
                near.renew().unwrap();
            }
            // In two, as a head and what follows it come.
            let (mut first, mut second) = now.split_at(size / 3);
            while !first.is_empty() || !second.is_empty() {
                let mut taken = near.write_vectored(&[IoSlice::new(first), IoSlice::new(&[]), IoSlice::new(second)]).await.unwrap();
                first = first.split_off(taken.min(first.len())..).map_or(&[], |rest| {
                    taken -= taken.min(first.len());
                    rest
                });
                second = &second[taken..];
            }
            rest = later;
        }
        near.shutdown().await.unwrap();
    };
    let (heard, ()) = tokio::join!(far.read_to_end(), telling);
    prop_assert_eq!(heard.1.unwrap(), bytes.len());
    prop_assert!(heard.0 == bytes);
    let bytes = content(answered);
    let answering = async {
        let mut rest = bytes.as_slice();
        for &(size, renews) in answered {
            let (now, later) = rest.split_at(size);
            if renews {
                far.renew();
            }
            far.write(now).await.unwrap();
            rest = later;
        }
        far.shutdown().await.unwrap();
    };
    let mut heard = Vec::new();
    let (ended, ()) = tokio::join!(near.read_to_end(&mut heard), answering);
    prop_assert_eq!(ended.unwrap(), bytes.len());
    prop_assert!(heard == bytes);
    Ok(())
}

/// A record as a peer may send it, good or bad.
#[derive(Clone, Debug)]
struct Said {
    kind: u8,
    content: Vec<u8>,
    padding: usize,
    harm: Harm,
}

/// What becomes of a record on its way.
#[derive(Clone, Copy, Debug)]
enum Harm {
    None,
    /// One bit of its length or of what is sealed turns. In front of that we take less than the library:
    /// see [`a_record_without_protection_ends_the_connection`].
    Turned(usize),
    /// Its end is missing.
    Short(usize),
    Twice,
    Never,
}

fn said() -> impl Strategy<Value = Said> {
    let data = proptest::collection::vec(any::<u8>(), 0..200);
    let kind_and_content = prop_oneof![
        8 => data.clone().prop_map(|data| (23, data)),
        1 => (16_000..16_400_usize).prop_map(|size| (23, vec![7; size])),
        2 => (0..4_u8, prop_oneof![Just(0), Just(90), any::<u8>()]).prop_map(|(level, what)| (21, vec![level, what])),
        1 => Just((21, vec![1, 0])),
        1 => Just((21, vec![1, 90])),
        1 => (0..3_u8).prop_map(|asks| (22, vec![24, 0, 0, 1, asks])),
        1 => (0..32_u8, data.clone()).prop_map(|(kind, data)| (22, [vec![kind, 0, 0, data.len() as u8], data].concat())),
        1 => (any::<u8>(), data).prop_map(|(kind, data)| (kind, data)),
    ];
    let harm = prop_oneof![
        12 => Just(Harm::None),
        1 => (0..300_usize).prop_map(Harm::Turned),
        // Fewer bytes than these may by chance be those that follow.
        1 => (8..30_usize).prop_map(Harm::Short),
        1 => Just(Harm::Twice),
        1 => Just(Harm::Never),
    ];
    (kind_and_content, prop_oneof![4 => Just(0), 1 => 1..300_usize], harm).prop_map(|((kind, content), padding, harm)| Said {
        kind,
        content,
        padding,
        harm,
    })
}

/// Seals and sends all of it behind a handshake, and closes. Keys change where the records say so.
async fn tell(both: &Both, role: Role, pipe: DuplexStream, said: &[Said]) {
    let (mut pipe, mut agreed) = both.shake(role, pipe).await.unwrap();
    let mut sealer = Sealer::new(agreed.secrets.tx).unwrap();
    let mut bytes = Vec::new();
    for Said { kind, content, padding, harm } in said {
        let start = bytes.len();
        let fill = |out: &mut Vec<u8>| {
            out.extend_from_slice(content);
            if *padding > 0 {
                out.push(*kind);
                out.resize(out.len() + padding - 1, 0);
            }
        };
        sealer.gather(if *padding > 0 { 0 } else { *kind }.into(), &mut bytes, fill).unwrap();
        let sound = bytes[start..].to_vec();
        match *harm {
            Harm::None => {}
            Harm::Turned(bit) => {
                let length = bytes.len() - start - 3;
                bytes[start + 3 + bit % length] ^= 1 << (bit % 8);
            }
            // No less than its head, by which the library looks while it comes.
            Harm::Short(by) => bytes.truncate(bytes.len().saturating_sub(by).max(start + record::HEAD)),
            Harm::Twice => bytes.extend_from_within(start..),
            Harm::Never => bytes.truncate(start),
        }
        // Of a length that TLS 1.3 does not have the library waits for the end, as TLS 1.2 has it. Here the end comes.
        if record::whole(&bytes[start..]) == Err(Wrong(AlertDescription::RecordOverflow)) {
            bytes.truncate(start);
            bytes.extend_from_slice(&sound);
        }
        if let (22, [24, 0, 0, 1, 0 | 1]) = (kind, content.as_slice()) {
            sealer = Sealer::new(agreed.kept.next_sending().unwrap()).unwrap();
        }
    }
    // A receiver that has heard enough may be gone.
    let _ = pipe.write_all(&bytes).await;
    let _ = pipe.shutdown().await;
    // What it says does not matter, but it gets to say it.
    let _ = pipe.read_to_end(&mut Vec::new()).await;
}

/// What was read, and how it ended.
type Heard = (Vec<u8>, Result<usize, io::ErrorKind>);

async fn heard_by_us(both: &Both, role: Role, said: &[Said]) -> Heard {
    let (near, far) = duplex(PIPE);
    let hearing = async {
        let mut bytes = Vec::new();
        let ended = match both.ours(role, near).await {
            Ok(mut stream) => stream.read_to_end(&mut bytes).await,
            // What comes at once with the last of the handshake is a part of it, to the library too.
            Err(error) => Err(error),
        };
        (bytes, ended.map_err(|error| error.kind()))
    };
    tokio::join!(hearing, tell(both, role.other(), far, said)).0
}

async fn heard_by_them(both: &Both, role: Role, said: &[Said]) -> Heard {
    let (near, far) = duplex(PIPE);
    let hearing = async {
        let (bytes, ended) = match both.theirs(role, near).await {
            Ok(mut stream) => stream.read_to_end().await,
            Err(error) => (Vec::new(), Err(error)),
        };
        (bytes, ended.map_err(|error| error.kind()))
    };
    tokio::join!(hearing, tell(both, role.other(), far, said)).0
}

/// Requirement (RFC 8446, section 5): behind a handshake no record is without protection, whatever it says; the peer is told.
#[test]
fn a_record_without_protection_ends_the_connection() {
    run(async {
        let both = Both::new();
        for kind in [20, 21, 22, 24] {
            let (mut ours, mut pipe, agreed) = both.server_and_keys().await;
            pipe.write_all(&[kind, 3, 3, 0, 2, 1, 0]).await.unwrap();
            for _ in 0..2 {
                assert_eq!(ours.read_u8().await.unwrap_err().kind(), io::ErrorKind::InvalidData, "{kind}");
            }
            assert_eq!(ours.write(b"more").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
            ours.shutdown().await.unwrap();
            // What the pipe holds: tickets, and one alert behind them.
            let mut theirs = Stream::new(pipe, agreed).unwrap();
            let why = theirs.read_u8().await.unwrap_err();
            assert!(why.to_string().contains("UnexpectedMessage"), "{why}");
        }
    });
}

/// Requirement (RFC 8446, section 5.2): a record that is longer than any may be ends the connection before it has come.
#[test]
fn a_record_that_is_too_long_ends_the_connection() {
    run(async {
        let (mut ours, mut pipe, _) = Both::new().server_and_keys().await;
        let [high, low] = (CONTENT as u16 + 256 + 1).to_be_bytes();
        pipe.write_all(&[23, 3, 3, high, low]).await.unwrap();
        let why = ours.read_u8().await.unwrap_err();
        assert!(why.to_string().contains("excess record size"), "{why}");
    });
}

/// Requirement: a stream at rest keeps no buffer, whatever has gone through it, and what it does keep of a record is no larger than that.
#[test]
fn a_stream_at_rest_keeps_nothing() {
    run(async {
        let (mut ours, mut pipe, agreed) = Both::new().server_and_keys().await;
        ours.write_all(&[7; 100_000]).await.unwrap();
        let (mut sealer, mut bytes) = (Sealer::new(agreed.secrets.tx).unwrap(), Vec::new());
        for _ in 0..3 {
            sealer.seal(ContentType::ApplicationData, &[7; CONTENT], &mut bytes).unwrap();
        }
        let cut = bytes.len() - 1000;
        pipe.write_all(&bytes[..cut]).await.unwrap();
        ours.read_exact(&mut vec![0; 2 * CONTENT]).await.unwrap();
        assert!(ours.read_u8().now_or_never().is_none());
        assert!(ours.unsent.bytes.capacity() == 0 && ours.incoming.bytes.capacity() == CONTENT + OVERHEAD - 1000);
        pipe.write_all(&bytes[cut..]).await.unwrap();
        ours.read_exact(&mut vec![0; CONTENT]).await.unwrap();
        assert_eq!(ours.incoming.bytes.capacity(), 0);
    });
}

/// Requirement: little that waits until it can leave keeps no large buffer, and arrives.
#[test]
fn a_little_that_waits_keeps_little() {
    run(async {
        let (mut ours, mut theirs) = Both::new().client_and_theirs().await;
        let mut said = 0;
        while let Some(taken) = ours.write(&[7; 100]).now_or_never() {
            said += taken.unwrap();
        }
        assert!((1..200).contains(&ours.unsent.bytes.len()) && ours.unsent.bytes.capacity() < 200);
        let (closed, heard) = tokio::join!(ours.shutdown(), theirs.read_to_end());
        closed.unwrap();
        assert_eq!(heard.0, vec![7; said]);
    });
}

/// Requirement: a key is not used for more records than it may protect; the peer notices nothing but new keys.
#[test]
fn a_key_that_is_used_up_is_followed_by_another() {
    run(async {
        let (mut ours, mut theirs) = Both::new().client_and_theirs().await;
        ours.limit = 3;
        for _ in 0..10 {
            ours.write_all(b"bytes").await.unwrap();
            // The record that says so is one too.
            assert!(ours.sealer.used() <= ours.limit);
        }
        ours.shutdown().await.unwrap();
        assert_eq!(theirs.read_to_end().await.0, b"bytes".repeat(10));
    });
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Requirement: whatever the sizes of what is written, of the pipe and of what is read at once, and whoever changes keys when, all of it
    /// arrives, between our records and the library's.
    #[test]
    fn all_arrives(
        ours in role(),
        room in 10_000..400_000_usize,
        width in prop_oneof![1..100_usize, 1_000..100_000_usize],
        said in proptest::collection::vec((prop_oneof![1..300_usize, 1..300_000_usize], any::<bool>()), 0..6),
        answered in proptest::collection::vec((prop_oneof![1..300_usize, 1..300_000_usize], any::<bool>()), 0..6),
    ) {
        run(converse(&Both::new(), ours, (room, width), &said, &answered))?;
    }

    /// Requirement: whatever a peer sends behind its handshake, and whatever becomes of it on its way, we hear what the library hears: the
    /// same content, and an end that is clean, cut off or an error. In front of an error it may give less: it opens all that it has read first.
    #[test]
    fn we_hear_what_the_library_hears(
        ours in role(),
        said in prop_oneof![
            4 => proptest::collection::vec(said(), 0..8),
            // What may be said a few times only: what comes with the end of the handshake is counted apart.
            1 => (said(), prop_oneof![1..5_usize, 200..210_usize]).prop_map(|(said, times)| vec![said; times]),
        ],
    ) {
        let both = Both::new();
        let (us, them) = run(async { (heard_by_us(&both, ours, &said).await, heard_by_them(&both, ours, &said).await) });
        match (us.1, them.1) {
            (Err(us), Err(them)) => prop_assert_eq!(us, them),
            (us, them) => prop_assert_eq!(us, them),
        }
        prop_assert!(us.0.starts_with(&them.0), "{:?}, {:?}", us.0, them.0);
    }
}
