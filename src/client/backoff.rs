//! How long to wait before the next connection.

use std::time::Duration;

use fastrand::Rng;

use super::config::Reconnect;

/// Decorrelated jitter, as in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
pub(super) struct Backoff {
    rules: Reconnect,
    last: Duration,
    attempts: u32,
    rng: Rng,
}

impl Backoff {
    pub(super) fn new(rules: Reconnect) -> Backoff {
        Backoff { last: rules.least_delay, rules, attempts: 0, rng: Rng::new() }
    }

    /// The next delay; `None` when there were enough tries.
    pub(super) fn next(&mut self) -> Option<Duration> {
        let Reconnect { least_delay, most_delay, max_attempts, .. } = self.rules;
        if max_attempts > 0 && self.attempts >= max_attempts {
            return None;
        }
        self.attempts = self.attempts.saturating_add(1);
        let most = self.last.saturating_mul(3).min(most_delay);
        let span = most.saturating_sub(least_delay).as_secs_f64();
        let drawn = Duration::from_secs_f64(span * self.rng.f64());
        self.last = least_delay.saturating_add(drawn).min(most_delay);
        Some(self.last)
    }

    /// A connection has ended that lasted `lived`.
    pub(super) fn lived(&mut self, lived: Duration) {
        if lived >= self.rules.stable_after {
            self.last = self.rules.least_delay;
            self.attempts = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_secs(10);

    fn backoff(seed: u64) -> Backoff {
        let mut backoff = Backoff::new(Reconnect::default().delays(LEAST, MOST));
        backoff.rng = Rng::with_seed(seed);
        backoff
    }

    #[test]
    fn delays_grow_and_stay_within_their_bounds() {
        let mut sums = [Duration::ZERO; 20];
        for seed in 0..1000 {
            let mut backoff = backoff(seed);
            let mut last = LEAST;
            for sum in &mut sums {
                let delay = backoff.next().expect("no limit");
                assert!((LEAST..=MOST).contains(&delay) && delay <= last * 3, "{delay:?}");
                last = delay;
                *sum += delay;
            }
        }
        let [first, .., last] = sums.map(|sum| sum / 1000);
        assert!(first > LEAST && first < LEAST * 3, "{first:?}");
        assert!(last > Duration::from_secs(2), "{last:?}");
    }

    #[test]
    fn clients_that_are_lost_together_come_back_apart() {
        let mut tenths = [0; 10];
        for seed in 0..10_000 {
            let delay = backoff(seed).next().expect("no limit") - LEAST;
            tenths[(delay.as_secs_f64() / (LEAST * 2).as_secs_f64() * 10.0) as usize % 10] += 1;
        }
        assert!(tenths.iter().all(|count| (700..1300).contains(count)), "{tenths:?}");
    }

    #[test]
    fn only_a_connection_that_lasted_begins_anew() {
        let mut backoff = backoff(1);
        backoff.rules.max_attempts = 3;
        assert_eq!((0..9).map_while(|_| backoff.next()).count(), 3);
        backoff.lived(Duration::from_secs(1));
        assert_eq!(backoff.next(), None);
        backoff.lived(backoff.rules.stable_after);
        assert!(backoff.next().is_some_and(|delay| delay <= LEAST * 3));
    }

    #[test]
    fn the_longest_delays_do_not_overflow() {
        let rules = Reconnect::default().delays(Duration::from_secs(1), Duration::MAX);
        let mut backoff = Backoff::new(rules);
        backoff.last = Duration::MAX;
        assert!(backoff.next().is_some());
    }
}
