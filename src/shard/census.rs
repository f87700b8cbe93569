//! How many are connected, in all and from each address: what the acceptor asks before it lets one more in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::config::Config;

/// Refused connections that may be waiting for their refusal to be read. Any more are cut without one.
const MAX_REFUSALS: usize = 1024;

/// What becomes of a connection that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is counted; [`Census::leave`] takes it off the count again.
    Admitted,
    /// It is told this status; [`Census::refusal_ended`] when it has gone.
    Refused(u16),
    /// It is cut.
    Cut,
}

#[derive(Debug, Default)]
pub(crate) struct Census {
    total: AtomicUsize,
    /// Only kept where there is a limit per address.
    by_ip: Mutex<HashMap<IpAddr, usize>>,
    refusals: AtomicUsize,
    pub(crate) accepted: AtomicU64,
    pub(crate) accept_errors: AtomicU64,
    pub(crate) refused_in_all: AtomicU64,
    pub(crate) refused_per_ip: AtomicU64,
    pub(crate) refused_untrusted: AtomicU64,
}

impl Census {
    /// Lets a connection in, or does not. Without an `ip` it counts against the limit of all, not against that of one
    /// address.
    pub(crate) fn admit(&self, ip: Option<IpAddr>, config: &Config) -> Admission {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        let most = if config.max_connections == 0 { usize::MAX } else { config.max_connections };
        if self.total.fetch_add(1, Ordering::Relaxed) >= most {
            self.total.fetch_sub(1, Ordering::Relaxed);
            self.refused_in_all.fetch_add(1, Ordering::Relaxed);
            return self.refuse(503);
        }
        if ip.is_some_and(|ip| !self.count(ip, config)) {
            self.total.fetch_sub(1, Ordering::Relaxed);
            self.refused_per_ip.fetch_add(1, Ordering::Relaxed);
            return self.refuse(429);
        }
        Admission::Admitted
    }

    /// Turns away a connection that is not to be served.
    pub(crate) fn turn_away(&self, status: u16) -> Admission {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.refused_untrusted.fetch_add(1, Ordering::Relaxed);
        self.refuse(status)
    }

    /// Counts a connection that was let in without its address. Returns whether there is room; [`leave`](Self::leave)
    /// takes it off again.
    pub(crate) fn admit_address(&self, ip: IpAddr, config: &Config) -> bool {
        let has_room = self.count(ip, config);
        if !has_room {
            self.refused_per_ip.fetch_add(1, Ordering::Relaxed);
        }
        has_room
    }

    /// Counts a connection against the limit of one address. Returns whether there is room.
    fn count(&self, ip: IpAddr, config: &Config) -> bool {
        if config.max_connections_per_ip == 0 {
            return true;
        }
        let mut by_ip = self.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_ip.entry(ip).or_default();
        let has_room = *count < config.max_connections_per_ip;
        *count += usize::from(has_room);
        has_room
    }

    fn refuse(&self, status: u16) -> Admission {
        if self.refusals.fetch_add(1, Ordering::Relaxed) >= MAX_REFUSALS {
            self.refusals.fetch_sub(1, Ordering::Relaxed);
            return Admission::Cut;
        }
        Admission::Refused(status)
    }

    /// Takes an admitted connection off the count.
    pub(crate) fn leave(&self, ip: Option<IpAddr>, config: &Config) {
        self.total.fetch_sub(1, Ordering::Relaxed);
        if let Some(ip) = ip.filter(|_| config.max_connections_per_ip > 0) {
            let mut by_ip = self.by_ip.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = by_ip.get_mut(&ip) {
                *count -= 1;
                if *count == 0 {
                    by_ip.remove(&ip);
                }
            }
        }
    }

    pub(crate) fn refusal_ended(&self) {
        self.refusals.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_makes_room() {
        let mut config = Config::default();
        (config.max_connections, config.max_connections_per_ip) = (3, 2);
        let census = Census::default();
        let [a, b] = [1, 2].map(|last| Some(IpAddr::from([127, 0, 0, last])));
        assert_eq!(census.admit(a, &config), Admission::Admitted);
        assert_eq!(census.admit(a, &config), Admission::Admitted);
        assert_eq!(census.admit(a, &config), Admission::Refused(429));
        assert_eq!(census.admit(b, &config), Admission::Admitted);
        assert_eq!(census.admit(b, &config), Admission::Refused(503));
        census.leave(a, &config);
        assert_eq!(census.admit(a, &config), Admission::Admitted);
        for _ in 0..3 {
            census.leave(a, &config);
        }
        assert_eq!(census.by_ip.lock().expect("not poisoned").len(), 1);
    }
}
