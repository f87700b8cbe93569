//! One timer per connection: a hashed wheel with coarse ticks (Varghese and Lauck, 1987, scheme 6).
//!
//! Setting, moving and cancelling a timer is O(1), allocates nothing once the slot has been used, and makes no system
//! call. A timer fires at the first [`Wheel::expire`] at or after its tick, never before it.
//!
//! # Invariants
//!
//! - `links[key]` is in the list of bucket `deadline % BUCKETS`, or `deadline` is [`OFF`].
//! - A bit of `occupied` is set exactly where a bucket's list is not empty.

use std::time::{Duration, Instant};

/// Length of a tick. Timeouts are seconds; a connection that is cut a tick late is cut in time.
pub(crate) const TICK: Duration = Duration::from_millis(16);

/// 4096 ticks are 65 s: the default ping and pong times fire in the wheel's first round.
const BUCKETS: usize = 4096;

const NONE: u32 = u32::MAX;
const OFF: Tick = Tick(u64::MAX);

/// A point in time, in [`TICK`]s since the shard began. 64 bits, because 32 are two years, and servers live longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Tick(u64);

impl Tick {
    /// The tick `duration` after this one, rounded up; never [`OFF`].
    pub(crate) fn after(self, duration: Duration) -> Tick {
        let ticks = duration.as_nanos().div_ceil(TICK.as_nanos());
        Tick(self.0.saturating_add(ticks.try_into().unwrap_or(u64::MAX)).min(OFF.0 - 1))
    }

    /// The time from `earlier` to this tick; zero if that came later.
    pub(crate) fn since(self, earlier: Tick) -> Duration {
        let ticks = self.0.saturating_sub(earlier.0);
        Duration::from_millis(ticks.saturating_mul(TICK.as_millis() as u64))
    }
}

/// From the system's clock to ticks.
#[derive(Debug)]
pub(crate) struct Clock {
    epoch: Instant,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { epoch: Instant::now() }
    }

    /// Reads the clock: the time since the shard began.
    pub(crate) fn read(&self) -> Duration {
        self.epoch.elapsed()
    }
}

impl Tick {
    /// The tick of a time that [`Clock::read`] gave.
    pub(crate) fn at(time: Duration) -> Tick {
        let ticks = time.as_millis() / TICK.as_millis();
        Tick(ticks.try_into().unwrap_or(OFF.0 - 1).min(OFF.0 - 1))
    }

    /// How long it is from `time` until this tick begins; zero if it has.
    pub(crate) fn until(self, time: Duration) -> Duration {
        let begins = Duration::from_millis(self.0.saturating_mul(TICK.as_millis() as u64));
        begins.saturating_sub(time)
    }
}

#[derive(Debug, Clone, Copy)]
struct Link {
    previous: u32,
    next: u32,
    deadline: Tick,
}

const FREE: Link = Link { previous: NONE, next: NONE, deadline: OFF };

/// The wheel. Keys are small numbers: slots of a registry.
#[derive(Debug)]
pub(crate) struct Wheel {
    heads: Vec<u32>,
    occupied: Vec<u64>,
    links: Vec<Link>,
    /// Everything due at or before this tick has fired.
    expired: Tick,
}

fn bucket_of(tick: u64) -> usize {
    (tick % BUCKETS as u64) as usize
}

impl Wheel {
    pub(crate) fn new() -> Wheel {
        Wheel {
            heads: vec![NONE; BUCKETS],
            occupied: vec![0; BUCKETS / 64],
            links: Vec::new(),
            expired: Tick(0),
        }
    }

    /// Sets or moves the timer of `key`. A tick that has passed fires at the next [`expire`](Self::expire).
    pub(crate) fn set(&mut self, key: u32, deadline: Tick) {
        let at = key as usize;
        if at >= self.links.len() {
            self.links.resize(at + 1, FREE);
        }
        let deadline = deadline.max(Tick(self.expired.0.saturating_add(1))).min(Tick(OFF.0 - 1));
        if self.links[at].deadline == deadline {
            return;
        }
        self.cancel(key);
        let bucket = bucket_of(deadline.0);
        let next = self.heads[bucket];
        if next != NONE {
            self.links[next as usize].previous = key;
        }
        self.links[at] = Link { previous: NONE, next, deadline };
        self.heads[bucket] = key;
        self.occupied[bucket / 64] |= 1 << (bucket % 64);
    }

    /// Takes the timer of `key` away, if it is set.
    pub(crate) fn cancel(&mut self, key: u32) {
        let Some(&Link { previous, next, deadline }) = self.links.get(key as usize) else { return };
        if deadline == OFF {
            return;
        }
        let bucket = bucket_of(deadline.0);
        match previous {
            NONE => self.heads[bucket] = next,
            previous => self.links[previous as usize].next = next,
        }
        if next != NONE {
            self.links[next as usize].previous = previous;
        }
        if self.heads[bucket] == NONE {
            self.occupied[bucket / 64] &= !(1 << (bucket % 64));
        }
        self.links[key as usize] = FREE;
    }

    /// Bytes of memory that the wheel holds.
    pub(crate) fn footprint(&self) -> usize {
        self.heads.capacity() * size_of::<u32>()
            + self.occupied.capacity() * size_of::<u64>()
            + self.links.capacity() * size_of::<Link>()
    }

    /// Puts the keys whose time has come by `now` into `due` and takes their timers away.
    pub(crate) fn expire(&mut self, now: Tick, due: &mut Vec<u32>) {
        // After a long sleep one round visits every bucket.
        let first = self.expired.0.saturating_add(1);
        let rounds = now.0.saturating_sub(self.expired.0).min(BUCKETS as u64);
        for tick in first..first.saturating_add(rounds) {
            let bucket = bucket_of(tick);
            if self.occupied[bucket / 64] & 1 << (bucket % 64) == 0 {
                continue;
            }
            let mut key = self.heads[bucket];
            while key != NONE {
                let link = self.links[key as usize];
                if link.deadline <= now {
                    due.push(key);
                    self.cancel(key);
                }
                key = link.next;
            }
        }
        self.expired = self.expired.max(now);
    }

    /// The tick at which the next bucket with a timer comes round: no timer fires earlier. `None` without timers.
    pub(crate) fn next(&self) -> Option<Tick> {
        let start = self.expired.0.saturating_add(1);
        let first = bucket_of(start);
        let words = self.occupied.len();
        // The word of the first bucket is looked at twice: its upper part first, its lower part a round later.
        for step in 0..=words {
            let word = (first / 64 + step) % words;
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= u64::MAX << (first % 64);
            }
            if bits != 0 {
                let bucket = word * 64 + bits.trailing_zeros() as usize;
                let ahead = (bucket + BUCKETS - first) % BUCKETS;
                return Some(Tick(start.saturating_add(ahead as u64)));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expire(wheel: &mut Wheel, now: u64) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.expire(Tick(now), &mut due);
        due.sort_unstable();
        due
    }

    #[test]
    fn timers_fire_once_at_their_tick() {
        let mut wheel = Wheel::new();
        for (key, tick) in [(0, 5), (1, 5), (2, 6), (3, 5 + BUCKETS as u64), (4, 20_000)] {
            wheel.set(key, Tick(tick));
        }
        assert_eq!(wheel.next(), Some(Tick(5)));
        assert!(expire(&mut wheel, 4).is_empty());
        assert_eq!(expire(&mut wheel, 5), [0, 1]);
        assert_eq!(expire(&mut wheel, 10), [2]);
        assert_eq!(expire(&mut wheel, 5 + BUCKETS as u64), [3]);
        assert_eq!(expire(&mut wheel, 30_000), [4]);
        assert_eq!((expire(&mut wheel, 60_000), wheel.next()), (vec![], None));
    }

    #[test]
    fn moved_and_cancelled_timers_do_not_fire() {
        let mut wheel = Wheel::new();
        for key in 0..4 {
            wheel.set(key, Tick(7));
        }
        wheel.set(1, Tick(9));
        wheel.cancel(2);
        wheel.cancel(2);
        wheel.cancel(77);
        assert_eq!(expire(&mut wheel, 8), [0, 3]);
        assert_eq!(expire(&mut wheel, 9), [1]);
    }

    #[test]
    fn a_time_that_has_passed_fires_at_the_next_look() {
        let mut wheel = Wheel::new();
        assert!(expire(&mut wheel, 100).is_empty());
        wheel.set(0, Tick(3));
        assert_eq!(wheel.next(), Some(Tick(101)));
        assert_eq!(expire(&mut wheel, 101), [0]);
    }

    #[test]
    fn next_is_never_late() {
        let mut wheel = Wheel::new();
        let mut now = 0;
        for step in [1, 63, 64, 65, 4000, 4095, 4096, 4097, 9000] {
            wheel.set(0, Tick(now + step));
            while let Some(next) = wheel.next() {
                assert!(next > Tick(now) && next <= Tick(now + step));
                if expire(&mut wheel, next.0) == [0] {
                    assert_eq!(next, Tick(now + step));
                }
            }
            now += step;
        }
    }

    #[test]
    fn durations_are_rounded_up() {
        assert_eq!(Tick(3).after(Duration::ZERO), Tick(3));
        assert_eq!(Tick(3).after(Duration::from_millis(1)), Tick(4));
        assert_eq!(Tick(3).after(TICK), Tick(4));
        assert_eq!(Tick(3).after(Duration::MAX), Tick(OFF.0 - 1));
    }

    /// Two years after the start the ticks need more than 32 bits.
    #[test]
    fn old_age_does_not_confuse_it() {
        let (mut wheel, age) = (Wheel::new(), u64::from(u32::MAX) + 77);
        assert!(expire(&mut wheel, age).is_empty());
        wheel.set(3, Tick(age + 10));
        assert_eq!(wheel.next(), Some(Tick(age + 10)));
        assert!(expire(&mut wheel, age + 9).is_empty());
        assert_eq!(expire(&mut wheel, age + 10), [3]);
    }
}
