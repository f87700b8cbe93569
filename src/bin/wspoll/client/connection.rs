//! One connection of the load client.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Display;
use std::iter;
use std::net::TcpStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use async_tungstenite::tungstenite::{Message, Utf8Bytes};
use async_tungstenite::{
    WebSocketReceiver, WebSocketSender, WebSocketStream, client_async_with_config,
};
use smol::channel::{self, Receiver, Sender};
use smol::stream::StreamExt;
use smol::{Async, Timer, future};

use super::Options;
use super::report::Report;

/// How long a connection may take to open: twice what a SYN that is lost once, then twice, costs.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last echoes are waited for.
const ECHO_GRACE: Duration = Duration::from_secs(5);
/// How long the answer to our close frame, and the end of the connection, are waited for.
const CLOSE_GRACE: Duration = Duration::from_secs(5);
/// How long connections that end may take, those included whose peer reads nothing, so that not even a close frame
/// leaves. A second on top lets the timers of the others come first.
pub(super) const LAST_GRACE: Duration =
    ECHO_GRACE.saturating_add(CLOSE_GRACE).saturating_add(Duration::from_secs(1));
/// Messages that may be on their way on one connection. More are skipped, so that a server that cannot keep up, or
/// one connection that hangs, costs a fixed amount of memory. The help says 16 too.
pub(super) const WINDOW: usize = 16;
/// tungstenite allocates its read buffer when a connection opens. Ours holds the echo of a short message.
const LEAST_READ_BUFFER: usize = 512;
/// Larger reads than this save little.
const MOST_READ_BUFFER: usize = 64 * 1024;

pub(super) type Socket = WebSocketStream<Async<TcpStream>>;

/// What the schedule knows of one open connection.
pub(super) struct Line {
    /// One item for each message to send.
    turns: Sender<()>,
    awaited: Awaited,
}

/// When the messages whose echo is still to come were handed over, oldest first.
type Awaited = Rc<RefCell<VecDeque<Instant>>>;

impl Line {
    /// Has the connection send its message, unless it is gone or too many are on their way.
    pub(super) fn take_turn(&self, report: &RefCell<Report>) {
        let mut awaited = self.awaited.borrow_mut();
        if self.turns.is_closed() {
            return;
        }
        let mut report = report.borrow_mut();
        if awaited.len() >= WINDOW {
            report.skipped += 1;
            return;
        }
        // The channel holds as many as may be awaited.
        if self.turns.try_send(()).is_ok() {
            awaited.push_back(Instant::now());
            report.sent += 1;
        }
    }
}

/// Opens a connection, with its handshake.
pub(super) async fn open(options: &Options) -> Result<Socket, String> {
    let config = WebSocketConfig::default()
        .read_buffer_size(options.size.clamp(LEAST_READ_BUFFER, MOST_READ_BUFFER))
        .write_buffer_size(0);
    let connect = async {
        let stream = Async::<TcpStream>::connect(options.address).await.map_err(text)?;
        // A ping and a message are two small writes: the second must not wait until the first is acknowledged.
        stream.get_ref().set_nodelay(true).map_err(text)?;
        let opened = client_async_with_config(options.url.as_str(), stream, Some(config));
        opened.await.map(|(socket, _)| socket).map_err(text)
    };
    let timeout = async {
        Timer::after(OPEN_TIMEOUT).await;
        Err(format!("not open after {OPEN_TIMEOUT:?}"))
    };
    future::or(connect, timeout).await
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// The two ends of one connection: the schedule's, and what drives it to its end.
pub(super) fn line(number: usize, options: &Options, socket: Socket) -> (Line, Driver) {
    let (turns, taken) = channel::bounded(WINDOW);
    let awaited = Awaited::default();
    let mut hello = format!("Hello from conn {number}");
    hello.extend(iter::repeat_n(' ', options.size.saturating_sub(hello.len())));
    let driver = Driver { hello: hello.into(), taken, awaited: Rc::clone(&awaited), socket };
    (Line { turns, awaited }, driver)
}

/// What drives one connection.
pub(super) struct Driver {
    hello: Utf8Bytes,
    taken: Receiver<()>,
    awaited: Awaited,
    socket: Socket,
}

/// How far the end of one connection has come.
#[derive(Default)]
struct End {
    /// No more turns come.
    last_turn_taken: Cell<bool>,
    close_sent: Cell<bool>,
    close_answered: Cell<bool>,
}

impl Driver {
    /// Sends when it is this connection's turn, checks what comes back, and closes when no more turns come.
    ///
    /// Sending and receiving go on side by side: a server that stops reading until its replies are read would
    /// otherwise wait for us while we wait for it.
    pub(super) async fn run(self, report: &RefCell<Report>) {
        let Driver { hello, taken, awaited, socket } = self;
        let (sender, receiver) = socket.split();
        let (all_back, wait_for_all) = channel::bounded(1);
        let end = End::default();
        let send = async {
            // After an error the reading goes on for a while, for what had arrived before.
            let _ = send(sender, &hello, taken, &awaited, &wait_for_all, &end, report).await;
            Timer::after(CLOSE_GRACE).await;
        };
        let receive = receive(receiver, &hello, &awaited, &all_back, &end, report);
        future::or(receive, send).await;
        if end.close_answered.get() {
            report.borrow_mut().closed += 1;
        }
    }
}

async fn send(
    mut sender: WebSocketSender<Async<TcpStream>>,
    hello: &Utf8Bytes,
    turns: Receiver<()>,
    awaited: &Awaited,
    all_back: &Receiver<()>,
    end: &End,
    report: &RefCell<Report>,
) -> async_tungstenite::tungstenite::Result<()> {
    while turns.recv().await.is_ok() {
        report.borrow_mut().pings += 1;
        sender.send(Message::Ping(Default::default())).await?;
        sender.send(Message::Text(hello.clone())).await?;
    }
    end.last_turn_taken.set(true);
    if !awaited.borrow().is_empty() {
        let grace = async {
            Timer::after(ECHO_GRACE).await;
        };
        let all = async {
            let _ = all_back.recv().await;
        };
        future::or(all, grace).await;
    }
    end.close_sent.set(true);
    sender.close(Some(CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() })).await
}

async fn receive(
    mut receiver: WebSocketReceiver<Async<TcpStream>>,
    hello: &Utf8Bytes,
    awaited: &Awaited,
    all_back: &Sender<()>,
    end: &End,
    report: &RefCell<Report>,
) {
    while let Some(Ok(message)) = receiver.next().await {
        let mut report = report.borrow_mut();
        match message {
            Message::Text(text) if text == *hello => {
                let mut awaited = awaited.borrow_mut();
                match awaited.pop_front() {
                    Some(since) => report.echoed(since.elapsed()),
                    None => report.wrong += 1,
                }
                if awaited.is_empty() && end.last_turn_taken.get() {
                    let _ = all_back.try_send(());
                }
            }
            Message::Text(_) | Message::Binary(_) => report.wrong += 1,
            Message::Pong(_) => report.pongs += 1,
            Message::Close(frame) => {
                let normal = frame.is_some_and(|frame| frame.code == CloseCode::Normal);
                end.close_answered.set(normal && end.close_sent.get());
            }
            // tungstenite answers pings itself; raw frames are never read.
            Message::Ping(_) | Message::Frame(_) => {}
        }
    }
}
