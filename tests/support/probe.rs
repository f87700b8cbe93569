//! A handler that tells the test what it saw, and does what the test asks.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use wspoll::{
    Close, Config, Conn, ConnId, Dropped, Fragment, Handler, Message, Request, Response, Server,
    ServerHandle, Upgrade,
};

use super::PATIENCE;

/// What a callback was called with.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    Open(ConnId),
    Text(ConnId, String),
    Binary(ConnId, Vec<u8>),
    Pong(ConnId, Vec<u8>),
    Drain(ConnId),
    Dropped(ConnId, String),
    Close(ConnId, End),
}

/// What `on_close` was told.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    pub code: u16,
    pub sent: Option<u16>,
    pub received: Option<u16>,
    pub reason: String,
    pub clean: bool,
}

type OnUpgrade = Box<dyn Fn(ConnId, &Request<'_>) -> Upgrade + Send + Sync>;
type OnRequest = Box<dyn Fn(&Request<'_>) -> Response + Send + Sync>;
type OnConn = Box<dyn Fn(&mut Conn<'_>) + Send + Sync>;
type OnMessage = Box<dyn Fn(&mut Conn<'_>, Message<'_>) + Send + Sync>;
type OnFragment = Box<dyn Fn(&mut Conn<'_>, Fragment<'_>) + Send + Sync>;

/// What the handler of a test does beside recording.
#[derive(Default)]
pub struct Probe {
    upgrade: Option<OnUpgrade>,
    request: Option<OnRequest>,
    open: Option<OnConn>,
    message: Option<OnMessage>,
    fragment: Option<OnFragment>,
    close: Option<OnConn>,
}

impl Probe {
    /// Records, and does nothing else.
    pub fn new() -> Probe {
        Probe::default()
    }

    /// Records, and sends each message back.
    pub fn echo() -> Probe {
        Probe::new().on_message(|conn, message| {
            let _ = conn.send(message);
        })
    }

    pub fn on_upgrade(
        mut self,
        f: impl Fn(ConnId, &Request<'_>) -> Upgrade + Send + Sync + 'static,
    ) -> Probe {
        self.upgrade = Some(Box::new(f));
        self
    }

    pub fn on_request(
        mut self,
        f: impl Fn(&Request<'_>) -> Response + Send + Sync + 'static,
    ) -> Probe {
        self.request = Some(Box::new(f));
        self
    }

    pub fn on_open(mut self, f: impl Fn(&mut Conn<'_>) + Send + Sync + 'static) -> Probe {
        self.open = Some(Box::new(f));
        self
    }

    pub fn on_message(
        mut self,
        f: impl Fn(&mut Conn<'_>, Message<'_>) + Send + Sync + 'static,
    ) -> Probe {
        self.message = Some(Box::new(f));
        self
    }

    pub fn on_fragment(
        mut self,
        f: impl Fn(&mut Conn<'_>, Fragment<'_>) + Send + Sync + 'static,
    ) -> Probe {
        self.fragment = Some(Box::new(f));
        self
    }

    pub fn on_close(mut self, f: impl Fn(&mut Conn<'_>) + Send + Sync + 'static) -> Probe {
        self.close = Some(Box::new(f));
        self
    }

    /// A server with one shard on a free port.
    pub fn start(self) -> Running {
        self.start_with(|_| {})
    }

    /// The same, with other settings.
    pub fn start_with(self, adjust: impl FnOnce(&mut Config)) -> Running {
        let (handler, events) = self.recorder();
        let server = Server::builder()
            .config(config(adjust))
            .handler(handler)
            .start()
            .expect("the server starts");
        Running { addr: server.local_addr(), handle: server.handle(), events, server }
    }

    /// The handler alone, and what it will see.
    pub fn recorder(self) -> (Recorder, Events) {
        let (seen, receiver) = mpsc::channel();
        (Recorder { probe: self, seen }, Events { receiver, passed: VecDeque::new() })
    }
}

/// The handler that a [`Probe`] becomes.
pub struct Recorder {
    probe: Probe,
    seen: Sender<Seen>,
}

impl Recorder {
    fn tell(&self, seen: Seen) {
        // The test may have seen enough and gone.
        let _ = self.seen.send(seen);
    }
}

/// One shard, a free port, and what `adjust` changes.
pub fn config(adjust: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    config.listen = vec!["127.0.0.1:0".to_owned()];
    config.shards = 1;
    adjust(&mut config);
    config
}

impl Handler for Recorder {
    fn on_upgrade(&self, conn: ConnId, request: &Request<'_>) -> Upgrade {
        match &self.probe.upgrade {
            Some(f) => f(conn, request),
            None => Upgrade::accept(),
        }
    }

    fn on_request(&self, request: &Request<'_>) -> Response {
        match &self.probe.request {
            Some(f) => f(request),
            None => Response::upgrade_required(),
        }
    }

    fn on_open(&self, conn: &mut Conn<'_>) {
        self.tell(Seen::Open(conn.id()));
        if let Some(f) = &self.probe.open {
            f(conn);
        }
    }

    fn on_message(&self, conn: &mut Conn<'_>, message: Message<'_>) {
        self.tell(match message {
            Message::Text(text) => Seen::Text(conn.id(), text.to_owned()),
            Message::Binary(bytes) => Seen::Binary(conn.id(), bytes.to_vec()),
        });
        if let Some(f) = &self.probe.message {
            f(conn, message);
        }
    }

    fn on_fragment(&self, conn: &mut Conn<'_>, fragment: Fragment<'_>) {
        if let Some(f) = &self.probe.fragment {
            f(conn, fragment);
        }
    }

    fn on_pong(&self, conn: &mut Conn<'_>, payload: &[u8]) {
        self.tell(Seen::Pong(conn.id(), payload.to_vec()));
    }

    fn on_drain(&self, conn: &mut Conn<'_>) {
        self.tell(Seen::Drain(conn.id()));
    }

    fn on_dropped(&self, conn: ConnId, dropped: Dropped) {
        self.tell(Seen::Dropped(conn, format!("{dropped:?}")));
    }

    fn on_close(&self, conn: &mut Conn<'_>, close: &Close<'_>) {
        let end = End {
            code: close.code(),
            sent: close.sent(),
            received: close.received(),
            reason: close.reason().to_owned(),
            clean: close.was_clean(),
        };
        // The hook first: a test that has seen the close may rely on what the hook did.
        if let Some(f) = &self.probe.close {
            f(conn);
        }
        self.tell(Seen::Close(conn.id(), end));
    }
}

/// A server that runs, and what its handler saw. Dropping it stops the server.
pub struct Running {
    pub server: Server,
    pub handle: ServerHandle,
    pub addr: SocketAddr,
    pub events: Events,
}

/// What the handler saw and the test has not taken yet, in order.
pub struct Events {
    receiver: Receiver<Seen>,
    passed: VecDeque<Seen>,
}

impl Events {
    /// Waits for something that the handler saw, and leaves what came before it in its place.
    pub fn find<T>(&mut self, what: &str, mut pick: impl FnMut(&Seen) -> Option<T>) -> T {
        self.find_within(PATIENCE, &mut pick).unwrap_or_else(|| {
            let passed = format!("{:.2000}", format!("{:?}", self.passed));
            panic!("the handler saw no {what} in {PATIENCE:?}, but {passed}")
        })
    }

    fn find_within<T>(
        &mut self,
        limit: Duration,
        pick: &mut impl FnMut(&Seen) -> Option<T>,
    ) -> Option<T> {
        let found = self.passed.iter().enumerate().find_map(|(at, seen)| Some((at, pick(seen)?)));
        if let Some((at, value)) = found {
            self.passed.remove(at);
            return Some(value);
        }
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.receiver.recv_timeout(left) {
                Ok(seen) => match pick(&seen) {
                    Some(value) => return Some(value),
                    None => self.passed.push_back(seen),
                },
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// The next thing that the handler saw.
    pub fn next(&mut self) -> Seen {
        self.find("anything", |seen| Some(seen.clone()))
    }

    /// What has been seen so far, without waiting.
    pub fn so_far(&mut self) -> Vec<Seen> {
        self.passed.extend(self.receiver.try_iter());
        self.passed.drain(..).collect()
    }

    pub fn opened(&mut self) -> ConnId {
        self.find("open", |seen| match seen {
            Seen::Open(id) => Some(*id),
            _ => None,
        })
    }

    pub fn text(&mut self) -> String {
        self.find("text", |seen| match seen {
            Seen::Text(_, text) => Some(text.clone()),
            _ => None,
        })
    }

    pub fn binary(&mut self) -> Vec<u8> {
        self.find("binary", |seen| match seen {
            Seen::Binary(_, bytes) => Some(bytes.clone()),
            _ => None,
        })
    }

    pub fn closed(&mut self) -> End {
        self.find("close", |seen| match seen {
            Seen::Close(_, end) => Some(end.clone()),
            _ => None,
        })
    }

    pub fn closed_of(&mut self, id: ConnId) -> End {
        self.find("close", |seen| match seen {
            Seen::Close(who, end) if *who == id => Some(end.clone()),
            _ => None,
        })
    }

    pub fn drained(&mut self) -> ConnId {
        self.find("drain", |seen| match seen {
            Seen::Drain(id) => Some(*id),
            _ => None,
        })
    }

    pub fn dropped(&mut self) -> (ConnId, String) {
        self.find("dropped", |seen| match seen {
            Seen::Dropped(id, what) => Some((*id, what.clone())),
            _ => None,
        })
    }

    /// Whether a callback of this kind was *not* called so far.
    pub fn none(&mut self, pick: impl Fn(&Seen) -> bool) -> bool {
        self.passed.extend(self.receiver.try_iter());
        !self.passed.iter().any(pick)
    }
}
