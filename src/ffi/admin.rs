//! The admin listener: pushes by HTTP, metrics and a dashboard, in libraries that are built with it.

use std::ffi::c_char;

use super::config::wsp_config;
use super::guard::{guard, handle_mut, text};
use super::server::{read, wsp_server};
use super::status::wsp_status;

/// Where the server serves its admin listener, `"127.0.0.1:6060"`, or `"off"`, the default. Port 0 takes a free one. An
/// address that other machines reach needs `wsp_config_set_admin_token`. The library has it if it was built with the feature
/// `admin`; if not, the start of a server with an address is `WSP_STATUS_INVALID_SETTING`.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_SETTING`: it is none of these.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`; `address` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_admin(
    config: *mut wsp_config,
    address: *const c_char,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { set(config, "admin", "address", address) }
}

/// What requests to the admin listener must bear (`Authorization: Bearer TOKEN`); empty, the default, for none. No error
/// and no log shows it.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_SETTING`: it is longer than 1024 bytes, or not visible ASCII without spaces.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`; `token` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_admin_token(
    config: *mut wsp_config,
    token: *const c_char,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { set(config, "admin_token", "token", token) }
}

/// The port of the admin listener, the one that the system chose where 0 was asked for; 0 if there is none.
///
/// # Safety
///
/// - `server` is null, or the caller holds a reference or is inside one of its callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_server_admin_port(server: *const wsp_server) -> u16 {
    let port = |addr: std::net::SocketAddr| addr.port();
    // SAFETY: by this function's contract.
    unsafe { read(server, 0, |running| running.server.admin_addr().map_or(0, port)) }
}

/// # Safety
///
/// `config` is null or live and this thread's; `value` is null or ends with a NUL.
unsafe fn set(
    config: *mut wsp_config,
    setting: &str,
    argument: &'static str,
    value: *const c_char,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let config = unsafe { handle_mut("config", config) }?;
        // SAFETY: by this function's contract.
        let value = unsafe { text(argument, value) }?;
        Ok(config.config.set(setting, value)?)
    })
}
