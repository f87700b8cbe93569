//! The run of the load client: open, send in turn, close. All of it on one thread.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use smol::channel::{self, Sender};
use smol::{LocalExecutor, Task, Timer, future};

use super::Options;
use super::connection::{self, Line, Socket};
use super::report::Report;

/// Handshakes at a time: enough to keep a server busy, far fewer than a listen queue holds.
const OPENERS: usize = 64;
/// The schedule sleeps at least this long: above 2,000 messages a second they go in small bunches.
const TICK: Duration = Duration::from_micros(500);

/// What the tasks share.
struct Load<'a> {
    options: &'a Options,
    report: RefCell<Report>,
    /// Connections tried so far.
    tried: Cell<usize>,
    /// Connections that have opened and not ended.
    open: Cell<usize>,
    bar: ProgressBar,
}

/// Runs the load and returns what it counted.
pub(super) fn run(options: &Options) -> Report {
    let load = Load {
        options,
        report: RefCell::new(Report::new(options.url.clone(), options.connections)),
        tried: Cell::new(0),
        open: Cell::new(0),
        bar: progress("opening", options.connections as u64),
    };
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(async {
        let (lines, tasks) = load.open_all(&executor).await;
        load.send_in_turn(&lines).await;
        // Where no more turns can come, the connections close.
        drop(lines);
        let all = async {
            for task in tasks {
                task.await;
            }
        };
        let grace = async {
            Timer::after(connection::LAST_GRACE).await;
        };
        future::or(all, grace).await;
    }));
    drop(executor);
    load.report.into_inner()
}

impl Load<'_> {
    /// Opens the connections, each of which is served from then on.
    async fn open_all<'a>(&'a self, executor: &LocalExecutor<'a>) -> (Vec<Line>, Vec<Task<()>>) {
        let (opened, sockets) = channel::bounded(OPENERS);
        for _ in 0..OPENERS {
            executor.spawn(self.open_some(opened.clone())).detach();
        }
        drop(opened);
        let mut lines = Vec::with_capacity(self.options.connections);
        let mut tasks = Vec::with_capacity(self.options.connections);
        let mut first_failure = None;
        while let Ok((number, socket)) = sockets.recv().await {
            self.bar.inc(1);
            match socket {
                Ok(socket) => {
                    let (line, driver) = connection::line(number, self.options, socket);
                    lines.push(line);
                    self.report.borrow_mut().connected += 1;
                    self.open.set(self.open.get() + 1);
                    tasks.push(executor.spawn(async {
                        driver.run(&self.report).await;
                        self.open.set(self.open.get() - 1);
                    }));
                }
                Err(why) => {
                    first_failure.get_or_insert(why);
                }
            }
        }
        self.bar.finish_and_clear();
        if let Some(why) = first_failure {
            eprintln!("wspoll: {}: {why}", self.options.url);
        }
        (lines, tasks)
    }

    async fn open_some(&self, opened: Sender<(usize, Result<Socket, String>)>) {
        while self.tried.get() < self.options.connections {
            let number = self.tried.replace(self.tried.get() + 1);
            let socket = connection::open(self.options).await;
            if opened.send((number, socket)).await.is_err() {
                return;
            }
        }
    }

    /// Gives each connection in turn the word to send, at the rate asked for, until the time is over or no
    /// connection is left.
    async fn send_in_turn(&self, lines: &[Line]) {
        let Options { rate, duration, .. } = *self.options;
        let total = rate.saturating_mul(duration.as_secs());
        let bar = progress("sending", total);
        let start = Instant::now();
        let mut turn = 0;
        while turn < total && self.open.get() > 0 {
            let due = (start.elapsed().as_secs_f64() * rate as f64) as u64 + 1;
            for turn in turn..due.min(total) {
                lines[(turn % lines.len() as u64) as usize].take_turn(&self.report);
            }
            turn = due.min(total);
            bar.set_position(turn);
            let next = start + Duration::from_secs_f64(turn as f64 / rate as f64);
            Timer::at(next.max(Instant::now() + TICK)).await;
        }
        bar.finish_and_clear();
        self.report.borrow_mut().elapsed = start.elapsed();
    }
}

fn progress(what: &'static str, length: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg} [{bar:40}] {pos}/{len}").expect("a constant template");
    // On stderr, and nothing at all where that is no terminal.
    ProgressBar::new(length).with_style(style.progress_chars("=> ")).with_message(what)
}
