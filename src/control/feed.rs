//! What feeds the dashboards: once a second, what the server has counted, over WebSockets of a server of ours.
//!
//! The server that is watched does not serve them: they would stand among its connections, get its broadcasts and call
//! its handler, and would show nothing while a shard is stuck. The private one starts with the first dashboard.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, StatusCode, Version};
use serde_json::{Value, json};
use smol::Timer;
use smol::channel::{self, Receiver, Sender};

use crate::config::{Config, SlowConsumer};
use crate::error::Result;
use crate::protocol::handshake::{self, Key};
use crate::protocol::message::Message;
use crate::shard::adopt::Adopted;
use crate::shard::conn::Conn;
use crate::shard::handler::Handler;
use crate::shard::stats::ShardStats;

use super::listener::Desk;
use super::memory;
use super::reply::{self, Refusal, Reply};
use super::router::State;
use super::stream::Stream;
use super::{Host, Private, gate};

/// What a dashboard speaks.
const PROTOCOL: &str = "wspoll.feed";
/// Dashboards that are open at a time.
const MAX_DASHBOARDS: usize = 32;
/// From one look at the counters to the next.
const INTERVAL: Duration = Duration::from_secs(1);

pub(super) struct Feed {
    source: Arc<Source>,
    private: RefCell<Option<Box<dyn Private>>>,
    /// Tells the sampler that there is a dashboard.
    opened: Sender<()>,
    to_open: Receiver<()>,
}

impl Feed {
    pub(super) fn new(host: Arc<dyn Host>) -> Feed {
        let (opened, to_open) = channel::bounded(1);
        let started = (Instant::now(), since_epoch());
        let source = Arc::new(Source { host, started });
        Feed { source, private: RefCell::default(), opened, to_open }
    }

    /// `GET /feed`: the handshake. What follows is [`adopt`](Self::adopt)'s.
    pub(super) fn upgrade(
        &self,
        desk: &Desk,
        request: Request<Incoming>,
    ) -> Result<Reply, Refusal> {
        let headers = request.headers();
        let key = check(&request)?;
        let speaks = gate::subprotocols(headers).any(|name| name == PROTOCOL);
        let accept = handshake::accept_key(&key);
        let mut reply = reply::text(StatusCode::SWITCHING_PROTOCOLS, "");
        let headers = reply.headers_mut();
        headers.clear();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        // Base64 is a header's value.
        let accept = HeaderValue::from_bytes(&accept).unwrap_or(HeaderValue::from_static(""));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        if speaks {
            let protocol = HeaderValue::from_static(PROTOCOL);
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        desk.upgrade.replace(Some(hyper::upgrade::on(request)));
        Ok(reply)
    }

    /// Hands an upgraded socket to the private server.
    pub(super) async fn adopt(&self, upgrade: OnUpgrade) {
        // It fails when the peer left before it had our 101.
        let Ok(upgraded) = upgrade.await else { return };
        let Ok(parts) = upgraded.downcast::<Stream>() else {
            return log::error!("an upgraded admin connection is not of our sockets");
        };
        let adopted = parts.io.into_inner().map(|socket| {
            Adopted::upgraded(socket).early(parts.read_buf.to_vec()).subprotocol(PROTOCOL)
        });
        let handed = match adopted {
            Ok(adopted) => self.serve(adopted),
            Err(e) => return log::debug!("a dashboard's socket: {e}"),
        };
        match handed {
            // Full means that a token is there already.
            Ok(()) => drop(self.opened.try_send(())),
            Err(e) => log::warn!("a dashboard is not served: {e}"),
        }
    }

    fn serve(&self, adopted: Adopted) -> Result<()> {
        let mut private = self.private.borrow_mut();
        match &*private {
            Some(server) => server.adopt(adopted),
            None => {
                let greeter = Greeter(Arc::clone(&self.source));
                let server = self.source.host.start_private(config(), Arc::new(greeter))?;
                private.insert(server).adopt(adopted)
            }
        }
    }
}

/// Settings of the private server. Dashboards have nothing to say, and one that does not keep up sees less.
fn config() -> Config {
    Config {
        listen: Vec::new(),
        shards: 1,
        max_message_size: 1024,
        max_connections: MAX_DASHBOARDS,
        max_outbox_bytes: 256 * 1024,
        max_mailbox_bytes: 1024 * 1024,
        slow_consumer: SlowConsumer::DropNew,
        ..Config::default()
    }
}

/// Has the dashboards know what is going on, while there are any.
pub(super) async fn sample(state: &State) {
    let feed = &state.feed;
    while feed.to_open.recv().await.is_ok() {
        loop {
            Timer::after(INTERVAL).await;
            let private = feed.private.borrow();
            let Some(private) = private.as_ref().filter(|server| server.connections() > 0) else {
                break;
            };
            let sample = feed.source.sample().to_string();
            if let Err(e) = private.broadcast(Message::Text(&sample)) {
                log::debug!("the dashboards miss a second: {e}");
            }
        }
    }
}

/// Sends a dashboard its first sample at once.
struct Greeter(Arc<Source>);

impl Handler for Greeter {
    fn on_open(&self, conn: &mut Conn<'_>) {
        let sample = self.0.sample().to_string();
        // One that leaves needs no greeting.
        let _ = conn.send(Message::Text(&sample));
    }
}

/// Where samples come from.
struct Source {
    host: Arc<dyn Host>,
    /// By the clock that never goes back, and by the other.
    started: (Instant, u64),
}

impl Source {
    fn sample(&self) -> Value {
        let stats = self.host.fleet().stats();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            // By which a dashboard knows that it is another process.
            "started_ms": self.started.1,
            "uptime_ms": self.started.0.elapsed().as_millis() as u64,
            "draining": self.host.is_draining(),
            "resident_bytes": memory::resident_bytes(),
            "refused": stats.refused,
            "shards": stats.shards.iter().map(shard).collect::<Vec<_>>(),
        })
    }
}

fn since_epoch() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// What a dashboard shows of a shard: counters since the start, from which it makes rates.
fn shard(stats: &ShardStats) -> Value {
    json!({
        "connections": stats.connections,
        "rooms": stats.rooms,
        "messages_in": stats.messages_in,
        "messages_out": stats.messages_out,
        "bytes_in": stats.bytes_in,
        "bytes_out": stats.bytes_out,
        "dropped": stats.dropped,
        "queue_bytes": stats.queue_bytes,
        "loop_lag_ns": stats.loop_lag_ns,
        "loop_lag_max_ns": stats.loop_lag_max_ns,
    })
}

/// The checks of RFC 6455 §4.2.1 on what hyper has parsed.
fn check(request: &Request<Incoming>) -> Result<Key, Refusal> {
    let headers = request.headers();
    let names = |name: header::HeaderName, token: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(token))
    };
    if !names(header::UPGRADE, "websocket") || !names(header::CONNECTION, "upgrade") {
        let refusal = Refusal::new(StatusCode::UPGRADE_REQUIRED, "this path speaks WebSocket");
        return Err(refusal.header(header::UPGRADE, HeaderValue::from_static("websocket")));
    }
    if one(headers, header::SEC_WEBSOCKET_VERSION) != Some(b"13") {
        let refusal =
            Refusal::new(StatusCode::UPGRADE_REQUIRED, "Sec-WebSocket-Version must be 13");
        let version = HeaderValue::from_static("13");
        return Err(refusal.header(header::SEC_WEBSOCKET_VERSION, version));
    }
    if request.version() != Version::HTTP_11 {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "a handshake needs HTTP/1.1"));
    }
    one(headers, header::SEC_WEBSOCKET_KEY).and_then(Key::parse).ok_or_else(|| {
        Refusal::new(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key must be 16 bytes in base64")
    })
}

/// The value of a header that stands there once.
fn one(headers: &HeaderMap, name: header::HeaderName) -> Option<&[u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.as_bytes();
    values.next().is_none().then_some(value)
}
