//! A WebSocket client: one connection at a time, kept alive, and made again when it is lost if that is wanted.
//!
//! ```
//! use wspoll::client::{Client, Event, Reconnect};
//! # fn main() -> wspoll::Result<()> {
//! # struct Echo;
//! # impl wspoll::Handler for Echo {
//! #     fn on_message(&self, conn: &mut wspoll::Conn<'_>, message: wspoll::Message<'_>) {
//! #         let _ = conn.send(message);
//! #     }
//! # }
//! # let server = wspoll::Server::builder().listen("127.0.0.1:0").handler(Echo).start()?;
//! # let url = format!("ws://{}/", server.local_addr());
//! # smol::block_on(async {
//! let client = Client::builder(url)
//!     .reconnect(Reconnect::default())
//!     .on_connect(|greeting| greeting.send("first on every connection"))
//!     .connect()
//!     .await?;
//! client.send("hello").await?;
//! while let Some(event) = client.recv().await {
//!     match event {
//!         Event::Connected(with) => println!("connected, subprotocol {:?}", with.subprotocol),
//!         Event::Text(text) if text == "hello" => client.close(1000, "seen enough").await?,
//!         Event::Disconnected(end) => println!("{end}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! What is behind a [`Client`] runs on one thread, `wspoll-client`, which all clients of the process share, which starts
//! with the first and stays. So the futures here need no particular executor, and a client answers pings, keeps its
//! connection alive and makes a new one while nobody waits on it.
//!
//! # When things fill up
//!
//! - What is sent and not yet on its way counts against [`ClientConfig::max_outbox_bytes`]: when they are reached,
//!   [`Client::send`] waits and [`Client::try_send`] says [`Error::Backpressure`].
//! - What came and nobody took counts against [`ClientConfig::max_inbox_bytes`]: when they are reached, nothing is read
//!   until there is room, so the server is held up by the network. Nor is it then pinged or held to answer; its own
//!   pings are answered late.
//!
//! # Delivery
//!
//! At most once. Messages that wait when a connection ends are kept for the next one and follow the greeting; what the
//! system had been given is not sent again. When the client ends, what still waits is dropped.

mod address;
mod backoff;
mod builder;
mod config;
mod driver;
mod event;
pub(crate) mod group;
mod handshake;
mod queue;
mod session;
mod stream;
mod thread;

pub use builder::ClientBuilder;
pub use config::{
    ClientConfig, DEFAULT_LEAST_DELAY, DEFAULT_MAX_INBOX_BYTES, DEFAULT_MAX_MESSAGE_SIZE,
    DEFAULT_MAX_OUTBOX_BYTES, DEFAULT_MOST_DELAY, DEFAULT_STABLE_AFTER, Reconnect,
};
pub use event::{Connected, DisconnectCause, Disconnected, Event, Greeting};

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::error::{Error, Result, TimedOut};
use crate::protocol::close::{self, MAX_CONTROL_PAYLOAD, NORMAL};
use crate::protocol::message::Message;

use driver::Shared;
use event::Outgoing;
use queue::Refused;

/// A client. Clones are the same client; every method may be called from any thread and from several tasks at once.
///
/// When the last clone is dropped, the client ends as by [`close`](Client::close) with 1000, in the background: what was
/// sent still leaves, for at most [`ClientConfig::close_timeout`], unless the process ends first. What came and was not
/// received is dropped.
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

/// What all the clones are: its drop is the client's.
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.ask_to_close(NORMAL, String::new());
        // Nobody can take it: the session must not wait for room.
        self.shared.inbox.discard();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.shared().address.url).finish_non_exhaustive()
    }
}

impl Client {
    /// A client to be: of `ws://HOST[:PORT][/PATH][?QUERY]`, or on Unix `unix:/path/of/socket[:/PATH]`.
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(url.into())
    }

    /// Connects with defaults and without reconnecting.
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::connect`].
    pub async fn connect(url: impl Into<String>) -> Result<Client> {
        Client::builder(url).connect().await
    }

    fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    fn outgoing(&self, message: Message<'_>) -> Result<Outgoing> {
        let (size, most) = (message.payload().len(), self.shared().config.max_outbox_bytes);
        if size > most {
            let reason = format!("is larger than max_outbox_bytes ({most})");
            return Err(Error::argument("message", format!("{size} bytes"), reason));
        }
        Ok(Outgoing::message(message))
    }

    /// Sends a message, which is copied. Waits while the outbox is full; dropped while it waits, it has sent nothing.
    ///
    /// Returns when the message is queued. With [`ClientBuilder::reconnect`] that is possible also between connections.
    ///
    /// # Errors
    ///
    /// - [`Error::Gone`]: the client has ended or is closing.
    /// - [`Error::InvalidArgument`]: the message is larger than [`ClientConfig::max_outbox_bytes`].
    pub async fn send<'a>(&self, message: impl Into<Message<'a>>) -> Result<()> {
        let message = self.outgoing(message.into())?;
        self.shared().outbox.push(message).await.map_err(|_| Error::Gone)
    }

    /// Like [`send`](Self::send), but never waits.
    ///
    /// # Errors
    ///
    /// - [`Error::Backpressure`]: the outbox is full.
    /// - Others as [`send`](Self::send).
    pub fn try_send<'a>(&self, message: impl Into<Message<'a>>) -> Result<()> {
        self.queue(self.outgoing(message.into())?)
    }

    /// Like [`send`](Self::send), but blocks the thread, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// - [`Error::TimedOut`]: the outbox stayed full.
    /// - Others as [`send`](Self::send).
    pub fn send_blocking<'a>(
        &self,
        message: impl Into<Message<'a>>,
        timeout: Duration,
    ) -> Result<()> {
        let message = self.outgoing(message.into())?;
        let deadline = Instant::now().checked_add(timeout);
        self.shared().outbox.push_blocking(message, deadline).map_err(|refused| match refused {
            Refused::Full(_) => TimedOut::error("sending", timeout),
            Refused::Closed => Error::Gone,
        })
    }

    /// Sends a ping, after what waits, with a payload of at most 125 bytes. The answer comes as [`Event::Pong`]. A ping
    /// between connections is one of the next.
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidArgument`]: the payload is too long.
    /// - [`Error::Backpressure`]: the outbox is full.
    /// - [`Error::Gone`]: the client has ended or is closing.
    pub fn ping(&self, payload: &[u8]) -> Result<()> {
        if payload.len() > MAX_CONTROL_PAYLOAD {
            let value = format!("{} bytes", payload.len());
            let reason = format!("must be at most {MAX_CONTROL_PAYLOAD} bytes");
            return Err(Error::argument("payload", value, reason));
        }
        self.queue(Outgoing::Ping(payload.to_vec()))
    }

    fn queue(&self, outgoing: Outgoing) -> Result<()> {
        self.shared().outbox.try_push(outgoing).map_err(|refused| match refused {
            Refused::Full(_) => Error::Backpressure,
            Refused::Closed => Error::Gone,
        })
    }

    /// The next thing that happened, in order; `None` after the last, a [`Event::Disconnected`] without another try.
    ///
    /// Dropped while it waits, it has taken nothing. With several that wait, each event goes to one of them.
    pub async fn recv(&self) -> Option<Event> {
        self.shared().inbox.pop().await
    }

    /// The next thing that happened, if it is here already.
    pub fn try_recv(&self) -> Option<Event> {
        self.shared().inbox.try_pop()
    }

    /// Like [`recv`](Self::recv), but blocks the thread, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]: nothing happened.
    pub fn recv_blocking(&self, timeout: Duration) -> Result<Option<Event>> {
        let deadline = Instant::now().checked_add(timeout);
        let popped = self.shared().inbox.pop_blocking(deadline);
        popped.map_err(|()| TimedOut::error("receiving", timeout))
    }

    /// Closes: what was sent leaves, then a close frame (RFC 6455 §7.1.2), and the client ends when the server has
    /// answered or [`ClientConfig::close_timeout`] is over. Waits for that. A client that is not connected ends at once.
    ///
    /// From the call on nothing can be sent. What came can still be received, and what comes until the end as long as
    /// there is room. Closing again changes nothing and waits for the same end. Dropped while it waits, it has closed.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`]: the code must not be sent, or the reason is longer than 123 bytes.
    pub async fn close(&self, code: u16, reason: &str) -> Result<()> {
        self.start_close(code, reason)?;
        self.shared().ended().await;
        Ok(())
    }

    /// Like [`close`](Self::close), but waits for nothing.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    pub fn start_close(&self, code: u16, reason: &str) -> Result<()> {
        close::check_local(code, reason).map_err(|e| match e {
            close::LocalCloseError::Code(_) => Error::argument("code", code, e.to_string()),
            close::LocalCloseError::ReasonTooLong(_) => {
                Error::argument("reason", reason, e.to_string())
            }
        })?;
        self.shared().ask_to_close(code, reason.to_owned());
        Ok(())
    }

    /// Blocks the thread until the client has ended, for at most `timeout`; says whether it has.
    pub fn wait_closed(&self, timeout: Duration) -> bool {
        self.shared().ended_by(Instant::now().checked_add(timeout))
    }

    /// Whether the client has ended: nothing more will happen to it.
    pub fn is_closed(&self) -> bool {
        self.shared().has_ended()
    }
}
