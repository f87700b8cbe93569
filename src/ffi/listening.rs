//! Listening: where connections come from, and whom to believe about that.

use std::ffi::c_char;

use crate::config::Config;

use super::config::{assign, change, wsp_config};
use super::guard::{guard, handle_mut, text};
use super::status::wsp_status;

/// Listens on one more address: `"127.0.0.1:8000"`, `"[::]:8000"`, `"unix:/run/wspoll.sock"`, `"unix:@name"` (Linux),
/// `"fd:3"` (a listening socket of this process; its descriptor is duplicated and stays the caller's), `"systemd"` or
/// `"systemd:name"` (what socket activation has passed on). Port 0 takes a free one. The first call replaces the default,
/// `127.0.0.1:8000`.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_SETTING`: it is none of these, or this system does not have it.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`; `address` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_add_listen(
    config: *mut wsp_config,
    address: *const c_char,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live and this thread's, by this function's contract.
        let config = unsafe { handle_mut("config", config) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let address = unsafe { text("address", address) }?;
        let mut listen = Vec::new();
        if config.listens {
            listen = config.config.listen.clone();
        }
        let mut one = Config::default();
        one.set("listen", address)?;
        listen.append(&mut one.listen);
        config.config.listen = listen;
        config.listens = true;
        Ok(())
    })
}

/// Listens on nothing: connections come by `wsp_server_adopt` only.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: `config` is null.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_clear_listen(config: *mut wsp_config) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe {
        change(config, |config| {
            config.listens = true;
            config.config.listen.clear();
            Ok(())
        })
    }
}

/// `[::]` takes no IPv4 connections, so that `0.0.0.0` may be listened on beside it. Default: false.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_ipv6_only(config: *mut wsp_config, on: bool) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.ipv6_only = on) }
}

/// Permissions of Unix sockets, such as 0660, the default: whoever may write may connect. At most 0777.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_unix_mode(
    config: *mut wsp_config,
    mode: u32,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.unix_mode = mode) }
}
