//! The wish to end, as each system says it: SIGINT and SIGTERM, or Ctrl-C and the end of the console.
//!
//! The first wish is waited for. The second ends the process on the spot, also while the first is being carried out.

use std::time::Duration;

pub(crate) use system::Signals;

#[cfg(unix)]
#[path = "signals/unix.rs"]
mod system;
#[cfg(windows)]
#[path = "signals/windows.rs"]
mod system;

/// Somebody wants the process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    /// What it came by.
    pub(crate) name: &'static str,
    /// How long the system waits for the end before it makes one; `None` where it has no say.
    pub(crate) grace: Option<Duration>,
}
