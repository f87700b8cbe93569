//! How connections end (RFC 6455 §7).
//!
//! Whoever closes, the peer sees our close frame, then FIN; and it gets to read both, because what it still sends is
//! read and thrown away until its own FIN or the close timeout: closing a socket with unread input makes the system
//! send RST, which destroys what is under way.

use crate::connection::ending::{CloseCause, Received};
use crate::connection::request::Response;
use crate::error::{Error, Result};
use crate::protocol::close;
use crate::protocol::frame::Opcode;
use crate::reactor::Interest;

use super::core::{Closed, Core, Notice};
use super::entry::Phase;
use super::mailbox::Command;

impl Core {
    /// Begins the close handshake for the host: our close frame, then the peer's is awaited.
    pub(super) fn close(&mut self, slot: u32, code: u16, reason: &str) -> Result<()> {
        close::check_local(code, reason)
            .map_err(|e| Error::argument("code", code, e.to_string()))?;
        match self.entries.get(slot).filter(|entry| entry.is_open()) {
            None => Err(Error::Gone),
            Some(_) => {
                self.begin_close(slot, code, reason, CloseCause::Host);
                Ok(())
            }
        }
    }

    pub(super) fn begin_close(&mut self, slot: u32, code: u16, reason: &str, cause: CloseCause) {
        self.push_close(slot, Some(code), reason);
        self.enter(slot, Phase::Closing(cause, code));
    }

    /// Fails the connection (§7.1.7): our close frame, and the end without waiting for the peer's.
    pub(super) fn fail(&mut self, slot: u32, code: u16, reason: &str, cause: CloseCause) {
        let sent = match self.entries.get(slot).map(|entry| &entry.phase) {
            Some(Phase::Open) => {
                self.push_close(slot, Some(code), reason);
                code
            }
            // Our close frame has been sent, and there is only one.
            Some(&Phase::Closing(_, sent)) => sent,
            _ => return,
        };
        let closed =
            Closed { sent: Some(sent), received: Received::Nothing, reason: reason.into(), cause };
        self.finish(slot, closed);
        self.enter(slot, Phase::Lingering);
    }

    /// The peer's close frame came: ours answers it if it has not been sent, and the connection ends.
    pub(super) fn peer_closed(&mut self, slot: u32, frame: Option<(u16, &str)>) {
        let (code, reason) = frame.map_or((None, ""), |(code, reason)| (Some(code), reason));
        let received = code.map_or(Received::NoCode, Received::Code);
        let (sent, cause) = match self.entries.get(slot).map(|entry| &entry.phase) {
            Some(Phase::Open) => {
                // §5.5.1: the answer typically echoes the status code.
                self.push_close(slot, code, "");
                (code, CloseCause::Peer)
            }
            Some(&Phase::Closing(cause, code)) => (Some(code), cause),
            _ => return,
        };
        self.finish(slot, Closed { sent, received, reason: reason.into(), cause });
        self.enter(slot, Phase::Lingering);
    }

    /// The stream has ended or failed, or a timeout cuts it.
    pub(super) fn lost(&mut self, slot: u32, cause: CloseCause) {
        if let Some(entry) = self.entries.get(slot) {
            // What began as a close is still the closer's doing if the peer just leaves.
            let (sent, cause) = match (&entry.phase, cause) {
                (&Phase::Closing(cause, code), CloseCause::EndOfStream | CloseCause::Lost(_)) => {
                    (Some(code), cause)
                }
                (&Phase::Closing(_, code), cause) => (Some(code), cause),
                (_, cause) => (None, cause),
            };
            let closed = Closed { sent, received: Received::Nothing, reason: "".into(), cause };
            self.finish(slot, closed);
        }
        self.release(slot);
    }

    /// Tells the host that the connection has ended, if it knew of it, and makes its id stale.
    fn finish(&mut self, slot: u32, closed: Closed) {
        let Some(entry) = self.entries.get(slot) else { return };
        let (known, deciding) = (entry.is_known(), matches!(entry.phase, Phase::Deciding(_)));
        if known || deciding {
            self.mailbox().generations.retract(slot);
        }
        if known {
            self.rooms.leave_all(slot);
            self.stats.connections -= 1;
            let code = match closed.received {
                Received::Code(code) => code,
                Received::NoCode => close::NO_STATUS,
                Received::Nothing => closed.sent.unwrap_or(close::ABNORMAL),
            };
            self.rare().count_close(code);
            self.notices.push_back(Notice::Close(slot, closed));
        }
    }

    /// Closes the socket. The slot is given back at the end of the turn.
    fn release(&mut self, slot: u32) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        let Some(transport) = entry.transport.take() else { return };
        entry.phase = Phase::Ended;
        if let Err(e) = self.reactor.remove(&transport) {
            log::error!("shard {}: removing a socket from the poller: {e}", self.index);
        }
        drop(transport);
        if let Some(mut outbox) = entry.outbox.take() {
            self.stats.queue_bytes -= outbox.counted as u64;
            outbox.clear();
            self.outboxes.give(outbox);
        }
        entry.decoder = Default::default();
        let counted_ip = entry.peer.ip().filter(|_| entry.counted);
        let refused = entry.refused;
        self.wheel.cancel(slot);
        self.stats.sockets -= 1;
        self.ended.push(slot);
        self.uncount(refused, counted_ip);
    }

    /// Gives back slots of what has ended. No call for them may be due any more.
    pub(super) fn recycle(&mut self, ended: &mut Vec<u32>) {
        for slot in ended.drain(..) {
            self.entries.remove(slot);
        }
    }

    /// Answers a request with a status and ends the connection.
    pub(super) fn respond(&mut self, slot: u32, response: &Response, method: &str) {
        let mut bytes = Vec::new();
        let mut status = response.status();
        if let Err(e) = response.encode(&mut bytes, method) {
            log::error!("a response of the handler cannot be sent: {e}");
            bytes.clear();
            let response = Response::refusal(500, &[], "internal error");
            // Nothing in this response is the host's.
            let _ = response.encode(&mut bytes, method);
            status = response.status();
        }
        self.rare().count_answer(status);
        self.push_response(slot, &bytes);
        self.enter(slot, Phase::Lingering);
    }

    /// Answers with a status of our own.
    pub(super) fn refuse(&mut self, slot: u32, status: u16, reason: &str) {
        self.respond(slot, &Response::refusal(status, &[], reason), "GET");
    }

    /// Moves on to a later phase of life, with its deadline.
    pub(super) fn enter(&mut self, slot: u32, phase: Phase) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        if matches!(entry.phase, Phase::Ended) {
            return;
        }
        if matches!(entry.phase, Phase::Deciding(_)) {
            self.fleet.mailboxes[self.index].generations.retract(slot);
        }
        entry.phase = phase;
        entry.since = self.now;
        entry.last_read = self.now;
        let write = entry.queued() > 0 && entry.interest.write;
        let read = !matches!(entry.phase, Phase::Deciding(_));
        self.set_interest(slot, Interest { read, write });
        self.mark_dirty(slot);
        self.reschedule(slot);
    }

    /// Sends FIN once all that was to be said has left.
    pub(super) fn finish_lingering(&mut self, slot: u32) {
        let Some(entry) = self.entries.get_mut(slot) else { return };
        if !matches!(entry.phase, Phase::Lingering) || entry.fin_sent || entry.queued() > 0 {
            return;
        }
        entry.fin_sent = true;
        let result =
            entry.transport.as_ref().map_or(Ok(()), |transport| transport.shutdown_write());
        if result.is_err() {
            // The peer has left before us: there is nobody to linger for.
            self.release(slot);
        }
    }

    fn push_close(&mut self, slot: u32, code: Option<u16>, reason: &str) {
        let mut payload = [0; close::MAX_CONTROL_PAYLOAD];
        let len = close::encode_close(&mut payload, code, reason);
        self.push_control(slot, Opcode::Close, &payload[..len]);
    }

    /// Closes every connection, for the end of the server.
    pub(super) fn drain(&mut self, deadline: std::time::Instant) {
        self.draining = Some(deadline);
        self.mailbox().close();
        for slot in 0..self.entries.end() {
            let Some(entry) = self.entries.get(slot) else { continue };
            match entry.phase {
                Phase::Open => {
                    let reason = "server is shutting down";
                    self.begin_close(slot, close::GOING_AWAY, reason, CloseCause::ShutDown);
                }
                Phase::Proxy(_) | Phase::Handshake(_) | Phase::Deciding(_) => {
                    self.refuse(slot, 503, "server is shutting down");
                }
                _ => {}
            }
        }
    }

    /// Cuts every connection.
    pub(super) fn cut(&mut self) {
        for slot in 0..self.entries.end() {
            if self.entries.get(slot).is_some() {
                self.lost(slot, CloseCause::ShutDown);
            }
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        // Nobody may wait for a shard that has ended, and what the reactor watches must be taken from it before it is
        // closed.
        let unread = self.mailbox().end();
        self.cut();
        for command in unread {
            if let Command::Adopt { peer, refusal, .. } = command {
                self.uncount(refusal.is_some(), self.fleet.counted_ip(peer));
            }
        }
    }
}
