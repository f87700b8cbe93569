//! Version.

use std::ffi::{CStr, c_char};

use super::guard::{Failure, guard};
use super::status::wsp_status;

/// Version of the ABI that this header describes: major in the upper half, minor in the lower.
///
/// A new minor version adds functions, constants and fields at the end of size-prefixed structs. A new major version
/// may break what exists; it comes with a new soname.
pub const WSP_ABI_VERSION: u32 = 0x0001_0000;

const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("a version holds no NUL"),
    };

/// The library's version, such as `"0.1.0"`. Static.
#[unsafe(no_mangle)]
pub extern "C" fn wsp_version() -> *const c_char {
    VERSION.as_ptr()
}

/// The ABI version of the library that is loaded. See `WSP_ABI_VERSION`.
#[unsafe(no_mangle)]
pub extern "C" fn wsp_abi_version() -> u32 {
    WSP_ABI_VERSION
}

/// Checks that the library that is loaded serves a program that was compiled with the header of `header_version`: the
/// major version is the same and the minor version is not older. `WSP_CHECK_ABI()` calls it.
///
/// # Errors
///
/// - `WSP_STATUS_UNSUPPORTED`: it does not; the message tells both versions.
#[unsafe(no_mangle)]
pub extern "C" fn wsp_abi_check(header_version: u32) -> wsp_status {
    guard(|| {
        let (major, minor) = (header_version >> 16, header_version & 0xffff);
        let (our_major, our_minor) = (WSP_ABI_VERSION >> 16, WSP_ABI_VERSION & 0xffff);
        if major == our_major && minor <= our_minor {
            return Ok(());
        }
        Err(Failure::unsupported(format!(
            "the program wants ABI {major}.{minor}, the library has {our_major}.{our_minor}"
        )))
    })
}
