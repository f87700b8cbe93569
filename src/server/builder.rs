//! How a server is configured and started.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::config::{Config, ForwardedHeader, Origin, SlowConsumer, Token};
use crate::connection::trust::Trust;
use crate::error::{Error, Result};
use crate::reactor::Reactor;
use crate::shard::Shard;
use crate::shard::census::Census;
use crate::shard::handler::Handler;
use crate::shard::mailbox::{Fleet, Mailbox};
use crate::shard::stats::Pushes;

use super::Server;
use super::acceptor::Acceptor;
use super::admin;
use super::incoming::{AsyncServer, QueueLimits};
use super::listener::{self, Listener};

/// A server to be. Each setting has a method; [`Config`] says what they mean. Clones share the handler.
#[derive(Clone, Default)]
pub struct Builder {
    config: Config,
    /// Addresses named one by one; they replace those of the configuration.
    listen: Vec<String>,
    handler: Option<Arc<dyn Handler>>,
    decides_upgrades: bool,
    queues: QueueLimits,
    on_thread_start: Option<ThreadHook>,
    on_thread_stop: Option<ThreadHook>,
}

/// What a host does first or last on each shard's thread; it is told which shard.
type ThreadHook = Arc<dyn Fn(usize) + Send + Sync>;

impl Builder {
    /// Replaces the whole configuration.
    pub fn config(mut self, config: Config) -> Builder {
        self.config = config;
        self
    }

    /// Listens on this: `127.0.0.1:8000`, `unix:/path`, or what else [`Config::listen`] knows. Port 0 takes a free one.
    /// May be called again for more.
    pub fn listen(mut self, address: impl ToString) -> Builder {
        self.listen.push(address.to_string());
        self
    }

    /// Who is called for connections. Without one, messages are read and forgotten.
    pub fn handler(mut self, handler: impl Handler) -> Builder {
        self.handler = Some(Arc::new(handler));
        self
    }

    /// As [`handler`](Self::handler), of one that others have too.
    #[cfg(feature = "admin")]
    pub(super) fn shared_handler(mut self, handler: Arc<dyn Handler>) -> Builder {
        self.handler = Some(handler);
        self
    }

    /// Is called first on the thread of each shard, with its number. Without effect in hosted mode, whose threads are
    /// the host's.
    pub fn on_thread_start(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Builder {
        self.on_thread_start = Some(Arc::new(hook));
        self
    }

    /// Is called last on the thread of each shard, after the last event.
    pub fn on_thread_stop(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Builder {
        self.on_thread_stop = Some(Arc::new(hook));
        self
    }

    /// In hosted mode: upgrades come as [`Event::Upgrade`](crate::Event::Upgrade) and wait for
    /// [`Outlet::accept`](crate::Outlet::accept), instead of being accepted when they are valid.
    pub fn decide_upgrades(mut self, yes: bool) -> Builder {
        self.decides_upgrades = yes;
        self
    }

    /// For [`start_async`](Self::start_async): messages that may wait for [`Connection::recv`](crate::Connection::recv);
    /// while as many do, the connection is not read. [`DEFAULT_QUEUED_MESSAGES`](crate::DEFAULT_QUEUED_MESSAGES).
    pub fn max_received_messages(mut self, most: usize) -> Builder {
        self.queues.received = most;
        self
    }

    /// For [`start_async`](Self::start_async): messages that may wait to be sent;
    /// [`Connection::send`](crate::Connection::send) waits while as many do.
    /// [`DEFAULT_QUEUED_MESSAGES`](crate::DEFAULT_QUEUED_MESSAGES).
    pub fn max_sent_messages(mut self, most: usize) -> Builder {
        self.queues.sent = most;
        self
    }

    /// For [`start_async`](Self::start_async): open connections that may wait for
    /// [`Incoming::next`](crate::Incoming::next); more are answered with 503.
    /// [`DEFAULT_WAITING_CONNECTIONS`](crate::DEFAULT_WAITING_CONNECTIONS).
    pub fn max_waiting_connections(mut self, most: usize) -> Builder {
        self.queues.waiting = most;
        self
    }

    /// See [`Config::ipv6_only`].
    pub fn ipv6_only(mut self, yes: bool) -> Builder {
        self.config.ipv6_only = yes;
        self
    }

    /// See [`Config::unix_mode`].
    pub fn unix_mode(mut self, mode: u32) -> Builder {
        self.config.unix_mode = mode;
        self
    }

    /// See [`Config::trusted_proxies`].
    pub fn trusted_proxies<S: Into<String>>(
        mut self,
        proxies: impl IntoIterator<Item = S>,
    ) -> Builder {
        self.config.trusted_proxies = proxies.into_iter().map(Into::into).collect();
        self
    }

    /// See [`Config::proxy_protocol`].
    pub fn proxy_protocol(mut self, yes: bool) -> Builder {
        self.config.proxy_protocol = yes;
        self
    }

    /// See [`Config::forwarded_header`].
    pub fn forwarded_header(mut self, header: ForwardedHeader) -> Builder {
        self.config.forwarded_header = header;
        self
    }

    /// See [`Config::shards`].
    pub fn shards(mut self, shards: usize) -> Builder {
        self.config.shards = shards;
        self
    }

    /// See [`Config::backlog`].
    pub fn backlog(mut self, connections: u32) -> Builder {
        self.config.backlog = connections;
        self
    }

    /// See [`Config::max_message_size`].
    pub fn max_message_size(mut self, bytes: usize) -> Builder {
        self.config.max_message_size = bytes;
        self
    }

    /// See [`Config::stream_fragments`].
    pub fn stream_fragments(mut self, yes: bool) -> Builder {
        self.config.stream_fragments = yes;
        self
    }

    /// See [`Config::origin`].
    pub fn origin(mut self, origin: Origin) -> Builder {
        self.config.origin = origin;
        self
    }

    /// See [`Config::subprotocols`].
    pub fn subprotocols<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Builder {
        self.config.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// See [`Config::max_handshake_bytes`].
    pub fn max_handshake_bytes(mut self, bytes: usize) -> Builder {
        self.config.max_handshake_bytes = bytes;
        self
    }

    /// See [`Config::handshake_timeout`].
    pub fn handshake_timeout(mut self, timeout: Duration) -> Builder {
        self.config.handshake_timeout = timeout;
        self
    }

    /// See [`Config::ping_interval`].
    pub fn ping_interval(mut self, interval: Duration) -> Builder {
        self.config.ping_interval = interval;
        self
    }

    /// See [`Config::pong_timeout`].
    pub fn pong_timeout(mut self, timeout: Duration) -> Builder {
        self.config.pong_timeout = timeout;
        self
    }

    /// See [`Config::idle_timeout`].
    pub fn idle_timeout(mut self, timeout: Duration) -> Builder {
        self.config.idle_timeout = timeout;
        self
    }

    /// See [`Config::write_timeout`].
    pub fn write_timeout(mut self, timeout: Duration) -> Builder {
        self.config.write_timeout = timeout;
        self
    }

    /// See [`Config::close_timeout`].
    pub fn close_timeout(mut self, timeout: Duration) -> Builder {
        self.config.close_timeout = timeout;
        self
    }

    /// See [`Config::max_connections`].
    pub fn max_connections(mut self, most: usize) -> Builder {
        self.config.max_connections = most;
        self
    }

    /// See [`Config::max_connections_per_ip`].
    pub fn max_connections_per_ip(mut self, most: usize) -> Builder {
        self.config.max_connections_per_ip = most;
        self
    }

    /// See [`Config::max_outbox_bytes`].
    pub fn max_outbox_bytes(mut self, bytes: usize) -> Builder {
        self.config.max_outbox_bytes = bytes;
        self
    }

    /// See [`Config::slow_consumer`].
    pub fn slow_consumer(mut self, policy: SlowConsumer) -> Builder {
        self.config.slow_consumer = policy;
        self
    }

    /// Adds to [`Config::room_policies`].
    pub fn room_policy(mut self, room: impl Into<String>, policy: SlowConsumer) -> Builder {
        self.config.room_policies.push((room.into(), policy));
        self
    }

    /// See [`Config::push_merge`].
    pub fn push_merge(mut self, time: Duration) -> Builder {
        self.config.push_merge = time;
        self
    }

    /// See [`Config::push_merge_bytes`].
    pub fn push_merge_bytes(mut self, bytes: usize) -> Builder {
        self.config.push_merge_bytes = bytes;
        self
    }

    /// See [`Config::max_rooms_per_connection`].
    pub fn max_rooms_per_connection(mut self, most: usize) -> Builder {
        self.config.max_rooms_per_connection = most;
        self
    }

    /// See [`Config::max_mailbox_bytes`].
    pub fn max_mailbox_bytes(mut self, bytes: usize) -> Builder {
        self.config.max_mailbox_bytes = bytes;
        self
    }

    /// See [`Config::drain_timeout`].
    pub fn drain_timeout(mut self, timeout: Duration) -> Builder {
        self.config.drain_timeout = timeout;
        self
    }

    /// Serves the HTTP push API, metrics and the dashboard on this address. See [`Config::admin`].
    pub fn admin(mut self, address: impl ToString) -> Builder {
        self.config.admin = Some(address.to_string());
        self
    }

    /// See [`Config::admin_token`].
    pub fn admin_token(mut self, token: impl Into<Token>) -> Builder {
        self.config.admin_token = token.into();
        self
    }

    /// Starts the server on threads of its own: one per shard, and one that accepts.
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidSetting`]: a setting cannot have its value, or two contradict each other.
    /// - [`Error::Io`]: an address cannot be listened on, or the system refuses a poller or a thread. Nothing runs then.
    pub fn start(mut self) -> Result<Server> {
        let handler = self.handler.take().unwrap_or_else(|| Arc::new(Silent));
        self.start_with(|_| handler)
    }

    /// Starts the server with the handler that `make` gives it, once the configuration is whole.
    pub(super) fn start_with(
        mut self,
        make: impl FnOnce(&Config) -> Arc<dyn Handler>,
    ) -> Result<Server> {
        let (first, last) = (self.on_thread_start.take(), self.on_thread_stop.take());
        let Prepared { fleet, reactors, listeners, admin } = self.prepare()?;
        let handler = make(&fleet.config);
        let mut threads = Vec::with_capacity(reactors.len());
        for (index, reactor) in reactors.into_iter().enumerate() {
            let shard = Shard::managed(index, Arc::clone(&fleet), reactor, Arc::clone(&handler));
            let (first, last) = (first.clone(), last.clone());
            let run = move || {
                first.inspect(|hook| hook(index));
                if let Err(e) = shard.run() {
                    log::error!("shard {index} has ended: {e}");
                }
                last.inspect(|hook| hook(index));
            };
            let thread = thread::Builder::new().name(format!("wspoll-{index}")).spawn(run);
            threads.push(thread.map_err(|e| Error::io("starting a shard's thread", e)));
        }
        let acceptor = Acceptor::start(listeners, &fleet);
        // A server that is not whole is ended again by its drop.
        let failed = threads.iter().any(Result::is_err) || acceptor.is_err();
        if failed {
            end(&fleet);
        }
        let threads = threads.into_iter().collect::<Result<Vec<_>>>()?;
        Server::new(fleet, acceptor?, admin, threads)
    }

    /// Starts the server on threads of its own and hands out its connections as values to be awaited:
    /// [`AsyncServer::incoming`]. They need no executor of a particular kind.
    ///
    /// Of a [`handler`](Self::handler), `on_upgrade` and `on_request` are called, which decide who is let in;
    /// without one everybody is.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); [`Error::InvalidSetting`] also if a queue has no room for anything, or
    /// [`stream_fragments`](Config::stream_fragments) is set: connections are received whole messages from.
    pub fn start_async(mut self) -> Result<AsyncServer> {
        self.queues.validate()?;
        if self.config.stream_fragments {
            let reason = "an async server hands out whole messages";
            return Err(Error::setting("stream_fragments", true, reason));
        }
        let (gate, limits) = (self.handler.take(), self.queues);
        AsyncServer::start(gate, limits, |make| self.start_with(make))
    }

    /// Starts the server without threads for its shards: the host drives each by [`Shard::turn`], on whichever thread
    /// it likes. Accepting has a thread of its own.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start); [`Error::InvalidSetting`] also if there is a handler, which nobody would call.
    pub fn start_hosted(self) -> Result<(Server, Vec<Shard>)> {
        if self.handler.is_some() {
            let reason = "a hosted server hands out events instead of calling a handler";
            return Err(Error::setting("handler", "set", reason));
        }
        let decides_upgrades = self.decides_upgrades;
        let Prepared { fleet, reactors, listeners, admin } = self.prepare()?;
        let hosted =
            |(index, reactor)| Shard::hosted(index, Arc::clone(&fleet), reactor, decides_upgrades);
        let shards = reactors.into_iter().enumerate().map(hosted).collect();
        let acceptor = Acceptor::start(listeners, &fleet)?;
        Ok((Server::new(fleet, acceptor, admin, Vec::new())?, shards))
    }

    /// Everything that can fail before a thread runs.
    fn prepare(mut self) -> Result<Prepared> {
        if !self.listen.is_empty() {
            self.config.listen = self.listen;
        }
        let mut config = self.config;
        config.validate()?;
        if config.shards == 0 {
            let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
            config.shards = cores.min(crate::config::MAX_SHARDS);
        }
        match raise_file_limit() {
            Ok(u64::MAX) => log::info!("nothing limits open files"),
            Ok(files) => log::info!("{files} files may be open"),
            Err(e) => log::warn!("raising the limit of open files: {e}"),
        }
        let listeners = listener::bind(&config)?;
        let admin = admin::bind(&config)?;
        let reactors = (0..config.shards)
            .map(|_| Reactor::new().map_err(|e| Error::io("making a poller", e)))
            .collect::<Result<Vec<_>>>()?;
        let mailboxes = reactors.iter().map(|reactor| Mailbox::new(reactor.waker())).collect();
        let (census, pushes) = (Census::default(), Pushes::default());
        let trust = Trust::new(&config)?;
        let policies = Mutex::new(config.room_policies.iter().cloned().collect());
        let fleet = Fleet { config, mailboxes, census, trust, pushes, policies };
        Ok(Prepared { fleet: Arc::new(fleet), reactors, listeners, admin })
    }
}

/// A server of which nothing runs yet.
struct Prepared {
    fleet: Arc<Fleet>,
    reactors: Vec<Reactor>,
    listeners: Vec<Listener>,
    admin: admin::Bound,
}

fn end(fleet: &Fleet) {
    let deadline = std::time::Instant::now();
    for shard in 0..fleet.mailboxes.len() {
        // A shard that has no thread takes it too; nobody will read it.
        let _ = fleet.post(shard, crate::shard::mailbox::Command::Drain { deadline });
    }
}

struct Silent;

impl Handler for Silent {}

/// Raises the number of files that this process may have open to the most that the system lets it, and returns that.
/// Starting a server does this.
///
/// On Windows, where sockets are no files and nothing limits them but memory, this does nothing and returns [`u64::MAX`].
///
/// # Errors
///
/// What the system says.
pub fn raise_file_limit() -> std::io::Result<u64> {
    #[cfg(unix)]
    return rlimit::increase_nofile_limit(u64::MAX);
    #[cfg(not(unix))]
    Ok(u64::MAX)
}
