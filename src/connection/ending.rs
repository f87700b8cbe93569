//! How a connection ended, and what was lost on the way.

use std::io;
use std::sync::Arc;

use crate::protocol::close;

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

/// How a connection ended, kept: what an async [`Connection`](crate::Connection) gives when no message comes any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    sent: Option<u16>,
    received: Received,
    cause: CloseCause,
    reason: Arc<str>,
}

impl Ended {
    /// Without a close frame, for this cause.
    pub(crate) fn cut(cause: CloseCause) -> Ended {
        Ended { sent: None, received: Received::Nothing, cause, reason: Arc::from("") }
    }

    /// The same as a handler is told it.
    pub fn as_close(&self) -> Close<'_> {
        let Ended { sent, received, cause, reason } = self;
        Close { sent: *sent, received: *received, reason, cause: *cause }
    }

    /// [`Close::code`].
    pub fn code(&self) -> u16 {
        self.as_close().code()
    }

    /// [`Close::cause`].
    pub fn cause(&self) -> CloseCause {
        self.cause
    }

    /// [`Close::reason`].
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl From<&Close<'_>> for Ended {
    fn from(close: &Close<'_>) -> Ended {
        let Close { sent, received, cause, reason } = *close;
        Ended { sent, received, cause, reason: Arc::from(reason) }
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
