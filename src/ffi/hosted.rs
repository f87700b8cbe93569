//! Hosted mode: the host's own threads drive the shards.

use std::time::Duration;

use super::driving::Hosted;
use super::event::wsp_event;
use super::guard::{Checked, Failure, Out, guard};
use super::server::{open, wsp_server};
use super::status::wsp_status;

/// A file descriptor, or on Windows a `SOCKET`.
pub type wsp_fd = isize;

/// Drives a shard for one turn and takes what happened: sends what was queued since the last turn, waits at most
/// `timeout_ms` (negative: until something happens), reads, and writes up to `capacity` events to `events` and their
/// number to `*count`, which may be 0 (the time is over, `wsp_server_wake`, a timer).
///
/// If a turn brings more events than there is room for, the next calls return the rest at once, without a turn. Payloads
/// and requests of all of them are valid until the call that begins the next turn, that is the first one after `*count`
/// was below `capacity` or the rest was fetched. A host that does not poll reads nothing: its peers' systems notice and
/// stop sending.
///
/// The first thread that polls a shard drives it, until it calls `wsp_server_release`; one thread may drive several
/// shards. What the driving thread sends to connections of its shards goes straight to their outboxes, without a copy
/// of larger payloads that lie in the shard's buffers, and leaves with the next turn or `wsp_server_flush`.
///
/// # Errors
///
/// - `WSP_STATUS_SHUT_DOWN`: the server was stopped, the shard's connections have gone and all events were handed out.
/// - `WSP_STATUS_WRONG_THREAD`: another thread drives the shard, or this is a log callback inside the poll.
/// - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, `capacity` is 0, or there is no such shard.
/// - `WSP_STATUS_UNSUPPORTED`: the server was started by `wsp_server_start`.
/// - `WSP_STATUS_IO`: the system's readiness queue failed.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference.
/// - `events` is null or writable for `capacity` events; `count` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_poll(
    server: *mut wsp_server,
    shard: u32,
    events: *mut wsp_event,
    capacity: usize,
    timeout_ms: i32,
    count: *mut usize,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (_, running) = unsafe { open(server) }?;
        // SAFETY: null or writable, by this function's contract.
        let count = unsafe { Out::new("count", count) }?;
        if events.is_null() {
            return Err(Failure::null("events"));
        }
        if capacity == 0 {
            return Err(Failure::argument("capacity", 0, "must be at least 1"));
        }
        let hosted = running.hosted(shard)?;
        hosted.claim()?;
        let poll = |hosted: &mut Hosted| {
            if hosted.given >= hosted.shard.raw_len() {
                hosted.turn(timeout_ms)?;
            }
            // SAFETY: `events` is writable for `capacity` events, by this function's contract.
            count.set(unsafe { hosted.fill(events, capacity) });
            Ok(())
        };
        hosted.act(poll).unwrap_or(Err(BUSY))
    })
}

const BUSY: Failure = Failure::WrongThread("this thread is driving the shard further up its stack");

impl Hosted {
    fn turn(&mut self, timeout_ms: i32) -> Checked {
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        // Before a turn that fails halfway, so that nothing points to what it has taken away.
        self.requests.clear();
        self.given = usize::MAX;
        self.shard.turn(timeout)?;
        self.given = 0;
        Ok(())
    }

    /// Writes the next events of the last turn, and returns how many.
    ///
    /// # Safety
    ///
    /// `events` is writable for `capacity` events.
    unsafe fn fill(&mut self, events: *mut wsp_event, capacity: usize) -> usize {
        let Hosted { shard, given, requests } = self;
        let mut filled = 0;
        for event in shard.raw_events(*given).take(capacity) {
            let keep = |request| {
                requests.push(Box::new(request));
                requests.last().map_or(std::ptr::null(), |request| &raw const **request)
            };
            // SAFETY: `filled` is below `capacity`, by `take`.
            let place = unsafe { events.add(filled) };
            // SAFETY: writable, by this function's contract.
            unsafe { place.write(wsp_event::from_raw(&event, keep)) };
            filled += 1;
        }
        *given += filled;
        filled
    }
}

/// Sends what was queued since the shard's last turn, without waiting for the next.
///
/// # Errors
///
/// - `WSP_STATUS_WRONG_THREAD`: this thread does not drive the shard.
/// - `WSP_STATUS_INVALID_ARGUMENT`, `WSP_STATUS_UNSUPPORTED`: as `wsp_server_poll`.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_flush(server: *mut wsp_server, shard: u32) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (_, running) = unsafe { open(server) }?;
        let hosted = running.hosted(shard)?;
        hosted.act(|hosted| hosted.shard.flush()).ok_or(NOT_DRIVING)
    })
}

const NOT_DRIVING: Failure = Failure::WrongThread("this thread does not drive the shard");

/// Ends the wait of the shard's poll, or of its next one. May be called from any thread.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`, `WSP_STATUS_UNSUPPORTED`: as `wsp_server_poll`.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_wake(server: *mut wsp_server, shard: u32) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (_, running) = unsafe { open(server) }?;
        running.hosted(shard)?;
        running.handle.wake(shard as usize);
        Ok(())
    })
}

/// Lets another thread drive the shard: the next one that polls it. Payloads of the last turn stay valid until then.
///
/// # Errors
///
/// - `WSP_STATUS_WRONG_THREAD`: this thread does not drive the shard.
/// - `WSP_STATUS_INVALID_ARGUMENT`, `WSP_STATUS_UNSUPPORTED`: as `wsp_server_poll`.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_release(server: *mut wsp_server, shard: u32) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (_, running) = unsafe { open(server) }?;
        running.hosted(shard)?.release()
    })
}

/// The descriptor of the shard's readiness queue, for a host's own event loop: while it is readable (level-triggered),
/// `wsp_server_poll` with `timeout_ms` 0 has something to do. Poll too when `wsp_server_shard_timeout` is over, and
/// after calls that queue something, or flush. It belongs to the server: watch it, nothing else.
///
/// Makes the calling thread the shard's driver, as `wsp_server_poll` does.
///
/// # Errors
///
/// - `WSP_STATUS_UNSUPPORTED`: this system has none (Windows), or the server was started by `wsp_server_start`.
/// - `WSP_STATUS_WRONG_THREAD`, `WSP_STATUS_INVALID_ARGUMENT`: as `wsp_server_poll`.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference; `fd` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_shard_fd(
    server: *mut wsp_server,
    shard: u32,
    fd: *mut wsp_fd,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (_, running) = unsafe { open(server) }?;
        // SAFETY: null or writable, by this function's contract.
        let out = unsafe { Out::new("fd", fd) }?;
        let hosted = running.hosted(shard)?;
        hosted.claim()?;
        out.set(hosted.act(descriptor).unwrap_or(Err(BUSY))?);
        Ok(())
    })
}

#[cfg(all(unix, not(polling_test_poll_backend)))]
fn descriptor(hosted: &mut Hosted) -> Checked<wsp_fd> {
    use std::os::fd::{AsFd, AsRawFd};
    Ok(hosted.shard.as_fd().as_raw_fd() as wsp_fd)
}

#[cfg(not(all(unix, not(polling_test_poll_backend))))]
fn descriptor(_: &mut Hosted) -> Checked<wsp_fd> {
    Err(Failure::unsupported("this system has no descriptor to wait on for the others"))
}

/// How long a host that waits on `wsp_server_shard_fd` may wait before it polls: milliseconds, 0 for at once, -1 for
/// ever. Ask before each wait. Makes the calling thread the shard's driver, as `wsp_server_poll` does.
///
/// # Errors
///
/// - `WSP_STATUS_WRONG_THREAD`, `WSP_STATUS_INVALID_ARGUMENT`, `WSP_STATUS_UNSUPPORTED`: as `wsp_server_poll`.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference; `timeout_ms` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_shard_timeout(
    server: *mut wsp_server,
    shard: u32,
    timeout_ms: *mut i32,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (_, running) = unsafe { open(server) }?;
        // SAFETY: null or writable, by this function's contract.
        let out = unsafe { Out::new("timeout_ms", timeout_ms) }?;
        let hosted = running.hosted(shard)?;
        hosted.claim()?;
        let timeout = |hosted: &mut Hosted| match hosted.given < hosted.shard.raw_len() {
            true => Some(Duration::ZERO),
            false => hosted.shard.timeout(),
        };
        let timeout = hosted.act(timeout).ok_or(BUSY)?;
        // Rounded up: a poll that comes before its timer finds nothing and is to be repeated at once.
        let round_up =
            |timeout: Duration| timeout.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128);
        out.set(timeout.map_or(-1, |timeout| round_up(timeout) as i32));
        Ok(())
    })
}
