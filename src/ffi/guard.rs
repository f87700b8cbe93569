//! The border: panics and errors become statuses, pointers become references.

use std::any::Any;
use std::ffi::{CStr, c_char};
use std::fmt;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::thread;

use crate::error::Error;

use super::status::{
    WSP_STATUS_BACKPRESSURE, WSP_STATUS_BAD_HANDSHAKE, WSP_STATUS_GONE,
    WSP_STATUS_INVALID_ARGUMENT, WSP_STATUS_INVALID_SETTING, WSP_STATUS_IO, WSP_STATUS_OK,
    WSP_STATUS_PANIC, WSP_STATUS_REFUSED, WSP_STATUS_SHUT_DOWN, WSP_STATUS_TIMED_OUT,
    WSP_STATUS_UNSUPPORTED, WSP_STATUS_WRONG_THREAD, remember, wsp_status,
};

/// Why an exported function fails.
pub(super) enum Failure {
    Error(Error),
    Unsupported(String),
    WrongThread(&'static str),
    TimedOut(&'static str),
    Panic(String),
}

pub(super) type Checked<T = ()> = Result<T, Failure>;

impl Failure {
    /// An argument that is null and must not be.
    pub(super) fn null(name: &'static str) -> Failure {
        Failure::argument(name, "null", "must not be null")
    }

    pub(super) fn argument(
        name: &'static str,
        value: impl fmt::Display,
        reason: impl Into<String>,
    ) -> Failure {
        Failure::Error(Error::argument(name, value, reason))
    }

    pub(super) fn unsupported(why: impl Into<String>) -> Failure {
        Failure::Unsupported(why.into())
    }

    pub(super) fn status(&self) -> wsp_status {
        match self {
            Failure::Error(e) => status_of(e),
            Failure::Unsupported(_) => WSP_STATUS_UNSUPPORTED,
            Failure::WrongThread(_) => WSP_STATUS_WRONG_THREAD,
            Failure::TimedOut(_) => WSP_STATUS_TIMED_OUT,
            Failure::Panic(_) => WSP_STATUS_PANIC,
        }
    }
}

/// The status of an error of the library.
pub(super) fn status_of(error: &Error) -> wsp_status {
    match error {
        Error::Gone => WSP_STATUS_GONE,
        Error::Backpressure => WSP_STATUS_BACKPRESSURE,
        Error::ShutDown => WSP_STATUS_SHUT_DOWN,
        Error::InvalidSetting(_) => WSP_STATUS_INVALID_SETTING,
        Error::InvalidArgument(_) => WSP_STATUS_INVALID_ARGUMENT,
        Error::Io(_) => WSP_STATUS_IO,
        Error::TimedOut(_) => WSP_STATUS_TIMED_OUT,
        Error::Refused(_) => WSP_STATUS_REFUSED,
        Error::BadHandshake(_) => WSP_STATUS_BAD_HANDSHAKE,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Error(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Error(e) => e.fmt(f),
            Failure::Unsupported(why) => f.write_str(why),
            Failure::WrongThread(why) | Failure::TimedOut(why) => f.write_str(why),
            Failure::Panic(text) => write!(f, "the library panicked, which is a bug: {text}"),
        }
    }
}

/// Runs the body of an exported function: an error or a panic becomes a status, with a message for
/// `wsp_last_error_message`.
#[inline]
pub(super) fn guard(body: impl FnOnce() -> Checked) -> wsp_status {
    // What the body leaves half done it has by reference, and every type behind those keeps itself whole (`Core`'s
    // methods, atomics, locks that recover from poison).
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => WSP_STATUS_OK,
        Ok(Err(failure)) => remember(failure),
        Err(panic) => remember(Failure::Panic(panic_text(&*panic))),
    }
}

/// Like [`guard`] for functions that return a value and have no status: a panic gives `otherwise`.
pub(super) fn guard_value<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        remember(Failure::Panic(panic_text(&*panic)));
        otherwise
    })
}

/// Keeps the panics of the library from being printed, for the rest of the process: nobody has asked for it. Panics
/// elsewhere go where they went before.
pub(super) fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let ours = info.location().is_some_and(|at| at.file().starts_with(SOURCES));
            let name = thread::current().name().is_some_and(|name| name.starts_with("wspoll-"));
            match ours || name {
                true => log::error!("{info}"),
                false => before(info),
            }
        }));
    });
}

/// The folder of this crate's sources as panics name it.
const SOURCES: &str = {
    let file = file!();
    let (folder, _) = file.split_at(file.len() - "ffi/guard.rs".len());
    folder
};

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(no message)").to_owned()
}

/// What a handle points to.
///
/// # Safety
///
/// `pointer` is null or points to a live `T` that nobody changes for as long as `'a`.
#[inline]
pub(super) unsafe fn handle<'a, T>(name: &'static str, pointer: *const T) -> Checked<&'a T> {
    // SAFETY: by this function's contract.
    unsafe { pointer.as_ref() }.ok_or_else(|| Failure::null(name))
}

/// What a handle points to, to be changed.
///
/// # Safety
///
/// `pointer` is null or points to a live `T` that nobody else uses for as long as `'a`.
#[inline]
pub(super) unsafe fn handle_mut<'a, T>(name: &'static str, pointer: *mut T) -> Checked<&'a mut T> {
    // SAFETY: by this function's contract.
    unsafe { pointer.as_mut() }.ok_or_else(|| Failure::null(name))
}

/// A place for an output.
pub(super) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    ///
    /// `pointer` is null or may be written to until the call returns; it need not be initialized.
    pub(super) unsafe fn new(name: &'static str, pointer: *mut T) -> Checked<Out<T>> {
        if pointer.is_null() { Err(Failure::null(name)) } else { Ok(Out(pointer)) }
    }

    pub(super) fn set(self, value: T) {
        // SAFETY: may be written to, by the contract of `new`.
        unsafe { self.0.write(value) }
    }
}

/// Bytes that C gave.
///
/// # Safety
///
/// `data` is null or readable for `len` bytes, which nobody changes for as long as `'a`.
#[inline]
pub(super) unsafe fn bytes<'a>(
    name: &'static str,
    data: *const u8,
    len: usize,
) -> Checked<&'a [u8]> {
    if data.is_null() {
        if len > 0 {
            return Err(Failure::argument(
                name,
                "null",
                format!("must not be null with {len} bytes"),
            ));
        }
        return Ok(&[]);
    }
    if len > isize::MAX as usize {
        return Err(Failure::argument(name, format!("{len} bytes"), "is longer than memory"));
    }
    // SAFETY: readable for `len` bytes, by this function's contract; the length was checked.
    Ok(unsafe { std::slice::from_raw_parts(data, len) })
}

/// A NUL-terminated string that C gave.
///
/// # Safety
///
/// `text` is null or points to bytes that end with a NUL and that nobody changes for as long as `'a`.
pub(super) unsafe fn text<'a>(name: &'static str, text: *const c_char) -> Checked<&'a str> {
    // SAFETY: by this function's contract.
    unsafe { optional_text(name, text) }?.ok_or_else(|| Failure::null(name))
}

/// Like [`text`], where null means that there is none.
///
/// # Safety
///
/// As [`text`].
pub(super) unsafe fn optional_text<'a>(
    name: &'static str,
    text: *const c_char,
) -> Checked<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: ends with a NUL, by this function's contract.
    let text = unsafe { CStr::from_ptr(text) };
    let utf8 = text.to_str().map_err(|e| {
        Failure::argument(name, text.to_string_lossy(), format!("must be UTF-8: {e}"))
    })?;
    Ok(Some(utf8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status() {
        assert_eq!(guard(|| panic!("on purpose")), WSP_STATUS_PANIC);
        assert_eq!(guard_value(7, || panic!("on purpose")), 7);
    }

    #[test]
    fn null_is_empty_only_without_a_length() {
        // SAFETY: null.
        let empty = unsafe { bytes("data", std::ptr::null(), 0) };
        assert!(empty.is_ok_and(<[u8]>::is_empty));
        // SAFETY: null.
        let wrong = unsafe { bytes("data", std::ptr::null(), 1) };
        assert_eq!(wrong.map_err(|e| e.status()), Err(WSP_STATUS_INVALID_ARGUMENT));
    }
}
