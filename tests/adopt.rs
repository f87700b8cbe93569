//! Sockets that the host accepted itself, before or after their upgrade.

mod support;

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use support::probe::config;
use support::wire::request;
use support::{Frame, Wire};
use wspoll::{Adopted, Config, Conn, Error, Event, Handler, Message, Server};

/// Echoes, and says to who comes what it knows of them.
struct Echo;

impl Handler for Echo {
    fn on_open(&self, conn: &mut Conn<'_>) {
        let hello = format!("{} {}", conn.data(), conn.subprotocol().unwrap_or("-"));
        conn.send(&hello).expect("room for a greeting");
    }

    fn on_message(&self, conn: &mut Conn<'_>, message: Message<'_>) {
        conn.send(message).expect("room for an echo");
    }
}

/// A server that listens on nothing.
fn start(adjust: impl FnOnce(&mut Config)) -> Server {
    let mut config = config(adjust);
    config.listen.clear();
    Server::builder().config(config).handler(Echo).start().expect("the server starts")
}

/// A client, and the host's end of its connection.
fn pair() -> (Wire, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let wire = Wire::connect(listener.local_addr().expect("its address"));
    (wire, listener.accept().expect("the client").0)
}

#[test]
fn a_socket_whose_request_is_unread_is_served_like_any_other() {
    let server = start(|_| {});
    let (mut wire, stream) = pair();
    server.handle().adopt(Adopted::request(stream)).expect("it is taken");
    wire.send(request("/", ""));
    assert_eq!(wire.answer().status, 101);
    wire.expect_text("0 -");
    wire.echo("hello");
    wire.close(1000);
}

#[test]
fn a_request_that_was_read_wholly_or_partly_is_answered() {
    let server = start(|_| {});
    let text = request("/", "");
    for (early, late) in
        [text.split_at(text.len()), text.split_at(10), text.split_at(text.len() - 1)]
    {
        let (mut wire, stream) = pair();
        server.handle().adopt(Adopted::request(stream).early(early)).expect("it is taken");
        wire.send(late);
        assert_eq!(wire.answer().status, 101);
        wire.expect_text("0 -");
        wire.close(1000);
    }
}

#[test]
fn what_came_behind_the_request_is_not_lost() {
    let server = start(|_| {});
    let (mut wire, stream) = pair();
    let early = [request("/", "").into_bytes(), Frame::text("early").bytes()].concat();
    server.handle().adopt(Adopted::request(stream).early(early)).expect("it is taken");
    assert_eq!(wire.answer().status, 101);
    wire.expect_text("0 -");
    wire.expect_text("early");
    wire.close(1000);
}

#[test]
fn an_upgraded_socket_is_open_at_once() {
    let server = start(|_| {});
    let (mut wire, stream) = pair();
    let frame = Frame::text("early").bytes();
    let (early, late) = frame.split_at(3);
    let adopted = Adopted::upgraded(stream).early(early).subprotocol("chat").data(7);
    server.handle().adopt(adopted).expect("it is taken");
    wire.expect_text("7 chat");
    wire.send(late);
    wire.expect_text("early");
    assert_eq!(server.handle().connections(), 1);
    wire.close(1000);
}

#[test]
fn a_hosted_shard_opens_them_too() {
    let mut config = config(|config| config.shards = 1);
    config.listen.clear();
    let (server, mut shards) = Server::builder().config(config).start_hosted().expect("a server");
    let mut wires = Vec::new();
    // More early bytes than one turn's buffer has room for.
    let frame = Frame::binary(vec![1; 60_000]).bytes();
    for data in 1..=20 {
        let (wire, stream) = pair();
        let adopted = Adopted::upgraded(stream).data(data).early(frame.as_slice());
        server.handle().adopt(adopted).expect("it is taken");
        wires.push(wire);
    }
    let (mut opened, mut messages) = (Vec::new(), 0);
    while messages < wires.len() {
        let (events, mut outlet) = shards[0].turn(Some(Duration::from_secs(1))).expect("a turn");
        for event in events.iter() {
            match event {
                Event::Open { conn } => opened.extend(outlet.data(conn)),
                Event::Message { conn, message } => {
                    messages += 1;
                    outlet.send(conn, message).expect("an echo");
                }
                other => panic!("{other:?}"),
            }
        }
    }
    shards[0].flush();
    opened.sort_unstable();
    assert_eq!(opened, (1..=20).collect::<Vec<_>>());
    wires.iter_mut().for_each(|wire| wire.expect(support::frame::BINARY, vec![1; 60_000]));
}

#[test]
fn limits_count_them() {
    let server = start(|config| config.max_connections = 1);
    let (mut first, stream) = pair();
    server.handle().adopt(Adopted::upgraded(stream)).expect("there is room for one");
    first.expect_text("0 -");
    let (mut second, stream) = pair();
    server.handle().adopt(Adopted::request(stream)).expect("it is taken, to be refused");
    second.expect_refusal(503);
    let (mut third, stream) = pair();
    let refused = server.handle().adopt(Adopted::upgraded(stream));
    assert!(matches!(refused, Err(Error::Backpressure)), "{refused:?}");
    third.expect_end();
    let (_, stream) = pair();
    let long = server.handle().adopt(Adopted::request(stream).early(vec![0; 200_000]));
    assert!(matches!(long, Err(Error::InvalidArgument(_))), "{long:?}");
}

#[test]
fn nothing_is_taken_after_the_end() {
    let server = start(|_| {});
    server.shutdown(Duration::ZERO);
    let (mut wire, stream) = pair();
    let refused = server.handle().adopt(Adopted::request(stream));
    assert!(matches!(refused, Err(Error::ShutDown)), "{refused:?}");
    wire.expect_end();
}
