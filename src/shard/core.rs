//! The state of a shard without its handler: what callbacks act upon while they run.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::config::SlowConsumer;
use crate::connection::ending::{CloseCause, Dropped, Received};
use crate::connection::id::ConnId;
use crate::connection::outbox;
use crate::connection::peer::PeerAddr;
use crate::connection::request::Accept;
use crate::protocol::message::{self, Rules};
use crate::reactor::timers::{Clock, Tick, Wheel};
use crate::reactor::transport::Transport;
use crate::reactor::{Interest, Reactor};
use crate::registry::Registry;
use crate::registry::rooms::Rooms;

use super::adopt::Arrival;
use super::entry::{Entry, Phase};
use super::mailbox::{Fleet, Mailbox};
use super::merging::Gathering;
use super::stats::{Lag, ShardStats};

/// Size of the read buffer of a shard. One read takes what fits, so this is also the read budget of a connection and
/// turn; 64 KiB messages at depth 2 need 128 KiB, and more than the second-level cache holds would slow down the echo.
pub(super) const READ_BUFFER: usize = 512 * 1024;

/// A call to the handler that is due.
pub(super) enum Notice {
    Drain(u32),
    Dropped(ConnId, Dropped),
    Close(u32, Closed),
}

/// What [`Close`](crate::Close) is made of.
pub(super) struct Closed {
    pub(super) sent: Option<u16>,
    pub(super) received: Received,
    pub(super) reason: Box<str>,
    pub(super) cause: CloseCause,
}

/// See the module's description.
pub(crate) struct Core {
    pub(super) index: usize,
    pub(super) fleet: Arc<Fleet>,
    pub(super) reactor: Reactor,
    pub(super) clock: Clock,
    pub(super) now: Tick,
    /// When the last wait ended, and `now` in more detail.
    pub(super) woke_at: Duration,
    /// When the last turn ended; in hosted mode, when this one began, until it ends.
    pub(super) turned_at: Duration,
    pub(super) lag: Lag,
    pub(super) entries: Registry<Entry>,
    pub(super) rooms: Rooms,
    /// Rooms whose pushes follow a policy of their own.
    pub(super) policies: HashMap<Arc<str>, SlowConsumer>,
    pub(super) wheel: Wheel,
    pub(super) rules: Rules,
    pub(super) stats: ShardStats,
    /// A number changed that is not published with every turn.
    pub(super) rare_changed: bool,
    /// When those were last published.
    pub(super) published_at: Tick,
    pub(super) notices: VecDeque<Notice>,
    /// Slots to be flushed at the end of the turn.
    pub(super) dirty: Vec<u32>,
    /// Slots that are read in the next turn without being reported (`again.rs`).
    pub(super) again: VecDeque<u32>,
    pub(super) gathering: VecDeque<Gathering>,
    /// Slots whose connection has ended; they are given back at the end of the turn, so that no event that was
    /// reported for one can meet its next owner.
    pub(super) ended: Vec<u32>,
    pub(super) outboxes: outbox::Spares,
    pub(super) partials: message::Spares,
    /// Addresses of the read buffer: a payload in there is not copied into the outbox.
    pub(super) read_buffer: Range<usize>,
    pub(super) draining: Option<Instant>,
    /// Upgrades that were put off and have been accepted since; the connections open before the turn ends.
    pub(super) accepted: Vec<(u32, Arc<[u8]>, Accept)>,
    /// Sockets that the host handed over with what it had read of them.
    pub(super) arrivals: Vec<(ConnId, Arrival)>,
    last_generation: u32,
}

impl Core {
    pub(super) fn new(
        index: usize,
        fleet: Arc<Fleet>,
        reactor: Reactor,
        read_buffer: Range<usize>,
    ) -> Core {
        let rules = Rules {
            max_message_size: fleet.config.max_message_size,
            stream_fragments: fleet.config.stream_fragments,
        };
        let policies = fleet.config.room_policies.iter();
        let policies = policies.map(|(room, policy)| (room.as_str().into(), *policy)).collect();
        Core {
            index,
            fleet,
            reactor,
            clock: Clock::new(),
            now: Tick::default(),
            woke_at: Duration::ZERO,
            turned_at: Duration::ZERO,
            lag: Lag::default(),
            entries: Registry::new(),
            rooms: Rooms::default(),
            policies,
            wheel: Wheel::new(),
            rules,
            stats: ShardStats::default(),
            // So that the first turn shows them.
            rare_changed: true,
            published_at: Tick::default(),
            notices: VecDeque::new(),
            dirty: Vec::new(),
            again: VecDeque::new(),
            gathering: VecDeque::new(),
            ended: Vec::new(),
            outboxes: outbox::Spares::default(),
            partials: message::Spares::default(),
            read_buffer,
            draining: None,
            accepted: Vec::new(),
            arrivals: Vec::new(),
            last_generation: 0,
        }
    }

    pub(super) fn mailbox(&self) -> &Mailbox {
        &self.fleet.mailboxes[self.index]
    }

    /// The counters that are published only when they change, to be changed.
    pub(super) fn rare(&mut self) -> &mut ShardStats {
        self.rare_changed = true;
        &mut self.stats
    }

    pub(super) fn id(&self, slot: u32) -> ConnId {
        let generation = self.entries.get(slot).map_or(0, |entry| entry.generation);
        ConnId::new(self.index, slot, generation)
    }

    /// The slot of a connection of this shard that is open.
    pub(super) fn find_open(&self, id: ConnId) -> Option<u32> {
        let slot = self.find(id)?;
        self.entries.get(slot)?.is_open().then_some(slot)
    }

    /// The slot of a connection of this shard that is open, deciding or closing.
    pub(super) fn find(&self, id: ConnId) -> Option<u32> {
        let entry = self.entries.get(id.slot())?;
        let alive = matches!(entry.phase, Phase::Deciding(_)) || entry.is_known();
        let same = id.shard() == self.index && id.generation() == entry.generation;
        (alive && same).then(|| id.slot())
    }

    /// Takes over an accepted connection.
    pub(super) fn adopt(
        &mut self,
        transport: Transport,
        peer: PeerAddr,
        refusal: Option<u16>,
        is_proxied: bool,
        arrival: Option<Box<Arrival>>,
    ) {
        self.last_generation = self.last_generation.checked_add(1).unwrap_or(1);
        let mut entry = Entry::new(transport, peer, self.last_generation, self.now);
        let counted_ip = self.fleet.counted_ip(peer).filter(|_| refusal.is_none());
        entry.refused = refusal.is_some();
        entry.counted = counted_ip.is_some();
        if is_proxied {
            entry.phase = Phase::Proxy(Box::default());
        }
        let slot = self.entries.insert(entry);
        let added = slot.map(|slot| {
            let entry = self.entries.get(slot).and_then(|entry| entry.transport.as_ref());
            entry.map_or(Ok(()), |transport| self.reactor.add(transport, slot, Interest::READ))
        });
        match (slot, added) {
            (Some(slot), Some(Ok(()))) => {
                self.stats.sockets += 1;
                match refusal {
                    Some(status) => self.refuse(slot, status, reason_of(status)),
                    None => {
                        self.reschedule(slot);
                        let id = self.id(slot);
                        self.arrivals.extend(arrival.map(|arrival| (id, *arrival)));
                    }
                }
            }
            (slot, error) => {
                let why = error.and_then(|error| error.err());
                log::error!("shard {}: {peer} cannot be served: {why:?}", self.index);
                slot.and_then(|slot| self.entries.remove(slot));
                self.uncount(refusal.is_some(), counted_ip);
            }
        }
    }

    /// Takes a socket off the counts that the acceptor keeps.
    pub(super) fn uncount(&self, refused: bool, counted_ip: Option<IpAddr>) {
        self.mailbox().load.fetch_sub(1, Ordering::Relaxed);
        match refused {
            true => self.fleet.census.refusal_ended(),
            false => self.fleet.census.leave(counted_ip, &self.fleet.config),
        }
    }

    /// Lists a connection for the flush at the end of the turn.
    #[inline]
    pub(super) fn mark_dirty(&mut self, slot: u32) {
        if let Some(entry) = self.entries.get_mut(slot)
            && !entry.dirty
        {
            entry.dirty = true;
            self.dirty.push(slot);
        }
    }
}

/// What a connection is told that the acceptor has refused.
fn reason_of(status: u16) -> &'static str {
    match status {
        403 => "not a trusted proxy",
        _ => "too many connections",
    }
}
