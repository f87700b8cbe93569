//! Rooms of one shard: who is in which.
//!
//! Joining and leaving are O(1) in the size of the room and in the number of the connection's rooms. A room exists while
//! it has members; a connection in no room costs nothing here. A room of one member and a connection in one room have
//! no list of their own.
//!
//! # Invariants
//!
//! - `rooms[membership.room].members[membership.place]` and that membership name each other: the member says at which
//!   place of its connection's list the membership stands.
//! - A list is never empty; an [`Index`] names exactly the memberships of its list.

use std::collections::HashMap;
use std::sync::Arc;

use slab::Slab;

use super::few::Few;

/// From this many memberships of one connection on, a table says at which place each room stands. Below, looking
/// through them is as fast.
const INDEX_FROM: usize = 32;

/// The rooms of a shard. Members are slots of its registry.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    by_name: HashMap<Arc<str>, u32>,
    rooms: Slab<Room>,
    memberships: HashMap<u32, Memberships>,
    /// How many memberships there are.
    joined: usize,
    /// Bytes of the names.
    name_bytes: usize,
    /// Number of rooms below which their memory is worth a look: what is given back is paid by what was taken away.
    shrink_below: usize,
}

#[derive(Debug)]
struct Room {
    name: Arc<str>,
    members: Few<Member>,
}

/// That a slot is in a room, as the room knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) slot: u32,
    /// Place of the [`Membership`] in the connection's list.
    at: u32,
}

/// That a slot is in a room, as the connection knows it.
#[derive(Debug, Clone, Copy)]
struct Membership {
    room: u32,
    /// Place of the [`Member`] in the room's list.
    place: u32,
}

#[derive(Debug)]
struct Memberships {
    list: Few<Membership>,
    index: Option<Box<Index>>,
}

/// From rooms to places in the list.
type Index = HashMap<u32, u32>;

impl Memberships {
    fn find(&self, room: u32) -> Option<u32> {
        match &self.index {
            Some(index) => index.get(&room).copied(),
            None => {
                let at = self.list.iter().position(|membership| membership.room == room)?;
                Some(at as u32)
            }
        }
    }

    fn push(&mut self, membership: Membership) {
        self.list.push(membership);
        let at = self.list.len() as u32 - 1;
        match &mut self.index {
            Some(index) => {
                index.insert(membership.room, at);
            }
            None if self.list.len() >= INDEX_FROM => {
                let places =
                    self.list.iter().zip(0..).map(|(membership, at)| (membership.room, at));
                self.index = Some(Box::new(places.collect()));
            }
            None => {}
        }
    }

    /// Takes a membership away. Returns it, and the one that was put into its place.
    fn swap_remove(&mut self, at: u32) -> (Membership, Option<Membership>) {
        let removed = self.list.swap_remove(at as usize);
        let moved = self.list.get(at as usize).copied();
        if let Some(index) = &mut self.index {
            index.remove(&removed.room);
            if let Some(moved) = moved {
                index.insert(moved.room, at);
            }
        }
        if self.list.len() < INDEX_FROM / 2 {
            self.index = None;
        }
        (removed, moved)
    }
}

impl Rooms {
    /// Puts `slot` into the room. Returns whether it was outside before.
    pub(crate) fn join(&mut self, slot: u32, name: &str) -> bool {
        let known = self.by_name.get(name).copied();
        let entry = self.memberships.get(&slot);
        if let (Some(room), Some(memberships)) = (known, entry)
            && memberships.find(room).is_some()
        {
            return false;
        }
        let at = entry.map_or(0, |memberships| memberships.list.len()) as u32;
        let member = Member { slot, at };
        let (room, place) = match known {
            Some(room) => {
                let members = &mut self.rooms[room as usize].members;
                members.push(member);
                (room, members.len() as u32 - 1)
            }
            None => {
                let name = Arc::<str>::from(name);
                self.name_bytes += name.len();
                let room = Room { name: Arc::clone(&name), members: Few::one(member) };
                let room = self.rooms.insert(room) as u32;
                self.by_name.insert(name, room);
                (room, 0)
            }
        };
        let membership = Membership { room, place };
        match self.memberships.get_mut(&slot) {
            Some(memberships) => memberships.push(membership),
            None => {
                let memberships = Memberships { list: Few::one(membership), index: None };
                self.memberships.insert(slot, memberships);
            }
        }
        self.joined += 1;
        true
    }

    /// Takes `slot` out of the room. Returns whether it was inside before.
    pub(crate) fn leave(&mut self, slot: u32, name: &str) -> bool {
        let Some(&room) = self.by_name.get(name) else { return false };
        let Some(memberships) = self.memberships.get_mut(&slot) else { return false };
        let Some(at) = memberships.find(room) else { return false };
        let (left, moved) = memberships.swap_remove(at);
        if let Some(moved) = moved {
            self.rooms[moved.room as usize].members[moved.place as usize].at = at;
        }
        if memberships.list.is_empty() {
            self.memberships.remove(&slot);
        }
        self.vacate(left);
        self.shrink();
        true
    }

    /// Takes `slot` out of every room.
    pub(crate) fn leave_all(&mut self, slot: u32) {
        let Some(memberships) = self.memberships.remove(&slot) else { return };
        for &membership in memberships.list.iter() {
            self.vacate(membership);
        }
        self.shrink();
    }

    /// Members of the room, in no order that means anything.
    pub(crate) fn members(&self, name: &str) -> &[Member] {
        self.find(name).map_or(&[], |room| self.members_of(room))
    }

    /// The room of this name, for [`members_of`](Self::members_of). Stands for the same room until somebody joins one.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// Members of a room that [`find`](Self::find) found; nobody once it has ended.
    pub(crate) fn members_of(&self, room: u32) -> &[Member] {
        self.rooms.get(room as usize).map_or(&[], |room| &room.members)
    }

    /// Rooms that have members.
    pub(crate) fn len(&self) -> usize {
        self.rooms.len()
    }

    /// How many memberships there are: the sum of the rooms' members.
    pub(crate) fn joined(&self) -> usize {
        self.joined
    }

    /// Whether `slot` is in the room.
    pub(crate) fn is_in(&self, slot: u32, name: &str) -> bool {
        let room = self.by_name.get(name).copied();
        room.zip(self.memberships.get(&slot)).is_some_and(|(room, list)| list.find(room).is_some())
    }

    /// How many rooms `slot` is in.
    pub(crate) fn count_of(&self, slot: u32) -> usize {
        self.memberships.get(&slot).map_or(0, |memberships| memberships.list.len())
    }

    /// Names of the rooms that `slot` is in.
    pub(crate) fn of(&self, slot: u32) -> impl Iterator<Item = &str> {
        let memberships = self.memberships.get(&slot).into_iter();
        let list = memberships.flat_map(|memberships| memberships.list.iter());
        list.map(|membership| &*self.rooms[membership.room as usize].name)
    }

    /// Rooms from the `from`th place on: the place behind each, its name, and how many members it has.
    pub(crate) fn iter(&self, from: u32) -> impl Iterator<Item = (u32, &str, usize)> {
        let places = from..self.rooms.capacity() as u32;
        places.filter_map(|at| {
            let room = self.rooms.get(at as usize)?;
            Some((at + 1, &*room.name, room.members.len()))
        })
    }

    /// Bytes of memory that all of this holds, without what the allocator adds to each piece. Lists of several are
    /// estimated by the number of memberships.
    pub(crate) fn footprint(&self) -> usize {
        // A hash table has one byte beside each place, and at least an eighth of its places are empty.
        let by_name = self.by_name.capacity() * 8 / 7 * (size_of::<(Arc<str>, u32)>() + 1);
        let by_slot = self.memberships.capacity() * 8 / 7 * (size_of::<(u32, Memberships)>() + 1);
        let rooms = self.rooms.capacity() * (size_of::<Room>() + size_of::<usize>());
        // An `Arc` has two counters before its text.
        let names = self.name_bytes + self.rooms.len() * 2 * size_of::<usize>();
        let members = self.joined.saturating_sub(self.rooms.len()) * size_of::<Member>();
        let singles = self.memberships.len();
        let lists = self.joined.saturating_sub(singles) * size_of::<Membership>();
        by_name + by_slot + rooms + names + members + lists
    }

    /// Fills a member's place with the room's last member; a room that is empty then ends.
    fn vacate(&mut self, Membership { room, place }: Membership) {
        self.joined -= 1;
        let members = &mut self.rooms[room as usize].members;
        members.swap_remove(place as usize);
        if members.is_empty() {
            let room = self.rooms.remove(room as usize);
            self.name_bytes -= room.name.len();
            self.by_name.remove(&room.name);
        } else if let Some(&Member { slot, at }) = members.get(place as usize)
            && let Some(memberships) = self.memberships.get_mut(&slot)
        {
            memberships.list[at as usize].place = place;
        }
    }

    /// Gives back memory once most rooms or connections have gone.
    fn shrink(&mut self) {
        let used = self.rooms.len().max(self.memberships.len());
        if used >= self.shrink_below && used > 0 {
            // Halfway down from here is the next time to look.
            self.shrink_below = self.shrink_below.max(used / 2);
            return;
        }
        self.shrink_below = used / 2;
        shrink_table(&mut self.by_name);
        shrink_table(&mut self.memberships);
        if self.rooms.capacity() > 64 {
            // As far as the last room in use.
            self.rooms.shrink_to_fit();
        }
    }
}

/// Leaves room to grow to the double.
fn shrink_table<K: std::hash::Hash + Eq, V>(table: &mut HashMap<K, V>) {
    if table.capacity() > 8 * table.len().max(8) {
        table.shrink_to(2 * table.len());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn members(rooms: &Rooms, name: &str) -> Vec<u32> {
        let mut members: Vec<u32> = rooms.members(name).iter().map(|member| member.slot).collect();
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
        assert_eq!(members(&rooms, "chat"), [3]);
        rooms.leave_all(3);
        assert_eq!(members(&rooms, "news"), [1, 2, 4]);
        assert_eq!((members(&rooms, "chat"), rooms.len()), (vec![], 1));
    }

    /// Whatever happens, the rooms are what a plain set of pairs would be.
    #[test]
    fn a_long_history_keeps_every_place_right() {
        let mut rooms = Rooms::default();
        let mut model = BTreeSet::new();
        let mut random = 12345_u64;
        let mut next = |below: u64| {
            // Knuth's MMIX generator; the upper bits are good.
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (random >> 33) % below
        };
        for step in 0..40_000 {
            let slot = next(20) as u32;
            let name = format!("room {}", next(80));
            match next(100) {
                0 => {
                    rooms.leave_all(slot);
                    model.retain(|(member, _)| *member != slot);
                }
                1..60 => assert_eq!(rooms.join(slot, &name), model.insert((slot, name))),
                _ => assert_eq!(rooms.leave(slot, &name), model.remove(&(slot, name))),
            }
            if step % 100 == 0 {
                check(&rooms, &model);
            }
        }
        (0..20).for_each(|slot| rooms.leave_all(slot));
        check(&rooms, &BTreeSet::new());
    }

    fn check(rooms: &Rooms, model: &BTreeSet<(u32, String)>) {
        let mut expected = BTreeMap::<&str, Vec<u32>>::new();
        for (slot, name) in model {
            expected.entry(name).or_default().push(*slot);
        }
        assert_eq!((rooms.len(), rooms.joined()), (expected.len(), model.len()));
        for (name, slots) in &expected {
            assert_eq!(members(rooms, name), *slots, "{name}");
        }
        let listed: BTreeMap<&str, usize> =
            rooms.iter(0).map(|(_, name, count)| (name, count)).collect();
        assert_eq!(listed, expected.iter().map(|(name, slots)| (*name, slots.len())).collect());
        for slot in 0..20 {
            let mut names: Vec<&str> = rooms.of(slot).collect();
            names.sort_unstable();
            let wanted: Vec<&str> = model
                .iter()
                .filter(|(member, _)| *member == slot)
                .map(|(_, name)| name.as_str())
                .collect();
            assert_eq!((names.len(), &names), (rooms.count_of(slot), &wanted));
        }
    }

    #[test]
    fn a_page_begins_where_the_last_ended() {
        let mut rooms = Rooms::default();
        for slot in 0..10 {
            rooms.join(slot, &format!("room {slot}"));
        }
        rooms.leave(4, "room 4");
        let (mut names, mut from) = (Vec::new(), 0);
        loop {
            let page: Vec<_> = rooms.iter(from).take(2).collect();
            let Some((next, ..)) = page.last() else { break };
            from = *next;
            names.extend(page.iter().map(|(_, name, _)| (*name).to_owned()));
        }
        assert_eq!(names.len(), 9);
        assert!(!names.contains(&"room 4".to_owned()));
    }

    #[test]
    fn rooms_that_have_gone_cost_nothing() {
        let mut rooms = Rooms::default();
        for slot in 0..50_000 {
            rooms.join(slot, &format!("room {slot}"));
        }
        let full = rooms.footprint();
        assert!(full < 50_000 * 250, "{full} bytes");
        (0..50_000).for_each(|slot| rooms.leave_all(slot));
        assert!(rooms.footprint() < 10_000, "{} bytes", rooms.footprint());
    }

    #[test]
    fn a_connection_in_very_many_rooms_leaves_each_at_once() {
        const ROOMS: u32 = 100_000;
        let mut rooms = Rooms::default();
        let names: Vec<String> = (0..ROOMS).map(|room| format!("room {room}")).collect();
        // Both are in all of them, so that each leaving moves a place in both lists. Quadratic work would take minutes.
        for slot in [1, 2] {
            for name in &names {
                assert!(rooms.join(slot, name) && !rooms.join(slot, name));
            }
        }
        for name in names.iter().step_by(2) {
            assert!(rooms.leave(1, name));
        }
        assert_eq!((rooms.count_of(1), rooms.count_of(2)), (50_000, 100_000));
        rooms.leave_all(2);
        assert_eq!((rooms.len(), rooms.joined()), (50_000, 50_000));
        for name in names.iter().skip(1).step_by(2) {
            assert!(rooms.leave(1, name));
        }
        assert_eq!(rooms.len(), 0);
    }
}
