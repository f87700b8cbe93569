//! Hosted mode: the caller's thread drives a shard, gets what happened in batches, and answers into them.

mod support;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use support::frame::{BINARY, PING};
use support::probe::config;
use support::wire::request;
use support::{Frame, PATIENCE, Wire};
use wspoll::{Config, ConnId, Error, Event, Message, Outlet, Response, Server, Shard, Upgrade};

const TICK: Option<Duration> = Some(Duration::from_millis(20));

fn start(adjust: impl FnOnce(&mut Config)) -> (Server, Vec<Shard>) {
    Server::builder().config(config(adjust)).start_hosted().expect("the server starts")
}

/// One server with one shard, driven by the test itself.
struct Host {
    server: Server,
    shard: Shard,
}

/// An event without borrowed parts.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Open(ConnId),
    Text(ConnId, String),
    Binary(ConnId, Vec<u8>),
    Pong(ConnId, Vec<u8>),
    Drain(ConnId),
    Dropped(ConnId),
    Close(ConnId, u16),
    Other(String),
}

fn seen(event: &Event<'_>) -> Seen {
    match event {
        Event::Open { conn } => Seen::Open(*conn),
        Event::Message { conn, message: Message::Text(text) } => {
            Seen::Text(*conn, (*text).to_owned())
        }
        Event::Message { conn, message: Message::Binary(bytes) } => {
            Seen::Binary(*conn, bytes.to_vec())
        }
        Event::Pong { conn, payload } => Seen::Pong(*conn, payload.to_vec()),
        Event::Drain { conn } => Seen::Drain(*conn),
        Event::Dropped { conn, .. } => Seen::Dropped(*conn),
        Event::Close { conn, close, .. } => Seen::Close(*conn, close.code()),
        other => Seen::Other(format!("{other:?}")),
    }
}

impl Host {
    fn start(adjust: impl FnOnce(&mut Config)) -> Host {
        let (server, mut shards) = start(adjust);
        assert_eq!(shards.len(), 1);
        Host { server, shard: shards.remove(0) }
    }

    fn addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Turns the shard, answering each event by `answer`, until it has given what `done` waits for.
    fn drive<T>(
        &mut self,
        what: &str,
        mut answer: impl FnMut(&Event<'_>, &mut Outlet<'_>),
        mut done: impl FnMut(&Seen) -> Option<T>,
    ) -> T {
        let start = Instant::now();
        let mut result = None;
        while result.is_none() {
            assert!(start.elapsed() < PATIENCE, "no {what} in {PATIENCE:?}");
            let (events, mut outlet) = self.shard.turn(TICK).expect("a turn");
            for event in events {
                answer(&event, &mut outlet);
                let seen = seen(&event);
                result = result.or_else(|| done(&seen));
            }
        }
        // What the last answers queued leaves with the next turn.
        self.shard.turn(Some(Duration::ZERO)).expect("a turn");
        result.expect("the loop ended with it")
    }

    fn open(&mut self) -> (Wire, ConnId) {
        let mut wire = Wire::connect(self.addr());
        wire.send(request("/", ""));
        let id = self.drive("open", ignore, |seen| match seen {
            Seen::Open(id) => Some(*id),
            _ => None,
        });
        assert_eq!(wire.answer().status, 101);
        (wire, id)
    }
}

fn ignore(_: &Event<'_>, _: &mut Outlet<'_>) {}

fn echo(event: &Event<'_>, outlet: &mut Outlet<'_>) {
    if let Event::Message { conn, message } = event {
        outlet.send(*conn, *message).expect("room");
    }
}

fn close_of(wanted: ConnId) -> impl FnMut(&Seen) -> Option<u16> {
    move |seen| match seen {
        Seen::Close(id, code) if *id == wanted => Some(*code),
        _ => None,
    }
}

#[test]
fn a_turn_echoes() {
    let mut host = Host::start(|_| {});
    let (mut wire, id) = host.open();
    wire.frames([Frame::text("hello"), Frame::binary([1, 2, 3]), Frame::text("last")]);
    let mut all = Vec::new();
    host.drive(
        "last message",
        |event, outlet| {
            echo(event, outlet);
            all.push(seen(event));
        },
        |seen| matches!(seen, Seen::Text(_, text) if text == "last").then_some(()),
    );
    assert_eq!(
        all,
        [
            Seen::Text(id, "hello".to_owned()),
            Seen::Binary(id, vec![1, 2, 3]),
            Seen::Text(id, "last".to_owned())
        ]
    );
    wire.expect_text("hello");
    wire.expect(BINARY, [1, 2, 3]);
    wire.expect_text("last");
    wire.frame(Frame::close(1000, ""));
    assert_eq!(host.drive("close", ignore, close_of(id)), 1000);
    wire.expect_close(1000);
}

#[test]
fn a_batch_holds_the_messages_of_many_connections_side_by_side() {
    const WIRES: usize = 8;
    const EACH: usize = 20;
    let mut host = Host::start(|_| {});
    let mut wires: Vec<(Wire, ConnId)> = (0..WIRES).map(|_| host.open()).collect();
    for (at, (wire, _)) in wires.iter_mut().enumerate() {
        wire.frames((0..EACH).map(|i| Frame::text(format!("{at}: {i} {}", "x".repeat(i * 50)))));
    }
    let mut left = WIRES * EACH;
    let mut texts: Vec<(ConnId, String)> = Vec::new();
    let mut largest = 0;
    while left > 0 {
        let (events, mut outlet) = host.shard.turn(TICK).expect("a turn");
        largest = largest.max(events.len());
        // Gathered first: the payloads stay where they are until the next turn.
        let batch: Vec<Event<'_>> = events.into_iter().collect();
        for event in &batch {
            let Event::Message { conn, message: Message::Text(text) } = event else {
                panic!("{event:?}")
            };
            outlet.send(*conn, *text).expect("room");
            texts.push((*conn, (*text).to_owned()));
            left -= 1;
        }
    }
    host.shard.turn(Some(Duration::ZERO)).expect("a turn");
    assert!(largest >= EACH, "one read's messages come in one batch, not {largest}");
    for (at, (wire, id)) in wires.iter_mut().enumerate() {
        let expected: Vec<String> =
            (0..EACH).map(|i| format!("{at}: {i} {}", "x".repeat(i * 50))).collect();
        let of_this: Vec<&String> =
            texts.iter().filter(|(conn, _)| conn == id).map(|(_, text)| text).collect();
        assert_eq!(of_this, expected.iter().collect::<Vec<_>>());
        for text in &expected {
            wire.expect_text(text);
        }
    }
}

#[test]
fn messages_that_were_put_together_stay_whole_in_a_batch() {
    const SIZE: usize = 3 << 20;
    let mut host = Host::start(|config| {
        config.max_message_size = 4 << 20;
        config.max_outbox_bytes = 32 << 20;
    });
    let (wire, id) = host.open();
    // In pieces, in fragments, and larger than any read; from another thread, since the sockets do not hold it.
    let large = |fill: u8| -> Vec<u8> { (0..SIZE).map(|i| fill ^ (i as u8)).collect() };
    let (a, b) = (large(1), large(2));
    let sender = {
        let (a, b) = (a.clone(), b.clone());
        thread::spawn(move || {
            let mut wire = wire;
            wire.frame(Frame::binary(&a));
            wire.frames([
                Frame::binary(&b[..10]).more(),
                Frame::continuation(&b[10..SIZE / 2]).more(),
                Frame::continuation(&b[SIZE / 2..]),
                Frame::text("short").more(),
                Frame::continuation(" and put together"),
            ]);
            wire
        })
    };
    let mut expected = VecDeque::from([
        Seen::Binary(id, a),
        Seen::Binary(id, b),
        Seen::Text(id, "short and put together".to_owned()),
    ]);
    host.drive("three messages", ignore, |seen| {
        assert!(expected.pop_front().as_ref() == Some(seen), "another message");
        expected.is_empty().then_some(())
    });
    drop(sender.join().expect("the sender"));
}

#[test]
fn small_and_large_messages_of_one_batch_keep_their_payloads() {
    // Each turn may hold payloads of three kinds: whole in the read buffer, begun in an earlier read, fragmented.
    let mut host = Host::start(|config| config.max_outbox_bytes = 32 << 20);
    let (wire, id) = host.open();
    let messages: Vec<Vec<u8>> = (0..300_usize)
        .map(|i| (0..(i * 7919) % 20_000).map(|at| (at * (i + 1)) as u8).collect())
        .collect();
    let sender = {
        let messages = messages.clone();
        thread::spawn(move || {
            let mut wire = wire;
            let bytes: Vec<u8> = messages
                .iter()
                .enumerate()
                .flat_map(|(i, payload)| {
                    if i % 3 == 0 {
                        let (head, tail) = payload.split_at(payload.len() / 2);
                        let mut bytes = Frame::binary(head).more().bytes();
                        bytes.extend(Frame::ping("between").bytes());
                        bytes.extend(Frame::continuation(tail).bytes());
                        bytes
                    } else {
                        Frame::binary(payload).bytes()
                    }
                })
                .collect();
            wire.send(bytes);
            wire
        })
    };
    let mut next = 0;
    host.drive("all messages", ignore, |seen| {
        let Seen::Binary(_, bytes) = seen else { panic!("{seen:?}") };
        assert!(*bytes == messages[next], "message {next}");
        next += 1;
        (next == messages.len()).then_some(())
    });
    let wire = sender.join().expect("the sender");
    wire.reset();
    assert_eq!(host.drive("close", ignore, close_of(id)), 1006);
}

#[test]
fn a_pong_in_pieces_keeps_its_payload() {
    let mut host = Host::start(|_| {});
    let (mut wire, id) = host.open();
    let bytes = Frame::pong("in three pieces").bytes();
    for piece in bytes.chunks(bytes.len() / 2) {
        wire.send(piece);
        // Read on its own, as far as the timing of sockets lets us say.
        host.shard.turn(TICK).expect("a turn");
    }
    wire.frames([Frame::pong("whole"), Frame::text("end")]);
    let mut pongs = Vec::new();
    // The pieces may have been handed over in the turns above, unseen; if so, only the second is checked here.
    host.drive(
        "the end",
        |event, _| pongs.push(seen(event)),
        |seen| matches!(seen, Seen::Text(..)).then_some(()),
    );
    assert!(pongs.contains(&Seen::Pong(id, b"whole".to_vec())), "{pongs:?}");
    drop(wire);

    // Once more, so that the first piece is certainly read before the second is sent.
    let (mut wire, id) = host.open();
    let bytes = Frame::pong("in two pieces").bytes();
    let mut first = Frame::text("first").bytes();
    first.extend(&bytes[..9]);
    wire.send(first);
    host.drive("the first", ignore, |seen| matches!(seen, Seen::Text(..)).then_some(()));
    wire.send(&bytes[9..]);
    let pong = host.drive("the pong", ignore, |seen| match seen {
        Seen::Pong(..) => Some(seen.clone()),
        _ => None,
    });
    assert_eq!(pong, Seen::Pong(id, b"in two pieces".to_vec()));
}

#[test]
fn a_turn_without_time_returns_at_once_and_empty() {
    let mut host = Host::start(|_| {});
    let (events, _) = host.shard.turn(Some(Duration::ZERO)).expect("a turn");
    assert!(events.is_empty());
}

#[test]
fn a_shard_that_is_not_turned_holds_its_peers_back() {
    let mut host = Host::start(|_| {});
    let (mut wire, _) = host.open();
    let bytes = Frame::binary(vec![1; 60_000]).bytes();
    let (mut sent, mut rest) = (0, Vec::new());
    while sent < 2000 {
        let taken = wire.send_while_taken(&bytes, Duration::from_millis(500));
        if taken < bytes.len() {
            rest = bytes[taken..].to_vec();
            break;
        }
        sent += 1;
    }
    assert!(!rest.is_empty(), "{sent} messages were taken though nobody turns the shard");
    let sender = thread::spawn(move || {
        wire.send(rest);
        wire.frame(Frame::text("end"));
        wire
    });
    let mut got = 0;
    host.drive("the end", ignore, |seen| match seen {
        Seen::Binary(_, bytes) => {
            assert_eq!(bytes.len(), 60_000);
            got += 1;
            None
        }
        _ => Some(()),
    });
    assert_eq!(got, sent + 1, "nothing is lost");
    drop(sender.join().expect("the sender"));
}

#[test]
fn replies_wait_for_a_reader_and_none_is_lost() {
    // An echo by batches whose reader reads nothing at first: reading pauses, sending never fails.
    let mut host = Host::start(|config| {
        config.max_outbox_bytes = 256 * 1024;
        config.write_timeout = Duration::ZERO;
    });
    let (mut wire, _) = host.open();
    const COUNT: usize = 1500;
    let client = thread::spawn(move || {
        let bytes = |i: usize| Frame::binary(vec![i as u8; 10_000 + i]).bytes();
        let (mut next, mut rest) = (0, Vec::new());
        while next < COUNT && rest.is_empty() {
            let message = bytes(next);
            let taken = wire.send_while_taken(&message, Duration::from_secs(1));
            rest = message[taken..].to_vec();
            next += 1;
        }
        for i in 0..COUNT {
            if i == next - 1 {
                wire.send(&rest);
            }
            if i >= next {
                wire.send(bytes(i));
            }
            wire.expect(BINARY, vec![i as u8; 10_000 + i]);
        }
    });
    let mut count = 0;
    host.drive("all messages", echo, |seen| {
        count += usize::from(matches!(seen, Seen::Binary(..)));
        (count == COUNT).then_some(())
    });
    // The last replies need turns to leave.
    let start = Instant::now();
    while !client.is_finished() {
        assert!(start.elapsed() < PATIENCE, "the client waits for replies");
        host.shard.turn(TICK).expect("a turn");
    }
    client.join().expect("the client");
}

#[test]
fn another_thread_wakes_a_turn_that_waits_for_ever() {
    let mut host = Host::start(|config| {
        // No timer ends the wait either.
        config.ping_interval = Duration::ZERO;
        config.pong_timeout = Duration::ZERO;
    });
    let (mut wire, id) = host.open();
    let handle = host.server.handle();
    let Host { server, mut shard } = host;
    let (sender, turned) = mpsc::channel();
    let driver = thread::spawn(move || {
        loop {
            let (events, mut outlet) = shard.turn(None).expect("a turn");
            for event in events {
                echo(&event, &mut outlet);
                if matches!(&event, Event::Message { message: Message::Text("stop"), .. }) {
                    return;
                }
            }
            let _ = sender.send(());
        }
    });
    for i in 0..20 {
        let text = format!("push {i}");
        handle.send(id, text.as_str()).expect("queued");
        wire.expect_text(&text);
    }
    handle.broadcast("to all").expect("queued");
    wire.expect_text("to all");
    assert!(turned.try_iter().count() > 0);
    wire.frame(Frame::text("stop"));
    driver.join().expect("the driver");
    drop(server);
}

#[test]
fn several_shards_reach_each_others_connections() {
    const SHARDS: usize = 3;
    const WIRES: usize = 9;
    let (server, shards) = start(|config| config.shards = SHARDS);
    assert_eq!(shards.len(), SHARDS);
    let (sender, opened) = mpsc::channel();
    let drivers: Vec<_> = shards
        .into_iter()
        .map(|mut shard| {
            let sender = sender.clone();
            thread::spawn(move || {
                let mut stopped = false;
                let mut served = 0;
                while !stopped {
                    let (events, mut outlet) = shard.turn(TICK).expect("a turn");
                    for event in events {
                        match event {
                            Event::Open { conn } => {
                                served += 1;
                                outlet.join(conn, "everyone").expect("open");
                                sender.send(conn).expect("the test waits");
                            }
                            Event::Message { message: Message::Text("stop"), .. } => {
                                stopped = true;
                            }
                            Event::Message { conn, message: Message::Text(text) } => {
                                match text.parse() {
                                    Ok(raw) => {
                                        let to = ConnId::from_raw(raw);
                                        outlet.send(to, "direct").expect("queued");
                                    }
                                    Err(_) => outlet.publish("everyone", text).expect("queued"),
                                }
                                outlet.send(conn, "done").expect("room");
                            }
                            _ => {}
                        }
                    }
                }
                let _ = shard.turn(Some(Duration::ZERO));
                served
            })
        })
        .collect();
    let addr = server.local_addr();
    let mut wires = Vec::new();
    let mut ids: Vec<ConnId> = Vec::new();
    for _ in 0..WIRES {
        wires.push(Wire::open_at(addr));
        ids.push(opened.recv_timeout(PATIENCE).expect("a shard opened it"));
    }
    // To each, from the first: of its own shard and of others.
    for at in 1..WIRES {
        wires[0].frame(Frame::text(ids[at].to_raw().to_string()));
        wires[0].expect_text("done");
        wires[at].expect_text("direct");
    }
    wires[1].frame(Frame::text("to the room"));
    for (at, wire) in wires.iter_mut().enumerate() {
        wire.expect_text("to the room");
        if at == 1 {
            wire.expect_text("done");
        }
    }
    // Everyone's shard must stop; a shard serves at least one of nine, since new ones go to the least loaded.
    let mut stopped = 0;
    for wire in &mut wires {
        if drivers.iter().all(|driver| driver.is_finished()) {
            break;
        }
        // A wire of a stopped shard is taken by the kernel and answered by nobody.
        let _ = wire.try_send(Frame::text("stop").bytes());
        stopped += 1;
    }
    assert!(stopped >= SHARDS);
    let served: Vec<usize> =
        drivers.into_iter().map(|driver| driver.join().expect("a driver")).collect();
    assert_eq!(served.iter().sum::<usize>(), WIRES);
    assert!(served.iter().all(|n| *n > 0), "every shard has some: {served:?}");
}

#[test]
fn timers_run_inside_turns() {
    let mut host = Host::start(|config| {
        config.ping_interval = Duration::from_millis(50);
        config.pong_timeout = Duration::from_millis(300);
        config.handshake_timeout = Duration::from_millis(200);
    });
    let mut half = Wire::connect(host.addr());
    half.send("GET / HTTP/1.1\r\n");
    let (mut wire, id) = host.open();
    assert_eq!(host.drive("close", ignore, close_of(id)), 1006);
    assert_eq!(wire.next_frame().opcode(), PING);
    // Driving on until the other has its 408, too.
    let start = Instant::now();
    let reader = thread::spawn(move || half.answer().status);
    while !reader.is_finished() {
        assert!(start.elapsed() < PATIENCE, "no 408");
        host.shard.turn(TICK).expect("a turn");
    }
    assert_eq!(reader.join().expect("the reader"), 408);
}

#[test]
fn an_outlet_answers_gone_for_who_has_left() {
    let mut host = Host::start(|_| {});
    let (wire, id) = host.open();
    wire.reset();
    host.drive("close", ignore, close_of(id));
    let handle = host.server.handle();
    let (_, mut outlet) = host.shard.turn(Some(Duration::ZERO)).expect("a turn");
    assert!(matches!(outlet.send(id, "stale"), Err(Error::Gone)));
    assert!(matches!(outlet.close(id, 1000, ""), Err(Error::Gone)));
    assert!(matches!(outlet.ping(id, b""), Err(Error::Gone)));
    assert!(matches!(outlet.join(id, "room"), Err(Error::Gone)));
    assert!(matches!(outlet.set_data(id, 1), Err(Error::Gone)));
    assert_eq!(outlet.data(id), None);
    assert!(matches!(handle.send(id, "stale"), Err(Error::Gone)));
}

#[test]
fn an_outlet_closes_pings_and_keeps_a_word() {
    let mut host = Host::start(|_| {});
    let (mut wire, id) = host.open();
    let (_, mut outlet) = host.shard.turn(Some(Duration::ZERO)).expect("a turn");
    outlet.set_data(id, 77).expect("open");
    assert_eq!(outlet.data(id), Some(77));
    assert_eq!(outlet.peer_addr(id), Some(wire.local_addr().into()));
    outlet.ping(id, b"hosted").expect("room");
    outlet.close(id, 4000, "done").expect("a valid code");
    host.shard.turn(Some(Duration::ZERO)).expect("a turn");
    wire.expect(PING, "hosted");
    assert_eq!(wire.expect_close(4000), "done");
    wire.frame(Frame::close(4000, ""));
    let mut word = 0;
    let code = host.drive(
        "close",
        |event, _| {
            if let Event::Close { data, .. } = event {
                word = *data;
            }
        },
        close_of(id),
    );
    assert_eq!((code, word), (4000, 77));
}

#[test]
fn a_host_decides_upgrades_in_its_batches() {
    let (server, mut shards) = Server::builder()
        .config(config(|_| {}))
        .decide_upgrades(true)
        .start_hosted()
        .expect("the server starts");
    let mut host = Host { server, shard: shards.remove(0) };
    let mut yes = Wire::connect(host.addr());
    yes.send(request("/yes", ""));
    let mut no = Wire::connect(host.addr());
    no.send(request("/no", ""));
    let mut opened = None;
    let mut decided = 0;
    let start = Instant::now();
    while decided < 2 || opened.is_none() {
        assert!(start.elapsed() < PATIENCE, "{decided} decided, opened: {opened:?}");
        let (events, mut outlet) = host.shard.turn(TICK).expect("a turn");
        for event in events {
            match event {
                Event::Upgrade { conn, request } => {
                    let upgrade = match request.path() {
                        "/yes" => Upgrade::accept().header("X-Decided", "yes").data(5),
                        _ => Upgrade::reject(Response::new(403)),
                    };
                    outlet.accept(conn, upgrade).expect("to be decided");
                    decided += 1;
                }
                Event::Open { conn } => opened = Some(conn),
                other => panic!("{other:?}"),
            }
        }
    }
    let id = opened.expect("the loop ended with it");
    let (_, outlet) = host.shard.turn(Some(Duration::ZERO)).expect("a turn");
    assert_eq!(outlet.data(id), Some(5));
    assert_eq!(yes.answer().header("x-decided"), Some("yes"));
    assert_eq!(no.answer().status, 403);
}

#[test]
fn a_shutdown_drains_through_turns_and_ends_them() {
    let mut host = Host::start(|_| {});
    let (mut wire, id) = host.open();
    host.server.shutdown(Duration::from_secs(20));
    let start = Instant::now();
    let mut code = None;
    let client = thread::spawn(move || {
        wire.expect_close(1001);
        wire.frame(Frame::close(1001, ""));
        wire.expect_fin();
    });
    let error = loop {
        assert!(start.elapsed() < PATIENCE, "turns do not end");
        match host.shard.turn(TICK) {
            Ok((events, _)) => {
                code = code.or_else(|| events.iter().find_map(|e| close_of(id)(&seen(&e))))
            }
            Err(e) => break e,
        }
    };
    assert!(matches!(error, Error::ShutDown), "{error}");
    assert_eq!(code, Some(1001));
    client.join().expect("the client");
}

#[test]
fn a_shard_that_is_dropped_cuts_its_connections() {
    let mut host = Host::start(|_| {});
    let (mut wire, _) = host.open();
    drop(host.shard);
    wire.expect_end();
}

#[test]
fn a_handler_in_hosted_mode_is_an_error() {
    struct Silent;
    impl wspoll::Handler for Silent {}
    let started = Server::builder().config(config(|_| {})).handler(Silent).start_hosted();
    assert!(matches!(started.err(), Some(Error::InvalidSetting(_))));
}

#[cfg(all(unix, not(polling_test_poll_backend)))]
#[test]
fn a_shards_descriptor_is_readable_when_a_turn_has_something_to_do() {
    use std::os::fd::AsFd;

    // As a host does that waits in a loop of its own, here smol's.
    let mut host = Host::start(|config| {
        config.ping_interval = Duration::ZERO;
        config.pong_timeout = Duration::ZERO;
    });
    let (mut wire, id) = host.open();
    let handle = host.server.handle();
    let descriptor = host.shard.as_fd().try_clone_to_owned().expect("a duplicate");
    let descriptor = smol::Async::new_nonblocking(descriptor).expect("watched");
    for round in 0..6 {
        // Until there is nothing to do, as far as the shard knows.
        while host.shard.timeout().is_some() {
            host.shard.turn(Some(Duration::ZERO)).expect("a turn");
        }
        let from_outside = round % 2 == 0;
        if from_outside {
            handle.send(id, "from outside").expect("queued");
        } else {
            wire.frame(Frame::text("from the peer"));
        }
        support::peer::within(descriptor.readable()).expect("readable");
        if from_outside {
            // Nothing else is going on: this turn is about the message.
            host.shard.turn(Some(Duration::ZERO)).expect("a turn");
            host.shard.flush();
            wire.expect_text("from outside");
        } else {
            host.drive("the text", ignore, |seen| matches!(seen, Seen::Text(..)).then_some(()));
        }
    }
}

#[test]
fn a_flush_sends_at_once() {
    let mut host = Host::start(|_| {});
    let (mut wire, id) = host.open();
    host.shard.outlet().send(id, "now").expect("room");
    host.shard.flush();
    wire.expect_text("now");
}

#[test]
fn a_reset_met_by_a_reply_is_reported_of_the_right_connection() {
    let mut host = Host::start(|_| {});
    let (mut wire, conn) = host.open();
    wire.frame(Frame::text("hello"));
    // The reset is there before the next turn, which sends the reply before it looks: on loopback it arrives within the
    // call that sends it.
    let mut wire = Some(wire);
    let answer = |event: &Event<'_>, outlet: &mut Outlet<'_>| {
        if let Event::Message { conn, message } = event {
            wire.take().expect("one message").reset();
            outlet.send(*conn, *message).expect("it is open");
        }
    };
    let ended = host.drive("close", answer, |seen| match seen {
        Seen::Close(conn, _) => Some(*conn),
        _ => None,
    });
    assert_eq!(ended, conn);
}

#[test]
fn a_paused_connection_is_not_read_until_it_is_resumed() {
    let mut host = Host::start(|_| {});
    let (mut wire, conn) = host.open();
    host.shard.outlet().pause(conn).expect("it is open");
    wire.frame(Frame::text("wait"));
    let end = Instant::now() + Duration::from_millis(100);
    while Instant::now() < end {
        let (events, _) = host.shard.turn(TICK).expect("a turn");
        assert!(events.is_empty(), "it was read");
    }
    // What it is sent leaves all the same.
    host.shard.outlet().send(conn, "meanwhile").expect("it is open");
    host.shard.turn(Some(Duration::ZERO)).expect("a turn");
    wire.expect_text("meanwhile");
    host.shard.outlet().resume(conn).expect("it is open");
    let text = host.drive(
        "message",
        |_, _| {},
        |seen| match seen {
            Seen::Text(_, text) => Some(text.clone()),
            _ => None,
        },
    );
    assert_eq!(text, "wait");
    assert!(host.shard.outlet().pause(ConnId::from_raw(u64::MAX)).is_err());
}

#[test]
#[cfg_attr(
    any(wspoll_edge, not(any(target_os = "linux", target_os = "android", windows))),
    ignore = "kqueue tells of a reset only with reading or writing, so it is noticed when reading goes on"
)]
fn a_paused_connection_whose_peer_resets_it_ends() {
    let mut host = Host::start(|_| {});
    let (wire, conn) = host.open();
    host.shard.outlet().pause(conn).expect("it is open");
    wire.reset();
    assert_eq!(host.drive("close", ignore, close_of(conn)), 1006);
    // Nothing is left that would end a wait at once, again and again.
    let turns = || host.server.stats().shards[0].turns;
    let before = turns();
    let end = Instant::now() + Duration::from_millis(200);
    while Instant::now() < end {
        let (events, _) = host.shard.turn(Some(Duration::from_millis(100))).expect("a turn");
        assert!(events.is_empty());
    }
    assert!(turns() - before < 10, "{} turns", turns() - before);
}
