//! How long a test waits, and for what.

use std::thread;
use std::time::{Duration, Instant};

/// How long something that must happen may take. Long, for a machine with two busy cores; a passing test never waits
/// for the end of it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks at a condition that nothing announces (memory, files, counters) until it holds.
///
/// # Panics
///
/// After [`PATIENCE`], with `what` and the last thing that `look` saw.
pub fn eventually<T: std::fmt::Debug>(
    what: &str,
    mut look: impl FnMut() -> T,
    holds: impl Fn(&T) -> bool,
) -> T {
    let start = Instant::now();
    loop {
        let seen = look();
        if holds(&seen) {
            return seen;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "waited {PATIENCE:?} for {what}; the last look gave {seen:?}"
        );
        // No test unparks a thread: this is the pause between two looks.
        thread::park_timeout(Duration::from_millis(10));
    }
}
