//! Log: where the library tells what it does. It never prints.

use std::cell::Cell;
use std::ffi::{CString, c_char, c_void};
use std::sync::{Once, PoisonError, RwLock};

use log::{LevelFilter, Log, Metadata, Record};

use super::guard::{Failure, guard};
use super::status::wsp_status;

/// How much a log record matters.
pub type wsp_log_level = u32;

/// Nothing.
pub const WSP_LOG_LEVEL_OFF: wsp_log_level = 0;
/// Something is lost that the program may count on.
pub const WSP_LOG_LEVEL_ERROR: wsp_log_level = 1;
/// Something went wrong and is dealt with.
pub const WSP_LOG_LEVEL_WARN: wsp_log_level = 2;
/// Something that happens once or rarely.
pub const WSP_LOG_LEVEL_INFO: wsp_log_level = 3;
/// Something that a peer brings about.
pub const WSP_LOG_LEVEL_DEBUG: wsp_log_level = 4;
/// Everything.
pub const WSP_LOG_LEVEL_TRACE: wsp_log_level = 5;

/// Receives log records. Runs on whichever thread has something to say, on several at once; must not block for long and
/// must not call `wsp_log_set`. What the library logs because of calls made inside is dropped.
///
/// `target` names the part of the library; `message` is one line of UTF-8. Both are valid until the callback returns.
pub type wsp_log_fn = Option<
    unsafe extern "C" fn(
        level: wsp_log_level,
        target: *const c_char,
        message: *const c_char,
        user: *mut c_void,
    ),
>;

/// Sends log records up to level `most` to `log`, for the whole process; null switches logging off.
///
/// When this returns, the callback that was set before is no longer running and will not be called again. May be called
/// from any thread but not inside a log callback.
///
/// # Errors
///
/// - `WSP_STATUS_INVALID_ARGUMENT`: `most` is not a `WSP_LOG_LEVEL_*`.
/// - `WSP_STATUS_UNSUPPORTED`: the process is a Rust program with a logger of its own, or this is a log callback.
///
/// # Safety
///
/// - `log` may be called from any thread with `user`, until another one is set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wsp_log_set(
    log: wsp_log_fn,
    user: *mut c_void,
    most: wsp_log_level,
) -> wsp_status {
    guard(|| {
        let most = level(most)?;
        if INSIDE.get() {
            return Err(Failure::unsupported("a log callback cannot set another"));
        }
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| {
            // Another logger stays; the check below tells of it.
            let _ = log::set_logger(&LOGGER);
        });
        if !std::ptr::addr_eq(log::logger(), &raw const LOGGER) {
            return Err(Failure::unsupported("the process has a logger of its own"));
        }
        *TARGET.write().unwrap_or_else(PoisonError::into_inner) =
            log.map(|call| Target { call, user, most });
        log::set_max_level(if log.is_some() { most } else { LevelFilter::Off });
        Ok(())
    })
}

fn level(level: wsp_log_level) -> Result<LevelFilter, Failure> {
    Ok(match level {
        WSP_LOG_LEVEL_OFF => LevelFilter::Off,
        WSP_LOG_LEVEL_ERROR => LevelFilter::Error,
        WSP_LOG_LEVEL_WARN => LevelFilter::Warn,
        WSP_LOG_LEVEL_INFO => LevelFilter::Info,
        WSP_LOG_LEVEL_DEBUG => LevelFilter::Debug,
        WSP_LOG_LEVEL_TRACE => LevelFilter::Trace,
        _ => return Err(Failure::argument("most", level, "must be a WSP_LOG_LEVEL_*")),
    })
}

struct Target {
    call: unsafe extern "C" fn(wsp_log_level, *const c_char, *const c_char, *mut c_void),
    user: *mut c_void,
    most: LevelFilter,
}

// SAFETY: whoever sets the callback promises that it may be called from any thread with this pointer.
unsafe impl Send for Target {}
// SAFETY: as above, from several at once.
unsafe impl Sync for Target {}

static TARGET: RwLock<Option<Target>> = RwLock::new(None);
static LOGGER: Logger = Logger { _is_one: 1 };

thread_local! {
    /// This thread is inside a log callback.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

struct Logger {
    /// Two things without a size may have one address, which would make every logger look like this one.
    _is_one: u8,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = TARGET.read().unwrap_or_else(PoisonError::into_inner);
        target.as_ref().is_some_and(|target| metadata.level() <= target.most)
    }

    fn log(&self, record: &Record<'_>) {
        if INSIDE.get() {
            return;
        }
        // Held while the callback runs: who replaces it waits for that.
        let target = TARGET.read().unwrap_or_else(PoisonError::into_inner);
        let Some(target) = target.as_ref().filter(|target| record.level() <= target.most) else {
            return;
        };
        let line = |text: String| {
            let text = text.replace('\0', "\u{fffd}").replace(['\r', '\n'], " ");
            CString::new(text).unwrap_or_default()
        };
        let (name, message) = (line(record.target().to_owned()), line(record.args().to_string()));
        INSIDE.set(true);
        // SAFETY: may be called from any thread with this pointer, by the contract of `wsp_log_set`; the strings live
        // until it returns.
        unsafe {
            (target.call)(
                record.level() as wsp_log_level,
                name.as_ptr(),
                message.as_ptr(),
                target.user,
            );
        }
        INSIDE.set(false);
    }

    fn flush(&self) {}
}
