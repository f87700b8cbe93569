//! Answers to plain HTTP requests and to refused upgrades (RFC 9110, RFC 9112).

use std::fmt;
use std::io::Write;

/// Why a header that a host wants to send is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderError {
    /// The name is not a token (RFC 9110 §5.6.2).
    Name,
    /// The value has control characters, line breaks among them (RFC 9110 §5.5).
    Value,
    /// The server itself decides on this header.
    Reserved,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "header name is not a token",
            Self::Value => "header value contains a control character",
            Self::Reserved => "the server itself sets this header",
        })
    }
}

impl std::error::Error for HeaderError {}

/// Whether `text` is a token (RFC 9110 §5.6.2), such as a header name or a subprotocol.
pub fn is_token(text: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_tchar)
}

/// Checks a header that a host adds to a response: no line break may slip in a header or body of its own.
///
/// # Errors
///
/// Names the part that is wrong.
pub fn check_header(name: &str, value: &str) -> Result<(), HeaderError> {
    if !is_token(name.as_bytes()) {
        return Err(HeaderError::Name);
    }
    if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Err(HeaderError::Value);
    }
    if frames_the_message(name) {
        return Err(HeaderError::Reserved);
    }
    Ok(())
}

/// The headers that say where the message ends; a second opinion on that is request smuggling.
fn frames_the_message(name: &str) -> bool {
    ["Connection", "Content-Length", "Transfer-Encoding"]
        .iter()
        .any(|reserved| name.eq_ignore_ascii_case(reserved))
}

/// Appends a whole response that ends the connection: status line, `headers`, Content-Length,
/// `Connection: close` and `body`.
///
/// `headers` have passed [`check_header`]; those that it reserves are left out.
pub fn encode_response<'h>(
    out: &mut Vec<u8>,
    status: u16,
    headers: impl Iterator<Item = (&'h str, &'h str)>,
    body: &[u8],
) {
    encode_response_head(out, status, headers, body.len());
    if has_content(status) {
        out.extend_from_slice(body);
    }
}

/// Like [`encode_response`] without the body: the answer to HEAD (RFC 9110 §9.3.2).
pub fn encode_response_head<'h>(
    out: &mut Vec<u8>,
    status: u16,
    headers: impl Iterator<Item = (&'h str, &'h str)>,
    body_len: usize,
) {
    // Writing to a `Vec` can't fail.
    let _ = write!(out, "HTTP/1.1 {status} {}\r\n", reason_phrase(status));
    let mut upgrade = false;
    for (name, value) in headers.filter(|(name, _)| !frames_the_message(name)) {
        upgrade |= name.eq_ignore_ascii_case("Upgrade");
        encode_header(out, name, value);
    }
    if has_content(status) {
        let _ = write!(out, "Content-Length: {body_len}\r\n");
    }
    // Upgrade is a hop-by-hop header and must be named as such (RFC 9110 §7.8).
    encode_header(out, "Connection", if upgrade { "Upgrade, close" } else { "close" });
    out.extend_from_slice(b"\r\n");
}

/// Appends one header line.
pub(in crate::protocol) fn encode_header(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// These statuses end with the head and must not announce a length (RFC 9110 §8.6).
fn has_content(status: u16) -> bool {
    !matches!(status, 100..=199 | 204 | 304)
}

/// The usual words for a status; empty for the unusual, which RFC 9112 §4 allows.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::{HeaderError, check_header, encode_response, encode_response_head};

    fn encode(status: u16, headers: &[(&str, &str)], body: &[u8]) -> String {
        let mut out = Vec::new();
        encode_response(&mut out, status, headers.iter().copied(), body);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_response_says_how_long_it_is_and_that_it_is_the_last() {
        assert_eq!(
            encode(404, &[("Content-Type", "text/plain")], b"no such page"),
            "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\
             Connection: close\r\n\r\nno such page"
        );
        assert_eq!(
            encode(299, &[], b""),
            "HTTP/1.1 299 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn an_offer_to_upgrade_is_named_in_connection() {
        let response = encode(426, &[("upgrade", "websocket")], b"");
        assert!(response.contains("\r\nConnection: Upgrade, close\r\n"), "{response}");
    }

    #[test]
    fn headers_that_frame_the_message_come_from_the_server_only() {
        let response =
            encode(200, &[("content-length", "7"), ("Transfer-Encoding", "chunked")], b"x");
        assert_eq!(response, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
        assert_eq!(check_header("CONNECTION", "close"), Err(HeaderError::Reserved));
    }

    #[test]
    fn statuses_without_content_have_neither_length_nor_body() {
        assert_eq!(encode(204, &[], b"x"), "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
    }

    #[test]
    fn the_answer_to_head_tells_the_length_alone() {
        let mut out = Vec::new();
        encode_response_head(&mut out, 200, std::iter::empty(), 5);
        assert_eq!(out, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
    }

    #[test]
    fn nothing_can_be_injected_by_a_header() {
        assert_eq!(check_header("Set-Cookie", "a=1; Path=/\t\u{e9}"), Ok(()));
        for name in ["", "a b", "a:", "a\r\nb", "é"] {
            assert_eq!(check_header(name, ""), Err(HeaderError::Name), "{name:?}");
        }
        for value in ["a\r\nb", "a\n", "\r", "\0", "\x7f"] {
            assert_eq!(check_header("a", value), Err(HeaderError::Value), "{value:?}");
        }
    }
}
