//! Pushes that are counted, pushes to all but one, and what the counters say.

mod support;

use std::time::Duration;

use support::{Frame, PATIENCE, Probe, Running, Wire, eventually};
use wspoll::{ConnId, Error, Pushed, Receipt, Server, SlowConsumer, Target};

fn sharded(probe: Probe) -> Running {
    probe.start_with(|config| config.shards = 3)
}

/// Connections over several shards, with their ids, the first `members` of which are in the room `red`.
fn connect(server: &mut Running, count: usize, members: usize) -> (Vec<Wire>, Vec<ConnId>) {
    let mut wires = Vec::new();
    let mut ids = Vec::new();
    for at in 0..count {
        wires.push(Wire::open(server));
        ids.push(server.events.opened());
        if at < members {
            server.handle.join(ids[at], "red").expect("queued");
        }
    }
    (wires, ids)
}

fn counts(receipt: wspoll::Result<Receipt>) -> (u64, u64, u64) {
    let pushed = receipt.expect("queued").wait(PATIENCE).expect("every shard answers");
    let Pushed { delivered, dropped, unknown, .. } = pushed;
    (delivered, dropped, unknown)
}

#[test]
fn a_receipt_counts_whom_a_push_reached() {
    let mut server = sharded(Probe::new());
    let (mut wires, ids) = connect(&mut server, 7, 5);
    let gone = ids[6];
    wires.pop().expect("seven").close(1000);
    server.events.closed_of(gone);
    let push = |target: Target<'_>| counts(server.handle.push(target, "hello"));
    assert_eq!(push(Target::all()), (6, 0, 0));
    assert_eq!(push(Target::all().except(ids[0])), (5, 0, 0));
    assert_eq!(push(Target::all().except(gone)), (6, 0, 0));
    assert_eq!(push(Target::room("red")), (5, 0, 0));
    assert_eq!(push(Target::room("red").except(ids[0])), (4, 0, 0));
    assert_eq!(push(Target::room("red").except(ids[5])), (5, 0, 0));
    assert_eq!(push(Target::room("nobody is here")), (0, 0, 1));
    assert_eq!(push(Target::conns(&[])), (0, 0, 0));
    assert_eq!(push(Target::conns(&[ids[5], gone, ids[5], ids[0]])), (3, 0, 1));
    assert_eq!(push(Target::conns(&ids).except(gone)), (6, 0, 0));
    assert_eq!(push(Target::conns(&[ConnId::from_raw(0), ConnId::from_raw(u64::MAX)])), (0, 0, 2));
    // Each has what was counted for it.
    for (wire, expected) in wires.iter_mut().zip([6, 7, 7, 7, 7, 6]) {
        for _ in 0..expected {
            wire.expect_text("hello");
        }
    }
    server.handle.broadcast("end").expect("queued");
    wires.iter_mut().for_each(|wire| wire.expect_text("end"));
    let long = "r".repeat(1025);
    assert!(matches!(server.handle.push(Target::room(&long), ""), Err(Error::InvalidArgument(_))));
}

#[test]
fn a_room_of_the_excepted_alone_is_known() {
    let mut server = sharded(Probe::new());
    let (mut wires, ids) = connect(&mut server, 1, 1);
    let push = server.handle.push(Target::room("red").except(ids[0]), "nobody");
    assert_eq!(counts(push), (0, 0, 0));
    server.handle.broadcast("end").expect("queued");
    wires[0].expect_text("end");
}

#[test]
fn a_receipt_can_be_awaited() {
    let mut server = sharded(Probe::new());
    let (_wires, _) = connect(&mut server, 3, 2);
    let receipt = server.handle.push(Target::room("red"), "hello").expect("queued");
    assert_eq!(smol::block_on(receipt).delivered, 2);
    let members = server.handle.room_members("red").expect("queued");
    assert_eq!(smol::block_on(members), 2);
    let nobody = server.handle.room_members("blue").expect("queued");
    assert_eq!(nobody.wait(PATIENCE), Some(0));
}

#[test]
fn what_a_policy_refuses_counts_as_dropped() {
    for policy in [SlowConsumer::Close, SlowConsumer::DropNew, SlowConsumer::DropOld] {
        let mut server = Probe::new().start_with(|config| {
            config.max_outbox_bytes = 64 * 1024;
            config.slow_consumer = policy;
        });
        let _wire = Wire::open_narrow(server.addr);
        let id = server.events.opened();
        // So small that one of which a part has left leaves room for the next.
        let bytes = vec![7; 16 * 1024];
        let mut delivered = 0;
        let dropped = loop {
            let receipt = server.handle.push(Target::conns(&[id]), &bytes[..]);
            let (taken, dropped, unknown) = counts(receipt);
            assert_eq!((taken + dropped, unknown), (1, 0), "{policy}");
            delivered += taken;
            // With `drop-old` the new message takes the place of the one before, as long as that has not begun to leave.
            let replaced = server.handle.stats().total.dropped_old;
            if dropped + replaced > 0 {
                break dropped;
            }
            assert!(delivered < 10_000, "the kernel takes no 160 MB");
        };
        assert_eq!(dropped, u64::from(policy != SlowConsumer::DropOld), "{policy}");
        let total = eventually(
            "the counters",
            || server.handle.stats().total,
            |total| total.dropped > 0 && (policy != SlowConsumer::Close || total.closed_1008 == 1),
        );
        let by_reason = [total.dropped_slow_consumer, total.dropped_new, total.dropped_old];
        assert_eq!(by_reason.iter().sum::<u64>(), total.dropped, "{policy}");
        assert!(by_reason[policy as usize] > 0, "{policy}: {by_reason:?}");
        if policy == SlowConsumer::Close {
            server.events.closed_of(id);
            assert_eq!(counts(server.handle.push(Target::conns(&[id]), "late")), (0, 0, 1));
        } else {
            assert!(
                (1..=64 * 1024).contains(&total.queue_bytes),
                "{policy}: {}",
                total.queue_bytes
            );
            assert_eq!(server.server.stats().total.closed_1006, 0);
        }
    }
}

#[test]
fn a_receipt_does_not_wait_for_shards_that_have_ended() {
    let mut builder = Server::builder().listen("127.0.0.1:0").shards(2);
    builder = builder.max_mailbox_bytes(1 << 20);
    let (server, mut shards) = builder.start_hosted().expect("the server starts");
    let handle = server.handle();
    // Nobody drives the shards: nothing is known yet.
    let pending = handle.push(Target::all(), "hello").expect("queued");
    let members = handle.room_members("red").expect("queued");
    assert_eq!((pending.get(), pending.wait(Duration::from_millis(1))), (None, None));
    shards.pop();
    assert_eq!(pending.get(), None, "one shard is left");
    drop(shards);
    assert_eq!(pending.wait(Duration::ZERO), Some(Pushed::default()));
    assert_eq!(members.wait(Duration::ZERO), Some(0));
    assert!(matches!(handle.push(Target::all(), "late"), Err(Error::ShutDown)));
}

#[test]
fn a_handler_sends_to_everybody_but_the_sender() {
    let mut server = sharded(
        Probe::new()
            .on_open(|conn| {
                conn.join("red").expect("open");
            })
            .on_message(|conn, message| {
                let id = conn.id();
                match message.payload() {
                    b"room" => conn.publish_except("red", id, message).expect("queued"),
                    b"all" => conn.outlet().broadcast_except(id, message).expect("queued"),
                    _ => conn.send(message).expect("room"),
                }
            }),
    );
    let (mut wires, ids) = connect(&mut server, 6, 0);
    for sender in 0..wires.len() {
        for what in ["room", "all"] {
            wires[sender].frame(Frame::text(what));
            for (at, wire) in wires.iter_mut().enumerate() {
                if at != sender {
                    wire.expect_text(what);
                }
            }
        }
        // Nothing came back to the sender before this.
        wires[sender].echo("alone");
    }
    server.handle.publish_except("red", ids[0], "one").expect("queued");
    server.handle.broadcast_except(ids[1], "two").expect("queued");
    for (at, wire) in wires.iter_mut().enumerate() {
        for (text, except) in [("one", 0), ("two", 1)] {
            if at != except {
                wire.expect_text(text);
            }
        }
        wire.echo("and no more");
    }
}

#[test]
fn a_connection_is_in_no_more_rooms_than_allowed() {
    let mut server = Probe::new()
        .on_message(|conn, message| {
            let room = std::str::from_utf8(message.payload()).expect("UTF-8");
            let answer = match conn.join(room) {
                Ok(outside) => outside.to_string(),
                Err(e) => e.to_string(),
            };
            conn.send(answer.as_str()).expect("room");
        })
        .start_with(|config| config.max_rooms_per_connection = 2);
    let mut wire = Wire::open(&server);
    let id = server.events.opened();
    let refused =
        |room| format!("room is {room:?}: the connection is in 2 rooms (max_rooms_per_connection)");
    for (room, answer) in
        [("a", "true"), ("b", "true"), ("a", "false"), ("c", &refused("c")), ("b", "false")]
    {
        wire.frame(Frame::text(room));
        wire.expect_text(answer);
    }
    // From elsewhere: nobody can be told, so it is counted.
    server.handle.join(id, "d").expect("queued");
    assert_eq!(counts(server.handle.push(Target::room("d"), "nobody")), (0, 0, 1));
    server.handle.leave(id, "a").expect("queued");
    server.handle.join(id, "d").expect("queued");
    assert_eq!(counts(server.handle.push(Target::room("d"), "now")), (1, 0, 0));
    wire.expect_text("now");
    eventually(
        "the counters",
        || server.handle.stats().total,
        |total| (total.joins_refused, total.memberships, total.rooms) == (2, 2, 2),
    );
}

#[test]
fn what_happens_is_counted_by_kind() {
    let mut server = Probe::echo().start_with(|config| config.max_mailbox_bytes = 1024);
    let mut wire = Wire::open(&server);
    let id = server.events.opened();
    for (at, status) in [(0, "400"), (1, "426")] {
        let mut other = Wire::connect(server.addr);
        other.send(["GET\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"][at]);
        assert_eq!(other.answer().status.to_string(), status);
    }
    Wire::open(&server).close(4321);
    server.events.closed();
    drop(Wire::open(&server));
    server.events.closed();
    server.handle.send(id, "one").expect("queued");
    server.handle.send_many(&[id, id], "two").expect("queued");
    server.handle.broadcast("three").expect("queued");
    server.handle.publish("nobody", "four").expect("queued");
    for text in ["one", "two", "two", "three"] {
        wire.expect_text(text);
    }
    let full = (0..10_000).any(|_| {
        matches!(
            server.handle.publish("nobody", "x".repeat(900).as_str()),
            Err(Error::Backpressure)
        )
    });
    assert!(full, "a mailbox of 1 KiB is full some time");
    wire.echo("and it goes on");
    let stats = eventually(
        "the counters",
        || server.handle.stats(),
        |stats| stats.total.closed_1006 == 1 && stats.total.queue_bytes == 0,
    );
    let total = stats.total;
    assert_eq!((total.answered, total.answered_400, total.answered_426), (2, 1, 1));
    assert_eq!((total.closed_4xxx, total.closed_1000), (1, 0));
    assert_eq!((stats.pushed_conns, stats.pushed_all), (2, 1));
    assert!(stats.pushed_rooms >= 1 && total.mailbox_full >= 1);
    assert!(total.memory > 512 * 1024, "the read buffer alone is more than {}", total.memory);
    assert!(total.loop_lag_ns > 0 && total.loop_lag_max_ns >= total.loop_lag_ns);
}

#[test]
fn a_slow_handler_shows_as_loop_lag() {
    let mut server = Probe::new()
        .on_message(|conn, _| {
            // It holds up the loop, which is what the test is about.
            std::thread::sleep(Duration::from_millis(30));
            conn.send("done").expect("room");
        })
        .start();
    let mut wire = Wire::open(&server);
    server.events.opened();
    wire.frame(Frame::text("slow"));
    wire.expect_text("done");
    eventually(
        "the lag",
        || server.handle.stats().total,
        |total| total.loop_lag_max_ns >= 30_000_000 && total.loop_lag_ns >= 1_000_000,
    );
}
