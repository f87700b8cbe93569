//! A message that owns its bytes: what is kept beyond the read that brought it.

use super::message::Message;

/// A whole message with memory of its own, as [`Message`] is one that borrows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageBuf {
    /// UTF-8 text (RFC 6455 §5.6, opcode 1).
    Text(String),
    /// Bytes (RFC 6455 §5.6, opcode 2).
    Binary(Vec<u8>),
}

impl MessageBuf {
    /// The same message, borrowed.
    pub fn as_message(&self) -> Message<'_> {
        match self {
            MessageBuf::Text(text) => Message::Text(text),
            MessageBuf::Binary(bytes) => Message::Binary(bytes),
        }
    }

    /// The bytes, whichever kind it is.
    pub fn payload(&self) -> &[u8] {
        self.as_message().payload()
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            MessageBuf::Text(text) => Some(text),
            MessageBuf::Binary(_) => None,
        }
    }
}

impl<'a> From<&'a MessageBuf> for Message<'a> {
    fn from(message: &'a MessageBuf) -> Self {
        message.as_message()
    }
}

impl From<Message<'_>> for MessageBuf {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => MessageBuf::Text(text.to_owned()),
            Message::Binary(bytes) => MessageBuf::Binary(bytes.to_vec()),
        }
    }
}

impl From<String> for MessageBuf {
    fn from(text: String) -> Self {
        MessageBuf::Text(text)
    }
}

impl From<&str> for MessageBuf {
    fn from(text: &str) -> Self {
        MessageBuf::Text(text.to_owned())
    }
}

impl From<Vec<u8>> for MessageBuf {
    fn from(bytes: Vec<u8>) -> Self {
        MessageBuf::Binary(bytes)
    }
}

impl From<&[u8]> for MessageBuf {
    fn from(bytes: &[u8]) -> Self {
        MessageBuf::Binary(bytes.to_vec())
    }
}
