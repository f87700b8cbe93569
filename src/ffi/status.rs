//! Status: what every call that can fail returns.

use std::cell::RefCell;
use std::ffi::{CString, c_char};

use super::guard::Failure;

/// How a call went: 0 is success. Numbers are never used again for something else; a later minor version may add some.
pub type wsp_status = i32;

/// Done.
pub const WSP_STATUS_OK: wsp_status = 0;
/// An argument has a value that it cannot have. Nothing was done.
pub const WSP_STATUS_INVALID_ARGUMENT: wsp_status = 1;
/// A setting has a value that it cannot have. The message names both.
pub const WSP_STATUS_INVALID_SETTING: wsp_status = 2;
/// No open connection has this id: it has ended, or there never was one.
pub const WSP_STATUS_GONE: wsp_status = 3;
/// A bounded queue is full. Nothing was queued; try again later, or drop the message.
pub const WSP_STATUS_BACKPRESSURE: wsp_status = 4;
/// The server is draining or has stopped, and takes nothing more.
pub const WSP_STATUS_SHUT_DOWN: wsp_status = 5;
/// The operating system refused. The message tells what, and why.
pub const WSP_STATUS_IO: wsp_status = 6;
/// A bug in the library; the message is worth reporting. The server goes on where it can.
pub const WSP_STATUS_PANIC: wsp_status = 7;
/// This system, or this build, cannot do it.
pub const WSP_STATUS_UNSUPPORTED: wsp_status = 8;
/// Only the thread that drives the shard may make this call.
pub const WSP_STATUS_WRONG_THREAD: wsp_status = 9;
/// It took longer than it may, or than the caller wanted to wait. Nothing was done.
pub const WSP_STATUS_TIMED_OUT: wsp_status = 10;
/// A server refused a client's handshake. The message tells its HTTP status and the first line of its answer.
pub const WSP_STATUS_REFUSED: wsp_status = 11;
/// A server's answer to a client's handshake is not one of RFC 6455. The message tells what is wrong with it.
pub const WSP_STATUS_BAD_HANDSHAKE: wsp_status = 12;

/// The name of a status, such as `"WSP_STATUS_GONE"`; `"WSP_STATUS_?"` for a number that is none. Static.
#[unsafe(no_mangle)]
pub extern "C" fn wsp_status_name(status: wsp_status) -> *const c_char {
    let name = match status {
        WSP_STATUS_OK => c"WSP_STATUS_OK",
        WSP_STATUS_INVALID_ARGUMENT => c"WSP_STATUS_INVALID_ARGUMENT",
        WSP_STATUS_INVALID_SETTING => c"WSP_STATUS_INVALID_SETTING",
        WSP_STATUS_GONE => c"WSP_STATUS_GONE",
        WSP_STATUS_BACKPRESSURE => c"WSP_STATUS_BACKPRESSURE",
        WSP_STATUS_SHUT_DOWN => c"WSP_STATUS_SHUT_DOWN",
        WSP_STATUS_IO => c"WSP_STATUS_IO",
        WSP_STATUS_PANIC => c"WSP_STATUS_PANIC",
        WSP_STATUS_UNSUPPORTED => c"WSP_STATUS_UNSUPPORTED",
        WSP_STATUS_WRONG_THREAD => c"WSP_STATUS_WRONG_THREAD",
        WSP_STATUS_TIMED_OUT => c"WSP_STATUS_TIMED_OUT",
        WSP_STATUS_REFUSED => c"WSP_STATUS_REFUSED",
        WSP_STATUS_BAD_HANDSHAKE => c"WSP_STATUS_BAD_HANDSHAKE",
        _ => c"WSP_STATUS_?",
    };
    name.as_ptr()
}

/// Why the last call that failed on this thread failed, for a person to read; empty if none has. Never null.
///
/// Belongs to the library and is valid until the next call of this function on this thread, or the thread's end.
#[unsafe(no_mangle)]
pub extern "C" fn wsp_last_error_message() -> *const c_char {
    let text = LAST.try_with(|last| {
        let mut last = last.borrow_mut();
        if let Some(failure) = last.failure.take() {
            // A message with a NUL in it (a value of the caller's) ends there.
            let mut bytes = failure.to_string().into_bytes();
            bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
            last.text = CString::new(bytes).unwrap_or_default();
        }
        last.text.as_ptr()
    });
    text.unwrap_or(c"".as_ptr())
}

/// The last failure, put into words only when somebody asks: a full queue must be cheap to report.
#[derive(Default)]
struct Last {
    failure: Option<Failure>,
    text: CString,
}

thread_local! {
    static LAST: RefCell<Last> = RefCell::default();
}

/// Keeps a failure for [`wsp_last_error_message`] and returns its status.
pub(super) fn remember(failure: Failure) -> wsp_status {
    let status = failure.status();
    // A thread that is ending has nobody who could ask.
    let _ = LAST.try_with(|last| last.borrow_mut().failure = Some(failure));
    status
}
