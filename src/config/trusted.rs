//! Whom to believe about where a connection comes from, as people write it.

use std::net::IpAddr;

use super::values::Parsed;

/// One item of [`Config::trusted_proxies`](super::Config::trusted_proxies).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrustedProxy {
    /// The addresses that begin with the first `prefix` bits of this one.
    Network { ip: IpAddr, prefix: u8 },
    /// Whoever comes through a Unix socket.
    Unix,
}

/// `192.0.2.1`, `10.0.0.0/8`, `2001:db8::/32` or `unix`.
pub(crate) fn trusted_proxy(text: &str) -> Parsed<TrustedProxy> {
    let hint = || "must be an IP address, a network such as 10.0.0.0/8, or unix".to_owned();
    if text == "unix" {
        return Ok(TrustedProxy::Unix);
    }
    let (ip, prefix) = match text.split_once('/') {
        Some((ip, prefix)) => (ip, Some(prefix)),
        None => (text, None),
    };
    let ip: IpAddr = ip.parse().map_err(|_| hint())?;
    let bits = if ip.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => bits,
        Some(prefix) if prefix.bytes().all(|b| b.is_ascii_digit()) => prefix
            .parse()
            .ok()
            .filter(|prefix| *prefix <= bits)
            .ok_or_else(|| format!("must have 0 to {bits} bits behind its /"))?,
        Some(_) => return Err(hint()),
    };
    // Peers are known by their IPv4 addresses, however they come.
    let (ip, prefix) = match ip.to_canonical() {
        canonical if canonical == ip => (ip, prefix),
        canonical if prefix >= 96 => (canonical, prefix - 96),
        _ => return Err("must be written as the IPv4 network that it is".to_owned()),
    };
    let network = TrustedProxy::Network { ip, prefix };
    // Somebody who writes 10.1.0.0/8 means either less or more.
    match first_of(ip, prefix) == ip {
        true => Ok(network),
        false => Err(format!(
            "has bits behind its prefix: {}/{prefix} is the network",
            first_of(ip, prefix)
        )),
    }
}

/// The first address of a network.
fn first_of(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}

impl TrustedProxy {
    /// Whether this address is meant; `None` stands for a Unix socket.
    pub(crate) fn is(&self, peer: Option<IpAddr>) -> bool {
        match (self, peer) {
            (TrustedProxy::Unix, None) => true,
            (&TrustedProxy::Network { ip, prefix }, Some(peer)) => {
                peer.is_ipv4() == ip.is_ipv4() && first_of(peer, prefix) == ip
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(network: &str, peer: &str) -> bool {
        let network = trusted_proxy(network).unwrap_or_else(|e| panic!("{network} {e}"));
        network.is(Some(peer.parse().expect("an address")))
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_like_it() {
        assert!(is("10.0.0.0/8", "10.255.0.1") && !is("10.0.0.0/8", "11.0.0.0"));
        assert!(is("192.0.2.1", "192.0.2.1") && !is("192.0.2.1", "192.0.2.2"));
        assert!(is("0.0.0.0/0", "255.255.255.255") && !is("0.0.0.0/0", "::1"));
        assert!(is("::/0", "ffff::") && !is("::/0", "127.0.0.1"));
        assert!(
            is("2001:db8::/33", "2001:db8:7fff::1") && !is("2001:db8::/33", "2001:db8:8000::1")
        );
        assert!(is("::ffff:10.0.0.0/104", "10.1.2.3") && is("::1", "::1"));
        let unix = trusted_proxy("unix").expect("known");
        assert!(unix.is(None) && !unix.is(Some(IpAddr::from([127, 0, 0, 1]))));
        assert!(!trusted_proxy("::/0").expect("known").is(None));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for wrong in [
            "",
            "proxy",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "::/129",
            "10.1.0.0/8",
            "::1/64",
            "::ffff:0:0/95",
            "10.0.0.0/8/8",
        ] {
            assert!(trusted_proxy(wrong).is_err(), "{wrong}");
        }
        let error = trusted_proxy("10.1.0.0/8").expect_err("refused");
        assert!(error.contains("10.0.0.0/8"), "{error}");
    }
}
