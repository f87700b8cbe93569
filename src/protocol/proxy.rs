//! The PROXY protocol, versions 1 and 2: what a proxy says of its client before it passes on the client's bytes
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).
//!
//! Whether the proxy is to be believed is for others to judge.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::fmt;
use std::str;

/// The longest header that is taken. Version 1 has at most 107 bytes, version 2 at most 65,551, of which addresses take
/// 52; 4 KiB leave room for what else proxies tell (names, certificates), and bound what is kept of a stranger.
pub const MAX_HEADER: usize = 4096;

const V1_BEGIN: &[u8] = b"PROXY ";
const V1_MAX: usize = 107;
const V2_BEGIN: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, command, family and length.
const V2_FIXED: usize = 16;

/// A whole header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Where the client comes from; `None` where the proxy speaks for itself (a health check), or does not say it in
    /// terms of TCP.
    pub client: Option<SocketAddr>,
    /// Bytes of the header; the client's begin behind.
    pub len: usize,
}

/// What came is no header of the PROXY protocol, and nothing that may follow makes it one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(&'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

/// Reads the header at the start of `input`, which may end anywhere; `Ok(None)` asks for more.
///
/// # Errors
///
/// [`Malformed`], at the latest when [`MAX_HEADER`] bytes are there.
pub fn parse(input: &[u8]) -> Result<Option<Header>, Malformed> {
    let begins = |with: &[u8]| {
        let len = input.len().min(with.len());
        input[..len] == with[..len]
    };
    if begins(V2_BEGIN) {
        parse_v2(input)
    } else if begins(V1_BEGIN) {
        parse_v1(input)
    } else {
        Err(Malformed("not a PROXY protocol header"))
    }
}

fn parse_v1(input: &[u8]) -> Result<Option<Header>, Malformed> {
    let start = &input[..input.len().min(V1_MAX)];
    let Some(end) = start.iter().position(|&byte| byte == b'\n') else {
        let whole = start.len() == V1_MAX;
        return if whole { Err(Malformed("line too long")) } else { Ok(None) };
    };
    let line = start[..end].strip_suffix(b"\r").ok_or(Malformed("line does not end with CRLF"))?;
    let line = str::from_utf8(line).map_err(|_| Malformed("line is not ASCII"))?;
    let mut words = line.split(' ').skip(1);
    let family = words.next();
    let client = match family {
        // Whatever else the line says.
        Some("UNKNOWN") => None,
        Some("TCP4" | "TCP6") => {
            let mut address = || address(family, words.next());
            let (client, _) = (address()?, address()?);
            let (client_port, _) = (port(words.next())?, port(words.next())?);
            if words.next().is_some() {
                return Err(Malformed("too many words"));
            }
            Some(SocketAddr::new(client, client_port))
        }
        _ => return Err(Malformed("family is neither TCP4, TCP6 nor UNKNOWN")),
    };
    Ok(Some(Header { client, len: end + 1 }))
}

fn address(family: Option<&str>, word: Option<&str>) -> Result<IpAddr, Malformed> {
    let word = word.unwrap_or_default();
    let address = match family {
        Some("TCP4") => word.parse::<Ipv4Addr>().map(IpAddr::V4),
        _ => word.parse::<Ipv6Addr>().map(IpAddr::V6),
    };
    address.map_err(|_| Malformed("not an address of the family"))
}

fn port(word: Option<&str>) -> Result<u16, Malformed> {
    let word = word.unwrap_or_default();
    let is_canonical =
        word.bytes().all(|byte| byte.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    word.parse().ok().filter(|_| is_canonical).ok_or(Malformed("not a port"))
}

fn parse_v2(input: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some((fixed, rest)) = input.split_first_chunk::<V2_FIXED>() else { return Ok(None) };
    let &[.., command, family, high, low] = fixed;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if command >> 4 != 2 {
        return Err(Malformed("version is neither 1 nor 2"));
    }
    let is_local = match command & 0xf {
        0 => true,
        1 => false,
        _ => return Err(Malformed("unknown command")),
    };
    if family >> 4 > 3 || family & 0xf > 2 {
        return Err(Malformed("unknown family"));
    }
    if V2_FIXED + len > MAX_HEADER {
        return Err(Malformed("header too long"));
    }
    let Some(block) = rest.get(..len) else { return Ok(None) };
    // Behind the addresses stand TLVs, of which we need none.
    let client = match family {
        _ if is_local => None,
        0x11 => Some(v2_client::<4>(block)?),
        0x21 => Some(v2_client::<16>(block)?),
        _ => None,
    };
    Ok(Some(Header { client, len: V2_FIXED + len }))
}

/// Source and destination address of `N` bytes, source and destination port.
fn v2_client<const N: usize>(block: &[u8]) -> Result<SocketAddr, Malformed>
where
    IpAddr: From<[u8; N]>,
{
    let port = block.get(2 * N..2 * N + 4).and_then(|ports| ports.first_chunk::<2>());
    match (block.first_chunk::<N>(), port) {
        (Some(&address), Some(&port)) => {
            Ok(SocketAddr::new(IpAddr::from(address), u16::from_be_bytes(port)))
        }
        _ => Err(Malformed("too short for its addresses")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let len = u16::try_from(block.len()).expect("short").to_be_bytes();
        [V2_BEGIN, &[command, family], &len, block].concat()
    }

    const V4_BLOCK: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0x13, 0x88, 0, 80];

    fn v6_block() -> Vec<u8> {
        let client = "2001:db8::1".parse::<Ipv6Addr>().expect("an address");
        [&client.octets()[..], &Ipv6Addr::LOCALHOST.octets(), &[0x13, 0x88, 0, 80]].concat()
    }

    fn client(text: &str) -> Option<SocketAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn what_the_specification_allows_is_read() {
        let tlv = [&V4_BLOCK[..], &[0x04, 0, 1, 0xff]].concat();
        for (header, client) in [
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 5000 80\r\n".to_vec(), client("192.0.2.1:5000")),
            (b"PROXY TCP6 2001:db8::1 ::1 5000 80\r\n".to_vec(), client("[2001:db8::1]:5000")),
            (
                b"PROXY TCP4 255.255.255.255 0.0.0.0 0 65535\r\n".to_vec(),
                client("255.255.255.255:0"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(), None),
            (v2(0x21, 0x11, &V4_BLOCK), client("192.0.2.1:5000")),
            (v2(0x21, 0x11, &tlv), client("192.0.2.1:5000")),
            (v2(0x21, 0x21, &v6_block()), client("[2001:db8::1]:5000")),
            // LOCAL says nothing of a client, whatever else it says.
            (v2(0x20, 0x00, b""), None),
            (v2(0x20, 0x11, &V4_BLOCK), None),
            (v2(0x21, 0x00, b"whatever"), None),
            // Datagrams and Unix sockets.
            (v2(0x21, 0x12, &V4_BLOCK), None),
            (v2(0x21, 0x31, &[0; 216]), None),
            (v2(0x21, 0x00, &[0; MAX_HEADER - V2_FIXED]), None),
        ] {
            let wanted = Header { client, len: header.len() };
            assert_eq!(parse(&header), Ok(Some(wanted)), "{}", header.escape_ascii());
            let more = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(parse(&more), Ok(Some(wanted)), "what follows is not its business");
            for end in 0..header.len() {
                assert_eq!(parse(&header[..end]), Ok(None), "{}", header[..end].escape_ascii());
            }
        }
    }

    #[test]
    fn what_it_does_not_allow_is_refused() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_MAX));
        let mut headers: Vec<Vec<u8>> = [
            "GET / HTTP/1.1\r\n",
            "proxy TCP4 192.0.2.1 10.0.0.1 5000 80\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 5000 80\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 5000\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 5000 80 1\r\n",
            "PROXY TCP4 192.0.2.1  10.0.0.1 5000 80\r\n",
            "PROXY TCP4 192.0.2.256 10.0.0.1 5000 80\r\n",
            "PROXY TCP4 192.0.2.01 10.0.0.1 5000 80\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 05000 80\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 +500 80\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 65536 80\r\n",
            "PROXY TCP4 2001:db8::1 ::1 5000 80\r\n",
            "PROXY TCP6 192.0.2.1 10.0.0.1 5000 80\r\n",
            "PROXY TCP5 192.0.2.1 10.0.0.1 5000 80\r\n",
            "PROXY \r\n",
            &long,
        ]
        .map(|header| header.as_bytes().to_vec())
        .into();
        headers.extend([
            v2(0x11, 0x11, &V4_BLOCK),
            v2(0x22, 0x11, &V4_BLOCK),
            v2(0x21, 0x41, &V4_BLOCK),
            v2(0x21, 0x13, &V4_BLOCK),
            v2(0x21, 0x11, &V4_BLOCK[..11]),
            v2(0x21, 0x21, &v6_block()[..35]),
            v2(0x21, 0x11, &[0; MAX_HEADER - V2_FIXED + 1]),
        ]);
        for header in headers {
            let parsed = parse(&header);
            assert!(parsed.is_err(), "{}: {parsed:?}", header.escape_ascii());
        }
    }
}
