//! What any thread can do to a running server.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use socket2::{Socket, Type};

use crate::config::{MOST_ROOM_POLICIES, SlowConsumer};
use crate::connection::id::ConnId;
use crate::connection::outbox::{SharedFrame, encode_shared};
use crate::connection::peer::PeerAddr;
use crate::connection::pieces::Piece;
use crate::connection::request::Upgrade;
use crate::error::{Error, Result};
use crate::protocol::close;
use crate::protocol::frame::Opcode;
use crate::protocol::message::Message;
use crate::shard::adopt::{Adopted, MAX_EARLY};
use crate::shard::answer::{Answer, Share};
use crate::shard::conn::{check_ping, check_room};
use crate::shard::mailbox::{Command, Fleet};
use crate::shard::stats::Stats;
use crate::shard::target::{Pushed, Receipt, Target, To};

use super::acceptor::{self, Acceptor};
use super::listener::peer_at;
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
        self.fleet.post(to.shard(), Command::Send { to: vec![to], frame, share: None })?;
        self.fleet.pushes.conns.fetch_add(1, Ordering::Relaxed);
        Ok(())
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
        self.push_conns(to, None, &frame, None)
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
        let queued = results.iter().filter(|result| result.is_ok()).count();
        self.fleet.pushes.conns.fetch_add(queued as u64, Ordering::Relaxed);
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
        self.push_frame(Target::room(room), message.into(), None)
    }

    /// Queues a message for everybody in a room but one, most often the sender.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn publish_except<'m>(
        &self,
        room: &str,
        except: ConnId,
        message: impl Into<Message<'m>>,
    ) -> Result<()> {
        self.push_frame(Target::room(room).except(except), message.into(), None)
    }

    /// Queues a message for every open connection.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn broadcast<'m>(&self, message: impl Into<Message<'m>>) -> Result<()> {
        self.push_frame(Target::all(), message.into(), None)
    }

    /// Queues a message for every open connection but one.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn broadcast_except<'m>(
        &self,
        except: ConnId,
        message: impl Into<Message<'m>>,
    ) -> Result<()> {
        self.push_frame(Target::all().except(except), message.into(), None)
    }

    /// Queues a message for many, and counts for how many outboxes took it. Otherwise as [`publish`](Self::publish),
    /// [`broadcast`](Self::broadcast) and [`send_many`](Self::send_many), which cost less.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn push<'m>(&self, target: Target<'_>, message: impl Into<Message<'m>>) -> Result<Receipt> {
        let (receipt, share) = Answer::new(Pushed::default());
        self.push_frame(target, message.into(), Some(&share))?;
        Ok(receipt)
    }

    fn push_frame(
        &self,
        Target { to, except }: Target<'_>,
        message: Message<'_>,
        share: Option<&Share<Pushed>>,
    ) -> Result<()> {
        if let To::Room(room) = to {
            check_room(room)?;
        }
        let frame = encode_shared(message.opcode(), message.payload());
        let Fleet { pushes, .. } = &*self.fleet;
        let kind = match to {
            To::All => {
                self.fleet.post_all(None, || {
                    let (frame, share) = (Arc::clone(&frame), share.cloned());
                    Command::Broadcast { frame, except, share }
                })?;
                &pushes.all
            }
            To::Room(room) => {
                // Until a shard knows the room.
                share.inspect(|share| share.add(|pushed| pushed.unknown = 1));
                let room = Arc::<str>::from(room);
                self.fleet.post_all(None, || {
                    let (room, frame) = (Arc::clone(&room), Arc::clone(&frame));
                    Command::Publish { room, frame, except, share: share.cloned() }
                })?;
                &pushes.rooms
            }
            To::Conns(ids) => return self.push_conns(ids, except, &frame, share).map(drop),
        };
        kind.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Queues a frame for those of the connections that are alive, and returns how many they are.
    fn push_conns(
        &self,
        ids: &[ConnId],
        except: Option<ConnId>,
        frame: &SharedFrame,
        share: Option<&Share<Pushed>>,
    ) -> Result<usize> {
        let wanted = || ids.iter().copied().filter(|id| Some(*id) != except);
        // Until a shard knows them.
        share.inspect(|share| share.add(|pushed| pushed.unknown = wanted().count() as u64));
        let mut by_shard = vec![Vec::new(); self.fleet.mailboxes.len()];
        for id in wanted().filter(|id| self.fleet.is_alive(*id)) {
            by_shard[id.shard()].push(id);
        }
        let queued = by_shard.iter().map(Vec::len).sum();
        let commands = by_shard.into_iter().enumerate().filter(|(_, to)| !to.is_empty());
        let command = |(shard, to)| {
            (shard, Command::Send { to, frame: Arc::clone(frame), share: share.cloned() })
        };
        self.fleet.post_each(commands.map(command).collect())?;
        self.fleet.pushes.conns.fetch_add(1, Ordering::Relaxed);
        Ok(queued)
    }

    /// Gives the pushes to a room a policy of their own, or with `None` that of the
    /// [server](crate::Config::slow_consumer) again. Concerns what this thread publishes there afterwards. A room without
    /// members can have one; members that overflow by other pushes meet the policy of those.
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidArgument`]: the room's name is longer than 1024 bytes, or
    ///   [1,024 rooms](crate::config::MOST_ROOM_POLICIES) have a policy of their own.
    /// - [`Error::Backpressure`], [`Error::ShutDown`]: as [`publish`](Self::publish).
    pub fn set_room_policy(&self, room: &str, policy: Option<SlowConsumer>) -> Result<()> {
        check_room(room)?;
        // Locked until the shards are told, or two threads could tell them in one order and write it down in the other.
        let mut policies = self.fleet.policies.lock().unwrap_or_else(PoisonError::into_inner);
        if policy.is_some() && policies.len() >= MOST_ROOM_POLICIES && !policies.contains_key(room)
        {
            let reason = format!("{MOST_ROOM_POLICIES} other rooms have a policy of their own");
            return Err(Error::argument("room", room, reason));
        }
        let name = Arc::<str>::from(room);
        self.fleet.post_all(None, || Command::RoomPolicy { room: Arc::clone(&name), policy })?;
        match policy {
            Some(policy) => policies.insert(room.to_owned(), policy),
            None => policies.remove(room),
        };
        Ok(())
    }

    /// The policy that a room has of its own.
    pub fn room_policy(&self, room: &str) -> Option<SlowConsumer> {
        let policies = self.fleet.policies.lock().unwrap_or_else(PoisonError::into_inner);
        policies.get(room).copied()
    }

    /// Counts the members of a room, on all shards.
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn room_members(&self, room: &str) -> Result<Answer<usize>> {
        check_room(room)?;
        let room = Arc::<str>::from(room);
        let (answer, share) = Answer::new(0);
        self.fleet.post_all(None, || {
            let (room, share) = (Arc::clone(&room), share.clone());
            Command::Inspect(Box::new(move |view| {
                share.add(|members| *members += view.room_members(&room));
            }))
        })?;
        Ok(answer)
    }

    /// Puts a connection into a room, before anything that is published there after this call.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`Error::InvalidArgument`] if the name is longer than 1024 bytes. A connection that
    /// may be in no more rooms stays outside; [`joins_refused`](crate::ShardStats::joins_refused) counts that.
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
    /// - [`Error::Io`]: it is not a connected stream socket, TCP or Unix.
    /// - [`Error::Backpressure`]: there are as many connections as there may be.
    /// - [`Error::ShutDown`]: the server takes nothing more.
    pub fn adopt(&self, adopted: Adopted) -> Result<()> {
        let Adopted { stream, arrival } = adopted;
        let socket = Socket::from(stream);
        let early = arrival.early.len();
        if early > MAX_EARLY {
            let value = format!("{early} bytes");
            return Err(Error::argument("early", value, "must be at most 131072 bytes"));
        }
        let peer = connected_to(&socket).map_err(|e| Error::io("asking who is connected", e))?;
        acceptor::deal(socket, peer, &self.fleet, false, Some(Box::new(arrival)))
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

/// Who is at the other end of a stream socket.
fn connected_to(socket: &Socket) -> io::Result<PeerAddr> {
    let peer = peer_at(&socket.peer_addr()?);
    let is_stream = socket.r#type()? == Type::STREAM;
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "it is no TCP or Unix stream");
    peer.filter(|_| is_stream).ok_or_else(wrong)
}

/// Whether two messages are one, by their addresses: what differs there may still be equal, and is encoded twice.
fn is_same(a: &Message<'_>, b: &Message<'_>) -> bool {
    std::ptr::eq(a.payload(), b.payload()) && a.opcode() == b.opcode()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::sync::mpsc;

    use crate::connection::request::{Request, Upgrade};
    use crate::shard::conn::Conn;
    use crate::shard::handler::Handler;
    use crate::shard::view::View;

    use super::super::Server;
    use super::*;

    /// Takes the host's word and a room from the path: `/7`.
    struct Rooms;

    impl Handler for Rooms {
        fn on_upgrade(&self, _: ConnId, request: &Request<'_>) -> Upgrade {
            Upgrade::accept()
                .data(request.path()[1..].parse().expect("a number"))
                .subprotocol("chat")
        }

        fn on_open(&self, conn: &mut Conn<'_>) {
            let room = format!("room {}", conn.data());
            assert!(conn.join(&room).expect("open") && conn.join("all").expect("open"));
        }
    }

    fn open(server: &Server, path: usize) -> TcpStream {
        let mut stream = TcpStream::connect(server.local_addr()).expect("connecting");
        let request = format!(
            "GET /{path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: chat\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("asking");
        let mut start = [0; 12];
        stream.read_exact(&mut start).expect("a status line");
        assert_eq!(&start, b"HTTP/1.1 101");
        stream
    }

    fn see<T: Send + 'static>(
        server: &Server,
        look: impl FnOnce(&View<'_>) -> T + Send + 'static,
    ) -> T {
        let (seen, wait) = mpsc::channel();
        let inspect = move |view: &View<'_>| seen.send(look(view)).expect("the test waits");
        let command = Command::Inspect(Box::new(inspect));
        server.handle().fleet.post(0, command).expect("queued");
        wait.recv_timeout(Duration::from_secs(30)).expect("the shard looks")
    }

    #[test]
    fn a_view_shows_connections_and_rooms_page_by_page() {
        let server = Server::builder().listen("127.0.0.1:0").shards(1).handler(Rooms).start();
        let server = server.expect("the server starts");
        let peers: Vec<TcpStream> = (0..5).map(|path| open(&server, path)).collect();
        let (mut from, mut data) = (0, Vec::new());
        loop {
            let page = see(&server, move |view| {
                let connections = view.connections(from).take(2);
                let of = |(next, conn): (u32, crate::shard::view::ConnView<'_>)| {
                    assert_eq!(conn.subprotocol(), Some("chat"));
                    assert!(conn.is_open() && conn.age() < Duration::from_secs(60));
                    let mut rooms: Vec<&str> = conn.rooms().collect();
                    rooms.sort_unstable();
                    assert_eq!(rooms, ["all", format!("room {}", conn.data()).as_str()]);
                    assert_eq!((conn.queued_bytes(), conn.id().shard()), (0, 0));
                    (next, conn.data(), conn.peer())
                };
                connections.map(of).collect::<Vec<_>>()
            });
            let Some(&(next, ..)) = page.last() else { break };
            from = next;
            for (_, word, peer) in page {
                let addr = peers[word as usize].local_addr().expect("an address");
                assert_eq!(peer, addr.into());
                data.push(word);
            }
        }
        data.sort_unstable();
        assert_eq!(data, [0, 1, 2, 3, 4]);
        let members = see(&server, |view| {
            let of =
                |from| view.members("all", from).map(|(_, conn)| conn.data()).collect::<Vec<_>>();
            assert_eq!((of(0)[3..].to_vec(), of(5)), (of(3), vec![]));
            of(0)
        });
        assert_eq!(members.len(), 5);
        let rooms = see(&server, |view| {
            let rooms = view.rooms(0).map(|(_, room)| (room.name.to_owned(), room.members));
            rooms.collect::<Vec<_>>()
        });
        assert!(rooms.len() == 6 && rooms.contains(&("all".to_owned(), 5)), "{rooms:?}");
        assert!(rooms.contains(&("room 4".to_owned(), 1)), "{rooms:?}");
    }
}
