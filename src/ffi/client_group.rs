//! Client group: waiting for many clients in one thread.

use std::sync::Arc;

use crate::client::group::Group;

use super::client::deadline;
use super::guard::{Failure, Out, guard, guard_value, handle};
use super::status::wsp_status;

/// Tells of which clients something has changed, so that one thread can serve many. Each client that was told of it
/// (`wsp_client_config_set_group`) waits in it at most once.
///
/// May be used from any thread; `wsp_client_group_wait` by one at a time.
#[derive(Clone)]
pub struct wsp_client_group {
    pub(super) group: Arc<Group>,
}

/// Makes an empty group. `wsp_client_group_free` frees it.
#[unsafe(no_mangle)]
pub extern "C" fn wsp_client_group_new() -> *mut wsp_client_group {
    guard_value(std::ptr::null_mut(), || {
        Box::into_raw(Box::new(wsp_client_group { group: Arc::default() }))
    })
}

/// Frees a group. Null is ignored. Clients that are told of it go on.
///
/// # Safety
///
/// - `group` is null, or came from `wsp_client_group_new` and is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_group_free(group: *mut wsp_client_group) {
    if !group.is_null() {
        // SAFETY: came from `wsp_client_group_new`, which boxed it, and is not used again, by this function's contract.
        drop(unsafe { Box::from_raw(group) });
    }
}

/// Waits until something has changed for a client, at most `timeout_ms` (negative: for ever), and writes the tokens of at
/// most `capacity` such clients to `tokens` and their number to `*count`, which is 0 when the time is over or
/// `wsp_client_group_wake` was called.
///
/// Something has changed when there are events to receive, when there is room to send again, or when the client has ended.
/// A client is reported again only after another change: receive with `timeout_ms` 0 until `WSP_STATUS_TIMED_OUT`.
/// A client that was freed may still be reported once.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: a pointer is null, or `capacity` is 0.
///
/// # Safety
///
/// - `group` is null, or came from `wsp_client_group_new` and is not yet freed.
/// - `tokens` is null or writable for `capacity` numbers; `count` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_group_wait(
    group: *const wsp_client_group,
    tokens: *mut u64,
    capacity: usize,
    timeout_ms: i32,
    count: *mut usize,
) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        let group = unsafe { handle("group", group) }?;
        // SAFETY: null or writable, by this function's contract.
        let count = unsafe { Out::new("count", count) }?;
        if tokens.is_null() {
            return Err(Failure::null("tokens"));
        }
        if capacity == 0 {
            return Err(Failure::argument("capacity", 0, "must be at least 1"));
        }
        let mut taken = 0;
        group.group.wait(deadline(timeout_ms), capacity, |token| {
            // SAFETY: below `capacity`, which `wait` keeps.
            let place = unsafe { tokens.add(taken) };
            // SAFETY: writable, by this function's contract.
            unsafe { place.write(token) };
            taken += 1;
        });
        count.set(taken);
        Ok(())
    })
}

/// Ends the wait of a group, or its next one. May be called from any thread.
///
/// # Safety
///
/// - `group` is null, or came from `wsp_client_group_new` and is not yet freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_client_group_wake(group: *const wsp_client_group) -> wsp_status {
    guard(|| {
        // SAFETY: null or live, by this function's contract.
        unsafe { handle("group", group) }?.group.wake();
        Ok(())
    })
}
