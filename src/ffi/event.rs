//! Events: what happens to connections.

use std::ffi::c_void;
use std::ptr;

use crate::connection::ending::{Close, CloseCause, DropReason, Dropped};
use crate::connection::id::ConnId;
use crate::shard::raw::{RawEvent, RawKind};

use super::request::wsp_request;

/// The name of a connection: never 0, and not used again for another connection. The library has no other handle for
/// one; a call with the id of a connection that has ended returns `WSP_STATUS_GONE`.
pub type wsp_conn_id = u64;

/// Whether a message is text or binary.
pub type wsp_message_kind = u32;

/// UTF-8 text. What comes is checked before it is handed over, what is sent when it is given.
pub const WSP_MESSAGE_TEXT: wsp_message_kind = 1;
/// Bytes.
pub const WSP_MESSAGE_BINARY: wsp_message_kind = 2;

/// What happened. A later minor version may add kinds: ignore those that you do not know.
pub type wsp_event_kind = u32;

/// A client asks for a connection (hosted mode with `wsp_config_set_decide_upgrades`); `request` says what it said.
/// Origin and handshake have been checked. Answer by `wsp_server_accept`, `wsp_server_reject` or `wsp_server_respond`.
pub const WSP_EVENT_UPGRADE: wsp_event_kind = 1;
/// The connection is open. Comes before every other event of it.
pub const WSP_EVENT_OPEN: wsp_event_kind = 2;
/// A message came: `data`, `len`, and `WSP_EVENT_FLAG_TEXT` if it is text.
pub const WSP_EVENT_MESSAGE: wsp_event_kind = 3;
/// A piece of a message came (with `wsp_config_set_stream_fragments`). Pieces of a text message may begin or end inside
/// a character; all of them together are UTF-8.
pub const WSP_EVENT_FRAGMENT: wsp_event_kind = 4;
/// A pong came: `data` and `len` are the payload of the ping that it answers, if any. Pings are answered without an
/// event.
pub const WSP_EVENT_PONG: wsp_event_kind = 5;
/// The outbox, for whose fullness a message was refused or reading paused, is below half its bound again.
pub const WSP_EVENT_DRAIN: wsp_event_kind = 6;
/// Messages that had been taken for the connection were dropped: `value` says how many, `cause` why.
pub const WSP_EVENT_DROPPED: wsp_event_kind = 7;
/// The connection has ended; the last event of it. `cause` and the codes say how, `data` and `len` are the reason.
pub const WSP_EVENT_CLOSE: wsp_event_kind = 8;

/// Message or fragment: it is text, otherwise binary.
pub const WSP_EVENT_FLAG_TEXT: u32 = 1;
/// Fragment: the first of its message. A message has this flag too.
pub const WSP_EVENT_FLAG_FIRST: u32 = 2;
/// Fragment: the last of its message. A message has this flag too.
pub const WSP_EVENT_FLAG_LAST: u32 = 4;
/// Close: both sides sent a close frame.
pub const WSP_EVENT_FLAG_CLEAN: u32 = 8;

/// Close: something that this header does not know.
#[expect(dead_code, reason = "for a library that is newer than the header")]
pub const WSP_CLOSE_CAUSE_OTHER: u16 = 0;
/// Close: the peer closed.
pub const WSP_CLOSE_CAUSE_PEER: u16 = 1;
/// Close: the host closed.
pub const WSP_CLOSE_CAUSE_HOST: u16 = 2;
/// Close: the peer broke the protocol; `sent_code` and the reason say how.
pub const WSP_CLOSE_CAUSE_VIOLATION: u16 = 3;
/// Close: the peer took too little of what was pushed to it.
pub const WSP_CLOSE_CAUSE_SLOW_CONSUMER: u16 = 4;
/// Close: a bug in the library.
pub const WSP_CLOSE_CAUSE_PANIC: u16 = 5;
/// Close: the server is shutting down.
pub const WSP_CLOSE_CAUSE_SHUT_DOWN: u16 = 6;
/// Close: nothing came from the peer for the pong timeout.
pub const WSP_CLOSE_CAUSE_PONG_TIMEOUT: u16 = 7;
/// Close: no message went either way for the idle timeout.
pub const WSP_CLOSE_CAUSE_IDLE_TIMEOUT: u16 = 8;
/// Close: the peer took nothing for the write timeout.
pub const WSP_CLOSE_CAUSE_WRITE_TIMEOUT: u16 = 9;
/// Close: the peer did not answer our close frame in time.
pub const WSP_CLOSE_CAUSE_CLOSE_TIMEOUT: u16 = 10;
/// Close: the stream ended without a close frame.
pub const WSP_CLOSE_CAUSE_END_OF_STREAM: u16 = 11;
/// Close: the stream failed.
pub const WSP_CLOSE_CAUSE_LOST: u16 = 12;

/// Dropped: for a reason that this header does not know.
#[expect(dead_code, reason = "for a library that is newer than the header")]
pub const WSP_DROP_REASON_OTHER: u16 = 0;
/// Dropped: the outbox was full, the policy is to drop the new message.
pub const WSP_DROP_REASON_NEW_REFUSED: u16 = 1;
/// Dropped: the outbox was full, the policy is to drop the oldest messages.
pub const WSP_DROP_REASON_OLD_REPLACED: u16 = 2;
/// Dropped: the outbox was full, the policy is to close the connection.
pub const WSP_DROP_REASON_SLOW_CONSUMER: u16 = 3;
/// Dropped: the connection ended after the call that sent the message.
pub const WSP_DROP_REASON_GONE: u16 = 4;

/// Something that happened to a connection: what callbacks are given, and what batches are made of.
///
/// `data` and `request` are the library's and valid until the callback returns, or in hosted mode until the shard's next
/// turn (see `wsp_server_poll`). Its size and layout are part of the ABI and do not change within a major version.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct wsp_event {
    /// A `WSP_EVENT_*`.
    pub kind: wsp_event_kind,
    /// `WSP_EVENT_FLAG_*`, or-ed.
    pub flags: u32,
    /// The connection.
    pub conn: wsp_conn_id,
    /// The connection's user pointer, null unless the host has set one.
    pub conn_user: *mut c_void,
    /// Message, fragment, pong: the payload. Close: the reason, UTF-8 without a NUL. Null where `len` is 0.
    pub data: *const u8,
    /// How many bytes `data` has.
    pub len: usize,
    /// Dropped: how many messages. Otherwise 0.
    pub value: u64,
    /// Upgrade: the request. Otherwise null.
    pub request: *const wsp_request,
    /// Close: a `WSP_CLOSE_CAUSE_*`. Dropped: a `WSP_DROP_REASON_*`. Otherwise 0.
    pub cause: u16,
    /// Close: the connection's close code as RFC 6455 has it: that of the peer's close frame, 1005 if that had none,
    /// 1006 if none came. Otherwise 0.
    pub code: u16,
    /// Close: the code of the close frame that was sent to the peer, 0 if there was none.
    pub sent_code: u16,
    /// Close: the code of the close frame that the peer sent, 0 if there was none.
    pub received_code: u16,
}

const _: () = assert!(size_of::<usize>() != 8 || size_of::<wsp_event>() == 64);

impl wsp_event {
    #[inline]
    pub(super) fn new(kind: wsp_event_kind, conn: ConnId, data: u64, payload: &[u8]) -> wsp_event {
        wsp_event {
            kind,
            flags: 0,
            conn: conn.to_raw(),
            conn_user: user(data),
            // An empty slice points nowhere, which hosts that look at addresses (Go's collector) do not like.
            data: if payload.is_empty() { ptr::null() } else { payload.as_ptr() },
            len: payload.len(),
            value: 0,
            request: ptr::null(),
            cause: 0,
            code: 0,
            sent_code: 0,
            received_code: 0,
        }
    }

    #[inline]
    pub(super) fn message(conn: ConnId, data: u64, is_text: bool, payload: &[u8]) -> wsp_event {
        let flags = WSP_EVENT_FLAG_FIRST | WSP_EVENT_FLAG_LAST | text_flag(is_text);
        wsp_event { flags, ..wsp_event::new(WSP_EVENT_MESSAGE, conn, data, payload) }
    }

    #[inline]
    pub(super) fn fragment(
        conn: ConnId,
        data: u64,
        (is_text, is_first, is_last): (bool, bool, bool),
        payload: &[u8],
    ) -> wsp_event {
        let first = if is_first { WSP_EVENT_FLAG_FIRST } else { 0 };
        let last = if is_last { WSP_EVENT_FLAG_LAST } else { 0 };
        let flags = first | last | text_flag(is_text);
        wsp_event { flags, ..wsp_event::new(WSP_EVENT_FRAGMENT, conn, data, payload) }
    }

    pub(super) fn dropped(conn: ConnId, dropped: Dropped) -> wsp_event {
        let cause = match dropped.reason {
            DropReason::NewRefused => WSP_DROP_REASON_NEW_REFUSED,
            DropReason::OldReplaced => WSP_DROP_REASON_OLD_REPLACED,
            DropReason::SlowConsumer => WSP_DROP_REASON_SLOW_CONSUMER,
            DropReason::Gone => WSP_DROP_REASON_GONE,
        };
        let value = dropped.messages as u64;
        wsp_event { value, cause, ..wsp_event::new(WSP_EVENT_DROPPED, conn, 0, &[]) }
    }

    pub(super) fn close(conn: ConnId, data: u64, close: &Close<'_>) -> wsp_event {
        wsp_event {
            flags: if close.was_clean() { WSP_EVENT_FLAG_CLEAN } else { 0 },
            cause: cause(close.cause()),
            code: close.code(),
            sent_code: close.sent().unwrap_or(0),
            received_code: close.received().unwrap_or(0),
            ..wsp_event::new(WSP_EVENT_CLOSE, conn, data, close.reason().as_bytes())
        }
    }

    /// From an event of a batch. `keep` finds a place for a request that lasts as long as the batch.
    #[inline]
    pub(super) fn from_raw(
        event: &RawEvent<'_>,
        keep: impl FnOnce(wsp_request) -> *const wsp_request,
    ) -> wsp_event {
        let &RawEvent { conn, data, payload, ref kind } = event;
        match kind {
            &RawKind::Message { is_text } => wsp_event::message(conn, data, is_text, payload),
            &RawKind::Fragment { is_text, is_first, is_last } => {
                wsp_event::fragment(conn, data, (is_text, is_first, is_last), payload)
            }
            RawKind::Open => wsp_event::new(WSP_EVENT_OPEN, conn, data, payload),
            RawKind::Pong => wsp_event::new(WSP_EVENT_PONG, conn, data, payload),
            RawKind::Drain => wsp_event::new(WSP_EVENT_DRAIN, conn, data, payload),
            RawKind::Dropped(dropped) => wsp_event::dropped(conn, *dropped),
            RawKind::Close(close) => wsp_event::close(conn, data, close),
            RawKind::Upgrade(request) => {
                let request = request.as_deref().map(wsp_request::new);
                let request = request.map_or(ptr::null(), keep);
                wsp_event { request, ..wsp_event::new(WSP_EVENT_UPGRADE, conn, data, payload) }
            }
        }
    }
}

/// A connection's word as the pointer that it is in C.
#[inline]
pub(super) fn user(data: u64) -> *mut c_void {
    ptr::with_exposed_provenance_mut(data as usize)
}

#[inline]
fn text_flag(is_text: bool) -> u32 {
    if is_text { WSP_EVENT_FLAG_TEXT } else { 0 }
}

fn cause(cause: CloseCause) -> u16 {
    match cause {
        CloseCause::Peer => WSP_CLOSE_CAUSE_PEER,
        CloseCause::Host => WSP_CLOSE_CAUSE_HOST,
        CloseCause::Violation => WSP_CLOSE_CAUSE_VIOLATION,
        CloseCause::SlowConsumer => WSP_CLOSE_CAUSE_SLOW_CONSUMER,
        CloseCause::Panic => WSP_CLOSE_CAUSE_PANIC,
        CloseCause::ShutDown => WSP_CLOSE_CAUSE_SHUT_DOWN,
        CloseCause::PongTimeout => WSP_CLOSE_CAUSE_PONG_TIMEOUT,
        CloseCause::IdleTimeout => WSP_CLOSE_CAUSE_IDLE_TIMEOUT,
        CloseCause::WriteTimeout => WSP_CLOSE_CAUSE_WRITE_TIMEOUT,
        CloseCause::CloseTimeout => WSP_CLOSE_CAUSE_CLOSE_TIMEOUT,
        CloseCause::EndOfStream => WSP_CLOSE_CAUSE_END_OF_STREAM,
        CloseCause::Lost(_) => WSP_CLOSE_CAUSE_LOST,
    }
}
