//! The two queues of an async connection, and how full they may be.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use event_listener::Event;

use crate::connection::ending::Ended;
use crate::error::{Error, Result};
use crate::protocol::owned::MessageBuf;

/// Messages that may wait in each queue of a connection: what the Go servers that this follows give their channels.
pub const DEFAULT_QUEUED_MESSAGES: usize = 1000;
/// Connections that may wait to be taken: a burst of reconnecting clients, and a bound for an application that stands.
pub const DEFAULT_WAITING_CONNECTIONS: usize = 1024;

/// A queue that held more than this gives its memory back when it is empty.
const KEPT_MESSAGES: usize = 16;

/// How much may wait; a queue is also full at [`max_outbox_bytes`](crate::Config::max_outbox_bytes).
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct QueueLimits {
    pub(in crate::server) received: usize,
    pub(in crate::server) sent: usize,
    pub(in crate::server) waiting: usize,
}

impl Default for QueueLimits {
    fn default() -> QueueLimits {
        QueueLimits {
            received: DEFAULT_QUEUED_MESSAGES,
            sent: DEFAULT_QUEUED_MESSAGES,
            waiting: DEFAULT_WAITING_CONNECTIONS,
        }
    }
}

impl QueueLimits {
    pub(in crate::server) fn validate(&self) -> Result<()> {
        let limits = [
            ("max_received_messages", self.received),
            ("max_sent_messages", self.sent),
            ("max_waiting_connections", self.waiting),
        ];
        match limits.into_iter().find(|(_, most)| *most == 0) {
            Some((field, most)) => Err(Error::setting(field, most, "must be at least 1")),
            None => Ok(()),
        }
    }
}

/// One direction.
#[derive(Default)]
pub(super) struct Queue {
    messages: VecDeque<MessageBuf>,
    bytes: usize,
}

impl Queue {
    pub(super) fn push(&mut self, message: MessageBuf) {
        self.bytes += message.payload().len();
        self.messages.push_back(message);
    }

    pub(super) fn front(&self) -> Option<&MessageBuf> {
        self.messages.front()
    }

    pub(super) fn pop(&mut self) -> Option<MessageBuf> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.payload().len();
        if self.messages.is_empty() && self.messages.capacity() > KEPT_MESSAGES {
            self.messages = VecDeque::new();
        }
        Some(message)
    }

    pub(super) fn clear(&mut self) {
        *self = Queue::default();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn is_full(&self, messages: usize, bytes: usize) -> bool {
        self.messages.len() >= messages || self.bytes >= bytes && !self.is_empty()
    }

    /// Whether so much is gone of a queue that was full that reading goes on: half, so that a task that takes one
    /// message at a time does not make it stop and start at each.
    pub(super) fn is_relieved(&self, messages: usize, bytes: usize) -> bool {
        !self.is_full(messages.div_ceil(2), bytes / 2)
    }
}

/// What the tasks and the shard's thread share of a connection. The lock is held for moments, never across a wait.
#[derive(Default)]
pub(super) struct Queues {
    state: Mutex<State>,
    /// A message came, or none will come.
    pub(super) arrived: Event,
    /// There is room to send, or sending is over.
    pub(super) room: Event,
    /// The connection has ended.
    pub(super) over: Event,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) received: Queue,
    pub(super) to_send: Queue,
    /// The peer is not read, because `received` was full.
    pub(super) paused: bool,
    /// The shard has been told to look here, and has not looked yet.
    pub(super) nudged: bool,
    /// The close frame that goes after `to_send`.
    pub(super) close: Option<Box<(u16, Box<str>)>>,
    /// Nothing more may be queued.
    pub(super) closing: bool,
    /// Nobody is left to receive.
    pub(super) deaf: bool,
    pub(super) ended: Option<Ended>,
}

impl Queues {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Whole whenever the lock is free: nothing in between can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection has ended: what came can still be received, what was to be sent is lost.
    pub(super) fn end(&self, ended: Ended) {
        let mut state = self.lock();
        if state.ended.is_some() {
            return;
        }
        state.ended = Some(ended);
        state.closing = true;
        state.to_send.clear();
        drop(state);
        for event in [&self.arrived, &self.room, &self.over] {
            event.notify(usize::MAX);
        }
    }
}

impl State {
    /// Whether the shard must be told to look here; it is told once for all that it has not seen yet.
    pub(super) fn nudge(&mut self) -> bool {
        !std::mem::replace(&mut self.nudged, true)
    }
}
