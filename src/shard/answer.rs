//! What a call comes to once every shard has run its part.
//!
//! A call that wants to know leaves a [`Share`] with each shard that it asks. The last share that is dropped completes
//! the answer, whether its command was run or its shard has ended: nobody waits for a shard that is no more.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

struct State<T> {
    value: T,
    /// Shares that are left.
    open: usize,
    waker: Option<Waker>,
}

struct Pending<T> {
    state: Mutex<State<T>>,
    complete: Condvar,
}

impl<T> Pending<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // The state is whole whenever the lock is free: a panic in `Share::add` leaves a number behind or ahead.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer of the shards to one call: a future, which any executor can run, or something to
/// [wait](Self::wait) for.
///
/// It is complete when each shard has run its part of the call, in the turn after it was made, or has ended. Dropping
/// it changes nothing about the call.
pub struct Answer<T> {
    pending: Arc<Pending<T>>,
}

impl<T: Clone> Answer<T> {
    /// An answer that begins with `value`, and the first share in it.
    pub(crate) fn new(value: T) -> (Answer<T>, Share<T>) {
        let state = Mutex::new(State { value, open: 1, waker: None });
        let pending = Arc::new(Pending { state, complete: Condvar::new() });
        (Answer { pending: Arc::clone(&pending) }, Share { pending })
    }

    /// The answer, if it is complete.
    pub fn get(&self) -> Option<T> {
        let state = self.pending.lock();
        (state.open == 0).then(|| state.value.clone())
    }

    /// Blocks until the answer is complete, at most for `timeout`; then it is `None`.
    ///
    /// Not for threads that drive a shard: a handler, or a host between two turns, would wait for itself until the time
    /// is over.
    pub fn wait(&self, timeout: Duration) -> Option<T> {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.pending.lock();
        while state.open > 0 {
            let left = match deadline {
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                // Longer than the clock goes.
                None => Duration::MAX,
            };
            if left.is_zero() {
                return None;
            }
            let waited = self.pending.complete.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(state.value.clone())
    }
}

impl<T: Clone> Future for Answer<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let mut state = self.pending.lock();
        if state.open == 0 {
            return Poll::Ready(state.value.clone());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl<T: Clone + fmt::Debug> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Answer").field(&self.get()).finish()
    }
}

/// One shard's part in an answer.
pub(crate) struct Share<T> {
    pending: Arc<Pending<T>>,
}

impl<T> Share<T> {
    pub(crate) fn add(&self, add: impl FnOnce(&mut T)) {
        add(&mut self.pending.lock().value);
    }
}

impl<T> Clone for Share<T> {
    fn clone(&self) -> Share<T> {
        self.pending.lock().open += 1;
        Share { pending: Arc::clone(&self.pending) }
    }
}

impl<T> Drop for Share<T> {
    fn drop(&mut self) {
        let mut state = self.pending.lock();
        state.open -= 1;
        if state.open == 0 {
            let waker = state.waker.take();
            drop(state);
            self.pending.complete.notify_all();
            // Whoever is woken may act at once: not under the lock.
            waker.inspect(Waker::wake_by_ref);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_share_completes_the_answer() {
        let (answer, share) = Answer::new(1);
        let other = share.clone();
        share.add(|value| *value += 10);
        drop(share);
        assert_eq!((answer.get(), answer.wait(Duration::ZERO)), (None, None));
        let thread = std::thread::spawn(move || other.add(|value| *value += 100));
        assert_eq!(answer.wait(Duration::MAX), Some(111));
        assert_eq!(smol::block_on(answer), 111);
        thread.join().expect("the other share");
    }

    #[test]
    fn a_task_that_awaits_is_woken() {
        let (answer, share) = Answer::new(0);
        let thread = std::thread::spawn(move || {
            share.add(|value| *value = 5);
        });
        assert_eq!(smol::block_on(answer), 5);
        thread.join().expect("the share");
    }
}
