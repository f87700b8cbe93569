//! Connections that come through proxies: whom they are from.
//!
//! A proxy's own address counts against the limit of all connections, and never against that of one address: its clients'
//! addresses do, as soon as they are known.

use crate::connection::ending::CloseCause;
use crate::connection::peer::{PeerAddr, Peers};
use crate::protocol::http::Head;
use crate::protocol::proxy;

use super::Shard;
use super::core::Core;
use super::entry::Phase;

impl Shard {
    /// The first `len` bytes of a connection that begins with a PROXY protocol header lie at the free part of the buffer.
    pub(super) fn on_proxy_bytes(&mut self, slot: u32, len: usize) {
        let Shard { core, reads, .. } = self;
        let used = reads.used;
        let bytes = &reads.buffer[used..used + len];
        let parsed = proxy::parse(bytes);
        let Some(entry) = core.entries.get_mut(slot) else { return };
        let header = match parsed {
            Ok(None) => {
                entry.phase = Phase::Proxy(bytes.into());
                return;
            }
            Ok(Some(header)) => header,
            Err(e) => {
                log::debug!("{}: {e}", entry.peer);
                core.stats.violations += 1;
                return core.lost(slot, CloseCause::Violation);
            }
        };
        // Not entered anew: the time that the header took is the handshake's.
        entry.phase = Phase::Handshake(Box::default());
        let client = header.client.map_or(entry.peer, PeerAddr::from);
        let rest = len - header.len;
        if core.settle_peer(slot, client) && rest > 0 {
            reads.buffer.copy_within(used + header.len..used + len, used);
            self.on_request_bytes(slot, rest);
        }
    }
}

impl Core {
    /// Who is at the other end of a connection, and of its socket.
    pub(super) fn peers(&self, slot: u32) -> Option<Peers> {
        let entry = self.entries.get(slot)?;
        let client = entry.peer;
        if self.fleet.trust.is_empty() {
            return Some(Peers { client, socket: client });
        }
        // Asked only where a proxy may stand in between, so that no connection has to keep two addresses.
        let socket = match entry.transport.as_ref().map(|transport| transport.peer()) {
            Some(Ok(Some(addr))) => addr.into(),
            Some(Ok(None)) => PeerAddr::Unix,
            // It has gone meanwhile.
            Some(Err(_)) | None => PeerAddr::unspecified(),
        };
        Some(Peers { client, socket })
    }

    /// Finds out from a request who sent it. Returns whether it may go on; if not, it has been answered.
    pub(super) fn settle_client(&mut self, slot: u32, head: &Head<'_>) -> bool {
        let Some(peer) = self.entries.get(slot).map(|entry| entry.peer) else { return false };
        let client = self.fleet.trust.client_of(head, peer);
        self.settle_peer(slot, client)
    }

    /// The connection is `client`'s, and is counted against that address if no other has it. Returns whether there is
    /// room; if not, the connection has been answered with 429.
    fn settle_peer(&mut self, slot: u32, client: PeerAddr) -> bool {
        let Some(entry) = self.entries.get_mut(slot) else { return false };
        entry.peer = client;
        if entry.counted {
            return true;
        }
        let Some(ip) = self.fleet.counted_ip(client) else { return true };
        if !self.fleet.census.admit_address(ip, &self.fleet.config) {
            self.refuse(slot, 429, "too many connections");
            return false;
        }
        entry.counted = true;
        true
    }
}
