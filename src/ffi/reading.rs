//! Whether a connection is there, and whether it is read.

use crate::connection::id::ConnId;
use crate::error::Result;
use crate::shard::event::Outlet;

use super::conn::on_driver;
use super::event::wsp_conn_id;
use super::guard::{guard, guard_value};
use super::server::{open, wsp_server};
use super::status::wsp_status;

/// Whether a connection is open (or waits for its upgrade to be decided), as far as the calling thread can know: it may
/// end at any moment. False if `server` is null or stopped. May be called from any thread; costs no lock.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_is_alive(server: *mut wsp_server, conn: wsp_conn_id) -> bool {
    guard_value(false, || {
        // SAFETY: by this function's contract.
        let Ok((_, running)) = (unsafe { open(server) }) else { return false };
        running.handle.is_alive(ConnId::from_raw(conn))
    })
}

/// Stops reading from a connection, whose peer's system notices and stops sending: for a host that queues what it is
/// handed and has enough. Messages that were read already still come, up to a read buffer full (512 KiB). Until
/// `wsp_server_resume`, no ping is sent and no pong missed; that the peer has gone may be noticed only afterwards. Only on
/// the thread that drives the connection's shard.
///
/// # Errors
///
/// - `WSP_STATUS_WRONG_THREAD`: this thread does not drive the connection's shard.
/// - `WSP_STATUS_GONE`: no open connection of the shard has this id.
/// - `WSP_STATUS_INVALID_ARGUMENT`: `server` is null.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_pause(
    server: *mut wsp_server,
    conn: wsp_conn_id,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { hold(server, conn, |outlet, conn| outlet.pause(conn)) }
}

/// Reads from a connection again that `wsp_server_pause` has stopped; does nothing to others. Only on the thread that
/// drives the connection's shard.
///
/// # Errors
///
/// - As `wsp_server_pause`.
///
/// # Safety
///
/// - As `wsp_server_pause`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_resume(
    server: *mut wsp_server,
    conn: wsp_conn_id,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { hold(server, conn, |outlet, conn| outlet.resume(conn)) }
}

/// # Safety
///
/// `server` is null, or the caller holds a reference or is inside one of its callbacks.
unsafe fn hold(
    server: *mut wsp_server,
    conn: wsp_conn_id,
    change: fn(&mut Outlet<'_>, ConnId) -> Result<()>,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (server, running) = unsafe { open(server) }?;
        let conn = ConnId::from_raw(conn);
        on_driver(server, running, conn, |outlet| change(outlet, conn))
    })
}
