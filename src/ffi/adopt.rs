//! Sockets that the host accepted itself.

use std::ffi::{c_char, c_void};

use crate::shard::adopt::{Adopted, OwnedStream};

use super::guard::{Checked, Failure, bytes, guard, optional_text};
use super::hosted::wsp_fd;
use super::server::{open, wsp_server};
use super::status::wsp_status;

/// Hands over a connected TCP or Unix stream socket on which nothing has been answered yet: its request is read, checked and decided as
/// if the server had accepted it. `early` holds what has been read of it, up to 128 KiB, and may be all of the request.
///
/// The socket is the server's from here on; if the call fails, it is closed, except that with a null server or a number
/// that is no socket nothing is done to it. May be called from any thread, also inside a callback.
///
/// # Errors
///
/// - `WSP_STATUS_IO`: it is not a connected stream socket, TCP or Unix.
/// - `WSP_STATUS_BACKPRESSURE`: there are as many connections as there may be.
/// - `WSP_STATUS_SHUT_DOWN`: the server takes nothing more.
/// - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, `fd` cannot be a socket, or `len` is above 128 KiB.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
/// - `fd` is an open socket that the caller owns and does not use again.
/// - `early` is readable for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_adopt(
    server: *mut wsp_server,
    fd: wsp_fd,
    early: *const u8,
    len: usize,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (_, running) = unsafe { open(server) }?;
        // SAFETY: the caller's own, by this function's contract.
        let stream = unsafe { stream(fd) }?;
        // SAFETY: readable for `len` bytes, by this function's contract.
        let early = unsafe { bytes("early", early, len) }?;
        Ok(running.handle.adopt(Adopted::request(stream).early(early))?)
    })
}

/// Hands over a connected TCP or Unix stream socket whose upgrade the host has answered with 101: it is open at once, and
/// `WSP_EVENT_OPEN` tells its id. `early` holds what was read behind the request. `subprotocol` is the one that was
/// agreed on, or null. Origin and limits of a handshake are the host's business here. Otherwise like `wsp_server_adopt`.
///
/// # Errors
///
/// - As `wsp_server_adopt`.
///
/// # Safety
///
/// - As `wsp_server_adopt`; `subprotocol` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_adopt_upgraded(
    server: *mut wsp_server,
    fd: wsp_fd,
    subprotocol: *const c_char,
    conn_user: *mut c_void,
    early: *const u8,
    len: usize,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (_, running) = unsafe { open(server) }?;
        // SAFETY: the caller's own, by this function's contract.
        let stream = unsafe { stream(fd) }?;
        // SAFETY: readable for `len` bytes, by this function's contract.
        let early = unsafe { bytes("early", early, len) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let subprotocol = unsafe { optional_text("subprotocol", subprotocol) }?;
        let data = conn_user.expose_provenance() as u64;
        let adopted = Adopted::upgraded(stream).early(early).data(data);
        let adopted = match subprotocol {
            Some(name) => adopted.subprotocol(name),
            None => adopted,
        };
        Ok(running.handle.adopt(adopted)?)
    })
}

fn wrong(fd: wsp_fd) -> Failure {
    Failure::argument("fd", fd, "must be a socket")
}

/// # Safety
///
/// `fd` is an open socket that the caller owns and gives up.
#[cfg(unix)]
unsafe fn stream(fd: wsp_fd) -> Checked<OwnedStream> {
    use std::os::fd::{FromRawFd, RawFd};
    let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(|| wrong(fd))?;
    // SAFETY: by this function's contract, and not -1.
    Ok(unsafe { OwnedStream::from_raw_fd(fd) })
}

/// # Safety
///
/// `fd` is an open socket that the caller owns and gives up.
#[cfg(windows)]
unsafe fn stream(fd: wsp_fd) -> Checked<OwnedStream> {
    use std::os::windows::io::{FromRawSocket, RawSocket};
    if fd == -1 {
        return Err(wrong(fd));
    }
    // SAFETY: by this function's contract, and not INVALID_SOCKET.
    Ok(unsafe { OwnedStream::from_raw_socket(fd as RawSocket) })
}
