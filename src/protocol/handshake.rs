//! The server's side of the opening handshake (RFC 6455 §4).

mod origin;

use std::str;

use data_encoding::BASE64;
use sha1::{Digest, Sha1};

use super::http::{Head, HeaderError, check_header, encode_header, is_token};

pub use origin::{origin_in_list, origin_is_same_host};

/// The one version of the protocol (§4.2.1).
const VERSION: &str = "13";

/// Appended to the key before hashing (§1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Characters of a [`Key`]: the base64 form of 16 bytes.
const KEY_LEN: usize = 24;

/// Characters of an accept key: the base64 form of a SHA-1 hash.
const ACCEPT_LEN: usize = 28;

/// A valid Sec-WebSocket-Key. Owns its bytes, so that a handshake can be answered later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key([u8; KEY_LEN]);

impl Key {
    /// Accepts exactly the base64 form of 16 bytes (§4.2.1).
    ///
    /// The four bits of the last digit that encode nothing may have any value: the accept key is made from
    /// the text, not from what it decodes to, and RFC 4648 §3.5 leaves it to us.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let key: [u8; KEY_LEN] = value.try_into().ok()?;
        let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        let valid = key.ends_with(b"==") && key[..KEY_LEN - 2].iter().all(is_digit);
        valid.then_some(Self(key))
    }
}

/// The answer to a handshake that RFC 6455 does not let us accept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Headers that the status requires.
    pub headers: &'static [(&'static str, &'static str)],
    /// What is wrong, in a few words; the body of the answer.
    pub reason: &'static str,
}

impl Refusal {
    /// The answer to a request without upgrade at a place that only speaks WebSocket
    /// (RFC 9110 §15.5.22 demands the Upgrade header).
    pub const UPGRADE_REQUIRED: Self = Self {
        status: 426,
        headers: &[("Upgrade", "websocket"), ("Sec-WebSocket-Version", VERSION)],
        reason: "WebSocket upgrade required",
    };

    const METHOD: Self = Self {
        status: 405,
        headers: &[("Allow", "GET")],
        reason: "a WebSocket handshake is a GET request",
    };

    const VERSION: Self =
        Self { reason: "unsupported Sec-WebSocket-Version, use 13", ..Self::UPGRADE_REQUIRED };

    const fn bad_request(reason: &'static str) -> Self {
        Self { status: 400, headers: &[], reason }
    }
}

/// Whether a request is meant as a WebSocket handshake, be it a valid one or not.
pub fn wants_upgrade(head: &Head<'_>) -> bool {
    head.has_token("Upgrade", "websocket") || head.all("Sec-WebSocket-Key").next().is_some()
}

/// Checks a handshake (§4.2.1) and returns its key.
///
/// Origin, subprotocols and extensions are for others to judge.
///
/// # Errors
///
/// The first rule that is broken: method, HTTP version, body, Upgrade, Connection, Sec-WebSocket-Version,
/// Sec-WebSocket-Key. The Host header was checked when the head was parsed.
pub fn check_upgrade(head: &Head<'_>) -> Result<Key, Refusal> {
    if head.method != "GET" {
        return Err(Refusal::METHOD);
    }
    if head.version < 1 {
        return Err(Refusal::bad_request("a WebSocket handshake needs HTTP/1.1"));
    }
    // Bytes after the head are frames; a body in between would be read as such.
    if head.has_body() {
        return Err(Refusal::bad_request("a WebSocket handshake has no body"));
    }
    if !head.has_token("Upgrade", "websocket") {
        return Err(Refusal::UPGRADE_REQUIRED);
    }
    if !head.has_token("Connection", "upgrade") {
        return Err(Refusal::bad_request("Connection header does not name upgrade"));
    }
    let mut versions = head.all("Sec-WebSocket-Version");
    match (versions.next(), versions.next()) {
        (Some(version), None) if version == VERSION.as_bytes() => {}
        (_, None) => return Err(Refusal::VERSION),
        // §11.3.5: not more than once in a request.
        (_, Some(_)) => {
            return Err(Refusal::bad_request("more than one Sec-WebSocket-Version header"));
        }
    }
    let mut keys = head.all("Sec-WebSocket-Key");
    match (keys.next(), keys.next()) {
        (Some(key), None) => Key::parse(key)
            .ok_or(Refusal::bad_request("Sec-WebSocket-Key is not 16 bytes in base64")),
        (None, _) => Err(Refusal::bad_request("Sec-WebSocket-Key header missing")),
        // §11.3.1: not more than once in a request.
        (_, Some(_)) => Err(Refusal::bad_request("more than one Sec-WebSocket-Key header")),
    }
}

/// The one Origin of a request, if it has any.
///
/// # Errors
///
/// A second Origin, or one that is not ASCII, could hide from a check of the first, so both are refused.
pub fn origin<'a>(head: &Head<'a>) -> Result<Option<&'a str>, Refusal> {
    let mut origins = head.all("Origin");
    match (origins.next(), origins.next()) {
        (None, _) => Ok(None),
        (Some(origin), None) if origin.is_ascii() => Ok(str::from_utf8(origin).ok()),
        (Some(_), _) => Err(Refusal::bad_request("invalid Origin header")),
    }
}

/// The subprotocols that the client offers, in its order (§11.3.4).
///
/// # Errors
///
/// An element that is not a token.
pub fn offered_subprotocols<'a>(
    head: &Head<'a>,
) -> Result<impl Iterator<Item = &'a str> + Clone, Refusal> {
    let offered = head.tokens("Sec-WebSocket-Protocol");
    if !offered.clone().all(is_token) {
        return Err(Refusal::bad_request("invalid Sec-WebSocket-Protocol header"));
    }
    // Tokens are ASCII, so nothing is lost here.
    Ok(offered.filter_map(|name| str::from_utf8(name).ok()))
}

/// Chooses the first of `supported` that the client offers, as an index into `supported`.
///
/// Names are case-sensitive. `None` means to go on without a subprotocol (§4.2.2).
pub fn choose_subprotocol<'o>(
    offered: impl Iterator<Item = &'o str> + Clone,
    supported: &[String],
) -> Option<usize> {
    supported.iter().position(|name| offered.clone().any(|offer| offer == name))
}

/// The value of Sec-WebSocket-Accept (§4.2.2).
pub fn accept_key(key: &Key) -> [u8; ACCEPT_LEN] {
    let hash = Sha1::new().chain_update(key.0).chain_update(GUID).finalize();
    let mut accept = [0; ACCEPT_LEN];
    BASE64.encode_mut(&hash, &mut accept);
    accept
}

/// Checks a header that a host adds to the 101 response.
///
/// # Errors
///
/// As [`check_header`], and [`HeaderError::Reserved`] for the headers of the handshake itself.
pub fn check_accept_header(name: &str, value: &str) -> Result<(), HeaderError> {
    check_header(name, value)?;
    if belongs_to_the_handshake(name) { Err(HeaderError::Reserved) } else { Ok(()) }
}

fn belongs_to_the_handshake(name: &str) -> bool {
    let prefix = "Sec-WebSocket-";
    name.eq_ignore_ascii_case("Upgrade")
        || name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Appends the 101 response that opens the connection (§4.2.2).
///
/// `subprotocol` is one that the client offered; `extra` headers have passed [`check_accept_header`].
pub fn encode_accept<'h>(
    out: &mut Vec<u8>,
    key: &Key,
    subprotocol: Option<&str>,
    extra: impl Iterator<Item = (&'h str, &'h str)>,
) {
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\n\
          Upgrade: websocket\r\n\
          Connection: Upgrade\r\n\
          Sec-WebSocket-Accept: ",
    );
    out.extend_from_slice(&accept_key(key));
    out.extend_from_slice(b"\r\n");
    if let Some(subprotocol) = subprotocol {
        encode_header(out, "Sec-WebSocket-Protocol", subprotocol);
    }
    for (name, value) in extra {
        encode_header(out, name, value);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::{
        HeaderError, Key, Refusal, accept_key, check_accept_header, check_upgrade,
        choose_subprotocol, encode_accept, offered_subprotocols, origin, wants_upgrade,
    };
    use crate::protocol::http::parse_head;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    /// The example of RFC 6455 §1.2, with one line replaced, or left out when the replacement is empty.
    fn request(line: &str, replacement: &str) -> String {
        let lines = [
            "GET /chat HTTP/1.1",
            "Host: server.example.com",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Origin: http://example.com",
            "Sec-WebSocket-Protocol: chat, superchat",
            "Sec-WebSocket-Version: 13",
        ];
        let lines = lines.map(|text| if text.starts_with(line) { replacement } else { text });
        let kept: Vec<&str> = lines.into_iter().filter(|text| !text.is_empty()).collect();
        kept.join("\r\n") + "\r\n\r\n"
    }

    fn check(line: &str, replacement: &str) -> Result<Key, Refusal> {
        check_upgrade(&parse_head(request(line, replacement).as_bytes(), 8192).unwrap().unwrap())
    }

    fn status(line: &str, replacement: &str) -> u16 {
        check(line, replacement).map_or_else(|refusal| refusal.status, |_| 101)
    }

    #[test]
    fn the_example_of_the_rfc_is_accepted() {
        let key = check("nothing", "").unwrap();
        assert_eq!(&accept_key(&key), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let mut out = Vec::new();
        encode_accept(&mut out, &key, Some("chat"), [("Set-Cookie", "a=1")].into_iter());
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
             Sec-WebSocket-Protocol: chat\r\nSet-Cookie: a=1\r\n\r\n"
        );
    }

    #[test]
    fn tokens_are_found_in_lists_and_in_any_case() {
        assert_eq!(status("Connection", "connection: keep-alive, UPGRADE"), 101);
        assert_eq!(status("Connection", "Connection: keep-alive\r\nConnection: upgrade"), 101);
        assert_eq!(status("Upgrade", "upgrade: h2c, WebSocket"), 101);
        assert_eq!(status("Content-Length", "Content-Length: 0"), 101);
    }

    #[test]
    fn each_broken_rule_has_its_status() {
        assert_eq!(status("GET", "POST /chat HTTP/1.1"), 405);
        assert_eq!(check("GET", "HEAD / HTTP/1.1").unwrap_err().headers, [("Allow", "GET")]);
        assert_eq!(status("GET", "GET /chat HTTP/1.0"), 400);
        assert_eq!(status("Origin", "Content-Length: 5"), 400);
        assert_eq!(status("Origin", "Transfer-Encoding: chunked"), 400);
        assert_eq!(status("Upgrade", ""), 426);
        assert_eq!(status("Upgrade", "Upgrade: websockets"), 426);
        assert_eq!(status("Connection", ""), 400);
        assert_eq!(status("Connection", "Connection: keep-alive"), 400);
        assert_eq!(status("Sec-WebSocket-Version", ""), 426);
        assert_eq!(status("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"), 426);
        let twice = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13";
        assert_eq!(status("Sec-WebSocket-Version", twice), 400);
        let version = check("Sec-WebSocket-Version", "Sec-WebSocket-Version: 14").unwrap_err();
        assert!(version.headers.contains(&("Sec-WebSocket-Version", "13")));
        assert!(version.headers.contains(&("Upgrade", "websocket")));
    }

    #[test]
    fn the_key_is_16_bytes_in_base64_once() {
        assert_eq!(status("Sec-WebSocket-Key", ""), 400);
        let twice = format!("Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Key: {KEY}");
        assert_eq!(status("Sec-WebSocket-Key", &twice), 400);
        assert!(Key::parse(KEY.as_bytes()).is_some());
        // The digit before the padding has four bits that encode nothing.
        assert!(Key::parse(b"AAAAAAAAAAAAAAAAAAAAA///").is_none());
        assert!(Key::parse(b"AAAAAAAAAAAAAAAAAAAAA/==").is_some());
        for bad in ["", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25j"]
        {
            assert!(Key::parse(bad.as_bytes()).is_none(), "{bad}");
        }
        assert!(Key::parse(b"dGhlIHNhbXBs ZSBub25jZ==").is_none());
        assert!(Key::parse(b"dGhlIHNhbXBsZSBub25jZQ===").is_none());
        assert!(Key::parse(b"=GhlIHNhbXBsZSBub25jZQ==").is_none());
    }

    #[test]
    fn an_attempt_to_upgrade_is_recognised_also_when_it_is_broken() {
        let wants = |line, replacement| {
            let text = request(line, replacement);
            wants_upgrade(&parse_head(text.as_bytes(), 8192).unwrap().unwrap())
        };
        assert!(wants("Upgrade", ""));
        assert!(wants("Sec-WebSocket-Key", ""));
        let plain = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n";
        assert!(!wants_upgrade(&parse_head(plain, 8192).unwrap().unwrap()));
    }

    #[test]
    fn the_first_subprotocol_in_server_order_wins() {
        let text = request("nothing", "");
        let head = parse_head(text.as_bytes(), 8192).unwrap().unwrap();
        let offered = || offered_subprotocols(&head).unwrap();
        let choose = |supported: &[&str]| {
            let supported: Vec<String> = supported.iter().map(|&name| name.into()).collect();
            choose_subprotocol(offered(), &supported)
        };
        assert_eq!(offered().collect::<Vec<_>>(), ["chat", "superchat"]);
        assert_eq!(choose(&["other", "superchat", "chat"]), Some(1));
        assert_eq!(choose(&["Chat"]), None);
        assert_eq!(choose(&[]), None);
    }

    #[test]
    fn subprotocols_that_are_no_tokens_are_refused() {
        for bad in ["a b", "a, b/c", "é", "\"a\""] {
            let text = request("Sec-WebSocket-Protocol", &format!("Sec-WebSocket-Protocol: {bad}"));
            let head = parse_head(text.as_bytes(), 8192).unwrap().unwrap();
            assert_eq!(offered_subprotocols(&head).err().map(|refusal| refusal.status), Some(400));
        }
    }

    #[test]
    fn an_origin_cannot_hide() {
        let find = |replacement| {
            let text = request("Origin", replacement);
            let head = parse_head(text.as_bytes(), 8192).unwrap().unwrap();
            origin(&head).map(|found| found.map(str::to_owned)).map_err(|refusal| refusal.status)
        };
        assert_eq!(find("Origin: http://a"), Ok(Some("http://a".to_owned())));
        assert_eq!(find(""), Ok(None));
        assert_eq!(find("Origin: http://a\r\nOrigin: http://a"), Err(400));
        assert_eq!(find("Origin: http://é"), Err(400));
    }

    #[test]
    fn hosts_cannot_touch_the_headers_of_the_handshake() {
        assert_eq!(check_accept_header("Set-Cookie", "a=1"), Ok(()));
        for name in ["upgrade", "Connection", "sec-websocket-accept", "Sec-WebSocket-Extensions"] {
            assert_eq!(check_accept_header(name, "x"), Err(HeaderError::Reserved), "{name}");
        }
    }
}
