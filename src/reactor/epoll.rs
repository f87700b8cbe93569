//! A shorter way to wait on Linux.
//!
//! `Poller::wait` makes five system calls: it sets a timerfd, arms it, waits, clears the notifier and arms that. Of a
//! busy loop they are 1 to 13 %. The poller's descriptor can be waited on directly, and the five are needed only when
//! the notifier has fired.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use polling::Poller;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use super::{EVENTS_PER_TURN, Ready};

/// The key under which `polling` registers its notifier.
const NOTIFY_KEY: u64 = usize::MAX as u64;

const READABLE: epoll::EventFlags =
    epoll::EventFlags::IN.union(epoll::EventFlags::HUP).union(epoll::EventFlags::ERR);
const WRITABLE: epoll::EventFlags =
    epoll::EventFlags::OUT.union(epoll::EventFlags::HUP).union(epoll::EventFlags::ERR);
const HUNG_UP: epoll::EventFlags = epoll::EventFlags::HUP.union(epoll::EventFlags::ERR);

/// Room for what one wait reports.
#[derive(Default)]
pub(super) struct Batch {
    events: Vec<epoll::Event>,
}

// SAFETY: the pointer for which an event is not `Send` is one of two ways to read its data. Ours is always the other,
// a number, and between two waits the list holds nothing that anybody reads.
#[allow(unsafe_code)]
unsafe impl Send for Batch {}

impl Batch {
    /// Waits, and appends to `ready`. Returns whether the notifier fired: then the poller has to be waited on once
    /// more, which clears it.
    pub(super) fn wait(
        &mut self,
        poller: &Poller,
        ready: &mut Vec<Ready>,
        timeout: Option<Duration>,
    ) -> io::Result<bool> {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        self.events.clear();
        self.events.reserve(EVENTS_PER_TURN);
        match epoll::wait(poller.as_fd(), spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
        let mut notified = false;
        for event in &self.events {
            let (key, flags) = (event.data.u64(), event.flags);
            if key == NOTIFY_KEY {
                notified = true;
                continue;
            }
            let found = Ready {
                key: key as u32,
                read: flags.intersects(READABLE),
                write: flags.intersects(WRITABLE),
                hung_up: flags.intersects(HUNG_UP),
                ended: false,
            };
            #[cfg(not(wspoll_edge))]
            ready.push(found);
            // As kqueue does: one report for each direction.
            #[cfg(wspoll_edge)]
            {
                let ended = flags.intersects(HUNG_UP.union(epoll::EventFlags::RDHUP));
                ready.push(Ready { write: false, hung_up: false, ended, ..found });
                ready.push(Ready { read: false, hung_up: false, ..found });
            }
        }
        Ok(notified)
    }
}

/// Registers a source anew, so that the peer's end is reported beside the data before it.
#[cfg(wspoll_edge)]
pub(super) fn watch_end(
    poller: &Poller,
    source: &super::transport::Transport,
    key: u32,
    interest: super::Interest,
) -> io::Result<()> {
    let mut flags = epoll::EventFlags::ET;
    flags.set(READABLE.union(epoll::EventFlags::RDHUP), interest.read);
    flags.set(WRITABLE, interest.write);
    let key = epoll::EventData::new_u64(u64::from(key));
    Ok(epoll::modify(poller.as_fd(), source, key, flags)?)
}
