//! From one message to those who get it, here and on the other shards.

use std::sync::Arc;

use crate::connection::id::ConnId;
use crate::connection::outbox::{self, SharedFrame};
use crate::error::{Error, Result};
use crate::protocol::frame::Opcode;

use super::core::Core;
use super::mailbox::Command;

impl Core {
    /// Sends to one connection of this shard, or to another shard's mailbox.
    pub(super) fn send_to(&mut self, id: ConnId, opcode: Opcode, payload: &[u8]) -> Result<()> {
        let frame = outbox::encode_shared(opcode, payload);
        if id.shard() != self.index {
            self.fleet.check_alive(id)?;
            let command = Command::Send { to: vec![id], frame };
            return self.fleet.post(id.shard(), command);
        }
        let slot = self.find_open(id).ok_or(Error::Gone)?;
        self.push(slot, &frame);
        Ok(())
    }

    /// Sends to everybody in a room, here and on the other shards.
    pub(super) fn publish(&mut self, room: &str, opcode: Opcode, payload: &[u8]) -> Result<()> {
        let frame = outbox::encode_shared(opcode, payload);
        let name = Arc::<str>::from(room);
        self.post_others(|| Command::Publish {
            room: Arc::clone(&name),
            frame: Arc::clone(&frame),
        })?;
        self.publish_here(room, &frame);
        Ok(())
    }

    /// Queues a command for every other shard that has not shut down, or for none.
    fn post_others(&self, command: impl Fn() -> Command) -> Result<()> {
        match self.fleet.post_all(Some(self.index), command) {
            Err(Error::ShutDown) => Ok(()),
            result => result,
        }
    }

    pub(super) fn publish_here(&mut self, room: &str, frame: &SharedFrame) {
        // From the last to the first: a push that ends a connection puts the last member into its place.
        for place in (0..self.rooms.members(room).len()).rev() {
            if let Some(&slot) = self.rooms.members(room).get(place) {
                self.push(slot, frame);
            }
        }
    }

    /// Sends to everybody, here and on the other shards.
    pub(super) fn broadcast(&mut self, opcode: Opcode, payload: &[u8]) -> Result<()> {
        let frame = outbox::encode_shared(opcode, payload);
        self.post_others(|| Command::Broadcast { frame: Arc::clone(&frame) })?;
        self.broadcast_here(&frame);
        Ok(())
    }

    pub(super) fn broadcast_here(&mut self, frame: &SharedFrame) {
        for slot in 0..self.entries.end() {
            self.push(slot, frame);
        }
    }
}
