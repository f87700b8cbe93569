//! Policies for slow consumers by room, when callbacks come, and that nobody else is held up.

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use support::frame::{BINARY, CLOSE};
use support::{Frame, PATIENCE, Probe, Running, Wire, eventually};
use wspoll::config::MOST_ROOM_POLICIES;
use wspoll::{Close, Conn, ConnId, Dropped, Error, Handler, Message, Server, SlowConsumer, Target};

const OUTBOX: usize = 64 * 1024;
const PIECE: usize = 16 * 1024;

/// Pushes to a room of one until the push is not delivered, or something else had to make room.
fn fill(server: &Running, room: &str) {
    let bytes = vec![7; PIECE];
    let before = server.handle.stats().total.dropped;
    for _ in 0..10_000 {
        let receipt = server.handle.push(Target::room(room), &bytes[..]).expect("queued");
        let pushed = receipt.wait(PATIENCE).expect("the shard answers");
        assert_eq!((pushed.delivered + pushed.dropped, pushed.unknown), (1, 0));
        if pushed.dropped > 0 || server.handle.stats().total.dropped > before {
            return;
        }
    }
    panic!("the kernel takes no 160 MB");
}

#[test]
fn a_room_has_a_policy_of_its_own() {
    let mut server = Probe::new().start_with(|config| {
        config.max_outbox_bytes = OUTBOX;
        config.room_policies = vec![("new".to_owned(), SlowConsumer::DropNew)];
    });
    let handle = server.handle.clone();
    let _wire = Wire::open_narrow(server.addr);
    let id = server.events.opened();
    for room in ["new", "old", "plain"] {
        handle.join(id, room).expect("queued");
    }
    assert_eq!(handle.room_policy("new"), Some(SlowConsumer::DropNew));
    handle.set_room_policy("old", Some(SlowConsumer::DropOld)).expect("queued");
    fill(&server, "new");
    let new = eventually("the counters", || handle.stats().total, |total| total.dropped_new > 0);
    fill(&server, "old");
    let old = eventually("the counters", || handle.stats().total, |total| total.dropped_old > 0);
    assert_eq!((new.dropped_old, old.dropped_new, old.slow_consumers), (0, new.dropped_new, 0));
    // Back to the server's, which is to close.
    handle.set_room_policy("old", None).expect("queued");
    assert_eq!(handle.room_policy("old"), None);
    fill(&server, "old");
    let end = server.events.closed_of(id);
    assert_eq!(end.sent, Some(1008));
}

#[test]
fn rooms_with_policies_are_bounded_in_number() {
    let server = Probe::new().start();
    let set = |room: &str, policy| server.handle.set_room_policy(room, policy);
    for room in 0..MOST_ROOM_POLICIES {
        set(&room.to_string(), Some(SlowConsumer::DropNew)).expect("there is room");
    }
    let error = set("one more", Some(SlowConsumer::DropOld)).expect_err("refused");
    assert!(error.to_string().starts_with("room is \"one more\""), "{error}");
    set("7", Some(SlowConsumer::DropOld)).expect("it is known");
    set("8", None).expect("queued");
    set("one more", Some(SlowConsumer::DropOld)).expect("there is room");
    assert!(matches!(set(&"x".repeat(1025), None), Err(Error::InvalidArgument(_))));
}

/// Publishes until the stalled member has lost something, and watches that no call comes meanwhile.
struct Flood {
    busy: AtomicBool,
    nested: AtomicBool,
    told: mpsc::SyncSender<String>,
}

impl Flood {
    fn called(&self, what: String) {
        self.nested.fetch_or(self.busy.load(Ordering::SeqCst), Ordering::SeqCst);
        // The test may have seen enough and gone.
        let _ = self.told.try_send(what);
    }
}

impl Handler for Flood {
    fn on_open(&self, conn: &mut Conn<'_>) {
        conn.join("red").expect("open");
    }

    fn on_message(&self, conn: &mut Conn<'_>, message: Message<'_>) {
        self.busy.store(true, Ordering::SeqCst);
        let sender = conn.id();
        for _ in 0..message.payload().len() {
            conn.publish_except("red", sender, &[7; PIECE][..]).expect("queued");
        }
        self.busy.store(false, Ordering::SeqCst);
        conn.send("done").expect("room");
    }

    fn on_drain(&self, _: &mut Conn<'_>) {
        self.called("drain".to_owned());
    }

    fn on_dropped(&self, _: ConnId, dropped: Dropped) {
        self.called(format!("{:?}", dropped.reason));
    }

    fn on_close(&self, _: &mut Conn<'_>, close: &Close<'_>) {
        self.called(format!("close {:?}", close.sent()));
    }
}

#[test]
fn calls_come_after_the_one_that_caused_them() {
    for (policy, calls) in [
        (SlowConsumer::Close, &["SlowConsumer", "close Some(1008)"][..]),
        (SlowConsumer::DropNew, &["NewRefused", "drain"]),
        (SlowConsumer::DropOld, &["OldReplaced", "drain"]),
    ] {
        let (told, calls_seen) = mpsc::sync_channel(10_000);
        let (busy, nested) = (AtomicBool::new(false), AtomicBool::new(false));
        let handler = Arc::new(Flood { busy, nested, told });
        let server = Server::builder()
            .listen("127.0.0.1:0")
            .shards(1)
            .max_outbox_bytes(OUTBOX)
            .slow_consumer(policy)
            .handler(Shared(Arc::clone(&handler)))
            .start()
            .expect("the server starts");
        let mut slow = Wire::open_narrow(server.local_addr());
        let mut sender = Wire::open_at(server.local_addr());
        // 16 MiB: more than the socket buffers of both sides hold.
        sender.frame(Frame::text("x".repeat(1024)));
        sender.expect_text("done");
        // Now read, so that there is a *drain* too.
        if policy != SlowConsumer::Close {
            std::thread::spawn(move || while slow.next_frame().opcode() == BINARY {});
        }
        for call in calls {
            loop {
                let seen = calls_seen.recv_timeout(PATIENCE).expect(call);
                if seen == *call {
                    break;
                }
            }
        }
        assert!(!handler.nested.load(Ordering::SeqCst), "{policy}: a call inside another");
    }
}

struct Shared(Arc<Flood>);

impl Handler for Shared {
    fn on_open(&self, conn: &mut Conn<'_>) {
        self.0.on_open(conn);
    }
    fn on_message(&self, conn: &mut Conn<'_>, message: Message<'_>) {
        self.0.on_message(conn, message);
    }
    fn on_drain(&self, conn: &mut Conn<'_>) {
        self.0.on_drain(conn);
    }
    fn on_dropped(&self, conn: ConnId, dropped: Dropped) {
        self.0.on_dropped(conn, dropped);
    }
    fn on_close(&self, conn: &mut Conn<'_>, close: &Close<'_>) {
        self.0.on_close(conn, close);
    }
}

/// The reply still lies in the read buffer when a push of the same call finds no room.
#[test]
fn after_a_decision_to_close_not_even_the_reply_before_it_is_sent() {
    for policy in [SlowConsumer::Close, SlowConsumer::DropNew, SlowConsumer::DropOld] {
        let server = Probe::new()
            .on_message(|conn, message| {
                conn.join("red").expect("open");
                conn.send(message).expect("room");
                conn.publish("red", &[7; OUTBOX][..]).expect("queued");
                conn.publish("red", "small").expect("queued");
            })
            .start_with(|config| {
                config.max_outbox_bytes = OUTBOX;
                config.slow_consumer = policy;
            });
        let mut wire = Wire::open(&server);
        let echo = "e".repeat(5000);
        wire.frame(Frame::text(echo.as_str()));
        match policy {
            SlowConsumer::Close => {
                let first = wire.next_frame();
                assert_eq!((first.opcode(), first.close_code().0), (CLOSE, 1008));
                wire.expect_fin();
            }
            SlowConsumer::DropNew => {
                wire.expect_text(&echo);
                wire.expect_text("small");
            }
            // The reply is the oldest; alone the large one has room.
            SlowConsumer::DropOld => {
                wire.expect(BINARY, [7; OUTBOX]);
                wire.expect_text("small");
            }
        }
    }
}

#[test]
fn stalled_readers_in_a_room_hold_up_nobody() {
    const READERS: usize = 1900;
    const STALLED: usize = 100;
    const MESSAGES: usize = 60;
    const SIZE: usize = 8 * 1024;
    let mut server = Probe::new()
        .on_open(|conn| {
            conn.join("red").expect("open");
        })
        .start_with(|config| {
            config.shards = 2;
            config.max_outbox_bytes = 32 * 1024;
            config.slow_consumer = SlowConsumer::DropNew;
            config.write_timeout = Duration::ZERO;
            // On a slow system opening them all takes longer than a silence may.
            config.ping_interval = Duration::ZERO;
            config.pong_timeout = Duration::ZERO;
        });
    let stalled: Vec<Wire> = (0..STALLED).map(|_| Wire::open_stalled(server.addr)).collect();
    let stalled_ids: Vec<ConnId> = stalled.iter().map(|_| server.events.opened()).collect();
    let readers: Vec<Wire> = (0..READERS).map(|_| Wire::open(&server)).collect();
    let mut bytes = vec![0; SIZE];
    // Until each of the stalled has lost something.
    let mut lost = 0;
    while lost < STALLED as u64 {
        let receipt = server.handle.push(Target::conns(&stalled_ids), &bytes[..]).expect("queued");
        lost = receipt.wait(PATIENCE).expect("the shards answer").dropped;
    }
    let taken = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = split(readers, 4)
        .into_iter()
        .map(|mut wires| {
            let taken = Arc::clone(&taken);
            std::thread::spawn(move || {
                for number in 0..MESSAGES as u64 {
                    for wire in &mut wires {
                        let frame = wire.next_frame();
                        assert_eq!(frame.payload.len(), SIZE);
                        assert_eq!(frame.payload[..8], number.to_be_bytes());
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for number in 0..MESSAGES as u64 {
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let receipt = server.handle.push(Target::room("red"), &bytes[..]).expect("queued");
        let pushed = receipt.wait(PATIENCE).expect("the shards answer");
        assert_eq!((pushed.delivered + pushed.dropped, pushed.unknown), (2000, 0));
        // Some systems' buffers grow a little while they are full.
        assert!(pushed.dropped >= STALLED as u64 / 2, "{pushed:?}");
        // One at a time, so that readers are not the slow ones: each has it though the stalled have not.
        let wanted = (number as usize + 1) * READERS;
        eventually("the message", || taken.load(Ordering::Relaxed), |taken| *taken >= wanted);
    }
    threads.into_iter().for_each(|thread| thread.join().expect("readers have every message"));
    let total = server.handle.stats().total;
    assert_eq!((total.slow_consumers, total.dropped), (0, total.dropped_new));
    assert!(stalled_ids.iter().all(|id| server.handle.is_alive(*id)));
}

fn split(mut wires: Vec<Wire>, parts: usize) -> Vec<Vec<Wire>> {
    let each = wires.len().div_ceil(parts);
    let mut split = Vec::new();
    while !wires.is_empty() {
        split.push(wires.split_off(wires.len().saturating_sub(each)));
    }
    split
}
