//! What a client asks for, and what it is told: the HTTP side of a connection (RFC 6455 §4).

use std::borrow::Cow;

use crate::connection::peer::{PeerAddr, Peers};
use crate::error::{Error, Result};
use crate::protocol::handshake::{self, Key};
use crate::protocol::http::{self, Head};

/// A request, as long as its handler runs.
#[derive(Debug)]
pub struct Request<'a> {
    pub(crate) head: Head<'a>,
    pub(crate) peers: Peers,
}

impl<'a> Request<'a> {
    /// The method: `GET` for every upgrade.
    pub fn method(&self) -> &'a str {
        self.head.method
    }

    /// The target's path, as sent (not percent-decoded). Never empty.
    pub fn path(&self) -> &'a str {
        self.head.path()
    }

    /// The target's query without its `?`, as sent.
    pub fn query(&self) -> Option<&'a str> {
        self.head.query()
    }

    /// The first header of this name, in any case; `None` also where its value is not UTF-8.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.head.get(name)
    }

    /// All headers, in the order in which they came.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.head.headers()
    }

    /// Host and port that the request was made to.
    pub fn host(&self) -> Option<&'a str> {
        self.head.host()
    }

    /// The page that asks (RFC 6455 §10.2); `None` where no browser does.
    pub fn origin(&self) -> Option<&'a str> {
        handshake::origin(&self.head).ok().flatten()
    }

    /// The subprotocols offered, most wanted first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a str> {
        handshake::offered_subprotocols(&self.head).into_iter().flatten()
    }

    /// Who asks: the address at the other end of the connection, or the one that a
    /// [trusted proxy](crate::Config::trusted_proxies) names.
    pub fn peer_addr(&self) -> PeerAddr {
        self.peers.client
    }

    /// The address at the other end of the socket: the proxy's, if the request came through one.
    pub fn socket_peer_addr(&self) -> PeerAddr {
        self.peers.socket
    }
}

/// An HTTP response. `Content-Length` and `Connection: close` are added; the connection ends with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    status: u16,
    headers: Headers,
    body: Cow<'static, [u8]>,
}

type Headers = Vec<(Cow<'static, str>, Cow<'static, str>)>;

impl Response {
    /// A response without headers and body.
    pub fn new(status: u16) -> Response {
        Response { status, headers: Vec::new(), body: Cow::Borrowed(&[]) }
    }

    /// What a request without an upgrade gets from a server that has nothing else to say: 426 (RFC 9110 §15.5.22).
    pub fn upgrade_required() -> Response {
        let refusal = handshake::Refusal::UPGRADE_REQUIRED;
        Response::refusal(refusal.status, refusal.headers, refusal.reason)
    }

    /// A refusal with a line of plain text.
    pub(crate) fn refusal(
        status: u16,
        headers: &'static [(&'static str, &'static str)],
        reason: &str,
    ) -> Response {
        let response = Response::new(status)
            .header("Content-Type", "text/plain; charset=utf-8")
            .body(format!("{reason}\n").into_bytes());
        headers.iter().fold(response, |response, &(name, value)| response.header(name, value))
    }

    /// Adds a header.
    pub fn header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Response {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Cow<'static, [u8]>>) -> Response {
        self.body = body.into();
        self
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Appends the response, or an error that says which header cannot be sent.
    pub(crate) fn encode(&self, out: &mut Vec<u8>, method: &str) -> Result<()> {
        if !(200..=599).contains(&self.status) {
            return Err(Error::argument("status", self.status, "must be 200 to 599"));
        }
        check(&self.headers, http::check_header)?;
        if method == "HEAD" {
            http::encode_response_head(out, self.status, pairs(&self.headers), self.body.len());
        } else {
            http::encode_response(out, self.status, pairs(&self.headers), &self.body);
        }
        Ok(())
    }
}

/// The answer to an upgrade request: what [`on_upgrade`](crate::Handler::on_upgrade) returns.
#[derive(Debug, Clone)]
pub struct Upgrade(pub(crate) Decision);

#[derive(Debug, Clone)]
pub(crate) enum Decision {
    Accept(Accept),
    Reject(Response),
    Later,
}

/// How an upgrade is accepted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accept {
    pub(crate) subprotocol: Option<String>,
    headers: Headers,
    pub(crate) data: u64,
}

impl Upgrade {
    /// Opens the connection. Without [`subprotocol`](Self::subprotocol), the first of
    /// [`Config::subprotocols`](crate::Config::subprotocols) that the client offers is chosen.
    pub fn accept() -> Upgrade {
        Upgrade(Decision::Accept(Accept::default()))
    }

    /// Answers with this response and ends the connection.
    pub fn reject(response: Response) -> Upgrade {
        Upgrade(Decision::Reject(response))
    }

    /// Decides later: [`ServerHandle::accept`](crate::ServerHandle::accept) gives the answer, from any thread, until
    /// the handshake timeout.
    pub fn later() -> Upgrade {
        Upgrade(Decision::Later)
    }

    /// Chooses a subprotocol. The client must have offered it; if it has not, the upgrade fails with 500 and is
    /// logged, since RFC 6455 §4.1 makes the client drop such a connection.
    pub fn subprotocol(mut self, name: impl Into<String>) -> Upgrade {
        if let Decision::Accept(accept) = &mut self.0 {
            accept.subprotocol = Some(name.into());
        }
        self
    }

    /// Adds a header to the 101 response, such as `Set-Cookie`.
    pub fn header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Upgrade {
        if let Decision::Accept(accept) = &mut self.0 {
            accept.headers.push((name.into(), value.into()));
        }
        self
    }

    /// Sets the connection's word of data ([`Conn::data`](crate::Conn::data)).
    pub fn data(mut self, data: u64) -> Upgrade {
        if let Decision::Accept(accept) = &mut self.0 {
            accept.data = data;
        }
        self
    }
}

impl Accept {
    /// Appends the 101 response, or an error that says which header cannot be sent.
    pub(crate) fn encode(
        &self,
        out: &mut Vec<u8>,
        key: &Key,
        subprotocol: Option<&str>,
    ) -> Result<()> {
        check(&self.headers, handshake::check_accept_header)?;
        handshake::encode_accept(out, key, subprotocol, pairs(&self.headers));
        Ok(())
    }
}

fn check(
    headers: &Headers,
    check: fn(&str, &str) -> std::result::Result<(), http::HeaderError>,
) -> Result<()> {
    for (name, value) in headers {
        check(name, value)
            .map_err(|e| Error::argument("header", format!("{name}: {value}"), e.to_string()))?;
    }
    Ok(())
}

fn pairs(headers: &Headers) -> impl Iterator<Item = (&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
}
