//! What is not allocated: nothing for an echo, one copy for a broadcast. A counting allocator watches.

// A global allocator is an unsafe trait; this one only counts and hands on.
#![allow(unsafe_code)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use support::{Frame, Probe, Wire, eventually};
use wspoll::{Conn, Handler, Message, Server};

struct Counting;

thread_local! {
    /// Allocations, reallocations included, of this thread. `const` and without a destructor, so that counting does
    /// not itself allocate.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Bytes in use, of all threads.
static IN_USE: AtomicI64 = AtomicI64::new(0);

fn count(more: usize, less: usize) {
    if more > 0 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
    }
    IN_USE.fetch_add(more as i64 - less as i64, Ordering::Relaxed);
}

// SAFETY: every call goes to `System` as it came, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the caller keeps the contract of `realloc`, and `block` came from `System`.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`, and `block` came from `System`.
        unsafe { System.dealloc(block, layout) }
    }
}

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
