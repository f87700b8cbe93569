//! Client events: what happens to a client.

use std::ffi::c_char;

use crate::client::{DisconnectCause, Disconnected, Event};
use crate::error::Error;

use super::client::Received;
use super::event::WSP_EVENT_FLAG_TEXT;
use super::guard::status_of;
use super::status::{WSP_STATUS_OK, wsp_status};

/// What happened to a client. A later minor version may add kinds: ignore those that you do not know.
pub type wsp_client_event_kind = u32;

/// A connection is open: the first, or another one. `data` and `len` are the subprotocol that the server chose, if any.
pub const WSP_CLIENT_EVENT_CONNECTED: wsp_client_event_kind = 1;
/// A message came: `data`, `len`, and `WSP_EVENT_FLAG_TEXT` if it is text.
pub const WSP_CLIENT_EVENT_MESSAGE: wsp_client_event_kind = 2;
/// The answer to `wsp_client_ping` came: `data` and `len` are the ping's payload.
pub const WSP_CLIENT_EVENT_PONG: wsp_client_event_kind = 3;
/// A connection has ended, or could not be made: `cause`, `code` and `message` say how, `data` and `len` are the reason in
/// the server's close frame. With `retry_in_ms` -1 the client has ended, and nothing follows.
pub const WSP_CLIENT_EVENT_DISCONNECTED: wsp_client_event_kind = 4;

/// Disconnected: for something that this header does not know.
#[expect(dead_code, reason = "for a library that is newer than the header")]
pub const WSP_CLIENT_CAUSE_OTHER: u16 = 0;
/// Disconnected: there was no connection. `status` says why, as `wsp_client_connect` would; `http_status` what the server
/// answered, if it refused.
pub const WSP_CLIENT_CAUSE_NOT_CONNECTED: u16 = 1;
/// Disconnected: the server closed.
pub const WSP_CLIENT_CAUSE_SERVER: u16 = 2;
/// Disconnected: the client closed.
pub const WSP_CLIENT_CAUSE_CLIENT: u16 = 3;
/// Disconnected: the server broke the protocol, or sent a message that is too large.
pub const WSP_CLIENT_CAUSE_VIOLATION: u16 = 4;
/// Disconnected: nothing came from the server for the pong timeout.
pub const WSP_CLIENT_CAUSE_PONG_TIMEOUT: u16 = 5;
/// Disconnected: the server took nothing for the write timeout.
pub const WSP_CLIENT_CAUSE_WRITE_TIMEOUT: u16 = 6;
/// Disconnected: the server did not answer our close frame in time.
pub const WSP_CLIENT_CAUSE_CLOSE_TIMEOUT: u16 = 7;
/// Disconnected: the stream ended without a close frame.
pub const WSP_CLIENT_CAUSE_END_OF_STREAM: u16 = 8;
/// Disconnected: the stream failed.
pub const WSP_CLIENT_CAUSE_LOST: u16 = 9;
/// Disconnected: a bug in the library.
pub const WSP_CLIENT_CAUSE_PANIC: u16 = 10;

/// Something that happened to a client. Its size and layout are part of the ABI and do not change within a major version.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct wsp_client_event {
    /// A `WSP_CLIENT_EVENT_*`.
    pub kind: wsp_client_event_kind,
    /// `WSP_EVENT_FLAG_*`, or-ed.
    pub flags: u32,
    /// Payload, subprotocol or reason. Never null.
    pub data: *const u8,
    /// Its length in bytes.
    pub len: usize,
    /// Disconnected: what happened in words, for a person to read. Otherwise null.
    pub message: *const c_char,
    /// Disconnected: milliseconds until the next connection is tried, or -1. Otherwise 0.
    pub retry_in_ms: i64,
    /// Disconnected: why there was no connection. Otherwise `WSP_STATUS_OK`.
    pub status: wsp_status,
    /// Disconnected: a `WSP_CLIENT_CAUSE_*`. Otherwise 0.
    pub cause: u16,
    /// Disconnected: the code of the server's close frame, 1005 if it had none, 1006 if none came. Otherwise 0.
    pub code: u16,
    /// Disconnected: the HTTP status by which the server refused. Otherwise 0.
    pub http_status: u16,
    /// Zero.
    pub reserved: [u16; 3],
}

/// Where nothing points to: an empty slice's own address is none that Go's collector would bear with.
static NOTHING: u8 = 0;

impl wsp_client_event {
    /// Points into `received`.
    pub(super) fn of(received: &Received) -> wsp_client_event {
        let (kind, flags, data): (_, _, &[u8]) = match &received.event {
            Event::Connected(with) => (
                WSP_CLIENT_EVENT_CONNECTED,
                0,
                with.subprotocol.as_deref().unwrap_or("").as_bytes(),
            ),
            Event::Text(text) => (WSP_CLIENT_EVENT_MESSAGE, WSP_EVENT_FLAG_TEXT, text.as_bytes()),
            Event::Binary(bytes) => (WSP_CLIENT_EVENT_MESSAGE, 0, bytes),
            Event::Pong(payload) => (WSP_CLIENT_EVENT_PONG, 0, payload),
            Event::Disconnected(end) => (WSP_CLIENT_EVENT_DISCONNECTED, 0, end.reason.as_bytes()),
        };
        let event = wsp_client_event {
            kind,
            flags,
            data: if data.is_empty() { &raw const NOTHING } else { data.as_ptr() },
            len: data.len(),
            message: received.words(),
            retry_in_ms: 0,
            status: WSP_STATUS_OK,
            cause: 0,
            code: 0,
            http_status: 0,
            reserved: [0; 3],
        };
        match &received.event {
            Event::Disconnected(end) => event.ended(end),
            _ => event,
        }
    }

    fn ended(self, end: &Disconnected) -> wsp_client_event {
        let ms = |delay: std::time::Duration| i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        let (status, http_status) = match &end.cause {
            DisconnectCause::NotConnected(error) => match error {
                Error::Refused(refused) => (status_of(error), refused.status),
                _ => (status_of(error), 0),
            },
            _ => (WSP_STATUS_OK, 0),
        };
        wsp_client_event {
            retry_in_ms: end.retry_in.map_or(-1, ms),
            status,
            cause: cause(&end.cause),
            code: end.code,
            http_status,
            ..self
        }
    }
}

fn cause(cause: &DisconnectCause) -> u16 {
    match cause {
        DisconnectCause::NotConnected(_) => WSP_CLIENT_CAUSE_NOT_CONNECTED,
        DisconnectCause::Server => WSP_CLIENT_CAUSE_SERVER,
        DisconnectCause::Client => WSP_CLIENT_CAUSE_CLIENT,
        DisconnectCause::Violation(_) => WSP_CLIENT_CAUSE_VIOLATION,
        DisconnectCause::PongTimeout => WSP_CLIENT_CAUSE_PONG_TIMEOUT,
        DisconnectCause::WriteTimeout => WSP_CLIENT_CAUSE_WRITE_TIMEOUT,
        DisconnectCause::CloseTimeout => WSP_CLIENT_CAUSE_CLOSE_TIMEOUT,
        DisconnectCause::EndOfStream => WSP_CLIENT_CAUSE_END_OF_STREAM,
        DisconnectCause::Lost(_) => WSP_CLIENT_CAUSE_LOST,
        DisconnectCause::Panic(_) => WSP_CLIENT_CAUSE_PANIC,
    }
}
