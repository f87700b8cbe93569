//! Responses: what a client is told before it is connected, or instead.

use std::ffi::{c_char, c_void};

use crate::connection::request::{Response, Upgrade};
use crate::protocol::http;

use super::guard::{Checked, Failure, bytes, guard, guard_value, handle_mut, text};
use super::status::wsp_status;

/// The status that accepts an upgrade.
pub(super) const SWITCHING: u16 = 101;

/// A response to a request. With status 101 it accepts an upgrade, and may choose a subprotocol and the connection's
/// user pointer; with 200 to 599 it rejects it, or answers a plain request, and may have a body. Both may have headers.
///
/// Belongs to one thread at a time. One that a callback is given is the library's; one from `wsp_response_new` is the
/// caller's, and may be used for many answers.
#[derive(Clone)]
pub struct wsp_response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    subprotocol: Option<String>,
    data: u64,
    is_deferred: bool,
}

impl wsp_response {
    pub(super) fn new(status: u16) -> wsp_response {
        wsp_response {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            subprotocol: None,
            data: 0,
            is_deferred: false,
        }
    }

    /// As an answer to an upgrade request.
    pub(super) fn into_upgrade(self) -> Upgrade {
        if self.is_deferred {
            return Upgrade::later();
        }
        if self.status != SWITCHING {
            return Upgrade::reject(self.into_response());
        }
        let mut upgrade = Upgrade::accept().data(self.data);
        if let Some(name) = self.subprotocol {
            upgrade = upgrade.subprotocol(name);
        }
        self.headers.into_iter().fold(upgrade, |upgrade, (name, value)| upgrade.header(name, value))
    }

    /// As an answer to a plain request. A status that is none becomes 500 there.
    pub(super) fn into_response(self) -> Response {
        let response = Response::new(self.status).body(self.body);
        let add =
            |response: Response, (name, value): (String, String)| response.header(name, value);
        self.headers.into_iter().fold(response, add)
    }
}

fn check_status(status: u16) -> Checked<u16> {
    if status == SWITCHING || (200..=599).contains(&status) {
        Ok(status)
    } else {
        Err(Failure::argument("status", status, "must be 101 or 200 to 599"))
    }
}

/// Makes a response, for an answer that was deferred. `wsp_response_free` frees it. Null if `status` is neither 101 nor
/// 200 to 599.
#[unsafe(no_mangle)]
pub extern "C" fn wsp_response_new(status: u16) -> *mut wsp_response {
    guard_value(std::ptr::null_mut(), || {
        let status = check_status(status).map_err(super::status::remember);
        status.map_or(std::ptr::null_mut(), |status| {
            Box::into_raw(Box::new(wsp_response::new(status)))
        })
    })
}

/// Frees a response. Null is ignored.
///
/// # Safety
///
/// - `response` is null, or came from `wsp_response_new` and is not used again. One that a callback was given is not to
///   be freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_response_free(response: *mut wsp_response) {
    if !response.is_null() {
        // SAFETY: came from `wsp_response_new`, which boxed it, and is not used again, by this function's contract.
        drop(unsafe { Box::from_raw(response) });
    }
}

/// Sets the status.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: it is neither 101 nor 200 to 599, or `response` is null.
///
/// # Safety
///
/// - `response` is null or valid and this thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_response_set_status(
    response: *mut wsp_response,
    status: u16,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let response = unsafe { handle_mut("response", response) }?;
        response.status = check_status(status)?;
        Ok(())
    })
}

/// Adds a header, such as `Set-Cookie`.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: name or value cannot be sent, or the header is the server's own business
///   (`Connection`, `Content-Length`, `Sec-WebSocket-*` …).
///
/// # Safety
///
/// - `response` is null or valid and this thread's; `name` and `value` are null or end with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_response_add_header(
    response: *mut wsp_response,
    name: *const c_char,
    value: *const c_char,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let response = unsafe { handle_mut("response", response) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let name = unsafe { text("name", name) }?;
        // SAFETY: as above.
        let value = unsafe { text("value", value) }?;
        http::check_header(name, value)
            .map_err(|e| Failure::argument("header", format!("{name}: {value}"), e.to_string()))?;
        response.headers.push((name.to_owned(), value.to_owned()));
        Ok(())
    })
}

/// Sets the body of a response other than 101. The bytes are copied.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: `response` is null, or `data` is null with `len > 0`.
///
/// # Safety
///
/// - `response` is null or valid and this thread's; `data` is readable for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_response_set_body(
    response: *mut wsp_response,
    data: *const u8,
    len: usize,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let response = unsafe { handle_mut("response", response) }?;
        // SAFETY: by this function's contract.
        let body = unsafe { bytes("data", data, len) }?;
        response.body = body.to_vec();
        Ok(())
    })
}

/// Chooses a subprotocol. The client must have offered it (`wsp_request_subprotocol`); if it has not, the upgrade fails
/// with 500 and is logged, since a client has to drop such a connection.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: `response` or `name` is null or the name is not UTF-8.
///
/// # Safety
///
/// - `response` is null or valid and this thread's; `name` is null or ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_response_set_subprotocol(
    response: *mut wsp_response,
    name: *const c_char,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let response = unsafe { handle_mut("response", response) }?;
        // SAFETY: null or NUL-terminated, by this function's contract.
        let name = unsafe { text("name", name) }?;
        response.subprotocol = Some(name.to_owned());
        Ok(())
    })
}

/// Sets the user pointer of the connection that opens: every event of it carries it. The library never follows it.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: `response` is null.
///
/// # Safety
///
/// - `response` is null or valid and this thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_response_set_conn_user(
    response: *mut wsp_response,
    conn_user: *mut c_void,
) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let response = unsafe { handle_mut("response", response) }?;
        response.data = conn_user.expose_provenance() as u64;
        Ok(())
    })
}

/// Leaves an upgrade undecided, in `on_upgrade` only: `wsp_server_accept`, `wsp_server_reject` or `wsp_server_respond`
/// answer it later, from any thread, until the handshake timeout does.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: `response` is null.
///
/// # Safety
///
/// - `response` is null or valid and this thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_response_defer(response: *mut wsp_response) -> wsp_status {
    guard(|| {
        // SAFETY: by this function's contract.
        let response = unsafe { handle_mut("response", response) }?;
        response.is_deferred = true;
        Ok(())
    })
}

impl wsp_response {
    /// Whether a callback has left it as it was made with this status.
    pub(super) fn is_untouched(&self, status: u16) -> bool {
        self.status == status && self.headers.is_empty() && self.body.is_empty()
    }
}
