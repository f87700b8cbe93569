//! What any thread can do to a running server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connection::id::ConnId;
use crate::connection::outbox::{SharedFrame, encode_shared};
use crate::connection::pieces::Piece;
use crate::connection::request::Upgrade;
use crate::error::{Error, Result};
use crate::protocol::close;
use crate::protocol::frame::Opcode;
use crate::protocol::message::Message;
use crate::shard::adopt::{Adopted, MAX_EARLY};
use crate::shard::conn::{check_ping, check_room};
use crate::shard::mailbox::{Command, Fleet};
use crate::shard::stats::Stats;

use super::acceptor::{self, Acceptor};
use super::stream::MessageStream;

/// Acts upon a server and its connections. Cheap to clone; every method may be called from any thread, also inside a
/// handler, and none blocks.
///
/// A call that names a connection answers [`Error::Gone`] when the connection has ended. When it ends after the call
/// and before its shard gets to it, [`on_dropped`](crate::Handler::on_dropped) reports a message that is lost so.
#[derive(Clone)]
pub struct ServerHandle {
    pub(super) fleet: Arc<Fleet>,
    pub(super) acceptor: Arc<Acceptor>,
}

impl ServerHandle {
    /// Whether a connection is open, as far as this thread can know: it may end at any moment.
    pub fn is_alive(&self, id: ConnId) -> bool {
        self.fleet.is_alive(id)
    }

    /// Queues a message for one connection. If its outbox is full when its shard takes the message,
    /// [`slow_consumer`](crate::Config::slow_consumer) decides.
    ///
    /// # Errors
    ///
    /// - [`Error::Gone`]: no open connection has this id.
    /// - [`Error::Backpressure`]: the shard's mailbox is full; nothing was queued.
    /// - [`Error::ShutDown`]: the server takes no more messages.
    pub fn send<'m>(&self, to: ConnId, message: impl Into<Message<'m>>) -> Result<()> {
        self.fleet.check_alive(to)?;
        let message = message.into();
        let frame = encode_shared(message.opcode(), message.payload());
        self.fleet.post(to.shard(), Command::Send { to: vec![to], frame })
    }

    /// Queues one message for many connections; it is encoded once. Returns for how many it was queued: those that
    /// have ended are passed over.
    ///
    /// # Errors
    ///
    /// - [`Error::Backpressure`]: a shard's mailbox is full; nothing was queued for anybody.
    /// - [`Error::ShutDown`]: the server takes no more messages.
    pub fn send_many<'m>(&self, to: &[ConnId], message: impl Into<Message<'m>>) -> Result<usize> {
        let message = message.into();
        let frame = encode_shared(message.opcode(), message.payload());
        let mut by_shard = vec![Vec::new(); self.fleet.mailboxes.len()];
        for &id in to.iter().filter(|id| self.fleet.is_alive(**id)) {
            by_shard[id.shard()].push(id);
        }
        let queued = by_shard.iter().map(Vec::len).sum();
        let commands = by_shard.into_iter().enumerate().filter(|(_, to)| !to.is_empty());
        let command = |(shard, to)| (shard, Command::Send { to, frame: Arc::clone(&frame) });
        self.fleet.post_each(commands.map(command).collect())?;
        Ok(queued)
    }

    /// Queues a message for each of many connections. The answer to each stands at the same place: it was queued, or
    /// the connection has [ended](Error::Gone), or its shard's mailbox [is full](Error::Backpressure) and took none of
    /// this call, or the server [is shut down](Error::ShutDown).
    pub fn send_each(&self, items: &[(ConnId, Message<'_>)]) -> Vec<Result<()>> {
        let mut results = Vec::with_capacity(items.len());
        let mut by_shard = vec![(Vec::new(), Vec::new()); self.fleet.mailboxes.len()];
        let mut last: Option<(Message<'_>, SharedFrame)> = None;
        for (at, &(id, message)) in items.iter().enumerate() {
            results.push(self.fleet.check_alive(id));
            if results[at].is_err() {
                continue;
            }
            // One message for several connections in a row is encoded once.
            let frame = match &last {
                Some((before, frame)) if is_same(before, &message) => Arc::clone(frame),
                _ => encode_shared(message.opcode(), message.payload()),
            };
            last = Some((message, Arc::clone(&frame)));
            let (places, items) = &mut by_shard[id.shard()];
            places.push(at);
            items.push((id, frame));
        }
        for (shard, (places, items)) in by_shard.into_iter().enumerate() {
            if items.is_empty() {
                continue;
            }
            if let Err(e) = self.fleet.post(shard, Command::SendEach { items }) {
                let is_full = matches!(e, Error::Backpressure);
                let refusal = || if is_full { Error::Backpressure } else { Error::ShutDown };
                places.into_iter().for_each(|at| results[at] = Err(refusal()));
            }
        }
        results
    }

    /// Queues a message for everybody in a room. A room without members takes it and nobody gets it.
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidArgument`]: the room's name is longer than 1024 bytes.
    /// - [`Error::Backpressure`]: a shard's mailbox is full; nothing was queued for anybody.
    /// - [`Error::ShutDown`]: the server takes no more messages.
    pub fn publish<'m>(&self, room: &str, message: impl Into<Message<'m>>) -> Result<()> {
        check_room(room)?;
        let message = message.into();
        let frame = encode_shared(message.opcode(), message.payload());
        let room = Arc::<str>::from(room);
        self.fleet.post_all(None, || Command::Publish {
            room: Arc::clone(&room),
            frame: Arc::clone(&frame),
        })
    }

    /// Queues a message for every open connection.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn broadcast<'m>(&self, message: impl Into<Message<'m>>) -> Result<()> {
        let message = message.into();
        let frame = encode_shared(message.opcode(), message.payload());
        self.fleet.post_all(None, || Command::Broadcast { frame: Arc::clone(&frame) })
    }

    /// Puts a connection into a room, before anything that is published there after this call.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`Error::InvalidArgument`] if the name is longer than 1024 bytes.
    pub fn join(&self, id: ConnId, room: &str) -> Result<()> {
        check_room(room)?;
        self.fleet.check_alive(id)?;
        self.fleet.post(id.shard(), Command::Join { id, room: room.into() })
    }

    /// Takes a connection out of a room.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn leave(&self, id: ConnId, room: &str) -> Result<()> {
        self.fleet.check_alive(id)?;
        self.fleet.post(id.shard(), Command::Leave { id, room: room.into() })
    }

    /// Begins the close handshake of a connection, after what waits for it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`Error::InvalidArgument`] if the code must not be sent (RFC 6455 §7.4) or the
    /// reason is longer than 123 bytes.
    pub fn close(&self, id: ConnId, code: u16, reason: &str) -> Result<()> {
        close::check_local(code, reason)
            .map_err(|e| Error::argument("code", code, e.to_string()))?;
        self.fleet.check_alive(id)?;
        self.fleet.post(id.shard(), Command::Close { id, code, reason: reason.into() })
    }

    /// Sends a ping; [`on_pong`](crate::Handler::on_pong) gets the answer.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`Error::InvalidArgument`] if the payload is longer than 125 bytes.
    pub fn ping(&self, id: ConnId, payload: &[u8]) -> Result<()> {
        check_ping(payload)?;
        self.fleet.check_alive(id)?;
        let frame = encode_shared(Opcode::Ping, payload);
        self.fleet.post(id.shard(), Command::Ping { id, frame })
    }

    /// Decides an upgrade that [`on_upgrade`](crate::Handler::on_upgrade) put off. Only the first decision counts.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); [`Error::Gone`] also when the handshake timeout has answered already.
    pub fn accept(&self, id: ConnId, upgrade: Upgrade) -> Result<()> {
        self.fleet.check_alive(id)?;
        self.fleet.post(id.shard(), Command::Decide { id, upgrade: Box::new(upgrade) })
    }

    /// Begins a message that is sent in pieces, as they become known. Other messages to the connection wait until it
    /// ends.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`]: no open connection has this id.
    pub fn begin(&self, to: ConnId, is_text: bool) -> Result<MessageStream> {
        self.fleet.check_alive(to)?;
        Ok(MessageStream::new(self.clone(), to, is_text))
    }

    /// Queues a frame of a message in pieces.
    pub(crate) fn piece(&self, id: ConnId, piece: Piece) -> Result<()> {
        self.fleet.check_alive(id)?;
        self.fleet.post(id.shard(), Command::Piece { id, piece })
    }

    /// Has the handler called for a connection, by `on_drain`.
    pub(super) fn nudge(&self, id: ConnId) -> Result<()> {
        self.fleet.post(id.shard(), Command::Nudge { id })
    }

    /// Takes over a socket that the host has accepted itself. The socket is the server's from here on: if the call
    /// fails, it is closed.
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidArgument`]: more than 128 KiB have been read of it.
    /// - [`Error::Io`]: it is not a connected TCP socket.
    /// - [`Error::Backpressure`]: there are as many connections as there may be.
    /// - [`Error::ShutDown`]: the server takes nothing more.
    pub fn adopt(&self, adopted: Adopted) -> Result<()> {
        let Adopted { stream, arrival } = adopted;
        let early = arrival.early.len();
        if early > MAX_EARLY {
            let value = format!("{early} bytes");
            return Err(Error::argument("early", value, "must be at most 131072 bytes"));
        }
        let peer = stream.peer_addr().map_err(|e| Error::io("asking who is connected", e))?;
        acceptor::deal(stream, peer, &self.fleet, Some(Box::new(arrival)))
    }

    /// Ends the wait of a hosted shard's turn, or of its next one. A shard that does not exist is passed over.
    pub fn wake(&self, shard: usize) {
        if let Some(mailbox) = self.fleet.mailboxes.get(shard) {
            mailbox.wake();
        }
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.fleet.mailboxes.len()
    }

    /// [`Config::drain_timeout`](crate::Config::drain_timeout).
    pub fn drain_timeout(&self) -> Duration {
        self.fleet.config.drain_timeout
    }

    /// Open connections, as of each shard's last turn.
    pub fn connections(&self) -> usize {
        self.stats().total.connections as usize
    }

    /// What has been counted since the start, as of each shard's last turn.
    pub fn stats(&self) -> Stats {
        self.fleet.stats()
    }

    /// Begins the end of the server, as [`Server::shutdown`](crate::Server::shutdown) does, and does not wait for it.
    pub fn shutdown(&self, deadline: Duration) {
        self.acceptor.stop();
        let deadline = Instant::now() + deadline;
        for shard in 0..self.fleet.mailboxes.len() {
            match self.fleet.post(shard, Command::Drain { deadline }) {
                Ok(()) | Err(Error::ShutDown) => {}
                Err(e) => log::error!("draining shard {shard}: {e}"),
            }
        }
    }
}

/// Whether two messages are one, by their addresses: what differs there may still be equal, and is encoded twice.
fn is_same(a: &Message<'_>, b: &Message<'_>) -> bool {
    std::ptr::eq(a.payload(), b.payload()) && a.opcode() == b.opcode()
}
