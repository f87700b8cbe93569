//! Configuration: what a server is told before it starts.

use std::ffi::c_char;
use std::time::Duration;

use crate::config::{Config, SlowConsumer};

use super::guard::{Checked, Failure, guard, guard_value, handle, handle_mut, text};
use super::status::wsp_status;

/// Settings of a server, all with defaults that are meant for use. Belongs to one thread at a time; a server copies
/// what it needs, so one configuration may start many and be freed at once.
///
/// A setter checks what it can alone; the values are checked against each other by `wsp_config_check` and when a server
/// starts. Times are milliseconds, sizes bytes; 0 means *no limit* or *never* where a setter does not say otherwise.
#[derive(Clone, Default)]
pub struct wsp_config {
    pub(super) config: Config,
    pub(super) decide_upgrades: bool,
    /// The addresses are the caller's and no longer the default.
    pub(super) listens: bool,
}

/// What happens to a message from another thread, a room or a broadcast for which a connection's outbox has no room.
pub type wsp_slow_consumer = u32;

/// The connection is closed with 1008; what it had not read is dropped.
pub const WSP_SLOW_CONSUMER_CLOSE: wsp_slow_consumer = 0;
/// The new message is dropped.
pub const WSP_SLOW_CONSUMER_DROP_NEW: wsp_slow_consumer = 1;
/// The oldest whole messages that are not on the wire yet make room.
pub const WSP_SLOW_CONSUMER_DROP_OLD: wsp_slow_consumer = 2;

/// Makes a configuration of defaults. `wsp_config_free` frees it.
#[unsafe(no_mangle)]
pub extern "C" fn wsp_config_new() -> *mut wsp_config {
    guard_value(std::ptr::null_mut(), || Box::into_raw(Box::default()))
}

/// Frees a configuration. Null is ignored.
///
/// # Safety
///
/// - `config` is null, or came from `wsp_config_new` and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_free(config: *mut wsp_config) {
    if !config.is_null() {
        // SAFETY: came from `wsp_config_new`, which boxed it, and is not used again, by this function's contract.
        drop(unsafe { Box::from_raw(config) });
    }
}

/// Sets any setting by its name and as text, so that a host can pass its own configuration through: `"listen"` to
/// `"0.0.0.0:8000,[::1]:8000"`, `"max_message_size"` to `"1MiB"`, `"ping_interval"` to `"30s"`. Dashes in names are as
/// good as underscores.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_SETTING`: there is no such setting or it cannot have this value; the message names both.
/// - `WSP_STATUS_INVALID_ARGUMENT`: an argument is null or not UTF-8.
///
/// # Safety
///
/// - `config` is null, or came from `wsp_config_new` and is not used by another thread.
/// - `name` and `value` are null or end with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set(
    config: *mut wsp_config,
    name: *const c_char,
    value: *const c_char,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live and this thread's, by this function's contract.
        let config = unsafe { handle_mut("config", config) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let name = unsafe { text("name", name) }?;
        // SAFETY: as above.
        let value = unsafe { text("value", value) }?;
        config.config.set(name, value)?;
        config.listens |= name.eq_ignore_ascii_case("listen");
        Ok(())
    })
}

/// Checks every setting by itself and against the others, as the start of a server does.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_SETTING`: the message names the first wrong setting, its value and what is wrong with it.
/// - `WSP_STATUS_INVALID_ARGUMENT`: `config` is null.
///
/// # Safety
///
/// - `config` is null, or came from `wsp_config_new` and is not changed by another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_check(config: *const wsp_config) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let config = unsafe { handle("config", config) }?;
        Ok(config.config.validate()?)
    })
}

/// Event loops, each on a thread of its own; 0, the default, means one for each core.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_shards(config: *mut wsp_config, shards: u32) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.shards = shards as usize) }
}

/// Connections that the kernel completes before they are accepted. Default: 4096.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_backlog(
    config: *mut wsp_config,
    connections: u32,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.backlog = connections) }
}

/// Largest message taken, fragments added up; a larger one closes with 1009. Default: 64 KiB. 0 takes empty messages
/// only.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_max_message_size(
    config: *mut wsp_config,
    bytes: usize,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.max_message_size = bytes) }
}

/// Hands over messages that do not come in one piece as `WSP_EVENT_FRAGMENT`s, as they come, instead of putting them
/// together. Default: false.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_stream_fragments(
    config: *mut wsp_config,
    on: bool,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.stream_fragments = on) }
}

/// Whose pages may connect: `"same"` (the default; those of the host that the request names), `"any"`, or a list such as
/// `"https://example.com,*.example.org"`. Programs that are no browsers send no origin and pass.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_SETTING`: it is none of these.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`; `origin` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_origin(
    config: *mut wsp_config,
    origin: *const c_char,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live and this thread's, by this function's contract.
        let config = unsafe { handle_mut("config", config) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let origin = unsafe { text("origin", origin) }?;
        Ok(config.config.set("origin", origin)?)
    })
}

/// Speaks one more subprotocol, after those that were added before. Without an answer of the host's, the first of these
/// that the client offers is chosen.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_SETTING`: the name is not a token (RFC 9110).
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`; `name` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_add_subprotocol(
    config: *mut wsp_config,
    name: *const c_char,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live and this thread's, by this function's contract.
        let config = unsafe { handle_mut("config", config) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let name = unsafe { text("name", name) }?;
        let mut one = Config::default();
        one.set("subprotocols", name)?;
        config.config.subprotocols.append(&mut one.subprotocols);
        Ok(())
    })
}

/// Largest request head; a larger one is answered with 431. Default: 8 KiB; 128 to 65536.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_max_handshake_bytes(
    config: *mut wsp_config,
    bytes: usize,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.max_handshake_bytes = bytes) }
}

/// From accept to the end of the handshake, a deferred answer included; then 408. Default: 10 s.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_handshake_timeout_ms(
    config: *mut wsp_config,
    ms: u32,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.handshake_timeout = time(ms)) }
}

/// A ping is sent when nothing came from the peer for this long. Default: 54 s.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_ping_interval_ms(
    config: *mut wsp_config,
    ms: u32,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.ping_interval = time(ms)) }
}

/// A peer of which nothing came for this long, pongs included, is dead. Longer than the ping interval. Default: 60 s.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_pong_timeout_ms(
    config: *mut wsp_config,
    ms: u32,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.pong_timeout = time(ms)) }
}

/// A connection without a message either way for this long is closed with 1001. Default: 0, never.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_idle_timeout_ms(
    config: *mut wsp_config,
    ms: u32,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.idle_timeout = time(ms)) }
}

/// A peer that takes no byte of what waits for it for this long is cut off. Default: 10 s.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_write_timeout_ms(
    config: *mut wsp_config,
    ms: u32,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.write_timeout = time(ms)) }
}

/// How long a peer has to answer a close frame, and then to close its side. Default: 5 s; not 0.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_close_timeout_ms(
    config: *mut wsp_config,
    ms: u32,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.close_timeout = time(ms)) }
}

/// Connections at a time; more are answered with 503. Default: 0, no limit.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_max_connections(
    config: *mut wsp_config,
    connections: usize,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.max_connections = connections) }
}

/// Connections at a time from one IP address; more are answered with 429. Default: 0, no limit.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_max_connections_per_ip(
    config: *mut wsp_config,
    connections: usize,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.max_connections_per_ip = connections) }
}

/// Bytes that may wait for one connection. Beyond it reading from that peer pauses, and messages from elsewhere follow
/// `wsp_config_set_slow_consumer`. Default: 1 MiB.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_max_outbox_bytes(
    config: *mut wsp_config,
    bytes: usize,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.max_outbox_bytes = bytes) }
}

/// What happens to a message for which an outbox has no room. Default: `WSP_SLOW_CONSUMER_CLOSE`.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: `policy` is not a `WSP_SLOW_CONSUMER_*`.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_slow_consumer(
    config: *mut wsp_config,
    policy: wsp_slow_consumer,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe {
        change(config, |config| {
            config.config.slow_consumer = slow_consumer(policy)?;
            Ok(())
        })
    }
}

/// Checks a policy that C gave.
pub(super) fn slow_consumer(policy: wsp_slow_consumer) -> Checked<SlowConsumer> {
    match policy {
        WSP_SLOW_CONSUMER_CLOSE => Ok(SlowConsumer::Close),
        WSP_SLOW_CONSUMER_DROP_NEW => Ok(SlowConsumer::DropNew),
        WSP_SLOW_CONSUMER_DROP_OLD => Ok(SlowConsumer::DropOld),
        _ => Err(Failure::argument("policy", policy, "must be a WSP_SLOW_CONSUMER_*")),
    }
}

/// Gives pushes to a room a policy of their own from the start; `wsp_server_set_room_policy` does so later. Up to 1,024
/// rooms can have one.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: `room` is null or not UTF-8, or `policy` is not a `WSP_SLOW_CONSUMER_*`.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`; `room` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_add_room_policy(
    config: *mut wsp_config,
    room: *const c_char,
    policy: wsp_slow_consumer,
) -> wsp_status {
    let add = |config: &mut wsp_config| {
        // SAFETY: null or NUL-terminated, by this function's contract.
        let room = unsafe { text("room", room) }?;
        config.config.room_policies.push((room.to_owned(), slow_consumer(policy)?));
        Ok(())
    };
    // SAFETY: by this function's contract.
    unsafe { change(config, add) }
}

/// Messages to the same connection from other threads, rooms and broadcasts gather for up to this time and leave in one
/// system call; a reply or a control frame takes what has gathered with it, in order. 0 means that they leave at once.
/// Default: 0; at most a minute.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_push_merge_ms(
    config: *mut wsp_config,
    ms: u32,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.push_merge = time(ms)) }
}

/// What gathers for one connection leaves once it has as many bytes. Default: 16 KiB; at least 1.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_push_merge_bytes(
    config: *mut wsp_config,
    bytes: usize,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.push_merge_bytes = bytes) }
}

/// Rooms that one connection may be in; 0 means no limit. Default: 1024.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_max_rooms_per_connection(
    config: *mut wsp_config,
    most: usize,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.max_rooms_per_connection = most) }
}

/// Bytes of calls from other threads that may wait for one shard; beyond it they return `WSP_STATUS_BACKPRESSURE`.
/// Default: 64 MiB; at least 1024.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_max_mailbox_bytes(
    config: *mut wsp_config,
    bytes: usize,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.max_mailbox_bytes = bytes) }
}

/// How long the end of the server waits for what is queued, where `wsp_server_stop` is given
/// `WSP_DRAIN_TIMEOUT_DEFAULT`. Default: 10 s.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_drain_timeout_ms(
    config: *mut wsp_config,
    ms: u32,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.drain_timeout = time(ms)) }
}

/// In hosted mode: upgrades come as `WSP_EVENT_UPGRADE` and wait for `wsp_server_accept`, `wsp_server_reject` or
/// `wsp_server_respond`, instead of being accepted when they are valid. Default: false. Managed mode asks `on_upgrade`.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_decide_upgrades(
    config: *mut wsp_config,
    on: bool,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe {
        change(config, |config| {
            config.decide_upgrades = on;
            Ok(())
        })
    }
}

fn time(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

/// # Safety
///
/// `config` is null, or live and this thread's.
pub(super) unsafe fn assign(config: *mut wsp_config, set: impl FnOnce(&mut Config)) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe {
        change(config, |config| {
            set(&mut config.config);
            Ok(())
        })
    }
}

/// # Safety
///
/// `config` is null, or live and this thread's.
pub(super) unsafe fn change(
    config: *mut wsp_config,
    change: impl FnOnce(&mut wsp_config) -> Checked,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let config = unsafe { handle_mut("config", config) }?;
        change(config)
    })
}
