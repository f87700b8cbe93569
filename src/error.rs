//! Why a call failed.
//!
//! A peer that leaves, in whatever way, is not an error: that is an event ([`Handler::on_close`](crate::Handler::on_close)).

use std::fmt;
use std::io;
use std::time::Duration;

/// The result of a fallible call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed. Whenever a call returns one of these, it has changed nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// No open connection has this id: it never had, or the connection has ended.
    Gone,
    /// A bounded queue (a shard's mailbox, a connection's outbox) has no room. Nothing was queued; try again later.
    Backpressure,
    /// The server is draining or has stopped, and takes nothing more.
    ShutDown,
    /// A setting has a value that it cannot have.
    InvalidSetting(Box<InvalidSetting>),
    /// An argument of a call has a value that it cannot have.
    InvalidArgument(Box<InvalidSetting>),
    /// The operating system refused, at `doing` (such as `listening on 127.0.0.1:80`).
    Io(Box<IoContext>),
    /// Something took longer than it may.
    TimedOut(Box<TimedOut>),
    /// A server answered a client's handshake with something else than 101.
    Refused(Box<Refused>),
    /// A server's answer to a client's handshake is not one of RFC 6455.
    BadHandshake(Box<BadHandshake>),
}

/// Which field was wrong, what it held, and what it may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSetting {
    /// The setting's or argument's name, as in [`Config::SETTINGS`](crate::Config::SETTINGS).
    pub field: &'static str,
    /// The value as it was given.
    pub value: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What was being done when the operating system refused.
#[derive(Debug)]
pub struct IoContext {
    /// What was being done.
    pub doing: String,
    /// What the system said.
    pub source: io::Error,
}

/// What took longer than it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedOut {
    /// What was being done (`connecting to 127.0.0.1:80`).
    pub doing: String,
    /// How long it may take.
    pub limit: Duration,
}

/// What a server answered instead of letting a client in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What was asked for.
    pub url: String,
    /// The status, such as 403.
    pub status: u16,
    /// The header fields, in their order.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body, at most 1 KiB; what is not UTF-8 is replaced.
    pub body: String,
}

/// What is wrong with a server's answer to the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadHandshake {
    /// What was asked for.
    pub url: String,
    /// What is wrong.
    pub reason: String,
}

impl Error {
    /// A setting that holds what it cannot hold.
    pub(crate) fn setting(
        field: &'static str,
        value: impl fmt::Display,
        reason: impl Into<String>,
    ) -> Error {
        Error::InvalidSetting(invalid(field, value, reason))
    }

    /// An argument that holds what it cannot hold.
    pub(crate) fn argument(
        field: &'static str,
        value: impl fmt::Display,
        reason: impl Into<String>,
    ) -> Error {
        Error::InvalidArgument(invalid(field, value, reason))
    }

    /// What the system said while `doing` something.
    pub(crate) fn io(doing: impl Into<String>, source: io::Error) -> Error {
        Error::Io(Box::new(IoContext { doing: doing.into(), source }))
    }
}

#[cfg(feature = "client")]
impl TimedOut {
    /// The error that `doing` something took longer than `limit`.
    pub(crate) fn error(doing: impl Into<String>, limit: Duration) -> Error {
        Error::TimedOut(Box::new(TimedOut { doing: doing.into(), limit }))
    }
}

fn invalid(
    field: &'static str,
    value: impl fmt::Display,
    reason: impl Into<String>,
) -> Box<InvalidSetting> {
    Box::new(InvalidSetting { field, value: value.to_string(), reason: reason.into() })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Gone => f.write_str("the connection is gone"),
            Error::Backpressure => f.write_str("the queue is full"),
            Error::ShutDown => f.write_str("the server is shut down"),
            Error::InvalidSetting(e) | Error::InvalidArgument(e) => {
                write!(f, "{} is {:?}: {}", e.field, e.value, e.reason)
            }
            Error::Io(e) => write!(f, "{}: {}", e.doing, e.source),
            Error::TimedOut(e) => write!(f, "{}: not done after {:?}", e.doing, e.limit),
            Error::Refused(e) => {
                write!(f, "{} answered {}", e.url, e.status)?;
                match e.body.lines().next() {
                    Some(line) if !line.is_empty() => write!(f, ": {line}"),
                    _ => Ok(()),
                }
            }
            Error::BadHandshake(e) => write!(f, "{} answered wrongly: {}", e.url, e.reason),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io(e) => Some(&e.source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_two_words_at_most() {
        assert!(size_of::<Error>() <= 2 * size_of::<usize>());
    }

    #[test]
    fn a_bad_setting_names_field_value_and_reason() {
        let error = Error::setting("shards", -1, "must be 0 to 1024");
        assert_eq!(error.to_string(), r#"shards is "-1": must be 0 to 1024"#);
    }
}
