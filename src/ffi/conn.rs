//! One connection.

use std::ffi::{c_char, c_void};

use crate::connection::id::ConnId;
use crate::connection::peer::PeerAddr;
use crate::connection::request::{Response, Upgrade};
use crate::error::{Error, Result};
use crate::shard::event::Outlet;

use super::driving::act;
use super::event::{user, wsp_conn_id};
use super::guard::{Checked, Failure, Out, bytes, guard, handle, optional_text, text};
use super::response::wsp_response;
use super::server::{Running, open, wsp_server};
use super::status::wsp_status;

/// The shard that owns a connection, whose thread its events come on; 0 for an id that is none.
#[unsafe(no_mangle)]
pub extern "C" fn wsp_conn_shard(conn: wsp_conn_id) -> u32 {
    if conn == 0 { 0 } else { ConnId::from_raw(conn).shard() as u32 }
}

/// Begins the close handshake, behind what waits for the connection. `WSP_EVENT_CLOSE` follows when the peer has
/// answered, or has not in time. `reason` may be null. May be called from any thread, also inside a callback.
///
/// # Errors
///
/// - `WSP_STATUS_GONE`: no open connection has this id.
/// - `WSP_STATUS_INVALID_ARGUMENT`: the code must not be sent (1000 to 1014 less 1004 to 1006, or 3000 to 4999, are
///   fine), or the reason is longer than 123 bytes or not UTF-8.
/// - `WSP_STATUS_BACKPRESSURE`: the shard's mailbox is full.
/// - `WSP_STATUS_SHUT_DOWN`: the server takes nothing more.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
/// - `reason` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_close(
    server: *mut wsp_server,
    conn: wsp_conn_id,
    code: u16,
    reason: *const c_char,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let reason = unsafe { optional_text("reason", reason) }?.unwrap_or("");
        let conn = ConnId::from_raw(conn);
        near_or_far(
            server,
            running,
            conn,
            |outlet| outlet.close(conn, code, reason),
            || running.handle.close(conn, code, reason),
        )
    })
}

/// Sends a ping of up to 125 bytes; `WSP_EVENT_PONG` brings the answer. May be called from any thread, also inside a
/// callback.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: the payload is longer than 125 bytes, or a pointer is null.
/// - Otherwise as `wsp_server_send_text`.
///
/// # Safety
///
/// - As `wsp_server_send_text`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_ping(
    server: *mut wsp_server,
    conn: wsp_conn_id,
    data: *const u8,
    len: usize,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        // SAFETY: readable for `len` bytes, by this function's contract.
        let payload = unsafe { bytes("data", data, len) }?;
        let conn = ConnId::from_raw(conn);
        near_or_far(
            server,
            running,
            conn,
            |outlet| outlet.ping(conn, payload),
            || running.handle.ping(conn, payload),
        )
    })
}

/// Puts a connection into a room, before anything that this thread publishes there afterwards. A connection that is in
/// the room already stays; one that ends leaves all its rooms. May be called from any thread, also inside a callback.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, or the room's name is longer than 1024 bytes or not UTF-8.
/// - `WSP_STATUS_GONE`, `WSP_STATUS_BACKPRESSURE`, `WSP_STATUS_SHUT_DOWN`: as `wsp_server_close`.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
/// - `room` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_join(
    server: *mut wsp_server,
    conn: wsp_conn_id,
    room: *const c_char,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let room = unsafe { text("room", room) }?;
        let conn = ConnId::from_raw(conn);
        near_or_far(
            server,
            running,
            conn,
            |outlet| outlet.join(conn, room).map(|_| ()),
            || running.handle.join(conn, room),
        )
    })
}

/// Takes a connection out of a room, if it is inside. May be called from any thread, also inside a callback.
///
/// # Errors
///
/// - As `wsp_server_join`.
///
/// # Safety
///
/// - As `wsp_server_join`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_leave(
    server: *mut wsp_server,
    conn: wsp_conn_id,
    room: *const c_char,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let room = unsafe { text("room", room) }?;
        let conn = ConnId::from_raw(conn);
        near_or_far(
            server,
            running,
            conn,
            |outlet| outlet.leave(conn, room).map(|_| ()),
            || running.handle.leave(conn, room),
        )
    })
}

/// Accepts an upgrade that was deferred or came as `WSP_EVENT_UPGRADE`. `subprotocol` is one that the client offers, or
/// null for the server's own choice; `conn_user` becomes the connection's user pointer. May be called from any thread;
/// only the first answer counts.
///
/// # Errors
///
/// - `WSP_STATUS_GONE`: nothing is to be decided for this id, for instance because the handshake timeout has answered.
/// - `WSP_STATUS_INVALID_ARGUMENT`: `server` is null, or the subprotocol is not UTF-8.
/// - `WSP_STATUS_BACKPRESSURE`, `WSP_STATUS_SHUT_DOWN`: as `wsp_server_close`.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
/// - `subprotocol` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_accept(
    server: *mut wsp_server,
    conn: wsp_conn_id,
    subprotocol: *const c_char,
    conn_user: *mut c_void,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let subprotocol = unsafe { optional_text("subprotocol", subprotocol) }?;
        let accept = Upgrade::accept().data(conn_user.expose_provenance() as u64);
        let accept = match subprotocol {
            Some(name) => accept.subprotocol(name),
            None => accept,
        };
        decide(server, running, conn, accept)
    })
}

/// Rejects an upgrade that was deferred or came as `WSP_EVENT_UPGRADE`, with a status of 200 to 599 and a body of plain
/// text, which may be null. Otherwise like `wsp_server_accept`.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: the status is not 200 to 599, `server` is null, or the body is not UTF-8.
/// - Otherwise as `wsp_server_accept`.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
/// - `body` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_reject(
    server: *mut wsp_server,
    conn: wsp_conn_id,
    status: u16,
    body: *const c_char,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let body = unsafe { optional_text("body", body) }?.unwrap_or("");
        if !(200..=599).contains(&status) {
            return Err(Failure::argument("status", status, "must be 200 to 599"));
        }
        let response = Response::new(status)
            .header("Content-Type", "text/plain; charset=utf-8")
            .body(body.as_bytes().to_vec());
        decide(server, running, conn, Upgrade::reject(response))
    })
}

/// Answers an upgrade that was deferred or came as `WSP_EVENT_UPGRADE` with a response of `wsp_response_new`, which is
/// copied: status 101 accepts, another one rejects. Otherwise like `wsp_server_accept`.
///
/// # Errors
///
/// - As `wsp_server_accept`.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
/// - `response` is null or valid and not changed meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_respond(
    server: *mut wsp_server,
    conn: wsp_conn_id,
    response: *const wsp_response,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        // SAFETY: null or valid, by this function's contract.
        let response = unsafe { handle("response", response) }?;
        decide(server, running, conn, response.clone().into_upgrade())
    })
}

fn decide(server: &wsp_server, running: &Running, conn: wsp_conn_id, upgrade: Upgrade) -> Checked {
    let conn = ConnId::from_raw(conn);
    let mut upgrade = Some(upgrade);
    let near = act(server, running, conn.shard(), |outlet| {
        upgrade.take().map_or(Ok(()), |upgrade| outlet.accept(conn, upgrade))
    });
    match (near, upgrade) {
        (Some(result), _) => Ok(result?),
        (None, Some(upgrade)) => Ok(running.handle.accept(conn, upgrade)?),
        (None, None) => Ok(()),
    }
}

fn near_or_far(
    server: &wsp_server,
    running: &Running,
    conn: ConnId,
    near: impl FnOnce(&mut Outlet<'_>) -> Result<()>,
    far: impl FnOnce() -> Result<()>,
) -> Checked {
    Ok(act(server, running, conn.shard(), near).unwrap_or_else(far)?)
}

/// Gets the user pointer of a connection: null, or what was set last. Only on the thread that drives the connection's
/// shard; events carry it anyway.
///
/// # Errors
///
/// - `WSP_STATUS_WRONG_THREAD`: this thread does not drive the connection's shard.
/// - `WSP_STATUS_GONE`: no open connection of the shard has this id.
/// - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks; `conn_user` is null or
///   writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_conn_user(
    server: *mut wsp_server,
    conn: wsp_conn_id,
    conn_user: *mut *mut c_void,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        // SAFETY: null or writable, by this function's contract.
        let out = unsafe { Out::new("conn_user", conn_user) }?;
        let conn = ConnId::from_raw(conn);
        let data = on_driver(server, running, conn, |outlet| outlet.data(conn).ok_or(Error::Gone))?;
        out.set(user(data));
        Ok(())
    })
}

/// Sets the user pointer of a connection. The library never follows it. Events that are in a batch already carry the one
/// before.
///
/// # Errors
///
/// - As `wsp_server_conn_user`.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_set_conn_user(
    server: *mut wsp_server,
    conn: wsp_conn_id,
    conn_user: *mut c_void,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        let conn = ConnId::from_raw(conn);
        let data = conn_user.expose_provenance() as u64;
        on_driver(server, running, conn, |outlet| outlet.set_data(conn, data))
    })
}

pub(super) fn on_driver<T>(
    server: &wsp_server,
    running: &Running,
    conn: ConnId,
    get: impl FnOnce(&mut Outlet<'_>) -> Result<T>,
) -> Checked<T> {
    match act(server, running, conn.shard(), get) {
        Some(result) => Ok(result?),
        None => Err(Failure::WrongThread("this thread does not drive the connection's shard")),
    }
}

/// What is known of a connection.
#[repr(C)]
pub struct wsp_conn_info {
    /// Set it to `sizeof(wsp_conn_info)` before the call.
    pub size: usize,
    /// The connection's user pointer.
    pub conn_user: *mut c_void,
    /// Bytes that wait to be sent.
    pub queued_bytes: usize,
    /// The subprotocol that was agreed on, not NUL-terminated; null if there is none. Valid until the callback returns,
    /// or the shard's next turn.
    pub subprotocol: *const c_char,
    /// How many bytes `subprotocol` has.
    pub subprotocol_len: usize,
    /// The port at the other end, or the one that a trusted proxy names; 0 for a Unix socket.
    pub peer_port: u16,
    /// The IP address at the other end, or the one that a trusted proxy names, as text with a NUL; empty for a Unix
    /// socket.
    pub peer_ip: [c_char; 46],
}

/// Tells what is known of a connection, on the thread that drives its shard.
///
/// # Errors
///
/// - `WSP_STATUS_WRONG_THREAD`, `WSP_STATUS_GONE`: as `wsp_server_conn_user`.
/// - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, or `info->size` is wrong.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
/// - `info` is null, or its `size` is readable and as many bytes are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_conn_info(
    server: *mut wsp_server,
    conn: wsp_conn_id,
    info: *mut wsp_conn_info,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        if info.is_null() {
            return Err(Failure::null("info"));
        }
        // SAFETY: its first field is readable, by this function's contract.
        let size = unsafe { info.cast::<usize>().read() };
        if size < size_of::<wsp_conn_info>() {
            let reason = format!("must be sizeof(wsp_conn_info), {}", size_of::<wsp_conn_info>());
            return Err(Failure::argument("info.size", size, reason));
        }
        let conn = ConnId::from_raw(conn);
        let mut told = on_driver(server, running, conn, |outlet| about(outlet, conn))?;
        told.size = size;
        // SAFETY: writable for its size, which is not smaller, by this function's contract.
        unsafe { info.write(told) };
        Ok(())
    })
}

fn about(outlet: &mut Outlet<'_>, conn: ConnId) -> Result<wsp_conn_info> {
    let peer = outlet.peer_addr(conn).ok_or(Error::Gone)?;
    let subprotocol = outlet.subprotocol(conn).unwrap_or_default();
    Ok(wsp_conn_info {
        size: 0,
        conn_user: user(outlet.data(conn).unwrap_or_default()),
        queued_bytes: outlet.queued_bytes(conn).unwrap_or_default(),
        subprotocol: match subprotocol {
            "" => std::ptr::null(),
            name => name.as_ptr().cast(),
        },
        subprotocol_len: subprotocol.len(),
        peer_port: peer.socket_addr().map_or(0, |addr| addr.port()),
        peer_ip: ip(peer),
    })
}

fn ip(peer: PeerAddr) -> [c_char; 46] {
    let mut text = [0; 46];
    let ip = peer.ip().map(|ip| ip.to_string()).unwrap_or_default();
    // The last byte stays NUL.
    let places = text.iter_mut().take(45);
    for (place, byte) in places.zip(ip.bytes()) {
        *place = byte as c_char;
    }
    text
}
