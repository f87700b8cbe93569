//! The events of one turn of a hosted shard, and the way to answer them.

use std::ops::Range;
use std::sync::Arc;

use crate::connection::ending::{Close, Dropped};
use crate::connection::id::ConnId;
use crate::connection::peer::{PeerAddr, Peers};
#[cfg(feature = "capi")]
use crate::connection::pieces::Piece;
use crate::connection::request::{Request, Upgrade};
use crate::error::{Error, Result};
use crate::protocol::http;
use crate::protocol::message::{Fragment, Message};

use super::conn::check_ping;
use super::core::{Closed, Core};

/// What happened to a connection. See [`Handler`](crate::Handler) for what each means.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A client asks for a connection; answer with [`Outlet::accept`]. Only if the host asked to decide.
    Upgrade {
        /// The connection to be.
        conn: ConnId,
        /// What the client said.
        request: Box<Request<'a>>,
    },
    /// The connection is open.
    Open {
        /// The connection.
        conn: ConnId,
    },
    /// A message came.
    Message {
        /// From whom.
        conn: ConnId,
        /// The message.
        message: Message<'a>,
    },
    /// A piece of a message came.
    Fragment {
        /// From whom.
        conn: ConnId,
        /// The piece.
        fragment: Fragment<'a>,
    },
    /// A pong came.
    Pong {
        /// From whom.
        conn: ConnId,
        /// The payload of the ping that it answers, if any.
        payload: &'a [u8],
    },
    /// The outbox is below half its bound again.
    Drain {
        /// Whose.
        conn: ConnId,
    },
    /// Messages were dropped.
    Dropped {
        /// For whom they were.
        conn: ConnId,
        /// How many, and why.
        dropped: Dropped,
    },
    /// The connection has ended. The last event for it.
    Close {
        /// Which.
        conn: ConnId,
        /// The host's word for it.
        data: u64,
        /// How.
        close: Close<'a>,
    },
}

/// An event without its payload's address.
pub(super) enum Record {
    Upgrade { conn: ConnId, bytes: Arc<[u8]>, peers: Box<Peers> },
    Open { conn: ConnId },
    Message { conn: ConnId, is_text: bool, payload: Span },
    Fragment { conn: ConnId, is_text: bool, is_first: bool, is_last: bool, payload: Span },
    Pong { conn: ConnId, payload: Span },
    Drain { conn: ConnId },
    Dropped { conn: ConnId, dropped: Dropped },
    Close { conn: ConnId, data: u64, closed: Closed },
}

/// Where a payload lies.
pub(super) enum Span {
    /// In the read buffer.
    Buffer(Range<u32>),
    /// In a message of its own.
    Owned { message: usize, len: usize },
}

/// The events of one turn, and the messages that had to be put together.
pub(super) struct Batch {
    pub(super) records: Vec<Record>,
    owned: Vec<Vec<u8>>,
    /// How many of `owned` records refer to.
    promised: usize,
    pub(super) decides_upgrades: bool,
}

impl Batch {
    pub(super) fn new(decides_upgrades: bool) -> Batch {
        Batch { records: Vec::new(), owned: Vec::new(), promised: 0, decides_upgrades }
    }

    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.owned.clear();
        self.promised = 0;
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    #[inline]
    pub(super) fn push(&mut self, record: Record) {
        let payload = match &record {
            Record::Message { payload, .. }
            | Record::Fragment { payload, .. }
            | Record::Pong { payload, .. } => Some(payload),
            _ => None,
        };
        if matches!(payload, Some(Span::Owned { .. })) {
            self.promised += 1;
        }
        self.records.push(record);
    }

    pub(super) fn owned_next(&self) -> usize {
        self.owned.len()
    }

    pub(super) fn wants_message(&self) -> bool {
        self.promised > self.owned.len()
    }

    pub(super) fn keep(&mut self, message: Vec<u8>) {
        self.owned.push(message);
    }
}

/// The events of one turn, in the order in which they happened. Payloads lie in the shard's buffers until its next
/// turn.
#[derive(Clone, Copy)]
pub struct Events<'a> {
    pub(super) batch: &'a Batch,
    pub(super) buffer: &'a [u8],
}

impl<'a> Events<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The events.
    pub fn iter(&self) -> impl Iterator<Item = Event<'a>> + use<'a> {
        let events = *self;
        events.batch.records.iter().filter_map(move |record| events.event(record))
    }

    #[inline]
    pub(super) fn payload(&self, span: &Span) -> &'a [u8] {
        match span {
            Span::Buffer(range) => &self.buffer[range.start as usize..range.end as usize],
            Span::Owned { message, len } => &self.batch.owned[*message][..*len],
        }
    }

    /// `None` only where what was valid when it came could not be read again, which would be a bug.
    fn event(&self, record: &'a Record) -> Option<Event<'a>> {
        Some(match record {
            Record::Upgrade { conn, bytes, peers } => {
                let head = http::parse_head(bytes, usize::MAX).ok().flatten()?;
                let request = Box::new(Request { head, peers: **peers });
                Event::Upgrade { conn: *conn, request }
            }
            Record::Open { conn } => Event::Open { conn: *conn },
            Record::Message { conn, is_text, payload } => {
                let payload = self.payload(payload);
                let message = match is_text {
                    true => Message::text(payload).ok()?,
                    false => Message::Binary(payload),
                };
                Event::Message { conn: *conn, message }
            }
            &Record::Fragment { conn, is_text, is_first, is_last, ref payload } => {
                let payload = self.payload(payload);
                Event::Fragment { conn, fragment: Fragment { payload, is_text, is_first, is_last } }
            }
            Record::Pong { conn, payload } => {
                Event::Pong { conn: *conn, payload: self.payload(payload) }
            }
            Record::Drain { conn } => Event::Drain { conn: *conn },
            Record::Dropped { conn, dropped } => Event::Dropped { conn: *conn, dropped: *dropped },
            Record::Close { conn, data, closed } => {
                let Closed { sent, received, reason, cause } = closed;
                let close = Close { sent: *sent, received: *received, reason, cause: *cause };
                Event::Close { conn: *conn, data: *data, close }
            }
        })
    }
}

impl<'a> IntoIterator for Events<'a> {
    type Item = Event<'a>;
    type IntoIter = Box<dyn Iterator<Item = Event<'a>> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

/// Answers from the thread that drives a shard: straight to the outboxes. They leave at the beginning of the next turn,
/// or with [`Shard::flush`](crate::Shard::flush).
///
/// Connections of other shards are reached too, through their mailboxes.
pub struct Outlet<'a> {
    pub(super) core: &'a mut Core,
}

impl Outlet<'_> {
    /// The shard that this thread drives.
    pub fn shard(&self) -> usize {
        self.core.index
    }

    fn here(&self, id: ConnId) -> Result<u32> {
        self.core.find(id).ok_or(Error::Gone)
    }

    /// Sends a message to one connection. See [`Conn::send`](crate::Conn::send) for a connection of this shard and
    /// [`ServerHandle::send`](crate::ServerHandle::send) for others.
    ///
    /// # Errors
    ///
    /// - [`Error::Gone`]: no open connection has this id.
    /// - [`Error::Backpressure`]: its outbox, or the other shard's mailbox, is full.
    #[inline]
    pub fn send<'m>(&mut self, to: ConnId, message: impl Into<Message<'m>>) -> Result<()> {
        let message = message.into();
        match self.core.find(to) {
            Some(slot) => self.core.reply(slot, message.opcode(), message.payload()),
            None if to.shard() == self.core.index => Err(Error::Gone),
            None => self.core.send_to(to, message.opcode(), message.payload()),
        }
    }

    /// Sends a frame of a message in pieces to a connection of this shard.
    #[cfg(feature = "capi")]
    pub(crate) fn piece(&mut self, conn: ConnId, piece: &Piece) -> Result<()> {
        let slot = self.here(conn)?;
        self.core.push_piece(slot, piece, true)
    }

    /// Sends a message to everybody in a room, on all shards.
    ///
    /// # Errors
    ///
    /// [`Error::Backpressure`]: another shard's mailbox is full; nobody gets the message.
    pub fn publish<'m>(&mut self, room: &str, message: impl Into<Message<'m>>) -> Result<()> {
        let message = message.into();
        self.core.publish(room, None, message.opcode(), message.payload())
    }

    /// Sends a message to everybody in a room but one, on all shards.
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

    /// Sends a message to every open connection, on all shards.
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

    /// Decides an [`Event::Upgrade`]. [`Upgrade::later`] leaves it undecided.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`]: nothing is to be decided for this id (any more).
    pub fn accept(&mut self, conn: ConnId, upgrade: Upgrade) -> Result<()> {
        let slot = self.here(conn)?;
        self.core.decide(slot, upgrade)
    }

    /// Begins the close handshake; see [`Conn::close`](crate::Conn::close).
    ///
    /// # Errors
    ///
    /// As [`Conn::close`](crate::Conn::close).
    pub fn close(&mut self, conn: ConnId, code: u16, reason: &str) -> Result<()> {
        let slot = self.here(conn)?;
        self.core.close(slot, code, reason)
    }

    /// Sends a ping; see [`Conn::ping`](crate::Conn::ping).
    ///
    /// # Errors
    ///
    /// As [`Conn::ping`](crate::Conn::ping).
    pub fn ping(&mut self, conn: ConnId, payload: &[u8]) -> Result<()> {
        check_ping(payload)?;
        let slot = self.here(conn)?;
        self.core.ping(slot, payload)
    }

    /// Puts a connection of this shard into a room. Returns whether it was outside before.
    ///
    /// # Errors
    ///
    /// As [`Conn::join`](crate::Conn::join).
    pub fn join(&mut self, conn: ConnId, room: &str) -> Result<bool> {
        let slot = self.here(conn)?;
        self.core.join(slot, room)
    }

    /// Takes a connection of this shard out of a room. Returns whether it was inside before.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    pub fn leave(&mut self, conn: ConnId, room: &str) -> Result<bool> {
        let slot = self.here(conn)?;
        Ok(self.core.rooms.leave(slot, room))
    }

    /// The host's word for a connection of this shard.
    pub fn data(&self, conn: ConnId) -> Option<u64> {
        self.core.entries.get(self.core.find(conn)?).map(|entry| entry.data)
    }

    /// Keeps a word with a connection of this shard.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`].
    pub fn set_data(&mut self, conn: ConnId, data: u64) -> Result<()> {
        let slot = self.here(conn)?;
        if let Some(entry) = self.core.entries.get_mut(slot) {
            entry.data = data;
        }
        Ok(())
    }

    /// Bytes that wait to be sent to a connection of this shard.
    pub fn queued_bytes(&self, conn: ConnId) -> Option<usize> {
        self.core.entries.get(self.core.find(conn)?).map(|entry| entry.queued())
    }

    /// The address at the other end of a connection of this shard, or the one that a trusted proxy names.
    pub fn peer_addr(&self, conn: ConnId) -> Option<PeerAddr> {
        self.core.entries.get(self.core.find(conn)?).map(|entry| entry.peer)
    }

    /// The subprotocol that was agreed on with a connection of this shard.
    pub fn subprotocol(&self, conn: ConnId) -> Option<&str> {
        self.core.entries.get(self.core.find(conn)?)?.subprotocol.as_deref()
    }
}
