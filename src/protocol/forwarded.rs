//! What proxies say in a request of where it came from: `X-Forwarded-For`, and `Forwarded` (RFC 7239).
//!
//! Each proxy adds the address that it was asked from at the end, so the last is that of the nearest hop, and whatever a
//! client has made up stands before what a proxy has added. Both lists are therefore read from the end, and nothing that
//! stands earlier can change how what follows it is read.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str;

use super::http::Head;

/// The addresses of `X-Forwarded-For`, the nearest hop first; `None` for what is no address. Ports are 0 where none is
/// told.
pub fn x_forwarded_for<'a>(head: &Head<'a>) -> impl Iterator<Item = Option<SocketAddr>> + use<'a> {
    let lines: Vec<_> = head.all("X-Forwarded-For").collect();
    let elements = lines.into_iter().rev().flat_map(|line| line.rsplit(|&byte| byte == b','));
    elements.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty()).map(|element| {
        let text = str::from_utf8(element).ok()?;
        // Some proxies write IPv6 addresses without brackets.
        text.parse().map(|ip: Ipv6Addr| SocketAddr::from((ip, 0))).ok().or_else(|| node(text))
    })
}

/// The addresses of `Forwarded`'s `for`, the nearest hop first; `None` for what is no address: `unknown`, a made-up name,
/// an element without `for`.
pub fn forwarded<'a>(head: &Head<'a>) -> impl Iterator<Item = Option<SocketAddr>> + use<'a> {
    let lines: Vec<_> = head.all("Forwarded").collect();
    let elements = lines.into_iter().rev().flat_map(|line| Parts { rest: Some(line), at: b',' });
    elements.filter(|element| !element.is_empty()).map(client_of)
}

/// What stands between separators outside of quotes, from the last to the first, trimmed.
struct Parts<'a> {
    rest: Option<&'a [u8]>,
    at: u8,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let mut is_quoted = false;
        let cut = rest.iter().rposition(|&byte| {
            is_quoted ^= byte == b'"';
            byte == self.at && !is_quoted
        });
        self.rest = cut.map(|cut| &rest[..cut]);
        Some(cut.map_or(rest, |cut| &rest[cut + 1..]).trim_ascii())
    }
}

/// The address in the `for` of one element, `for=192.0.2.60;proto=http;by="[2001:db8::1]:80"`.
fn client_of(element: &[u8]) -> Option<SocketAddr> {
    // No address needs an escape, and with one it is unclear from behind where a quote ends.
    if element.contains(&b'\\') {
        return None;
    }
    let mut clients = Parts { rest: Some(element), at: b';' }.filter_map(|pair| {
        let (name, value) = pair.split_at(pair.iter().position(|&byte| byte == b'=')?);
        name.eq_ignore_ascii_case(b"for").then(|| &value[1..])
    });
    let (value, None) = (clients.next()?, clients.next()) else { return None };
    let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    node(str::from_utf8(unquoted.unwrap_or(value)).ok()?)
}

/// `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]` or `[2001:db8::1]:80` (RFC 7239 §6). A port that hides (`_http`) is 0.
fn node(text: &str) -> Option<SocketAddr> {
    let (ip, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (ip, rest) = rest.split_once(']')?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
            (IpAddr::V6(ip.parse().ok()?), port)
        }
        None => match text.split_once(':') {
            Some((ip, port)) => (IpAddr::V4(ip.parse().ok()?), Some(port)),
            None => (IpAddr::V4(text.parse().ok()?), None),
        },
    };
    let port = match port {
        None => 0,
        Some(hidden) if hidden.starts_with('_') => 0,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
        Some(_) => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::http::parse_head;

    type Hops = Vec<Option<String>>;

    fn hops(lines: &[&str]) -> (Hops, Hops) {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let head = parse_head(request.as_bytes(), 8192).expect("valid").expect("whole");
        let text = |hop: Option<SocketAddr>| hop.map(|hop| hop.to_string());
        (x_forwarded_for(&head).map(text).collect(), forwarded(&head).map(text).collect())
    }

    fn wanted(hops: &[&str]) -> Hops {
        hops.iter().map(|hop| (*hop != "-").then(|| (*hop).to_owned())).collect()
    }

    #[test]
    fn x_forwarded_for_is_read_from_its_end_over_all_its_lines() {
        for (lines, nearest_first) in [
            (&["X-Forwarded-For: 192.0.2.1"][..], &["192.0.2.1:0"][..]),
            (
                &["X-Forwarded-For: 192.0.2.1, 2001:db8::1 ,198.51.100.7:80"],
                &["198.51.100.7:80", "[2001:db8::1]:0", "192.0.2.1:0"],
            ),
            (
                &["X-Forwarded-For: [2001:db8::1]:80", "x-forwarded-for: [2001:db8::2],,"],
                &["[2001:db8::2]:0", "[2001:db8::1]:80"],
            ),
            (&["X-Forwarded-For: unknown, 192.0.2.1"], &["192.0.2.1:0", "-"]),
            (&["X-Forwarded-For: 192.0.2.256", "X-Forwarded-For: 192.0.2.1:"], &["-", "-"]),
            (
                &["X-Forwarded-For: fe80::1%eth0, 192.0.2.1:_x, 1.2.3.4:+5"],
                &["-", "192.0.2.1:0", "-"],
            ),
            (&["X-Forwarded-For: "], &[]),
            (&["Forwarded: for=192.0.2.1"], &[]),
        ] {
            assert_eq!(hops(lines).0, wanted(nearest_first), "{lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_from_its_end_over_all_its_lines() {
        for (lines, nearest_first) in [
            (&["Forwarded: for=192.0.2.60;proto=http;by=203.0.113.43"][..], &["192.0.2.60:0"][..]),
            (
                &[r#"Forwarded: For="[2001:db8:cafe::17]:4711", proto=https ; for=198.51.100.17"#],
                &["198.51.100.17:0", "[2001:db8:cafe::17]:4711"],
            ),
            (
                &["Forwarded: for=192.0.2.43", r#"forwarded: for="198.51.100.17:_app";by="a,b;c""#],
                &["198.51.100.17:0", "192.0.2.43:0"],
            ),
            (&["Forwarded: for=unknown, for=_hidden, by=203.0.113.43"], &["-", "-", "-"]),
            (&["Forwarded: for=192.0.2.1;for=192.0.2.2"], &["-"]),
            (&[r#"Forwarded: for="192.0.2\.1""#], &["-"]),
        ] {
            assert_eq!(hops(lines).1, wanted(nearest_first), "{lines:?}");
        }
    }

    #[test]
    fn what_a_client_makes_up_does_not_hide_what_a_proxy_has_added() {
        for made_up in
            [r#"for=""#, r#"for="a, "#, r#"for=\""#, "for=1.1.1.1;", "\"", ",,,", "=;=;\\"]
        {
            let (_, hops) = hops(&[&format!("Forwarded: {made_up}, for=192.0.2.1")]);
            assert_eq!(hops.first(), Some(&Some("192.0.2.1:0".to_owned())), "{made_up}");
        }
    }
}
