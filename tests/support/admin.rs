//! HTTP as those ask who run the server.

use std::net::SocketAddr;

use serde_json::Value;

use super::Wire;
use super::wire::Answer;

/// An admin listener, and with which header lines it is asked.
pub struct Admin {
    pub addr: SocketAddr,
    /// Each ends with CRLF.
    pub headers: String,
}

impl Admin {
    pub fn at(addr: SocketAddr) -> Admin {
        Admin { addr, headers: String::new() }
    }

    pub fn with_token(addr: SocketAddr, token: &str) -> Admin {
        Admin { addr, headers: format!("Authorization: Bearer {token}\r\n") }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "")
    }

    /// The JSON that `GET` answers with 200.
    pub fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", text(&answer));
        json(&answer)
    }

    /// Posts a body; `kind` is its type, or empty for none.
    pub fn post(&self, path: &str, kind: &str, body: &str) -> Answer {
        let kind =
            if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        self.ask("POST", path, &kind, body)
    }

    pub fn ask(&self, method: &str, path: &str, more: &str, body: &str) -> Answer {
        let mut wire = Wire::connect(self.addr);
        wire.send(self.request(method, path, more, body));
        wire.answer()
    }

    /// The bytes of a request.
    pub fn request(&self, method: &str, path: &str, more: &str, body: &str) -> String {
        let length = match method {
            "GET" | "HEAD" | "DELETE" if body.is_empty() => String::new(),
            _ => format!("Content-Length: {}\r\n", body.len()),
        };
        let (addr, headers) = (self.addr, &self.headers);
        format!("{method} {path} HTTP/1.1\r\nHost: {addr}\r\n{headers}{more}{length}\r\n{body}")
    }
}

pub fn text(answer: &Answer) -> &str {
    std::str::from_utf8(&answer.body).expect("UTF-8")
}

pub fn json(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", text(answer));
    serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("{e}: {}", text(answer)))
}
