//! The control plane's first task: accepts connections and deals them out to the shards.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use smol::channel::{self, Receiver, Sender};
use smol::{Async, LocalExecutor, Timer, future};
use socket2::Socket;

use crate::connection::peer::PeerAddr;
use crate::error::{Error, Result};
use crate::reactor::transport::Transport;
use crate::shard::adopt::Arrival;
use crate::shard::census::Admission;
use crate::shard::mailbox::{Command, Fleet};

use super::listener::{ListenAddr, Listener, peer_at};

/// First pause after a failed accept, doubled up to [`MAX_BACKOFF`]. What fails accepts, most often the lack of
/// descriptors, does not pass by trying again at once.
const MIN_BACKOFF: Duration = Duration::from_millis(5);
const MAX_BACKOFF: Duration = Duration::from_secs(1);

/// Accepts in a row before other listeners get their turn.
const BURST: usize = 64;

pub(super) struct Acceptor {
    local_addrs: Vec<ListenAddr>,
    /// Closing it ends the thread.
    stop: Sender<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Acceptor {
    /// Starts to accept on a thread of its own.
    pub(super) fn start(listeners: Vec<Listener>, fleet: &Arc<Fleet>) -> Result<Acceptor> {
        let local_addrs = listeners.iter().map(|listener| listener.addr.clone()).collect();
        let listeners = listeners
            .into_iter()
            .map(Async::new)
            .collect::<io::Result<Vec<_>>>()
            .map_err(|e| Error::io("watching a listener", e))?;
        let (stop, stopped) = channel::bounded(1);
        let fleet = Arc::clone(fleet);
        let thread = thread::Builder::new()
            .name("wspoll-control".to_owned())
            .spawn(move || run(listeners, &fleet, &stopped))
            .map_err(|e| Error::io("starting the control thread", e))?;
        Ok(Acceptor { local_addrs, stop, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn local_addrs(&self) -> &[ListenAddr] {
        &self.local_addrs
    }

    /// Accepts nothing more. The ports are free when [`join`](Self::join) has returned.
    pub(super) fn stop(&self) {
        self.stop.close();
    }

    /// Whether [`stop`](Self::stop) has been called.
    #[cfg(feature = "admin")]
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_closed()
    }

    pub(super) fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!("the control thread panicked");
        }
    }
}

fn run(listeners: Vec<Async<Listener>>, fleet: &Fleet, stopped: &Receiver<()>) {
    let executor = LocalExecutor::new();
    for listener in &listeners {
        executor.spawn(accept(listener, fleet)).detach();
    }
    // Nothing is ever sent: the receiver wakes when the sender is closed or dropped.
    let stopped = async {
        let _ = stopped.recv().await;
    };
    smol::block_on(executor.run(stopped));
}

async fn accept(listener: &Async<Listener>, fleet: &Fleet) {
    let mut backoff = MIN_BACKOFF;
    let mut burst = 0;
    loop {
        match listener.read_with(|listener| listener.socket.accept()).await {
            Ok((socket, peer)) => {
                let peer = match listener.get_ref().addr {
                    ListenAddr::Unix(_) => Some(PeerAddr::Unix),
                    ListenAddr::Ip(_) => peer_at(&peer),
                };
                // Some systems tell no address of a client that has left before it was accepted.
                let Some(peer) = peer else { continue };
                if let Err(e) = deal(socket, peer, fleet, fleet.config.proxy_protocol, None) {
                    log::debug!("{peer}: {e}");
                }
                backoff = MIN_BACKOFF;
                burst += 1;
                if burst == BURST {
                    burst = 0;
                    future::yield_now().await;
                }
            }
            Err(e) if is_about_one_client(e.kind()) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => {
                fleet.census.accept_errors.fetch_add(1, Ordering::Relaxed);
                log::warn!("accepting: {e}; next try in {backoff:?}");
                Timer::after(backoff).await;
                backoff = (backoff * 2).min(MAX_BACKOFF);
            }
        }
    }
}

/// Whether accepting failed because the client left before: Unix says "aborted", Windows "reset", Wine "not connected".
fn is_about_one_client(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, NotConnected};
    matches!(kind, ConnectionAborted | ConnectionReset | NotConnected)
}

/// Hands a connection to the shard that has the fewest. One that `is_proxied` begins with a PROXY protocol header. There is no error where too many are refused: that is told to the
/// peer.
///
/// # Errors
///
/// - [`Error::Backpressure`]: the peer cannot even be told that there are too many.
/// - [`Error::ShutDown`]: nothing more is taken.
/// - [`Error::Io`]: the socket cannot be used.
pub(super) fn deal(
    socket: Socket,
    peer: PeerAddr,
    fleet: &Fleet,
    is_proxied: bool,
    arrival: Option<Box<Arrival>>,
) -> Result<()> {
    let is_upgraded = arrival.as_ref().is_some_and(|arrival| arrival.upgraded);
    let counted_ip = fleet.counted_ip(peer);
    let admission = match is_proxied && !fleet.trust.contains(peer) {
        true => fleet.census.turn_away(403),
        false => fleet.census.admit(counted_ip, &fleet.config),
    };
    let refusal = match admission {
        Admission::Admitted => None,
        // After the 101 there is no status to be told any more.
        Admission::Refused(_) if is_upgraded => {
            fleet.census.refusal_ended();
            return Err(Error::Backpressure);
        }
        Admission::Refused(status) => Some(status),
        Admission::Cut => return Err(Error::Backpressure),
    };
    let uncount = || match refusal {
        None => fleet.census.leave(counted_ip, &fleet.config),
        Some(_) => fleet.census.refusal_ended(),
    };
    let transport = Transport::new(socket, peer.ip().is_some()).map_err(|e| {
        uncount();
        Error::io("taking over a socket", e)
    })?;
    let load = |shard: &usize| fleet.mailboxes[*shard].load.load(Ordering::Relaxed);
    let shard = (0..fleet.mailboxes.len()).min_by_key(load).unwrap_or(0);
    fleet.mailboxes[shard].load.fetch_add(1, Ordering::Relaxed);
    let command = Command::Adopt { transport, peer, refusal, is_proxied, arrival };
    fleet.post(shard, command).inspect_err(|_| {
        fleet.mailboxes[shard].load.fetch_sub(1, Ordering::Relaxed);
        uncount();
    })
}
