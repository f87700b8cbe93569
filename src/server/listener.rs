//! What a server listens on: TCP, Unix sockets, and sockets that were made by somebody else.

#[cfg(unix)]
mod unix;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::config::{Config, Endpoint, endpoint};
use crate::connection::peer::PeerAddr;
use crate::error::{Error, Result};

/// Where a server listens. Shown as it is written in [`Config::listen`](crate::Config::listen): `127.0.0.1:8000`,
/// `[::]:8000`, `unix:/run/wspoll.sock`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddr {
    /// TCP.
    Ip(SocketAddr),
    /// A Unix socket: its path, or `@` and its name in Linux's abstract namespace.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddr::Ip(addr) => addr.fmt(f),
            ListenAddr::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A socket that is listened on.
pub(super) struct Listener {
    /// Removed when nobody listens any more, and before the socket is closed: as long as that is open, no other file
    /// gets the inode of its own.
    #[cfg(unix)]
    _file: Option<unix::SocketFile>,
    pub(super) socket: Socket,
    pub(super) addr: ListenAddr,
}

#[cfg(unix)]
impl std::os::fd::AsFd for Listener {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsSocket for Listener {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.socket.as_socket()
    }
}

/// Listens on everything that the configuration names, or on nothing.
pub(super) fn bind(config: &Config) -> Result<Vec<Listener>> {
    let mut listeners = Vec::with_capacity(config.listen.len());
    for text in &config.listen {
        let endpoint = endpoint(text).map_err(|reason| Error::setting("listen", text, reason))?;
        bind_one(endpoint, config, &mut listeners)
            .map_err(|e| Error::io(format!("listening on {text}"), e))?;
    }
    Ok(listeners)
}

fn bind_one(endpoint: Endpoint, config: &Config, out: &mut Vec<Listener>) -> io::Result<()> {
    match endpoint {
        Endpoint::Ip(address) => out.push(ip(address, config)?),
        #[cfg(unix)]
        Endpoint::Unix(path) => out.push(unix::path(path, config)?),
        #[cfg(unix)]
        Endpoint::Abstract(name) => out.push(unix::name(&name, config)?),
        #[cfg(unix)]
        Endpoint::Descriptor(number) => out.push(unix::descriptor(number, config)?),
        #[cfg(unix)]
        Endpoint::Systemd(name) => unix::systemd(name.as_deref(), config, out)?,
        // They are refused where they are read.
        #[cfg(not(unix))]
        _ => return Err(io::ErrorKind::Unsupported.into()),
    }
    Ok(())
}

fn ip(address: SocketAddr, config: &Config) -> io::Result<Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // On Windows the option means that others may take the port away.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // Said in any case, since systems differ in what they do by themselves. Only `[::]` can mean IPv4 too.
        socket.set_only_v6(config.ipv6_only || !address.ip().is_unspecified())?;
    }
    socket.bind(&address.into())?;
    listen(&socket, config)?;
    let addr = socket.local_addr()?.as_socket().unwrap_or(address);
    Ok(Listener {
        #[cfg(unix)]
        _file: None,
        socket,
        addr: ListenAddr::Ip(addr),
    })
}

fn listen(socket: &Socket, config: &Config) -> io::Result<()> {
    socket.listen(config.backlog.try_into().unwrap_or(i32::MAX))
}

/// Who is at this address; `None` for families that are neither IP nor Unix.
pub(super) fn peer_at(addr: &SockAddr) -> Option<PeerAddr> {
    match addr.as_socket() {
        Some(addr) => Some(addr.into()),
        None => addr.is_unix().then_some(PeerAddr::Unix),
    }
}
