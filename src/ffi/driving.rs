//! Who drives a shard, and the way from a call to that shard's outboxes.
//!
//! A call that names a connection is made either on the thread that drives the connection's shard, and then acts upon
//! the shard itself, or anywhere else, and then goes through the shard's mailbox.
//!
//! - Hosted mode: the first thread that polls a shard drives it until it releases it. The shard lies in a cell beside
//!   the driver's number; only the thread with that number looks into the cell.
//! - Managed mode: the library's thread drives, and calls come to it only while a callback runs. The callback's
//!   [`Outlet`] waits in a thread-local variable.
//!
//! In both, a call that is made while another acts upon the shard (from a log callback) finds it busy and takes the
//! mailbox.

use std::cell::{Cell, UnsafeCell};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::shard::Shard;
use crate::shard::event::Outlet;

use super::guard::{Checked, Failure};
use super::request::wsp_request;
use super::server::{Running, wsp_server};

/// No thread.
const NOBODY: u64 = 0;

thread_local! {
    /// This thread's number; [`NOBODY`] until it is asked for.
    static THREAD: Cell<u64> = const { Cell::new(NOBODY) };
    /// The callback that runs on this thread.
    static CURRENT: Cell<Current> = const { Cell::new(Current { server: ptr::null(), outlet: None }) };
}

#[derive(Clone, Copy)]
struct Current {
    server: *const wsp_server,
    /// `None` outside of callbacks, and while a call uses it.
    outlet: Option<NonNull<Outlet<'static>>>,
}

/// The number of this thread. Unlike addresses and the system's ids, no other thread ever gets it.
#[inline]
fn this_thread() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(NOBODY);
    let mine = THREAD.get();
    if mine != NOBODY {
        return mine;
    }
    let mine = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    THREAD.set(mine);
    mine
}

/// A shard that the host drives.
pub(super) struct HostedShard {
    driver: AtomicU64,
    hosted: UnsafeCell<Hosted>,
    /// Somebody acts upon the shard. Only the driver looks at it.
    busy: Cell<bool>,
}

/// What the driver of a shard has.
pub(super) struct Hosted {
    pub(super) shard: Shard,
    /// Events of the last turn that have been handed out.
    pub(super) given: usize,
    /// Requests that events of the last turn point to.
    #[expect(clippy::vec_box, reason = "C has their addresses")]
    pub(super) requests: Vec<Box<wsp_request>>,
}

// SAFETY: `hosted` and `busy` are used by the thread whose number `driver` has, and by nobody else (`claim`, `act`);
// the number changes hands with release and acquire. What is in there may be used by any one thread (`Shard: Send`).
unsafe impl Sync for HostedShard {}
// SAFETY: as above; the pointers that keep it from being `Send` by itself are the addresses of its own requests.
unsafe impl Send for HostedShard {}

impl HostedShard {
    pub(super) fn new(shard: Shard) -> HostedShard {
        let hosted = Hosted { shard, given: 0, requests: Vec::new() };
        HostedShard {
            driver: AtomicU64::new(NOBODY),
            hosted: UnsafeCell::new(hosted),
            busy: Cell::new(false),
        }
    }

    #[inline]
    fn is_mine(&self) -> bool {
        self.driver.load(Ordering::Acquire) == this_thread()
    }

    /// Makes this thread the driver unless another one is.
    pub(super) fn claim(&self) -> Checked {
        let me = this_thread();
        match self.driver.compare_exchange(NOBODY, me, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Ok(()),
            Err(driver) if driver == me => Ok(()),
            Err(_) => Err(Failure::WrongThread("another thread drives this shard")),
        }
    }

    /// Lets another thread drive.
    pub(super) fn release(&self) -> Checked {
        if !self.is_mine() || self.busy.get() {
            return Err(Failure::WrongThread(
                "only the thread that drives the shard can release it",
            ));
        }
        self.driver.store(NOBODY, Ordering::Release);
        Ok(())
    }

    /// Acts upon the shard, if this thread drives it and is not at it already.
    #[inline]
    pub(super) fn act<R>(&self, act: impl FnOnce(&mut Hosted) -> R) -> Option<R> {
        if !self.is_mine() || self.busy.replace(true) {
            return None;
        }
        let _free = Free(&self.busy);
        // SAFETY: this thread is the driver, and `busy` says that nobody further up its stack has the reference.
        let hosted = unsafe { &mut *self.hosted.get() };
        Some(act(hosted))
    }
}

struct Free<'a>(&'a Cell<bool>);

impl Drop for Free<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// Runs `callback`, whose calls reach the shard by `outlet`.
#[inline]
pub(super) fn during<R>(
    server: *const wsp_server,
    mut outlet: Outlet<'_>,
    callback: impl FnOnce() -> R,
) -> R {
    let outlet = NonNull::from(&mut outlet).cast::<Outlet<'static>>();
    let _restore = Restore(CURRENT.replace(Current { server, outlet: Some(outlet) }));
    callback()
}

struct Restore(Current);

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Acts upon a shard of a server, if this thread drives it. `None`: it does not, and nothing was done.
#[inline]
pub(super) fn act<R>(
    server: &wsp_server,
    running: &Running,
    shard: usize,
    act: impl FnOnce(&mut Outlet<'_>) -> R,
) -> Option<R> {
    if let Some(hosted) = running.hosted.get(shard) {
        return hosted.act(|hosted| act(&mut hosted.shard.outlet()));
    }
    act_current(server, Some(shard), act)
}

/// Acts upon whichever shard of a server this thread drives.
pub(super) fn act_any<R>(
    server: &wsp_server,
    running: &Running,
    act: impl FnOnce(&mut Outlet<'_>) -> R,
) -> Option<R> {
    match running.hosted.iter().find(|hosted| hosted.is_mine()) {
        Some(hosted) => hosted.act(|hosted| act(&mut hosted.shard.outlet())),
        None => act_current(server, None, act),
    }
}

#[inline]
fn act_current<R>(
    server: &wsp_server,
    shard: Option<usize>,
    act: impl FnOnce(&mut Outlet<'_>) -> R,
) -> Option<R> {
    let current = CURRENT.get();
    let mut outlet = current.outlet.filter(|_| ptr::eq(current.server, server))?;
    // Nobody else finds it while it is in use here.
    let _restore = Restore(CURRENT.replace(Current { outlet: None, ..current }));
    // SAFETY: `during` put it there and takes it away before the outlet ends; it was found, so nobody further up the
    // stack uses it. What lives shorter than `'static` behind it is not let out by `act`, which must take any lifetime.
    let outlet = unsafe { outlet.as_mut() };
    if shard.is_some_and(|shard| shard != outlet.shard()) {
        return None;
    }
    Some(act(outlet))
}
