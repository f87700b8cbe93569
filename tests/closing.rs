//! The end of a connection (RFC 6455 §7): both sides' codes, the order of the frames, and ends without a handshake.

mod support;

use std::time::Duration;

use support::frame::CLOSE;
use support::{End, Frame, Probe, Seen, Wire};
use wspoll::Error;

const NEVER: Duration = Duration::from_secs(600);

/// A server that closes with `code` and `reason` when told to by a text `close`, and echoes else.
fn closing(code: u16, reason: &'static str) -> Probe {
    Probe::new().on_message(move |conn, message| {
        if message.payload() == b"close" {
            conn.close(code, reason).expect("a valid code");
        } else {
            conn.send(message).expect("room");
        }
    })
}

#[test]
fn the_peers_close_is_answered_with_its_code_and_then_fin() {
    let mut server = Probe::echo().start();
    let mut wire = Wire::open(&server);
    wire.frame(Frame::close(1000, "bye"));
    wire.expect_close(1000);
    wire.expect_fin();
    let end = server.events.closed();
    assert_eq!(
        end,
        End {
            code: 1000,
            sent: Some(1000),
            received: Some(1000),
            reason: "bye".to_owned(),
            clean: true
        }
    );
}

#[test]
fn a_close_without_code_is_1005() {
    let mut server = Probe::echo().start();
    let mut wire = Wire::open(&server);
    wire.frame(Frame::close_without_code());
    let answer = wire.next_frame();
    assert!(
        answer.payload.is_empty() || answer.close_code().0 == 1000,
        "1005 never goes on the wire: {answer:?}"
    );
    wire.expect_fin();
    let end = server.events.closed();
    assert_eq!((end.code, end.reason.as_str(), end.clean), (1005, "", true));
}

#[test]
fn codes_that_a_peer_may_send_are_taken() {
    let mut server = Probe::echo().start();
    let defined = (1000..=1003).chain(1007..=1014);
    for code in defined.chain([3000, 3999, 4000, 4999]) {
        let mut wire = Wire::open(&server);
        wire.frame(Frame::close(code, ""));
        wire.expect_close(code);
        wire.expect_fin();
        let end = server.events.closed();
        assert_eq!((end.code, end.received, end.clean), (code, Some(code), true));
    }
}

#[test]
fn codes_that_a_peer_may_not_send_are_refused_with_1002() {
    let mut server = Probe::echo().start_with(|config| config.close_timeout = NEVER);
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        let mut wire = Wire::open(&server);
        wire.frame(Frame::close(code, ""));
        assert_eq!(wire.next_frame().close_code().0, 1002, "code {code}");
        wire.expect_fin();
        let end = server.events.closed();
        assert_eq!((end.sent, end.clean), (Some(1002), false), "code {code}");
    }
}

#[test]
fn a_close_payload_of_one_byte_is_refused_with_1002() {
    let server = Probe::echo().start_with(|config| config.close_timeout = NEVER);
    let mut wire = Wire::open(&server);
    wire.frame(Frame::new(CLOSE, [3]));
    wire.expect_failed(1002);
}

#[test]
fn a_reason_that_is_not_utf8_is_refused_with_1007() {
    let server = Probe::echo().start_with(|config| config.close_timeout = NEVER);
    for reason in [&b"\xff"[..], b"cut \xe2\x82"] {
        let mut wire = Wire::open(&server);
        wire.frame(Frame::new(CLOSE, [&1000_u16.to_be_bytes()[..], reason].concat()));
        wire.expect_failed(1007);
    }
}

#[test]
fn a_reason_of_123_bytes_is_taken_and_sent() {
    const REASON: &str = match str::from_utf8(&[b'r'; 123]) {
        Ok(reason) => reason,
        Err(_) => unreachable!(),
    };
    let mut server = closing(4000, REASON).start();
    let mut wire = Wire::open(&server);
    wire.frame(Frame::text("close"));
    assert_eq!(wire.expect_close(4000), REASON);
    wire.frame(Frame::close(1000, REASON));
    wire.expect_fin();
    assert_eq!(server.events.closed().reason, REASON);
}

#[test]
fn what_came_before_a_close_is_answered_first() {
    let mut server = Probe::echo().start();
    let mut wire = Wire::open(&server);
    let texts: Vec<String> = (0..100).map(|i| format!("text {i}")).collect();
    let frames = texts.iter().map(Frame::text).chain([Frame::close(1001, "leaving")]);
    wire.frames(frames);
    for text in &texts {
        wire.expect_text(text);
    }
    wire.expect_close(1001);
    wire.expect_fin();
    assert_eq!(server.events.closed().reason, "leaving");
}

#[test]
fn what_comes_after_a_close_is_ignored() {
    let mut server = Probe::echo().start();
    let mut wire = Wire::open(&server);
    wire.frames([Frame::close(1000, ""), Frame::text("too late"), Frame::ping("too late")]);
    wire.expect_close(1000);
    wire.expect_end();
    assert!(server.events.closed().clean);
    assert!(server.events.none(|seen| matches!(seen, Seen::Text(..))));
}

#[test]
fn the_servers_close_waits_for_the_peers_and_hears_its_code() {
    let mut server = closing(4001, "go").start_with(|config| config.close_timeout = NEVER);
    let mut wire = Wire::open(&server);
    wire.frame(Frame::text("close"));
    assert_eq!(wire.expect_close(4001), "go");
    assert!(server.events.none(|seen| matches!(seen, Seen::Close(..))), "not over yet");
    wire.frame(Frame::close(1000, "as you wish"));
    wire.expect_fin();
    let end = server.events.closed();
    assert_eq!(
        end,
        End {
            // RFC 6455 §7.1.5: the code of the first close frame that was received.
            code: 1000,
            sent: Some(4001),
            received: Some(1000),
            reason: "as you wish".to_owned(),
            clean: true
        }
    );
}

#[test]
fn what_was_sent_before_the_servers_close_arrives_before_it() {
    let server = Probe::new()
        .on_open(|conn| {
            for i in 0..1000 {
                conn.send(format!("text {i}").as_str()).expect("room");
            }
            conn.close(1000, "").expect("a valid code");
        })
        .start();
    let mut wire = Wire::open(&server);
    for i in 0..1000 {
        wire.expect_text(&format!("text {i}"));
    }
    wire.expect_close(1000);
    wire.frame(Frame::close(1000, ""));
    wire.expect_fin();
}

#[test]
fn a_peer_that_never_answers_a_close_is_left_after_the_close_timeout() {
    let mut server =
        closing(4001, "go").start_with(|config| config.close_timeout = Duration::from_millis(200));
    let mut wire = Wire::open(&server);
    wire.frame(Frame::text("close"));
    wire.expect_close(4001);
    let end = server.events.closed();
    assert_eq!((end.code, end.sent, end.received, end.clean), (1006, Some(4001), None, false));
    wire.expect_end();
}

#[test]
fn a_peer_that_never_closes_its_side_is_left_after_the_close_timeout() {
    let mut server =
        Probe::echo().start_with(|config| config.close_timeout = Duration::from_millis(200));
    let mut wire = Wire::open(&server);
    wire.frame(Frame::close(1000, ""));
    wire.expect_close(1000);
    wire.expect_fin();
    // We keep our side open: the server lets go of the connection all the same.
    assert!(server.events.closed().clean);
    support::eventually("no connection left", || server.handle.connections(), |n| *n == 0);
}

#[test]
fn a_fin_without_close_frame_is_1006() {
    let mut server = Probe::echo().start();
    let mut wire = Wire::open(&server);
    wire.echo("hello");
    drop(wire);
    let end = server.events.closed();
    assert_eq!((end.code, end.received, end.clean), (1006, None, false));
}

#[test]
fn a_reset_is_1006() {
    let mut server = Probe::echo().start();
    let mut wire = Wire::open(&server);
    wire.echo("hello");
    wire.reset();
    let end = server.events.closed();
    assert_eq!((end.code, end.received, end.clean), (1006, None, false));
}

#[test]
fn a_fin_inside_a_frame_is_1006_and_delivers_nothing() {
    let mut server = Probe::echo().start();
    let mut wire = Wire::open(&server);
    let bytes = Frame::text("never whole").bytes();
    wire.send(&bytes[..bytes.len() - 1]);
    wire.send_fin();
    assert_eq!(server.events.closed().code, 1006);
    assert!(server.events.none(|seen| matches!(seen, Seen::Text(..))));
    wire.expect_end();
}

#[test]
fn a_half_closed_peer_still_gets_its_answers() {
    let mut server = Probe::echo().start();
    let mut wire = Wire::open(&server);
    wire.frames([Frame::text("last words"), Frame::ping("and a ping")]);
    wire.send_fin();
    let mut payloads = [wire.next_frame().payload, wire.next_frame().payload];
    payloads.sort();
    assert_eq!(payloads, [b"and a ping".to_vec(), b"last words".to_vec()]);
    wire.expect_end();
    assert_eq!(server.events.closed().code, 1006);
}

#[test]
fn both_may_close_at_once() {
    let mut server = closing(4001, "server").start();
    let mut wire = Wire::open(&server);
    // In one segment: when the handler closes, the peer's close frame is there already.
    wire.frames([Frame::text("close"), Frame::close(4002, "peer")]);
    wire.expect_close(4001);
    wire.expect_fin();
    let end = server.events.closed();
    assert_eq!((end.sent, end.received, end.clean), (Some(4001), Some(4002), true));
}

#[test]
fn each_connection_opens_once_and_closes_once() {
    let mut server = closing(4001, "").start();
    for i in 0..20 {
        let mut wire = Wire::open(&server);
        wire.echo("hello");
        match i % 4 {
            0 => wire.close(1000),
            1 => wire.reset(),
            2 => drop(wire),
            _ => {
                wire.frame(Frame::text("close"));
                wire.expect_close(4001);
                wire.frame(Frame::close(4001, ""));
                wire.expect_fin();
            }
        }
    }
    support::eventually("no connection left", || server.handle.connections(), |n| *n == 0);
    let mut opened = Vec::new();
    let mut closed = Vec::new();
    for _ in 0..20 {
        opened.push(server.events.opened());
        closed.push(server.events.find("close", |seen| match seen {
            Seen::Close(id, _) => Some(*id),
            _ => None,
        }));
    }
    opened.sort();
    closed.sort();
    assert_eq!(opened, closed);
    assert!(server.events.none(|seen| matches!(seen, Seen::Open(_) | Seen::Close(..))));
}

#[test]
fn a_handler_may_close_in_on_open() {
    let mut server =
        Probe::new().on_open(|conn| conn.close(4003, "full").expect("a valid code")).start();
    let mut wire = Wire::open(&server);
    assert_eq!(wire.expect_close(4003), "full");
    wire.frame(Frame::close(4003, ""));
    wire.expect_fin();
    assert!(server.events.closed().clean);
}

#[test]
fn another_thread_may_close() {
    let mut server = Probe::echo().start();
    let mut wire = Wire::open(&server);
    let id = server.events.opened();
    server.handle.close(id, 4005, "kicked").expect("queued");
    assert_eq!(wire.expect_close(4005), "kicked");
    wire.frame(Frame::close(4005, ""));
    wire.expect_fin();
    let end = server.events.closed_of(id);
    assert_eq!((end.sent, end.received, end.clean), (Some(4005), Some(4005), true));
}

#[test]
fn codes_and_reasons_that_may_not_be_sent_are_an_error() {
    let mut server = Probe::new()
        .on_open(|conn| {
            for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
                let error = conn.close(code, "").expect_err("no such code on the wire");
                assert!(matches!(error, Error::InvalidArgument(_)), "{code}: {error}");
            }
            let error = conn.close(1000, &"r".repeat(124)).expect_err("too long");
            assert!(matches!(error, Error::InvalidArgument(_)), "{error}");
            conn.send("unharmed").expect("room");
        })
        .start();
    let mut wire = Wire::open(&server);
    wire.expect_text("unharmed");
    let id = server.events.opened();
    assert!(matches!(server.handle.close(id, 1006, ""), Err(Error::InvalidArgument(_))));
    assert!(matches!(
        server.handle.close(id, 1000, &"r".repeat(124)),
        Err(Error::InvalidArgument(_))
    ));
    wire.close(1000);
}

#[test]
fn nothing_is_sent_after_a_close() {
    let server = Probe::new()
        .on_message(|conn, _| {
            conn.close(1000, "").expect("a valid code");
            assert!(conn.send("after").is_err());
            assert!(conn.ping(b"after").is_err());
            // The first close stands.
            let _ = conn.close(4000, "second");
        })
        .start();
    let mut wire = Wire::open(&server);
    wire.frame(Frame::text("close"));
    wire.expect_close(1000);
    wire.frame(Frame::close(1000, ""));
    wire.expect_fin();
}
