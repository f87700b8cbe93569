//! Who is at the other end of a connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The other end of a connection: an address, or a program on this machine that came through a Unix socket.
///
/// An IPv4 address that a dual-stack listener sees as IPv6 (`::ffff:192.0.2.1`) is the IPv4 address here. Shown as
/// `192.0.2.1:5000`, `[2001:db8::1]:5000` or `unix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerAddr {
    /// A TCP connection from this address.
    Ip(SocketAddr),
    /// A Unix socket. Its clients have no names; limits for each address do not apply to them.
    Unix,
}

impl PeerAddr {
    /// The IP address; `None` for Unix sockets.
    pub fn ip(&self) -> Option<IpAddr> {
        self.socket_addr().map(|addr| addr.ip())
    }

    /// IP address and port; `None` for Unix sockets. The port is 0 where a proxy has not told it.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            PeerAddr::Ip(addr) => Some(*addr),
            PeerAddr::Unix => None,
        }
    }

    /// Who is there where nothing is known.
    pub(crate) fn unspecified() -> PeerAddr {
        PeerAddr::Ip(SocketAddr::from(([0, 0, 0, 0], 0)))
    }
}

/// Who is at the other end of a connection, and of its socket: two, if a proxy stands in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peers {
    pub(crate) client: PeerAddr,
    pub(crate) socket: PeerAddr,
}

impl From<SocketAddr> for PeerAddr {
    /// An IPv4 address in IPv6's clothes becomes what it is.
    fn from(addr: SocketAddr) -> PeerAddr {
        match addr.ip().to_canonical() {
            // An IPv6 address keeps its scope (fe80::1%eth0).
            IpAddr::V6(_) => PeerAddr::Ip(addr),
            ip => PeerAddr::Ip(SocketAddr::new(ip, addr.port())),
        }
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerAddr::Ip(addr) => addr.fmt(f),
            PeerAddr::Unix => f.write_str("unix"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every connection has one.
    #[test]
    fn it_takes_no_more_than_an_address() {
        assert_eq!(size_of::<PeerAddr>(), size_of::<SocketAddr>());
    }

    #[test]
    fn a_mapped_address_is_its_ipv4_address() {
        let peer = |text: &str| PeerAddr::from(text.parse::<SocketAddr>().expect("an address"));
        assert_eq!(peer("[::ffff:192.0.2.1]:5000"), peer("192.0.2.1:5000"));
        assert_eq!(peer("[2001:db8::1]:5000").to_string(), "[2001:db8::1]:5000");
        assert_ne!(peer("[::192.0.2.1]:5000"), peer("192.0.2.1:5000"));
    }
}
