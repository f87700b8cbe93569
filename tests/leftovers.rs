//! What one read leaves in a socket comes with a later turn, though nothing more arrives.
//!
//! A matter of course where sockets are reported as long as they are ready, and not where they are reported once.
//! Everything has arrived before the shard is turned for the first time.

mod support;

use std::time::{Duration, Instant};

use support::probe::config;
use support::wire::request;
use support::{Frame, PATIENCE, Wire};
use wspoll::{Config, Event, Message, Outlet, Server, Shard};

fn start(adjust: impl FnOnce(&mut Config)) -> (Server, Shard) {
    let (server, mut shards) =
        Server::builder().config(config(adjust)).start_hosted().expect("the server starts");
    (server, shards.remove(0))
}

/// Turns the shard until `done` says so of an event.
fn drive(shard: &mut Shard, what: &str, mut done: impl FnMut(&Event<'_>, &mut Outlet<'_>) -> bool) {
    let start = Instant::now();
    let mut over = false;
    while !over {
        assert!(start.elapsed() < PATIENCE, "no {what} in {PATIENCE:?}");
        let (events, mut outlet) = shard.turn(Some(Duration::from_secs(1))).expect("a turn");
        for event in events {
            over |= done(&event, &mut outlet);
        }
    }
    shard.flush();
}

fn open(server: &Server, shard: &mut Shard) -> Wire {
    let mut wire = Wire::connect(server.local_addr());
    wire.send(request("/", ""));
    drive(shard, "open", |event, _| matches!(event, Event::Open { .. }));
    assert_eq!(wire.answer().status, 101);
    wire
}

fn is_text(event: &Event<'_>, wanted: &str) -> bool {
    matches!(event, Event::Message { message: Message::Text(text), .. } if *text == wanted)
}

/// Of somebody who has not been let in, one read takes no more than a request may have.
#[test]
fn more_behind_the_request_than_a_request_may_have() {
    let (server, mut shard) = start(|_| {});
    let mut wire = Wire::connect(server.local_addr());
    let mut bytes = request("/", "").into_bytes();
    bytes.extend(Frame::text("x".repeat(40_000)).bytes());
    bytes.extend(Frame::text("last").bytes());
    wire.send(bytes);
    drive(&mut shard, "last text", |event, _| is_text(event, "last"));
}

/// The events of a turn share one buffer. Those that find no room in it are read with the next, and whoever fills it
/// each time is behind them.
#[test]
fn more_than_a_turn_has_room_for() {
    const WIRES: usize = 12;
    let (server, mut shard) = start(|_| {});
    let mut wires: Vec<Wire> = (0..WIRES).map(|_| open(&server, &mut shard)).collect();
    for wire in &mut wires {
        // As much as a peer may send before anybody reads.
        wire.frame(Frame::text("x".repeat(60_000)));
    }
    let mut left = WIRES;
    drive(&mut shard, "text of each", |event, _| {
        left -= usize::from(matches!(event, Event::Message { .. }));
        left == 0
    });
}

#[test]
fn an_end_that_comes_with_the_data() {
    let (server, mut shard) = start(|_| {});
    let mut wire = open(&server, &mut shard);
    wire.frame(Frame::text("last"));
    wire.send_fin();
    let mut said = false;
    drive(&mut shard, "end", |event, outlet| {
        if let Event::Message { conn, message } = event {
            said = true;
            outlet.send(*conn, *message).expect("it is open");
        }
        matches!(event, Event::Close { close, .. } if close.code() == 1006)
    });
    assert!(said, "what came before the end was lost");
    wire.expect_text("last");
}

/// What came while the host had paused a connection is reported when it resumes it, the end too.
#[test]
fn what_came_during_a_pause() {
    let (server, mut shard) = start(|_| {});
    let mut wire = open(&server, &mut shard);
    wire.frame(Frame::text("pause"));
    let mut paused = None;
    drive(&mut shard, "text", |event, outlet| {
        if let Event::Message { conn, .. } = event {
            outlet.pause(*conn).expect("it is open");
            paused = Some(*conn);
        }
        paused.is_some()
    });
    wire.frame(Frame::text("last"));
    wire.send_fin();
    let (events, mut outlet) = shard.turn(Some(Duration::from_millis(50))).expect("a turn");
    assert!(events.is_empty(), "it was read");
    outlet.resume(paused.expect("paused above")).expect("it is open");
    let mut said = false;
    drive(&mut shard, "end", |event, _| {
        said |= is_text(event, "last");
        matches!(event, Event::Close { .. })
    });
    assert!(said, "what came before the end was lost");
}

/// Both directions are ready at once, and the first that is looked at ends the connection.
#[test]
fn a_reset_while_much_waits_to_be_sent() {
    let (server, mut shard) = start(|config| config.max_outbox_bytes = 64 * 1024 * 1024);
    let mut wire = open(&server, &mut shard);
    wire.frame(Frame::text("go"));
    drive(&mut shard, "text", |event, outlet| {
        let Event::Message { conn, .. } = event else { return false };
        for _ in 0..32 {
            outlet.send(*conn, Message::Binary(&[7; 1 << 20])).expect("room");
        }
        true
    });
    wire.frame(Frame::text("unread"));
    wire.reset();
    drive(&mut shard, "end", |event, _| matches!(event, Event::Close { .. }));
    // The slot is somebody else's now.
    let mut next = open(&server, &mut shard);
    next.frame(Frame::text("next"));
    drive(&mut shard, "text of the next", |event, _| {
        assert!(!matches!(event, Event::Close { .. }), "the next was ended too");
        is_text(event, "next")
    });
}

/// The peer reads nothing until all of it has been sent; then its answer comes in as many parts as it takes.
#[test]
fn a_message_of_many_reads_and_its_echo() {
    let (server, mut shard) = start(|config| config.max_message_size = 4 << 20);
    let mut wire = open(&server, &mut shard);
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let host = scope.spawn(|| {
            let start = Instant::now();
            while !over.load(std::sync::atomic::Ordering::Relaxed) && start.elapsed() < PATIENCE {
                let (events, mut outlet) =
                    shard.turn(Some(Duration::from_millis(100))).expect("a turn");
                for event in events {
                    if let Event::Message { conn, message } = event {
                        outlet.send(conn, message).expect("it is open");
                    }
                }
            }
        });
        for size in [65_535, 65_536, 700_000, 3 << 20] {
            let text = "x".repeat(size);
            for _ in 0..3 {
                wire.frame(Frame::text(&text));
                wire.expect_text(&text);
            }
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        host.join().expect("the host");
    });
}
