//! What leaves an outbox, and what follows from how much is left.

use std::io::{self, IoSlice};

use crate::connection::ending::CloseCause;
use crate::connection::outbox::MAX_SLICES;
use crate::reactor::Interest;

use super::core::{Core, Notice};
use super::entry::Phase;

impl Core {
    /// Flushes every connection that has something to send since it was last tried.
    pub(super) fn flush_dirty(&mut self, buffer: &[u8]) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for &slot in &dirty {
            // It may have been flushed since it was listed, and what gathers since then is not due.
            if self.entries.get(slot).is_some_and(|entry| entry.dirty) {
                self.flush(slot, buffer);
            }
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
            self.stats.sends += 1;
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
        let left = if failed.is_some() { 0 } else { outbox.load() };
        if left != outbox.counted {
            self.stats.queue_bytes = self.stats.queue_bytes + left as u64 - outbox.counted as u64;
            outbox.counted = left;
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
}
