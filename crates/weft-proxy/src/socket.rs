//! Sockets with the options that a mesh proxy needs: redirected addresses, marks, shared listeners, keepalive.
//!
//! Decides nothing about traffic. The mark tells the proxy's own connections apart from the application's, so that the kernel's redirect
//! rules leave them alone.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::BorrowedFd;
use std::sync::LazyLock;
use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// How the proxy's own sockets are set up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// `SO_MARK`; needs CAP_NET_ADMIN in the network namespace's owner.
    pub(crate) mark: Option<u32>,
    pub(crate) keepalive: Option<Duration>,
    pub(crate) user_timeout: Option<Duration>,
    /// The other end is the application that this proxy stands beside: what it sends comes at once and in bulk, see [`UNREAD`].
    pub(crate) application: bool,
}

/// Listens with `SO_REUSEPORT`, so that every worker has a queue of its own. `[::]` takes IPv4 as well.
///
/// The first worker's listener is probed without it: a second proxy would otherwise silently take half of the traffic.
///
/// What is accepted inherits the options, from the first connection on.
pub(crate) fn listen(addr: SocketAddr, shared: bool, backlog: i32, options: &Options) -> io::Result<std::net::TcpListener> {
    let socket = match Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP)) {
        // A kernel without IPv6: what is meant for both families is for the one that is there.
        Err(error) if error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT) && addr.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
            return listen((Ipv4Addr::UNSPECIFIED, addr.port()).into(), shared, backlog, options);
        }
        socket => socket?,
    };
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    apply(&SockRef::from(&socket), options)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    if shared {
        socket.listen(backlog)?;
    }
    Ok(socket.into())
}

/// Fails with `AddrInUse` when another process listens on the address.
pub(crate) fn probe(addr: SocketAddr) -> io::Result<()> {
    listen(addr, false, 0, &Options::default()).map(drop)
}

/// Those of the addresses that this machine has: one without IPv6, for example, has no [::1]. Fails as `probe` does on any of them, and
/// when it has none.
pub(crate) fn probe_any(addrs: impl IntoIterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, (SocketAddr, io::Error)> {
    let (mut found, mut lacking) = (Vec::new(), None);
    for addr in addrs {
        match probe(addr) {
            Ok(()) => found.push(addr),
            Err(error) if absent(&error) => {
                tracing::warn!(%addr, %error, "this machine does not have the address: nothing is accepted there");
                lacking = Some((addr, error));
            }
            Err(error) => return Err((addr, error)),
        }
    }
    match lacking {
        Some(lacking) if found.is_empty() => Err(lacking),
        _ => Ok(found),
    }
}

fn absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(nix::libc::EAFNOSUPPORT)
}

/// Hands a bound listener to the runtime that runs now.
pub(crate) fn register(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    TcpListener::from_std(listener)
}

/// Where the client wanted to go before the redirect (`SO_ORIGINAL_DST`, `IP6T_SO_ORIGINAL_DST`); the local address where nothing was
/// redirected. An IPv4 address is one, also on a socket of both families.
pub(crate) fn original_destination(stream: &TcpStream) -> io::Result<SocketAddr> {
    let local = canonical(stream.local_addr()?);
    let original = match local {
        SocketAddr::V4(_) => getsockopt(stream, sockopt::OriginalDst).ok().map(|a| {
            let ip = u32::from_be(a.sin_addr.s_addr).into();
            SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(a.sin_port)))
        }),
        // With its scope: a link-local address means nothing without.
        SocketAddr::V6(_) => getsockopt(stream, sockopt::Ip6tOriginalDst)
            .ok()
            .map(|a| SocketAddr::V6(SocketAddrV6::new(a.sin6_addr.s6_addr.into(), u16::from_be(a.sin6_port), 0, a.sin6_scope_id))),
    };
    Ok(original.unwrap_or(local))
}

/// An IPv4 address that a socket of both families shows as IPv6 (`::ffff:1.2.3.4`), as what it is: policies and labels know one form.
pub(crate) fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, addr.port()),
        IpAddr::V6(_) => addr,
    }
}

/// Connects with the proxy's own options. The caller sets the time limit.
pub(crate) async fn connect(addr: SocketAddr, options: &Options) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(mark) = options.mark {
        SockRef::from(&socket).set_mark(mark)?;
    }
    apply(&SockRef::from(&socket), options)?;
    socket.connect(addr).await
}

/// From now on every socket of this process that closes is reset, so that a peer cannot take it for the end of what was sent. For a
/// process that is about to end.
pub(crate) fn reset_all() {
    let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") else { return };
    for number in descriptors.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        #[expect(unsafe_code, reason = "the number is used for one call, and whatever it means by then ends with the process")]
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        // Fails on what is no socket.
        let _ = SockRef::from(&descriptor).set_linger(Some(Duration::ZERO));
    }
}

/// Bytes that wait in a socket to be sent (TCP_NOTSENT_LOWAT); what is on its way to the peer is not among them. Without it the kernel takes
/// megabytes, which are out of every cache when their turn comes: opaque bytes both ways took 2.5 times Envoy's processor time, now 1.2 times.
const UNSENT: u32 = 128 << 10;

/// Room for bytes of the application's that have come and that nobody has read (SO_RCVBUF). The kernel makes room by what comes within a round
/// trip, and on one machine that is over before much has come: the application is stopped and woken again and again. This takes 0.91 of the
/// processor time of 1 MiB bodies (95 % interval 0.89 to 0.93), twice as much the same; a quarter would cost 1.15, an eighth 1.29.
const UNREAD: usize = 1 << 20;
/// The most room that may be asked for. The kernel gives that and no more, without a word.
static MOST_UNREAD: LazyLock<usize> =
    LazyLock::new(|| std::fs::read_to_string("/proc/sys/net/core/rmem_max").ok().and_then(|most| most.trim().parse().ok()).unwrap_or(0));

fn apply(socket: &SockRef<'_>, options: &Options) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT)?;
    if options.application && *MOST_UNREAD >= UNREAD {
        socket.set_recv_buffer_size(UNREAD)?;
    }
    if let Some(time) = options.keepalive {
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(time).with_interval(time))?;
    }
    if options.user_timeout.is_some() {
        socket.set_tcp_user_timeout(options.user_timeout)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn local(addr: &str) -> SocketAddr {
        addr.parse().expect("address")
    }

    /// Requirement: a listener at [::] takes both families, and what comes by IPv4 is seen as IPv4. Either end lets little wait to be sent.
    #[test]
    fn one_listener_takes_both_families() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let listener = register(listen(local("[::]:0"), true, 8, &Options::default()).expect("listen")).expect("register");
            let port = listener.local_addr().expect("address").port();
            for to in [SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port)] {
                let options = Options::default();
                let (connected, accepted) = tokio::join!(connect(to, &options), listener.accept());
                let (client, (server, peer)) = (connected.expect("connect"), accepted.expect("accept"));
                assert_eq!(original_destination(&server).expect("destination"), to);
                assert_eq!(canonical(peer), client.local_addr().expect("address"));
                for socket in [SockRef::from(&client), SockRef::from(&server)] {
                    assert_eq!(socket.tcp_notsent_lowat().expect("option"), UNSENT);
                }
            }
        });
    }

    /// Requirement: both ends of the proxy keep connections alive and give up on dead peers as Linkerd does: probes after the time and at
    /// its interval, a limit on unacknowledged bytes, no delay of small writes.
    #[test]
    fn connections_are_kept_alive() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let (time, limit) = (Duration::from_secs(10), Duration::from_secs(30));
            let options = Options { keepalive: Some(time), user_timeout: Some(limit), ..Options::default() };
            let listener = listen(local("127.0.0.1:0"), true, 8, &options).expect("listen");
            // Before anybody accepts.
            let client = connect(listener.local_addr().expect("address"), &options).await.expect("connect");
            let server = register(listener).expect("register").accept().await.expect("accept").0;
            for stream in [client, server] {
                let socket = SockRef::from(&stream);
                assert!(socket.keepalive().expect("keepalive") && stream.nodelay().expect("no delay"));
                assert_eq!((socket.tcp_keepalive_time().expect("time"), socket.tcp_keepalive_interval().expect("interval")), (time, time));
                assert_eq!(socket.tcp_user_timeout().expect("limit"), Some(limit));
            }
        });
    }

    /// Requirement: either end of a connection with the application has room for much that it sends, where the kernel lets it; the kernel
    /// says twice as much, since its own records count too. Other connections are left to the kernel.
    #[test]
    fn the_application_finds_room() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            for application in [true, false] {
                let options = Options { application, ..Options::default() };
                let listener = register(listen(local("127.0.0.1:0"), true, 8, &options).expect("listen")).expect("register");
                let (connected, accepted) = tokio::join!(connect(listener.local_addr().expect("address"), &options), listener.accept());
                for stream in [connected.expect("connect"), accepted.expect("accept").0] {
                    let room = SockRef::from(&stream).recv_buffer_size().expect("room");
                    assert_eq!(room == 2 * UNREAD, application && *MOST_UNREAD >= UNREAD);
                }
            }
        });
    }

    /// Requirement: an address that the machine lacks is left out while another is there; an address in use is an error all the same.
    #[test]
    fn addresses_that_are_not_there_are_left_out() {
        let (here, nowhere) = (local("127.0.0.1:0"), local("[2001:db8::1]:4140"));
        assert_eq!(probe_any([here, nowhere]).expect("one is there"), [here]);
        assert_eq!(probe_any([nowhere]).expect_err("none is there").0, nowhere);
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
        let taken = taken.local_addr().map(|addr| (taken, addr)).expect("address");
        assert_eq!(probe_any([here, taken.1]).expect_err("in use").1.kind(), io::ErrorKind::AddrInUse);
    }

    /// Requirement: the original destination of a redirected connection is the one that the client connected to, of either family, on a
    /// listener of both families and on one of IPv6 alone.
    #[test]
    fn redirected_connections_keep_their_destination() {
        let itself = std::env::current_exe().expect("this program");
        let inner = "socket::tests::redirected_inside_a_namespace";
        let ran =
            Command::new("unshare").args(["--user", "--map-root-user", "--net"]).arg(itself).args(["--ignored", "--exact", inner]).output();
        let ran = ran.expect("unshare runs: apt-get install util-linux");
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    }

    #[test]
    #[ignore = "needs a network namespace of its own: redirected_connections_keep_their_destination runs it in one"]
    fn redirected_inside_a_namespace() {
        for command in [
            &["ip", "link", "set", "lo", "up"][..],
            &["ip", "address", "add", "192.0.2.7/32", "dev", "lo"],
            &["ip", "address", "add", "2001:db8::7/128", "dev", "lo", "nodad"],
            &["nft", "add table inet t; add chain inet t out { type nat hook output priority -100; }"],
            &["nft", "add rule inet t out tcp dport 80 redirect to :4140"],
            &["nft", "add rule inet t out tcp dport 81 redirect to :4141"],
        ] {
            let ran = Command::new(command[0]).args(&command[1..]).output().expect("ip and nft run: apt-get install iproute2 nftables");
            assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let both = register(listen(local("[::]:4140"), true, 8, &Options::default()).expect("listen")).expect("register");
            let loopback = register(listen(local("[::1]:4141"), true, 8, &Options::default()).expect("listen")).expect("register");
            for (listener, to) in [(&both, "192.0.2.7:80"), (&both, "[2001:db8::7]:80"), (&loopback, "[2001:db8::7]:81")] {
                let options = Options { mark: Some(0x57), ..Options::default() };
                let (connected, accepted) = tokio::join!(connect(local(to), &options), listener.accept());
                connected.expect("connect");
                assert_eq!(original_destination(&accepted.expect("accept").0).expect("destination"), local(to));
            }
        });
    }
}
