//! What goes into an outbox, and what happens when it is full.

use crate::config::SlowConsumer;
use crate::connection::ending::{CloseCause, DropReason, Dropped};
use crate::connection::id::ConnId;
use crate::connection::outbox::SharedFrame;
use crate::connection::pieces::Piece;
use crate::error::{Error, Result};
use crate::protocol::close;
use crate::protocol::frame::Opcode;

use super::core::{Core, Notice, READ_BUFFER};
use super::entry::Entry;
use super::target::Outcome;

impl Core {
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

    /// Queues a frame that others may get too. If the outbox is full, `policy` decides.
    pub(super) fn push(&mut self, slot: u32, frame: &SharedFrame, policy: SlowConsumer) -> Outcome {
        let limit = self.fleet.config.max_outbox_bytes;
        let waits = |entry: &Entry| entry.interest.write || entry.lends();
        if let Some(entry) = self.entries.get(slot)
            && entry.queued() + frame.len() > limit
            && !waits(entry)
        {
            // All of this was queued in one turn and has not been tried: nobody is slow yet.
            self.flush(slot, &[]);
        }
        let Some(entry) = self.entries.get_mut(slot).filter(|entry| entry.is_open()) else {
            return Outcome::Closed;
        };
        let outbox = entry.outbox.get_or_insert_with(|| self.outboxes.take());
        let over = (outbox.load() + frame.len()).saturating_sub(limit);
        if over > 0 && outbox.load() > 0 {
            match policy {
                SlowConsumer::Close => {
                    let dropped = outbox.drop_unsent();
                    self.drop_messages(slot, dropped + 1, DropReason::SlowConsumer);
                    self.stats.slow_consumers += 1;
                    let reason = "slow consumer";
                    self.fail(slot, close::POLICY, reason, CloseCause::SlowConsumer);
                    return Outcome::Dropped;
                }
                SlowConsumer::DropOld => {
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
                    self.after_push(slot);
                    return if fits { Outcome::Queued } else { Outcome::Dropped };
                }
                SlowConsumer::DropNew => {
                    outbox.owes_drain = true;
                    self.drop_messages(slot, 1, DropReason::NewRefused);
                    return Outcome::Dropped;
                }
            }
        }
        outbox.push_shared(frame);
        entry.last_message = self.now;
        self.stats.messages_out += 1;
        self.after_push(slot);
        Outcome::Queued
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
        self.report_dropped(self.id(slot), messages, reason);
    }

    /// Counts messages that were dropped, and has the host told.
    pub(super) fn report_dropped(&mut self, id: ConnId, messages: usize, reason: DropReason) {
        let stats = self.rare();
        let counter = match reason {
            DropReason::SlowConsumer => &mut stats.dropped_slow_consumer,
            DropReason::NewRefused => &mut stats.dropped_new,
            DropReason::OldReplaced => &mut stats.dropped_old,
            DropReason::Gone => &mut stats.dropped_gone,
        };
        *counter += messages as u64;
        stats.dropped += messages as u64;
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
}
