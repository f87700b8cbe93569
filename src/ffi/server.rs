//! Server: from its start to its end.

use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::error::Error;
use crate::server::{Server, ServerHandle};

use super::callbacks::{Host, wsp_callbacks};
use super::config::wsp_config;
use super::driving::HostedShard;
use super::guard::{Checked, Failure, Out, guard, guard_value, handle, silence_panics};
use super::status::wsp_status;

/// A running server. Any thread may use it, as long as it holds a reference: the one that `wsp_server_start` returned,
/// or one more of its own from `wsp_server_retain`.
pub struct wsp_server {
    running: OnceLock<Running>,
    /// References that the host holds.
    references: AtomicUsize,
}

pub(super) struct Running {
    pub(super) server: Server,
    pub(super) handle: ServerHandle,
    /// In hosted mode.
    pub(super) hosted: Box<[HostedShard]>,
    shards: usize,
}

/// For `wsp_server_stop` and `wsp_server_drain`: what the configuration says.
pub const WSP_DRAIN_TIMEOUT_DEFAULT: u32 = 0xffff_ffff;

impl wsp_server {
    fn new() -> Arc<wsp_server> {
        Arc::new(wsp_server { running: OnceLock::new(), references: AtomicUsize::new(1) })
    }

    /// Hands the server to its host.
    fn give(self: Arc<Self>, running: Running, out: Out<*mut wsp_server>) {
        let _ = self.running.set(running);
        out.set(Arc::into_raw(self).cast_mut());
    }

    /// Waits until the start is done.
    #[inline]
    pub(super) fn wait(&self) {
        self.running.wait();
    }

    #[inline]
    pub(super) fn running(&self) -> Checked<&Running> {
        self.running.get().ok_or(Failure::Error(Error::ShutDown))
    }
}

/// The server behind a handle, and what of it runs.
///
/// # Safety
///
/// `server` is null, or a server of which the caller holds a reference for as long as `'a`.
#[inline]
pub(super) unsafe fn open<'a>(server: *const wsp_server) -> Checked<(&'a wsp_server, &'a Running)> {
    // SAFETY: by this function's contract.
    let server = unsafe { handle("server", server) }?;
    Ok((server, server.running()?))
}

/// Starts a server on threads of its own, one for each shard and one that accepts, which call `callbacks`.
///
/// `config` and `callbacks` are copied; a null `config` means all defaults. On success `*server` is a reference that
/// `wsp_server_free` gives back. Callbacks may run before this returns.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_SETTING`: a setting cannot have its value, or two contradict each other.
/// - `WSP_STATUS_INVALID_ARGUMENT`: `callbacks` or `server` is null, or the table's size is wrong.
/// - `WSP_STATUS_IO`: an address cannot be listened on, or the system refuses a poller or a thread.
///
/// # Safety
///
/// - `config` is null, or came from `wsp_config_new` and is not changed meanwhile.
/// - `callbacks` is null or readable for `callbacks->size` bytes. Its functions may be called from any thread with its
///   `user`, until the server has stopped.
/// - `server` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_start(
    config: *const wsp_config,
    callbacks: *const wsp_callbacks,
    server: *mut *mut wsp_server,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or writable, by this function's contract.
        let out = unsafe { Out::new("server", server) }?;
        // SAFETY: null or readable, by this function's contract.
        let callbacks = unsafe { wsp_callbacks::read(callbacks) }?;
        // SAFETY: null or live, by this function's contract.
        let config = unsafe { config.as_ref() }.cloned().unwrap_or_default();
        silence_panics();
        let server = wsp_server::new();
        let host = || Host { server: Arc::clone(&server), callbacks };
        let (first, last) = (host(), host());
        let started = Server::builder()
            .config(config.config)
            .handler(host())
            .on_thread_start(move |shard| first.on_thread(first.callbacks.on_thread_start, shard))
            .on_thread_stop(move |shard| last.on_thread(last.callbacks.on_thread_stop, shard))
            .start()?;
        server.give(Running::new(started, Box::default()), out);
        Ok(())
    })
}

/// Starts a server whose shards the host drives by `wsp_server_poll`. Only accepting has a thread of the library's.
///
/// # Errors
///
/// - As `wsp_server_start`.
///
/// # Safety
///
/// - `config` is null, or came from `wsp_config_new` and is not changed meanwhile.
/// - `server` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_start_hosted(
    config: *const wsp_config,
    server: *mut *mut wsp_server,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or writable, by this function's contract.
        let out = unsafe { Out::new("server", server) }?;
        // SAFETY: null or live, by this function's contract.
        let config = unsafe { config.as_ref() }.cloned().unwrap_or_default();
        silence_panics();
        let (started, shards) = Server::builder()
            .config(config.config)
            .decide_upgrades(config.decide_upgrades)
            .start_hosted()?;
        let hosted = shards.into_iter().map(HostedShard::new).collect();
        wsp_server::new().give(Running::new(started, hosted), out);
        Ok(())
    })
}

impl Running {
    fn new(server: Server, hosted: Box<[HostedShard]>) -> Running {
        let handle = server.handle();
        let shards = handle.shards();
        Running { server, handle, hosted, shards }
    }

    /// A shard's number that C gave.
    pub(super) fn check_shard(&self, shard: u32) -> Checked<usize> {
        if (shard as usize) < self.shards {
            return Ok(shard as usize);
        }
        Err(Failure::argument("shard", shard, format!("must be below {}", self.shards)))
    }

    /// A shard that the host drives.
    pub(super) fn hosted(&self, shard: u32) -> Checked<&HostedShard> {
        let shard = self.check_shard(shard)?;
        self.hosted.get(shard).ok_or_else(|| {
            Failure::unsupported("the library's threads drive the shards of a managed server")
        })
    }
}

/// Takes one more reference, which needs a `wsp_server_free` of its own, and returns `server`. A thread that calls a
/// server while another may free it holds a reference.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_retain(server: *mut wsp_server) -> *mut wsp_server {
    guard_value(std::ptr::null_mut(), || {
        // SAFETY: null or live, by this function's contract.
        if let Ok(held) = unsafe { handle("server", server) } {
            held.references.fetch_add(1, Ordering::Relaxed);
            // SAFETY: live, and the pointer is one of `Arc::into_raw` (or `Arc::as_ptr`, inside a callback).
            unsafe { Arc::increment_strong_count(server.cast_const()) };
        }
        server
    })
}

/// Gives a reference back. Null is ignored. With the last one the server ends: connections that are left are cut, and
/// when this returns no callback is running any more, except one that this is called from.
///
/// In hosted mode no thread may be inside a call upon the server; the shards and their last events are gone.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference and does not use it again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_free(server: *mut wsp_server) {
    guard_value((), || {
        if server.is_null() {
            return;
        }
        // SAFETY: the caller's reference is one of `Arc::into_raw` or `Arc::increment_strong_count`, and is given up.
        let server = unsafe { Arc::from_raw(server.cast_const()) };
        if server.references.fetch_sub(1, Ordering::AcqRel) == 1
            && let Ok(running) = server.running()
        {
            running.server.shutdown(Duration::ZERO);
        }
    });
}

/// Ends the server: nothing more is accepted, every connection is closed with 1001 behind what waits for it, and what has
/// not gone after `drain_timeout_ms` is cut. The server is still to be freed; calls upon it return
/// `WSP_STATUS_SHUT_DOWN`.
///
/// Managed mode: returns when the library's threads have ended; inside a callback it does not wait for the callback's own
/// thread. Hosted mode: returns at once; each shard is to be polled until that returns `WSP_STATUS_SHUT_DOWN`. May be
/// called from any thread, more than once.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: `server` is null.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_stop(
    server: *mut wsp_server,
    drain_timeout_ms: u32,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (_, running) = unsafe { open(server) }?;
        running.server.shutdown(running.drain_timeout(drain_timeout_ms));
        Ok(())
    })
}

/// Begins to end the server as `wsp_server_stop` does, and does not wait.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: `server` is null.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_drain(
    server: *mut wsp_server,
    drain_timeout_ms: u32,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (_, running) = unsafe { open(server) }?;
        running.handle.shutdown(running.drain_timeout(drain_timeout_ms));
        Ok(())
    })
}

impl Running {
    fn drain_timeout(&self, ms: u32) -> Duration {
        match ms {
            WSP_DRAIN_TIMEOUT_DEFAULT => self.handle.drain_timeout(),
            ms => Duration::from_millis(ms.into()),
        }
    }
}

/// How many shards the server has; 0 if `server` is null.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_shards(server: *const wsp_server) -> u32 {
    // SAFETY: by this function's contract.
    unsafe { read(server, 0, |running| running.shards as u32) }
}

/// The port of the first IP address that is listened on, the one that the system chose where 0 was asked for; 0 if there
/// is none.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_port(server: *const wsp_server) -> u16 {
    // SAFETY: by this function's contract.
    unsafe { read(server, 0, |running| running.server.local_addr().port()) }
}

/// Open connections, as of each shard's last turn.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_connections(server: *const wsp_server) -> usize {
    // SAFETY: by this function's contract.
    unsafe { read(server, 0, |running| running.handle.connections()) }
}

/// # Safety
///
/// `server` is null, or a server of which the caller holds a reference.
pub(super) unsafe fn read<T>(
    server: *const wsp_server,
    otherwise: T,
    get: impl FnOnce(&Running) -> T,
) -> T {
    // SAFETY: by this function's contract.
    match unsafe { open(server) } {
        Ok((_, running)) => get(running),
        Err(_) => otherwise,
    }
}

/// Writes what is listened on, `"127.0.0.1:8000"` or `"unix:/path"`, to `text`, with a NUL. `index` counts from 0 in the
/// order of the configuration. 128 bytes are always enough.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: there is no such address, `capacity` is too small, or a pointer is null.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
/// - `text` is null or writable for `capacity` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_local_addr(
    server: *const wsp_server,
    index: u32,
    text: *mut c_char,
    capacity: usize,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (_, running) = unsafe { open(server) }?;
        // SAFETY: only checked for null here.
        unsafe { Out::new("text", text.cast::<c_void>()) }?;
        let addresses = running.server.local_addrs();
        let address = addresses.get(index as usize).ok_or_else(|| {
            Failure::argument("index", index, format!("must be below {}", addresses.len()))
        })?;
        let address = address.to_string();
        if capacity <= address.len() {
            let reason = format!("must be at least {}", address.len() + 1);
            return Err(Failure::argument("capacity", capacity, reason));
        }
        // SAFETY: `text` is writable for `capacity` bytes, by this function's contract, which are more.
        unsafe { text.cast::<u8>().copy_from_nonoverlapping(address.as_ptr(), address.len()) };
        // SAFETY: one byte behind, within the same capacity.
        let end = unsafe { text.add(address.len()) };
        // SAFETY: as above.
        unsafe { end.write(0) };
        Ok(())
    })
}
