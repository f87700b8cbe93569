//! Connections as values to be awaited, above the handler.
//!
//! The handler of this module ([`bridge`]) keeps two bounded queues per connection: one of messages that came, from which
//! [`Connection::recv`] takes, and one of messages to be sent, from which it fills the connection's outbox. Whoever waits
//! for a queue waits for an [`Event`], so any executor will do; no lock is held while anybody waits.

mod bridge;
mod connection;
mod queues;

pub use connection::Connection;
pub(super) use queues::QueueLimits;
pub use queues::{DEFAULT_QUEUED_MESSAGES, DEFAULT_WAITING_CONNECTIONS};

use std::collections::VecDeque;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use event_listener::{Event, listener};

use crate::config::Config;
use crate::error::Result;
use crate::shard::handler::Handler;

use super::Server;
use super::handle::ServerHandle;
use bridge::Bridge;

/// A running server whose connections are awaited: [`Builder::start_async`](crate::Builder::start_async).
///
/// It is a [`Server`] in all else. Dropping it, like [`Server::shutdown`], blocks until the server's threads have ended;
/// [`ServerHandle::shutdown`] does not.
///
/// ```
/// use wspoll::Server;
///
/// async fn serve() -> wspoll::Result<()> {
///     let server = Server::builder().listen("127.0.0.1:8000").start_async()?;
///     let incoming = server.incoming();
///     while let Some(connection) = incoming.next().await {
///         smol::spawn(async move {
///             while let Ok(message) = connection.recv().await {
///                 if connection.send(message).await.is_err() {
///                     break;
///                 }
///             }
///         })
///         .detach();
///     }
///     Ok(())
/// }
/// ```
pub struct AsyncServer {
    server: Server,
    hub: Arc<Hub>,
}

impl AsyncServer {
    /// Starts a server by `start`, which is given what makes the handler.
    pub(super) fn start(
        gate: Option<Arc<dyn Handler>>,
        limits: QueueLimits,
        start: impl FnOnce(&mut dyn FnMut(&Config) -> Arc<dyn Handler>) -> Result<Server>,
    ) -> Result<AsyncServer> {
        let hub = Arc::new(Hub::new(limits));
        let server =
            start(&mut |config| Arc::new(Bridge::new(config, gate.clone(), Arc::clone(&hub))))?;
        // Connections may have come already, but nobody has one in hand before this is said.
        let _ = hub.handle.set(server.handle());
        Ok(AsyncServer { server, hub })
    }

    /// The connections that open, from the first on. Several tasks may take from it, each connection goes to one.
    pub fn incoming(&self) -> Incoming {
        Incoming { hub: Arc::clone(&self.hub) }
    }
}

impl Deref for AsyncServer {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// The connections of an [`AsyncServer`] as they open.
#[derive(Clone)]
pub struct Incoming {
    hub: Arc<Hub>,
}

impl Incoming {
    /// Waits for the next connection; `None` once the server has ended.
    ///
    /// Connections that nobody takes wait; beyond
    /// [`max_waiting_connections`](crate::Builder::max_waiting_connections) requests are answered with 503.
    ///
    /// Dropping the future before it is done loses no connection.
    pub async fn next(&self) -> Option<Connection> {
        loop {
            if let Some(next) = self.hub.take() {
                return next;
            }
            listener!(self.hub.opened => opened);
            // One that came since the first look has told nobody who listens now.
            if let Some(next) = self.hub.take() {
                return next;
            }
            opened.await;
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("waiting", &self.hub.waiting()).finish()
    }
}

/// What the handler and all connections of a server share.
struct Hub {
    /// Set before anybody outside has a connection.
    handle: OnceLock<ServerHandle>,
    limits: QueueLimits,
    arrivals: Mutex<Arrivals>,
    opened: Event,
}

#[derive(Default)]
struct Arrivals {
    waiting: VecDeque<Connection>,
    ended: bool,
}

impl Hub {
    fn new(limits: QueueLimits) -> Hub {
        Hub { handle: OnceLock::new(), limits, arrivals: Mutex::default(), opened: Event::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Arrivals> {
        // Whole whenever the lock is free: nothing in between can panic.
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    fn push(&self, connection: Connection) {
        self.lock().waiting.push_back(connection);
        self.opened.notify_additional(1);
    }

    /// The next connection, or `Some(None)` when there will be none.
    fn take(&self) -> Option<Option<Connection>> {
        let mut arrivals = self.lock();
        let next = arrivals.waiting.pop_front();
        (next.is_some() || arrivals.ended).then_some(next)
    }

    /// No connection opens any more. Those that wait have ended; they hold the hub, which would hold them for ever.
    fn end(&self) {
        let mut arrivals = self.lock();
        arrivals.ended = true;
        let waiting = std::mem::take(&mut arrivals.waiting);
        drop(arrivals);
        drop(waiting);
        self.opened.notify(usize::MAX);
    }
}
