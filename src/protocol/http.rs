//! Heads of HTTP/1 requests, as far as a WebSocket server needs them (RFC 9112).
//!
//! Stricter than the grammar demands where leniency helps nobody but an attacker: header folding, spaces
//! before a colon, bare CR, two hosts and unclear body lengths are all refused.

mod response;

use std::fmt;
use std::str;

use httparse::{EMPTY_HEADER, Header, Status};

pub(in crate::protocol) use response::encode_header;
pub use response::{
    HeaderError, check_header, encode_response, encode_response_head, is_token, reason_phrase,
};

/// Most header lines in a request; more is answered with 431.
///
/// Browsers send about 15. 64 keeps the parsed head at 2 KiB of stack.
pub const MAX_HEADERS: usize = 64;

/// Why a request can't be served, and the status that says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HttpError {
    /// Not an HTTP/1 request, or one that RFC 9112 forbids: 400.
    Malformed(&'static str),
    /// The request line alone exceeds the limit: 414 (RFC 9112 §3).
    TargetTooLong,
    /// The head exceeds the limit of bytes: 431.
    HeadTooLong,
    /// More than [`MAX_HEADERS`] header lines: 431.
    TooManyHeaders,
    /// HTTP, but neither 1.0 nor 1.1: 505.
    Version,
}

impl HttpError {
    /// The status code of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::TargetTooLong => 414,
            Self::HeadTooLong | Self::TooManyHeaders => 431,
            Self::Version => 505,
        }
    }

    /// What is wrong, in a few words.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(reason) => reason,
            Self::TargetTooLong => "request target too long",
            Self::HeadTooLong => "request head too long",
            Self::TooManyHeaders => "too many header lines",
            Self::Version => "HTTP version is neither 1.0 nor 1.1",
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for HttpError {}

/// The head of a request. Borrows from the bytes it was read from.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// The method, case-sensitive.
    pub method: &'a str,
    /// The request target as it was sent.
    pub target: &'a str,
    /// The minor version: 0 or 1.
    pub version: u8,
    /// Bytes of the head; what follows it begins at this index.
    pub len: usize,
    host: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
    has_body: bool,
    headers: [Header<'a>; MAX_HEADERS],
    header_count: usize,
}

impl<'a> Head<'a> {
    /// The target up to its query, not decoded. `/` when an absolute target has no path.
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// What follows the first `?` of the target, not decoded.
    pub fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// Host and port that the request is for: of an absolute target if there is one, else of the Host header
    /// (RFC 9112 §3.2.2). Only HTTP/1.0 requests may lack it.
    pub fn host(&self) -> Option<&'a str> {
        self.host
    }

    /// Whether a body follows the head (RFC 9112 §6).
    pub fn has_body(&self) -> bool {
        self.has_body
    }

    /// All headers in the order in which they came.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&'a str, &'a [u8])> + Clone {
        self.headers[..self.header_count].iter().map(|header| (header.name, header.value))
    }

    /// The values of every line with this name, in any case.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.headers()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The value of the first line with this name, in any case; `None` also when it is not UTF-8.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.all(name).next().and_then(|value| str::from_utf8(value).ok())
    }

    /// The elements of a comma-separated list that may be spread over several lines; empty elements are
    /// skipped (RFC 9110 §5.6.1). Does not know quoted strings.
    pub fn tokens(&self, name: &str) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.all(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|element| !element.is_empty())
    }

    /// Whether such a list names `token`, in any case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.tokens(name).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// Reads the head of a request at the start of `input`, which may end anywhere.
///
/// Returns `Ok(None)` when more bytes are needed. Never looks beyond the first `max_bytes`, so a caller may
/// stop reading there: with that many bytes the answer is final.
///
/// # Errors
///
/// The [`HttpError`] that the bytes at hand prove, even when the head is not complete yet: bytes that are no
/// HTTP at all, such as a TLS handshake, fail at once.
pub fn parse_head(input: &[u8], max_bytes: usize) -> Result<Option<Head<'_>>, HttpError> {
    let input = &input[..input.len().min(max_bytes)];
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let len = match request.parse(input) {
        Ok(Status::Complete(len)) => len,
        Ok(Status::Partial) if input.len() < max_bytes => return Ok(None),
        Ok(Status::Partial) => return Err(too_long(input)),
        Err(error) => return Err(classify(error, input)),
    };
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(HttpError::Malformed("incomplete request line"));
    };
    let header_count = request.headers.len();

    let parts =
        split_target(method, target).ok_or(HttpError::Malformed("invalid request target"))?;
    let mut head = Head {
        method,
        target,
        version,
        len,
        host: None,
        path: parts.path,
        query: parts.query,
        has_body: false,
        headers,
        header_count,
    };
    let host = find_host(&head)?;
    head.host = parts.authority.or(host);
    head.has_body = find_body(&head)?;
    Ok(Some(head))
}

/// Tells a request line without end from a head without end.
fn too_long(input: &[u8]) -> HttpError {
    let line = input.trim_ascii_start();
    if line.contains(&b'\n') {
        HttpError::HeadTooLong
    } else if line.contains(&b' ') {
        HttpError::TargetTooLong
    } else {
        HttpError::Malformed("not an HTTP request")
    }
}

fn classify(error: httparse::Error, input: &[u8]) -> HttpError {
    match error {
        httparse::Error::TooManyHeaders => HttpError::TooManyHeaders,
        httparse::Error::HeaderName => HttpError::Malformed("invalid header name"),
        httparse::Error::HeaderValue => HttpError::Malformed("invalid header value"),
        httparse::Error::NewLine => HttpError::Malformed("invalid line ending"),
        httparse::Error::Version => classify_version(input),
        httparse::Error::Token | httparse::Error::Status => {
            HttpError::Malformed("not an HTTP request")
        }
    }
}

/// Tells another version of HTTP from something else at the version's place.
///
/// httparse objects before the version is complete, so this must judge any prefix like the whole.
fn classify_version(input: &[u8]) -> HttpError {
    let mut words = input.trim_ascii_start().splitn(3, |&byte| byte == b' ');
    let known = match words.nth(2).and_then(|version| version.strip_prefix(b"HTTP/")) {
        Some([b'1', rest @ ..]) => matches!(rest, [b'.', b'0'..=b'9', ..]),
        Some([major, ..]) => major.is_ascii_digit(),
        _ => false,
    };
    if known { HttpError::Version } else { HttpError::Malformed("invalid HTTP version") }
}

struct Target<'a> {
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

/// Takes apart the four forms of RFC 9112 §3.2. A fragment is no part of any of them, and WebSocket URIs
/// exclude it once more (RFC 6455 §3).
fn split_target<'a>(method: &str, target: &'a str) -> Option<Target<'a>> {
    if !target.is_ascii() || target.contains('#') {
        return None;
    }
    let special = (method == "OPTIONS" && target == "*")
        || (method == "CONNECT" && is_valid_host(target.as_bytes()));
    if special {
        return Some(Target { authority: None, path: target, query: None });
    }
    let (authority, rest) = if target.starts_with('/') {
        (None, target)
    } else {
        let (scheme, rest) = target.split_once("://")?;
        let known = ["http", "https", "ws", "wss"];
        if !known.iter().any(|name| scheme.eq_ignore_ascii_case(name)) {
            return None;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if !is_valid_host(authority.as_bytes()) {
            return None;
        }
        (Some(authority), rest)
    };
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    Some(Target { authority, path: if path.is_empty() { "/" } else { path }, query })
}

/// Exactly one valid Host on HTTP/1.1, at most one on HTTP/1.0 (RFC 9112 §3.2).
fn find_host<'a>(head: &Head<'a>) -> Result<Option<&'a str>, HttpError> {
    let mut hosts = head.all("Host");
    match (hosts.next(), hosts.next()) {
        (None, _) if head.version == 0 => Ok(None),
        (None, _) => Err(HttpError::Malformed("Host header missing")),
        (Some(host), None) if is_valid_host(host) => Ok(str::from_utf8(host).ok()),
        (Some(_), None) => Err(HttpError::Malformed("invalid Host header")),
        (Some(_), Some(_)) => Err(HttpError::Malformed("more than one Host header")),
    }
}

/// `uri-host [":" port]` of RFC 3986 §3.2, not empty (RFC 9110 §4.2.1).
fn is_valid_host(host: &[u8]) -> bool {
    let is_port = |port: &[u8]| match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if let [b'[', rest @ ..] = host {
        let Some(end) = rest.iter().position(|&byte| byte == b']') else {
            return false;
        };
        let is_address = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
        return end > 0 && rest[..end].iter().all(is_address) && is_port(&rest[end + 1..]);
    }
    let end = host.iter().position(|&byte| byte == b':').unwrap_or(host.len());
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(byte);
    end > 0 && host[..end].iter().all(is_name) && is_port(&host[end..])
}

/// Whether a body follows. Lengths that two parties could read differently are refused (RFC 9112 §6.3).
fn find_body(head: &Head<'_>) -> Result<bool, HttpError> {
    let chunked = head.all("Transfer-Encoding").next().is_some();
    let mut lengths = head.all("Content-Length");
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(HttpError::Malformed("more than one Content-Length header"));
    }
    if chunked && (length.is_some() || head.version == 0) {
        return Err(HttpError::Malformed("Transfer-Encoding with Content-Length or HTTP/1.0"));
    }
    match length {
        None => Ok(chunked),
        Some(digits) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            Ok(digits.iter().any(|&digit| digit != b'0'))
        }
        Some(_) => Err(HttpError::Malformed("invalid Content-Length header")),
    }
}

#[cfg(test)]
mod tests;
