//! What is not allocated: nothing for an echo, one copy for a broadcast. A counting allocator watches.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use support::counting::{ALLOCATIONS, Counting, IN_USE};
use support::{Frame, Probe, Wire, eventually};
use wspoll::{Conn, Handler, Message, Server};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Echoes, and tells how much its thread had allocated when the last message came.
struct Echo {
    allocations: Arc<AtomicU64>,
}

impl Handler for Echo {
    fn on_message(&self, conn: &mut Conn<'_>, message: Message<'_>) {
        conn.send(message).expect("room");
        // Read after the reply was queued; the reply to the message before has been written by now.
        self.allocations.store(ALLOCATIONS.get(), Ordering::Relaxed);
    }
}

/// Echoes `rounds` batches of `depth` messages over each of a few connections.
fn echo(wires: &mut [Wire], depth: usize, size: usize, rounds: usize) {
    let text = "m".repeat(size);
    let batch: Vec<u8> = (0..depth).flat_map(|_| Frame::text(&text).bytes()).collect();
    for _ in 0..rounds {
        for wire in &mut *wires {
            wire.send(&batch);
        }
        for wire in &mut *wires {
            for _ in 0..depth {
                wire.expect_text(&text);
            }
        }
    }
}

#[test]
fn an_echo_allocates_nothing_on_its_shard() {
    let allocations = Arc::new(AtomicU64::new(0));
    let server = Server::builder()
        .listen("127.0.0.1:0")
        .shards(1)
        .handler(Echo { allocations: Arc::clone(&allocations) })
        .start()
        .expect("the server starts");
    let mut wires: Vec<Wire> = (0..4).map(|_| Wire::open_at(server.local_addr())).collect();
    for (depth, size) in [(1, 32), (32, 32), (1, 1024), (32, 1024)] {
        // Pools and queues grow to the size that this load needs.
        echo(&mut wires, depth, size, 50);
        let before = allocations.load(Ordering::Relaxed);
        assert!(before > 0, "the allocator counts");
        echo(&mut wires, depth, size, 250);
        let during = allocations.load(Ordering::Relaxed) - before;
        assert_eq!(during, 0, "allocations over {} echoes, {size} B, depth {depth}", 1000 * depth);
    }
}

#[test]
fn a_broadcast_is_kept_once_however_many_have_not_read_it() {
    const READERS: usize = 30;
    const MESSAGES: usize = 16;
    const MEGABYTE: usize = 1 << 20;
    let mut server = Probe::new().start_with(|config| {
        config.shards = 2;
        config.max_outbox_bytes = 64 * MEGABYTE;
        config.write_timeout = std::time::Duration::ZERO;
    });
    let mut readers: Vec<Wire> = (0..READERS).map(|_| Wire::open_narrow(server.addr)).collect();
    for _ in &readers {
        server.events.opened();
    }
    let before = IN_USE.load(Ordering::Relaxed);
    let message = vec![7; MEGABYTE];
    for _ in 0..MESSAGES {
        server.handle.broadcast(&message[..]).expect("room in the mailboxes");
    }
    // The socket buffers of a connection hold some of the sixteen; the rest waits in the outboxes.
    let queued = (READERS * MESSAGES) as u64;
    let look = || server.handle.stats().total.messages_out;
    eventually("every message to be queued for every reader", look, |n| *n == queued);
    let held = IN_USE.load(Ordering::Relaxed) - before;
    let once = (MESSAGES * MEGABYTE) as i64;
    assert!(held >= once / 2, "they wait: {held}");
    // The other test's buffers and the message here are in it, too; copies would be ten times as much.
    assert!(held <= once + 8 * MEGABYTE as i64, "{held} bytes for {MESSAGES} MiB and {READERS}");
    for reader in &mut readers {
        for _ in 0..MESSAGES {
            assert!(reader.next_frame().payload == message);
        }
    }
    // With the readers' own buffers.
    drop(readers);
    eventually(
        "the messages to be freed",
        || IN_USE.load(Ordering::Relaxed) - before,
        |held| *held <= 8 * MEGABYTE as i64,
    );
}
