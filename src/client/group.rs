//! Waiting for several clients at once: what the C ABI offers to hosts that have no futures.

#![cfg_attr(not(feature = "capi"), expect(dead_code, reason = "only the C ABI makes groups"))]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use event_listener::{Event, Listener};

/// Where clients report that something has changed. Each waits in it at most once, so it is bounded by their number.
#[derive(Default)]
pub(crate) struct Group {
    state: Mutex<State>,
    changed: Event,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Arc<Member>>,
    woken: bool,
}

/// A client of a group.
pub(crate) struct Member {
    /// Weak, since the group holds those that are ready.
    group: Weak<Group>,
    /// The host's name for it.
    token: u64,
    /// It waits in the group already.
    listed: AtomicBool,
}

impl Group {
    /// Takes the tokens of at most `capacity` clients of which something has changed; waits until there is one, until
    /// somebody wakes it, or until the deadline.
    pub(crate) fn wait(
        &self,
        deadline: Option<Instant>,
        capacity: usize,
        mut take: impl FnMut(u64),
    ) {
        let mut listener = None;
        loop {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let woken = std::mem::take(&mut state.woken);
            let count = state.ready.len().min(capacity);
            for member in state.ready.drain(..count) {
                // Before the host looks at it: what changes from here on is reported again.
                member.listed.store(false, Ordering::SeqCst);
                take(member.token);
            }
            drop(state);
            if woken || count > 0 {
                return;
            }
            match (listener.take(), deadline) {
                (None, _) => listener = Some(self.changed.listen()),
                (Some(listener), None) => listener.wait(),
                (Some(listener), Some(deadline)) => {
                    if listener.wait_deadline(deadline).is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// Ends one wait, or the next one.
    pub(crate) fn wake(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).woken = true;
        self.changed.notify(1);
    }
}

impl Member {
    pub(crate) fn new(group: &Arc<Group>, token: u64) -> Arc<Member> {
        Arc::new(Member { group: Arc::downgrade(group), token, listed: AtomicBool::new(false) })
    }

    /// Something has changed: an event, room to send, the end.
    pub(super) fn report(self: &Arc<Member>) {
        if self.listed.swap(true, Ordering::SeqCst) {
            return;
        }
        let Some(group) = self.group.upgrade() else { return };
        let mut state = group.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ready.push_back(Arc::clone(self));
        drop(state);
        group.changed.notify(1);
    }
}
