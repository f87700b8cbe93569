//! The portable poller by itself, over any socket: what the C ABI hands out.
//!
//! `polling` wants to be told about a source before it is closed, and remembers some sources by their number. Here every
//! source is a number, so a wrong one can only be refused by the system or watch what somebody else opened under it.

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use polling::{Event, Events, PollMode, Poller};

use super::registration;

/// A file descriptor, or a Windows `SOCKET`.
pub(crate) type RawSource = isize;

/// What a source is to be reported for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Watch {
    pub(crate) key: usize,
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) mode: Mode,
}

/// How often a source is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Once; then `modify` arms it again.
    Oneshot,
    /// As long as it is ready.
    Level,
    /// When it becomes ready.
    Edge,
}

/// A source that is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Readiness {
    pub(crate) key: usize,
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) hung_up: bool,
    pub(crate) error: bool,
}

/// A readiness queue. Sources come and go from any thread; one thread at a time waits.
pub(crate) struct RawPoller {
    poller: Poller,
    /// Held while waiting.
    found: Mutex<Found>,
}

struct Found {
    events: Events,
    /// What the last wait had no room for. Only `polling`'s `poll` backend finds more than it is asked for.
    rest: VecDeque<Readiness>,
}

impl RawPoller {
    pub(crate) fn new() -> io::Result<RawPoller> {
        let found = Found { events: Events::new(), rest: VecDeque::new() };
        Ok(RawPoller { poller: Poller::new()?, found: Mutex::new(found) })
    }

    /// Watches `source`.
    ///
    /// # Safety
    ///
    /// `source` is given to [`remove`](Self::remove) before it is closed.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn add(&self, source: RawSource, watch: Watch) -> io::Result<()> {
        let (event, mode) = (watch.event()?, self.mode(watch.mode)?);
        // SAFETY: by this function's contract.
        unsafe { self.poller.add_with_mode(raw(source)?, event, mode) }
    }

    pub(crate) fn modify(&self, source: RawSource, watch: Watch) -> io::Result<()> {
        let (event, mode) = (watch.event()?, self.mode(watch.mode)?);
        borrowed(source, |source| self.poller.modify_with_mode(source, event, mode))
    }

    pub(crate) fn remove(&self, source: RawSource) -> io::Result<()> {
        borrowed(source, |source| {
            // There only this tells of a source that is not watched.
            #[cfg(windows)]
            self.poller.modify_with_mode(source, Event::none(0), PollMode::Oneshot)?;
            self.poller.delete(source)
        })
    }

    /// Waits until sources are ready, [`notify`](Self::notify) is called or the time is over, and hands each to `found`.
    ///
    /// At most `most` are handed over; the others with the next wait.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::ResourceBusy`] while another thread waits; otherwise what the system says.
    pub(crate) fn wait(
        &self,
        most: usize,
        timeout: Option<Duration>,
        found: impl FnMut(Readiness),
    ) -> io::Result<()> {
        let Ok(mut guard) = self.found.try_lock().or_else(|e| match e {
            std::sync::TryLockError::Poisoned(e) => Ok(PoisonError::into_inner(e)),
            std::sync::TryLockError::WouldBlock => Err(()),
        }) else {
            return Err(io::ErrorKind::ResourceBusy.into());
        };
        let most = std::num::NonZeroUsize::new(most).ok_or(io::ErrorKind::InvalidInput)?;
        let Found { events, rest } = &mut *guard;
        if !rest.is_empty() {
            rest.drain(..rest.len().min(most.get())).for_each(found);
            return Ok(());
        }
        // The system is asked for no more than there is room for: an edge that is reported is reported once.
        if events.capacity() != most {
            *events = Events::with_capacity(most);
        }
        events.clear();
        super::wait(&self.poller, events, timeout)?;
        let mut ready = events.iter().map(|event| Readiness {
            key: event.key,
            read: event.readable,
            write: event.writable,
            hung_up: event.is_interrupt(),
            error: event.is_err() == Some(true),
        });
        ready.by_ref().take(most.get()).for_each(found);
        rest.extend(ready);
        Ok(())
    }

    /// Ends the wait of another thread, or the next one.
    pub(crate) fn notify(&self) -> io::Result<()> {
        self.poller.notify()
    }

    fn mode(&self, mode: Mode) -> io::Result<PollMode> {
        match mode {
            Mode::Oneshot => Ok(PollMode::Oneshot),
            Mode::Level => Ok(PollMode::Level),
            // IOCP and `poll` have none; `polling` would call that an invalid input.
            Mode::Edge if !self.poller.supports_edge() => Err(io::ErrorKind::Unsupported.into()),
            Mode::Edge => Ok(PollMode::Edge),
        }
    }
}

impl Watch {
    fn event(self) -> io::Result<Event> {
        // `polling` keeps this one to itself.
        if self.key == usize::MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(registration(self.key, self.read, self.write))
    }
}

#[cfg(unix)]
fn raw(source: RawSource) -> io::Result<std::os::fd::RawFd> {
    let fd = std::os::fd::RawFd::try_from(source).ok().filter(|fd| *fd >= 0);
    fd.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}

#[cfg(windows)]
fn raw(source: RawSource) -> io::Result<std::os::windows::io::RawSocket> {
    match source {
        -1 => Err(io::ErrorKind::InvalidInput.into()),
        source => Ok(source as std::os::windows::io::RawSocket),
    }
}

#[cfg(unix)]
#[allow(unsafe_code)]
fn borrowed<T>(
    source: RawSource,
    act: impl FnOnce(std::os::fd::BorrowedFd<'_>) -> io::Result<T>,
) -> io::Result<T> {
    // SAFETY: not -1, which `raw` refuses. Nothing is done with it but a system call that takes the number; that it be
    // open while the call lasts is asked of the caller, and a closed one is refused by the system.
    act(unsafe { std::os::fd::BorrowedFd::borrow_raw(raw(source)?) })
}

#[cfg(windows)]
#[allow(unsafe_code)]
fn borrowed<T>(
    source: RawSource,
    act: impl FnOnce(std::os::windows::io::BorrowedSocket<'_>) -> io::Result<T>,
) -> io::Result<T> {
    // SAFETY: not INVALID_SOCKET, which `raw` refuses. That it be open while the call lasts is asked of the caller.
    act(unsafe { std::os::windows::io::BorrowedSocket::borrow_raw(raw(source)?) })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// For what comes over the loopback interface, which takes its time on some systems.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("its address");
        let near = TcpStream::connect(address).expect("a connection");
        (near, listener.accept().expect("its other end").0)
    }

    fn source(stream: &TcpStream) -> RawSource {
        #[cfg(unix)]
        let raw = std::os::fd::AsRawFd::as_raw_fd(stream);
        #[cfg(windows)]
        let raw = std::os::windows::io::AsRawSocket::as_raw_socket(stream);
        raw as RawSource
    }

    /// The callers remove what they watch.
    fn watch(poller: &RawPoller, stream: &TcpStream, watch: Watch) {
        #[allow(unsafe_code)]
        // SAFETY: removed by the caller before the stream is dropped.
        let added = unsafe { poller.add(source(stream), watch) };
        added.expect("it is watched");
    }

    fn ready_within(timeout: Duration, poller: &RawPoller, most: usize) -> Vec<Readiness> {
        let mut found = Vec::new();
        poller.wait(most, Some(timeout), |ready| found.push(ready)).expect("a wait");
        found
    }

    fn ready(poller: &RawPoller, most: usize) -> Vec<Readiness> {
        ready_within(Duration::ZERO, poller, most)
    }

    fn has_edge() -> bool {
        RawPoller::new().expect("a poller").poller.supports_edge()
    }

    #[test]
    fn each_mode_reports_as_often_as_it_says() {
        for (mode, reports) in [(Mode::Oneshot, 1), (Mode::Level, 3), (Mode::Edge, 1)] {
            if mode == Mode::Edge && !has_edge() {
                continue;
            }
            let poller = RawPoller::new().expect("a poller");
            let (mut near, far) = pair();
            watch(&poller, &far, Watch { key: 7, read: true, write: false, mode });
            assert_eq!(ready(&poller, 4), []);
            near.write_all(b"x").expect("a write");
            let mut seen = ready_within(PATIENCE, &poller, 4).len();
            seen += (0..2).map(|_| ready(&poller, 4).len()).sum::<usize>();
            assert_eq!(seen, reports, "{mode:?}");
            poller.remove(source(&far)).expect("it was watched");
        }
    }

    #[test]
    fn edge_mode_is_refused_where_there_is_none() {
        if has_edge() {
            return;
        }
        let poller = RawPoller::new().expect("a poller");
        let (_near, far) = pair();
        let edge = Watch { key: 7, read: true, write: false, mode: Mode::Edge };
        #[allow(unsafe_code)]
        // SAFETY: it is refused.
        let refused = unsafe { poller.add(source(&far), edge) };
        assert_eq!(refused.map_err(|e| e.kind()), Err(io::ErrorKind::Unsupported));
    }

    #[test]
    #[cfg(any(target_os = "linux", target_os = "android", windows))]
    fn a_source_that_is_watched_for_nothing_tells_of_a_reset() {
        let poller = RawPoller::new().expect("a poller");
        let (near, far) = pair();
        let nothing = Watch { key: 7, read: false, write: false, mode: Mode::Level };
        watch(&poller, &far, nothing);
        (&near).write_all(b"x").expect("a write");
        assert_eq!(ready_within(Duration::from_millis(50), &poller, 4), []);
        socket2::SockRef::from(&near).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
        drop(near);
        let reported = ready_within(PATIENCE, &poller, 4);
        assert!(matches!(reported[..], [Readiness { key: 7, hung_up: true, .. }]), "{reported:?}");
        poller.remove(source(&far)).expect("it was watched");
    }

    #[test]
    fn no_more_sources_are_taken_than_there_is_room_for() {
        let poller = RawPoller::new().expect("a poller");
        let mode = if has_edge() { Mode::Edge } else { Mode::Oneshot };
        let pairs: Vec<_> = (0..3).map(|_| pair()).collect();
        for (key, (_, far)) in pairs.iter().enumerate() {
            watch(&poller, far, Watch { key, read: false, write: true, mode });
        }
        let mut keys: Vec<_> =
            [ready_within(PATIENCE, &poller, 2), ready_within(PATIENCE, &poller, 2)].concat();
        keys.sort_by_key(|ready| ready.key);
        assert_eq!(keys.iter().map(|ready| ready.key).collect::<Vec<_>>(), [0, 1, 2]);
        for (_, far) in &pairs {
            poller.remove(source(far)).expect("it was watched");
        }
    }

    #[test]
    fn numbers_that_name_no_source_are_refused() {
        let poller = RawPoller::new().expect("a poller");
        assert!(poller.remove(-1).is_err());
        assert!(poller.remove(RawSource::MAX).is_err());
    }
}
