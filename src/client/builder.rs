//! A client before it connects.

use std::sync::Arc;
use std::time::Duration;

use smol::channel;

use crate::error::{Error, Result};

use super::address::Address;
use super::config::{ClientConfig, Reconnect};
use super::driver::{self, OnConnect, Shared};
use super::event::Greeting;
use super::group::Member;
use super::{Client, Handle, thread};

/// A client to be. Each setting has a method; [`ClientConfig`] says what they mean.
pub struct ClientBuilder {
    url: String,
    config: ClientConfig,
    on_connect: Option<OnConnect>,
    member: Option<Arc<Member>>,
}

impl ClientBuilder {
    pub(super) fn new(url: String) -> ClientBuilder {
        ClientBuilder { url, config: ClientConfig::default(), on_connect: None, member: None }
    }

    /// Replaces the whole configuration.
    pub fn config(mut self, config: ClientConfig) -> ClientBuilder {
        self.config = config;
        self
    }

    /// One more header field of the request. See [`ClientConfig::headers`].
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> ClientBuilder {
        self.config.headers.push((name.into(), value.into()));
        self
    }

    /// One more subprotocol, after those before. See [`ClientConfig::subprotocols`].
    pub fn subprotocol(mut self, name: impl Into<String>) -> ClientBuilder {
        self.config.subprotocols.push(name.into());
        self
    }

    /// See [`ClientConfig::origin`].
    pub fn origin(mut self, origin: impl Into<String>) -> ClientBuilder {
        self.config.origin = Some(origin.into());
        self
    }

    /// See [`ClientConfig::connect_timeout`].
    pub fn connect_timeout(mut self, timeout: Duration) -> ClientBuilder {
        self.config.connect_timeout = timeout;
        self
    }

    /// See [`ClientConfig::write_timeout`].
    pub fn write_timeout(mut self, timeout: Duration) -> ClientBuilder {
        self.config.write_timeout = timeout;
        self
    }

    /// See [`ClientConfig::close_timeout`].
    pub fn close_timeout(mut self, timeout: Duration) -> ClientBuilder {
        self.config.close_timeout = timeout;
        self
    }

    /// See [`ClientConfig::ping_interval`] and [`ClientConfig::pong_timeout`].
    pub fn keepalive(mut self, ping_interval: Duration, pong_timeout: Duration) -> ClientBuilder {
        self.config.ping_interval = ping_interval;
        self.config.pong_timeout = pong_timeout;
        self
    }

    /// See [`ClientConfig::max_message_size`].
    pub fn max_message_size(mut self, bytes: usize) -> ClientBuilder {
        self.config.max_message_size = bytes;
        self
    }

    /// See [`ClientConfig::max_outbox_bytes`].
    pub fn max_outbox_bytes(mut self, bytes: usize) -> ClientBuilder {
        self.config.max_outbox_bytes = bytes;
        self
    }

    /// See [`ClientConfig::max_inbox_bytes`].
    pub fn max_inbox_bytes(mut self, bytes: usize) -> ClientBuilder {
        self.config.max_inbox_bytes = bytes;
        self
    }

    /// Makes a new connection whenever one is lost or could not be made, whatever the reason, until the client is closed.
    pub fn reconnect(mut self, how: Reconnect) -> ClientBuilder {
        self.config.reconnect = Some(how);
        self
    }

    /// Is called for each new connection, to say what is sent on it before all else: to join rooms again, to log in.
    /// Runs on the thread that all clients share and must not block. A panic in it ends the client.
    pub fn on_connect(
        mut self,
        hook: impl Fn(&mut Greeting<'_>) + Send + Sync + 'static,
    ) -> ClientBuilder {
        self.on_connect = Some(Box::new(hook));
        self
    }

    /// Reports to a group whatever changes.
    #[cfg(feature = "capi")]
    pub(crate) fn member(mut self, member: Arc<Member>) -> ClientBuilder {
        self.member = Some(member);
        self
    }

    /// Connects, and returns when the handshake is done. Dropped while it waits, it has made no client.
    ///
    /// # Errors
    ///
    /// Also with [`reconnect`](Self::reconnect), the first try decides; [`start`](Self::start) goes on.
    ///
    /// - [`Error::Io`]: the name has no address, or nobody listens there; it says which.
    /// - [`Error::TimedOut`]: [`ClientConfig::connect_timeout`] is over; it says what was being done.
    /// - [`Error::Refused`]: the server answered with another status than 101.
    /// - [`Error::BadHandshake`]: the server does not speak WebSocket as it should.
    /// - [`Error::InvalidArgument`], [`Error::InvalidSetting`]: as [`start`](Self::start).
    pub async fn connect(self) -> Result<Client> {
        let (told, first) = channel::bounded(1);
        let client = self.launch(Some(told))?;
        // Without an answer the task has panicked; `Panic` is among the events then, and nothing comes here.
        first.recv().await.unwrap_or(Err(Error::Gone))?;
        Ok(client)
    }

    /// Like [`connect`](Self::connect), but blocks the thread.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_blocking(self) -> Result<Client> {
        let (told, first) = channel::bounded(1);
        let client = self.launch(Some(told))?;
        first.recv_blocking().unwrap_or(Err(Error::Gone))?;
        Ok(client)
    }

    /// Begins to connect and returns. What comes of it are the client's first events.
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidArgument`]: the URL is none, or is `wss://`, for which there is no TLS yet.
    /// - [`Error::InvalidSetting`]: names the first setting that cannot be.
    /// - [`Error::Io`]: the system gives no thread.
    pub fn start(self) -> Result<Client> {
        self.launch(None)
    }

    fn launch(self, first: Option<channel::Sender<Result<()>>>) -> Result<Client> {
        self.config.validate()?;
        let address = Address::parse(&self.url)?;
        let shared = Shared::new(address, self.config, self.on_connect, self.member);
        let shared = Arc::new(shared);
        thread::spawn(driver::run(Arc::clone(&shared), first))?;
        Ok(Client { handle: Arc::new(Handle { shared }) })
    }
}
