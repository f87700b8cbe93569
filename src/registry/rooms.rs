//! Rooms of one shard: who is in which.
//!
//! Joining and leaving are O(1) in the size of the room. A room exists while it has members; a connection in no room
//! costs nothing here.

use std::collections::HashMap;
use std::sync::Arc;

use slab::Slab;

/// The rooms of a shard. Members are slots of its registry.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    by_name: HashMap<Arc<str>, usize>,
    rooms: Slab<Room>,
    memberships: HashMap<u32, Vec<Membership>>,
}

#[derive(Debug)]
struct Room {
    name: Arc<str>,
    members: Vec<u32>,
}

/// That a slot is member number `place` of a room.
#[derive(Debug, Clone, Copy)]
struct Membership {
    room: usize,
    place: u32,
}

impl Rooms {
    /// Puts `slot` into the room. Returns whether it was outside before.
    pub(crate) fn join(&mut self, slot: u32, name: &str) -> bool {
        let room = match self.by_name.get(name) {
            Some(&room) => room,
            None => {
                let name = Arc::<str>::from(name);
                let room = self.rooms.insert(Room { name: Arc::clone(&name), members: Vec::new() });
                self.by_name.insert(name, room);
                room
            }
        };
        let memberships = self.memberships.entry(slot).or_default();
        if memberships.iter().any(|membership| membership.room == room) {
            return false;
        }
        let members = &mut self.rooms[room].members;
        memberships.push(Membership { room, place: members.len() as u32 });
        members.push(slot);
        true
    }

    /// Takes `slot` out of the room. Returns whether it was inside before.
    pub(crate) fn leave(&mut self, slot: u32, name: &str) -> bool {
        let Some(&room) = self.by_name.get(name) else { return false };
        let Some(memberships) = self.memberships.get_mut(&slot) else { return false };
        let Some(at) = memberships.iter().position(|membership| membership.room == room) else {
            return false;
        };
        let membership = memberships.swap_remove(at);
        if memberships.is_empty() {
            self.memberships.remove(&slot);
        }
        self.vacate(membership);
        true
    }

    /// Takes `slot` out of every room.
    pub(crate) fn leave_all(&mut self, slot: u32) {
        for membership in self.memberships.remove(&slot).unwrap_or_default() {
            self.vacate(membership);
        }
    }

    /// Members of the room, in no order that means anything.
    pub(crate) fn members(&self, name: &str) -> &[u32] {
        self.by_name.get(name).map_or(&[], |&room| &self.rooms[room].members)
    }

    /// Rooms that have members.
    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Fills a member's place with the room's last member; a room that is empty then ends.
    fn vacate(&mut self, Membership { room, place }: Membership) {
        let members = &mut self.rooms[room].members;
        members.swap_remove(place as usize);
        if let Some(&moved) = members.get(place as usize) {
            let memberships = self.memberships.get_mut(&moved).into_iter().flatten();
            for membership in memberships.filter(|membership| membership.room == room) {
                membership.place = place;
            }
        } else if members.is_empty() {
            let room = self.rooms.remove(room);
            self.by_name.remove(&room.name);
        }
        if self.by_name.capacity() > 64 && self.by_name.capacity() > 8 * self.by_name.len() {
            self.by_name.shrink_to(2 * self.by_name.len());
        }
        if self.memberships.capacity() > 64
            && self.memberships.capacity() > 8 * self.memberships.len()
        {
            self.memberships.shrink_to(2 * self.memberships.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(rooms: &Rooms, name: &str) -> Vec<u32> {
        let mut members = rooms.members(name).to_vec();
        members.sort_unstable();
        members
    }

    #[test]
    fn a_room_is_who_joined_less_who_left() {
        let mut rooms = Rooms::default();
        for slot in 0..5 {
            assert!(rooms.join(slot, "news"));
        }
        assert!(!rooms.join(3, "news"));
        assert!(rooms.join(3, "chat"));
        assert!(rooms.leave(0, "news") && !rooms.leave(0, "news"));
        assert!(!rooms.leave(1, "nowhere"));
        assert_eq!(members(&rooms, "news"), [1, 2, 3, 4]);
        rooms.leave_all(4);
        rooms.leave_all(3);
        assert_eq!((members(&rooms, "news"), members(&rooms, "chat")), (vec![1, 2], vec![]));
    }

    #[test]
    fn without_members_nothing_is_left() {
        let mut rooms = Rooms::default();
        for slot in 0..500 {
            for room in 0..4 {
                rooms.join(slot, &format!("room {}", (slot + room) % 97));
            }
        }
        for slot in (0..500).rev() {
            rooms.leave_all(slot);
        }
        assert_eq!((rooms.len(), rooms.by_name.len(), rooms.memberships.len()), (0, 0, 0));
        assert!(rooms.memberships.capacity() <= 64);
    }
}
