//! Whose pages may connect: comparison of Origin headers (RFC 6454, RFC 6455 §10.2).

/// An origin or a pattern of one, taken apart.
struct Parts<'a> {
    scheme: &'a str,
    host: &'a str,
    /// `None` when it is missing or the default of the scheme.
    port: Option<&'a str>,
}

/// Whether the page comes from the host that it talks to: the default check.
///
/// Compares host and port in any case; a default port may be written or not. The scheme may differ from ours,
/// since a proxy in front may speak TLS. `null`, which sandboxed pages send, is never the same.
pub fn origin_is_same_host(origin: &str, host: &str) -> bool {
    let Some(origin) = parse_origin(origin) else {
        return false;
    };
    let (name, port) = split_port(host);
    name.eq_ignore_ascii_case(origin.host) && fold_port(origin.scheme, port) == origin.port
}

/// Whether `origin` is one of those in `list`.
///
/// An entry is `https://example.com`, `https://*.example.com` (any depth of subdomains, not the domain
/// itself), `https://example.com:8443`, or the same without scheme, which then stands for any scheme and its
/// default port. `null` only matches an entry `null`.
pub fn origin_in_list(origin: &str, list: &[String]) -> bool {
    if origin == "null" {
        return list.iter().any(|entry| entry == "null");
    }
    let Some(origin) = parse_origin(origin) else {
        return false;
    };
    list.iter().any(|entry| {
        let (scheme, rest) = match entry.split_once("://") {
            Some((scheme, rest)) => (scheme, rest),
            None => (origin.scheme, entry.as_str()),
        };
        let (host, port) = split_port(rest);
        scheme.eq_ignore_ascii_case(origin.scheme)
            && fold_port(scheme, port) == origin.port
            && host_matches(origin.host, host)
    })
}

fn host_matches(host: &str, pattern: &str) -> bool {
    let Some(domain) = pattern.strip_prefix("*.") else {
        return host.eq_ignore_ascii_case(pattern);
    };
    // The host is at least one letter, a dot and the domain. Hosts are ASCII, but the origin is foreign text
    // that may have a character across the cut: `get` then finds nothing.
    let Some(cut) = host.len().checked_sub(domain.len() + 1).filter(|&cut| cut > 0) else {
        return false;
    };
    let dotted = host.get(cut..).and_then(|end| end.strip_prefix('.'));
    dotted.is_some_and(|end| end.eq_ignore_ascii_case(domain))
}

/// Takes apart `scheme://host[:port]`. Anything more, such as a path or a user, is not an origin.
fn parse_origin(origin: &str) -> Option<Parts<'_>> {
    let (scheme, rest) = origin.split_once("://")?;
    let (host, port) = split_port(rest);
    let foreign =
        |byte: u8| matches!(byte, b'/' | b'?' | b'#' | b'@' | b'\\' | b',') || byte <= b' ';
    if scheme.is_empty() || host.is_empty() || rest.bytes().any(foreign) {
        return None;
    }
    Some(Parts { scheme, host, port: fold_port(scheme, port) })
}

/// Splits `host[:port]`; the colons of an IPv6 address in brackets are its own.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// Drops an empty port and the default port of the scheme.
fn fold_port<'a>(scheme: &str, port: Option<&'a str>) -> Option<&'a str> {
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    port.filter(|&port| match port {
        "" => false,
        "80" => !is("http") && !is("ws"),
        "443" => !is("https") && !is("wss"),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::{origin_in_list, origin_is_same_host};

    #[test]
    fn the_same_host_may_be_written_in_several_ways() {
        for (origin, host) in [
            ("http://example.com", "example.com"),
            ("http://Example.COM", "example.com"),
            ("https://example.com", "EXAMPLE.com"),
            ("http://example.com", "example.com:80"),
            ("https://example.com:443", "example.com"),
            ("https://example.com", "example.com:443"),
            ("http://localhost:8000", "localhost:8000"),
            ("http://[::1]:8000", "[::1]:8000"),
            ("http://[::1]", "[::1]:80"),
        ] {
            assert!(origin_is_same_host(origin, host), "{origin} at {host}");
        }
    }

    #[test]
    fn another_host_or_port_is_not_the_same() {
        for (origin, host) in [
            ("null", "null"),
            ("", ""),
            ("example.com", "example.com"),
            ("http://example.com", "example.com:8000"),
            ("http://example.com:443", "example.com"),
            ("http://example.com:8000", "example.com:8001"),
            ("http://example.com.evil.org", "example.com"),
            ("http://evil-example.com", "example.com"),
            ("http://example.com@evil.org", "evil.org"),
            ("http://user@example.com", "example.com"),
            ("http://example.com/", "example.com"),
            ("http://example.com http://evil.org", "example.com"),
            ("http://[::1]", "[::2]"),
            ("http://", ""),
        ] {
            assert!(!origin_is_same_host(origin, host), "{origin} at {host}");
        }
    }

    #[test]
    fn a_list_names_origins_hosts_and_subdomains() {
        let list = ["https://example.com", "https://*.wild.org", "bare.net", "http://dev:3000"];
        let list = list.map(String::from);
        for yes in [
            "https://example.com",
            "HTTPS://EXAMPLE.COM:443",
            "https://a.wild.org",
            "https://a.b.WILD.org",
            "http://bare.net",
            "https://bare.net",
            "http://dev:3000",
        ] {
            assert!(origin_in_list(yes, &list), "{yes}");
        }
        for no in [
            "null",
            "http://example.com",
            "https://example.com:8443",
            "https://sub.example.com",
            "https://wild.org",
            "https://.wild.org",
            "https://evilwild.org",
            "https://éwild.org",
            "http://a.wild.org",
            "http://bare.net:8080",
            "http://dev",
            "https://example.com/",
            "https://a.wild.org@evil.org",
        ] {
            assert!(!origin_in_list(no, &list), "{no}");
        }
        assert!(origin_in_list("null", &["null".into()]));
        assert!(!origin_in_list("https://example.com", &[]));
    }
}
