//! A server: its shards, its acceptor, and its end.

mod acceptor;
#[cfg_attr(not(feature = "admin"), path = "no_admin.rs")]
mod admin;
mod builder;
mod handle;
mod incoming;
mod listener;
mod stream;

pub use builder::{Builder, raise_file_limit};
pub use handle::ServerHandle;
pub use incoming::{
    AsyncServer, Connection, DEFAULT_QUEUED_MESSAGES, DEFAULT_WAITING_CONNECTIONS, Incoming,
};
pub use listener::ListenAddr;
pub use stream::MessageStream;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::Result;
use crate::shard::mailbox::Fleet;
use crate::shard::stats::Stats;
use acceptor::Acceptor;
use admin::AdminListener;

/// A running server. Dropping it cuts every connection; [`shutdown`](Server::shutdown) lets them end well.
pub struct Server {
    handle: ServerHandle,
    local_addrs: Vec<ListenAddr>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    admin: AdminListener,
}

impl Server {
    /// A server to be configured and started.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn new(
        fleet: Arc<Fleet>,
        acceptor: Acceptor,
        admin: admin::Bound,
        threads: Vec<JoinHandle<()>>,
    ) -> Result<Server> {
        let local_addrs = acceptor.local_addrs().to_vec();
        let handle = ServerHandle { fleet, acceptor: Arc::new(acceptor) };
        let admin_listener = AdminListener::default();
        let threads = Mutex::new(threads);
        // Whole before anything can fail: its drop ends what runs.
        let mut server = Server { handle, local_addrs, threads, admin: admin_listener };
        server.admin = AdminListener::start(admin, &server.handle)?;
        Ok(server)
    }

    /// The address of the admin listener, with the port that the system chose; `None` without one.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.addr()
    }

    /// The means to act upon the server and its connections, from any thread.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// What is listened on, in the order of the configuration, with the ports that the system chose.
    pub fn local_addrs(&self) -> &[ListenAddr] {
        &self.local_addrs
    }

    /// The first of [`local_addrs`](Self::local_addrs) that is an IP address; `0.0.0.0:0` if none is.
    pub fn local_addr(&self) -> SocketAddr {
        let first = self.local_addrs.iter().find_map(|addr| match addr {
            ListenAddr::Ip(addr) => Some(*addr),
            ListenAddr::Unix(_) => None,
        });
        first.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// What has been counted since the start.
    pub fn stats(&self) -> Stats {
        self.handle.stats()
    }

    /// Ends the server: nothing more is accepted, every connection is closed with 1001 after what waits for it, and
    /// what has not gone after `deadline` is cut. Returns when all of the server's threads have ended.
    ///
    /// In hosted mode the shards' threads are the host's: this returns at once, and
    /// [`Shard::turn`](crate::Shard::turn) returns [`Error::ShutDown`](crate::Error::ShutDown) when its shard is done.
    ///
    /// Called from a handler, it does not wait for the handler's own thread.
    pub fn shutdown(&self, deadline: Duration) {
        self.handle.shutdown(deadline);
        let threads = {
            let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *threads)
        };
        let is_hosted = threads.is_empty();
        let me = thread::current().id();
        for joined in threads.into_iter().filter(|thread| thread.thread().id() != me) {
            if joined.join().is_err() {
                log::error!("a thread of the server panicked");
            }
        }
        self.handle.acceptor.join();
        // It shows the drain to its end. Of a hosted server only the host knows the end: its drop.
        if !is_hosted {
            self.admin.stop();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown(Duration::ZERO);
    }
}
