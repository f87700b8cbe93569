//! Sending, from any thread and inside callbacks.

use std::ffi::{c_char, c_void};

use crate::connection::id::ConnId;
use crate::protocol::message::Message;
use crate::shard::conn::check_room;

use super::driving::{act, act_any};
use super::event::{WSP_MESSAGE_BINARY, WSP_MESSAGE_TEXT, wsp_conn_id, wsp_message_kind};
use super::guard::{Checked, Failure, bytes, guard, status_of, text};
use super::server::{Running, open, wsp_server};
use super::status::{WSP_STATUS_OK, wsp_status};

/// Checks a message that C gave.
#[inline]
pub(super) fn message(kind: wsp_message_kind, payload: &[u8]) -> Checked<Message<'_>> {
    match kind {
        // Short texts, most often echoed ones, are most often ASCII, and that is seen in a third of the time.
        WSP_MESSAGE_TEXT if payload.is_ascii() => {
            // SAFETY: ASCII is UTF-8.
            Ok(Message::Text(unsafe { str::from_utf8_unchecked(payload) }))
        }
        WSP_MESSAGE_TEXT => Ok(Message::text(payload)?),
        WSP_MESSAGE_BINARY => Ok(Message::Binary(payload)),
        _ => Err(Failure::argument("kind", kind, "must be a WSP_MESSAGE_*")),
    }
}

#[inline]
fn send(
    server: &wsp_server,
    running: &Running,
    conn: wsp_conn_id,
    message: Message<'_>,
) -> Checked {
    let conn = ConnId::from_raw(conn);
    match act(server, running, conn.shard(), |outlet| outlet.send(conn, message)) {
        Some(result) => Ok(result?),
        None => Ok(running.handle.send(conn, message)?),
    }
}

/// Queues a text message for one connection.
///
/// Copies the payload, so `data` may be reused on return. Never blocks. May be called from any thread, also inside a
/// callback. On the thread that drives the connection's shard it goes straight to the outbox and leaves when the
/// callback returns or with the shard's next turn. From elsewhere success means queued: if the connection is gone or its
/// outbox full when its shard takes the message, `WSP_EVENT_DROPPED` reports it.
///
/// # Errors
///
/// - `WSP_STATUS_GONE`: no open connection has this id.
/// - `WSP_STATUS_BACKPRESSURE`: the outbox, or from elsewhere the shard's mailbox, is full; nothing was queued.
///   `WSP_EVENT_DRAIN` tells when an outbox has room again.
/// - `WSP_STATUS_SHUT_DOWN`: the server takes no more messages.
/// - `WSP_STATUS_INVALID_ARGUMENT`: `server` is null, `data` is null with `len > 0`, or the payload is not UTF-8.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
/// - `data` is readable for `len` bytes until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_send_text(
    server: *mut wsp_server,
    conn: wsp_conn_id,
    data: *const u8,
    len: usize,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        // SAFETY: readable for `len` bytes, by this function's contract.
        let payload = unsafe { bytes("data", data, len) }?;
        send(server, running, conn, message(WSP_MESSAGE_TEXT, payload)?)
    })
}

/// Queues a binary message for one connection; otherwise like `wsp_server_send_text`.
///
/// # Errors
///
/// - As `wsp_server_send_text`.
///
/// # Safety
///
/// - As `wsp_server_send_text`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_send_binary(
    server: *mut wsp_server,
    conn: wsp_conn_id,
    data: *const u8,
    len: usize,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        // SAFETY: readable for `len` bytes, by this function's contract.
        let payload = unsafe { bytes("data", data, len) }?;
        send(server, running, conn, Message::Binary(payload))
    })
}

/// Frees a payload that `wsp_server_send_owned` was given.
pub type wsp_free_fn = Option<unsafe extern "C" fn(data: *mut c_void, free_user: *mut c_void)>;

/// Queues a message whose payload becomes the library's: it calls `free_data(data, free_user)` exactly once, also when
/// this fails, as soon as it no longer needs the payload: before the call returns, or later and on another thread.
/// Otherwise like `wsp_server_send_text`.
///
/// # Errors
///
/// - As `wsp_server_send_text`; `WSP_STATUS_INVALID_ARGUMENT` also if `kind` is not a `WSP_MESSAGE_*` or `free_data` is
///   null.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
/// - `data` is readable for `len` bytes until `free_data` is called, which may be from any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_send_owned(
    server: *mut wsp_server,
    conn: wsp_conn_id,
    kind: wsp_message_kind,
    data: *mut u8,
    len: usize,
    free_data: wsp_free_fn,
    free_user: *mut c_void,
) -> wsp_status {
    guard(|| {
        let free_data = free_data.ok_or_else(|| Failure::null("free_data"))?;
        // Whatever happens below, a panic included.
        let _owned = Owned { data, free_data, free_user };
        // SAFETY: null or live, by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        // SAFETY: readable for `len` bytes, by this function's contract.
        let payload = unsafe { bytes("data", data, len) }?;
        send(server, running, conn, message(kind, payload)?)
    })
}

struct Owned {
    data: *mut u8,
    free_data: unsafe extern "C" fn(*mut c_void, *mut c_void),
    free_user: *mut c_void,
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: by the contract of `wsp_server_send_owned`; nobody reads the payload any more.
        unsafe { (self.free_data)(self.data.cast(), self.free_user) }
    }
}

/// One message of `wsp_server_send_many`.
#[repr(C)]
pub struct wsp_outgoing {
    /// For whom.
    pub conn: wsp_conn_id,
    /// The payload; null only with length 0.
    pub data: *const u8,
    /// How many bytes it has.
    pub len: usize,
    /// A `WSP_MESSAGE_*`.
    pub kind: wsp_message_kind,
    /// Is set: what `wsp_server_send_text` would have returned for this message alone.
    pub status: wsp_status,
}

const _: () = assert!(size_of::<usize>() != 8 || size_of::<wsp_outgoing>() == 32);

/// Queues many messages in one call, each for a connection of its own choice, in their order. The status of each is
/// written to its `status`; `*sent`, unless `sent` is null, is how many were queued.
///
/// Each goes the way that it would go alone; those that take the mailbox of one shard take it together, or not. A
/// payload that several messages in a row share (the same `data` and `len`) is encoded once there.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: `server` is null, or `items` is null with `count > 0`. What is wrong with a single
///   message is told by its own status, and the others are sent.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
/// - `items` is readable and writable for `count` messages, each of whose `data` is readable for `len` bytes.
/// - `sent` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_send_many(
    server: *mut wsp_server,
    items: *mut wsp_outgoing,
    count: usize,
    sent: *mut usize,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        let items = match items.is_null() {
            true if count > 0 => return Err(Failure::null("items")),
            true => &mut [],
            // SAFETY: readable and writable for `count` messages, by this function's contract.
            false => unsafe { std::slice::from_raw_parts_mut(items, count) },
        };
        // SAFETY: the payloads are readable, by this function's contract.
        let queued = unsafe { send_many(server, running, items) };
        if !sent.is_null() {
            // SAFETY: writable, by this function's contract.
            unsafe { sent.write(queued) };
        }
        Ok(())
    })
}

/// # Safety
///
/// The `data` of each item is readable for its `len` bytes.
unsafe fn send_many(server: &wsp_server, running: &Running, items: &mut [wsp_outgoing]) -> usize {
    let mut queued = 0;
    let (mut far, mut places) = (Vec::new(), Vec::new());
    let mut rest = &mut *items;
    let mut at = 0;
    while let Some(first) = rest.first() {
        // Messages for one shard that stand in a row are sent in one go.
        let shard = ConnId::from_raw(first.conn).shard();
        let is_here = |item: &&wsp_outgoing| ConnId::from_raw(item.conn).shard() == shard;
        let row = rest.iter().take_while(is_here).count();
        let (here, behind) = std::mem::take(&mut rest).split_at_mut(row);
        rest = behind;
        let near = act(server, running, shard, |outlet| {
            let mut queued = 0;
            for item in here.iter_mut() {
                let send = |message| Ok(outlet.send(ConnId::from_raw(item.conn), message)?);
                // SAFETY: by this function's contract.
                let result: Checked = unsafe { item.message() }.and_then(send);
                item.status = result.map_or_else(|failure| failure.status(), |()| WSP_STATUS_OK);
                queued += usize::from(item.status == WSP_STATUS_OK);
            }
            queued
        });
        match near {
            Some(sent) => queued += sent,
            None => {
                for (place, item) in here.iter_mut().enumerate() {
                    // SAFETY: by this function's contract.
                    match unsafe { item.message() } {
                        Ok(message) => {
                            far.push((ConnId::from_raw(item.conn), message));
                            places.push(at + place);
                        }
                        Err(failure) => item.status = failure.status(),
                    }
                }
            }
        }
        at += here.len();
    }
    if !far.is_empty() {
        let results = running.handle.send_each(&far);
        for (place, result) in places.into_iter().zip(results) {
            items[place].status = result.as_ref().map_or_else(status_of, |()| WSP_STATUS_OK);
            queued += usize::from(result.is_ok());
        }
    }
    queued
}

impl wsp_outgoing {
    /// # Safety
    ///
    /// `data` is readable for `len` bytes for as long as `'a`.
    #[inline]
    unsafe fn message<'a>(&self) -> Checked<Message<'a>> {
        // SAFETY: by this function's contract.
        message(self.kind, unsafe { bytes("data", self.data, self.len) }?)
    }
}

/// Queues a message for everybody in a room, on all shards. A room without members takes it, and nobody gets it.
///
/// A member whose outbox is full meets `wsp_config_set_slow_consumer`. Otherwise like `wsp_server_send_text`.
///
/// # Errors
///
/// - `WSP_STATUS_BACKPRESSURE`: a shard's mailbox is full; nothing was queued for anybody.
/// - `WSP_STATUS_SHUT_DOWN`: the server takes no more messages.
/// - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, the payload is text and not UTF-8, `kind` is not a
///   `WSP_MESSAGE_*`, or the room's name is longer than 1024 bytes or not UTF-8.
///
/// # Safety
///
/// - As `wsp_server_send_text`; `room` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_publish(
    server: *mut wsp_server,
    room: *const c_char,
    kind: wsp_message_kind,
    data: *const u8,
    len: usize,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let room = unsafe { text("room", room) }?;
        // SAFETY: readable for `len` bytes, by this function's contract.
        let payload = unsafe { bytes("data", data, len) }?;
        let message = message(kind, payload)?;
        check_room(room)?;
        let near = act_any(server, running, |outlet| outlet.publish(room, message));
        Ok(near.unwrap_or_else(|| running.handle.publish(room, message))?)
    })
}

/// Queues a message for every open connection, on all shards; otherwise like `wsp_server_publish`.
///
/// # Errors
///
/// - As `wsp_server_publish`.
///
/// # Safety
///
/// - As `wsp_server_send_text`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_broadcast(
    server: *mut wsp_server,
    kind: wsp_message_kind,
    data: *const u8,
    len: usize,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        // SAFETY: readable for `len` bytes, by this function's contract.
        let payload = unsafe { bytes("data", data, len) }?;
        let message = message(kind, payload)?;
        let near = act_any(server, running, |outlet| outlet.broadcast(message));
        Ok(near.unwrap_or_else(|| running.handle.broadcast(message))?)
    })
}
