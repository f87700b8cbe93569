//! Tests that need something beyond Rust: they skip, saying why, or fail where everything must run.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;

/// Whether `WSPOLL_TEST_ALL=1` asks that no test skips, as CI does.
pub fn all_must_run() -> bool {
    env::var_os("WSPOLL_TEST_ALL").is_some_and(|value| value == "1")
}

/// Says that a test is skipped.
///
/// # Panics
///
/// When `WSPOLL_TEST_ALL=1`.
pub fn skip(reason: &str) {
    assert!(!all_must_run(), "WSPOLL_TEST_ALL=1, but this test cannot run: {reason}");
    eprintln!("skipped: {reason}");
}

/// The first of `names` on the path, or a skip.
pub fn require_tool(names: &[&str]) -> Option<PathBuf> {
    let found = find(names);
    if found.is_none() {
        skip(&format!("{} is not installed", names.join(" or ")));
    }
    found
}

fn find(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(OsStr::new(&path)).collect();
    names.iter().find_map(|name| {
        let file = format!("{name}{}", env::consts::EXE_SUFFIX);
        folders.iter().map(|folder| folder.join(&file)).find(|path| path.is_file())
    })
}

/// A reading of the system, or a skip.
pub fn require_reading<T>(what: &str, reading: Option<T>) -> Option<T> {
    if reading.is_none() {
        skip(&format!("this system does not tell {what}"));
    }
    reading
}

/// How many sockets the processes of a test may have open together: what `WSPOLL_TEST_SOCKETS` says, for systems that do
/// not tell (all programs under Wine share the descriptors of its server), else what one process may have.
pub fn sockets() -> usize {
    let said = env::var("WSPOLL_TEST_SOCKETS").ok();
    let said = said.map(|value| value.parse().expect("WSPOLL_TEST_SOCKETS is a number"));
    let limit = || wspoll::raise_file_limit().expect("the limit of open files");
    said.unwrap_or_else(|| usize::try_from(limit()).unwrap_or(usize::MAX))
}
