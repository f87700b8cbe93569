//! What a shard counts.
//!
//! The shard counts in plain integers and publishes them at the end of a turn: no atomic operation per message. What
//! changes with messages is published with every turn, the rest only when it has changed.

use std::sync::atomic::{AtomicU64, Ordering};

/// Declares the counters once: as plain integers, as the atomics that other threads read, and by name.
macro_rules! counters {
    (
        often { $($(#[$often_doc:meta])* $often:ident,)* }
        rarely { $($(#[$rarely_doc:meta])* $rarely:ident,)* }
        largest { $($(#[$largest_doc:meta])* $largest:ident,)* }
    ) => {
        /// What one shard has counted since it began.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct ShardStats {
            $($(#[$often_doc])* pub $often: u64,)*
            $($(#[$rarely_doc])* pub $rarely: u64,)*
            $($(#[$largest_doc])* pub $largest: u64,)*
        }

        #[derive(Debug, Default)]
        pub(crate) struct Published {
            $($often: AtomicU64,)*
            $($rarely: AtomicU64,)*
            $($largest: AtomicU64,)*
        }

        impl Published {
            /// Shows `stats` to other threads. Each number is right by itself; together they may be of two turns.
            pub(crate) fn publish(&self, stats: &ShardStats) {
                $(self.$often.store(stats.$often, Ordering::Relaxed);)*
                $(self.$largest.store(stats.$largest, Ordering::Relaxed);)*
            }

            /// Shows those, too, that rarely change.
            pub(crate) fn publish_rare(&self, stats: &ShardStats) {
                $(self.$rarely.store(stats.$rarely, Ordering::Relaxed);)*
            }

            pub(crate) fn read(&self) -> ShardStats {
                ShardStats {
                    $($often: self.$often.load(Ordering::Relaxed),)*
                    $($rarely: self.$rarely.load(Ordering::Relaxed),)*
                    $($largest: self.$largest.load(Ordering::Relaxed),)*
                }
            }
        }

        impl ShardStats {
            /// Every number with its name, in the order of the fields.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [
                    $((stringify!($often), self.$often),)*
                    $((stringify!($rarely), self.$rarely),)*
                    $((stringify!($largest), self.$largest),)*
                ]
                .into_iter()
            }

            /// Adds `other` to each number; of loop lags, the larger one counts.
            pub(crate) fn add(&mut self, other: &ShardStats) {
                $(self.$often += other.$often;)*
                $(self.$rarely += other.$rarely;)*
                $(self.$largest = self.$largest.max(other.$largest);)*
            }
        }
    };
}

counters! {
    often {
        /// Open WebSocket connections, now.
        connections,
        /// Connections in any state, handshakes and closing ones included, now.
        sockets,
        /// Rooms with members, now.
        rooms,
        /// Connections that were opened by a handshake.
        opened,
        /// Requests that were answered with a status other than 101.
        answered,
        /// Messages received, or pieces of them where fragments are streamed.
        messages_in,
        /// Messages queued for sending; a broadcast counts once for each receiver.
        messages_out,
        /// Bytes read.
        bytes_in,
        /// Bytes written.
        bytes_out,
        /// Messages dropped because an outbox was full or a connection gone.
        dropped,
        /// Connections closed because they did not take what was pushed.
        slow_consumers,
        /// Connections failed because the peer broke the protocol.
        violations,
        /// Connections cut by a timeout.
        timeouts,
        /// Handlers that panicked.
        panics,
        /// Turns of the loop.
        turns,
        /// Bytes that wait to be sent, now: what is left of each outbox after it was tried, and what gathers
        /// ([`Config::push_merge`](crate::Config::push_merge)).
        queue_bytes,
        /// Calls of the system by which bytes were sent; what leaves together counts once.
        sends,
    }
    rarely {
        /// Memberships, now: the sum of the rooms' members.
        memberships,
        /// Bytes of memory of the shard's own structures, now: entries, timers, rooms, read buffer and spare outboxes.
        /// What waits to be sent is counted by `queue_bytes`. Looked at when the clock of the timers moves.
        memory,
        /// Of `dropped`: because the policy is to close slow consumers.
        dropped_slow_consumer,
        /// Of `dropped`: new messages, because the policy is to drop those.
        dropped_new,
        /// Of `dropped`: old messages, because the policy is to drop those.
        dropped_old,
        /// Of `dropped`: the connection had gone.
        dropped_gone,
        /// Connections that were to join a room and were in as many as
        /// [`max_rooms_per_connection`](crate::Config::max_rooms_per_connection) allows.
        joins_refused,
        /// Calls that found the mailbox full.
        mailbox_full,
        /// Connections that ended with this close code: that of the peer's close frame (1005 if it had none), or, if no
        /// close frame came, that of ours, or 1006 if there was none either. This is 1000, and so on below.
        closed_1000,
        /// See [`closed_1000`](Self::closed_1000).
        closed_1001,
        /// See [`closed_1000`](Self::closed_1000).
        closed_1002,
        /// See [`closed_1000`](Self::closed_1000).
        closed_1003,
        /// See [`closed_1000`](Self::closed_1000).
        closed_1005,
        /// See [`closed_1000`](Self::closed_1000).
        closed_1006,
        /// See [`closed_1000`](Self::closed_1000).
        closed_1007,
        /// See [`closed_1000`](Self::closed_1000).
        closed_1008,
        /// See [`closed_1000`](Self::closed_1000).
        closed_1009,
        /// See [`closed_1000`](Self::closed_1000).
        closed_1010,
        /// See [`closed_1000`](Self::closed_1000).
        closed_1011,
        /// See [`closed_1000`](Self::closed_1000).
        closed_1012,
        /// See [`closed_1000`](Self::closed_1000).
        closed_1013,
        /// See [`closed_1000`](Self::closed_1000).
        closed_1014,
        /// See [`closed_1000`](Self::closed_1000): 3000 to 3999, which are registered.
        closed_3xxx,
        /// See [`closed_1000`](Self::closed_1000): 4000 to 4999, which are the applications'.
        closed_4xxx,
        /// Of `answered`: with 400, the request is not HTTP or not a handshake.
        answered_400,
        /// Of `answered`: with 403, the origin is not allowed.
        answered_403,
        /// Of `answered`: with 408, the handshake took too long.
        answered_408,
        /// Of `answered`: with 426, no upgrade was asked for, or one of another version.
        answered_426,
        /// Of `answered`: with 429, too many connections from one address.
        answered_429,
        /// Of `answered`: with 431, the request is too large.
        answered_431,
        /// Of `answered`: with 503, too many connections, or the server is shutting down.
        answered_503,
        /// Of `answered`: with any other 4xx.
        answered_4xx,
        /// Of `answered`: with any other 5xx.
        answered_5xx,
        /// Of `answered`: with 2xx and 3xx, which a handler did.
        answered_other,
    }
    largest {
        /// Loop lag in nanoseconds: how long a turn lasts, from the end of a wait to the end of all that it brought
        /// about, which is how long something that comes meanwhile has to wait. The exponential mean over turns, each of
        /// which weighs one sixteenth. In hosted mode, what the host does between two turns is not in it.
        loop_lag_ns,
        /// The longest turn in nanoseconds, of this second and the one before; the seconds are 1,024 ms and begin with
        /// the shard.
        loop_lag_max_ns,
    }
}

impl ShardStats {
    /// Counts a connection that has ended.
    pub(super) fn count_close(&mut self, code: u16) {
        let counter = match code {
            1000 => &mut self.closed_1000,
            1001 => &mut self.closed_1001,
            1002 => &mut self.closed_1002,
            1003 => &mut self.closed_1003,
            1005 => &mut self.closed_1005,
            1007 => &mut self.closed_1007,
            1008 => &mut self.closed_1008,
            1009 => &mut self.closed_1009,
            1010 => &mut self.closed_1010,
            1011 => &mut self.closed_1011,
            1012 => &mut self.closed_1012,
            1013 => &mut self.closed_1013,
            1014 => &mut self.closed_1014,
            3000..=3999 => &mut self.closed_3xxx,
            4000..=4999 => &mut self.closed_4xxx,
            // No other is valid on the wire.
            _ => &mut self.closed_1006,
        };
        *counter += 1;
    }

    /// Counts an answer to a request.
    pub(super) fn count_answer(&mut self, status: u16) {
        self.answered += 1;
        let counter = match status {
            400 => &mut self.answered_400,
            403 => &mut self.answered_403,
            408 => &mut self.answered_408,
            426 => &mut self.answered_426,
            429 => &mut self.answered_429,
            431 => &mut self.answered_431,
            503 => &mut self.answered_503,
            _ if status / 100 == 4 => &mut self.answered_4xx,
            _ if status / 100 == 5 => &mut self.answered_5xx,
            _ => &mut self.answered_other,
        };
        *counter += 1;
    }
}

/// What a server has counted since it began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// All shards together; of loop lags, the largest.
    pub total: ShardStats,
    /// Each shard.
    pub shards: Vec<ShardStats>,
    /// Connections accepted.
    pub accepted: u64,
    /// Accepts that failed, most often for want of descriptors.
    pub accept_errors: u64,
    /// Connections refused because there were too many, in all or from one address, or because they came from elsewhere
    /// than a trusted proxy.
    pub refused: u64,
    /// Of `refused`: too many in all ([`Config::max_connections`](crate::Config::max_connections)).
    pub refused_max_connections: u64,
    /// Of `refused`: too many from one address
    /// ([`Config::max_connections_per_ip`](crate::Config::max_connections_per_ip)).
    pub refused_max_connections_per_ip: u64,
    /// Of `refused`: not from a trusted proxy ([`Config::proxy_protocol`](crate::Config::proxy_protocol)).
    pub refused_untrusted: u64,
    /// Messages pushed to one connection or a list of them; each call counts once, however many it is for.
    pub pushed_conns: u64,
    /// Messages pushed to rooms.
    pub pushed_rooms: u64,
    /// Messages pushed to everybody.
    pub pushed_all: u64,
}

/// Pushes by kind, counted where they are made.
#[derive(Debug, Default)]
pub(crate) struct Pushes {
    pub(crate) conns: AtomicU64,
    pub(crate) rooms: AtomicU64,
    pub(crate) all: AtomicU64,
}

/// How long turns last. See [`ShardStats::loop_lag_ns`].
#[derive(Debug, Default)]
pub(super) struct Lag {
    mean: u64,
    /// Number of the second, and the longest turn of it and of the one before.
    second: u64,
    longest: u64,
    longest_before: u64,
}

impl Lag {
    /// A turn of `nanos` ended at `end`, in milliseconds since the shard began.
    pub(super) fn add(&mut self, nanos: u64, end: u64) {
        self.mean = self.mean - self.mean / 16 + nanos / 16;
        let second = end >> 10;
        if second != self.second {
            self.longest_before = if second == self.second + 1 { self.longest } else { 0 };
            (self.second, self.longest) = (second, 0);
        }
        self.longest = self.longest.max(nanos);
    }

    pub(super) fn mean(&self) -> u64 {
        self.mean
    }

    pub(super) fn longest(&self) -> u64 {
        self.longest.max(self.longest_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_name_of_its_own_and_adds_up() {
        let mut stats = ShardStats::default();
        (1000..5000).for_each(|code| stats.count_close(code));
        [200, 400, 404, 408, 500, 503].into_iter().for_each(|status| stats.count_answer(status));
        let closed: u64 =
            stats.iter().filter(|(name, _)| name.starts_with("closed_")).map(|(_, n)| n).sum();
        let by_status =
            stats.iter().filter(|(name, _)| name.starts_with("answered_")).map(|(_, n)| n).sum();
        assert_eq!((closed, stats.closed_3xxx, stats.answered), (4000, 1000, by_status));
        let mut both = stats;
        both.add(&stats);
        for ((name, twice), (_, once)) in both.iter().zip(stats.iter()) {
            assert_eq!(twice, 2 * once, "{name}");
        }
    }

    #[test]
    fn the_longest_turn_is_forgotten_after_two_seconds() {
        let mut lag = Lag::default();
        lag.add(5_000, 10);
        lag.add(1_000, 1_030);
        assert_eq!(lag.longest(), 5_000);
        lag.add(1_000, 2_050);
        assert_eq!(lag.longest(), 1_000);
        lag.add(7, 50_000);
        assert_eq!(lag.longest(), 7);
        (0..200).for_each(|_| lag.add(1_600, 50_001));
        assert!((1_500..=1_600).contains(&lag.mean()), "{}", lag.mean());
    }
}
