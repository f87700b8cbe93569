//! From a request to an open connection (RFC 6455 §4.2), or to an answer that says why not.

use std::sync::Arc;

use crate::config::Origin;
use crate::connection::request::{Accept, Decision, Request, Response, Upgrade};
use crate::error::{Error, Result};
use crate::protocol::handshake::{self, Refusal};
use crate::protocol::http::{self, Head};

use super::Shard;
use super::core::Core;
use super::dispatch::dispatch;
use super::entry::Phase;

impl Shard {
    /// The first `len` bytes of a request lie at the free part of the buffer.
    pub(super) fn on_request_bytes(&mut self, slot: u32, len: usize) {
        let Shard { core, reads, .. } = self;
        let limit = core.fleet.config.max_handshake_bytes;
        let Some(entry) = core.entries.get_mut(slot) else { return };
        let bytes = &reads.buffer[reads.used..reads.used + len];
        match http::parse_head(bytes, limit) {
            Ok(None) => entry.phase = Phase::Handshake(bytes.into()),
            Err(e) => core.refuse(slot, e.status(), e.reason()),
            Ok(Some(head)) => {
                let head_len = head.len;
                // The head borrows from the buffer, which `self` owns: what is needed of it outlives both.
                let request: Arc<[u8]> = bytes.into();
                if self.on_request(slot, &request) {
                    self.on_opened(slot, &request, head_len);
                }
            }
        }
    }

    /// Decides a request. Returns whether the connection is open.
    fn on_request(&mut self, slot: u32, bytes: &Arc<[u8]>) -> bool {
        let Shard { core, sink, .. } = self;
        let Ok(Some(head)) = http::parse_head(bytes, usize::MAX) else { return false };
        if !core.settle_client(slot, &head) {
            return false;
        }
        let Some(peers) = core.peers(slot) else { return false };
        if !handshake::wants_upgrade(&head) {
            let method = head.method;
            let response = sink.request(core, &Request { head, peers });
            core.respond(slot, &response, method);
            return false;
        }
        if let Err(refusal) = core.check(&head) {
            let response = Response::refusal(refusal.status, refusal.headers, refusal.reason);
            core.respond(slot, &response, head.method);
            return false;
        }
        let request = Request { head, peers };
        // Before the host knows the id: another thread that it tells may decide before this call is over.
        core.mailbox().generations.publish(core.id(slot));
        let open = match sink.upgrade(core, slot, &request, bytes).0 {
            Decision::Accept(accept) => core.open(slot, &request.head, &accept),
            Decision::Reject(response) => {
                core.respond(slot, &response, "GET");
                false
            }
            Decision::Later => {
                core.enter(slot, Phase::Deciding(Arc::clone(bytes)));
                return false;
            }
        };
        if !open {
            core.mailbox().generations.retract(slot);
        }
        open
    }

    /// The connection is open: tells the host, and decodes what came behind the request.
    fn on_opened(&mut self, slot: u32, bytes: &[u8], head_len: usize) {
        let len = bytes.len();
        self.sink.open(&mut self.core, slot, Some(bytes));
        let Shard { core, sink, reads, .. } = self;
        if len > head_len && core.entries.get(slot).is_some_and(|entry| entry.is_known()) {
            let used = reads.used;
            reads.buffer.copy_within(used + head_len..used + len, used);
            dispatch(core, sink, reads, slot, len - head_len);
        } else {
            core.flush(slot, &reads.buffer);
        }
    }

    /// Opens the connections whose upgrades were decided since the last turn.
    pub(super) fn open_decided(&mut self) {
        for (slot, bytes, accept) in std::mem::take(&mut self.core.accepted) {
            let Ok(Some(head)) = http::parse_head(&bytes, usize::MAX) else { continue };
            if !self.core.open(slot, &head, &accept) {
                continue;
            }
            // At the beginning of a turn, or between two reads: the buffer is free.
            let used = self.reads.used;
            self.reads.buffer[used..used + bytes.len()].copy_from_slice(&bytes);
            self.on_opened(slot, &bytes, head.len);
            self.sink.deliver(&mut self.core);
        }
    }
}

impl Core {
    /// What the protocol and the configuration ask of an upgrade.
    fn check(&self, head: &Head<'_>) -> std::result::Result<(), Refusal> {
        handshake::check_upgrade(head)?;
        let _ = handshake::offered_subprotocols(head)?;
        let Some(origin) = handshake::origin(head)? else { return Ok(()) };
        let allowed = match &self.fleet.config.origin {
            Origin::Any => true,
            Origin::Same => {
                head.host().is_some_and(|host| handshake::origin_is_same_host(origin, host))
            }
            Origin::List(list) => handshake::origin_in_list(origin, list),
        };
        if allowed {
            Ok(())
        } else {
            Err(Refusal { status: 403, headers: &[], reason: "origin not allowed" })
        }
    }

    /// Answers with 101, or with 500 where the host's decision cannot be carried out. Returns whether it is open.
    fn open(&mut self, slot: u32, head: &Head<'_>, accept: &Accept) -> bool {
        let mut response = Vec::with_capacity(256);
        let encoded = self
            .subprotocol(head, accept)
            .and_then(|name| self.encode_accept(&mut response, head, accept, name).map(|()| name));
        let subprotocol = match encoded {
            Ok(name) => name.map(Into::into),
            Err(e) => {
                log::error!("an upgrade cannot be accepted as the host wants it: {e}");
                self.refuse(slot, 500, "internal error");
                return false;
            }
        };
        self.enter(slot, Phase::Open);
        self.push_response(slot, &response);
        let Some(entry) = self.entries.get_mut(slot) else { return false };
        entry.data = accept.data;
        entry.subprotocol = subprotocol;
        entry.last_message = self.now;
        self.stats.opened += 1;
        self.stats.connections += 1;
        self.mailbox().generations.publish(self.id(slot));
        true
    }

    fn encode_accept(
        &self,
        response: &mut Vec<u8>,
        head: &Head<'_>,
        accept: &Accept,
        subprotocol: Option<&str>,
    ) -> Result<()> {
        let key = handshake::check_upgrade(head)
            .map_err(|refusal| Error::argument("request", refusal.status, refusal.reason))?;
        accept.encode(response, &key, subprotocol)
    }

    /// The host's choice, or the first of the server's that the client offers.
    fn subprotocol<'a>(&'a self, head: &Head<'_>, accept: &'a Accept) -> Result<Option<&'a str>> {
        let offered = || handshake::offered_subprotocols(head).into_iter().flatten();
        match &accept.subprotocol {
            Some(name) if offered().any(|offer| offer == name) => Ok(Some(name)),
            Some(name) => {
                Err(Error::argument("subprotocol", name, "the client has not offered it"))
            }
            None => {
                let supported = &self.fleet.config.subprotocols;
                if supported.is_empty() {
                    return Ok(None);
                }
                let offered = offered().collect::<Vec<_>>();
                let chosen = handshake::choose_subprotocol(offered.iter().copied(), supported);
                Ok(chosen.map(|index| supported[index].as_str()))
            }
        }
    }

    /// Carries out a decision that was put off.
    pub(super) fn decide(&mut self, slot: u32, upgrade: Upgrade) -> Result<()> {
        let Some(Phase::Deciding(bytes)) = self.entries.get(slot).map(|entry| &entry.phase) else {
            return Err(Error::Gone);
        };
        let bytes = Arc::clone(bytes);
        match upgrade.0 {
            Decision::Accept(accept) => self.accepted.push((slot, bytes, accept)),
            Decision::Reject(response) => self.respond(slot, &response, "GET"),
            Decision::Later => {}
        }
        Ok(())
    }
}
