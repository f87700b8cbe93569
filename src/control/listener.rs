//! Accepts admin connections, and sees to it that nobody can hang or fill them up.
//!
//! A head must be there in [`HEAD_TIMEOUT`] and a body in [`BODY_TIMEOUT`](super::router::BODY_TIMEOUT); an answer that is
//! not taken is cut off (`stream`). There are [`MAX_PEERS`] at most: for one more, the oldest that has no request under way
//! which passed the gate is cut. So strangers who hold connections open cannot keep those out who have the token.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use smol::channel::{self, Receiver, Sender};
use smol::{Async, LocalExecutor, Timer, future};

use super::router::{self, State};
use super::stream::{Stream, Timers};

/// Connections at a time: dashboards, scrapers and a pool of pushing services.
const MAX_PEERS: usize = 64;
/// From the first byte awaited of a request's head to its last; so also the longest that a connection may idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest head, and what is read ahead of a body.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Pause after an accept that failed: trying at once does not bring back descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stopped` is closed.
pub(super) fn run(listener: &Async<TcpListener>, state: &Rc<State>, stopped: &Receiver<()>) {
    let executor = LocalExecutor::new();
    let peers = Peers::default();
    let accepting = accept(listener, state, &peers, &executor);
    let sampling = super::feed::sample(state);
    let stopped = async {
        // Nothing is ever sent: the receiver wakes when the sender is closed or dropped.
        let _ = stopped.recv().await;
    };
    let serving = executor.run(future::or(stopped, future::or(accepting, sampling)));
    smol::block_on(serving);
}

async fn accept<'e>(
    listener: &Async<TcpListener>,
    state: &Rc<State>,
    peers: &Peers,
    executor: &LocalExecutor<'e>,
) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                if let Some(peer) = peers.enter() {
                    executor.spawn(attend(socket, Rc::clone(state), peer)).detach();
                }
                // Else: all are at work on what passed the gate. The socket is closed.
            }
            Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(e) => {
                log::warn!("accepting on the admin listener: {e}; next try in {ACCEPT_PAUSE:?}");
                Timer::after(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until it ends or is cut.
async fn attend(socket: Async<TcpStream>, state: Rc<State>, peer: Peer) {
    let _ = socket.get_ref().set_nodelay(true);
    let desk = Rc::clone(&peer.desk);
    let service = service_fn(|request| {
        let (state, desk) = (Rc::clone(&state), Rc::clone(&desk));
        async move { Ok::<_, Infallible>(router::answer(&state, &desk, request).await) }
    });
    let serving = async {
        let served = http1::Builder::new()
            .timer(Timers)
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(Stream::new(socket), service)
            .with_upgrades()
            .await;
        if let Err(e) = served {
            log::debug!("an admin connection: {e}");
        }
    };
    let cut = async {
        let _ = peer.cut.recv().await;
    };
    future::or(serving, cut).await;
    if let Some(upgrade) = desk.upgrade.take() {
        state.feed.adopt(upgrade).await;
    }
}

/// Those who are connected.
#[derive(Default)]
struct Peers {
    /// The oldest first. A peer that has left is found by its closed channel.
    seats: RefCell<Vec<Seat>>,
}

struct Seat {
    desk: Rc<Desk>,
    /// Closing it cuts the connection.
    cut: Sender<()>,
}

struct Peer {
    desk: Rc<Desk>,
    cut: Receiver<()>,
}

/// What a connection is doing.
#[derive(Default)]
pub(super) struct Desk {
    /// It has a request under way that has passed the gate.
    pub(super) busy: Cell<bool>,
    /// It has been answered with 101: its socket is for the feed.
    pub(super) upgrade: RefCell<Option<OnUpgrade>>,
}

impl Peers {
    /// Makes room for one more; none if nobody can be cut for it.
    fn enter(&self) -> Option<Peer> {
        let mut seats = self.seats.borrow_mut();
        seats.retain(|seat| !seat.cut.is_closed());
        if seats.len() == MAX_PEERS {
            let idle = seats.iter().position(|seat| !seat.desk.busy.get())?;
            seats.remove(idle).cut.close();
        }
        let desk = Rc::<Desk>::default();
        let (sender, receiver) = channel::bounded(1);
        seats.push(Seat { desk: Rc::clone(&desk), cut: sender });
        Some(Peer { desk, cut: receiver })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_is_not_at_work_makes_room() {
        let peers = Peers::default();
        let mut all: Vec<Peer> = (0..MAX_PEERS).map(|_| peers.enter().expect("room")).collect();
        all[0].desk.busy.set(true);
        all.push(peers.enter().expect("the second makes room"));
        let cut = |peer: &Peer| peer.cut.is_closed();
        assert_eq!(all.iter().position(cut), Some(1));
        assert_eq!(all.iter().filter(|peer| cut(peer)).count(), 1);

        all.iter().for_each(|peer| peer.desk.busy.set(true));
        assert!(peers.enter().is_none(), "all are at work");
        drop(all.pop());
        assert!(peers.enter().is_some(), "who leaves makes room");
    }
}
