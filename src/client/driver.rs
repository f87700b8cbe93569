//! The life of a client: connect, serve, wait, connect again.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use event_listener::Listener;
use smol::future::FutureExt;
use smol::{Timer, channel, future};

use crate::error::Result;
use crate::protocol::close::ABNORMAL;

use super::address::Address;
use super::backoff::Backoff;
use super::config::ClientConfig;
use super::event::{Connected, DisconnectCause, Disconnected, Event, Greeting, Outgoing};
use super::group::Member;
use super::handshake::{self, Opened};
use super::queue::{Queue, Refused};
use super::session::{self, Ended};
use super::stream::{self, TimeLimit, Transport};

pub(super) type OnConnect = Box<dyn Fn(&mut Greeting<'_>) + Send + Sync>;

/// What the handles and the task of a client share.
pub(super) struct Shared {
    pub(super) address: Address,
    pub(super) config: ClientConfig,
    on_connect: Option<OnConnect>,
    pub(super) outbox: Queue<Outgoing>,
    pub(super) inbox: Queue<Event>,
    /// Code and reason, once the client is to end.
    close: Mutex<Option<(u16, String)>>,
    closing: AtomicBool,
    close_asked: event_listener::Event,
    /// The inbox was closed: nothing more will happen.
    ended: event_listener::Event,
    member: Option<Arc<Member>>,
}

impl Shared {
    pub(super) fn new(
        address: Address,
        config: ClientConfig,
        on_connect: Option<OnConnect>,
        member: Option<Arc<Member>>,
    ) -> Shared {
        Shared {
            outbox: Queue::new(config.max_outbox_bytes),
            inbox: Queue::new(config.max_inbox_bytes),
            address,
            config,
            on_connect,
            close: Mutex::default(),
            closing: AtomicBool::new(false),
            close_asked: event_listener::Event::new(),
            ended: event_listener::Event::new(),
            member,
        }
    }

    /// The first to ask decides how.
    pub(super) fn ask_to_close(&self, code: u16, reason: String) {
        let mut close = self.close.lock().unwrap_or_else(PoisonError::into_inner);
        close.get_or_insert((code, reason));
        drop(close);
        // Before the session can act upon it, or it would end as one that is to be followed by another.
        self.closing.store(true, Ordering::SeqCst);
        self.outbox.close();
        self.close_asked.notify(usize::MAX);
    }

    /// Code and reason to close with.
    pub(super) fn close_frame(&self) -> Option<(u16, String)> {
        self.close.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Waits until somebody asks to close.
    pub(super) async fn closing(&self) {
        while !self.is_closing() {
            let listener = self.close_asked.listen();
            if !self.is_closing() {
                listener.await;
            }
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.inbox.is_closed()
    }

    pub(super) async fn ended(&self) {
        while !self.has_ended() {
            let listener = self.ended.listen();
            if !self.has_ended() {
                listener.await;
            }
        }
    }

    /// Blocks until the end, or the deadline, and says whether it has ended.
    pub(super) fn ended_by(&self, deadline: Option<Instant>) -> bool {
        while !self.has_ended() {
            let listener = self.ended.listen();
            if self.has_ended() {
                break;
            }
            match deadline {
                None => listener.wait(),
                Some(deadline) if listener.wait_deadline(deadline).is_some() => {}
                Some(_) => return self.has_ended(),
            }
        }
        true
    }

    /// Tells those who wait for several clients.
    pub(super) fn changed(&self) {
        if let Some(member) = &self.member {
            member.report();
        }
    }

    /// Hands an event to whoever receives. Waits for room, but not once the client is to end.
    pub(super) async fn deliver(&self, event: Event) {
        let Err(Refused::Full(event)) = self.inbox.try_push(event) else {
            self.changed();
            return;
        };
        let push = async {
            let _ = self.inbox.push(event).await;
        };
        future::or(push, self.closing()).await;
        self.changed();
    }

    /// Whether [`deliver`](Self::deliver) would wait.
    pub(super) fn inbox_is_full(&self) -> bool {
        self.inbox.is_full()
    }

    fn end(&self, last: Option<Event>) {
        // Before anybody is told: who sends from here on hears that it is over.
        self.outbox.discard();
        match last {
            Some(event) => self.inbox.push_last(event),
            // Nobody but `connect` knows this client, and that is told already.
            None => self.inbox.close(),
        }
        self.ended.notify(usize::MAX);
        self.changed();
    }
}

/// Lives until the client has ended. `first` is told how the first try went; after a failed one nothing follows then.
pub(super) async fn run(shared: Arc<Shared>, first: Option<channel::Sender<Result<()>>>) {
    let last = match AssertUnwindSafe(live(&shared, first)).catch_unwind().await {
        Ok(last) => last,
        Err(panic) => Some(Ended::without_close(DisconnectCause::Panic(panic_text(&*panic)))),
    };
    shared.end(last.map(|ended| disconnected(ended, None)));
}

async fn live(shared: &Shared, mut first: Option<channel::Sender<Result<()>>>) -> Option<Ended> {
    let mut backoff = shared.config.reconnect.clone().map(Backoff::new);
    loop {
        let connect = async { Some(connect(shared).await) };
        let closing = async {
            shared.closing().await;
            None
        };
        let ended = match future::or(connect, closing).await {
            None => Ended::without_close(DisconnectCause::Client),
            Some(Err(error)) => {
                if let Some(first) = first.take() {
                    let _ = first.try_send(Err(error));
                    return None;
                }
                Ended::without_close(DisconnectCause::NotConnected(error))
            }
            Some(Ok((stream, opened))) => {
                if let Some(first) = first.take() {
                    let _ = first.try_send(Ok(()));
                }
                let greeting = greet(shared, &opened.connected);
                shared.deliver(Event::Connected(opened.connected)).await;
                let start = Instant::now();
                let ended = session::run(shared, stream, opened.rest, greeting).await;
                if let Some(backoff) = &mut backoff {
                    backoff.lived(start.elapsed());
                }
                ended
            }
        };
        if shared.is_closing() {
            return Some(ended);
        }
        let Some(delay) = backoff.as_mut().and_then(Backoff::next) else { return Some(ended) };
        shared.deliver(disconnected(ended, Some(delay))).await;
        let pause = async {
            Timer::after(delay).await;
        };
        future::or(pause, shared.closing()).await;
    }
}

async fn connect(shared: &Shared) -> Result<(Box<dyn Transport>, Opened)> {
    let Shared { address, config, .. } = shared;
    let time = TimeLimit::new(config.connect_timeout);
    let mut stream = stream::open(address, time).await?;
    let doing = || format!("the handshake with {}", address.url);
    let opened = time.hold(doing, handshake::shake_hands(&mut *stream, address, config)).await?;
    Ok((stream, opened))
}

fn greet(shared: &Shared, with: &Connected) -> Vec<Outgoing> {
    let mut greeting = Greeting { with, messages: Vec::new() };
    if let Some(hook) = &shared.on_connect {
        hook(&mut greeting);
    }
    greeting.messages
}

fn disconnected(ended: Ended, retry_in: Option<std::time::Duration>) -> Event {
    let Ended { cause, close } = ended;
    let (code, reason) = close.unwrap_or((ABNORMAL, String::new()));
    Event::Disconnected(Disconnected { cause, code, reason, retry_in })
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(no message)").to_owned()
}
