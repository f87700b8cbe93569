//! What a shard counts.
//!
//! The shard counts in plain integers and publishes them at the end of a turn: no atomic operation per message.

use std::sync::atomic::{AtomicU64, Ordering};

/// Declares the counters once, as plain integers and as the atomics that other threads read.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What one shard has counted since it began.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct ShardStats {
            $($(#[$doc])* pub $name: u64,)*
        }

        #[derive(Debug, Default)]
        pub(crate) struct Published {
            $($name: AtomicU64,)*
        }

        impl Published {
            /// Shows `stats` to other threads. Each number is right by itself; together they may be of two turns.
            pub(crate) fn publish(&self, stats: &ShardStats) {
                $(self.$name.store(stats.$name, Ordering::Relaxed);)*
            }

            pub(crate) fn read(&self) -> ShardStats {
                ShardStats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl ShardStats {
            /// Adds `other` to each number.
            pub(crate) fn add(&mut self, other: &ShardStats) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counters! {
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
}

/// What a server has counted since it began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// All shards together.
    pub total: ShardStats,
    /// Each shard.
    pub shards: Vec<ShardStats>,
    /// Connections accepted.
    pub accepted: u64,
    /// Accepts that failed, most often for want of descriptors.
    pub accept_errors: u64,
    /// Connections refused because there were too many, in all or from one address.
    pub refused: u64,
}
