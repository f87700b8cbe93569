//! Who may ask the admin listener.
//!
//! With a token, who has it. Without one the listener is on a loopback address, and everything on this machine may ask,
//! which includes its browsers: so pages of other sites must be kept out. A page that has its own name resolve to
//! 127.0.0.1 (DNS rebinding) is known by its Host header, a page that posts to us or opens a WebSocket by its Origin, one
//! that has an image or a link point here by Sec-Fetch-Site.

use std::net::IpAddr;

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{StatusCode, Uri};

use crate::config::Token;
use crate::protocol::handshake;

use super::reply::Refusal;

/// Subprotocol by which a dashboard brings the token: a browser lets a page set no other header of a WebSocket. The token
/// follows in hex, since not all of its characters may stand there.
pub(super) const TOKEN_PROTOCOL: &str = "wspoll.token.";

/// Checks that no other site is behind a request. `navigates`: following a link here is fine.
pub(super) fn check_site(
    headers: &HeaderMap,
    has_token: bool,
    navigates: bool,
) -> Result<(), Refusal> {
    let host =
        only(headers, &header::HOST)?.ok_or_else(|| Refusal::field("Host", "", "must be there"))?;
    if !has_token && !is_local(host) {
        let refusal = Refusal::field("Host", host, "must be a loopback address or localhost");
        return Err(refusal.status(StatusCode::MISDIRECTED_REQUEST));
    }
    let forbidden = |field: &str, value: &str, reason: &str| {
        Err(Refusal::field(field, value, reason).status(StatusCode::FORBIDDEN))
    };
    match only(headers, &header::ORIGIN)? {
        Some(origin) if !handshake::origin_is_same_host(origin, host) => {
            return forbidden("Origin", origin, "pages of other sites may not ask this");
        }
        _ => {}
    }
    match only(headers, &header::HeaderName::from_static("sec-fetch-site"))? {
        Some(site) if !navigates && !matches!(site, "same-origin" | "none") => {
            forbidden("Sec-Fetch-Site", site, "pages of other sites may not ask this")
        }
        _ => Ok(()),
    }
}

/// Checks the token, where there is one.
pub(super) fn check_token(headers: &HeaderMap, token: &Token) -> Result<(), Refusal> {
    if !token.is_set() || bearer(headers).is_some_and(|given| token.matches(&given)) {
        return Ok(());
    }
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "needs Authorization: Bearer TOKEN");
    Err(refusal.header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
}

/// The token that a request bears, in its Authorization header or among its subprotocols.
fn bearer(headers: &HeaderMap) -> Option<Vec<u8>> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        return is_bearer.then(|| token.trim_start().as_bytes().to_vec());
    }
    let hex = subprotocols(headers).find_map(|name| name.strip_prefix(TOKEN_PROTOCOL))?;
    data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()
}

/// The subprotocols that a client offers.
pub(super) fn subprotocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// The value of a header that may stand there once.
fn only<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Result<Option<&'h str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text)),
        _ => {
            let shown = String::from_utf8_lossy(value.as_bytes());
            Err(Refusal::field(name.as_str(), shown, "must stand once and be ASCII"))
        }
    }
}

/// Whether a Host header names this machine in a way that no name server can.
fn is_local(host: &str) -> bool {
    let Ok(host) = host.parse::<Uri>() else { return false };
    let Some(name) = host.authority().map(|authority| authority.host()) else { return false };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    match name.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        // Browsers and resolvers answer these themselves (RFC 6761 §6.3).
        Err(_) => {
            let name = name.to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        for host in
            ["127.0.0.1", "127.0.0.1:6060", "localhost:1", "LocalHost", "[::1]:6060", "a.localhost"]
        {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "example.com",
            "localhost.example.com",
            "10.0.0.1",
            "127.0.0.1.example.com",
            "",
            "[::2]",
            "a@localhost.x",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
