//! What a host is told, and by which names.

use std::io;

use crate::connection::id::ConnId;
use crate::connection::request::{Request, Response, Upgrade};
use crate::protocol::close;
use crate::protocol::message::{Fragment, Message};

use super::conn::Conn;

/// What a server does with its connections.
///
/// Every method is called on the thread of the shard that owns the connection, so calls for one connection come one
/// after the other, calls for two may come at once. A method that blocks holds up every connection of its shard. A
/// method that panics costs its connection (closed with 1011), not the server.
///
/// Whatever a method does to other connections, it causes no call before it returns: calls are queued, never nested.
pub trait Handler: Send + Sync + 'static {
    /// A client asks for a WebSocket connection. Origin and handshake have been checked.
    ///
    /// The id is that of the connection to be; it can be kept for [`Upgrade::later`].
    fn on_upgrade(&self, conn: ConnId, request: &Request<'_>) -> Upgrade {
        let _ = (conn, request);
        Upgrade::accept()
    }

    /// A client asks for something else. The default answer is 426.
    fn on_request(&self, request: &Request<'_>) -> Response {
        let _ = request;
        Response::upgrade_required()
    }

    /// The connection is open. Always the first call for it.
    fn on_open(&self, conn: &mut Conn<'_>) {
        let _ = conn;
    }

    /// A message came. It lies in the shard's read buffer and is gone when this returns.
    fn on_message(&self, conn: &mut Conn<'_>, message: Message<'_>) {
        let _ = (conn, message);
    }

    /// A piece of a message came; only with [`Config::stream_fragments`](crate::Config::stream_fragments). Messages
    /// that come in one piece go to [`on_message`](Self::on_message) all the same.
    fn on_fragment(&self, conn: &mut Conn<'_>, fragment: Fragment<'_>) {
        let _ = (conn, fragment);
    }

    /// A pong came, asked for or not. Pings are answered without a call.
    fn on_pong(&self, conn: &mut Conn<'_>, payload: &[u8]) {
        let _ = (conn, payload);
    }

    /// The outbox, for whose fullness a message was refused or reading paused, is below half its bound again.
    fn on_drain(&self, conn: &mut Conn<'_>) {
        let _ = conn;
    }

    /// Messages that had been taken for the connection were dropped.
    fn on_dropped(&self, conn: ConnId, dropped: Dropped) {
        let _ = (conn, dropped);
    }

    /// The connection has ended. Always the last call for it; only its id, data and addresses are still there.
    fn on_close(&self, conn: &mut Conn<'_>, close: &Close<'_>) {
        let _ = (conn, close);
    }
}

/// Messages that were dropped, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// How many.
    pub messages: usize,
    /// Why.
    pub reason: DropReason,
}

/// Why messages were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DropReason {
    /// The outbox was full and the policy is to drop the new message.
    NewRefused,
    /// The outbox was full and the policy is to drop the oldest messages.
    OldReplaced,
    /// The outbox was full and the policy is to close the connection.
    SlowConsumer,
    /// The connection ended after the call that sent the message and before its shard took it.
    Gone,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy)]
pub struct Close<'a> {
    pub(crate) sent: Option<u16>,
    pub(crate) received: Received,
    pub(crate) reason: &'a str,
    pub(crate) cause: CloseCause,
}

/// What the peer's close frame said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// There was none.
    Nothing,
    /// It was empty.
    NoCode,
    Code(u16),
}

impl<'a> Close<'a> {
    /// *The WebSocket connection close code* (RFC 6455 §7.1.5): that of the peer's close frame, 1005 if the frame had
    /// none, 1006 if no frame came.
    pub fn code(&self) -> u16 {
        match self.received {
            Received::Nothing => close::ABNORMAL,
            Received::NoCode => close::NO_STATUS,
            Received::Code(code) => code,
        }
    }

    /// The code of the close frame that we sent, if we sent one with a code.
    pub fn sent(&self) -> Option<u16> {
        self.sent
    }

    /// The code of the close frame that the peer sent, if it sent one with a code.
    pub fn received(&self) -> Option<u16> {
        match self.received {
            Received::Code(code) => Some(code),
            _ => None,
        }
    }

    /// The reason in the peer's close frame, or the one in ours if the peer sent none. May be empty.
    pub fn reason(&self) -> &'a str {
        self.reason
    }

    /// Whether both sides sent a close frame (RFC 6455 §7.1.4).
    pub fn was_clean(&self) -> bool {
        self.received != Received::Nothing
    }

    /// Who or what ended it.
    pub fn cause(&self) -> CloseCause {
        self.cause
    }
}

/// Who or what ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseCause {
    /// The peer closed.
    Peer,
    /// The host closed, and the peer answered or ran into [`CloseCause::CloseTimeout`].
    Host,
    /// The peer broke the protocol; the code sent says how, the reason in which words.
    Violation,
    /// The peer took too little of what was pushed to it.
    SlowConsumer,
    /// A handler panicked.
    Panic,
    /// The server is shutting down.
    ShutDown,
    /// Nothing came from the peer for [`Config::pong_timeout`](crate::Config::pong_timeout).
    PongTimeout,
    /// No message went either way for [`Config::idle_timeout`](crate::Config::idle_timeout).
    IdleTimeout,
    /// The peer took nothing for [`Config::write_timeout`](crate::Config::write_timeout).
    WriteTimeout,
    /// The peer did not answer our close frame within [`Config::close_timeout`](crate::Config::close_timeout).
    CloseTimeout,
    /// The stream ended without a close frame.
    EndOfStream,
    /// The stream failed.
    Lost(io::ErrorKind),
}
