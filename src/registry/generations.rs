//! Which id of each slot is alive, for every thread to see.
//!
//! A call from another thread can so say [`Gone`](crate::Error::Gone) at once, without asking the shard. Four bytes a
//! slot, in chunks that are made when the first of their slots is used and stay.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::connection::id::{ConnId, MAX_SLOTS};

const CHUNK: usize = 4096;

/// The generation that no connection has.
const NOBODY: u32 = 0;

pub(crate) struct Generations {
    chunks: Box<[OnceLock<Box<[AtomicU32]>>]>,
}

impl Generations {
    pub(crate) fn new() -> Generations {
        Generations { chunks: (0..MAX_SLOTS / CHUNK).map(|_| OnceLock::new()).collect() }
    }

    fn cell(&self, slot: u32) -> &AtomicU32 {
        let chunk = &self.chunks[slot as usize / CHUNK];
        let cells = chunk.get_or_init(|| (0..CHUNK).map(|_| AtomicU32::new(NOBODY)).collect());
        &cells[slot as usize % CHUNK]
    }

    /// Declares the connection of this id alive.
    pub(crate) fn publish(&self, id: ConnId) {
        // Relaxed: an id reaches other threads only by ways that order it after this.
        self.cell(id.slot()).store(id.generation(), Ordering::Relaxed);
    }

    /// Declares that nobody has this slot.
    pub(crate) fn retract(&self, slot: u32) {
        self.cell(slot).store(NOBODY, Ordering::Relaxed);
    }

    /// Whether the connection of this id is alive, as far as this thread can know.
    pub(crate) fn is_alive(&self, id: ConnId) -> bool {
        let (slot, generation) = (id.slot() as usize, id.generation());
        generation != NOBODY
            && self.chunks[slot / CHUNK]
                .get()
                .is_some_and(|cells| cells[slot % CHUNK].load(Ordering::Relaxed) == generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_owner_of_a_slot_is_alive() {
        let generations = Generations::new();
        let (old, new) = (ConnId::new(0, 5000, 1), ConnId::new(0, 5000, 2));
        assert!(!generations.is_alive(old) && !generations.is_alive(ConnId::from_raw(0)));
        generations.publish(old);
        assert!(generations.is_alive(old) && !generations.is_alive(new));
        generations.publish(new);
        assert!(!generations.is_alive(old) && generations.is_alive(new));
        generations.retract(5000);
        assert!(!generations.is_alive(new));
    }
}
