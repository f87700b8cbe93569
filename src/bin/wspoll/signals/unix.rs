//! SIGINT and SIGTERM.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator;

use super::Wish;

/// Hears SIGINT and SIGTERM.
pub(crate) struct Signals(iterator::Signals);

impl Signals {
    /// From here on the first signal waits to be taken, instead of ending the process.
    pub(crate) fn hear() -> io::Result<Signals> {
        let heard = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag down and raises it, the second finds it raised and
            // exits inside the handler, whatever the threads are busy with. 128 + n is how shells report signals.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&heard))?;
            flag::register(signal, Arc::clone(&heard))?;
        }
        iterator::Signals::new([SIGINT, SIGTERM]).map(Signals)
    }

    /// Waits for the first signal.
    pub(crate) fn wait(mut self) -> Wish {
        let name = match self.0.forever().next() {
            Some(SIGINT) => "SIGINT",
            _ => "SIGTERM",
        };
        Wish { name, grace: None }
    }
}
