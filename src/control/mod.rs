//! The admin listener: HTTP for those who run the server. Pushes, lists, metrics, profiles, a dashboard.
//!
//! It has a thread of its own: a request with ten thousand messages must delay no accept, and a shard that is stuck must
//! not take with it what shows that it is stuck. What it does to the server it does through [`Host`], which the server
//! implements; so this layer stands below `server`, which starts it.
//!
//! | file | what |
//! |---|---|
//! | `listener` | accepts, bounds how many are connected, ends them |
//! | `stream` | sockets and timers as hyper wants them |
//! | `gate` | who may ask: token, Host, Origin |
//! | `router`, `reply` | from a request to its answer |
//! | `push`, `form` | `POST /push/…` |
//! | `listing` | connections and rooms |
//! | `metrics`, `memory`, `profile` | what is measured |
//! | `feed`, `dashboard` | the page and the WebSocket that feeds it |

mod dashboard;
mod feed;
mod gate;
mod listener;
mod listing;
mod memory;
mod metrics;
mod profile;
mod push;
mod reply;
mod router;
mod stream;
#[cfg(all(unix, target_pointer_width = "64", feature = "profile"))]
mod wire_profile;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use smol::Async;
use smol::channel::{self, Sender};

use crate::config::Config;
use crate::connection::id::ConnId;
use crate::error::{Error, Result};
use crate::protocol::message::Message;
use crate::shard::adopt::Adopted;
use crate::shard::handler::Handler;
use crate::shard::mailbox::Fleet;
use crate::shard::target::{Receipt, Target};

/// The server, as the admin listener acts upon it.
pub(crate) trait Host: Send + Sync {
    fn fleet(&self) -> &Fleet;

    /// Whether nothing more is accepted.
    fn is_draining(&self) -> bool;

    fn push(&self, target: Target<'_>, message: Message<'_>) -> Result<Receipt>;

    fn close(&self, id: ConnId, code: u16, reason: &str) -> Result<()>;

    /// Starts a server of one shard that listens nowhere, for the dashboards: they must not show up among the
    /// connections that they show, nor in the host's handler.
    fn start_private(&self, config: Config, handler: Arc<dyn Handler>) -> Result<Box<dyn Private>>;
}

/// A server for the dashboards. Dropping it ends it.
pub(crate) trait Private {
    fn adopt(&self, adopted: Adopted) -> Result<()>;

    fn broadcast(&self, message: Message<'_>) -> Result<()>;

    fn connections(&self) -> usize;
}

/// A running admin listener. Dropping it ends it.
pub(crate) struct Admin {
    addr: SocketAddr,
    /// Closing it ends the thread.
    stop: Sender<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Admin {
    /// Serves on a thread of its own.
    pub(crate) fn start(listener: TcpListener, host: Arc<dyn Host>) -> Result<Admin> {
        let failed = |e: io::Error| Error::io("starting the admin listener", e);
        let addr = listener.local_addr().map_err(failed)?;
        let listener = Async::new(listener).map_err(failed)?;
        let (stop, stopped) = channel::bounded(1);
        let thread = thread::Builder::new()
            .name("wspoll-admin".to_owned())
            .spawn(move || {
                let state = Rc::new(router::State::new(host));
                listener::run(&listener, &state, &stopped);
            })
            .map_err(failed)?;
        Ok(Admin { addr, stop, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends it. Requests that are being answered are cut. The port is free on return.
    pub(crate) fn stop(&self) {
        self.stop.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!("the admin thread panicked");
        }
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.stop();
    }
}
