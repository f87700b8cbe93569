//! What proxies say: PROXY protocol headers and forwarding headers, made up, cut and spoilt.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use wspoll::protocol::proxy::{Header, MAX_HEADER, parse};
use wspoll::protocol::{forwarded, http};

use crate::config;

/// Two addresses of one family.
fn addresses() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
    prop_oneof![
        any::<([u8; 4], u16, [u8; 4], u16)>()
            .prop_map(|(a, i, b, j)| (SocketAddr::from((a, i)), SocketAddr::from((b, j)))),
        any::<([u8; 16], u16, [u8; 16], u16)>()
            .prop_map(|(a, i, b, j)| (SocketAddr::from((a, i)), SocketAddr::from((b, j)))),
    ]
}

fn v1(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
    // Without the scope that the standard library knows of.
    let text = format!("{} {} {} {}", from.ip(), to.ip(), from.port(), to.port());
    format!("PROXY {family} {text}\r\n").into_bytes()
}

fn v2(from: SocketAddr, to: SocketAddr, tlvs: &[u8]) -> Vec<u8> {
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    let block = [octets(from.ip()), octets(to.ip()), ports, tlvs.to_vec()].concat();
    let family = if from.is_ipv4() { 0x11 } else { 0x21 };
    let len = u16::try_from(block.len()).expect("short").to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n\x21", &[family][..], &len, &block].concat()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_client_of_every_header_is_found_and_every_cut_asks_for_more(
        (from, to) in addresses(),
        tlvs in vec(any::<u8>(), 0..200),
        behind in vec(any::<u8>(), 0..20),
    ) {
        for header in [v1(from, to), v2(from, to, &tlvs)] {
            let wanted = Header { client: Some(from), len: header.len() };
            let bytes = [&header[..], &behind].concat();
            prop_assert_eq!(parse(&bytes), Ok(Some(wanted)));
            for end in 0..header.len() {
                prop_assert_eq!(parse(&header[..end]), Ok(None), "{} of {}", end, header.len());
            }
        }
    }

    #[test]
    fn a_judgement_is_final(
        (from, to) in addresses(),
        tlvs in vec(any::<u8>(), 0..40),
        spoilt in vec((any::<usize>(), any::<u8>()), 0..4),
        is_v2 in any::<bool>(),
        noise in vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = if is_v2 { v2(from, to, &tlvs) } else { v1(from, to) };
        for (at, byte) in spoilt {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.extend(noise);
        let mut earlier = Ok(None);
        for end in 0..=bytes.len() {
            let parsed = parse(&bytes[..end]);
            if earlier != Ok(None) {
                // Words may differ: what is wrong first is found last.
                prop_assert_eq!(parsed.is_err(), earlier.is_err(), "{} bytes", end);
                prop_assert!(parsed.is_err() || parsed == earlier);
            }
            if let Ok(Some(header)) = parsed {
                prop_assert!(header.len <= end && header.len <= MAX_HEADER);
            }
            earlier = parsed;
        }
    }

    #[test]
    fn more_bytes_than_a_header_has_are_never_asked_for(bytes in vec(any::<u8>(), MAX_HEADER)) {
        for begin in [&b"PROXY "[..], b"\r\n\r\n\0\r\nQUIT\n\x21\x11", b""] {
            let bytes = [begin, &bytes].concat();
            prop_assert!(parse(&bytes[..MAX_HEADER]) != Ok(None));
        }
    }

    #[test]
    fn what_a_client_writes_changes_nothing_behind_it(
        made_up in "[ -~]{0,40}",
        client in any::<[u8; 16]>(),
        port in any::<u16>(),
        lines in any::<bool>(),
    ) {
        let client = SocketAddr::from((Ipv6Addr::from(client), port));
        for (name, hop) in [
            ("X-Forwarded-For", client.to_string()),
            ("Forwarded", format!("for=\"{client}\";proto=https")),
        ] {
            let between = if lines { format!("\r\n{name}: ") } else { ", ".to_owned() };
            let request =
                format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: {made_up}{between}{hop}\r\n\r\n");
            let head = http::parse_head(request.as_bytes(), 8192).expect("valid").expect("whole");
            let nearest = match name {
                "Forwarded" => forwarded::forwarded(&head).next(),
                _ => forwarded::x_forwarded_for(&head).next(),
            };
            prop_assert_eq!(nearest, Some(Some(client)), "{}", request);
        }
    }
}
