//! What each connection is timed for.
//!
//! One timer a connection, set for the earliest moment at which something could be due. Reading and writing only note
//! the time; the timer finds out when it fires, and is set anew. So no timer moves per message.

use std::time::Duration;

use crate::connection::ending::CloseCause;
use crate::protocol::close;
use crate::protocol::frame::Opcode;
use crate::reactor::timers::Tick;

use super::core::Core;
use super::entry::{Entry, Phase};

/// What is to be done for a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    HandshakeTimeout,
    CloseTimeout,
    WriteTimeout,
    PongTimeout,
    IdleTimeout,
    Ping,
}

impl Core {
    /// Sets the timer for the earliest deadline.
    pub(super) fn reschedule(&mut self, slot: u32) {
        let Some(entry) = self.entries.get(slot) else { return };
        match self.deadlines(entry).map(|(at, _)| at).min() {
            Some(at) => self.wheel.set(slot, at),
            None => self.wheel.cancel(slot),
        }
    }

    /// The timer has fired: does what is due.
    pub(super) fn on_timer(&mut self, slot: u32) {
        let Some(entry) = self.entries.get(slot) else { return };
        let due = self.deadlines(entry).find(|(at, _)| *at <= self.now).map(|(_, due)| due);
        if due.is_some_and(|due| due != Due::Ping) {
            self.stats.timeouts += 1;
        }
        match due {
            Some(Due::HandshakeTimeout) => self.refuse(slot, 408, "handshake timed out"),
            Some(Due::CloseTimeout) => self.lost(slot, CloseCause::CloseTimeout),
            Some(Due::WriteTimeout) => self.lost(slot, CloseCause::WriteTimeout),
            Some(Due::PongTimeout) => self.lost(slot, CloseCause::PongTimeout),
            Some(Due::IdleTimeout) => {
                self.begin_close(slot, close::GOING_AWAY, "idle", CloseCause::IdleTimeout);
            }
            Some(Due::Ping) => {
                self.push_control(slot, Opcode::Ping, b"");
                if let Some(entry) = self.entries.get_mut(slot) {
                    entry.last_ping = self.now;
                }
            }
            None => {}
        }
        self.reschedule(slot);
    }

    /// What the connection is timed for and when each is due, the most drastic first.
    fn deadlines(&self, entry: &Entry) -> impl Iterator<Item = (Tick, Due)> {
        let config = &self.fleet.config;
        let after = |wanted: bool, since: Tick, time: Duration, due: Due| {
            (wanted && !time.is_zero()).then(|| (since.after(time), due))
        };
        let (handshake, open, closing) = match entry.phase {
            Phase::Proxy(_) | Phase::Handshake(_) | Phase::Deciding(_) => (true, false, false),
            Phase::Open => (false, true, false),
            Phase::Closing(..) | Phase::Lingering => (false, false, true),
            Phase::Ended => (false, false, false),
        };
        // While reading pauses, nothing can be heard of the peer; the write timeout watches it.
        let listening = open && entry.interest.read;
        let quiet_since = entry.last_read.max(entry.last_ping);
        // What has only just been queued, or gathers, has not been offered to the peer yet.
        let waiting = open && entry.interest.write;
        [
            after(handshake, entry.since, config.handshake_timeout, Due::HandshakeTimeout),
            after(closing, entry.since, config.close_timeout, Due::CloseTimeout),
            after(waiting, entry.last_write, config.write_timeout, Due::WriteTimeout),
            after(listening, entry.last_read, config.pong_timeout, Due::PongTimeout),
            after(open, entry.last_message, config.idle_timeout, Due::IdleTimeout),
            after(listening, quiet_since, config.ping_interval, Due::Ping),
        ]
        .into_iter()
        .flatten()
    }
}
