//! Where a client connects to.

use std::path::PathBuf;

use async_tungstenite::tungstenite::http::Uri;

use crate::error::{Error, Result};

/// What a URL says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) url: String,
    pub(super) place: Place,
    /// The `Host` field.
    pub(super) host: String,
    /// Path and query.
    pub(super) target: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A name or an IP address, and a port.
    Tcp(String, u16),
    #[cfg_attr(not(unix), expect(dead_code, reason = "refused there"))]
    Unix(PathBuf),
}

impl Address {
    /// Reads `ws://HOST[:PORT][/PATH][?QUERY]` (RFC 6455 §3) or `unix:/path/of/socket[:/PATH]`.
    pub(super) fn parse(url: &str) -> Result<Address> {
        let wrong = |reason: &str| Error::argument("url", url, reason);
        if let Some(rest) = url.strip_prefix("unix:") {
            return unix(url, rest);
        }
        if url.contains('#') {
            return Err(wrong("must not have a fragment"));
        }
        let uri: Uri = url.parse().map_err(|e| wrong(&format!("is no URL: {e}")))?;
        match uri.scheme_str().map(str::to_ascii_lowercase).as_deref() {
            Some("ws") => {}
            Some("wss") => return Err(wrong("wss:// needs TLS, which this version has not")),
            _ => return Err(wrong("must begin with ws:// or unix:/")),
        }
        let authority = uri.authority().ok_or_else(|| wrong("has no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("must not name a user: set a header field Authorization"));
        }
        let host = authority.host();
        if host.is_empty() {
            return Err(wrong("has no host"));
        }
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str().len() > host.len() => {
                return Err(wrong("has no port that is one"));
            }
            None => 80,
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        // A query may follow the host at once; a request's target begins with a path.
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Address {
            url: url.to_owned(),
            place: Place::Tcp(bare.unwrap_or(host).to_owned(), port),
            host: authority.as_str().to_owned(),
            target: format!("{slash}{target}"),
        })
    }
}

#[cfg(unix)]
fn unix(url: &str, rest: &str) -> Result<Address> {
    let wrong = |reason: &str| Error::argument("url", url, reason);
    let (path, target) = match rest.split_once(":/") {
        Some((path, target)) => (path, format!("/{target}")),
        None => (rest, "/".to_owned()),
    };
    if !path.starts_with('/') || path.contains('\0') {
        return Err(wrong("must be unix:/PATH or unix:/PATH:/TARGET"));
    }
    if target.contains('#') {
        return Err(wrong("must not have a fragment"));
    }
    target.parse::<Uri>().map_err(|e| wrong(&format!("has a wrong target: {e}")))?;
    let place = Place::Unix(PathBuf::from(path));
    Ok(Address { url: url.to_owned(), place, host: "localhost".to_owned(), target })
}

#[cfg(not(unix))]
fn unix(url: &str, _: &str) -> Result<Address> {
    Err(Error::argument("url", url, "this system's sockets of files are not supported"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(url: &str) -> (String, u16, String, String) {
        let address = Address::parse(url).unwrap_or_else(|e| panic!("{e}"));
        let Place::Tcp(name, port) = address.place else { panic!("{url}") };
        (name, port, address.host, address.target)
    }

    fn is(url: &str, name: &str, port: u16, host: &str, target: &str) {
        assert_eq!(tcp(url), (name.into(), port, host.into(), target.into()), "{url}");
    }

    #[test]
    fn urls_are_taken_apart() {
        is("ws://a.example", "a.example", 80, "a.example", "/");
        is("WS://a.example:8000/x/y?z=1", "a.example", 8000, "a.example:8000", "/x/y?z=1");
        is("ws://a.example?z=1", "a.example", 80, "a.example", "/?z=1");
        is("ws://[::1]:8000/", "::1", 8000, "[::1]:8000", "/");
        is("ws://[::1]/", "::1", 80, "[::1]", "/");
        is("ws://127.0.0.1:1", "127.0.0.1", 1, "127.0.0.1:1", "/");
    }

    #[cfg(unix)]
    #[test]
    fn sockets_of_files_have_a_path_and_a_target() {
        for (url, path, target) in [
            ("unix:/run/a.sock", "/run/a.sock", "/"),
            ("unix:/run/a.sock:/chat?x=1", "/run/a.sock", "/chat?x=1"),
        ] {
            let address = Address::parse(url).expect(url);
            assert_eq!(address.place, Place::Unix(path.into()));
            assert_eq!((address.host.as_str(), address.target.as_str()), ("localhost", target));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (url, reason) in [
            ("", "no URL"),
            ("a.example", "must begin with"),
            ("http://a.example/", "must begin with"),
            ("wss://a.example/", "TLS"),
            ("ws://a.example/#x", "fragment"),
            ("ws://user:secret@a.example/", "Authorization"),
            ("ws://a.example:99999/", "port"),
            ("ws://a.example:/", "port"),
            ("ws:///x", "URL"),
            ("ws://a b/", "URL"),
            ("unix:relative", "unix"),
        ] {
            let error = Address::parse(url).expect_err(url).to_string();
            let named = error.starts_with(&format!("url is {url:?}"));
            assert!(named && (error.contains(reason) || cfg!(not(unix))), "{error}");
        }
    }
}
