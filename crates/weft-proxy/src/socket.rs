//! Sockets with the options that a mesh proxy needs: redirected addresses, marks, shared listeners, keepalive.
//!
//! Decides nothing about traffic. The mark tells the proxy's own connections apart from the application's, so that the kernel's redirect
//! rules leave them alone.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::BorrowedFd;
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
}

/// Listens with `SO_REUSEPORT`, so that every worker has a queue of its own.
///
/// The first worker's listener is probed without it: a second proxy would otherwise silently take half of the traffic.
pub(crate) fn listen(addr: SocketAddr, shared: bool, backlog: i32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    if shared {
        socket.listen(backlog)?;
    }
    Ok(socket.into())
}

/// Fails with `AddrInUse` when another process listens on the address.
pub(crate) fn probe(addr: SocketAddr) -> io::Result<()> {
    listen(addr, false, 0).map(drop)
}

/// Hands a bound listener to the runtime that runs now.
pub(crate) fn register(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    TcpListener::from_std(listener)
}

/// Where the client wanted to go before the redirect (`SO_ORIGINAL_DST`, `IP6T_SO_ORIGINAL_DST`); the local address where nothing was
/// redirected.
pub(crate) fn original_destination(stream: &TcpStream) -> io::Result<SocketAddr> {
    let local = stream.local_addr()?;
    let original = if local.is_ipv4() {
        getsockopt(stream, sockopt::OriginalDst).ok().map(|a| {
            let ip = u32::from_be(a.sin_addr.s_addr).into();
            SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(a.sin_port)))
        })
    } else {
        getsockopt(stream, sockopt::Ip6tOriginalDst)
            .ok()
            .map(|a| SocketAddr::V6(SocketAddrV6::new(a.sin6_addr.s6_addr.into(), u16::from_be(a.sin6_port), 0, 0)))
    };
    Ok(original.unwrap_or(local))
}

/// Prepares an accepted connection: no delay, keepalive.
pub(crate) fn prepare(stream: &TcpStream, options: &Options) -> io::Result<()> {
    stream.set_nodelay(true)?;
    apply(SockRef::from(stream), options)
}

/// Connects with the proxy's own options. The caller sets the time limit.
pub(crate) async fn connect(addr: SocketAddr, options: &Options) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(mark) = options.mark {
        SockRef::from(&socket).set_mark(mark)?;
    }
    apply(SockRef::from(&socket), options)?;
    socket.set_nodelay(true)?;
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

fn apply(socket: SockRef<'_>, options: &Options) -> io::Result<()> {
    if let Some(time) = options.keepalive {
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(time).with_interval(time))?;
    }
    if options.user_timeout.is_some() {
        socket.set_tcp_user_timeout(options.user_timeout)?;
    }
    Ok(())
}
