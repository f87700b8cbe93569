//! Printing messages without making a loop wait for whoever reads stdout.

use std::fmt::{Display, Write as _};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::Duration;

use wspoll::Message;

/// Lines that may wait to be printed; more are dropped and counted.
const MAX_LINES: usize = 1024;
/// Of a longer message only the beginning is printed: text characters, or bytes.
const MAX_SHOWN: usize = 1024;
/// How long the end of the command waits for lines that nobody reads.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Queues lines for the thread that prints them.
pub(crate) struct Printer {
    lines: SyncSender<String>,
    dropped: Arc<AtomicU64>,
}

/// The thread that prints. It ends when the last [`Printer`] has gone.
pub(crate) struct Printing {
    over: Receiver<()>,
}

impl Printer {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<(Printer, Printing)> {
        let (lines, queue) = mpsc::sync_channel(MAX_LINES);
        let (ended, over) = mpsc::channel();
        let dropped = Arc::new(AtomicU64::new(0));
        let lost = Arc::clone(&dropped);
        thread::Builder::new().name("wspoll-print".to_owned()).spawn(move || {
            if let Err(error) = print_all(&queue, &lost) {
                log::warn!("stdout: {error}; messages are not printed any more");
            }
            // Its end is all that there is to say.
            drop(ended);
        })?;
        Ok((Printer { lines, dropped }, Printing { over }))
    }

    /// Queues a line about a message; drops it if there is no room.
    pub(crate) fn print(&self, peer: impl Display, message: Message<'_>) {
        if self.lines.try_send(line(peer, message)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Printing {
    /// Waits until what is queued has been printed, for a moment at most.
    pub(crate) fn finish(self) {
        if self.over.recv_timeout(LAST_LINES) == Err(RecvTimeoutError::Timeout) {
            log::warn!("stdout: nobody reads the last messages");
        }
    }
}

fn print_all(queue: &Receiver<String>, dropped: &AtomicU64) -> io::Result<()> {
    while let Ok(line) = queue.recv() {
        let mut out = io::stdout().lock();
        out.write_all(line.as_bytes())?;
        while let Ok(line) = queue.try_recv() {
            out.write_all(line.as_bytes())?;
        }
        out.flush()?;
        drop(out);
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            log::warn!("{lost} messages were not printed: stdout is read too slowly");
        }
    }
    Ok(())
}

/// One line, whatever the message holds.
fn line(peer: impl Display, message: Message<'_>) -> String {
    let len = message.payload().len();
    let mut line = format!("msg: {peer} ");
    let is_cut = match message {
        Message::Text(text) => {
            line += "text: ";
            let mut chars = text.chars();
            chars.by_ref().take(MAX_SHOWN).for_each(|c| line.extend(c.escape_debug()));
            chars.next().is_some()
        }
        Message::Binary(bytes) => {
            let shown = &bytes[..len.min(MAX_SHOWN)];
            // A string takes everything.
            let _ = write!(line, "binary: {}", shown.escape_ascii());
            shown.len() < len
        }
    };
    if is_cut {
        let _ = write!(line, "… ({len} bytes)");
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::{MAX_SHOWN, line};
    use wspoll::Message;

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(line("a:1", "Grüße\n\u{1b}[31m".into()), "msg: a:1 text: Grüße\\n\\u{1b}[31m\n");
        assert_eq!(line("a:1", b"\0a\xff\n".into()), "msg: a:1 binary: \\x00a\\xff\\n\n");
        assert_eq!(line("a:1", "".into()), "msg: a:1 text: \n");
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let long = "ü".repeat(MAX_SHOWN + 1);
        let shown = format!("msg: a:1 text: {}… (2050 bytes)\n", "ü".repeat(MAX_SHOWN));
        assert_eq!(line("a:1", Message::Text(&long)), shown);
    }
}
