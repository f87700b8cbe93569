//! `push_merge`: pushes to one connection gather and leave together; whatever else is sent takes them with it.

mod support;

use std::time::{Duration, Instant};

use support::frame::{CLOSE, PONG};
use support::{Frame, PATIENCE, Probe, Running, Wire, eventually};
use wspoll::{ConnId, Server, SlowConsumer, Target};

/// So long that only something else than time can send what gathers.
const NEVER: Duration = Duration::from_secs(60);

fn merging(time: Duration) -> (Running, Wire, ConnId) {
    let mut server = Probe::echo().start_with(|config| config.push_merge = time);
    let wire = Wire::open(&server);
    let id = server.events.opened();
    (server, wire, id)
}

/// Pushes a text, and waits until its shard has queued it.
fn push(server: &Running, id: ConnId, text: &str) {
    let receipt = server.handle.push(Target::conns(&[id]), text).expect("queued");
    assert_eq!(receipt.wait(PATIENCE).expect("the shard answers").delivered, 1);
}

#[test]
fn pushes_of_many_turns_leave_in_one_call() {
    const PUSHES: usize = 50;
    let time = Duration::from_millis(500);
    let (server, mut wire, id) = merging(time);
    wire.echo("the response and this have left");
    let before = eventually("the counters", || server.handle.stats().total, |t| t.sends >= 2);
    let start = Instant::now();
    (0..PUSHES).for_each(|number| push(&server, id, &number.to_string()));
    // On a machine that is held up for so long, they need two calls.
    let in_time = start.elapsed() < time;
    for number in 0..PUSHES {
        wire.expect_text(&number.to_string());
    }
    assert!(start.elapsed() >= time / 2, "they were to gather: {:?}", start.elapsed());
    let after = eventually(
        "the counters",
        || server.handle.stats().total,
        |total| total.queue_bytes == 0 && total.sends > before.sends,
    );
    assert!(!in_time || after.sends == before.sends + 1, "{} calls", after.sends - before.sends);
    assert!(after.turns >= before.turns + PUSHES as u64 / 2, "each was a turn of its own, or so");
}

#[test]
fn what_gathers_is_counted_as_waiting() {
    let (server, mut wire, id) = merging(NEVER);
    push(&server, id, "twelve bytes");
    eventually("the counters", || server.handle.stats().total.queue_bytes, |bytes| *bytes == 14);
    wire.frame(Frame::text("x"));
    wire.expect_text("twelve bytes");
    wire.expect_text("x");
    eventually("the counters", || server.handle.stats().total.queue_bytes, |bytes| *bytes == 0);
}

#[test]
fn a_reply_takes_what_has_gathered_with_it_in_order() {
    let (server, mut wire, id) = merging(NEVER);
    for _ in 0..3 {
        push(&server, id, "one");
        push(&server, id, "two");
        wire.frame(Frame::text("reply"));
        for text in ["one", "two", "reply"] {
            wire.expect_text(text);
        }
    }
}

#[test]
fn control_frames_take_it_with_them() {
    let (server, mut wire, id) = merging(NEVER);
    push(&server, id, "one");
    wire.frame(Frame::ping("?"));
    wire.expect_text("one");
    wire.expect(PONG, "?");
    push(&server, id, "two");
    server.handle.ping(id, b"!").expect("queued");
    wire.expect_text("two");
    wire.expect(support::frame::PING, "!");
    push(&server, id, "last");
    server.handle.close(id, 1000, "bye").expect("queued");
    wire.expect_text("last");
    assert_eq!(wire.expect_close(1000), "bye");
}

#[test]
fn enough_bytes_leave_at_once() {
    let mut server = Probe::new().start_with(|config| {
        config.push_merge = NEVER;
        config.push_merge_bytes = 1000;
    });
    let mut wire = Wire::open(&server);
    let id = server.events.opened();
    let text = "x".repeat(400);
    (0..3).for_each(|_| push(&server, id, &text));
    (0..3).for_each(|_| wire.expect_text(&text));
}

#[test]
fn the_end_of_the_server_sends_what_has_gathered() {
    let (server, mut wire, id) = merging(NEVER);
    push(&server, id, "last");
    server.handle.shutdown(PATIENCE);
    wire.expect_text("last");
    wire.expect_close(1001);
}

#[test]
fn gathering_is_not_taken_for_a_peer_that_takes_nothing() {
    // Pings make the timer look at the connection often.
    let mut server = Probe::new().start_with(|config| {
        config.push_merge = Duration::from_millis(900);
        config.write_timeout = Duration::from_millis(100);
        config.ping_interval = Duration::from_millis(50);
        config.pong_timeout = PATIENCE;
    });
    let mut wire = Wire::open(&server);
    let id = server.events.opened();
    // Nothing has been written for longer than the write timeout.
    for _ in 0..4 {
        assert_eq!(wire.next_frame().opcode(), support::frame::PING);
    }
    push(&server, id, "patience");
    loop {
        let frame = wire.next_frame();
        if frame.opcode() != support::frame::PING {
            assert_eq!(frame.payload, b"patience");
            break;
        }
    }
    assert_eq!(server.handle.stats().total.timeouts, 0);
}

#[test]
fn a_slow_consumer_sees_no_gap_and_nothing_behind_the_close() {
    const PIECE: usize = 16 * 1024;
    let mut server = Probe::new().start_with(|config| {
        config.push_merge = Duration::from_millis(1);
        config.push_merge_bytes = 64 * 1024;
        config.max_outbox_bytes = 256 * 1024;
        config.slow_consumer = SlowConsumer::Close;
    });
    let mut wire = Wire::open_narrow(server.addr);
    let id = server.events.opened();
    let mut bytes = vec![0; PIECE];
    let mut number = 0_u64;
    loop {
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let receipt = server.handle.push(Target::conns(&[id]), &bytes[..]).expect("queued");
        if receipt.wait(PATIENCE).expect("the shard answers").delivered == 0 {
            break;
        }
        number += 1;
    }
    for expected in 0.. {
        let frame = wire.next_frame();
        if frame.opcode() == CLOSE {
            assert_eq!(frame.close_code().0, 1008);
            break;
        }
        assert_eq!(frame.payload[..8], u64::to_be_bytes(expected));
    }
    wire.expect_fin();
}

#[test]
fn a_hosted_shard_tells_its_host_when_to_call() {
    let (server, mut shards) = Server::builder()
        .listen("127.0.0.1:0")
        .shards(1)
        .push_merge(Duration::from_millis(200))
        .start_hosted()
        .expect("the server starts");
    let addr = server.local_addr();
    let peer = std::thread::spawn(move || {
        let mut wire = Wire::open_at(addr);
        wire.expect_text("gathered");
    });
    let shard = &mut shards[0];
    let mut is_open = false;
    while !peer.is_finished() {
        let (events, mut outlet) = shard.turn(Some(PATIENCE)).expect("a turn");
        if !is_open && !events.is_empty() {
            outlet.broadcast("gathered").expect("queued");
            is_open = true;
            let wait = shard.timeout().expect("something is due");
            assert!(wait <= Duration::from_millis(200), "{wait:?}");
        }
    }
    peer.join().expect("the peer");
}
