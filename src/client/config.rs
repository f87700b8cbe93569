//! What a client can be told.

use std::time::Duration;

use async_tungstenite::tungstenite::http::{HeaderName, HeaderValue};

use crate::config::{
    DEFAULT_CLOSE_TIMEOUT, DEFAULT_HANDSHAKE_TIMEOUT, DEFAULT_PING_INTERVAL, DEFAULT_PONG_TIMEOUT,
    DEFAULT_WRITE_TIMEOUT, LARGEST_MESSAGE_SIZE,
};
use crate::error::{Error, Result};

/// The largest message taken. More than servers push in one piece, and what one hostile server can make us keep.
pub const DEFAULT_MAX_MESSAGE_SIZE: usize = 1024 * 1024;
/// What may wait to be sent: as much as a server keeps for one connection by default.
pub const DEFAULT_MAX_OUTBOX_BYTES: usize = 1024 * 1024;
/// What may wait to be received: some of the largest messages.
pub const DEFAULT_MAX_INBOX_BYTES: usize = 4 * 1024 * 1024;
/// Long enough that a server that restarts is not met by all its clients at once.
pub const DEFAULT_LEAST_DELAY: Duration = Duration::from_millis(500);
/// Short enough that a server that is back has its clients back within the minute.
pub const DEFAULT_MOST_DELAY: Duration = Duration::from_secs(30);
/// A connection that lasted this long was a good one.
pub const DEFAULT_STABLE_AFTER: Duration = Duration::from_secs(10);
/// Header fields that the handshake itself sends.
const OURS: [&str; 5] = [
    "connection",
    "upgrade",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-extensions",
];

/// Everything a client can be told. [`ClientConfig::default`] is meant for use. Checked when a client starts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// More header fields of the request, names and values. `Host` may be among them; those of the handshake may not.
    pub headers: Vec<(String, String)>,
    /// Subprotocols that are offered, most wanted first (RFC 6455 §1.9). The server need not choose one.
    pub subprotocols: Vec<String>,
    /// The page that the client speaks for (RFC 6455 §10.2): programs that are no browsers mostly have none.
    pub origin: Option<String>,
    /// From the name to the end of the handshake. Zero: no limit.
    pub connect_timeout: Duration,
    /// A connection of which the server takes no byte for this long is cut. Zero: no limit.
    pub write_timeout: Duration,
    /// How long the server has to answer our close frame, and then to close the stream.
    pub close_timeout: Duration,
    /// A ping is sent when nothing came from the server for this long, and again after as long. Zero: never.
    pub ping_interval: Duration,
    /// A connection on which nothing came from the server for this long is dead; longer than
    /// [`ping_interval`](Self::ping_interval). Zero: no limit.
    pub pong_timeout: Duration,
    /// Largest message in bytes, fragments added up. A larger one ends the connection with 1009.
    pub max_message_size: usize,
    /// Bytes that may wait to be sent; then sending waits. No message may be larger.
    pub max_outbox_bytes: usize,
    /// Bytes that may wait to be received; then reading stops. One message may exceed it.
    pub max_inbox_bytes: usize,
    /// Whether and how connections are made anew.
    pub reconnect: Option<Reconnect>,
}

/// How connections are made anew: after delays that grow and are drawn by lot, so that clients that were lost together do
/// not return together (decorrelated jitter: each delay is drawn between the least and three times the last one).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconnect {
    /// The shortest delay; the first is at most three times as long.
    pub least_delay: Duration,
    /// The longest delay.
    pub most_delay: Duration,
    /// After a connection that lasted this long, delays begin anew.
    pub stable_after: Duration,
    /// Tries without a connection that lasted, after which the client ends. 0: no limit.
    pub max_attempts: u32,
}

impl Default for Reconnect {
    fn default() -> Reconnect {
        Reconnect {
            least_delay: DEFAULT_LEAST_DELAY,
            most_delay: DEFAULT_MOST_DELAY,
            stable_after: DEFAULT_STABLE_AFTER,
            max_attempts: 0,
        }
    }
}

impl Reconnect {
    /// The same with these bounds of the delays.
    pub fn delays(self, least: Duration, most: Duration) -> Reconnect {
        Reconnect { least_delay: least, most_delay: most, ..self }
    }

    /// The same, where a connection is a good one after this time.
    pub fn stable_after(self, stable_after: Duration) -> Reconnect {
        Reconnect { stable_after, ..self }
    }

    /// The same with a bound of the tries; 0 for none.
    pub fn max_attempts(self, max_attempts: u32) -> Reconnect {
        Reconnect { max_attempts, ..self }
    }
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig {
            headers: Vec::new(),
            subprotocols: Vec::new(),
            origin: None,
            connect_timeout: DEFAULT_HANDSHAKE_TIMEOUT,
            write_timeout: DEFAULT_WRITE_TIMEOUT,
            close_timeout: DEFAULT_CLOSE_TIMEOUT,
            ping_interval: DEFAULT_PING_INTERVAL,
            pong_timeout: DEFAULT_PONG_TIMEOUT,
            max_message_size: DEFAULT_MAX_MESSAGE_SIZE,
            max_outbox_bytes: DEFAULT_MAX_OUTBOX_BYTES,
            max_inbox_bytes: DEFAULT_MAX_INBOX_BYTES,
            reconnect: None,
        }
    }
}

impl ClientConfig {
    /// Checks each setting by itself and against the others.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSetting`] names the first setting that cannot be and its value.
    pub fn validate(&self) -> Result<()> {
        for (name, value) in &self.headers {
            header("headers", name, value)?;
            if OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
                return Err(Error::setting("headers", name, "the handshake sends this itself"));
            }
            for (field, its) in [("subprotocols", "sec-websocket-protocol"), ("origin", "origin")] {
                if name.eq_ignore_ascii_case(its) {
                    let reason = format!("must be set by the setting {field}");
                    return Err(Error::setting("headers", name, reason));
                }
            }
        }
        for name in &self.subprotocols {
            // A field's name is a token (RFC 9110 §5.1), and so is a subprotocol's.
            HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| Error::setting("subprotocols", name, "must be a token"))?;
        }
        if let Some(origin) = &self.origin {
            header("origin", "origin", origin)?;
        }
        for (field, value, least) in [
            ("max_message_size", self.max_message_size, 0),
            ("max_outbox_bytes", self.max_outbox_bytes, 1),
            ("max_inbox_bytes", self.max_inbox_bytes, 1),
        ] {
            if !(least..=LARGEST_MESSAGE_SIZE).contains(&value) {
                let reason = format!("must be {least} to {LARGEST_MESSAGE_SIZE}");
                return Err(Error::setting(field, value, reason));
            }
        }
        if self.close_timeout.is_zero() {
            let reason = "must be above 0: a server could hold a closing connection for ever";
            return Err(Error::setting("close_timeout", "0", reason));
        }
        let (ping, pong) = (self.ping_interval, self.pong_timeout);
        if !pong.is_zero() && (ping.is_zero() || ping >= pong) {
            let value = format!("{}ms", pong.as_millis());
            let reason =
                format!("must be longer than ping_interval ({}ms), or 0", ping.as_millis());
            return Err(Error::setting("pong_timeout", value, reason));
        }
        match &self.reconnect {
            Some(reconnect) => reconnect.validate(),
            None => Ok(()),
        }
    }
}

impl Reconnect {
    fn validate(&self) -> Result<()> {
        let value = |delay: Duration| format!("{}ms", delay.as_millis());
        // A client that tries without a pause is an attack.
        if self.least_delay < Duration::from_millis(1) {
            let reason = "must be at least 1ms";
            return Err(Error::setting("least_delay", value(self.least_delay), reason));
        }
        if self.most_delay < self.least_delay {
            let reason = format!("must be at least least_delay ({})", value(self.least_delay));
            return Err(Error::setting("most_delay", value(self.most_delay), reason));
        }
        Ok(())
    }
}

fn header(field: &'static str, name: &str, value: &str) -> Result<()> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Error::setting(field, name, "is no name of a header field"))?;
    HeaderValue::from_str(value).map_err(|_| {
        Error::setting(field, value, "holds a character that a header field cannot")
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        ClientConfig::default().validate().expect("the default");
        let reconnect = Some(Reconnect::default());
        ClientConfig { reconnect, ..Default::default() }.validate().expect("the default");
    }

    #[test]
    fn what_cannot_be_is_named() {
        type Change = fn(&mut ClientConfig);
        let wrong: [(&str, Change); 12] = [
            ("headers", |c| c.headers = vec![("a b".into(), "c".into())]),
            ("headers", |c| c.headers = vec![("a".into(), "c\r\nd: e".into())]),
            ("headers", |c| c.headers = vec![("Upgrade".into(), "h2c".into())]),
            ("headers", |c| c.headers = vec![("Origin".into(), "null".into())]),
            ("subprotocols", |c| c.subprotocols = vec!["a,b".into()]),
            ("origin", |c| c.origin = Some("a\nb".into())),
            ("max_message_size", |c| c.max_message_size = usize::MAX),
            ("max_outbox_bytes", |c| c.max_outbox_bytes = 0),
            ("close_timeout", |c| c.close_timeout = Duration::ZERO),
            ("pong_timeout", |c| c.ping_interval = Duration::from_secs(60)),
            ("least_delay", |c| {
                c.reconnect = Some(Reconnect::default().delays(Duration::ZERO, Duration::ZERO));
            }),
            ("most_delay", |c| {
                let (least, most) = (Duration::from_secs(2), Duration::from_secs(1));
                c.reconnect = Some(Reconnect::default().delays(least, most));
            }),
        ];
        for (field, change) in wrong {
            let mut config = ClientConfig::default();
            change(&mut config);
            let error = config.validate().expect_err(field).to_string();
            assert!(error.starts_with(field), "{error}");
        }
    }
}
