//! Pushes that leave one out or are counted, and what is known of rooms.

use std::ffi::c_char;
use std::slice;
use std::time::Duration;

use crate::connection::id::ConnId;
use crate::protocol::message::Message;
use crate::shard::conn::check_room;
use crate::shard::target::{Pushed, Receipt, Target};

use super::config::{slow_consumer, wsp_slow_consumer};
use super::driving::act_any;
use super::event::{wsp_conn_id, wsp_message_kind};
use super::guard::{Checked, Failure, Out, bytes, guard, handle, text};
use super::send::message;
use super::server::{Running, open, wsp_server};
use super::status::wsp_status;

/// The answer to a push that is counted. May be waited for by several threads at once.
pub struct wsp_receipt {
    receipt: Receipt,
}

/// How far a push came.
#[repr(C)]
pub struct wsp_pushed {
    /// Connections whose outbox took the message.
    pub delivered: u64,
    /// Connections whose outbox was full: the policy for slow consumers refused them the message, or closed them.
    pub dropped: u64,
    /// Of a list of ids, those that no open connection has; of a room, 1 if it has no members.
    pub unknown: u64,
}

impl From<Pushed> for wsp_pushed {
    fn from(Pushed { delivered, dropped, unknown, .. }: Pushed) -> wsp_pushed {
        wsp_pushed { delivered, dropped, unknown }
    }
}

/// Queues a message for everybody in a room but `except`, most often the sender; 0 is nobody. Otherwise like
/// `wsp_server_publish`.
///
/// With a `receipt` that is not null, it is counted how many outboxes take the message, and `*receipt` is to be freed with
/// `wsp_receipt_free`. A counted push always goes through the mailboxes of the shards, so inside a callback it comes behind
/// what is sent directly.
///
/// # Errors
///
/// - As `wsp_server_publish`.
///
/// # Safety
///
/// - As `wsp_server_publish`; `receipt` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_push_room(
    server: *mut wsp_server,
    room: *const c_char,
    except: wsp_conn_id,
    kind: wsp_message_kind,
    data: *const u8,
    len: usize,
    receipt: *mut *mut wsp_receipt,
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
        let except = ConnId::from_raw(except);
        if receipt.is_null() {
            let near =
                act_any(server, running, |outlet| outlet.publish_except(room, except, message));
            return Ok(
                near.unwrap_or_else(|| running.handle.publish_except(room, except, message))?
            );
        }
        // SAFETY: writable, by this function's contract.
        unsafe { push(running, Target::room(room).except(except), message, receipt) }
    })
}

/// Queues a message for every open connection but `except`; otherwise like `wsp_server_push_room`.
///
/// # Errors
///
/// - As `wsp_server_publish`.
///
/// # Safety
///
/// - As `wsp_server_send_text`; `receipt` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_push_all(
    server: *mut wsp_server,
    except: wsp_conn_id,
    kind: wsp_message_kind,
    data: *const u8,
    len: usize,
    receipt: *mut *mut wsp_receipt,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        // SAFETY: readable for `len` bytes, by this function's contract.
        let payload = unsafe { bytes("data", data, len) }?;
        let message = message(kind, payload)?;
        let except = ConnId::from_raw(except);
        if receipt.is_null() {
            let near = act_any(server, running, |outlet| outlet.broadcast_except(except, message));
            return Ok(near.unwrap_or_else(|| running.handle.broadcast_except(except, message))?);
        }
        // SAFETY: writable, by this function's contract.
        unsafe { push(running, Target::all().except(except), message, receipt) }
    })
}

/// Queues one message for `count` connections; those that have ended are passed over. It is encoded once and goes through
/// the mailboxes of the shards, also inside a callback. Otherwise like `wsp_server_push_room`.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: `conns` is null with `count > 0`; and as `wsp_server_publish`.
/// - Otherwise as `wsp_server_publish`.
///
/// # Safety
///
/// - As `wsp_server_send_text`; `conns` is readable for `count` ids; `receipt` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_push_conns(
    server: *mut wsp_server,
    conns: *const wsp_conn_id,
    count: usize,
    kind: wsp_message_kind,
    data: *const u8,
    len: usize,
    receipt: *mut *mut wsp_receipt,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let (_, running) = unsafe { open(server) }?;
        let conns = match conns.is_null() {
            true if count > 0 => return Err(Failure::null("conns")),
            true => &[],
            // SAFETY: readable for `count` ids, by this function's contract.
            false => unsafe { slice::from_raw_parts(conns, count) },
        };
        // SAFETY: readable for `len` bytes, by this function's contract.
        let payload = unsafe { bytes("data", data, len) }?;
        let message = message(kind, payload)?;
        let ids: Vec<ConnId> = conns.iter().map(|conn| ConnId::from_raw(*conn)).collect();
        if receipt.is_null() {
            running.handle.send_many(&ids, message)?;
            return Ok(());
        }
        // SAFETY: writable, by this function's contract.
        unsafe { push(running, Target::conns(&ids), message, receipt) }
    })
}

/// # Safety
///
/// `receipt` is writable.
unsafe fn push(
    running: &Running,
    target: Target<'_>,
    message: Message<'_>,
    receipt: *mut *mut wsp_receipt,
) -> Checked {
    // SAFETY: by this function's contract.
    let out = unsafe { Out::new("receipt", receipt) }?;
    let receipt = running.handle.push(target, message)?;
    out.set(Box::into_raw(Box::new(wsp_receipt { receipt })));
    Ok(())
}

/// Waits until every shard has taken the push, or has ended, for at most `timeout_ms`; 0 only looks. May be called again, and
/// from any thread; on a thread that drives a shard, only to look: it would wait for itself.
///
/// # Errors
///
/// - `WSP_STATUS_TIMED_OUT`: not every shard has answered yet.
/// - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null.
///
/// # Safety
///
/// - `receipt` is null or came from a `wsp_server_push_*` and is not freed before this returns.
/// - `pushed` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_receipt_wait(
    receipt: *const wsp_receipt,
    timeout_ms: u32,
    pushed: *mut wsp_pushed,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let receipt = unsafe { handle("receipt", receipt) }?;
        // SAFETY: null or writable, by this function's contract.
        let out = unsafe { Out::new("pushed", pushed) }?;
        let timeout = Duration::from_millis(timeout_ms.into());
        let counted = receipt.receipt.wait(timeout).ok_or(TIMED_OUT)?;
        out.set(counted.into());
        Ok(())
    })
}

const TIMED_OUT: Failure = Failure::TimedOut("not every shard has answered in time");

/// Frees a receipt, whether it was waited for or not; the push goes its way. Null is ignored.
///
/// # Safety
///
/// - `receipt` is null, or came from a `wsp_server_push_*` and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_receipt_free(receipt: *mut wsp_receipt) {
    if !receipt.is_null() {
        // SAFETY: `push` boxed it, and it is not used again, by this function's contract.
        drop(unsafe { Box::from_raw(receipt) });
    }
}

/// Counts the members of a room, on all shards. Blocks until each shard has answered or has ended, for at most `timeout_ms`.
///
/// # Errors
///
/// - `WSP_STATUS_TIMED_OUT`: not every shard has answered in time.
/// - `WSP_STATUS_WRONG_THREAD`: this thread drives a shard, and would wait for itself.
/// - Otherwise as `wsp_server_publish`.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference; `room` is null or ends with a NUL; `members` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_room_members(
    server: *mut wsp_server,
    room: *const c_char,
    timeout_ms: u32,
    members: *mut usize,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let room = unsafe { text("room", room) }?;
        // SAFETY: null or writable, by this function's contract.
        let out = unsafe { Out::new("members", members) }?;
        if act_any(server, running, |_| ()).is_some() {
            return Err(Failure::WrongThread("the thread of a shard would wait for itself"));
        }
        let answer = running.handle.room_members(room)?;
        let timeout = Duration::from_millis(timeout_ms.into());
        out.set(answer.wait(timeout).ok_or(TIMED_OUT)?);
        Ok(())
    })
}

/// Gives pushes to a room a policy of their own, for what this thread publishes there afterwards. Up to 1,024 rooms can have
/// one, with members or without. May be called from any thread.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: `policy` is not a `WSP_SLOW_CONSUMER_*`, or 1,024 other rooms have one.
/// - Otherwise as `wsp_server_publish`.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks; `room` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_set_room_policy(
    server: *mut wsp_server,
    room: *const c_char,
    policy: wsp_slow_consumer,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let (_, running) = unsafe { open(server) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let room = unsafe { text("room", room) }?;
        Ok(running.handle.set_room_policy(room, Some(slow_consumer(policy)?))?)
    })
}

/// Takes a room's own policy away: that of the server holds again.
///
/// # Errors
///
/// - As `wsp_server_publish`.
///
/// # Safety
///
/// - As `wsp_server_set_room_policy`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_clear_room_policy(
    server: *mut wsp_server,
    room: *const c_char,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let (_, running) = unsafe { open(server) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let room = unsafe { text("room", room) }?;
        Ok(running.handle.set_room_policy(room, None)?)
    })
}
