//! Whom a server believes about where a connection comes from.

use std::net::SocketAddr;

use crate::config::{Config, ForwardedHeader, TrustedProxy, trusted_proxy};
use crate::error::{Error, Result};
use crate::protocol::forwarded::{forwarded, x_forwarded_for};
use crate::protocol::http::Head;

use super::peer::PeerAddr;

/// [`Config::trusted_proxies`] and what they may say in a request.
#[derive(Debug)]
pub(crate) struct Trust {
    proxies: Vec<TrustedProxy>,
    header: ForwardedHeader,
}

impl Trust {
    pub(crate) fn new(config: &Config) -> Result<Trust> {
        let proxy = |text: &String| {
            trusted_proxy(text).map_err(|reason| Error::setting("trusted_proxies", text, reason))
        };
        let proxies = config.trusted_proxies.iter().map(proxy).collect::<Result<_>>()?;
        Ok(Trust { proxies, header: config.forwarded_header })
    }

    /// Whether nobody is believed: everybody is who the system says.
    pub(crate) fn is_empty(&self) -> bool {
        self.proxies.is_empty()
    }

    pub(crate) fn contains(&self, peer: PeerAddr) -> bool {
        self.proxies.iter().any(|proxy| proxy.is(peer.ip()))
    }

    /// Who sent a request that `peer` handed over: the nearest hop that is not trusted, or the farthest one that is
    /// known. What a client makes up stands before that and is never reached.
    pub(crate) fn client_of(&self, head: &Head<'_>, peer: PeerAddr) -> PeerAddr {
        match self.header {
            ForwardedHeader::Off => peer,
            ForwardedHeader::XForwardedFor => self.walk(peer, x_forwarded_for(head)),
            ForwardedHeader::Forwarded => self.walk(peer, forwarded(head)),
        }
    }

    fn walk(&self, peer: PeerAddr, mut hops: impl Iterator<Item = Option<SocketAddr>>) -> PeerAddr {
        let mut client = peer;
        while self.contains(client)
            && let Some(Some(hop)) = hops.next()
        {
            client = hop.into();
        }
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::http::parse_head;

    fn client(header: ForwardedHeader, peer: PeerAddr, line: &str) -> String {
        let config = Config {
            trusted_proxies: ["10.0.0.0/8", "unix"].map(str::to_owned).to_vec(),
            forwarded_header: header,
            ..Config::default()
        };
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n");
        let head = parse_head(request.as_bytes(), 8192).expect("valid").expect("whole");
        Trust::new(&config).expect("networks").client_of(&head, peer).to_string()
    }

    #[test]
    fn the_nearest_hop_that_is_not_trusted_is_the_client() {
        use ForwardedHeader::{Forwarded, Off, XForwardedFor};
        let proxy = PeerAddr::Ip(([10, 0, 0, 1], 80).into());
        let stranger = PeerAddr::Ip(([192, 0, 2, 9], 80).into());
        for (header, peer, line, wanted) in [
            (XForwardedFor, proxy, "X-Forwarded-For: 192.0.2.1", "192.0.2.1:0"),
            (XForwardedFor, proxy, "X-Forwarded-For: 1.1.1.1, 192.0.2.1, 10.0.0.2", "192.0.2.1:0"),
            (XForwardedFor, PeerAddr::Unix, "X-Forwarded-For: ::ffff:192.0.2.1", "192.0.2.1:0"),
            // Nobody else is known.
            (XForwardedFor, proxy, "X-Forwarded-For: 10.0.0.3, 10.0.0.2", "10.0.0.3:0"),
            (XForwardedFor, proxy, "X-Forwarded-For: 192.0.2.1, unknown, 10.0.0.2", "10.0.0.2:0"),
            (XForwardedFor, proxy, "Forwarded: for=192.0.2.1", "10.0.0.1:80"),
            (Forwarded, proxy, "X-Forwarded-For: 192.0.2.1", "10.0.0.1:80"),
            (Forwarded, proxy, r#"Forwarded: for="192.0.2.1:5000""#, "192.0.2.1:5000"),
            (XForwardedFor, stranger, "X-Forwarded-For: 192.0.2.1", "192.0.2.9:80"),
            (Off, proxy, "X-Forwarded-For: 192.0.2.1", "10.0.0.1:80"),
        ] {
            assert_eq!(client(header, peer, line), wanted, "{header} {peer} {line}");
        }
    }
}
