//! The handler that fills and empties the queues of async connections, on their shards' threads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::Config;
use crate::connection::ending::{Close, CloseCause, Ended};
use crate::connection::id::ConnId;
use crate::connection::request::{Request, Response, Upgrade};
use crate::protocol::frame::MAX_SERVER_HEADER;
use crate::protocol::message::Message;
use crate::shard::conn::Conn;
use crate::shard::handler::Handler;

use super::Hub;
use super::connection::{Connection, Shared};

pub(super) struct Bridge {
    /// Who is let in, if not everybody.
    gate: Option<Arc<dyn Handler>>,
    hub: Arc<Hub>,
    /// The connections of each shard, by slot. Only the shard's thread looks, so the lock is always free.
    shards: Box<[Mutex<Slots>]>,
    /// Bytes at which a queue is full, and up to which an outbox is filled.
    max_bytes: usize,
}

type Slots = Vec<Option<Arc<Shared>>>;

impl Bridge {
    pub(super) fn new(config: &Config, gate: Option<Arc<dyn Handler>>, hub: Arc<Hub>) -> Bridge {
        let shards = (0..config.shards).map(|_| Mutex::default()).collect();
        Bridge { gate, hub, shards, max_bytes: config.max_outbox_bytes }
    }

    fn slots(&self, id: ConnId) -> MutexGuard<'_, Slots> {
        // Whole whenever the lock is free: nothing in between can panic.
        self.shards[id.shard()].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self, id: ConnId) -> Option<Arc<Shared>> {
        self.slots(id).get(id.slot() as usize)?.clone()
    }

    fn open(&self, conn: &Conn<'_>, request: Option<&Request<'_>>) {
        let shared = Arc::new(Shared::new(conn, request, Arc::clone(&self.hub), self.max_bytes));
        let id = conn.id();
        let slot = id.slot() as usize;
        let mut slots = self.slots(id);
        if slots.len() <= slot {
            slots.resize(slot + 1, None);
        }
        slots[slot] = Some(Arc::clone(&shared));
        drop(slots);
        self.hub.push(Connection::new(shared));
    }

    /// Does what tasks want of the shard: reads again, fills the outbox, closes.
    fn work(&self, conn: &mut Conn<'_>, shared: &Shared) {
        let limits = &self.hub.limits;
        let mut state = shared.queues.lock();
        state.nudged = false;
        if state.paused && state.received.is_relieved(limits.received, self.max_bytes) {
            state.paused = false;
            // It fails only for a connection that has gone.
            let _ = conn.outlet().resume(shared.id);
        }
        let mut sent = 0;
        while let Some(message) = state.to_send.front() {
            let waits = conn.queued_bytes();
            let adds = MAX_SERVER_HEADER + message.payload().len();
            if waits > 0 && waits + adds > self.max_bytes {
                conn.owe_drain();
                break;
            }
            if conn.send(message).is_err() {
                // It is closing; `on_close` follows.
                state.to_send.clear();
                break;
            }
            state.to_send.pop();
            sent += 1;
        }
        if state.to_send.is_empty()
            && let Some(close) = state.close.take()
        {
            let (code, reason) = *close;
            // The code was checked where it was given; a connection that is closing already is.
            let _ = conn.close(code, &reason);
        }
        drop(state);
        shared.queues.room.notify_additional(sent);
    }
}

impl Handler for Bridge {
    fn on_upgrade(&self, conn: ConnId, request: &Request<'_>) -> Upgrade {
        if self.hub.waiting() >= self.hub.limits.waiting {
            let reason = "too many connections wait to be served";
            return Upgrade::reject(Response::refusal(503, &[], reason));
        }
        self.gate.as_ref().map_or_else(Upgrade::accept, |gate| gate.on_upgrade(conn, request))
    }

    fn on_request(&self, request: &Request<'_>) -> Response {
        match &self.gate {
            Some(gate) => gate.on_request(request),
            None => Response::upgrade_required(),
        }
    }

    fn on_open(&self, conn: &mut Conn<'_>) {
        self.open(conn, None);
    }

    fn on_open_by(&self, conn: &mut Conn<'_>, request: &Request<'_>) {
        self.open(conn, Some(request));
    }

    fn on_message(&self, conn: &mut Conn<'_>, message: Message<'_>) {
        let Some(shared) = self.shared(conn.id()) else { return };
        let mut state = shared.queues.lock();
        if state.deaf {
            return;
        }
        state.received.push(message.into());
        let pauses =
            !state.paused && state.received.is_full(self.hub.limits.received, self.max_bytes);
        state.paused |= pauses;
        drop(state);
        if pauses {
            // It fails only for a connection that has gone.
            let _ = conn.outlet().pause(shared.id);
        }
        shared.queues.arrived.notify_additional(1);
    }

    fn on_drain(&self, conn: &mut Conn<'_>) {
        if let Some(shared) = self.shared(conn.id()) {
            self.work(conn, &shared);
        }
    }

    fn on_close(&self, conn: &mut Conn<'_>, close: &Close<'_>) {
        let id = conn.id();
        let shared = self.slots(id).get_mut(id.slot() as usize).and_then(Option::take);
        if let Some(shared) = shared {
            shared.queues.end(close.into());
        }
    }
}

impl Drop for Bridge {
    /// The last shard has ended. Where one ended by an error, its connections were not told.
    fn drop(&mut self) {
        for slots in &mut self.shards {
            let slots = slots.get_mut().unwrap_or_else(PoisonError::into_inner);
            for shared in slots.drain(..).flatten() {
                shared.queues.end(Ended::cut(CloseCause::ShutDown));
            }
        }
        self.hub.end();
    }
}
