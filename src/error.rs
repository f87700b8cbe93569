//! Why a call failed.
//!
//! A peer that leaves, in whatever way, is not an error: that is an event ([`Handler::on_close`](crate::Handler::on_close)).

use std::fmt;
use std::io;

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
