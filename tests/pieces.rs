//! Messages that are sent in pieces (RFC 6455 §5.4), and calls for many connections at once.

mod support;

use support::frame::{BINARY, CONTINUATION, PING, TEXT};
use support::{Probe, Wire};
use wspoll::{ConnId, Error, Message};

#[test]
fn a_message_leaves_as_its_pieces_become_known() {
    let mut server = Probe::new().start();
    let mut wire = Wire::open(&server);
    let id = server.events.opened();
    let handle = server.handle.clone();
    let mut stream = handle.begin(id, true).expect("it is open");
    stream.write("gr".as_bytes()).expect("a piece");
    let first = wire.next_frame();
    assert!(!first.is_final() && first.opcode() == TEXT && first.payload == b"gr", "{first:?}");
    // What is sent meanwhile waits, but for control frames.
    handle.send(id, "whole").expect("queued");
    handle.ping(id, b"p").expect("queued");
    assert_eq!(wire.next_frame().opcode(), PING);
    let letter = "ü".as_bytes();
    stream.write(&letter[..1]).expect("a piece that ends inside a character");
    let second = wire.next_frame();
    assert!(!second.is_final() && second.opcode() == CONTINUATION, "{second:?}");
    assert!(matches!(stream.end(), Err(Error::InvalidArgument(_))), "half a character");
    stream.write(&letter[1..]).expect("its other half");
    wire.next_frame();
    stream.end().expect("the end");
    let last = wire.next_frame();
    assert!(last.is_final() && last.opcode() == CONTINUATION && last.payload.is_empty());
    wire.expect_text("whole");
}

#[test]
fn a_message_that_is_given_up_ends_the_connection() {
    let mut server = Probe::new().start();
    let mut wire = Wire::open(&server);
    let id = server.events.opened();
    let mut stream = server.handle.begin(id, false).expect("it is open");
    drop(server.handle.begin(id, false).expect("nothing of this one is ever sent"));
    stream.write(b"half of").expect("a piece");
    wire.next_frame();
    drop(stream);
    wire.expect_close(1011);
}

#[test]
fn each_of_many_messages_has_its_own_answer() {
    let mut server = Probe::new().start();
    let mut wires = Vec::new();
    let ids = [0, 1].map(|_| {
        wires.push(Wire::open(&server));
        server.events.opened()
    });
    let nobody = ConnId::from_raw(0);
    let items = [
        (ids[0], Message::Text("a")),
        (nobody, Message::Text("b")),
        (ids[1], Message::Binary(b"c")),
        (ids[0], Message::Text("d")),
    ];
    let results = server.handle.send_each(&items);
    assert!(matches!(results[..], [Ok(()), Err(Error::Gone), Ok(()), Ok(())]), "{results:?}");
    wires[0].expect_text("a");
    wires[0].expect_text("d");
    wires[1].expect(BINARY, b"c");
}
