//! A look at a shard from outside, for pages of an administrator.
//!
//! Runs on the shard's thread, between two commands ([`Command::Inspect`](super::mailbox::Command::Inspect)), so it
//! must be short: lists are taken page by page, each beginning where the last ended.

#![cfg_attr(
    not(feature = "admin"),
    allow(dead_code, reason = "only those pages ask for all of it")
)]

use std::time::Duration;

use crate::connection::id::ConnId;
use crate::connection::peer::PeerAddr;

use super::core::Core;
use super::entry::Entry;

/// What can be seen of a shard.
pub(crate) struct View<'a> {
    pub(super) core: &'a Core,
}

/// What can be seen of a connection.
pub(crate) struct ConnView<'a> {
    core: &'a Core,
    entry: &'a Entry,
    slot: u32,
}

/// What can be seen of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoomView<'a> {
    pub(crate) name: &'a str,
    /// Members on this shard.
    pub(crate) members: usize,
}

impl<'a> View<'a> {
    /// Open and closing connections from the `from`th place on, each with the place behind it: where the next page
    /// begins. Takes as long as the places that it passes, in use or not.
    pub(crate) fn connections(
        &self,
        from: u32,
    ) -> impl Iterator<Item = (u32, ConnView<'a>)> + use<'a> {
        let core = self.core;
        (from..core.entries.end())
            .filter_map(move |slot| Some((slot + 1, ConnView::known(core, slot)?)))
    }

    /// Members of a room from the `from`th place on, each with the place behind it. Members that join or leave between
    /// two pages may be missed or met twice.
    pub(crate) fn members(
        &self,
        room: &str,
        from: u32,
    ) -> impl Iterator<Item = (u32, ConnView<'a>)> + use<'a> {
        let core = self.core;
        let places = core.rooms.members(room).iter().zip(1..).skip(from as usize);
        places.filter_map(move |(member, next)| Some((next, ConnView::known(core, member.slot)?)))
    }

    /// How many members of a room this shard has.
    pub(crate) fn room_members(&self, room: &str) -> usize {
        self.core.rooms.members(room).len()
    }

    /// Rooms with members on this shard from the `from`th place on, each with the place behind it.
    pub(crate) fn rooms(&self, from: u32) -> impl Iterator<Item = (u32, RoomView<'a>)> + use<'a> {
        let rooms = self.core.rooms.iter(from);
        rooms.map(|(next, name, members)| (next, RoomView { name, members }))
    }
}

impl<'a> ConnView<'a> {
    fn known(core: &'a Core, slot: u32) -> Option<ConnView<'a>> {
        let entry = core.entries.get(slot).filter(|entry| entry.is_known())?;
        Some(ConnView { core, entry, slot })
    }

    pub(crate) fn id(&self) -> ConnId {
        self.core.id(self.slot)
    }

    pub(crate) fn peer(&self) -> PeerAddr {
        self.entry.peer
    }

    pub(crate) fn subprotocol(&self) -> Option<&'a str> {
        self.entry.subprotocol.as_deref()
    }

    /// Since the connection opened, or since it began to close; to a tick of the shard's timers.
    pub(crate) fn age(&self) -> Duration {
        self.core.now.since(self.entry.since)
    }

    /// Whether it is open, and not closing.
    pub(crate) fn is_open(&self) -> bool {
        self.entry.is_open()
    }

    /// Bytes that wait to be sent.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.entry.queued()
    }

    /// The host's word.
    pub(crate) fn data(&self) -> u64 {
        self.entry.data
    }

    /// Names of the rooms that it is in.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.core.rooms.of(self.slot)
    }
}
