//! The portable poller by itself: epoll, kqueue or IOCP over any socket, without a server.

use std::io;
use std::time::Duration;

use crate::error::Error;
use crate::reactor::poller::{Mode, RawPoller, RawSource, Watch};

use super::guard::{Checked, Failure, Out, guard, handle};
use super::hosted::wsp_fd;
use super::status::wsp_status;

/// A readiness queue of the system. Sockets are added, modified and removed from any thread, also while another thread
/// waits; one thread at a time waits.
pub struct wsp_poller(RawPoller);

/// Report when reading would not block. Or-ed with the next, or 0 for neither.
pub const WSP_INTEREST_READ: u32 = 1;
/// Report when writing would not block.
pub const WSP_INTEREST_WRITE: u32 = 2;

/// How often a socket is reported.
pub type wsp_poll_mode = u32;

/// Once; `wsp_poller_modify` arms it again. On every system.
pub const WSP_POLL_MODE_ONESHOT: wsp_poll_mode = 0;
/// As long as it is ready. On every system; emulated on Windows.
pub const WSP_POLL_MODE_LEVEL: wsp_poll_mode = 1;
/// When it becomes ready. With epoll and kqueue, not on Windows.
pub const WSP_POLL_MODE_EDGE: wsp_poll_mode = 2;

/// Reading would not block.
pub const WSP_READY_READ: u32 = 1;
/// Writing would not block.
pub const WSP_READY_WRITE: u32 = 2;
/// The peer has gone, where the system tells.
pub const WSP_READY_HANG_UP: u32 = 4;
/// An error waits, where the system tells.
pub const WSP_READY_ERROR: u32 = 8;

/// A socket that is ready.
#[repr(C)]
pub struct wsp_ready {
    /// The key that it was added with.
    pub key: u64,
    /// `WSP_READY_*`, or-ed.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

/// Makes a poller. `wsp_poller_free` frees it.
///
/// # Errors
///
/// - `WSP_STATUS_IO`: the system refuses.
/// - `WSP_STATUS_INVALID_ARGUMENT`: `poller` is null.
///
/// # Safety
///
/// - `poller` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_poller_new(poller: *mut *mut wsp_poller) -> wsp_status {
    guard(|| {
        // SAFETY: null or writable, by this function's contract.
        let out = unsafe { Out::new("poller", poller) }?;
        let made = RawPoller::new().map_err(failed("making a poller"))?;
        out.set(Box::into_raw(Box::new(wsp_poller(made))));
        Ok(())
    })
}

/// Frees a poller. Null is ignored. Sockets that are left in it stay open.
///
/// # Safety
///
/// - `poller` is null, or came from `wsp_poller_new` and is used by nobody any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_poller_free(poller: *mut wsp_poller) {
    if !poller.is_null() {
        // SAFETY: came from `wsp_poller_new`, which boxed it, and is not used again, by this function's contract.
        drop(unsafe { Box::from_raw(poller) });
    }
}

/// Watches a socket, which is set to non-blocking mode by the caller. It has to be removed before it is closed.
///
/// # Errors
///
/// - `WSP_STATUS_IO`: the system refuses, for instance because the socket is watched already.
/// - `WSP_STATUS_UNSUPPORTED`: this system has no such mode.
/// - `WSP_STATUS_INVALID_ARGUMENT`: `poller` is null, `fd` cannot be a socket, `interest` or `mode` is none, or `key` is
///   `UINT64_MAX` or too large for a pointer.
///
/// # Safety
///
/// - `poller` is null, or came from `wsp_poller_new` and is not freed meanwhile.
/// - `fd` is open, and is removed before it is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_poller_add(
    poller: *mut wsp_poller,
    fd: wsp_fd,
    key: u64,
    interest: u32,
    mode: wsp_poll_mode,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let wsp_poller(poller) = unsafe { handle("poller", poller.cast_const()) }?;
        let watch = watch(key, interest, mode)?;
        // SAFETY: removed before it is closed, by this function's contract.
        let added = unsafe { poller.add(fd as RawSource, watch) };
        added.map_err(failed("watching a socket"))
    })
}

/// Changes key, interest and mode of a socket that is watched, and arms it again.
///
/// # Errors
///
/// - As `wsp_poller_add`; `WSP_STATUS_IO` also if it is not watched.
///
/// # Safety
///
/// - `poller` is null, or came from `wsp_poller_new` and is not freed meanwhile; `fd` is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_poller_modify(
    poller: *mut wsp_poller,
    fd: wsp_fd,
    key: u64,
    interest: u32,
    mode: wsp_poll_mode,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let wsp_poller(poller) = unsafe { handle("poller", poller.cast_const()) }?;
        let watch = watch(key, interest, mode)?;
        poller
            .modify(fd as RawSource, watch)
            .map_err(failed("changing what a socket is watched for"))
    })
}

/// Watches a socket no longer. Events of it that a wait has returned already are not taken back.
///
/// # Errors
///
/// - `WSP_STATUS_IO`: it is not watched.
/// - `WSP_STATUS_INVALID_ARGUMENT`: `poller` is null or `fd` cannot be a socket.
///
/// # Safety
///
/// - `poller` is null, or came from `wsp_poller_new` and is not freed meanwhile; `fd` is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_poller_remove(poller: *mut wsp_poller, fd: wsp_fd) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let wsp_poller(poller) = unsafe { handle("poller", poller.cast_const()) }?;
        poller.remove(fd as RawSource).map_err(failed("watching a socket no longer"))
    })
}

/// Waits until sockets are ready, `wsp_poller_notify` is called or `timeout_ms` is over (negative: for ever), and writes
/// up to `capacity` of them to `events` and their number to `*count`, which may be 0. A socket may be reported twice,
/// once for reading and once for writing.
///
/// # Errors
///
/// - `WSP_STATUS_WRONG_THREAD`: another thread is waiting.
/// - `WSP_STATUS_IO`: the system's readiness queue failed.
/// - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, or `capacity` is 0.
///
/// # Safety
///
/// - `poller` is null, or came from `wsp_poller_new` and is not freed meanwhile.
/// - `events` is null or writable for `capacity` events; `count` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_poller_wait(
    poller: *mut wsp_poller,
    events: *mut wsp_ready,
    capacity: usize,
    timeout_ms: i32,
    count: *mut usize,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let wsp_poller(poller) = unsafe { handle("poller", poller.cast_const()) }?;
        // SAFETY: null or writable, by this function's contract.
        let count = unsafe { Out::new("count", count) }?;
        if events.is_null() {
            return Err(Failure::null("events"));
        }
        if capacity == 0 {
            return Err(Failure::argument("capacity", 0, "must be at least 1"));
        }
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        let mut found = 0;
        let waited = poller.wait(capacity.min(MOST), timeout, |ready| {
            if found == capacity {
                return;
            }
            let flag = |is, flag| if is { flag } else { 0 };
            let flags = flag(ready.read, WSP_READY_READ)
                | flag(ready.write, WSP_READY_WRITE)
                | flag(ready.hung_up, WSP_READY_HANG_UP)
                | flag(ready.error, WSP_READY_ERROR);
            // SAFETY: `found` is below `capacity`.
            let place = unsafe { events.add(found) };
            // SAFETY: writable, by this function's contract.
            unsafe { place.write(wsp_ready { key: ready.key as u64, flags, reserved: 0 }) };
            found += 1;
        });
        waited.map_err(|e| match e.kind() {
            io::ErrorKind::ResourceBusy => Failure::WrongThread("another thread is waiting"),
            _ => failed("waiting")(e),
        })?;
        count.set(found);
        Ok(())
    })
}

/// Most that one wait asks the system for, whatever room there is.
const MOST: usize = 4096;

/// Ends the wait of another thread, or the next one. Several calls before that end one wait.
///
/// # Errors
///
/// - `WSP_STATUS_IO`: the system refuses.
/// - `WSP_STATUS_INVALID_ARGUMENT`: `poller` is null.
///
/// # Safety
///
/// - `poller` is null, or came from `wsp_poller_new` and is not freed meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_poller_notify(poller: *mut wsp_poller) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let wsp_poller(poller) = unsafe { handle("poller", poller.cast_const()) }?;
        poller.notify().map_err(failed("ending a wait"))
    })
}

fn watch(key: u64, interest: u32, mode: wsp_poll_mode) -> Checked<Watch> {
    let wrong_key = || Failure::argument("key", key, "must be below UINT64_MAX and fit a pointer");
    let key = usize::try_from(key).ok().filter(|key| *key != usize::MAX).ok_or_else(wrong_key)?;
    if interest & !(WSP_INTEREST_READ | WSP_INTEREST_WRITE) != 0 {
        return Err(Failure::argument("interest", interest, "must be of WSP_INTEREST_*"));
    }
    let mode = match mode {
        WSP_POLL_MODE_ONESHOT => Mode::Oneshot,
        WSP_POLL_MODE_LEVEL => Mode::Level,
        WSP_POLL_MODE_EDGE => Mode::Edge,
        _ => return Err(Failure::argument("mode", mode, "must be a WSP_POLL_MODE_*")),
    };
    let [read, write] = [WSP_INTEREST_READ, WSP_INTEREST_WRITE].map(|bit| interest & bit != 0);
    Ok(Watch { key, read, write, mode })
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> Failure {
    move |e| match e.kind() {
        io::ErrorKind::InvalidInput if e.raw_os_error().is_none() => {
            Failure::argument("fd", "out of range", "must be a socket")
        }
        io::ErrorKind::Unsupported => Failure::unsupported(format!("{doing}: {e}")),
        _ => Failure::Error(Error::io(doing, e)),
    }
}
