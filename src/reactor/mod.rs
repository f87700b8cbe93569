//! The system's readiness queue, through `polling` (epoll, kqueue, IOCP).
//!
//! How often a source is reported depends on the system, [`EDGE`]:
//!
//! - *Level* on epoll, IOCP and `poll`: as long as it is ready. On epoll edge mode would spare system calls when an
//!   interest changes, which happens only to peers that read too slowly. But it merges the edge of the last data with
//!   that of the peer's FIN, so every read would have to be followed by one that finds nothing, a third system call per
//!   message. At 64 connections of depth 1 a plain epoll loop costs the same in both (within the noise of 5 %). The other
//!   two have no edge mode.
//! - *Edge* on kqueue: when it becomes ready. A report says there whether the end came with the data, so nothing has to
//!   be read for nothing. Whoever leaves something unread must come back by itself, though ([`Ready::ended`],
//!   `shard/again.rs`).

#[cfg(unix)]
pub(crate) mod inherited;
#[cfg(feature = "capi")]
pub(crate) mod poller;
pub(crate) mod timers;
pub(crate) mod transport;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use polling::{Event, PollMode, Poller};

use transport::Transport;

/// Whether sources are reported once, when they become ready or their interest changes, and not as long as they are.
///
/// `--cfg wspoll_edge` makes epoll report as kqueue does, so that Linux tests what is written for that.
pub(crate) const EDGE: bool = cfg!(all(
    any(
        target_vendor = "apple",
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "dragonfly",
        wspoll_edge
    ),
    not(polling_test_poll_backend)
));

const MODE: PollMode = if EDGE { PollMode::Edge } else { PollMode::Level };

/// What a source is to be reported for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Interest {
    pub(crate) const READ: Interest = Interest { read: true, write: false };

    fn event(self, key: u32) -> Event {
        registration(key as usize, self.read, self.write)
    }
}

/// What `polling` is told of a source.
///
/// A paused source is watched for neither direction. epoll reports it all the same when its peer resets the connection.
/// On Windows `polling` asks the system about resets too, but keeps the answer from us and asks again at once, so a wait
/// would go round for ever: unless hang-ups are asked for by name.
fn registration(key: usize, read: bool, write: bool) -> Event {
    let event = Event::new(key, read, write);
    if cfg!(windows) && !read && !write { event.with_interrupt() } else { event }
}

/// A source that is ready.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) key: u32,
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// Both directions have ended, or an error waits. kqueue does not say.
    pub(crate) hung_up: bool,
    /// In [`EDGE`] mode: the peer's end may have been there already when this was reported. There is no further report
    /// then, so it is to be read on until nothing is left.
    pub(crate) ended: bool,
}

/// Waits as [`Poller::wait`] does. A wait that is ended early is no error.
fn wait(
    poller: &Poller,
    events: &mut polling::Events,
    timeout: Option<Duration>,
) -> io::Result<()> {
    let waited = poller.wait(events, timeout).or_else(|e| match e.kind() {
        // Over `poll` it looks for the sign of a wake-up that another thread is just about to leave, and says that this
        // would block. Only a wait that succeeds lets it take note of the next wake-up.
        io::ErrorKind::WouldBlock => poller.wait(events, Some(Duration::ZERO)),
        _ => Err(e),
    });
    match waited {
        Err(e) if e.kind() != io::ErrorKind::Interrupted => Err(e),
        _ => Ok(()),
    }
}

/// Sources that one turn of the loop looks at. More wait in the system until the next turn.
pub(crate) const EVENTS_PER_TURN: usize = 1024;

/// One readiness queue. Its owner is the only one that waits on it.
pub(crate) struct Reactor {
    poller: Arc<Poller>,
    events: polling::Events,
    #[cfg(all(any(target_os = "linux", target_os = "android"), not(polling_test_poll_backend)))]
    epoll: epoll::Batch,
}

#[cfg(all(unix, not(polling_test_poll_backend)))]
impl std::os::fd::AsFd for Reactor {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

/// Wakes the owner of a [`Reactor`], from any thread.
#[derive(Clone)]
pub(crate) struct Waker(Arc<Poller>);

impl Waker {
    pub(crate) fn wake(&self) {
        if let Err(e) = self.0.notify() {
            // The eventfd or pipe is full only when a wake-up is pending already.
            log::debug!("waking a shard: {e}");
        }
    }
}

impl Reactor {
    pub(crate) fn new() -> io::Result<Reactor> {
        let capacity = EVENTS_PER_TURN.try_into().map_err(io::Error::other)?;
        Ok(Reactor {
            poller: Arc::new(Poller::new()?),
            events: polling::Events::with_capacity(capacity),
            #[cfg(all(
                any(target_os = "linux", target_os = "android"),
                not(polling_test_poll_backend)
            ))]
            epoll: epoll::Batch::default(),
        })
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.poller))
    }

    /// Registers `source` under `key`. It must be given to [`remove`](Self::remove) before it is dropped.
    pub(crate) fn add(&self, source: &Transport, key: u32, interest: Interest) -> io::Result<()> {
        // SAFETY: `Transport`s are owned by the shard's entries, and every way out of an entry calls `remove` before
        // it drops the transport (`Core::release`, the only place that takes it out; `Core::drop` uses it too).
        #[allow(unsafe_code)]
        unsafe {
            self.poller.add_with_mode(source, interest.event(key), MODE)?;
        }
        // What kqueue says of itself: that the peer's end has come.
        #[cfg(wspoll_edge)]
        epoll::watch_end(&self.poller, source, key, interest)?;
        Ok(())
    }

    pub(crate) fn modify(
        &self,
        source: &Transport,
        key: u32,
        interest: Interest,
    ) -> io::Result<()> {
        self.poller.modify_with_mode(source, interest.event(key), MODE)?;
        #[cfg(wspoll_edge)]
        epoll::watch_end(&self.poller, source, key, interest)?;
        Ok(())
    }

    pub(crate) fn remove(&self, source: &Transport) -> io::Result<()> {
        self.poller.delete(source)
    }

    /// Waits until a source is ready, the time is over or somebody wakes it; `ready` gets the sources.
    pub(crate) fn wait(
        &mut self,
        ready: &mut Vec<Ready>,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        ready.clear();
        #[cfg(all(
            any(target_os = "linux", target_os = "android"),
            not(polling_test_poll_backend)
        ))]
        let timeout = match self.epoll.wait(&self.poller, ready, timeout)? {
            false => return Ok(()),
            // The wait is over; what follows only clears the notifier.
            true => Some(Duration::ZERO),
        };
        self.wait_portable(ready, timeout)
    }

    fn wait_portable(
        &mut self,
        ready: &mut Vec<Ready>,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        self.events.clear();
        wait(&self.poller, &mut self.events, timeout)?;
        ready.extend(self.events.iter().map(|event| Ready {
            key: event.key as u32,
            read: event.readable,
            write: event.writable,
            hung_up: event.is_interrupt() || event.is_err() == Some(true),
            // kqueue reports the directions one by one, and `polling` sets both for a readable one with EV_EOF.
            ended: EDGE && event.readable && (event.writable || cfg!(wspoll_edge)),
        }));
        Ok(())
    }
}

#[cfg(all(any(target_os = "linux", target_os = "android"), not(polling_test_poll_backend)))]
mod epoll;
