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
    /// Connections refused because there were too many, in all or from one address, or because they came from
    /// elsewhere than a trusted proxy.
    pub refused: u64,
    /// Bytes that wait to be sent, now: what is left of each outbox after it was tried, and what gathers
    /// (`wsp_config_set_push_merge_ms`).
    pub queue_bytes: u64,
    /// Calls of the system by which bytes were sent; what leaves together counts once.
    pub sends: u64,
    /// Memberships, now: the sum of the rooms' members.
    pub memberships: u64,
    /// Bytes of memory of the shard's own structures, now: entries, timers, rooms, read buffer and spare outboxes.
    /// What waits to be sent is counted by `queue_bytes`. Looked at when the clock of the timers moves.
    pub memory: u64,
    /// Of `dropped`: because the policy is to close slow consumers.
    pub dropped_slow_consumer: u64,
    /// Of `dropped`: new messages, because the policy is to drop those.
    pub dropped_new: u64,
    /// Of `dropped`: old messages, because the policy is to drop those.
    pub dropped_old: u64,
    /// Of `dropped`: the connection had gone.
    pub dropped_gone: u64,
    /// Connections that were to join a room and were in as many as `max_rooms_per_connection` allows.
    pub joins_refused: u64,
    /// Calls that found the mailbox full.
    pub mailbox_full: u64,
    /// Connections that ended with close code 1000: that of the peer's close frame (1005 if it had none), or, if no
    /// close frame came, that of ours, or 1006 if there was none either.
    pub closed_1000: u64,
    /// The same with 1001.
    pub closed_1001: u64,
    /// The same with 1002.
    pub closed_1002: u64,
    /// The same with 1003.
    pub closed_1003: u64,
    /// The same with 1005.
    pub closed_1005: u64,
    /// The same with 1006.
    pub closed_1006: u64,
    /// The same with 1007.
    pub closed_1007: u64,
    /// The same with 1008.
    pub closed_1008: u64,
    /// The same with 1009.
    pub closed_1009: u64,
    /// The same with 1010.
    pub closed_1010: u64,
    /// The same with 1011.
    pub closed_1011: u64,
    /// The same with 1012.
    pub closed_1012: u64,
    /// The same with 1013.
    pub closed_1013: u64,
    /// The same with 1014.
    pub closed_1014: u64,
    /// The same with 3000 to 3999.
    pub closed_3xxx: u64,
    /// The same with 4000 to 4999.
    pub closed_4xxx: u64,
    /// Of `answered`: with 400, the request is not HTTP or not a handshake.
    pub answered_400: u64,
    /// Of `answered`: with 403, the origin is not allowed.
    pub answered_403: u64,
    /// Of `answered`: with 408, the handshake took too long.
    pub answered_408: u64,
    /// Of `answered`: with 426, no upgrade was asked for, or one of another version.
    pub answered_426: u64,
    /// Of `answered`: with 429, too many connections from one address.
    pub answered_429: u64,
    /// Of `answered`: with 431, the request is too large.
    pub answered_431: u64,
    /// Of `answered`: with 503, too many connections, or the server is shutting down.
    pub answered_503: u64,
    /// Of `answered`: with any other 4xx.
    pub answered_4xx: u64,
    /// Of `answered`: with any other 5xx.
    pub answered_5xx: u64,
    /// Of `answered`: with 2xx and 3xx, which a handler did.
    pub answered_other: u64,
    /// Loop lag in nanoseconds: how long a turn lasts, from the end of a wait to the end of all that it brought
    /// about, which is how long something that comes meanwhile has to wait. The exponential mean over turns, each of
    /// which weighs one sixteenth. In hosted mode, what the host does between two turns is not in it. Of a whole
    /// server, that of the slowest shard.
    pub loop_lag_ns: u64,
    /// The longest turn in nanoseconds, of this second and the one before; the seconds are 1,024 ms and begin with
    /// the shard. Of a whole server, that of the slowest shard.
    pub loop_lag_max_ns: u64,
    /// Of `refused`: too many in all.
    pub refused_max_connections: u64,
    /// Of `refused`: too many from one address.
    pub refused_max_connections_per_ip: u64,
    /// Messages pushed to one connection or a list of them; each call counts once, however many it is for. Only for
    /// the whole server, as `refused` and those below.
    pub pushed_conns: u64,
    /// Messages pushed to rooms.
    pub pushed_rooms: u64,
    /// Messages pushed to everybody.
    pub pushed_all: u64,
    /// Of `refused`: not from a trusted proxy (`wsp_config_set_proxy_protocol`).
    pub refused_untrusted: u64,
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
            queue_bytes,
            sends,
            memberships,
            memory,
            dropped_slow_consumer,
            dropped_new,
            dropped_old,
            dropped_gone,
            joins_refused,
            mailbox_full,
            closed_1000,
            closed_1001,
            closed_1002,
            closed_1003,
            closed_1005,
            closed_1006,
            closed_1007,
            closed_1008,
            closed_1009,
            closed_1010,
            closed_1011,
            closed_1012,
            closed_1013,
            closed_1014,
            closed_3xxx,
            closed_4xxx,
            answered_400,
            answered_403,
            answered_408,
            answered_426,
            answered_429,
            answered_431,
            answered_503,
            answered_4xx,
            answered_5xx,
            answered_other,
            loop_lag_ns,
            loop_lag_max_ns,
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
            queue_bytes,
            sends,
            memberships,
            memory,
            dropped_slow_consumer,
            dropped_new,
            dropped_old,
            dropped_gone,
            joins_refused,
            mailbox_full,
            closed_1000,
            closed_1001,
            closed_1002,
            closed_1003,
            closed_1005,
            closed_1006,
            closed_1007,
            closed_1008,
            closed_1009,
            closed_1010,
            closed_1011,
            closed_1012,
            closed_1013,
            closed_1014,
            closed_3xxx,
            closed_4xxx,
            answered_400,
            answered_403,
            answered_408,
            answered_426,
            answered_429,
            answered_431,
            answered_503,
            answered_4xx,
            answered_5xx,
            answered_other,
            loop_lag_ns,
            loop_lag_max_ns,
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
            refused_max_connections: all.refused_max_connections,
            refused_max_connections_per_ip: all.refused_max_connections_per_ip,
            pushed_conns: all.pushed_conns,
            pushed_rooms: all.pushed_rooms,
            pushed_all: all.pushed_all,
            refused_untrusted: all.refused_untrusted,
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
