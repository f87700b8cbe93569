//! The loop: one readiness queue, the connections it watches, their rooms and timers.
//!
//! A shard is driven by turns. A turn sends what is due, waits, reads what came and calls the handler, runs what other
//! threads asked for, and acts upon timers. Nothing in it blocks but the wait, and no lock is taken per message.
//!
//! | file | what |
//! |---|---|
//! | `dispatch` | reads, decodes, calls |
//! | `upgrade` | from the request to the open connection |
//! | `proxied` | who a connection is from that comes through a proxy |
//! | `core` | the state that all of these act upon |
//! | `queueing`, `flushing` | outboxes: what goes in, slow consumers; what leaves |
//! | `merging` | pushes that wait a moment for others |
//! | `fanout` | from one message to those who get it |
//! | `closing` | the ends of connections |
//! | `deadlines` | timers |
//! | `adopt` | sockets that the host accepted itself |
//! | `mailbox`, `commands` | calls from other threads |
//! | `sink`, `handler`, `conn` | calls to the handler, and what it can do in them |
//! | `event` | hosted mode: batches instead of calls |
//! | `answer`, `target` | pushes that are counted |
//! | `view`, `stats` | what can be seen from outside |
//! | `again` | what a read left |
//! | `holding` | a host that wants to read no more for now |

pub(crate) mod adopt;
mod again;
pub(crate) mod answer;
pub(crate) mod census;
mod closing;
mod commands;
pub(crate) mod conn;
mod core;
mod deadlines;
mod dispatch;
mod entry;
pub(crate) mod event;
mod fanout;
mod flushing;
pub(crate) mod handler;
mod holding;
pub(crate) mod mailbox;
mod merging;
mod proxied;
mod queueing;
#[cfg(feature = "capi")]
pub(crate) mod raw;
mod sink;
pub(crate) mod stats;
pub(crate) mod target;
mod upgrade;
pub(crate) mod view;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::reactor::timers::Tick;
use crate::reactor::{Reactor, Ready};

use self::core::{Core, READ_BUFFER};
use event::{Batch, Events, Outlet};
use handler::Handler;
use mailbox::{Command, Fleet};
use merging::Gathering;
use sink::Sink;

/// One event loop and the connections that it owns.
///
/// In hosted mode the host has it and calls [`turn`](Shard::turn), always from one thread at a time. Dropping it cuts
/// its connections.
pub struct Shard {
    core: Core,
    sink: Sink,
    reads: Reads,
    ready: Vec<Ready>,
    due: Vec<u32>,
    commands: Vec<Command>,
    /// Slots whose last event the host has been handed: they are given back when it is done with the batch.
    handed: Vec<u32>,
}

/// The read buffer: shared by all connections, since each read is done with before the next.
struct Reads {
    buffer: Box<[u8]>,
    /// Bytes at the beginning that events of this turn point to; always 0 with a handler.
    used: usize,
}

impl Shard {
    /// A shard that calls a handler.
    pub(crate) fn managed(
        index: usize,
        fleet: Arc<Fleet>,
        reactor: Reactor,
        handler: Arc<dyn Handler>,
    ) -> Shard {
        Shard::new(index, fleet, reactor, Sink::Handler(handler))
    }

    /// A shard that hands out batches.
    pub(crate) fn hosted(
        index: usize,
        fleet: Arc<Fleet>,
        reactor: Reactor,
        decides_upgrades: bool,
    ) -> Shard {
        Shard::new(index, fleet, reactor, Sink::Batch(Batch::new(decides_upgrades)))
    }

    fn new(index: usize, fleet: Arc<Fleet>, reactor: Reactor, sink: Sink) -> Shard {
        // Zeroed by the system, page by page as reads touch it: nobody pays for what is never used.
        let buffer = vec![0; READ_BUFFER].into_boxed_slice();
        let start = buffer.as_ptr().addr();
        let core = Core::new(index, fleet, reactor, start..start + buffer.len());
        let reads = Reads { buffer, used: 0 };
        Shard {
            core,
            sink,
            reads,
            ready: Vec::new(),
            due: Vec::new(),
            commands: Vec::new(),
            handed: Vec::new(),
        }
    }

    /// Which of the server's shards this is: the number in its connections' [ids](crate::ConnId::shard).
    pub fn index(&self) -> usize {
        self.core.index
    }

    /// Drives the shard for one turn: sends what was queued since the last, waits at most `timeout` (`None`: until
    /// something happens) and returns what came, with the means to answer.
    ///
    /// Payloads lie in the shard's buffers until the next turn. A host that does not call this reads nothing: its
    /// peers' systems notice and stop sending.
    ///
    /// # Errors
    ///
    /// - [`Error::ShutDown`]: the server has been shut down and this shard's connections have gone. Their last events
    ///   were handed out before.
    /// - [`Error::Io`]: the system's readiness queue failed.
    pub fn turn(&mut self, timeout: Option<Duration>) -> Result<(Events<'_>, Outlet<'_>)> {
        let told = self.core.notices.is_empty();
        if self.core.is_drained() && self.core.stats.sockets == 0 && told {
            return Err(Error::ShutDown);
        }
        self.core.turned_at = self.core.clock.read();
        self.core.flush_dirty(&self.reads.buffer);
        if let Sink::Batch(batch) = &mut self.sink {
            batch.clear();
        }
        self.core.recycle(&mut self.handed);
        self.reads.used = 0;
        // What the flush brought about is handed out now, and without waiting for more.
        self.open_decided();
        self.open_adopted();
        self.sink.deliver(&mut self.core);
        let waiting = matches!(&self.sink, Sink::Batch(batch) if batch.len() > 0);
        self.step(if waiting { Some(Duration::ZERO) } else { timeout })?;
        if self.core.is_drained() {
            self.core.cut();
            self.sink.deliver(&mut self.core);
        }
        // What ends from now on, by the host's calls or by the next flush, is reported with the next batch.
        self.handed.append(&mut self.core.ended);
        self.publish();
        let Shard { core, sink, reads, .. } = self;
        match sink {
            Sink::Batch(batch) => Ok((Events { batch, buffer: &reads.buffer }, Outlet { core })),
            // Only hosts of hosted servers have shards.
            Sink::Handler(_) => Err(Error::ShutDown),
        }
    }

    /// The means to answer, between two turns.
    pub fn outlet(&mut self) -> Outlet<'_> {
        Outlet { core: &mut self.core }
    }

    /// How long a host may leave [`turn`](Self::turn) uncalled while the shard's descriptor is not readable: `None` is
    /// for ever. For hosts that wait in a loop of their own.
    pub fn timeout(&self) -> Option<Duration> {
        self.core.timeout(None, self.core.clock.read())
    }

    /// Sends what was queued since the last turn, without waiting for the next.
    pub fn flush(&mut self) {
        self.core.flush_dirty(&self.reads.buffer);
    }

    /// Drives a managed shard until the server is shut down.
    pub(crate) fn run(mut self) -> Result<()> {
        while !self.core.is_drained() {
            self.step(None)?;
            self.open_decided();
            self.open_adopted();
            self.core.flush_dirty(&self.reads.buffer);
            self.sink.deliver(&mut self.core);
            self.recycle();
            self.publish();
        }
        self.core.cut();
        self.sink.deliver(&mut self.core);
        self.recycle();
        self.publish();
        Ok(())
    }

    /// Gives back the slots of what has ended: the handler knows of it.
    fn recycle(&mut self) {
        self.handed.append(&mut self.core.ended);
        self.core.recycle(&mut self.handed);
    }

    /// Waits, and acts upon what happened.
    fn step(&mut self, timeout: Option<Duration>) -> Result<()> {
        let mut ready = std::mem::take(&mut self.ready);
        let timeout = self.core.timeout(timeout, self.core.turned_at);
        self.core
            .reactor
            .wait(&mut ready, timeout)
            .map_err(|e| Error::io(format!("waiting on shard {}", self.core.index), e))?;
        self.core.woke_at = self.core.clock.read();
        self.core.now = Tick::at(self.core.woke_at);
        self.core.stats.turns += 1;
        self.read_again();
        for &event in &ready {
            self.on_ready(event);
        }
        self.ready = ready;
        self.run_commands();
        self.run_timers();
        self.core.flush_gathered();
        Ok(())
    }

    fn run_timers(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.core.wheel.expire(self.core.now, &mut due);
        for slot in due.drain(..) {
            self.core.on_timer(slot);
            self.sink.deliver(&mut self.core);
        }
        due.shrink_to(1024);
        self.due = due;
    }

    /// Ends the turn: other threads see what was counted.
    fn publish(&mut self) {
        let core = &mut self.core;
        core.turned_at = core.clock.read();
        let turn = core.turned_at.saturating_sub(core.woke_at);
        core.lag.add(turn.as_nanos() as u64, core.turned_at.as_millis() as u64);
        core.stats.loop_lag_ns = core.lag.mean();
        core.stats.loop_lag_max_ns = core.lag.longest();
        core.stats.rooms = core.rooms.len() as u64;
        core.mailbox().stats.publish(&core.stats);
        if core.rare_changed || core.published_at != core.now {
            core.publish_rare(self.reads.buffer.len());
        }
    }
}

#[cfg(all(unix, not(polling_test_poll_backend)))]
impl std::os::fd::AsFd for Shard {
    /// The system's readiness queue, readable when a turn has something to do. It is for waiting on, in a host's own
    /// loop, together with [`timeout`](Shard::timeout).
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.core.reactor.as_fd()
    }
}

impl Core {
    /// How long a wait that begins at `time` may last.
    fn timeout(&self, asked: Option<Duration>, time: Duration) -> Option<Duration> {
        let queued = !self.dirty.is_empty() || !self.ended.is_empty();
        let busy = queued || !self.accepted.is_empty() || !self.arrivals.is_empty();
        if busy || !self.again.is_empty() || self.mailbox().has_mail() {
            return Some(Duration::ZERO);
        }
        let timer = self.wheel.next().map(|tick| tick.until(time));
        let drain = self.draining.map(|at| at.saturating_duration_since(Instant::now()));
        let gathered = self.gathering.front().map(|first| first.due.saturating_sub(time));
        [asked, timer, drain, gathered].into_iter().flatten().min()
    }

    #[cold]
    fn publish_rare(&mut self, read_buffer: usize) {
        self.rare_changed = false;
        self.published_at = self.now;
        let structures = self.entries.footprint() + self.wheel.footprint() + self.rooms.footprint();
        let lists = self.gathering.capacity() * size_of::<Gathering>();
        let memory = structures + lists + self.outboxes.kept_bytes() + read_buffer;
        self.stats.memory = memory as u64;
        self.stats.memberships = self.rooms.joined() as u64;
        self.mailbox().stats.publish_rare(&self.stats);
    }
}
