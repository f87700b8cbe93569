//! From one message to those who get it, here and on the other shards.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::connection::id::ConnId;
use crate::connection::outbox::{self, SharedFrame};
use crate::error::{Error, Result};
use crate::protocol::frame::Opcode;

use super::core::Core;
use super::mailbox::Command;
use super::target::Reached;

impl Core {
    /// Sends to one connection of this shard, or to another shard's mailbox.
    pub(super) fn send_to(&mut self, id: ConnId, opcode: Opcode, payload: &[u8]) -> Result<()> {
        let frame = outbox::encode_shared(opcode, payload);
        if id.shard() != self.index {
            self.fleet.check_alive(id)?;
            let command = Command::Send { to: vec![id], frame, share: None };
            self.fleet.post(id.shard(), command)?;
        } else {
            let slot = self.find_open(id).ok_or(Error::Gone)?;
            self.push(slot, &frame, self.fleet.config.slow_consumer);
        }
        self.fleet.pushes.conns.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Sends to everybody in a room but one, here and on the other shards.
    pub(super) fn publish(
        &mut self,
        room: &str,
        except: Option<ConnId>,
        opcode: Opcode,
        payload: &[u8],
    ) -> Result<()> {
        let frame = outbox::encode_shared(opcode, payload);
        let name = Arc::<str>::from(room);
        self.post_others(|| Command::Publish {
            room: Arc::clone(&name),
            frame: Arc::clone(&frame),
            except,
            share: None,
        })?;
        self.fleet.pushes.rooms.fetch_add(1, Ordering::Relaxed);
        self.publish_here(room, &frame, except);
        Ok(())
    }

    /// Queues a command for every other shard that has not shut down, or for none.
    fn post_others(&self, command: impl Fn() -> Command) -> Result<()> {
        match self.fleet.post_all(Some(self.index), command) {
            Err(Error::ShutDown) => Ok(()),
            result => result,
        }
    }

    pub(super) fn publish_here(
        &mut self,
        room: &str,
        frame: &SharedFrame,
        except: Option<ConnId>,
    ) -> Reached {
        let except = except.and_then(|id| self.find(id));
        let policy = match self.policies.is_empty() {
            true => None,
            false => self.policies.get(room).copied(),
        };
        let policy = policy.unwrap_or(self.fleet.config.slow_consumer);
        // Nobody joins while this goes on: whatever calls a push causes come later.
        let Some(room) = self.rooms.find(room) else { return Reached::default() };
        let members = self.rooms.members_of(room).len();
        let mut reached = Reached { met: members as u64, ..Reached::default() };
        // From the last to the first: a push that ends a connection puts the last member into its place.
        for place in (0..members).rev() {
            if let Some(member) = self.rooms.members_of(room).get(place)
                && Some(member.slot) != except
            {
                reached.count(self.push(member.slot, frame, policy));
            }
        }
        reached
    }

    /// Sends to everybody but one, here and on the other shards.
    pub(super) fn broadcast(
        &mut self,
        except: Option<ConnId>,
        opcode: Opcode,
        payload: &[u8],
    ) -> Result<()> {
        let frame = outbox::encode_shared(opcode, payload);
        let command = || Command::Broadcast { frame: Arc::clone(&frame), except, share: None };
        self.post_others(command)?;
        self.fleet.pushes.all.fetch_add(1, Ordering::Relaxed);
        self.broadcast_here(&frame, except);
        Ok(())
    }

    pub(super) fn broadcast_here(
        &mut self,
        frame: &SharedFrame,
        except: Option<ConnId>,
    ) -> Reached {
        let except = except.and_then(|id| self.find(id));
        let policy = self.fleet.config.slow_consumer;
        let mut reached = Reached::default();
        for slot in 0..self.entries.end() {
            if Some(slot) != except {
                reached.count(self.push(slot, frame, policy));
            }
        }
        reached
    }
}
