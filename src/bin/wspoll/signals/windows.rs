//! Ctrl-C, Ctrl-Break, and the end of the console or of the session.
//!
//! The system calls the handler on a thread that it makes for this. After Ctrl-C and Ctrl-Break the process lives on. When
//! the console is closed, the user logs off or the machine is shut down, the process is ended as soon as the handler
//! returns, and about five seconds later if it does not (`HandlerRoutine` in Microsoft's documentation). So there the
//! handler never returns, the drain gets four seconds at most, and the process ends as `main` returns.

use std::io;
use std::process;
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use windows_sys::Win32::Foundation::TRUE;
use windows_sys::Win32::System::Console::{
    CTRL_BREAK_EVENT, CTRL_C_EVENT, CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT,
    SetConsoleCtrlHandler,
};
use windows_sys::core::BOOL;

use super::Wish;

/// What the five seconds leave for the drain; the rest is for `main` to return.
const GRACE: Duration = Duration::from_secs(4);

/// What 128 + SIGINT is to shells elsewhere.
const ENDED_BY_CTRL_C: i32 = 130;

/// Where the handler puts the first wish. The system calls it without an argument of ours.
static WISHES: OnceLock<Wishes> = OnceLock::new();

/// Takes one wish.
struct Wishes {
    sender: Sender<Wish>,
    heard: OnceLock<()>,
}

/// Hears Ctrl-C, Ctrl-Break and the end of the console or session.
pub(crate) struct Signals(Receiver<Wish>);

impl Signals {
    /// From here on the first Ctrl-C waits to be taken, instead of ending the process.
    pub(crate) fn hear() -> io::Result<Signals> {
        let (sender, wishes) = mpsc::channel();
        let wanted = Wishes { sender, heard: OnceLock::new() };
        WISHES.set(wanted).map_err(|_| io::Error::from(io::ErrorKind::AlreadyExists))?;
        // SAFETY: the handler is a function that lives as long as the process, and may be called on any thread.
        #[allow(unsafe_code)]
        let set = unsafe { SetConsoleCtrlHandler(Some(handle), TRUE) };
        if set == TRUE { Ok(Signals(wishes)) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits for the first wish.
    pub(crate) fn wait(self) -> Wish {
        // The sender is a static, so it is never dropped.
        self.0.recv().unwrap_or(Wish { name: "Ctrl-C", grace: None })
    }
}

extern "system" fn handle(event: u32) -> BOOL {
    let Some(wishes) = WISHES.get() else { return 0 };
    let (name, grace) = match event {
        CTRL_C_EVENT => ("Ctrl-C", None),
        CTRL_BREAK_EVENT => ("Ctrl-Break", None),
        CTRL_CLOSE_EVENT => ("the end of the console", Some(GRACE)),
        CTRL_LOGOFF_EVENT => ("the end of the session", Some(GRACE)),
        CTRL_SHUTDOWN_EVENT => ("the end of the system", Some(GRACE)),
        // For whoever else has a handler.
        _ => return 0,
    };
    let is_first = wishes.heard.set(()).is_ok();
    if is_first {
        let _ = wishes.sender.send(Wish { name, grace });
    }
    match (grace, is_first) {
        (None, true) => TRUE,
        (None, false) => process::exit(ENDED_BY_CTRL_C),
        (Some(_), _) => loop {
            thread::park();
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_console_is_told_and_held_up() {
        let signals = Signals::hear().expect("the handler is set");
        let (returned, returns) = mpsc::channel();
        // Lives until the process ends, as the system's thread does.
        thread::spawn(move || returned.send(handle(CTRL_CLOSE_EVENT)));
        let wish = signals.wait();
        assert_eq!(wish, Wish { name: "the end of the console", grace: Some(GRACE) });
        let stays = returns.recv_timeout(Duration::from_millis(100));
        assert_eq!(stays, Err(mpsc::RecvTimeoutError::Timeout), "the handler stays");
        assert_eq!(handle(u32::MAX), 0, "what it does not know it leaves to others");
    }
}
