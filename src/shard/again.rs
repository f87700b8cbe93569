//! Sockets that are read once more in the next turn, without being reported.
//!
//! In [`EDGE`] mode a socket is reported when something comes, not as long as something is there. So a read that may have
//! left something, or did not take place for want of room, puts its socket on a list, and the loop does not wait while
//! there is one. A short read leaves nothing: what comes after it is reported. Nor does a socket have to be listed that is
//! not to be read for now: it is registered anew when it is, and reported if something is there.
//!
//! First listed, first read: a peer that sends without end is behind those for which it left no room.

use crate::reactor::{EDGE, EVENTS_PER_TURN};

use super::Shard;
use super::core::Core;

impl Shard {
    /// Reads what earlier turns left.
    #[inline]
    pub(super) fn read_again(&mut self) {
        if EDGE && !self.core.again.is_empty() {
            self.read_listed();
        }
    }

    fn read_listed(&mut self) {
        // Those that are listed meanwhile have their next turn with the others.
        for _ in 0..self.core.again.len().min(EVENTS_PER_TURN) {
            if !self.has_room() {
                return;
            }
            let Some(slot) = self.core.again.pop_front() else { return };
            // Given back since, and perhaps to somebody who is not listed.
            let Some(entry) = self.core.entries.get_mut(slot).filter(|entry| entry.again) else {
                continue;
            };
            entry.again = false;
            if entry.interest.read {
                self.read(slot);
                self.sink.deliver(&mut self.core);
            }
        }
        // A burst must not keep its memory.
        self.core.again.shrink_to(EVENTS_PER_TURN);
    }
}

impl Core {
    /// Has a socket read in the next turn, whether it is reported or not.
    #[inline]
    pub(super) fn list_again(&mut self, slot: u32) {
        if EDGE
            && let Some(entry) = self.entries.get_mut(slot)
            && !entry.again
        {
            entry.again = true;
            self.again.push_back(slot);
        }
    }
}
