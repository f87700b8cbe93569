//! A handler that panics: its connection ends with 1011, everything else goes on.

mod support;

use support::wire::request;
use support::{Frame, Probe, Running, Wire, eventually};

/// Echoes, and panics when told to.
fn fragile() -> Probe {
    Probe::new().on_message(|conn, message| {
        assert_ne!(message.payload(), b"panic", "a test's panic, as asked for");
        conn.send(message).expect("room");
    })
}

/// Expects that so many panics have been counted. Counts are shown at the end of a turn.
fn expect_panics(server: &Running, expected: u64) {
    let look = || server.handle.stats().total.panics;
    eventually("the panics to be counted", look, |seen| *seen >= expected);
    assert_eq!(look(), expected);
}

#[test]
fn a_panic_closes_its_connection_with_1011_and_no_other() {
    let mut server = fragile().start();
    let mut bystander = Wire::open(&server);
    server.events.opened();
    for round in 1..=3 {
        let mut wire = Wire::open(&server);
        let id = server.events.opened();
        wire.echo("fine so far");
        wire.frames([Frame::text("last echo"), Frame::text("panic"), Frame::text("ignored")]);
        wire.expect_text("last echo");
        wire.expect_close(1011);
        wire.frame(Frame::close(1011, ""));
        wire.expect_fin();
        let end = server.events.closed_of(id);
        assert_eq!(end.sent, Some(1011));
        expect_panics(&server, round);
        bystander.echo("undisturbed");
    }
    eventually("only the bystander", || server.handle.connections(), |n| *n == 1);
}

#[test]
fn a_panic_in_on_open_closes_with_1011() {
    let mut server = Probe::new().on_open(|_| panic!("a test's panic, as asked for")).start();
    let mut wire = Wire::open(&server);
    wire.expect_close(1011);
    wire.frame(Frame::close(1011, ""));
    wire.expect_fin();
    server.events.closed();
    expect_panics(&server, 1);
}

#[test]
fn a_panic_in_on_upgrade_is_answered_with_500() {
    let server = Probe::echo()
        .on_upgrade(|_, request| {
            assert_ne!(request.path(), "/panic", "a test's panic, as asked for");
            wspoll::Upgrade::accept()
        })
        .start();
    let mut wire = Wire::connect(server.addr);
    wire.send(request("/panic", ""));
    wire.expect_refusal(500);
    expect_panics(&server, 1);
    Wire::open(&server).echo("others are served");
}

#[test]
fn a_panic_in_on_request_is_answered_with_500() {
    let server = Probe::echo().on_request(|_| panic!("a test's panic, as asked for")).start();
    let mut wire = Wire::connect(server.addr);
    wire.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    wire.expect_refusal(500);
    expect_panics(&server, 1);
    Wire::open(&server).echo("others are served");
}

#[test]
fn a_panic_in_on_close_leaves_the_server_running() {
    let server = Probe::echo().on_close(|_| panic!("a test's panic, as asked for")).start();
    for round in 1..=3 {
        let mut wire = Wire::open(&server);
        wire.echo("hello");
        wire.close(1000);
        expect_panics(&server, round);
    }
    eventually("no connection left", || server.handle.connections(), |n| *n == 0);
}

#[test]
fn a_panic_during_a_shutdown_does_not_stop_it() {
    let server = Probe::echo().on_close(|_| panic!("a test's panic, as asked for")).start();
    let mut wires: Vec<Wire> = (0..5).map(|_| Wire::open(&server)).collect();
    for wire in &mut wires {
        wire.echo("hello");
    }
    // Returns, that is all.
    server.server.shutdown(std::time::Duration::ZERO);
}
