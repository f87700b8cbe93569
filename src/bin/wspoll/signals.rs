//! The wish to end, as each system says it: SIGINT and SIGTERM, or Ctrl-C and the closing of the console.
//!
//! The first wish is waited for. The second ends the process on the spot, also while the first is being carried out.

pub(crate) use system::Signals;

#[cfg(unix)]
mod system {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::flag;
    use signal_hook::iterator;

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

        /// Waits for the first signal and names it.
        pub(crate) fn wait(mut self) -> &'static str {
            match self.0.forever().next() {
                Some(SIGINT) => "SIGINT",
                _ => "SIGTERM",
            }
        }
    }
}

#[cfg(windows)]
mod system {
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{self, Receiver};

    /// Hears Ctrl-C, Ctrl-Break and the end of the console or session.
    ///
    /// By `ctrlc`: signal-hook knows only what the C runtime makes of Ctrl-C there, and has nothing to wait on.
    pub(crate) struct Signals(Receiver<()>);

    impl Signals {
        /// From here on the first Ctrl-C waits to be taken, instead of ending the process.
        pub(crate) fn hear() -> io::Result<Signals> {
            let (wish, wishes) = mpsc::channel();
            let heard = AtomicBool::new(false);
            // The handler runs on a thread of its own, so it may exit. 130 is what shells report for Ctrl-C.
            ctrlc::set_handler(move || {
                if heard.swap(true, Ordering::Relaxed) {
                    std::process::exit(130);
                }
                let _ = wish.send(());
            })
            .map_err(io::Error::other)?;
            Ok(Signals(wishes))
        }

        /// Waits for the first Ctrl-C and names it.
        pub(crate) fn wait(self) -> &'static str {
            // The sender lives in the handler, which stays until the process ends.
            let _ = self.0.recv();
            "Ctrl-C"
        }
    }
}
