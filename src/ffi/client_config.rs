//! Client configuration: what a client is told before it connects.

use std::ffi::c_char;
use std::sync::Arc;
use std::time::Duration;

use crate::client::{ClientConfig, Reconnect};

use super::client_group::wsp_client_group;
use super::event::wsp_message_kind;
use super::guard::{bytes, guard, guard_value, handle, handle_mut, text};
use super::send::message;
use super::status::wsp_status;

/// Settings of a client, all with defaults that are meant for use. Belongs to one thread at a time; a client copies what
/// it needs, so one configuration may start many and be freed at once.
///
/// The values are checked by `wsp_client_config_check` and when a client starts. Times are milliseconds, sizes bytes; 0
/// means *no limit* or *never* where a setter does not say otherwise.
#[derive(Default)]
pub struct wsp_client_config {
    pub(super) config: ClientConfig,
    pub(super) greeting: Vec<Greeted>,
    pub(super) member: Option<(wsp_client_group, u64)>,
}

/// A message of the greeting.
#[derive(Clone)]
pub(super) enum Greeted {
    Text(Arc<str>),
    Binary(Arc<[u8]>),
}

/// Makes a configuration of defaults. `wsp_client_config_free` frees it.
#[unsafe(no_mangle)]
pub extern "C" fn wsp_client_config_new() -> *mut wsp_client_config {
    guard_value(std::ptr::null_mut(), || Box::into_raw(Box::default()))
}

/// Frees a configuration. Null is ignored.
///
/// # Safety
///
/// - `config` is null, or came from `wsp_client_config_new` and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_free(config: *mut wsp_client_config) {
    if !config.is_null() {
        // SAFETY: came from `wsp_client_config_new`, which boxed it, and is not used again, by this function's contract.
        drop(unsafe { Box::from_raw(config) });
    }
}

/// Checks every setting by itself and against the others, as the start of a client does.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_SETTING`: the message names the first wrong setting, its value and what is wrong with it.
///
/// # Safety
///
/// - `config` is null, or came from `wsp_client_config_new` and is not changed by another thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_check(config: *const wsp_client_config) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let config = unsafe { handle("config", config) }?;
        Ok(config.config.validate()?)
    })
}

/// Sends one more header field with the request, such as `"Authorization"`; `"Host"` replaces the one of the URL.
///
/// # Safety
///
/// - `config` is null, or came from `wsp_client_config_new` and is not used by another thread.
/// - `name` and `value` are null or end with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_add_header(
    config: *mut wsp_client_config,
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
        config.config.headers.push((name.to_owned(), value.to_owned()));
        Ok(())
    })
}

/// Offers one more subprotocol, after those that were added before. The server need not choose one; which, is the payload
/// of `WSP_CLIENT_EVENT_CONNECTED`.
///
/// # Safety
///
/// - `config` is as for `wsp_client_config_add_header`; `name` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_add_subprotocol(
    config: *mut wsp_client_config,
    name: *const c_char,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live and this thread's, by this function's contract.
        let config = unsafe { handle_mut("config", config) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let name = unsafe { text("name", name) }?;
        config.config.subprotocols.push(name.to_owned());
        Ok(())
    })
}

/// Names the page that the client speaks for, in the field `Origin`. Default: none, as programs do that are no browsers.
///
/// # Safety
///
/// - `config` is as for `wsp_client_config_add_header`; `origin` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_set_origin(
    config: *mut wsp_client_config,
    origin: *const c_char,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live and this thread's, by this function's contract.
        let config = unsafe { handle_mut("config", config) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let origin = unsafe { text("origin", origin) }?;
        config.config.origin = Some(origin.to_owned());
        Ok(())
    })
}

/// Sends one more message first on every connection, before all that waits: to log in, to join rooms again. Copies the
/// payload.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: `data` is null with `len > 0`, `kind` is unknown, or text is not UTF-8.
///
/// # Safety
///
/// - `config` is as for `wsp_client_config_add_header`; `data` is null or readable for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_add_greeting(
    config: *mut wsp_client_config,
    kind: wsp_message_kind,
    data: *const u8,
    len: usize,
) -> wsp_status {
    guard(|| {
        use crate::protocol::message::Message;
        // SAFETY: null or live and this thread's, by this function's contract.
        let config = unsafe { handle_mut("config", config) }?;
        // SAFETY: null or readable for `len` bytes, by this function's contract.
        let payload = unsafe { bytes("data", data, len) }?;
        config.greeting.push(match message(kind, payload)? {
            Message::Text(text) => Greeted::Text(text.into()),
            Message::Binary(bytes) => Greeted::Binary(bytes.into()),
        });
        Ok(())
    })
}

/// Has `wsp_client_group_wait` report the clients of this configuration by `token`, a number of the caller's. Set another
/// token for each. The group may be freed before its clients.
///
/// # Safety
///
/// - `config` is as for `wsp_client_config_add_header`.
/// - `group` is null, or came from `wsp_client_group_new` and is not yet freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_set_group(
    config: *mut wsp_client_config,
    group: *const wsp_client_group,
    token: u64,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live and this thread's, by this function's contract.
        let config = unsafe { handle_mut("config", config) }?;
        // SAFETY: null or live, by this function's contract.
        let group = unsafe { handle("group", group) }?;
        config.member = Some((group.clone(), token));
        Ok(())
    })
}

/// From looking up the name to the end of the handshake. Default: 10 s.
///
/// # Safety
///
/// - `config` is as for `wsp_client_config_add_header`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_set_connect_timeout_ms(
    config: *mut wsp_client_config,
    timeout_ms: u32,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.connect_timeout = milliseconds(timeout_ms)) }
}

/// A connection of which the server takes no byte for this long is cut. Default: 10 s.
///
/// # Safety
///
/// - `config` is as for `wsp_client_config_add_header`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_set_write_timeout_ms(
    config: *mut wsp_client_config,
    timeout_ms: u32,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.write_timeout = milliseconds(timeout_ms)) }
}

/// How long the server has to answer our close frame, and then to close the stream. Default: 5 s; not 0.
///
/// # Safety
///
/// - `config` is as for `wsp_client_config_add_header`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_set_close_timeout_ms(
    config: *mut wsp_client_config,
    timeout_ms: u32,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.close_timeout = milliseconds(timeout_ms)) }
}

/// A ping is sent when nothing came from the server for this long, and again after as long. Default: 54 s.
///
/// # Safety
///
/// - `config` is as for `wsp_client_config_add_header`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_set_ping_interval_ms(
    config: *mut wsp_client_config,
    interval_ms: u32,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.ping_interval = milliseconds(interval_ms)) }
}

/// A connection on which nothing came from the server for this long is dead; longer than the ping interval. A client that
/// is not received from listens to nobody, and that time does not count. Default: 60 s.
///
/// # Safety
///
/// - `config` is as for `wsp_client_config_add_header`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_set_pong_timeout_ms(
    config: *mut wsp_client_config,
    timeout_ms: u32,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.pong_timeout = milliseconds(timeout_ms)) }
}

/// Largest message taken, fragments added up; a larger one ends the connection with 1009. Default: 1 MiB. 0 takes empty
/// messages only.
///
/// # Safety
///
/// - `config` is as for `wsp_client_config_add_header`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_set_max_message_size(
    config: *mut wsp_client_config,
    bytes: usize,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.max_message_size = bytes) }
}

/// Bytes that may wait to be sent; then `wsp_client_send` waits. No message may be larger. Default: 1 MiB; not 0.
///
/// # Safety
///
/// - `config` is as for `wsp_client_config_add_header`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_set_max_outbox_bytes(
    config: *mut wsp_client_config,
    bytes: usize,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.max_outbox_bytes = bytes) }
}

/// Bytes that may wait for `wsp_client_recv`; then nothing is read, and the server is held up by the network. One message
/// may exceed it. Default: 4 MiB; not 0.
///
/// # Safety
///
/// - `config` is as for `wsp_client_config_add_header`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_set_max_inbox_bytes(
    config: *mut wsp_client_config,
    bytes: usize,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.max_inbox_bytes = bytes) }
}

/// Makes a new connection whenever one is lost or could not be made, whatever the reason, until the client is closed:
/// after delays that are drawn between the least and three times the last one, and never longer than the most.
///
/// # Safety
///
/// - `config` is as for `wsp_client_config_add_header`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_set_reconnect(
    config: *mut wsp_client_config,
    least_delay_ms: u32,
    most_delay_ms: u32,
) -> wsp_status {
    let delays = |reconnect: Reconnect| {
        reconnect.delays(milliseconds(least_delay_ms), milliseconds(most_delay_ms))
    };
    // SAFETY: by this function's contract.
    unsafe { reconnect(config, delays) }
}

/// After a connection that lasted this long, delays and attempts begin anew. Default: 10 s. Switches reconnecting on, with
/// delays of 500 ms to 30 s where `wsp_client_config_set_reconnect` has set no others.
///
/// # Safety
///
/// - `config` is as for `wsp_client_config_add_header`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_set_reconnect_stable_ms(
    config: *mut wsp_client_config,
    stable_ms: u32,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { reconnect(config, |reconnect| reconnect.stable_after(milliseconds(stable_ms))) }
}

/// Ends the client after so many tries without a connection that lasted; 0, the default, means no limit. Switches
/// reconnecting on, as `wsp_client_config_set_reconnect_stable_ms` does.
///
/// # Safety
///
/// - `config` is as for `wsp_client_config_add_header`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_config_set_reconnect_attempts(
    config: *mut wsp_client_config,
    attempts: u32,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { reconnect(config, |reconnect| reconnect.max_attempts(attempts)) }
}

fn milliseconds(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

/// # Safety
///
/// `config` is null, or live and this thread's.
unsafe fn assign(
    config: *mut wsp_client_config,
    set: impl FnOnce(&mut ClientConfig),
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        set(&mut unsafe { handle_mut("config", config) }?.config);
        Ok(())
    })
}

/// # Safety
///
/// `config` is null, or live and this thread's.
unsafe fn reconnect(
    config: *mut wsp_client_config,
    change: impl FnOnce(Reconnect) -> Reconnect,
) -> wsp_status {
    let change = |config: &mut ClientConfig| {
        config.reconnect = Some(change(config.reconnect.take().unwrap_or_default()));
    };
    // SAFETY: by this function's contract.
    unsafe { assign(config, change) }
}
