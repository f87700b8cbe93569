//! Sockets that the host accepted itself, before or after their upgrade.

use crate::connection::id::ConnId;

use super::Shard;
use super::core::Core;
use super::dispatch::dispatch;
use super::entry::Phase;

/// Most bytes that a host may have read of a socket before it hands it over: what a request head may have, and a
/// message behind it.
pub(crate) const MAX_EARLY: usize = 128 * 1024;

/// A socket as the system knows it. Every [`TcpStream`](std::net::TcpStream) becomes one, and so does a `UnixStream`.
#[cfg(unix)]
pub type OwnedStream = std::os::fd::OwnedFd;
/// A socket as the system knows it. Every [`TcpStream`](std::net::TcpStream) becomes one.
#[cfg(windows)]
pub type OwnedStream = std::os::windows::io::OwnedSocket;

/// A connected socket that somebody else has accepted, and perhaps upgraded.
///
/// ```no_run
/// # fn f(server: &wspoll::Server, stream: std::net::TcpStream, head: &[u8]) -> wspoll::Result<()> {
/// server.handle().adopt(wspoll::Adopted::request(stream).early(head))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Adopted {
    pub(crate) stream: OwnedStream,
    pub(crate) arrival: Arrival,
}

/// What is known of a socket that is handed over.
#[derive(Debug, Default)]
pub(crate) struct Arrival {
    /// Bytes that were read of it.
    pub(crate) early: Vec<u8>,
    /// Its 101 response has been sent.
    pub(crate) upgraded: bool,
    subprotocol: Option<Box<str>>,
    data: u64,
}

impl Adopted {
    /// A socket on which nothing has been answered yet: its request is read, checked and decided as if the server had
    /// accepted it.
    pub fn request(stream: impl Into<OwnedStream>) -> Adopted {
        Adopted { stream: stream.into(), arrival: Arrival::default() }
    }

    /// A socket whose upgrade has been answered with 101: it is open at once.
    pub fn upgraded(stream: impl Into<OwnedStream>) -> Adopted {
        let arrival = Arrival { upgraded: true, ..Arrival::default() };
        Adopted { stream: stream.into(), arrival }
    }

    /// Bytes that have been read of it: of the request, or after [`upgraded`](Self::upgraded) of what came behind it.
    pub fn early(mut self, bytes: impl Into<Vec<u8>>) -> Adopted {
        self.arrival.early = bytes.into();
        self
    }

    /// The subprotocol that the upgrade agreed on.
    pub fn subprotocol(mut self, name: impl Into<Box<str>>) -> Adopted {
        self.arrival.subprotocol = Some(name.into());
        self
    }

    /// Sets the word of data of a connection that is open at once ([`Conn::data`](crate::Conn::data)).
    pub fn data(mut self, data: u64) -> Adopted {
        self.arrival.data = data;
        self
    }
}

impl Shard {
    /// Goes on with the sockets that were handed over since the last turn.
    pub(super) fn open_adopted(&mut self) {
        let mut arrivals = std::mem::take(&mut self.core.arrivals).into_iter();
        while let Some((id, arrival)) = arrivals.next() {
            if self.reads.buffer.len() - self.reads.used < arrival.early.len() + MAX_EARLY {
                // Events of this turn lie where its bytes should: the next turn has room.
                self.core.arrivals.push((id, arrival));
                self.core.arrivals.extend(arrivals);
                return;
            }
            self.open_arrival(id, arrival);
            self.sink.deliver(&mut self.core);
        }
    }

    fn open_arrival(&mut self, id: ConnId, arrival: Arrival) {
        let slot = id.slot();
        let Some(entry) = self.core.entries.get(slot) else { return };
        if entry.generation != id.generation() || !matches!(entry.phase, Phase::Handshake(_)) {
            return;
        }
        let len = arrival.early.len();
        let used = self.reads.used;
        self.reads.buffer[used..used + len].copy_from_slice(&arrival.early);
        if !arrival.upgraded {
            if len > 0 {
                self.on_request_bytes(slot, len);
            }
            return;
        }
        self.core.open_upgraded(slot, arrival);
        self.sink.open(&mut self.core, slot, None);
        let Shard { core, sink, reads, .. } = self;
        if len > 0 && core.entries.get(slot).is_some_and(|entry| entry.is_known()) {
            dispatch(core, sink, reads, slot, len);
        } else {
            core.flush(slot, &reads.buffer);
        }
    }
}

impl Core {
    fn open_upgraded(&mut self, slot: u32, arrival: Arrival) {
        self.enter(slot, Phase::Open);
        let Some(entry) = self.entries.get_mut(slot) else { return };
        entry.data = arrival.data;
        entry.subprotocol = arrival.subprotocol;
        entry.last_message = self.now;
        self.stats.opened += 1;
        self.stats.connections += 1;
        self.mailbox().generations.publish(self.id(slot));
    }
}
