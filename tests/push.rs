//! Sending to one, to many, to a room and to all, from any thread and from inside a handler, over several shards.

mod support;

use std::sync::mpsc;
use std::thread;

use support::frame::BINARY;
use support::{Frame, Peer, Probe, Running, Seen, Wire, eventually};
use wspoll::{ConnId, Error, Message};

const SHARDS: usize = 3;

/// Joins a room by `join NAME`, leaves it by `leave NAME`, publishes by `publish NAME TEXT`, broadcasts by `all TEXT`.
fn rooms() -> Probe {
    Probe::new().on_message(|conn, message| {
        let text = std::str::from_utf8(message.payload()).expect("UTF-8").to_owned();
        let words: Vec<&str> = text.splitn(3, ' ').collect();
        match words[..] {
            ["join", room] => {
                conn.join(room).expect("joined");
            }
            ["leave", room] => {
                conn.leave(room);
            }
            ["publish", room, text] => conn.publish(room, text).expect("published"),
            ["all", text] => conn.broadcast(text).expect("broadcast"),
            _ => panic!("{text:?}"),
        }
        let _ = conn.send("done");
    })
}

/// `count` connections over several shards, with their ids.
fn connect(server: &mut Running, count: usize) -> (Vec<Wire>, Vec<ConnId>) {
    let pairs = (0..count).map(|_| {
        let wire = Wire::open(server);
        (wire, server.events.opened())
    });
    pairs.collect::<Vec<_>>().into_iter().unzip()
}

fn sharded(probe: Probe) -> Running {
    probe.start_with(|config| config.shards = SHARDS)
}

/// Says a command of [`rooms`] and waits until it is done; what the command itself sent must come before.
fn say(wire: &mut Wire, command: &str) {
    wire.frame(Frame::text(command));
    wire.expect_text("done");
}

/// Expects that nothing but `marker`, sent now to all, is there.
fn nothing_before_a_marker(server: &Running, wires: &mut [Wire], marker: &str) {
    server.handle.broadcast(marker).expect("queued");
    for wire in wires {
        wire.expect_text(marker);
    }
}

#[test]
fn a_message_reaches_the_one_it_is_sent_to() {
    let mut server = sharded(Probe::new());
    let (mut wires, ids) = connect(&mut server, 6);
    for (at, id) in ids.iter().enumerate() {
        server.handle.send(*id, format!("for {at}").as_str()).expect("queued");
        server.handle.send(*id, &[at as u8][..]).expect("queued");
    }
    for (at, wire) in wires.iter_mut().enumerate() {
        wire.expect_text(&format!("for {at}"));
        wire.expect(BINARY, [at as u8]);
    }
    nothing_before_a_marker(&server, &mut wires, "end");
    eventually("six to be counted", || server.handle.connections(), |n| *n == 6);
}

#[test]
fn ids_are_distinct() {
    let mut server = sharded(Probe::new());
    let (_wires, mut ids) = connect(&mut server, 50);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 50);
}

#[test]
fn a_message_reaches_the_many_it_is_sent_to() {
    let mut server = sharded(Probe::new());
    let (mut wires, ids) = connect(&mut server, 9);
    let even: Vec<ConnId> = ids.iter().copied().step_by(2).collect();
    assert_eq!(server.handle.send_many(&even, "even").expect("queued"), even.len());
    assert_eq!(server.handle.send_many(&[], "nobody").expect("queued"), 0);
    for wire in wires.iter_mut().step_by(2) {
        wire.expect_text("even");
    }
    nothing_before_a_marker(&server, &mut wires, "end");
}

#[test]
fn one_call_sends_a_message_to_each() {
    let mut server = sharded(Probe::new());
    let (mut wires, ids) = connect(&mut server, 9);
    let gone = wires.pop().expect("nine");
    gone.close(1000);
    server.events.closed_of(ids[8]);
    let texts: Vec<String> = (0..9).map(|at| format!("for {at}")).collect();
    let mut items: Vec<(ConnId, Message<'_>)> =
        ids.iter().zip(&texts).map(|(id, text)| (*id, text.as_str().into())).collect();
    items.push((ids[0], Message::Binary(b"and again")));
    let results = server.handle.send_each(&items);
    for (at, result) in results.iter().enumerate() {
        if at == 8 {
            assert!(matches!(result, Err(Error::Gone)), "{result:?}");
        } else {
            assert!(result.is_ok(), "{at}: {result:?}");
        }
    }
    for (wire, text) in wires.iter_mut().zip(&texts) {
        wire.expect_text(text);
    }
    wires[0].expect(BINARY, "and again");
    nothing_before_a_marker(&server, &mut wires, "end");
}

#[test]
fn a_broadcast_reaches_all() {
    let mut server = sharded(Probe::new());
    let (mut wires, _) = connect(&mut server, 9);
    server.handle.broadcast("to all").expect("queued");
    let bytes = vec![0xff; 40_000];
    server.handle.broadcast(&bytes[..]).expect("queued");
    for wire in &mut wires {
        wire.expect_text("to all");
        wire.expect(BINARY, &bytes);
    }
}

#[test]
fn a_room_reaches_its_members_until_they_leave() {
    let mut server = sharded(rooms());
    let (mut wires, ids) = connect(&mut server, 6);
    for wire in &mut wires[..4] {
        say(wire, "join red");
    }
    // Twice is once.
    say(&mut wires[0], "join red");
    say(&mut wires[5], "join blue");
    server.handle.publish("red", "one").expect("queued");
    server.handle.publish("blue", "two").expect("queued");
    server.handle.publish("nobody is here", "three").expect("queued");
    for wire in &mut wires[..4] {
        wire.expect_text("one");
    }
    wires[5].expect_text("two");

    say(&mut wires[0], "leave red");
    say(&mut wires[0], "leave red");
    say(&mut wires[4], "leave green");
    // From outside, too: orders of one thread are carried out in order.
    server.handle.leave(ids[1], "red").expect("queued");
    server.handle.join(ids[4], "red").expect("queued");
    server.handle.publish("red", "four").expect("queued");
    for at in [2, 3, 4] {
        wires[at].expect_text("four");
    }
    nothing_before_a_marker(&server, &mut wires, "end");
}

#[test]
fn a_room_forgets_who_has_gone() {
    let mut server = sharded(rooms());
    let (mut wires, _) = connect(&mut server, 6);
    for wire in &mut wires {
        say(wire, "join red");
    }
    for wire in wires.drain(..3) {
        wire.close(1000);
    }
    for _ in 0..3 {
        server.events.closed();
    }
    // New connections take the places of the old in the slabs, not in the room.
    let (mut newcomers, _) = connect(&mut server, 3);
    server.handle.publish("red", "still here?").expect("queued");
    for wire in &mut wires {
        wire.expect_text("still here?");
    }
    nothing_before_a_marker(&server, &mut newcomers, "end");
}

#[test]
fn a_handler_publishes_to_every_shard() {
    let mut server = sharded(rooms());
    let (mut wires, _) = connect(&mut server, 6);
    for wire in &mut wires {
        say(wire, "join red");
    }
    wires[0].frame(Frame::text("publish red hello"));
    wires[0].expect_text("hello");
    wires[0].expect_text("done");
    for wire in &mut wires[1..] {
        wire.expect_text("hello");
    }
    wires[1].frame(Frame::text("all everyone"));
    wires[1].expect_text("everyone");
    wires[1].expect_text("done");
    for at in [0, 2, 3, 4, 5] {
        wires[at].expect_text("everyone");
    }
}

#[test]
fn a_handler_sends_to_others_on_any_shard() {
    // The text is the id of the one it is for.
    let mut server = sharded(Probe::new().on_message(|conn, message| {
        let text = std::str::from_utf8(message.payload()).expect("UTF-8");
        let to = ConnId::from_raw(text.parse().expect("an id"));
        let from = conn.id().to_raw().to_string();
        conn.send_to(to, from.as_str()).expect("queued");
    }));
    let (mut wires, ids) = connect(&mut server, 6);
    for (at, wire) in wires.iter_mut().enumerate() {
        // To oneself as well.
        for to in &ids {
            wire.frame(Frame::text(to.to_raw().to_string()));
        }
        assert_eq!(server.events.text(), ids[0].to_raw().to_string(), "from {at}");
        for _ in 1..ids.len() {
            server.events.text();
        }
    }
    for wire in &mut wires {
        let mut senders: Vec<String> = (0..ids.len())
            .map(|_| String::from_utf8(wire.next_frame().payload).expect("UTF-8"))
            .collect();
        let mut expected: Vec<String> = ids.iter().map(|id| id.to_raw().to_string()).collect();
        senders.sort();
        expected.sort();
        assert_eq!(senders, expected);
    }
}

#[test]
fn one_threads_messages_arrive_in_its_order() {
    const THREADS: usize = 4;
    const EACH: usize = 300;
    let mut server = sharded(rooms());
    let (mut wires, ids) = connect(&mut server, 6);
    for wire in &mut wires {
        say(wire, "join red");
    }
    let threads: Vec<_> = (0..THREADS)
        .map(|name| {
            let (handle, ids) = (server.handle.clone(), ids.clone());
            thread::spawn(move || {
                for number in 0..EACH {
                    let text = format!("{name} {number}");
                    match number % 3 {
                        0 => handle.broadcast(text.as_str()),
                        1 => handle.publish("red", text.as_str()),
                        _ => handle.send_many(&ids, text.as_str()).map(drop),
                    }
                    .expect("room in the mailboxes");
                }
            })
        })
        .collect();
    for wire in &mut wires {
        let mut next = [0; THREADS];
        for _ in 0..THREADS * EACH {
            let text = String::from_utf8(wire.next_frame().payload).expect("UTF-8");
            let (name, number) = text.split_once(' ').expect("two words");
            let name: usize = name.parse().expect("a name");
            assert_eq!(number.parse(), Ok(next[name]), "thread {name}");
            next[name] += 1;
        }
        assert_eq!(next, [EACH; THREADS]);
    }
    for thread in threads {
        thread.join().expect("a sender");
    }
}

/// Rooms overlap, and every member of several hears what each thread says in each room in that thread's order.
#[test]
fn what_one_thread_says_in_a_room_arrives_in_order_at_every_member() {
    const THREADS: usize = 3;
    const ROOMS: usize = 4;
    const EACH: usize = 200;
    for merge in [0, 2] {
        let mut server = Probe::new().start_with(|config| {
            config.shards = SHARDS;
            config.push_merge = std::time::Duration::from_millis(merge);
        });
        let (mut wires, ids) = connect(&mut server, 7);
        // Each is in another set of rooms, by the bits of its number.
        let is_in = |at: usize, room: usize| (at + 1) >> (room % 3) & 1 == 1;
        let rooms_of = |at| (0..ROOMS).filter(move |room| is_in(at, *room));
        for (at, id) in ids.iter().enumerate() {
            for room in rooms_of(at) {
                server.handle.join(*id, &format!("room {room}")).expect("queued");
            }
        }
        let threads: Vec<_> = (0..THREADS)
            .map(|name| {
                let handle = server.handle.clone();
                thread::spawn(move || {
                    for number in 0..EACH {
                        for room in 0..ROOMS {
                            let text = format!("{name} {room} {number}");
                            handle.publish(&format!("room {room}"), text.as_str()).expect("room");
                        }
                    }
                })
            })
            .collect();
        for (at, wire) in wires.iter_mut().enumerate() {
            let mut next = [[0; ROOMS]; THREADS];
            for _ in 0..THREADS * EACH * rooms_of(at).count() {
                let text = String::from_utf8(wire.next_frame().payload).expect("UTF-8");
                let words: Vec<usize> =
                    text.split(' ').map(|word| word.parse().expect("a number")).collect();
                let [name, room, number] = words[..] else { panic!("{text}") };
                assert!(is_in(at, room), "{at} is not in {room}");
                assert_eq!(number, next[name][room], "thread {name} in room {room}");
                next[name][room] += 1;
            }
        }
        threads.into_iter().for_each(|thread| thread.join().expect("a sender"));
        nothing_before_a_marker(&server, &mut wires, "end");
    }
}

#[test]
fn a_handlers_reply_keeps_its_place_among_its_messages() {
    let server = sharded(Probe::new().on_message(|conn, message| {
        conn.send("before").expect("room");
        conn.broadcast(message).expect("queued");
        conn.send("after").expect("room");
    }));
    let mut wire = Wire::open(&server);
    wire.frame(Frame::text("between"));
    for text in ["before", "between", "after"] {
        wire.expect_text(text);
    }
}

#[test]
fn a_stale_id_is_gone_and_never_another() {
    let mut server = sharded(Probe::echo());
    let (mut wires, ids) = connect(&mut server, 6);
    for wire in wires.drain(..) {
        wire.close(1000);
    }
    for id in &ids {
        server.events.closed_of(*id);
    }
    eventually("nobody connected", || server.handle.connections(), |n| *n == 0);
    // They take the places of those that left.
    let (mut wires, newer) = connect(&mut server, 6);
    assert!(newer.iter().all(|id| !ids.contains(id)), "an id is not used again");
    for id in &ids {
        assert!(matches!(server.handle.send(*id, "stale"), Err(Error::Gone)));
        assert!(matches!(server.handle.ping(*id, b"stale"), Err(Error::Gone)));
        assert!(matches!(server.handle.close(*id, 1000, "stale"), Err(Error::Gone)));
        assert!(matches!(server.handle.join(*id, "red"), Err(Error::Gone)));
        assert!(matches!(server.handle.leave(*id, "red"), Err(Error::Gone)));
    }
    server.handle.publish("red", "stale").expect("queued");
    // To many: those that are there get it.
    let mixed = [ids[0], newer[0], ids[1], newer[1]];
    assert_eq!(server.handle.send_many(&mixed, "mixed").expect("queued"), 2);
    wires[0].expect_text("mixed");
    wires[1].expect_text("mixed");
    nothing_before_a_marker(&server, &mut wires, "end");
}

#[test]
fn ids_that_never_were_are_gone() {
    let mut server = sharded(Probe::new());
    let (mut wires, ids) = connect(&mut server, 1);
    for raw in [0, 1, u64::MAX, u64::MAX / 2, 1 << 63, ids[0].to_raw() ^ (1 << 40)] {
        let id = ConnId::from_raw(raw);
        if id == ids[0] {
            continue;
        }
        assert!(matches!(server.handle.send(id, "nobody"), Err(Error::Gone)), "{raw:#x}");
    }
    nothing_before_a_marker(&server, &mut wires, "end");
}

#[test]
fn a_handler_learns_that_another_is_gone() {
    let (sender, results) = mpsc::channel();
    let mut server = Probe::new()
        .on_message(move |conn, message| {
            let text = std::str::from_utf8(message.payload()).expect("UTF-8");
            let to = ConnId::from_raw(text.parse().expect("an id"));
            let _ = sender.send(matches!(conn.send_to(to, "hello"), Err(Error::Gone)));
        })
        .start();
    let gone = Wire::open(&server);
    let stale = server.events.opened();
    gone.close(1000);
    server.events.closed_of(stale);
    let mut wire = Wire::open(&server);
    wire.frame(Frame::text(stale.to_raw().to_string()));
    assert!(results.recv_timeout(support::PATIENCE).expect("the handler was called"));
}

#[test]
fn what_does_not_reach_a_connection_any_more_is_reported_as_dropped_or_gone() {
    let mut server = sharded(Probe::new());
    let (wires, ids) = connect(&mut server, 1);
    drop(wires);
    // Whether the shard has noticed or not: the call fails, or on_dropped or on_close follows.
    let sent = server.handle.send(ids[0], "into the void");
    server.events.closed_of(ids[0]);
    if let Err(e) = sent {
        assert!(matches!(e, Error::Gone), "{e}");
    }
}

#[test]
fn a_connection_carries_a_word_of_the_hosts() {
    let server = Probe::new()
        .on_open(|conn| conn.set_data(7))
        .on_message(|conn, _| {
            let before = conn.data();
            conn.set_data(before + 1);
            conn.send(before.to_string().as_str()).expect("room");
        })
        .start();
    let (mut a, mut b) = (Wire::open(&server), Wire::open(&server));
    for (wire, expected) in [(&mut a, "7"), (&mut b, "7")] {
        wire.frame(Frame::text("next"));
        wire.expect_text(expected);
    }
    a.frame(Frame::text("next"));
    a.expect_text("8");
}

#[test]
fn client_libraries_receive_a_broadcast_over_several_shards() {
    let mut server = sharded(Probe::echo());
    let mut peers: Vec<Peer> = (0..12).map(|_| Peer::open(server.addr)).collect();
    for _ in &peers {
        server.events.opened();
    }
    for number in 0..50 {
        server.handle.broadcast(number.to_string().as_str()).expect("queued");
    }
    for peer in &mut peers {
        for number in 0..50 {
            assert_eq!(peer.text(), number.to_string());
        }
        peer.echo("and back");
    }
}

#[test]
fn events_of_one_connection_come_in_order() {
    let mut server = sharded(Probe::new());
    let mut wire = Wire::open(&server);
    wire.frames((0..100).map(|i| Frame::text(i.to_string())));
    let id = server.events.opened();
    for i in 0..100 {
        assert_eq!(server.events.next(), Seen::Text(id, i.to_string()));
    }
    wire.close(1000);
    assert!(matches!(server.events.next(), Seen::Close(who, _) if who == id));
}
