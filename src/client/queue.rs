//! A queue that is bounded in bytes, between tasks and threads.
//!
//! It takes an item while less than its bound waits, so it holds the bound and one item at most: an item that is larger
//! than the bound can pass, and memory stays bounded all the same.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use event_listener::{Event, EventListener, IntoNotification, Listener};

/// What an item counts for besides its bytes, so that empty ones are bounded too.
const OVERHEAD: usize = 64;

/// Something with a size.
pub(super) trait Weighed {
    /// Bytes that it holds.
    fn bytes(&self) -> usize;
}

/// Why an item was not taken.
pub(super) enum Refused<T> {
    /// No room; here it is.
    Full(T),
    /// Nothing more is taken.
    Closed,
}

pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    /// An item came, or the queue was closed.
    filled: Event,
    /// There is room, or the queue was closed.
    room: Event,
    limit: usize,
}

struct State<T> {
    items: VecDeque<T>,
    bytes: usize,
    closed: bool,
}

impl<T: Weighed> Queue<T> {
    pub(super) fn new(limit: usize) -> Queue<T> {
        let state = State { items: VecDeque::new(), bytes: 0, closed: false };
        Queue { state: Mutex::new(state), filled: Event::new(), room: Event::new(), limit }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code of others runs under the lock, and each change is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn try_push(&self, item: T) -> Result<(), Refused<T>> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.bytes >= self.limit {
            return Err(Refused::Full(item));
        }
        state.put(item);
        let more = state.bytes < self.limit;
        drop(state);
        // One more for each item: whoever was woken for the last one takes only that.
        self.filled.notify(1.additional());
        if more {
            // Room is told to one at a time, who tells the next.
            self.room.notify(1);
        }
        Ok(())
    }

    pub(super) async fn push(&self, item: T) -> Result<(), Refused<T>> {
        let mut item = item;
        let mut listener: Option<EventListener> = None;
        loop {
            item = match self.try_push(item) {
                Err(Refused::Full(item)) => item,
                done => return done,
            };
            match listener.take() {
                // Listening first and looking again, or what happens in between would be missed.
                None => listener = Some(self.room.listen()),
                Some(listener) => listener.await,
            }
        }
    }

    /// Waits until `deadline`, or for ever.
    pub(super) fn push_blocking(
        &self,
        item: T,
        deadline: Option<Instant>,
    ) -> Result<(), Refused<T>> {
        let mut item = item;
        let mut listener: Option<EventListener> = None;
        loop {
            item = match self.try_push(item) {
                Err(Refused::Full(item)) => item,
                done => return done,
            };
            match listener.take() {
                None => listener = Some(self.room.listen()),
                Some(listener) => {
                    if !wait(listener, deadline) {
                        return Err(Refused::Full(item));
                    }
                }
            }
        }
    }

    /// Adds a last item, room or not, and closes the queue.
    pub(super) fn push_last(&self, item: T) {
        let mut state = self.lock();
        if !state.closed {
            state.put(item);
            state.closed = true;
        }
        drop(state);
        self.close();
    }

    /// Takes the next item, and tells whether the queue was full and now is not.
    pub(super) fn take(&self) -> Option<(T, bool)> {
        let mut state = self.lock();
        let was_full = state.bytes >= self.limit;
        let item = state.items.pop_front()?;
        state.bytes -= item.bytes() + OVERHEAD;
        let has_room = state.bytes < self.limit;
        drop(state);
        if has_room {
            self.room.notify(1);
        }
        Some((item, was_full && has_room))
    }

    pub(super) fn try_pop(&self) -> Option<T> {
        self.take().map(|(item, _)| item)
    }

    /// The next item, or none when the queue is closed and empty.
    pub(super) async fn pop(&self) -> Option<T> {
        let mut listener: Option<EventListener> = None;
        loop {
            if let Some(item) = self.try_pop() {
                return Some(item);
            }
            if self.lock().is_over() {
                return None;
            }
            match listener.take() {
                None => listener = Some(self.filled.listen()),
                Some(listener) => listener.await,
            }
        }
    }

    /// Waits until `deadline`, or for ever; an error says that the time is over.
    pub(super) fn pop_blocking(&self, deadline: Option<Instant>) -> Result<Option<T>, ()> {
        let mut listener: Option<EventListener> = None;
        loop {
            if let Some(item) = self.try_pop() {
                return Ok(Some(item));
            }
            if self.lock().is_over() {
                return Ok(None);
            }
            match listener.take() {
                None => listener = Some(self.filled.listen()),
                Some(listener) => {
                    if !wait(listener, deadline) {
                        return Err(());
                    }
                }
            }
        }
    }

    /// Waits until there may be something to take, or never will be.
    pub(super) async fn filled(&self) {
        let mut listener: Option<EventListener> = None;
        loop {
            if self.lock().is_worth_a_look() {
                return;
            }
            match listener.take() {
                None => listener = Some(self.filled.listen()),
                Some(listener) => listener.await,
            }
        }
    }

    /// Takes nothing more; what waits can still be taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify(usize::MAX);
        self.room.notify(usize::MAX);
    }

    /// Closes the queue and drops what waits.
    pub(super) fn discard(&self) {
        let mut state = self.lock();
        let dropped = std::mem::take(&mut state.items);
        state.bytes = 0;
        drop(state);
        drop(dropped);
        self.close();
    }

    pub(super) fn is_full(&self) -> bool {
        self.lock().bytes >= self.limit
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Whether it is closed and empty.
    pub(super) fn is_over(&self) -> bool {
        self.lock().is_over()
    }
}

impl<T: Weighed> State<T> {
    fn put(&mut self, item: T) {
        self.bytes += item.bytes() + OVERHEAD;
        self.items.push_back(item);
    }
}

impl<T> State<T> {
    fn is_worth_a_look(&self) -> bool {
        self.closed || !self.items.is_empty()
    }

    fn is_over(&self) -> bool {
        self.closed && self.items.is_empty()
    }
}

/// Whether it was told before the deadline.
fn wait(listener: EventListener, deadline: Option<Instant>) -> bool {
    match deadline {
        Some(deadline) => listener.wait_deadline(deadline).is_some(),
        None => {
            listener.wait();
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    impl Weighed for Vec<u8> {
        fn bytes(&self) -> usize {
            self.len()
        }
    }

    fn item(bytes: usize) -> Vec<u8> {
        vec![0; bytes]
    }

    #[test]
    fn it_is_full_when_its_bound_is_reached_and_takes_one_item_of_any_size() {
        let queue = Queue::new(100);
        assert!(queue.try_push(item(1000)).is_ok());
        assert!(matches!(queue.try_push(item(0)), Err(Refused::Full(_))));
        assert!(matches!(queue.take(), Some((_, true))));
        assert!(queue.try_push(item(0)).is_ok());
    }

    #[test]
    fn empty_items_are_bounded_too() {
        let queue = Queue::new(10 * OVERHEAD);
        let taken = (0..1000).filter(|_| queue.try_push(item(0)).is_ok()).count();
        assert_eq!(taken, 10);
    }

    #[test]
    fn many_that_push_and_many_that_pop_lose_nothing() {
        let queue = Arc::new(Queue::new(1));
        let pushers: Vec<_> = (0..8)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    for _ in 0..500 {
                        assert!(smol::block_on(queue.push(item(3))).is_ok());
                    }
                })
            })
            .collect();
        let poppers: Vec<_> = (0..4)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let mut count = 0;
                    while let Ok(Some(_)) = queue.pop_blocking(None) {
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        pushers.into_iter().for_each(|pusher| pusher.join().expect("a pusher"));
        queue.close();
        let popped: usize = poppers.into_iter().map(|p| p.join().expect("a popper")).sum();
        assert_eq!(popped, 4000);
    }

    #[test]
    fn waiting_ends_with_the_deadline_and_with_the_queue() {
        let queue = Queue::new(1);
        assert!(queue.pop_blocking(Some(Instant::now() + Duration::from_millis(1))).is_err());
        assert!(queue.try_push(item(1)).is_ok());
        let deadline = Some(Instant::now() + Duration::from_millis(1));
        assert!(matches!(queue.push_blocking(item(1), deadline), Err(Refused::Full(_))));
        queue.discard();
        assert!(matches!(queue.push_blocking(item(1), None), Err(Refused::Closed)));
        assert_eq!(queue.pop_blocking(None), Ok(None));
    }
}
