//! Every bound: what happens at it, and that things are well again below it. Message sizes are in framing.rs.

mod support;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use support::frame::{BINARY, CLOSE};
use support::wire::request;
use support::{Frame, Probe, Running, Seen, Wire, eventually};
use wspoll::{ConnId, Error, SlowConsumer};

/// More than the socket buffers of both sides hold together, so that the outbox has to hold the rest.
const FLOOD: usize = 48 << 20;
const PIECE: usize = 16 * 1024;
const OUTBOX: usize = 256 * 1024;

/// A message of `PIECE` bytes that begins with its number.
fn numbered(number: usize) -> Vec<u8> {
    let mut bytes = vec![0; PIECE];
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    bytes
}

fn number_of(frame: &Frame) -> usize {
    assert_eq!((frame.opcode(), frame.payload.len()), (BINARY, PIECE), "a whole message");
    u64::from_be_bytes(frame.payload[..8].try_into().expect("8 bytes")) as usize
}

#[test]
fn connections_beyond_the_limit_are_answered_with_503_until_one_ends() {
    let mut server = Probe::echo().start_with(|config| config.max_connections = 2);
    let mut first = Wire::open(&server);
    let second = Wire::open(&server);
    for _ in 0..3 {
        let mut third = Wire::connect(server.addr);
        let _ = third.try_send(request("/", ""));
        assert_eq!(third.answer().status, 503);
    }
    first.echo("undisturbed");
    second.close(1000);
    server.events.closed();
    // The place is free when the server has let go of the socket, which on_close does not tell.
    eventually(
        "a free place",
        || {
            let mut wire = Wire::connect(server.addr);
            let _ = wire.try_send(request("/", ""));
            wire.answer().status
        },
        |status| *status == 101,
    );
    first.echo("undisturbed");
}

#[test]
fn connections_that_have_not_said_anything_count_too() {
    let server = Probe::echo().start_with(|config| config.max_connections = 1);
    let _silent = Wire::connect(server.addr);
    let mut wire = Wire::connect(server.addr);
    let _ = wire.try_send(request("/", ""));
    assert_eq!(wire.answer().status, 503);
}

/// A connection from another address of the loopback network.
#[cfg(target_os = "linux")]
fn status_from(source: &str, server: std::net::SocketAddr) -> (u16, std::net::TcpStream) {
    use std::io::{Read, Write};
    let socket =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let source: std::net::SocketAddr = format!("{source}:0").parse().expect("an address");
    socket.bind(&source.into()).expect("binding to the loopback network");
    socket.connect(&server.into()).expect("connecting");
    let mut stream: std::net::TcpStream = socket.into();
    stream.set_read_timeout(Some(support::PATIENCE)).expect("a read deadline");
    let _ = stream.write_all(request("/", "").as_bytes());
    let mut start = [0; 12];
    stream.read_exact(&mut start).expect("a status line");
    let status = std::str::from_utf8(&start[9..]).expect("ASCII").parse().expect("a status");
    (status, stream)
}

#[cfg(target_os = "linux")]
#[test]
fn connections_of_one_address_beyond_its_limit_are_answered_with_429() {
    let server = Probe::echo().start_with(|config| {
        config.max_connections_per_ip = 2;
        config.shards = 2;
    });
    let (status, first) = status_from("127.0.0.1", server.addr);
    assert_eq!(status, 101);
    let (status, _second) = status_from("127.0.0.1", server.addr);
    assert_eq!(status, 101);
    assert_eq!(status_from("127.0.0.1", server.addr).0, 429);
    let (status, _other) = status_from("127.0.0.2", server.addr);
    assert_eq!(status, 101, "another address has a count of its own");
    drop(first);
    eventually(
        "a free place for 127.0.0.1",
        || status_from("127.0.0.1", server.addr).0,
        |status| *status == 101,
    );
}

#[test]
fn a_full_outbox_pauses_reading_and_loses_nothing() {
    let most_queued = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most_queued);
    let server = Probe::new()
        .on_message(move |conn, message| {
            conn.send(message).expect("an echo always has room: reading pauses before it has none");
            seen.fetch_max(conn.queued_bytes(), Ordering::Relaxed);
        })
        .start_with(|config| {
            config.max_outbox_bytes = OUTBOX;
            config.write_timeout = Duration::ZERO;
        });
    let mut wire = Wire::open_narrow(server.addr);

    // Send without reading until nothing more is taken.
    let total = FLOOD / PIECE;
    let mut stalled = None;
    for number in 0..total {
        let bytes = Frame::binary(numbered(number)).bytes();
        let sent = wire.send_while_taken(&bytes, Duration::from_secs(1));
        if sent < bytes.len() {
            stalled = Some((number, bytes[sent..].to_vec()));
            break;
        }
    }
    let (last, rest) = stalled.expect("the server stops reading before it has taken all");

    // Now read: the echoes of all that was sent, in order, and then the rest of the message that was cut.
    for number in 0..last {
        assert_eq!(number_of(&wire.next_frame()), number);
    }
    wire.send(rest);
    assert_eq!(number_of(&wire.next_frame()), last);
    wire.echo("reading goes on");
    // Beyond the bound only what one read brought: a bound in bytes, not in wishes.
    let most = most_queued.load(Ordering::Relaxed);
    assert!(most <= OUTBOX + (1 << 20), "{most} bytes were queued with a bound of {OUTBOX}");
}

/// A connection that reads nothing, to a server with a small outbox.
fn slow_reader(policy: SlowConsumer) -> (Running, Wire, ConnId) {
    let mut server = Probe::echo().start_with(|config| {
        config.max_outbox_bytes = OUTBOX;
        config.slow_consumer = policy;
        config.write_timeout = Duration::ZERO;
        config.close_timeout = Duration::from_millis(500);
    });
    let wire = Wire::open_narrow(server.addr);
    let id = server.events.opened();
    (server, wire, id)
}

/// Pushes numbered messages to `id` until the handler hears of a dropped one; returns how many.
fn push_until_dropped(server: &mut Running, id: ConnId) -> usize {
    for number in 0..FLOOD / PIECE {
        server.handle.send(id, &numbered(number)[..]).expect("the mailbox holds all of it");
        if !server.events.none(|seen| matches!(seen, Seen::Dropped(..))) {
            return number + 1;
        }
    }
    server.events.dropped();
    FLOOD / PIECE
}

#[test]
fn a_slow_consumer_is_closed_with_1008() {
    let (mut server, mut wire, id) = slow_reader(SlowConsumer::Close);
    let mut pushed = 0;
    while server.events.none(|seen| matches!(seen, Seen::Close(..))) {
        // Once it is closing, its id may be gone.
        if server.handle.send(id, &numbered(pushed)[..]).is_err() {
            break;
        }
        pushed += 1;
        assert!(pushed < FLOOD / PIECE, "never closed");
    }
    // What is on the wire arrives, in order and whole; then the close frame.
    let mut next = 0;
    let code = loop {
        let frame = wire.next_frame();
        if frame.opcode() == CLOSE {
            break frame.close_code().0;
        }
        assert_eq!(number_of(&frame), next);
        next += 1;
    };
    assert_eq!(code, 1008);
    assert!(next < pushed, "what had not left is dropped");
    let end = server.events.closed_of(id);
    assert_eq!(end.sent, Some(1008));
    wire.expect_end();
}

#[test]
fn drop_new_keeps_what_was_queued_and_takes_more_once_there_is_room() {
    let (mut server, mut wire, id) = slow_reader(SlowConsumer::DropNew);
    let pushed = push_until_dropped(&mut server, id);
    // Until the shard has met them all; the system may have taken more meanwhile, and made room for some.
    eventually(
        "every push to be queued or dropped",
        || server.handle.stats().total,
        |total| total.messages_out + total.dropped == pushed as u64,
    );
    let dropped = server.handle.stats().total.dropped as usize;
    assert!(dropped > 0);
    let mut numbers = Vec::new();
    while server.events.none(|seen| matches!(seen, Seen::Drain(_))) {
        numbers.push(number_of(&wire.next_frame()));
    }
    server.handle.send(id, "after the drain").expect("queued");
    loop {
        let frame = wire.next_frame();
        if frame.payload == b"after the drain" {
            break;
        }
        numbers.push(number_of(&frame));
    }
    assert_eq!(numbers.len(), pushed - dropped, "what was queued arrives");
    assert!(numbers.is_sorted_by(|a, b| a < b), "in order and once: {numbers:?}");
    let prefix = numbers.iter().enumerate().take_while(|(at, number)| at == *number).count();
    assert!(prefix * PIECE >= OUTBOX, "only {prefix} came before the first that was dropped");
    assert!(server.events.none(|seen| matches!(seen, Seen::Close(..))));

    // A drain is told once: with nothing more refused, there is nothing more to tell.
    wire.echo("well again");
    server.events.so_far();
    wire.echo("still well");
    assert!(server.events.none(|seen| matches!(seen, Seen::Drain(_))));
}

#[test]
fn drop_old_keeps_the_newest() {
    let (mut server, mut wire, id) = slow_reader(SlowConsumer::DropOld);
    let pushed = push_until_dropped(&mut server, id);
    for number in pushed..pushed + 100 {
        server.handle.send(id, &numbered(number)[..]).expect("queued");
    }
    server.handle.send(id, "newest").expect("queued");
    let mut numbers = Vec::new();
    loop {
        let frame = wire.next_frame();
        if frame.payload == b"newest" {
            break;
        }
        numbers.push(number_of(&frame));
    }
    assert!(numbers.is_sorted(), "the order stays: {numbers:?}");
    assert_eq!(numbers.first(), Some(&0), "what is on the wire is not taken back");
    assert_eq!(numbers.last(), Some(&(pushed + 99)), "the newest are kept");
    assert!(numbers.len() < pushed + 100, "older ones made room");
    assert_eq!(numbers.iter().collect::<HashSet<_>>().len(), numbers.len(), "none came twice");
    wire.echo("well again");
}

/// A queue between the shard and the socket is not what a bound on slow readers is about: a burst that the socket takes
/// at once finds a fast reader, however many messages the shard's thread meets in one turn.
#[test]
fn a_burst_that_the_socket_takes_finds_no_slow_consumer() {
    for policy in [SlowConsumer::Close, SlowConsumer::DropNew, SlowConsumer::DropOld] {
        let (sender, entered) = mpsc::channel();
        let (resume, paused) = mpsc::channel::<()>();
        let gate = Mutex::new(paused);
        let mut server = Probe::new()
            .on_message(move |_, _| {
                sender.send(()).expect("the test waits");
                let _ = gate.lock().unwrap().recv_timeout(support::PATIENCE);
            })
            .start_with(|config| {
                config.max_outbox_bytes = 64 * 1024;
                config.slow_consumer = policy;
            });
        let mut wire = Wire::open(&server);
        let id = server.events.opened();
        wire.frame(Frame::text("stop"));
        entered.recv_timeout(support::PATIENCE).expect("the handler was entered");
        // While the handler blocks, all of this gathers in the mailbox: four times the outbox.
        for number in 0..16 {
            server.handle.send(id, &numbered(number)[..]).expect("room in the mailbox");
        }
        resume.send(()).expect("the handler waits");
        for number in 0..16 {
            assert_eq!(number_of(&wire.next_frame()), number, "{policy}");
        }
        assert!(server.events.none(|seen| matches!(seen, Seen::Dropped(..))), "{policy}");
    }
}

#[test]
fn control_frames_pass_a_full_outbox() {
    let (mut server, mut wire, id) = slow_reader(SlowConsumer::DropNew);
    push_until_dropped(&mut server, id);
    server.handle.ping(id, b"through").expect("queued");
    server.handle.close(id, 4000, "through").expect("queued");
    let mut pinged = false;
    loop {
        let frame = wire.next_frame();
        match frame.opcode() {
            CLOSE => {
                assert_eq!(frame.close_code(), (4000, &b"through"[..]));
                break;
            }
            BINARY => {}
            _ => pinged = frame.payload == b"through",
        }
    }
    assert!(pinged);
}

#[test]
fn a_slow_reader_does_not_hold_up_a_broadcast() {
    let (mut server, mut slow, slow_id) = slow_reader(SlowConsumer::DropNew);
    let mut fast = Wire::open(&server);
    server.events.opened();
    push_until_dropped(&mut server, slow_id);
    for number in 0..500 {
        server.handle.broadcast(&numbered(number)[..]).expect("queued");
        assert_eq!(number_of(&fast.next_frame()), number);
    }
    // The slow one was not closed either.
    assert_eq!(number_of(&slow.next_frame()), 0);
}

#[test]
fn a_full_mailbox_is_backpressure_and_nothing_is_queued() {
    let (resume, paused) = mpsc::channel::<()>();
    let (sender, entered) = mpsc::channel();
    let gate = Mutex::new(paused);
    let mut server = Probe::new()
        .on_message(move |_, _| {
            // The handler must not do this; here it stands for a shard that cannot keep up.
            sender.send(()).expect("the test waits");
            let _ = gate.lock().unwrap().recv_timeout(support::PATIENCE);
        })
        .start_with(|config| {
            config.max_mailbox_bytes = 64 * 1024;
            config.max_outbox_bytes = 1 << 20;
        });
    let mut wire = Wire::open(&server);
    let id = server.events.opened();
    wire.frame(Frame::text("stop"));
    entered.recv_timeout(support::PATIENCE).expect("the handler was entered");

    let kilobyte = [b'x'; 1024];
    let mut queued = 0;
    let error = loop {
        match server.handle.send(id, &kilobyte[..]) {
            Ok(()) => queued += 1,
            Err(e) => break e,
        }
        assert!(queued <= 64, "64 KiB hold no more than 64 messages of 1 KiB");
    };
    assert!(matches!(error, Error::Backpressure), "{error}");
    assert!(queued >= 16, "only {queued} KiB of 64 were used");
    assert!(matches!(server.handle.broadcast(&kilobyte[..]), Err(Error::Backpressure)));

    resume.send(()).expect("the handler waits");
    for _ in 0..queued {
        wire.expect(BINARY, kilobyte);
    }
    server.handle.send(id, "room again").expect("room again");
    wire.expect_text("room again");
}

/// A message that would not fit an empty mailbox must not be refused for ever: either it is taken or it is an error that
/// says so.
#[test]
fn a_message_larger_than_the_mailbox_does_not_look_like_a_full_one() {
    let mut server = Probe::new().start_with(|config| {
        config.max_mailbox_bytes = 4096;
        config.max_outbox_bytes = 1 << 20;
    });
    let mut wire = Wire::open(&server);
    let id = server.events.opened();
    let large = vec![b'x'; 8192];
    match server.handle.send(id, &large[..]) {
        Ok(()) => wire.expect(BINARY, &large),
        Err(e) => assert!(!matches!(e, Error::Gone), "{e}"),
    }
    server.handle.send(id, "small").expect("room");
    wire.expect_text("small");
}

#[cfg(all(target_os = "linux", feature = "cli"))]
#[test]
fn without_descriptors_accepting_backs_off_does_not_spin_and_recovers() {
    use rlimit::Resource;
    use support::command::Server;
    use support::{process, tools};

    let command = Server::start(&["--shards", "1"]);
    let pid = command.pid();
    let Some(open) = tools::require_reading("open files", process::open_files(pid)) else { return };
    const ROOM: usize = 20;
    let limit = (open + ROOM) as u64;
    rlimit::prlimit(pid as i32, Resource::NOFILE, Some((limit, limit)), None).expect("prlimit");

    // Until one is not served any more; the kernel still completes its connection.
    let mut served = Vec::new();
    let mut waiting = loop {
        let mut wire = Wire::connect(command.addr);
        wire.send(request("/", ""));
        if wire.is_silent_for(Duration::from_secs(2)) {
            break wire;
        }
        assert_eq!(wire.answer().status, 101);
        served.push(wire);
        // Descriptors that the command has inherited may have numbers beyond the limit.
        assert!(served.len() <= ROOM + open, "more connections than descriptors");
    };
    assert!(served.len() >= ROOM / 2, "only {} of {ROOM} descriptors were used", served.len());

    let before = process::cpu_time(pid).expect("its CPU time");
    assert!(waiting.is_silent_for(Duration::from_secs(2)), "no descriptor is free");
    let used = process::cpu_time(pid).expect("its CPU time") - before;
    assert!(used < Duration::from_millis(400), "{used:?} of CPU time in 2 s of waiting");

    for wire in &mut served {
        wire.echo("served meanwhile");
    }
    served.truncate(served.len() / 2);
    assert_eq!(waiting.answer().status, 101);
    waiting.echo("served at last");
}
