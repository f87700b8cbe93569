//! What other threads asked for.

use std::time::Instant;

use crate::connection::ending::DropReason;
use crate::connection::id::ConnId;
use crate::connection::outbox::SharedFrame;

use super::Shard;
use super::core::{Core, Notice};
use super::mailbox::Command;
use super::target::{Outcome, Reached};
use super::view::View;

impl Shard {
    /// Empties the mailbox. Each command's consequences are delivered before the next is looked at.
    pub(super) fn run_commands(&mut self) {
        if !self.core.mailbox().has_mail() {
            return;
        }
        let mut commands = std::mem::take(&mut self.commands);
        self.core.mailbox().take(&mut commands);
        for command in commands.drain(..) {
            self.core.run(command);
            self.sink.deliver(&mut self.core);
        }
        // A burst must not keep its memory.
        commands.shrink_to(1024);
        self.commands = commands;
    }
}

impl Core {
    fn run(&mut self, command: Command) {
        match command {
            Command::Adopt { transport, peer, refusal, is_proxied, arrival } => {
                match self.draining {
                    None => self.adopt(transport, peer, refusal, is_proxied, arrival),
                    Some(_) => self.uncount(refusal.is_some(), self.fleet.counted_ip(peer)),
                }
            }
            Command::Send { to, frame, share } => {
                let mut reached = Reached::default();
                for id in to {
                    let outcome = self.push_to(id, &frame);
                    reached.met += u64::from(outcome != Outcome::Closed);
                    reached.count(outcome);
                }
                if let Some(share) = share {
                    // Whoever asks has counted all of them as unknown.
                    share.add(|pushed| pushed.found(&reached, reached.met));
                }
            }
            Command::SendEach { items } => {
                for (id, frame) in items {
                    self.push_to(id, &frame);
                }
            }
            Command::Piece { id, piece } => {
                let queued = self.find(id).map(|slot| self.push_piece(slot, &piece, false));
                // Said once, of the piece that should have begun or ended the message.
                if !matches!(queued, Some(Ok(()))) && (piece.is_first || piece.is_last) {
                    self.report_dropped(id, 1, DropReason::Gone);
                }
            }
            Command::Publish { room, frame, except, share } => {
                let reached = self.publish_here(&room, &frame, except);
                if let Some(share) = share {
                    // Whoever asks has counted the room as unknown.
                    share.add(|pushed| pushed.found(&reached, reached.met.min(pushed.unknown)));
                }
            }
            Command::Broadcast { frame, except, share } => {
                let reached = self.broadcast_here(&frame, except);
                if let Some(share) = share {
                    share.add(|pushed| pushed.found(&reached, 0));
                }
            }
            Command::RoomPolicy { room, policy: Some(policy) } => {
                self.policies.insert(room, policy);
            }
            Command::RoomPolicy { room, policy: None } => {
                self.policies.remove(&room);
            }
            Command::Inspect(inspection) => inspection(&View { core: self }),
            Command::Join { id, room } => {
                if let Some(slot) = self.find(id) {
                    // A connection that may be in no more rooms stays outside, and is counted.
                    let _ = self.join(slot, &room);
                }
            }
            Command::Leave { id, room } => {
                if let Some(slot) = self.find(id) {
                    self.rooms.leave(slot, &room);
                }
            }
            Command::Close { id, code, reason } => {
                if let Some(slot) = self.find(id) {
                    // The code was checked where it was given; a connection that is closing already is.
                    let _ = self.close(slot, code, &reason);
                }
            }
            Command::Ping { id, frame } => {
                if let Some(slot) = self.find_open(id) {
                    self.push_ping(slot, &frame);
                }
            }
            Command::Decide { id, upgrade } => {
                if let Some(slot) = self.find(id) {
                    // Too late: the handshake timeout has answered.
                    let _ = self.decide(slot, *upgrade);
                }
            }
            Command::Nudge { id } => {
                self.notices.extend(self.find_open(id).map(Notice::Drain));
            }
            Command::Drain { deadline } => self.drain(deadline),
        }
    }

    /// Queues a frame for a connection that was there when the call was made.
    fn push_to(&mut self, id: ConnId, frame: &SharedFrame) -> Outcome {
        match self.find_open(id) {
            Some(slot) => self.push(slot, frame, self.fleet.config.slow_consumer),
            None => {
                self.report_dropped(id, 1, DropReason::Gone);
                Outcome::Closed
            }
        }
    }

    /// Whether the end has come: everything has gone, or the time is over.
    pub(super) fn is_drained(&self) -> bool {
        match self.draining {
            None => false,
            Some(deadline) => self.stats.sockets == 0 || deadline <= Instant::now(),
        }
    }
}
