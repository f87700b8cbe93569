//! The client's side of the opening handshake (RFC 6455 §4.1).
//!
//! Not tungstenite's, which gives away the rest of a refusal, takes extensions that nobody offered, and refuses servers
//! that choose no subprotocol.

use std::io;
use std::str;
use std::time::Duration;

use async_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::{Timer, future};

use crate::error::{BadHandshake, Error, Refused, Result};

use super::address::Address;
use super::config::ClientConfig;
use super::event::Connected;
use super::stream::Transport;

/// Longest head of an answer: as long as the longest request that a server takes.
const MAX_HEAD: usize = 64 * 1024;
/// Header fields of an answer.
const MAX_FIELDS: usize = 100;
/// How much of a refusal's body is kept for the error.
const MAX_BODY: usize = 1024;
/// How long the body of a refusal is waited for: the status is known, the rest is for people.
const BODY_GRACE: Duration = Duration::from_millis(500);

/// An answer that let us in, and the bytes that came after it.
pub(super) struct Opened {
    pub(super) connected: Connected,
    pub(super) rest: Vec<u8>,
}

/// Sends the request and reads the answer. Ends when the stream does; the caller holds the time limit.
pub(super) async fn shake_hands(
    stream: &mut dyn Transport,
    address: &Address,
    config: &ClientConfig,
) -> Result<Opened> {
    let failed = |e| Error::io(format!("the handshake with {}", address.url), e);
    let key = generate_key();
    stream.write_all(request(address, config, &key).as_bytes()).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).await.map_err(failed)?;
        if read == 0 {
            let end = io::Error::new(io::ErrorKind::UnexpectedEof, "the server hung up");
            return Err(failed(end));
        }
        bytes.extend_from_slice(&chunk[..read]);
        let Some(answer) = parse(&bytes).map_err(|reason| bad(address, reason))? else {
            if bytes.len() > MAX_HEAD {
                return Err(bad(address, format!("its head is longer than {MAX_HEAD} bytes")));
            }
            continue;
        };
        let rest = bytes.split_off(answer.len);
        if answer.status != 101 {
            return Err(refused(stream, address, answer, rest).await);
        }
        let connected = check(answer, config, &key).map_err(|reason| bad(address, reason))?;
        return Ok(Opened { connected, rest });
    }
}

fn request(address: &Address, config: &ClientConfig, key: &str) -> String {
    let is_host = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("host");
    let host = config.headers.iter().find(is_host).map_or(&address.host, |(_, value)| value);
    let mut request = format!(
        "GET {} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n",
        address.target
    );
    let mut field = |name: &str, value: &str| {
        request.extend([name, ": ", value, "\r\n"]);
    };
    if let Some(origin) = &config.origin {
        field("Origin", origin);
    }
    if !config.subprotocols.is_empty() {
        field("Sec-WebSocket-Protocol", &config.subprotocols.join(", "));
    }
    for (name, value) in config.headers.iter().filter(|header| !is_host(header)) {
        field(name, value);
    }
    request.push_str("\r\n");
    request
}

/// The head of an answer.
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    /// Bytes of the head.
    len: usize,
}

impl Answer {
    /// The values of all fields of this name.
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Whether a list of tokens (RFC 9110 §5.6.1) holds one, in any case.
    fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(','))
            .any(|t| t.trim().eq_ignore_ascii_case(token))
    }
}

/// Reads a head that may not be complete.
fn parse(bytes: &[u8]) -> std::result::Result<Option<Answer>, String> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let len = match response.parse(bytes).map_err(|e| format!("it is no HTTP: {e}"))? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(len) => len,
    };
    if response.version != Some(1) {
        return Err("it is not HTTP/1.1".to_owned());
    }
    let headers = response
        .headers
        .iter()
        .map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned()));
    Ok(Some(Answer { status: response.code.unwrap_or(0), headers: headers.collect(), len }))
}

/// Checks what §4.1 asks of a server that answers 101.
fn check(
    answer: Answer,
    config: &ClientConfig,
    key: &str,
) -> std::result::Result<Connected, String> {
    if !answer.has_token("upgrade", "websocket") {
        return Err("no field Upgrade: websocket".to_owned());
    }
    if !answer.has_token("connection", "upgrade") {
        return Err("no field Connection: Upgrade".to_owned());
    }
    let accept = derive_accept_key(key.as_bytes());
    if !answer.all("sec-websocket-accept").eq([accept.as_str()]) {
        return Err("Sec-WebSocket-Accept is not what the key asks for".to_owned());
    }
    if let Some(extensions) = answer.all("sec-websocket-extensions").next() {
        return Err(format!("it uses extensions that nobody offered: {extensions}"));
    }
    let mut chosen = answer.all("sec-websocket-protocol");
    let subprotocol = chosen.next().map(str::to_owned);
    if chosen.next().is_some() {
        return Err("it chose more than one subprotocol".to_owned());
    }
    drop(chosen);
    if let Some(name) = &subprotocol
        && !config.subprotocols.contains(name)
    {
        return Err(format!("it chose the subprotocol {name:?}, which nobody offered"));
    }
    Ok(Connected { subprotocol, headers: answer.headers })
}

fn bad(address: &Address, reason: String) -> Error {
    Error::BadHandshake(Box::new(BadHandshake { url: address.url.clone(), reason }))
}

/// Reads the beginning of the body and makes an error of it all.
async fn refused(
    stream: &mut dyn Transport,
    address: &Address,
    answer: Answer,
    mut body: Vec<u8>,
) -> Error {
    let length = answer.all("content-length").next().and_then(|text| text.parse().ok());
    let wanted = length.unwrap_or(MAX_BODY).min(MAX_BODY);
    let read = async {
        let mut chunk = [0; MAX_BODY];
        while body.len() < wanted {
            match stream.read(&mut chunk).await {
                Ok(0) | Err(_) => break,
                Ok(read) => body.extend_from_slice(&chunk[..read]),
            }
        }
    };
    let grace = async {
        Timer::after(BODY_GRACE).await;
    };
    future::or(read, grace).await;
    body.truncate(wanted);
    Error::Refused(Box::new(Refused {
        url: address.url.clone(),
        status: answer.status,
        headers: answer.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    }))
}
