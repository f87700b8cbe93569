//! A WebSocket server that C, Go and Rust programs embed.
//!
//! ```
//! use wspoll::{Conn, Handler, Message, Server};
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     fn on_message(&self, conn: &mut Conn<'_>, message: Message<'_>) {
//!         if let Err(e) = conn.send(message) {
//!             eprintln!("{}: {e}", conn.id());
//!         }
//!     }
//! }
//!
//! # fn main() -> wspoll::Result<()> {
//! let server = Server::builder().listen("127.0.0.1:0").handler(Echo).start()?;
//! println!("listening on {}", server.local_addr());
//! server.shutdown(std::time::Duration::from_secs(1));
//! # Ok(())
//! # }
//! ```
//!
//! Each core runs one poller over the connections that it owns: a [`Handler`] is called on that thread, and what it
//! sends leaves when it returns. Any other thread acts through a [`ServerHandle`]. A host that wants to drive the
//! loops itself starts the server in hosted mode ([`Builder::start_hosted`]) and gets events in batches
//! ([`Shard::turn`]). Tasks of any executor have [`Connection`]s to await, each between two bounded queues
//! ([`Builder::start_async`]). `examples/` has the same four programs with a handler and with tasks.
//!
//! The layers, each of which imports only what stands above it: `protocol` (RFC 6455 without sockets), `connection`
//! (one peer), `reactor` (the system's poller, timers, sockets), `registry` (ids and rooms), `shard` (the loop),
//! `server`. Beside them stands [`client`] (feature `client`), which needs none of those below `protocol`.

#[cfg(feature = "client")]
pub mod client;
pub mod config;
mod connection;
#[cfg(feature = "admin")]
mod control;
mod error;
#[cfg(feature = "capi")]
mod ffi;
#[doc(hidden)]
pub mod protocol;
mod reactor;
mod registry;
mod server;
mod shard;

#[cfg(feature = "client")]
pub use client::Client;
pub use config::{Config, ForwardedHeader, Origin, Setting, SlowConsumer, Token};
pub use connection::ending::{Close, CloseCause, DropReason, Dropped, Ended};
pub use connection::id::ConnId;
pub use connection::peer::PeerAddr;
pub use connection::request::{Request, Response, Upgrade};
pub use error::{BadHandshake, Error, InvalidSetting, IoContext, Refused, Result, TimedOut};
pub use protocol::message::{Fragment, Message};
pub use protocol::owned::MessageBuf;
pub use server::{
    AsyncServer, Builder, Connection, DEFAULT_QUEUED_MESSAGES, DEFAULT_WAITING_CONNECTIONS,
    Incoming, ListenAddr, MessageStream, Server, ServerHandle, raise_file_limit,
};
pub use shard::Shard;
pub use shard::adopt::{Adopted, OwnedStream};
pub use shard::answer::Answer;
pub use shard::conn::Conn;
pub use shard::event::{Event, Events, Outlet};
pub use shard::handler::Handler;
pub use shard::stats::{ShardStats, Stats};
pub use shard::target::{Pushed, Receipt, Target};

/// README's snippets, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeSnippets;
