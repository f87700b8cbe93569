//! The state of a shard without its handler: what callbacks act upon while they run.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::config::SlowConsumer;
use crate::connection::ending::{CloseCause, DropReason, Dropped, Received};
use crate::connection::id::ConnId;
use crate::connection::outbox::{self, MAX_SLICES, SharedFrame};
use crate::connection::pieces::Piece;
use crate::connection::request::Accept;
use crate::error::{Error, Result};
use crate::protocol::close;
use crate::protocol::frame::Opcode;
use crate::protocol::message::{self, Rules};
use crate::reactor::timers::{Clock, Tick, Wheel};
use crate::reactor::transport::Transport;
use crate::reactor::{Interest, Reactor};
use crate::registry::Registry;
use crate::registry::rooms::Rooms;

use super::adopt::Arrival;
use super::entry::{Entry, Phase};
use super::mailbox::{Command, Fleet, Mailbox};
use super::stats::ShardStats;

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
    pub(super) entries: Registry<Entry>,
    pub(super) rooms: Rooms,
    pub(super) wheel: Wheel,
    pub(super) rules: Rules,
    pub(super) stats: ShardStats,
    pub(super) notices: VecDeque<Notice>,
    /// Slots to be flushed at the end of the turn.
    pub(super) dirty: Vec<u32>,
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
        Core {
            index,
            fleet,
            reactor,
            clock: Clock::new(),
            now: Tick::default(),
            entries: Registry::new(),
            rooms: Rooms::default(),
            wheel: Wheel::new(),
            rules,
            stats: ShardStats::default(),
            notices: VecDeque::new(),
            dirty: Vec::new(),
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
        peer: SocketAddr,
        refusal: Option<u16>,
        arrival: Option<Box<Arrival>>,
    ) {
        self.last_generation = self.last_generation.checked_add(1).unwrap_or(1);
        let mut entry = Entry::new(transport, peer, self.last_generation, self.now);
        entry.refused = refusal.is_some();
        let slot = self.entries.insert(entry);
        let added = slot.map(|slot| {
            let entry = self.entries.get(slot).and_then(|entry| entry.transport.as_ref());
            entry.map_or(Ok(()), |transport| self.reactor.add(transport, slot, Interest::READ))
        });
        match (slot, added) {
            (Some(slot), Some(Ok(()))) => {
                self.stats.sockets += 1;
                match refusal {
                    Some(status) => self.refuse(slot, status, "too many connections"),
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
                self.uncount(peer, refusal.is_some());
            }
        }
    }

    /// Takes a socket off the counts that the acceptor keeps.
    pub(super) fn uncount(&self, peer: SocketAddr, refused: bool) {
        self.mailbox().load.fetch_sub(1, Ordering::Relaxed);
        match refused {
            true => self.fleet.census.refusal_ended(),
            false => self.fleet.census.leave(peer.ip(), &self.fleet.config),
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

    /// Queues a message of the host's own thread for a connection.
    ///
    /// The bound leaves room for the replies to one read: reading pauses above [`max_outbox_bytes`], and what one read
    /// brought may be answered in full, so an echo is never refused.
    ///
    /// [`max_outbox_bytes`]: crate::Config::max_outbox_bytes
    #[inline]
    pub(super) fn reply(&mut self, slot: u32, opcode: Opcode, payload: &[u8]) -> Result<()> {
        let most = self.fleet.config.max_outbox_bytes + READ_BUFFER + self.rules.max_message_size;
        let Some(entry) = self.entries.get_mut(slot).filter(|entry| entry.is_open()) else {
            return Err(Error::Gone);
        };
        let outbox = entry.outbox.get_or_insert_with(|| self.outboxes.take());
        if outbox.load() > most {
            outbox.owes_drain = true;
            return Err(Error::Backpressure);
        }
        let at = payload.as_ptr().addr();
        let lent = self.read_buffer.contains(&at).then(|| at - self.read_buffer.start);
        outbox.push(opcode, payload, lent);
        entry.last_message = self.now;
        self.stats.messages_out += 1;
        if !entry.dirty {
            entry.dirty = true;
            self.dirty.push(slot);
        }
        Ok(())
    }

    /// Queues a frame that others may get too, as [`slow_consumer`](crate::Config::slow_consumer) wants it.
    pub(super) fn push(&mut self, slot: u32, frame: &SharedFrame) {
        let (limit, policy) = (self.fleet.config.max_outbox_bytes, self.fleet.config.slow_consumer);
        let waits = |entry: &Entry| entry.interest.write || entry.lends();
        if let Some(entry) = self.entries.get(slot)
            && entry.queued() + frame.len() > limit
            && !waits(entry)
        {
            // All of this was queued in one turn and has not been tried: nobody is slow yet.
            self.flush(slot, &[]);
        }
        let Some(entry) = self.entries.get_mut(slot).filter(|entry| entry.is_open()) else {
            return;
        };
        let outbox = entry.outbox.get_or_insert_with(|| self.outboxes.take());
        let over = (outbox.load() + frame.len()).saturating_sub(limit);
        if over > 0 && outbox.load() > 0 {
            // A queue that still points into the read buffer is about to be flushed, and cannot be rearranged before.
            match policy {
                SlowConsumer::Close => {
                    let dropped = if outbox.lends() { 0 } else { outbox.drop_unsent() };
                    self.drop_messages(slot, dropped + 1, DropReason::SlowConsumer);
                    self.stats.slow_consumers += 1;
                    let reason = "slow consumer";
                    return self.fail(slot, close::POLICY, reason, CloseCause::SlowConsumer);
                }
                SlowConsumer::DropOld if !outbox.lends() => {
                    let dropped = outbox.drop_oldest(over);
                    outbox.owes_drain = true;
                    let fits = outbox.load() == 0 || outbox.load() + frame.len() <= limit;
                    if fits {
                        outbox.push_shared(frame);
                        self.stats.messages_out += 1;
                    }
                    if dropped > 0 {
                        self.drop_messages(slot, dropped, DropReason::OldReplaced);
                    }
                    if !fits {
                        self.drop_messages(slot, 1, DropReason::NewRefused);
                    }
                    return self.mark_dirty(slot);
                }
                SlowConsumer::DropNew | SlowConsumer::DropOld => {
                    outbox.owes_drain = true;
                    return self.drop_messages(slot, 1, DropReason::NewRefused);
                }
            }
        }
        outbox.push_shared(frame);
        entry.last_message = self.now;
        self.stats.messages_out += 1;
        self.mark_dirty(slot);
    }

    /// Queues a frame of a message in pieces. It cannot be left out where the outbox is full, so a host's own thread is
    /// refused it, and a push from elsewhere costs the connection.
    pub(super) fn push_piece(&mut self, slot: u32, piece: &Piece, is_reply: bool) -> Result<()> {
        let limit = self.fleet.config.max_outbox_bytes;
        let Some(entry) = self.entries.get_mut(slot).filter(|entry| entry.is_open()) else {
            return Err(Error::Gone);
        };
        let outbox = entry.outbox.get_or_insert_with(|| self.outboxes.take());
        if outbox.load() > 0 && outbox.load() + piece.frame.len() > limit {
            if is_reply {
                outbox.owes_drain = true;
                return Err(Error::Backpressure);
            }
            self.drop_messages(slot, 1, DropReason::SlowConsumer);
            self.stats.slow_consumers += 1;
            self.fail(slot, close::POLICY, "slow consumer", CloseCause::SlowConsumer);
            return Ok(());
        }
        if !outbox.push_piece(piece) {
            let reason = "another message is being sent in pieces to this connection";
            return Err(Error::argument("stream", piece.message, reason));
        }
        entry.last_message = self.now;
        self.stats.messages_out += u64::from(piece.is_last);
        self.mark_dirty(slot);
        Ok(())
    }

    fn drop_messages(&mut self, slot: u32, messages: usize, reason: DropReason) {
        let id = self.id(slot);
        self.stats.dropped += messages as u64;
        self.notices.push_back(Notice::Dropped(id, Dropped { messages, reason }));
    }

    /// Queues a control frame, which no pressure refuses. A peer cannot make them pile up: reading, and with it
    /// the answering of pings, pauses while the outbox is full.
    pub(super) fn push_control(&mut self, slot: u32, opcode: Opcode, payload: &[u8]) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        entry.outbox.get_or_insert_with(|| self.outboxes.take()).push(opcode, payload, None);
        self.mark_dirty(slot);
    }

    /// Queues a ping of the host. It is not what a slow consumer is judged by; one that finds far too much waiting is
    /// left out, since its answer would tell nothing.
    pub(super) fn push_ping(&mut self, slot: u32, frame: &SharedFrame) {
        let most = self.fleet.config.max_outbox_bytes + READ_BUFFER;
        let Some(entry) = self.entries.get_mut(slot).filter(|entry| entry.queued() <= most) else {
            return;
        };
        entry.outbox.get_or_insert_with(|| self.outboxes.take()).push_shared(frame);
        self.mark_dirty(slot);
    }

    /// Queues an HTTP response, after which the connection is open or ends.
    pub(super) fn push_response(&mut self, slot: u32, response: &[u8]) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        entry.outbox.get_or_insert_with(|| self.outboxes.take()).push_response(response);
        self.mark_dirty(slot);
    }

    /// Flushes every connection that has something to send since it was last tried.
    pub(super) fn flush_dirty(&mut self, buffer: &[u8]) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for &slot in &dirty {
            self.flush(slot, buffer);
        }
        dirty.clear();
        // A flush can list nobody, but its memory is kept.
        debug_assert!(self.dirty.is_empty());
        self.dirty = dirty;
    }

    /// Sends what waits for a connection, as much as the system takes.
    ///
    /// `buffer` is the read buffer, from which lent payloads are sent; what does not leave is copied out of it.
    pub(super) fn flush(&mut self, slot: u32, buffer: &[u8]) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        entry.dirty = false;
        let Some(transport) = &entry.transport else { return };
        let Some(mut outbox) = entry.outbox.take() else {
            if matches!(entry.phase, Phase::Lingering) {
                self.finish_lingering(slot);
            }
            return;
        };
        let mut failed = None;
        while !outbox.is_empty() {
            let (offered, result) = match outbox.single(buffer) {
                Some(bytes) => (bytes.len(), transport.write(bytes)),
                None => {
                    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                    let filled = outbox.slices(buffer, &mut slices);
                    let slices = &slices[..filled];
                    let offered = slices.iter().map(|slice| slice.len()).sum();
                    (offered, transport.write_vectored(slices))
                }
            };
            match result {
                Ok(sent) => {
                    self.stats.bytes_out += sent as u64;
                    entry.last_write = self.now;
                    outbox.advance(sent);
                    if sent < offered {
                        break;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    failed = Some(e.kind());
                    break;
                }
            }
        }
        if let Some(kind) = failed {
            outbox.clear();
            self.outboxes.give(outbox);
            return self.lost(slot, CloseCause::Lost(kind));
        }
        let owes_drain = outbox.owes_drain;
        let queued = outbox.queued();
        if queued == 0 && !outbox.is_streaming() {
            self.outboxes.give(outbox);
        } else {
            outbox.own_lent(buffer);
            entry.outbox = Some(outbox);
        }
        if queued > 0 || owes_drain || entry.interest != Interest::READ || !entry.is_open() {
            self.after_flush(slot, queued, owes_drain);
        }
    }

    /// What follows from how much is left: interest, pauses, *drain*, FIN.
    fn after_flush(&mut self, slot: u32, queued: usize, owes_drain: bool) {
        let limit = self.fleet.config.max_outbox_bytes;
        let Some(entry) = self.entries.get_mut(slot) else { return };
        let was_waiting = entry.interest.write;
        let below_half = queued <= limit / 2;
        if owes_drain && below_half && entry.is_open() {
            self.notices.push_back(Notice::Drain(slot));
        }
        let paused = !entry.interest.read;
        let pauses = match entry.phase {
            Phase::Open if entry.held || queued > limit => true,
            Phase::Open if !below_half => paused,
            Phase::Deciding(_) => true,
            _ => false,
        };
        if paused && !pauses {
            // Silence while we did not listen is not the peer's.
            entry.last_read = self.now;
        }
        if let Some(outbox) = &mut entry.outbox {
            outbox.owes_drain = owes_drain && !below_half || pauses && !paused;
        }
        if queued > 0 && !was_waiting {
            entry.last_write = self.now;
        }
        let interest = Interest { read: !pauses, write: queued > 0 };
        self.set_interest(slot, interest);
        if queued > 0 && !was_waiting {
            self.reschedule(slot);
        }
        if queued == 0 {
            self.finish_lingering(slot);
        }
    }

    pub(super) fn set_interest(&mut self, slot: u32, interest: Interest) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        let Some(transport) = &entry.transport else { return };
        if entry.interest == interest {
            return;
        }
        entry.interest = interest;
        if let Err(e) = self.reactor.modify(transport, slot, interest) {
            self.lost(slot, CloseCause::Lost(e.kind()));
        }
    }

    /// Sends to one connection of this shard, or to another shard's mailbox.
    pub(super) fn send_to(&mut self, id: ConnId, opcode: Opcode, payload: &[u8]) -> Result<()> {
        let frame = outbox::encode_shared(opcode, payload);
        if id.shard() != self.index {
            self.fleet.check_alive(id)?;
            let command = Command::Send { to: vec![id], frame };
            return self.fleet.post(id.shard(), command);
        }
        let slot = self.find_open(id).ok_or(Error::Gone)?;
        self.push(slot, &frame);
        Ok(())
    }

    /// Sends to everybody in a room, here and on the other shards.
    pub(super) fn publish(&mut self, room: &str, opcode: Opcode, payload: &[u8]) -> Result<()> {
        let frame = outbox::encode_shared(opcode, payload);
        let name = Arc::<str>::from(room);
        self.post_others(|| Command::Publish {
            room: Arc::clone(&name),
            frame: Arc::clone(&frame),
        })?;
        self.publish_here(room, &frame);
        Ok(())
    }

    /// Queues a command for every other shard that has not shut down, or for none.
    fn post_others(&self, command: impl Fn() -> Command) -> Result<()> {
        match self.fleet.post_all(Some(self.index), command) {
            Err(Error::ShutDown) => Ok(()),
            result => result,
        }
    }

    pub(super) fn publish_here(&mut self, room: &str, frame: &SharedFrame) {
        // From the last to the first: a push that ends a connection puts the last member into its place.
        for place in (0..self.rooms.members(room).len()).rev() {
            if let Some(&slot) = self.rooms.members(room).get(place) {
                self.push(slot, frame);
            }
        }
    }

    /// Sends to everybody, here and on the other shards.
    pub(super) fn broadcast(&mut self, opcode: Opcode, payload: &[u8]) -> Result<()> {
        let frame = outbox::encode_shared(opcode, payload);
        self.post_others(|| Command::Broadcast { frame: Arc::clone(&frame) })?;
        self.broadcast_here(&frame);
        Ok(())
    }

    pub(super) fn broadcast_here(&mut self, frame: &SharedFrame) {
        for slot in 0..self.entries.end() {
            self.push(slot, frame);
        }
    }
}
