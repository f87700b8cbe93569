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

/// What is kept of a socket for that. In level mode nothing, which takes no memory.
#[derive(Default)]
pub(super) struct Left([Flags; EDGE as usize]);

#[derive(Clone, Copy, Default)]
struct Flags {
    /// It is on the list.
    listed: bool,
    /// The peer's end has been reported, and there will be no other report.
    ended: bool,
}

impl Left {
    /// Notes that the socket is on the list. Returns whether it has to be put there.
    pub(super) fn list(&mut self) -> bool {
        self.0.first_mut().is_some_and(|flags| !std::mem::replace(&mut flags.listed, true))
    }

    /// Notes that it is no longer on the list. Returns whether it was.
    fn take(&mut self) -> bool {
        self.0.first_mut().is_some_and(|flags| std::mem::take(&mut flags.listed))
    }

    /// The peer's end has been reported.
    pub(super) fn end(&mut self) {
        self.0.iter_mut().for_each(|flags| flags.ended = true);
    }

    pub(super) fn has_end(&self) -> bool {
        self.0.first().is_some_and(|flags| flags.ended)
    }
}

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
            let Some(entry) = self.core.entries.get_mut(slot) else { continue };
            if !entry.left.take() {
                continue;
            }
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
            && entry.left.list()
        {
            self.again.push_back(slot);
        }
    }
}
