//! One connection of a client: reading, writing and keeping it alive, side by side in one task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use async_tungstenite::tungstenite::{self, Bytes, Message, error::ProtocolError};
use async_tungstenite::{WebSocketReceiver, WebSocketSender, WebSocketStream};
use futures_util::SinkExt;
use smol::stream::StreamExt;
use smol::{Timer, future};

use crate::protocol::close::{INVALID_PAYLOAD, NO_STATUS, PROTOCOL_ERROR, TOO_BIG};

use super::driver::Shared;
use super::event::{DisconnectCause, Event, Outgoing};
use super::queue::Weighed;
use super::stream::{Meter, Metered, Transport};

/// tungstenite allocates this when a connection opens; larger reads save little.
const READ_BUFFER: usize = 16 * 1024;
/// What is written at once, where there is as much.
const WRITE_BUFFER: usize = 64 * 1024;
/// Room in the write buffer for pongs and headers besides the largest message.
const WRITE_HEADROOM: usize = WRITE_BUFFER + 4096;
/// Messages that are read before the other parts have their turn.
const READS_PER_TURN: u32 = 32;
/// Tells our own pings from the host's.
const KEEPALIVE: &[u8] = b"wspoll keepalive";
/// How long a close frame that tells of a violation may take to leave.
const FAREWELL: Duration = Duration::from_secs(1);

/// How a connection ended.
pub(super) struct Ended {
    pub(super) cause: DisconnectCause,
    /// Code and reason of the server's close frame.
    pub(super) close: Option<(u16, String)>,
}

impl Ended {
    pub(super) fn without_close(cause: DisconnectCause) -> Ended {
        Ended { cause, close: None }
    }
}

/// What the parts know of each other.
struct Session<'a> {
    shared: &'a Shared,
    meter: Arc<Meter>,
    /// A ping is due.
    ping: AtomicBool,
    ping_due: event_listener::Event,
    /// The server has sent a close frame.
    peer_closed: AtomicBool,
    /// We have sent a close frame because the host wants to end.
    close_sent: AtomicBool,
}

type Sender = WebSocketSender<Metered>;

/// Serves a connection until it ends.
pub(super) async fn run(
    shared: &Shared,
    stream: Box<dyn Transport>,
    rest: Vec<u8>,
    greeting: Vec<Outgoing>,
) -> Ended {
    let config = &shared.config;
    let largest = greeting.iter().map(Weighed::bytes).max().unwrap_or(0);
    let rules = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(largest.max(config.max_outbox_bytes) + WRITE_HEADROOM)
        .max_message_size(Some(config.max_message_size))
        .max_frame_size(Some(config.max_message_size));
    let meter = Arc::new(Meter::new());
    let stream = Metered { inner: stream, meter: Arc::clone(&meter) };
    let socket = WebSocketStream::from_partially_read(stream, rest, Role::Client, Some(rules));
    let (mut sender, receiver) = socket.await.split();
    let session = Session {
        shared,
        meter,
        ping: AtomicBool::new(false),
        ping_due: event_listener::Event::new(),
        peer_closed: AtomicBool::new(false),
        close_sent: AtomicBool::new(false),
    };
    let read = session.read(receiver);
    let write = session.write(&mut sender, greeting);
    let watch = future::or(session.keep_alive(), session.limit_closing());
    let (ended, farewell) = future::or(read, future::or(write, watch)).await;
    if let Some(code) = farewell {
        let close =
            sender.close(Some(CloseFrame { code: CloseCode::from(code), reason: "".into() }));
        let close = async {
            let _ = close.await;
        };
        let limit = async {
            Timer::after(FAREWELL).await;
        };
        future::or(close, limit).await;
    }
    ended
}

/// How it ended, and with which code we say so.
type Outcome = (Ended, Option<u16>);

fn cut(cause: DisconnectCause) -> Outcome {
    (Ended::without_close(cause), None)
}

impl Session<'_> {
    async fn read(&self, mut receiver: WebSocketReceiver<Metered>) -> Outcome {
        let mut close = None;
        let mut reads = 0_u32;
        loop {
            reads = reads.wrapping_add(1);
            if reads.is_multiple_of(READS_PER_TURN) {
                future::yield_now().await;
            }
            let next = match close {
                None => receiver.next().await,
                // The server ends the stream (RFC 6455 §7.1.1).
                Some(_) => {
                    let limit = async {
                        Timer::after(self.shared.config.close_timeout).await;
                        None
                    };
                    future::or(receiver.next(), limit).await
                }
            };
            // Copies: tungstenite's payloads hold on to the buffer that they were read into.
            match next {
                Some(Ok(Message::Text(text))) => {
                    self.deliver(Event::Text(text.as_str().to_owned())).await;
                }
                Some(Ok(Message::Binary(bytes))) => {
                    self.deliver(Event::Binary(bytes.to_vec())).await;
                }
                Some(Ok(Message::Pong(bytes))) if bytes != KEEPALIVE => {
                    self.deliver(Event::Pong(bytes.to_vec())).await;
                }
                Some(Ok(Message::Close(frame))) => {
                    self.peer_closed.store(true, Relaxed);
                    close = Some(match frame {
                        Some(frame) => (frame.code.into(), frame.reason.as_str().to_owned()),
                        None => (NO_STATUS, String::new()),
                    });
                }
                // tungstenite answers pings itself; raw frames are never read.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(error)) => return self.end(Some(error), close),
                None => return self.end(None, close),
            }
        }
    }

    async fn deliver(&self, event: Event) {
        if !self.shared.inbox_is_full() {
            return self.shared.deliver(event).await;
        }
        self.meter.stop_listening();
        self.shared.deliver(event).await;
        self.meter.listen_again();
    }

    /// What the end of reading means.
    fn end(&self, error: Option<tungstenite::Error>, close: Option<(u16, String)>) -> Outcome {
        use tungstenite::Error::{Capacity, Io, Protocol, Utf8};
        let ours = self.close_sent.load(Relaxed);
        let (cause, farewell) = match error {
            _ if close.is_some() => match ours {
                true => (DisconnectCause::Client, None),
                false => (DisconnectCause::Server, None),
            },
            Some(Io(error)) => (DisconnectCause::Lost(error), None),
            None | Some(Protocol(ProtocolError::ResetWithoutClosingHandshake)) => match ours {
                true => (DisconnectCause::Client, None),
                false => (DisconnectCause::EndOfStream, None),
            },
            Some(error) => {
                let code = match error {
                    Capacity(_) => TOO_BIG,
                    Utf8(_) => INVALID_PAYLOAD,
                    _ => PROTOCOL_ERROR,
                };
                (DisconnectCause::Violation(error.to_string()), Some(code))
            }
        };
        (Ended { cause, close }, farewell)
    }

    async fn write(&self, sender: &mut Sender, greeting: Vec<Outgoing>) -> Outcome {
        let written = self.write_all(sender, greeting).await;
        // What ended the writing the reading sees too, and perhaps a close frame before that.
        Timer::after(self.shared.config.close_timeout).await;
        match written {
            Ok(()) => cut(DisconnectCause::CloseTimeout),
            Err(tungstenite::Error::Io(error)) => cut(DisconnectCause::Lost(error)),
            Err(_) => cut(DisconnectCause::EndOfStream),
        }
    }

    /// Sends what comes, until the host closes.
    async fn write_all(
        &self,
        sender: &mut Sender,
        greeting: Vec<Outgoing>,
    ) -> tungstenite::Result<()> {
        for message in greeting {
            feed(sender, message.into()).await?;
        }
        loop {
            if self.ping.swap(false, Relaxed) {
                feed(sender, Message::Ping(Bytes::from_static(KEEPALIVE))).await?;
            }
            let mut bytes = 0;
            while bytes < WRITE_BUFFER
                && !self.peer_closed.load(Relaxed)
                && let Some((message, has_room)) = self.shared.outbox.take()
            {
                if has_room {
                    self.shared.changed();
                }
                bytes += message.bytes();
                feed(sender, message.into()).await?;
            }
            sender.flush().await?;
            if self.peer_closed.load(Relaxed) {
                return future::pending().await;
            }
            if self.shared.outbox.is_over() {
                let (code, reason) = self.shared.close_frame().unwrap_or_default();
                self.close_sent.store(true, Relaxed);
                let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
                return sender.close(Some(frame)).await;
            }
            let ping = self.ping_due.listen();
            if !self.ping.load(Relaxed) {
                future::or(self.shared.outbox.filled(), ping).await;
            }
        }
    }

    /// Pings a silent server, and ends when it is dead or stuck.
    async fn keep_alive(&self) -> Outcome {
        let config = &self.shared.config;
        let some = |limit: Duration| (!limit.is_zero()).then_some(limit);
        let limits =
            (some(config.ping_interval), some(config.pong_timeout), some(config.write_timeout));
        let (ping, pong, write) = limits;
        let mut pinged_at = Duration::ZERO;
        loop {
            let silence = self.meter.silence();
            let stuck = self.meter.stuck().unwrap_or_default();
            if pong.is_some_and(|limit| silence >= limit) {
                return cut(DisconnectCause::PongTimeout);
            }
            if write.is_some_and(|limit| stuck >= limit) {
                return cut(DisconnectCause::WriteTimeout);
            }
            if silence < pinged_at {
                pinged_at = Duration::ZERO;
            }
            let next_ping = ping.map(|interval| pinged_at + interval);
            if next_ping.is_some_and(|due| silence >= due) {
                pinged_at = silence;
                self.ping.store(true, Relaxed);
                self.ping_due.notify(1);
            }
            let next_ping = ping.map(|interval| pinged_at + interval);
            let dues = [
                next_ping.map(|due| due.saturating_sub(silence)),
                pong.map(|limit| limit.saturating_sub(silence)),
                write.map(|limit| limit.saturating_sub(stuck)),
            ];
            match dues.into_iter().flatten().min() {
                // The meter counts whole milliseconds.
                Some(pause) => Timer::after(pause + Duration::from_millis(1)).await,
                None => return future::pending().await,
            };
        }
    }

    /// Ends when the host wants to close and what it sent before does not leave.
    async fn limit_closing(&self) -> Outcome {
        self.shared.closing().await;
        Timer::after(self.shared.config.close_timeout).await;
        if self.close_sent.load(Relaxed) || self.peer_closed.load(Relaxed) {
            // The writing or the reading has a limit of its own for the rest.
            return future::pending().await;
        }
        cut(DisconnectCause::CloseTimeout)
    }
}

/// Adds a message to what is written next. Where unread pongs have filled the buffer, it is written first.
async fn feed(sender: &mut Sender, message: Message) -> tungstenite::Result<()> {
    match sender.feed(message).await {
        Err(tungstenite::Error::WriteBufferFull(message)) => {
            sender.flush().await?;
            sender.feed(*message).await
        }
        done => done,
    }
}
