//! A connection as its handler sees it.

use crate::config::LONGEST_ROOM_NAME;
use crate::connection::id::ConnId;
use crate::connection::peer::PeerAddr;
use crate::error::{Error, Result};
use crate::protocol::close::MAX_CONTROL_PAYLOAD;
use crate::protocol::frame::Opcode;
use crate::protocol::message::Message;

use super::core::Core;
use super::event::Outlet;

/// The connection that a handler is called for.
///
/// What is sent here goes straight to the connection's outbox and leaves when the handler has returned, together with
/// everything else that this read brought about: no queue, no wake-up.
pub struct Conn<'a> {
    pub(super) core: &'a mut Core,
    pub(super) slot: u32,
}

impl Conn<'_> {
    /// Its name, for calls from elsewhere.
    pub fn id(&self) -> ConnId {
        self.core.id(self.slot)
    }

    /// The address at the other end, or the one that a [trusted proxy](crate::Config::trusted_proxies) names.
    pub fn peer_addr(&self) -> PeerAddr {
        self.core.entries.get(self.slot).map_or_else(PeerAddr::unspecified, |entry| entry.peer)
    }

    /// The subprotocol that was agreed on (RFC 6455 §1.9).
    pub fn subprotocol(&self) -> Option<&str> {
        self.core.entries.get(self.slot)?.subprotocol.as_deref()
    }

    /// The host's word: 0, or what [`set_data`](Self::set_data) or [`Upgrade::data`](crate::Upgrade::data) said.
    #[inline]
    pub fn data(&self) -> u64 {
        self.core.entries.get(self.slot).map_or(0, |entry| entry.data)
    }

    /// Keeps a word with the connection.
    pub fn set_data(&mut self, data: u64) {
        if let Some(entry) = self.core.entries.get_mut(self.slot) {
            entry.data = data;
        }
    }

    /// The means to act upon every connection of this shard, as a hosted shard's driver has them.
    pub fn outlet(&mut self) -> Outlet<'_> {
        Outlet { core: self.core }
    }

    /// Bytes that wait to be sent.
    pub fn queued_bytes(&self) -> usize {
        self.core.entries.get(self.slot).map_or(0, |entry| entry.queued())
    }

    /// Has `on_drain` called once less than half the bound waits, as a refused message has.
    pub(crate) fn owe_drain(&mut self) {
        if let Some(outbox) =
            self.core.entries.get_mut(self.slot).and_then(|entry| entry.outbox.as_mut())
        {
            outbox.owes_drain = true;
        }
    }

    /// Sends a message to this peer.
    ///
    /// An answer of about the size of what came always has room: reading pauses while more than
    /// [`max_outbox_bytes`](crate::Config::max_outbox_bytes) wait.
    ///
    /// # Errors
    ///
    /// - [`Error::Gone`]: the connection is closing.
    /// - [`Error::Backpressure`]: far more than the bound waits; `on_drain` tells when there is room.
    #[inline]
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<()> {
        let message = message.into();
        self.core.reply(self.slot, message.opcode(), message.payload())
    }

    /// Sends a ping (RFC 6455 §5.5.2); `on_pong` gets the answer.
    ///
    /// # Errors
    ///
    /// - [`Error::Gone`]: the connection is closing.
    /// - [`Error::InvalidArgument`]: the payload is longer than 125 bytes.
    /// - [`Error::Backpressure`]: the outbox is full.
    pub fn ping(&mut self, payload: &[u8]) -> Result<()> {
        check_ping(payload)?;
        self.core.ping(self.slot, payload)
    }

    /// Begins the close handshake. What was sent before leaves first; `on_close` follows when the peer has answered.
    ///
    /// # Errors
    ///
    /// - [`Error::Gone`]: the connection is closing already.
    /// - [`Error::InvalidArgument`]: the code must not be sent (RFC 6455 §7.4), or the reason is longer than 123 bytes.
    pub fn close(&mut self, code: u16, reason: &str) -> Result<()> {
        self.core.close(self.slot, code, reason)
    }

    /// Puts the connection into a room. Returns whether it was outside before.
    ///
    /// # Errors
    ///
    /// - [`Error::Gone`]: the connection is closing.
    /// - [`Error::InvalidArgument`]: the name is longer than 1024 bytes, or the connection is in as many rooms as
    ///   [`max_rooms_per_connection`](crate::Config::max_rooms_per_connection) allows.
    pub fn join(&mut self, room: &str) -> Result<bool> {
        self.core.join(self.slot, room)
    }

    /// Takes the connection out of a room. Returns whether it was inside before.
    pub fn leave(&mut self, room: &str) -> bool {
        self.core.rooms.leave(self.slot, room)
    }

    /// Names of the rooms that the connection is in.
    pub fn rooms(&self) -> impl Iterator<Item = &str> {
        self.core.rooms.of(self.slot)
    }

    /// Sends a message to another connection, of any shard.
    ///
    /// # Errors
    ///
    /// - [`Error::Gone`]: no open connection has this id.
    /// - [`Error::Backpressure`]: the other shard's mailbox is full.
    pub fn send_to<'m>(&mut self, to: ConnId, message: impl Into<Message<'m>>) -> Result<()> {
        let message = message.into();
        self.core.send_to(to, message.opcode(), message.payload())
    }

    /// Sends a message to everybody in a room, on all shards, this connection included if it is inside.
    ///
    /// # Errors
    ///
    /// [`Error::Backpressure`]: another shard's mailbox is full; nobody gets the message.
    pub fn publish<'m>(&mut self, room: &str, message: impl Into<Message<'m>>) -> Result<()> {
        let message = message.into();
        self.core.publish(room, None, message.opcode(), message.payload())
    }

    /// Sends a message to everybody in a room but one, on all shards: to the others, with
    /// `conn.publish_except(room, conn.id(), message)`.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_except<'m>(
        &mut self,
        room: &str,
        except: ConnId,
        message: impl Into<Message<'m>>,
    ) -> Result<()> {
        let message = message.into();
        self.core.publish(room, Some(except), message.opcode(), message.payload())
    }

    /// Sends a message to every open connection, on all shards, this one included.
    ///
    /// # Errors
    ///
    /// [`Error::Backpressure`]: another shard's mailbox is full; nobody gets the message.
    pub fn broadcast<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<()> {
        let message = message.into();
        self.core.broadcast(None, message.opcode(), message.payload())
    }

    /// Sends a message to every open connection but one, on all shards.
    ///
    /// # Errors
    ///
    /// As [`broadcast`](Self::broadcast).
    pub fn broadcast_except<'m>(
        &mut self,
        except: ConnId,
        message: impl Into<Message<'m>>,
    ) -> Result<()> {
        let message = message.into();
        self.core.broadcast(Some(except), message.opcode(), message.payload())
    }
}

impl Core {
    pub(super) fn ping(&mut self, slot: u32, payload: &[u8]) -> Result<()> {
        let most = self.fleet.config.max_outbox_bytes;
        let entry = self.entries.get(slot).filter(|entry| entry.is_open()).ok_or(Error::Gone)?;
        if entry.queued() > most {
            return Err(Error::Backpressure);
        }
        self.push_control(slot, Opcode::Ping, payload);
        Ok(())
    }

    pub(super) fn join(&mut self, slot: u32, room: &str) -> Result<bool> {
        check_room(room)?;
        self.entries.get(slot).filter(|entry| entry.is_open()).ok_or(Error::Gone)?;
        let most = self.fleet.config.max_rooms_per_connection;
        if most > 0 && self.rooms.count_of(slot) >= most && !self.rooms.is_in(slot, room) {
            self.rare().joins_refused += 1;
            let reason = format!("the connection is in {most} rooms (max_rooms_per_connection)");
            return Err(Error::argument("room", room, reason));
        }
        Ok(self.rooms.join(slot, room))
    }
}

pub(crate) fn check_ping(payload: &[u8]) -> Result<()> {
    if payload.len() > MAX_CONTROL_PAYLOAD {
        let value = format!("{} bytes", payload.len());
        return Err(Error::argument("payload", value, "a ping holds at most 125 bytes"));
    }
    Ok(())
}

pub(crate) fn check_room(room: &str) -> Result<()> {
    if room.len() > LONGEST_ROOM_NAME {
        let value = format!("{} bytes", room.len());
        return Err(Error::argument("room", value, "a name has at most 1024 bytes"));
    }
    Ok(())
}
