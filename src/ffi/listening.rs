//! Listening: where connections come from, and whom to believe about that.

use std::ffi::c_char;

use crate::config::{Config, ForwardedHeader};

use super::config::{assign, change, wsp_config};
use super::guard::{Failure, guard, handle_mut, text};
use super::status::wsp_status;

/// The header of a request in which trusted proxies say where it comes from.
pub type wsp_forwarded_header = u32;

/// In none.
pub const WSP_FORWARDED_HEADER_OFF: wsp_forwarded_header = 0;
/// `X-Forwarded-For: CLIENT, PROXY`, which most proxies write.
pub const WSP_FORWARDED_HEADER_X_FORWARDED_FOR: wsp_forwarded_header = 1;
/// `Forwarded: for=CLIENT, for=PROXY` (RFC 7239).
pub const WSP_FORWARDED_HEADER_FORWARDED: wsp_forwarded_header = 2;

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

/// Believes one more proxy about where its connections come from: `"192.0.2.1"`, `"10.0.0.0/8"`, or `"unix"` for whoever
/// comes through a Unix socket. Its own address does not count against `wsp_config_set_max_connections_per_ip`; those of
/// its clients do.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_SETTING`: it is no address and no network.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`; `proxy` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_add_trusted_proxy(
    config: *mut wsp_config,
    proxy: *const c_char,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live and this thread's, by this function's contract.
        let config = unsafe { handle_mut("config", config) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let proxy = unsafe { text("proxy", proxy) }?;
        let mut one = Config::default();
        one.set("trusted_proxies", proxy)?;
        config.config.trusted_proxies.append(&mut one.trusted_proxies);
        Ok(())
    })
}

/// Every connection begins with a PROXY protocol header, version 1 or 2, of a trusted proxy. Connections from elsewhere
/// are answered with 403, one without a valid header is cut. Default: false. Needs `wsp_config_add_trusted_proxy`; does
/// not concern `wsp_server_adopt`.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_proxy_protocol(
    config: *mut wsp_config,
    on: bool,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe { assign(config, |config| config.proxy_protocol = on) }
}

/// In which header requests of trusted proxies name their clients. It is read from its end: the first address there that
/// is not trusted is the client's. Default: `WSP_FORWARDED_HEADER_OFF`. Needs `wsp_config_add_trusted_proxy`.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: `header` is not a `WSP_FORWARDED_HEADER_*`.
///
/// # Safety
///
/// - `config` is as for `wsp_config_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_config_set_forwarded_header(
    config: *mut wsp_config,
    header: wsp_forwarded_header,
) -> wsp_status {
    // SAFETY: by this function's contract.
    unsafe {
        change(config, |config| {
            config.config.forwarded_header = match header {
                WSP_FORWARDED_HEADER_OFF => ForwardedHeader::Off,
                WSP_FORWARDED_HEADER_X_FORWARDED_FOR => ForwardedHeader::XForwardedFor,
                WSP_FORWARDED_HEADER_FORWARDED => ForwardedHeader::Forwarded,
                _ => {
                    let reason = "must be a WSP_FORWARDED_HEADER_*";
                    return Err(Failure::argument("header", header, reason));
                }
            };
            Ok(())
        })
    }
}
