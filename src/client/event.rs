//! What happens to a client, and what it sends.

use std::fmt;
use std::time::Duration;

use async_tungstenite::tungstenite;

use crate::error::Error;
use crate::protocol::message::Message;

use super::queue::Weighed;

/// Something that happened to a client.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A connection is open: the first, or another one after a [`Disconnected`].
    Connected(Connected),
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// The answer to a [`Client::ping`](super::Client::ping).
    Pong(Vec<u8>),
    /// A connection has ended, or could not be made.
    Disconnected(Disconnected),
}

/// What the server answered to the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connected {
    /// The subprotocol that the server chose of those that were offered.
    pub subprotocol: Option<String>,
    /// The header fields of the answer, in their order.
    pub headers: Vec<(String, String)>,
}

/// How a connection ended, or why there was none.
#[derive(Debug)]
#[non_exhaustive]
pub struct Disconnected {
    /// Who or what ended it.
    pub cause: DisconnectCause,
    /// The code of the server's close frame: 1005 if the frame had none, 1006 if there was no frame (RFC 6455 §7.1.5).
    pub code: u16,
    /// The reason in the server's close frame.
    pub reason: String,
    /// When the next connection is tried; `None` if that was the last: nothing follows.
    pub retry_in: Option<Duration>,
}

/// Who or what ended a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum DisconnectCause {
    /// There was none: the name has no address, nobody listens, the server refused, or the time was over.
    NotConnected(Error),
    /// The server closed it.
    Server,
    /// [`Client::close`](super::Client::close), or the last clone of the client was dropped.
    Client,
    /// The server broke the protocol, or sent a message that is too large.
    Violation(String),
    /// Nothing came from the server for [`ClientConfig::pong_timeout`](super::ClientConfig::pong_timeout).
    PongTimeout,
    /// The server took nothing for [`ClientConfig::write_timeout`](super::ClientConfig::write_timeout).
    WriteTimeout,
    /// The server did not answer the close frame in [`ClientConfig::close_timeout`](super::ClientConfig::close_timeout).
    CloseTimeout,
    /// The stream ended without a close frame.
    EndOfStream,
    /// The stream failed.
    Lost(std::io::Error),
    /// The hook of [`ClientBuilder::on_connect`](super::ClientBuilder::on_connect), or the library itself, panicked. The
    /// client has ended.
    Panic(String),
}

impl fmt::Display for DisconnectCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DisconnectCause::NotConnected(e) => write!(f, "not connected: {e}"),
            DisconnectCause::Server => f.write_str("closed by the server"),
            DisconnectCause::Client => f.write_str("closed by the client"),
            DisconnectCause::Violation(what) => write!(f, "the server broke the protocol: {what}"),
            DisconnectCause::PongTimeout => f.write_str("nothing came from the server"),
            DisconnectCause::WriteTimeout => f.write_str("the server took nothing"),
            DisconnectCause::CloseTimeout => f.write_str("the server did not answer the close"),
            DisconnectCause::EndOfStream => f.write_str("the stream ended without a close"),
            DisconnectCause::Lost(e) => write!(f, "the connection failed: {e}"),
            DisconnectCause::Panic(what) => write!(f, "panicked: {what}"),
        }
    }
}

impl fmt::Display for Disconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        if !matches!(self.cause, DisconnectCause::NotConnected(_)) {
            write!(f, " ({}", self.code)?;
            if !self.reason.is_empty() {
                write!(f, " {:?}", self.reason)?;
            }
            f.write_str(")")?;
        }
        match self.retry_in {
            Some(delay) => write!(f, "; trying again in {delay:.1?}"),
            None => Ok(()),
        }
    }
}

impl Weighed for Event {
    fn bytes(&self) -> usize {
        match self {
            Event::Text(text) => text.len(),
            Event::Binary(bytes) | Event::Pong(bytes) => bytes.len(),
            Event::Connected(with) => {
                with.headers.iter().map(|(name, value)| name.len() + value.len()).sum()
            }
            Event::Disconnected(end) => end.reason.len(),
        }
    }
}

/// The first messages of a connection, gathered by the hook of
/// [`ClientBuilder::on_connect`](super::ClientBuilder::on_connect).
pub struct Greeting<'a> {
    pub(super) with: &'a Connected,
    pub(super) messages: Vec<Outgoing>,
}

impl Greeting<'_> {
    /// What the server answered.
    pub fn connected(&self) -> &Connected {
        self.with
    }

    /// Sends a message, which is copied, before all that waits.
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) {
        self.messages.push(Outgoing::message(message.into()));
    }
}

/// Something to send.
pub(super) enum Outgoing {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
}

impl Outgoing {
    pub(super) fn message(message: Message<'_>) -> Outgoing {
        match message {
            Message::Text(text) => Outgoing::Text(text.to_owned()),
            Message::Binary(bytes) => Outgoing::Binary(bytes.to_owned()),
        }
    }
}

impl Weighed for Outgoing {
    fn bytes(&self) -> usize {
        match self {
            Outgoing::Text(text) => text.len(),
            Outgoing::Binary(bytes) | Outgoing::Ping(bytes) => bytes.len(),
        }
    }
}

impl From<Outgoing> for tungstenite::Message {
    fn from(outgoing: Outgoing) -> tungstenite::Message {
        match outgoing {
            Outgoing::Text(text) => tungstenite::Message::Text(text.into()),
            Outgoing::Binary(bytes) => tungstenite::Message::Binary(bytes.into()),
            Outgoing::Ping(bytes) => tungstenite::Message::Ping(bytes.into()),
        }
    }
}
