//! Counters.

use crate::shard::stats::ShardStats;

use super::guard::{Checked, Failure, guard};
use super::server::{open, wsp_server};
use super::status::wsp_status;

/// What was counted since the start, as of each shard's last turn; the first three are as things are now.
#[derive(Default)]
#[repr(C)]
pub struct wsp_stats {
    /// Set it to `sizeof(wsp_stats)` before the call.
    pub size: usize,
    /// Open WebSocket connections, now.
    pub connections: u64,
    /// Connections in any state, handshakes and closing ones included, now.
    pub sockets: u64,
    /// Rooms with members, now. A room counts once for each shard that has members of it.
    pub rooms: u64,
    /// Connections that were opened by a handshake.
    pub opened: u64,
    /// Requests that were answered with a status other than 101.
    pub answered: u64,
    /// Messages received, or pieces of them where fragments are streamed.
    pub messages_in: u64,
    /// Messages queued for sending; a broadcast counts once for each receiver.
    pub messages_out: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
    /// Messages dropped because an outbox was full or a connection gone.
    pub dropped: u64,
    /// Connections closed because they did not take what was pushed.
    pub slow_consumers: u64,
    /// Connections failed because the peer broke the protocol.
    pub violations: u64,
    /// Connections cut by a timeout.
    pub timeouts: u64,
    /// Panics that were caught.
    pub panics: u64,
    /// Turns of the loops.
    pub turns: u64,
    /// Connections accepted. Only for the whole server, as those below.
    pub accepted: u64,
    /// Accepts that failed, most often for want of descriptors.
    pub accept_errors: u64,
    /// Connections refused because there were too many, in all or from one address.
    pub refused: u64,
}

impl wsp_stats {
    fn new(shard: &ShardStats) -> wsp_stats {
        // Everything is named, so that what the library counts and C cannot see is a compile error here.
        let &ShardStats {
            connections,
            sockets,
            rooms,
            opened,
            answered,
            messages_in,
            messages_out,
            bytes_in,
            bytes_out,
            dropped,
            slow_consumers,
            violations,
            timeouts,
            panics,
            turns,
        } = shard;
        wsp_stats {
            connections,
            sockets,
            rooms,
            opened,
            answered,
            messages_in,
            messages_out,
            bytes_in,
            bytes_out,
            dropped,
            slow_consumers,
            violations,
            timeouts,
            panics,
            turns,
            ..wsp_stats::default()
        }
    }

    /// Writes as much as the caller's struct has room for.
    ///
    /// # Safety
    ///
    /// `stats` is null, or its `size` is readable and as many bytes are writable.
    unsafe fn give(mut self, stats: *mut wsp_stats) -> Checked {
        if stats.is_null() {
            return Err(Failure::null("stats"));
        }
        // SAFETY: its first field is readable, by this function's contract.
        let size = unsafe { stats.cast::<usize>().read() };
        if size < size_of::<usize>() + size_of::<u64>() {
            let reason = format!("must be sizeof(wsp_stats), {}", size_of::<wsp_stats>());
            return Err(Failure::argument("stats.size", size, reason));
        }
        self.size = size;
        let common = size.min(size_of::<wsp_stats>());
        // SAFETY: `common` bytes are readable here and, by this function's contract, writable there.
        unsafe {
            std::ptr::copy_nonoverlapping((&raw const self).cast::<u8>(), stats.cast(), common)
        };
        Ok(())
    }
}

/// What the whole server has counted. May be called from any thread, also inside a callback.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, or `stats->size` is wrong.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
/// - `stats` is null, or its `size` is readable and as many bytes are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_stats(
    server: *const wsp_server,
    stats: *mut wsp_stats,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (_, running) = unsafe { open(server) }?;
        let all = running.handle.stats();
        let counted = wsp_stats {
            accepted: all.accepted,
            accept_errors: all.accept_errors,
            refused: all.refused,
            ..wsp_stats::new(&all.total)
        };
        // SAFETY: by this function's contract.
        unsafe { counted.give(stats) }
    })
}

/// What one shard has counted; otherwise like `wsp_server_stats`.
///
/// # Errors
///
/// - As `wsp_server_stats`; `WSP_STATUS_INVALID_ARGUMENT` also if there is no such shard.
///
/// # Safety
///
/// - As `wsp_server_stats`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_shard_stats(
    server: *const wsp_server,
    shard: u32,
    stats: *mut wsp_stats,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let (_, running) = unsafe { open(server) }?;
        let shard = running.check_shard(shard)?;
        let all = running.handle.stats();
        let counted = all.shards.get(shard).map(wsp_stats::new).unwrap_or_default();
        // SAFETY: by this function's contract.
        unsafe { counted.give(stats) }
    })
}
