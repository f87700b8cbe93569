//! Pushes that wait a moment for others to the same connection, so that all of them leave in one system call
//! ([`Config::push_merge`](crate::Config::push_merge)).
//!
//! They wait in the connection's outbox. The time is the same for all, so those that wait stand in the order in which
//! they are due, and need no timers. Whatever else flushes the outbox (a reply, a control frame, a full outbox) takes
//! them with it; the connection then keeps its place in the list, and what gathers next may leave a little early.
//!
//! # Invariants
//!
//! - A connection stands in the list at most once: exactly while its entry says that it is `gathering`.

use std::time::Duration;

use super::core::Core;

/// A connection for which something gathers.
pub(super) struct Gathering {
    /// When it is to be flushed, on the shard's clock.
    pub(super) due: Duration,
    slot: u32,
    generation: u32,
}

impl Core {
    /// A push has been queued for a connection: it leaves at the end of the turn, or gathers.
    #[inline]
    pub(super) fn after_push(&mut self, slot: u32) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        if entry.dirty {
            return;
        }
        if entry.interest.write {
            // The system takes nothing now, and says when it does.
            return self.recount(slot);
        }
        let config = &self.fleet.config;
        let queued = entry.queued();
        if config.push_merge.is_zero() || queued >= config.push_merge_bytes {
            entry.dirty = true;
            self.dirty.push(slot);
            return;
        }
        if !entry.gathering {
            entry.gathering = true;
            let due = self.woke_at + config.push_merge;
            let generation = entry.generation;
            self.gathering.push_back(Gathering { due, slot, generation });
        }
        self.recount(slot);
    }

    /// Brings the count of all that waits up to date with one outbox.
    fn recount(&mut self, slot: u32) {
        if let Some(entry) = self.entries.get_mut(slot)
            && let Some(outbox) = &mut entry.outbox
        {
            let load = outbox.load();
            self.stats.queue_bytes = self.stats.queue_bytes + load as u64 - outbox.counted as u64;
            outbox.counted = load;
        }
    }

    /// Lists those whose time has come for the flush at the end of the turn.
    pub(super) fn flush_gathered(&mut self) {
        while let Some(first) = self.gathering.front()
            && first.due <= self.woke_at
        {
            let (slot, generation) = (first.slot, first.generation);
            self.gathering.pop_front();
            let Some(entry) = self.entries.get_mut(slot) else { continue };
            if entry.generation == generation {
                entry.gathering = false;
                self.mark_dirty(slot);
            }
        }
    }
}
