//! One connection as tasks see it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use event_listener::listener;

use crate::connection::ending::Ended;
use crate::connection::id::ConnId;
use crate::connection::peer::PeerAddr;
use crate::connection::request::Request;
use crate::error::{Error, Result};
use crate::protocol::close;
use crate::protocol::http::{self, Head};
use crate::protocol::message::Message;
use crate::protocol::owned::MessageBuf;
use crate::shard::conn::Conn;

use super::Hub;
use super::queues::Queues;
use crate::server::handle::ServerHandle;

/// What the handles to a connection and its shard share.
pub(super) struct Shared {
    pub(super) id: ConnId,
    pub(super) queues: Queues,
    hub: Arc<Hub>,
    /// Bytes at which the queues are full.
    max_bytes: usize,
    /// How many [`Connection`]s there are.
    handles: AtomicUsize,
    peer: PeerAddr,
    subprotocol: Option<Box<str>>,
    /// The head of the request, as it would come.
    request: Box<[u8]>,
}

impl Shared {
    pub(super) fn new(
        conn: &Conn<'_>,
        request: Option<&Request<'_>>,
        hub: Arc<Hub>,
        max_bytes: usize,
    ) -> Shared {
        Shared {
            id: conn.id(),
            queues: Queues::default(),
            hub,
            max_bytes,
            handles: AtomicUsize::new(0),
            peer: conn.peer_addr(),
            subprotocol: conn.subprotocol().map(Into::into),
            request: request.map(encode).unwrap_or_default(),
        }
    }

    fn handle(&self) -> Result<&ServerHandle> {
        // Set before anybody outside has a connection.
        self.hub.handle.get().ok_or(Error::ShutDown)
    }

    /// Has the shard look into the queues.
    fn nudge(&self) -> Result<()> {
        self.handle()?.nudge(self.id)
    }
}

/// An open connection of an [`AsyncServer`](crate::AsyncServer).
///
/// Every method may be called from any task and thread, at once; a clone is the same connection. When the last of the
/// clones is dropped, the connection is closed with 1000, or with 1011 if a panic dropped it, after what was queued.
///
/// Dropping a future of [`recv`](Self::recv), [`send`](Self::send) or [`closed`](Self::closed) before it is done loses
/// nothing: no message is taken or queued by it.
///
/// An idle connection costs some 800 bytes and the head of its request, all included: the server's part, the queues, and
/// a small task that waits in `recv`. (Measured on 64 bits, by `tests/async_memory.rs`.)
pub struct Connection {
    shared: Arc<Shared>,
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>) -> Connection {
        shared.handles.fetch_add(1, Ordering::Relaxed);
        Connection { shared }
    }

    /// Its name, for [`ServerHandle`].
    pub fn id(&self) -> ConnId {
        self.shared.id
    }

    /// The address at the other end.
    pub fn peer_addr(&self) -> PeerAddr {
        self.shared.peer
    }

    /// The subprotocol that was agreed on (RFC 6455 §1.9).
    pub fn subprotocol(&self) -> Option<&str> {
        self.shared.subprotocol.as_deref()
    }

    /// The path that was asked for, as sent; `/` where the host answered the upgrade itself.
    pub fn path(&self) -> &str {
        self.head().map_or("/", |head| head.path())
    }

    /// The query that was asked with, without its `?`, as sent.
    pub fn query(&self) -> Option<&str> {
        self.head()?.query()
    }

    /// The request's first header of this name, in any case; `None` also where its value is not UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head()?.get(name)
    }

    fn head(&self) -> Option<Head<'_>> {
        http::parse_head(&self.shared.request, usize::MAX).ok()?
    }

    /// Waits for the next message. `Err` is how the connection ended, after all that came; it stays the answer.
    ///
    /// Messages that nobody receives wait. When
    /// [`max_received_messages`](crate::Builder::max_received_messages) do, or
    /// [`max_outbox_bytes`](crate::Config::max_outbox_bytes) of them, this connection is not read until half are gone;
    /// what one read brought (512 KiB at most) is still taken. Of several tasks that wait, each message goes to one.
    ///
    /// # Errors
    ///
    /// [`Ended`], once no message will come any more. It need not be a failure: [`Ended::cause`] tells.
    pub async fn recv(&self) -> Result<MessageBuf, Ended> {
        loop {
            if let Some(received) = self.try_recv() {
                return received;
            }
            listener!(self.shared.queues.arrived => arrived);
            // One that came since the first look has told nobody who listens now.
            if let Some(received) = self.try_recv() {
                return received;
            }
            arrived.await;
        }
    }

    /// The next message if one waits, or how the connection ended; `None`: neither.
    pub fn try_recv(&self) -> Option<Result<MessageBuf, Ended>> {
        let most = self.shared.hub.limits.received;
        let mut state = self.shared.queues.lock();
        let Some(message) = state.received.pop() else {
            return state.ended.clone().map(Err);
        };
        let relieved = state.paused && state.received.is_relieved(most, self.shared.max_bytes);
        let resumes = relieved && state.nudge();
        drop(state);
        if resumes {
            // It fails only where the end has come.
            let _ = self.shared.nudge();
        }
        Some(Ok(message))
    }

    /// Queues a message, and waits for room before. Messages of one task leave in their order.
    ///
    /// There is no room while [`max_sent_messages`](crate::Builder::max_sent_messages) wait, or
    /// [`max_outbox_bytes`](crate::Config::max_outbox_bytes) of them: then the peer takes too little. What is queued
    /// when the connection ends, or the server is shut down while the peer takes nothing, is lost.
    ///
    /// # Errors
    ///
    /// - [`Error::Gone`]: the connection has ended or is closing; the message was not queued.
    /// - [`Error::ShutDown`]: so has the server.
    pub async fn send(&self, message: impl Into<MessageBuf>) -> Result<()> {
        let mut message = Some(message.into());
        loop {
            if self.offer(&mut message)? {
                return Ok(());
            }
            listener!(self.shared.queues.room => room);
            // Room that was made since the first look has told nobody who listens now.
            if self.offer(&mut message)? {
                return Ok(());
            }
            room.await;
        }
    }

    /// Queues a message if there is room.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and [`Error::Backpressure`]: there is no room; the message was not queued.
    pub fn try_send(&self, message: impl Into<MessageBuf>) -> Result<()> {
        match self.offer(&mut Some(message.into()))? {
            true => Ok(()),
            false => Err(Error::Backpressure),
        }
    }

    /// Takes the message if there is room for it.
    fn offer(&self, message: &mut Option<MessageBuf>) -> Result<bool> {
        let shared = &self.shared;
        let mut state = shared.queues.lock();
        if state.closing {
            return Err(Error::Gone);
        }
        if state.to_send.is_full(shared.hub.limits.sent, shared.max_bytes) {
            return Ok(false);
        }
        if let Some(message) = message.take() {
            state.to_send.push(message);
        }
        let nudges = state.nudge();
        drop(state);
        if nudges {
            shared.nudge()?;
        }
        Ok(true)
    }

    /// Begins the close handshake after what is queued (RFC 6455 §7.1.2). Does not wait: [`closed`](Self::closed) does.
    ///
    /// # Errors
    ///
    /// - [`Error::Gone`]: the connection has ended or is closing.
    /// - [`Error::InvalidArgument`]: the code must not be sent (RFC 6455 §7.4), or the reason is longer than 123 bytes.
    pub fn close(&self, code: u16, reason: &str) -> Result<()> {
        close::check_local(code, reason)
            .map_err(|e| Error::argument("code", code, e.to_string()))?;
        let mut state = self.shared.queues.lock();
        if state.closing {
            return Err(Error::Gone);
        }
        state.closing = true;
        state.close = Some(Box::new((code, reason.into())));
        let nudges = state.nudge();
        drop(state);
        // Those that wait for room wait in vain now.
        self.shared.queues.room.notify(usize::MAX);
        if nudges { self.shared.nudge() } else { Ok(()) }
    }

    /// Waits for the end of the connection. Messages that came can be received before and after.
    ///
    /// A peer's close is read behind its messages: somebody must receive, or the queue gets full and nothing is read.
    pub async fn closed(&self) -> Ended {
        loop {
            if let Some(ended) = self.ended() {
                return ended;
            }
            listener!(self.shared.queues.over => over);
            if let Some(ended) = self.ended() {
                return ended;
            }
            over.await;
        }
    }

    /// How the connection ended, if it has.
    pub fn ended(&self) -> Option<Ended> {
        self.shared.queues.lock().ended.clone()
    }

    /// Sends a ping (RFC 6455 §5.5.2), past what is queued. Its pong is counted as a sign of life and not handed out.
    ///
    /// # Errors
    ///
    /// As [`ServerHandle::ping`].
    pub fn ping(&self, payload: &[u8]) -> Result<()> {
        self.shared.handle()?.ping(self.shared.id, payload)
    }

    /// Puts the connection into a room.
    ///
    /// # Errors
    ///
    /// As [`ServerHandle::join`].
    pub fn join(&self, room: &str) -> Result<()> {
        self.shared.handle()?.join(self.shared.id, room)
    }

    /// Takes the connection out of a room.
    ///
    /// # Errors
    ///
    /// As [`ServerHandle::leave`].
    pub fn leave(&self, room: &str) -> Result<()> {
        self.shared.handle()?.leave(self.shared.id, room)
    }

    /// Queues a message for everybody in a room, this connection included if it is inside. Does not wait; members
    /// whose outbox is full meet [`slow_consumer`](crate::Config::slow_consumer). It may overtake what
    /// [`send`](Self::send) still holds back for them.
    ///
    /// # Errors
    ///
    /// As [`ServerHandle::publish`].
    pub fn publish<'m>(&self, room: &str, message: impl Into<Message<'m>>) -> Result<()> {
        self.shared.handle()?.publish(room, message)?;
        Ok(())
    }
}

impl Clone for Connection {
    fn clone(&self) -> Connection {
        Connection::new(Arc::clone(&self.shared))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.shared.handles.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let (code, reason) = match std::thread::panicking() {
            true => (close::INTERNAL_ERROR, "internal error"),
            false => (close::NORMAL, ""),
        };
        // Nobody receives what waits, and what still comes would only pile up.
        let mut state = self.shared.queues.lock();
        state.deaf = true;
        state.received.clear();
        drop(state);
        // It fails where the connection is closing already.
        let _ = self.close(code, reason);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id())
            .field("peer", &self.peer_addr())
            .finish()
    }
}

/// The head of a request, as it would come.
fn encode(request: &Request<'_>) -> Box<[u8]> {
    let mut head = format!("{} {}", request.method(), request.path()).into_bytes();
    if let Some(query) = request.query() {
        head.extend([b"?", query.as_bytes()].concat());
    }
    head.extend(b" HTTP/1.1\r\n");
    for (name, value) in request.headers() {
        head.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    head.extend(b"\r\n");
    head.into()
}
