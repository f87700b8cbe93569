//! Who is connected: from ids to entries, and from rooms to members. Pure data.

mod few;
pub(crate) mod generations;
pub(crate) mod rooms;

use crate::connection::id::MAX_SLOTS;

/// A slab of entries. A slot that is free is used again before the slab grows.
///
/// Slots do not move.
#[derive(Debug)]
pub(crate) struct Registry<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Registry<T> {
    pub(crate) fn new() -> Registry<T> {
        Registry { slots: Vec::new(), free: Vec::new() }
    }

    /// Entries that are in use.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Puts what `entry` makes into a free slot and returns the slot; `None` if all [`MAX_SLOTS`] are in use.
    pub(crate) fn insert(&mut self, entry: T) -> Option<u32> {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(entry);
            return Some(slot);
        }
        if self.slots.len() == MAX_SLOTS {
            return None;
        }
        self.slots.push(Some(entry));
        Some(self.slots.len() as u32 - 1)
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<T> {
        let entry = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        Some(entry)
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<&T> {
        self.slots.get(slot as usize)?.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// Bytes of memory that the slab holds.
    pub(crate) fn footprint(&self) -> usize {
        self.slots.capacity() * size_of::<Option<T>>() + self.free.capacity() * size_of::<u32>()
    }

    /// One more than the largest slot in use: a bound for walks that change entries as they go.
    pub(crate) fn end(&self) -> u32 {
        self.slots.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_slots_are_used_again_before_the_slab_grows() {
        let mut registry = Registry::new();
        let (a, b) = (registry.insert('a'), registry.insert('b'));
        assert_eq!((a, b, registry.len()), (Some(0), Some(1), 2));
        assert_eq!((registry.remove(0), registry.remove(0)), (Some('a'), None));
        assert_eq!(registry.insert('c'), Some(0));
        assert_eq!((registry.get(0), registry.len(), registry.end()), (Some(&'c'), 2, 2));
    }
}
