//! What a shard keeps of one connection.
//!
//! This is all the memory that an idle open connection costs, but for a timer link (16 bytes) and a generation (4).
//! Buffers hang on it only while a partial frame or an unsent byte exists.

use std::sync::Arc;

use crate::connection::ending::CloseCause;
use crate::connection::outbox::Outbox;
use crate::connection::peer::PeerAddr;
use crate::protocol::message::Decoder;
use crate::reactor::Interest;
use crate::reactor::timers::Tick;
use crate::reactor::transport::Transport;

use super::again::Left;

pub(super) struct Entry {
    /// `None` once the connection has ended; the entry then waits for its last call.
    pub(super) transport: Option<Transport>,
    pub(super) generation: u32,
    pub(super) interest: Interest,
    /// Why this socket counts, for the census.
    pub(super) refused: bool,
    /// Its peer's address has it on its count.
    pub(super) counted: bool,
    /// Listed for the flush at the end of the turn.
    pub(super) dirty: bool,
    /// What its last read may have left.
    pub(super) left: Left,
    /// Stands in the list of those for which pushes gather.
    pub(super) gathering: bool,
    /// Our direction has ended.
    pub(super) fin_sent: bool,
    /// The host does not want it to be read for now.
    pub(super) held: bool,
    pub(super) phase: Phase,
    /// When the phase began.
    pub(super) since: Tick,
    /// When something last came from the peer.
    pub(super) last_read: Tick,
    /// When we last sent a ping of our own accord.
    pub(super) last_ping: Tick,
    /// When a message last came or went.
    pub(super) last_message: Tick,
    /// When the peer last took something, or the outbox began to wait.
    pub(super) last_write: Tick,
    pub(super) decoder: Decoder,
    pub(super) outbox: Option<Box<Outbox>>,
    /// The host's word.
    pub(super) data: u64,
    pub(super) peer: PeerAddr,
    pub(super) subprotocol: Option<Box<str>>,
}

/// Where a connection is in its life. It only ever moves forward in this order.
pub(super) enum Phase {
    /// Waiting for the rest of a proxy's header, which says who is there.
    Proxy(Box<[u8]>),
    /// Waiting for the rest of the request.
    Handshake(Box<[u8]>),
    /// Waiting for the host's decision on this request, and what came behind it.
    Deciding(Arc<[u8]>),
    Open,
    /// Our close frame is queued or sent, the peer's is awaited; for whose sake, and with which code.
    Closing(CloseCause, u16),
    /// All is said: what is queued leaves, then FIN; what still comes is thrown away until the peer's FIN.
    Lingering,
    /// The socket is closed.
    Ended,
}

impl Entry {
    pub(super) fn new(transport: Transport, peer: PeerAddr, generation: u32, now: Tick) -> Entry {
        Entry {
            transport: Some(transport),
            generation,
            interest: Interest::READ,
            refused: false,
            counted: false,
            dirty: false,
            left: Left::default(),
            gathering: false,
            fin_sent: false,
            held: false,
            phase: Phase::Handshake(Box::default()),
            since: now,
            last_read: now,
            last_ping: now,
            last_message: now,
            last_write: now,
            decoder: Decoder::default(),
            outbox: None,
            data: 0,
            peer,
            subprotocol: None,
        }
    }

    #[inline]
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Bytes that wait to be sent.
    pub(super) fn queued(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.queued())
    }

    /// Whether something that waits is still in the read buffer.
    pub(super) fn lends(&self) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| outbox.lends())
    }

    /// Whether the host knows the connection as open: it had `on_open` and not yet `on_close`.
    pub(super) fn is_known(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Closing(..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The memory goal of 256 bytes per connection less the timer link, the generation and what the allocator adds.
    #[test]
    fn an_entry_stays_small() {
        assert!(size_of::<Option<Entry>>() <= 176, "{} bytes", size_of::<Option<Entry>>());
    }
}
