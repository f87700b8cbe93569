//! How other threads reach a shard: a mailbox, bounded in bytes, and one wake-up however much is in it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::config::{Config, SlowConsumer};
use crate::connection::id::ConnId;
use crate::connection::outbox::SharedFrame;
use crate::connection::peer::PeerAddr;
use crate::connection::pieces::Piece;
use crate::connection::request::Upgrade;
use crate::connection::trust::Trust;
use crate::error::{Error, Result};
use crate::reactor::Waker;
use crate::reactor::transport::Transport;
use crate::registry::generations::Generations;

use super::adopt::Arrival;
use super::answer::Share;
use super::census::Census;
use super::stats::{Published, Pushes, Stats};
use super::target::Pushed;
use super::view::View;

/// What another thread wants of a shard.
pub(crate) enum Command {
    /// Take over an accepted connection; with a status, only to say that.
    Adopt {
        transport: Transport,
        peer: PeerAddr,
        refusal: Option<u16>,
        /// A PROXY protocol header comes before its request.
        is_proxied: bool,
        /// What the host that accepted it has read of it.
        arrival: Option<Box<Arrival>>,
    },
    /// Queue a message for some of this shard's connections.
    Send {
        to: Vec<ConnId>,
        frame: SharedFrame,
        share: Option<Share<Pushed>>,
    },
    /// Queue a message for each of some of this shard's connections.
    SendEach {
        items: Vec<(ConnId, SharedFrame)>,
    },
    /// Queue a frame of a message in pieces.
    Piece {
        id: ConnId,
        piece: Piece,
    },
    /// Queue a message for everybody in a room.
    Publish {
        room: Arc<str>,
        frame: SharedFrame,
        except: Option<ConnId>,
        share: Option<Share<Pushed>>,
    },
    /// Queue a message for everybody.
    Broadcast {
        frame: SharedFrame,
        except: Option<ConnId>,
        share: Option<Share<Pushed>>,
    },
    Join {
        id: ConnId,
        room: Arc<str>,
    },
    Leave {
        id: ConnId,
        room: Arc<str>,
    },
    Close {
        id: ConnId,
        code: u16,
        reason: Box<str>,
    },
    Ping {
        id: ConnId,
        frame: SharedFrame,
    },
    Decide {
        id: ConnId,
        upgrade: Box<Upgrade>,
    },
    /// Call `on_drain`: there is something to do for this connection.
    Nudge {
        id: ConnId,
    },
    /// Give a room a policy of its own, or take it away.
    RoomPolicy {
        room: Arc<str>,
        policy: Option<SlowConsumer>,
    },
    /// Look at the shard.
    Inspect(Inspection),
    /// Close everything; cut what is left at the deadline.
    Drain {
        deadline: Instant,
    },
}

/// What a thread wants to see of a shard. Runs on the shard's thread; is dropped without running where the shard has
/// ended.
pub(crate) type Inspection = Box<dyn FnOnce(&View<'_>) + Send>;

impl Command {
    /// Bytes by which the command counts against [`Config::max_mailbox_bytes`].
    fn cost(&self) -> usize {
        let carried = match self {
            Command::Send { to, frame, .. } => to.len() * size_of::<ConnId>() + frame.len(),
            Command::SendEach { items } => {
                let frames = items.iter().map(|(_, frame)| frame.len());
                // Many may share one frame, so the sum can be more than there is memory.
                frames.fold(0, usize::saturating_add).saturating_add(size_of_val(items.as_slice()))
            }
            Command::Piece { piece, .. } => piece.frame.len(),
            Command::Publish { frame, .. }
            | Command::Broadcast { frame, .. }
            | Command::Ping { frame, .. } => frame.len(),
            Command::Join { room, .. }
            | Command::Leave { room, .. }
            | Command::RoomPolicy { room, .. } => room.len(),
            Command::Close { reason, .. } => reason.len(),
            _ => 0,
        };
        carried.saturating_add(size_of::<Command>())
    }

    /// A connection that is handed over, or the end, is never refused for want of room; nor is a nudge, of which each
    /// connection has one under way at most.
    fn is_bounded(&self) -> bool {
        !matches!(self, Command::Adopt { .. } | Command::Nudge { .. } | Command::Drain { .. })
    }
}

#[derive(Default)]
struct Queue {
    commands: Vec<Command>,
    bytes: usize,
    /// Draining, or over.
    closed: bool,
}

/// What other threads see of one shard.
pub(crate) struct Mailbox {
    queue: Mutex<Queue>,
    /// A wake-up is under way; cleared before the queue is emptied.
    woken: AtomicBool,
    waker: Waker,
    /// Sockets that the shard has or is about to get: what the acceptor compares.
    pub(crate) load: AtomicUsize,
    pub(crate) generations: Generations,
    pub(crate) stats: Published,
    /// Calls that were refused for want of room.
    refused: AtomicU64,
}

impl Mailbox {
    pub(crate) fn new(waker: Waker) -> Mailbox {
        Mailbox {
            queue: Mutex::default(),
            woken: AtomicBool::new(false),
            waker,
            load: AtomicUsize::new(0),
            generations: Generations::new(),
            stats: Published::default(),
            refused: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // The queue is whole whenever the lock is free: nothing in between can panic.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Swaps the queue for `emptied`, whose memory is used again.
    pub(super) fn take(&self, emptied: &mut Vec<Command>) {
        self.woken.store(false, Ordering::SeqCst);
        let mut queue = self.lock();
        std::mem::swap(&mut queue.commands, emptied);
        queue.bytes = 0;
    }

    /// Whether a look into the mailbox is due.
    #[inline]
    pub(super) fn has_mail(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }

    /// Takes no more commands.
    pub(super) fn close(&self) {
        self.lock().closed = true;
    }

    /// Takes no more commands, and gives up those that nobody will run.
    pub(super) fn end(&self) -> Vec<Command> {
        let mut queue = self.lock();
        queue.closed = true;
        queue.bytes = 0;
        std::mem::take(&mut queue.commands)
    }

    /// Locks the queue for a command, or says why it cannot be taken.
    fn reserve(&self, command: &Command, config: &Config) -> Result<MutexGuard<'_, Queue>> {
        let queue = self.lock();
        match queue.check(command, config) {
            Ok(()) => Ok(queue),
            Err(e) => {
                if matches!(e, Error::Backpressure) {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                }
                Err(e)
            }
        }
    }

    pub(crate) fn wake(&self) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            self.waker.wake();
        }
    }
}

impl Queue {
    fn check(&self, command: &Command, config: &Config) -> Result<()> {
        if self.closed {
            return Err(Error::ShutDown);
        }
        // An empty mailbox takes a command of any size, or that could never be sent at all.
        let full =
            self.bytes.saturating_add(command.cost()) > config.max_mailbox_bytes && self.bytes > 0;
        if full && command.is_bounded() { Err(Error::Backpressure) } else { Ok(()) }
    }

    fn push(&mut self, command: Command) {
        self.bytes = self.bytes.saturating_add(command.cost());
        self.commands.push(command);
    }
}

/// All shards of a server, as every thread sees them.
pub(crate) struct Fleet {
    pub(crate) config: Config,
    pub(crate) mailboxes: Box<[Mailbox]>,
    pub(crate) census: Census,
    pub(crate) trust: Trust,
    pub(crate) pushes: Pushes,
    /// Rooms that have a policy of their own, as the shards will know them when they have run what was posted.
    pub(crate) policies: Mutex<HashMap<String, SlowConsumer>>,
}

impl Fleet {
    /// Queues a command for one shard.
    pub(crate) fn post(&self, shard: usize, command: Command) -> Result<()> {
        let mailbox = self.mailboxes.get(shard).ok_or(Error::Gone)?;
        let mut queue = mailbox.reserve(&command, &self.config)?;
        queue.push(command);
        drop(queue);
        mailbox.wake();
        Ok(())
    }

    /// Queues a command for each of several shards, or for none of them. Shards that have shut down are passed over:
    /// they have nobody whom it could concern.
    ///
    /// # Errors
    ///
    /// [`Error::ShutDown`] only when all of them have.
    pub(crate) fn post_each(&self, commands: Vec<(usize, Command)>) -> Result<()> {
        // Locked in the order of the shards, as every call that locks two of them does.
        debug_assert!(commands.is_sorted_by_key(|(shard, _)| *shard));
        let mut locked = Vec::with_capacity(commands.len());
        let wanted = commands.len();
        for (shard, command) in commands {
            let mailbox = self.mailboxes.get(shard).ok_or(Error::Gone)?;
            match mailbox.reserve(&command, &self.config) {
                Ok(queue) => locked.push((shard, queue, command)),
                Err(Error::ShutDown) => {}
                Err(e) => return Err(e),
            }
        }
        if locked.is_empty() && wanted > 0 {
            return Err(Error::ShutDown);
        }
        let mut shards = Vec::with_capacity(locked.len());
        for (shard, mut queue, command) in locked {
            queue.push(command);
            shards.push(shard);
        }
        shards.into_iter().for_each(|shard| self.mailboxes[shard].wake());
        Ok(())
    }

    /// Queues the same command for every shard but `except`, or for none.
    pub(crate) fn post_all(
        &self,
        except: Option<usize>,
        command: impl Fn() -> Command,
    ) -> Result<()> {
        let shards = (0..self.mailboxes.len()).filter(|shard| Some(*shard) != except);
        self.post_each(shards.map(|shard| (shard, command())).collect())
    }

    /// The address against whose limit a connection counts. Unix sockets have none, and proxies bring others'
    /// connections.
    pub(crate) fn counted_ip(&self, peer: PeerAddr) -> Option<IpAddr> {
        peer.ip().filter(|_| !self.trust.contains(peer))
    }

    /// Whether the connection is alive, as far as this thread can know.
    pub(crate) fn is_alive(&self, id: ConnId) -> bool {
        self.mailboxes.get(id.shard()).is_some_and(|mailbox| mailbox.generations.is_alive(id))
    }

    /// [`Error::Gone`] unless the connection is alive.
    pub(crate) fn check_alive(&self, id: ConnId) -> Result<()> {
        if self.is_alive(id) { Ok(()) } else { Err(Error::Gone) }
    }

    pub(crate) fn stats(&self) -> Stats {
        let counted = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let shard = |mailbox: &Mailbox| {
            let mut stats = mailbox.stats.read();
            stats.mailbox_full = counted(&mailbox.refused);
            stats
        };
        let shards: Vec<_> = self.mailboxes.iter().map(shard).collect();
        let mut stats = Stats {
            accepted: counted(&self.census.accepted),
            accept_errors: counted(&self.census.accept_errors),
            refused_max_connections: counted(&self.census.refused_in_all),
            refused_max_connections_per_ip: counted(&self.census.refused_per_ip),
            refused_untrusted: counted(&self.census.refused_untrusted),
            pushed_conns: counted(&self.pushes.conns),
            pushed_rooms: counted(&self.pushes.rooms),
            pushed_all: counted(&self.pushes.all),
            ..Stats::default()
        };
        stats.refused = stats.refused_max_connections
            + stats.refused_max_connections_per_ip
            + stats.refused_untrusted;
        shards.iter().for_each(|shard| stats.total.add(shard));
        stats.shards = shards;
        stats
    }
}
