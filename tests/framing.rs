//! Frames and messages (RFC 6455 §5 and §8): what is taken, in what order, and with which code the rest is refused.
//!
//! A refusal is a close frame and then FIN, with no answer from the peer (§7.1.7): the server here would wait a minute for one.

mod support;

use std::sync::mpsc;
use std::time::Duration;

use support::frame::{BINARY, CONTINUATION, PING, PONG, TEXT};
use support::{End, Frame, Peer, Probe, Running, Seen, Wire};
use wspoll::{Config, Fragment};

const MAX: usize = 64 * 1024;

fn settings(config: &mut Config) {
    config.max_message_size = MAX;
    config.close_timeout = Duration::from_secs(60);
}

fn server() -> Running {
    Probe::echo().start_with(settings)
}

/// Each of these, on a connection of its own, must be refused with `code`; others are served on.
fn all_refused(code: u16, cases: impl IntoIterator<Item = (&'static str, Vec<Frame>)>) {
    let mut server = server();
    let mut bystander = Wire::open(&server);
    server.events.opened();
    for (what, frames) in cases {
        let mut wire = Wire::open(&server);
        let id = server.events.opened();
        wire.frames(frames);
        let sent = wire.next_frame_but_pings();
        assert_eq!(sent.opcode(), support::frame::CLOSE, "{what}: {sent:?}");
        assert_eq!(sent.close_code().0, code, "{what}");
        wire.expect_fin();
        let end = server.events.closed_of(id);
        assert_eq!((end.sent, end.received, end.clean), (Some(code), None, false), "{what}");
    }
    assert!(
        server.events.none(|seen| matches!(seen, Seen::Text(..) | Seen::Binary(..))),
        "no part of a refused message reaches the handler"
    );
    bystander.echo("undisturbed");
}

#[test]
fn messages_of_every_length_form_come_back_in_their_shortest_form() {
    let server = server();
    let mut wire = Wire::open(&server);
    for length in [0, 1, 2, 124, 125, 126, 127, 128, 255, 256, 4096, 65_534, 65_535, MAX] {
        let text = "ä".repeat(length / 2) + &"x".repeat(length % 2);
        wire.frame(Frame::text(&text));
        // Frame::parse refuses a longer form than is needed.
        wire.expect(TEXT, &text);
        let bytes: Vec<u8> = (0..length).map(|i| (i * 7) as u8).collect();
        wire.frame(Frame::binary(&bytes));
        wire.expect(BINARY, &bytes);
    }
    wire.close(1000);
}

#[test]
fn a_client_library_echoes_large_and_small_messages_in_order() {
    let server = Probe::echo().start_with(|config| config.max_message_size = 4 << 20);
    let mut peer = Peer::open(server.addr);
    for length in [0, 1, 200, 70_000, 1 << 20, 4 << 20] {
        peer.echo(&"w".repeat(length));
    }
    peer.close();
}

#[test]
fn fragments_make_one_message() {
    let mut server = server();
    let mut wire = Wire::open(&server);
    wire.frames([
        Frame::text("one ").more(),
        Frame::continuation("").more(),
        Frame::continuation("two ").more(),
        Frame::continuation("three"),
    ]);
    wire.expect_text("one two three");
    wire.frames([Frame::binary([1]).more(), Frame::continuation([])]);
    wire.expect(BINARY, [1]);
    wire.frames([Frame::text("").more(), Frame::continuation("")]);
    wire.expect_text("");
    assert_eq!(server.events.text(), "one two three");
    assert_eq!(server.events.binary(), [1]);
    assert_eq!(server.events.text(), "");
}

#[test]
fn thousands_of_fragments_make_one_message() {
    let server = server();
    let mut wire = Wire::open(&server);
    let bytes: Vec<u8> = (0..MAX).map(|i| (i % 251) as u8).collect();
    let last = MAX - 1;
    wire.frames(bytes.iter().enumerate().map(|(at, byte)| {
        let frame =
            if at == 0 { Frame::binary([*byte]) } else { Frame::new(CONTINUATION, [*byte]) };
        if at == last { frame } else { frame.more() }
    }));
    wire.expect(BINARY, &bytes);
}

#[test]
fn control_frames_between_fragments_are_answered_at_once() {
    let mut server = server();
    let mut wire = Wire::open(&server);
    wire.frames([Frame::text("first ").more(), Frame::ping("between")]);
    wire.expect(PONG, "between");
    wire.frames([Frame::pong("unasked"), Frame::continuation("second ").more(), Frame::ping("")]);
    wire.expect(PONG, "");
    wire.frame(Frame::continuation("third"));
    wire.expect_text("first second third");
    let payload = server.events.find("pong", |seen| match seen {
        Seen::Pong(_, payload) => Some(payload.clone()),
        _ => None,
    });
    assert_eq!(payload, b"unasked");
    wire.frames([Frame::text("cut off").more(), Frame::close(1000, "")]);
    wire.expect_close(1000);
    wire.expect_fin();
}

#[test]
fn pings_are_answered_in_order_and_so_are_messages() {
    let server = server();
    let mut wire = Wire::open(&server);
    let names: Vec<String> = (0..200).map(|i| format!("number {i}")).collect();
    wire.frames(names.iter().flat_map(|name| [Frame::ping(name), Frame::text(name)]));
    let (mut pongs, mut texts) = (Vec::new(), Vec::new());
    for _ in 0..2 * names.len() {
        let frame = wire.next_frame();
        let payload = String::from_utf8(frame.payload.clone()).expect("UTF-8");
        match frame.opcode() {
            PONG => pongs.push(payload),
            TEXT => texts.push(payload),
            _ => panic!("neither pong nor text: {frame:?}"),
        }
    }
    assert_eq!(pongs, names);
    assert_eq!(texts, names);
}

#[test]
fn a_ping_holds_up_to_125_bytes() {
    let server = server();
    let mut wire = Wire::open(&server);
    let payload: Vec<u8> = (0..125).collect();
    wire.frame(Frame::ping(&payload));
    wire.expect(PONG, &payload);
}

#[test]
fn a_handlers_ping_reaches_the_peer_and_the_pong_the_handler() {
    let mut server =
        Probe::new().on_open(|conn| conn.ping(b"are you there?").expect("room for a ping")).start();
    let mut wire = Wire::open(&server);
    wire.expect(PING, "are you there?");
    wire.frame(Frame::pong("are you there?"));
    let id = server.events.opened();
    assert_eq!(server.events.next(), Seen::Pong(id, b"are you there?".to_vec()));
    server.handle.ping(id, b"from another thread").expect("queued");
    wire.expect(PING, "from another thread");
    let long = [b'x'; 126];
    assert!(server.handle.ping(id, &long).is_err(), "126 bytes fit no control frame");
}

#[test]
fn every_split_of_the_stream_gives_the_same_messages() {
    let server = server();
    let mut wire = Wire::open(&server);
    let frames = [
        Frame::text("grüße").more(),
        Frame::ping("p"),
        Frame::continuation("€"),
        Frame::binary([0, 255]),
        Frame::text("x".repeat(130)),
        Frame::close(4000, "done"),
    ];
    for frame in frames {
        for byte in frame.bytes() {
            wire.send([byte]);
        }
    }
    wire.expect(PONG, "p");
    wire.expect_text("grüße€");
    wire.expect(BINARY, [0, 255]);
    wire.expect_text(&"x".repeat(130));
    wire.expect_close(4000);
    wire.expect_fin();
}

#[test]
fn a_character_may_be_split_between_fragments() {
    let server = server();
    let mut wire = Wire::open(&server);
    for text in ["€", "😀", "a€b😀c", "\u{10ffff}", "\u{d7ff}\u{e000}"] {
        let bytes = text.as_bytes();
        let mut frames = vec![Frame::text(&bytes[..1]).more()];
        frames.extend(bytes[1..].iter().map(|byte| Frame::continuation([*byte]).more()));
        frames.push(Frame::continuation(""));
        wire.frames(frames);
        wire.expect_text(text);
    }
}

#[test]
fn a_text_that_is_not_utf8_is_refused_with_1007() {
    let cut_short: &[u8] = &[b'a', 0xe2, 0x82];
    let cases: Vec<(&'static str, Vec<Frame>)> = [
        ("a byte that never occurs", &b"a\xffb"[..]),
        ("a lone continuation byte", b"\x80"),
        ("an overlong slash", b"\xc0\xaf"),
        ("an overlong three bytes", b"\xe0\x80\xaf"),
        ("a surrogate", b"\xed\xa0\x80"),
        ("beyond U+10FFFF", b"\xf4\x90\x80\x80"),
        ("five bytes", b"\xf8\x88\x80\x80\x80"),
        ("a character cut short by another", b"\xe2\x82a"),
        ("a character cut short by the end", cut_short),
    ]
    .into_iter()
    .map(|(what, bytes)| (what, vec![Frame::text(bytes)]))
    .collect();
    all_refused(1007, cases);
    all_refused(
        1007,
        [("cut short by the end of the last fragment", {
            vec![Frame::text("a\u{e9}").more(), Frame::continuation(b"\xe2\x82")]
        })],
    );
}

#[test]
fn wrong_utf8_is_refused_before_the_message_ends() {
    all_refused(
        1007,
        [
            ("in the first fragment", vec![Frame::text(b"ok \xff").more()]),
            (
                "in a later one",
                vec![
                    Frame::text("ok").more(),
                    Frame::continuation("ok").more(),
                    Frame::continuation(b"\xc0").more(),
                ],
            ),
            ("across two", vec![Frame::text(b"\xf4").more(), Frame::continuation(b"\x90").more()]),
            (
                "across a ping",
                vec![
                    Frame::text(b"\xed").more(),
                    Frame::pong(""),
                    Frame::continuation(b"\xa0").more(),
                ],
            ),
        ],
    );
}

#[test]
fn wrong_utf8_is_refused_before_the_frame_ends() {
    let server = server();
    for (what, pieces) in [
        ("in the first piece", &[&b"ok \xff"[..]][..]),
        ("in a later piece", &[b"first", b"sec\xf8ond"]),
        ("across two pieces", &[b"\xf4", b"\x90"]),
    ] {
        let mut wire = Wire::open(&server);
        // The whole frame would be 1000 bytes; only these come, each in a segment of its own.
        let payload = pieces.concat();
        let bytes = Frame::text(&payload).claiming(1000).bytes();
        let header = bytes.len() - payload.len();
        wire.send(&bytes[..header]);
        let mut at = header;
        for piece in pieces {
            // A ping cannot be answered inside a frame, so nothing tells that the piece was taken; several segments
            // may be read as one, which must give the same.
            wire.send(&bytes[at..at + piece.len()]);
            at += piece.len();
        }
        assert_eq!(wire.next_frame().close_code().0, 1007, "{what}");
        wire.expect_fin();
    }
}

#[test]
fn binary_messages_may_hold_anything() {
    let server = server();
    let mut wire = Wire::open(&server);
    let all: Vec<u8> = (0..=255).collect();
    wire.frame(Frame::binary(&all));
    wire.expect(BINARY, &all);
    wire.frames([Frame::binary(b"\xff").more(), Frame::continuation(b"\xc0\xaf")]);
    wire.expect(BINARY, b"\xff\xc0\xaf");
}

#[test]
fn unmasked_frames_are_refused_with_1002() {
    all_refused(
        1002,
        [
            ("text", vec![Frame::text("clear").unmasked()]),
            ("empty text", vec![Frame::text("").unmasked()]),
            ("ping", vec![Frame::ping("clear").unmasked()]),
            ("close", vec![Frame::close(1000, "").unmasked()]),
            ("continuation", vec![Frame::text("a").more(), Frame::continuation("b").unmasked()]),
        ],
    );
}

#[test]
fn reserved_bits_are_refused_with_1002() {
    all_refused(
        1002,
        [
            ("RSV1 on text", vec![Frame::text("a").reserved(0x40)]),
            ("RSV2 on text", vec![Frame::text("a").reserved(0x20)]),
            ("RSV3 on binary", vec![Frame::binary("a").reserved(0x10)]),
            ("all on an empty text", vec![Frame::text("").reserved(0x70)]),
            ("RSV1 on ping", vec![Frame::ping("a").reserved(0x40)]),
            ("RSV1 on close", vec![Frame::close(1000, "").reserved(0x40)]),
            (
                "RSV1 on continuation",
                vec![Frame::text("a").more(), Frame::continuation("b").reserved(0x40)],
            ),
        ],
    );
}

#[test]
fn reserved_opcodes_are_refused_with_1002() {
    let opcodes = [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf];
    all_refused(1002, opcodes.map(|opcode| ("alone", vec![Frame::new(opcode, "payload")])));
    all_refused(
        1002,
        opcodes
            .map(|opcode| ("in a message", vec![Frame::text("a").more(), Frame::new(opcode, "")])),
    );
}

#[test]
fn frames_out_of_order_are_refused_with_1002() {
    all_refused(
        1002,
        [
            ("continues nothing", vec![Frame::continuation("a")]),
            ("continues nothing, more to come", vec![Frame::continuation("a").more()]),
            ("text inside a message", vec![Frame::text("a").more(), Frame::text("b")]),
            ("binary inside a message", vec![Frame::text("a").more(), Frame::binary("b").more()]),
            ("fragmented ping", vec![Frame::ping("a").more()]),
            ("fragmented pong", vec![Frame::pong("a").more()]),
            ("fragmented close", vec![Frame::close(1000, "").more()]),
        ],
    );
}

#[test]
fn a_second_start_after_a_whole_message_continues_nothing() {
    let server = server();
    let mut wire = Wire::open(&server);
    wire.frames([Frame::text("a").more(), Frame::continuation("b"), Frame::continuation("c")]);
    wire.expect_text("ab");
    wire.expect_failed(1002);
}

#[test]
fn control_frames_beyond_125_bytes_are_refused_with_1002() {
    all_refused(
        1002,
        [
            ("ping", vec![Frame::ping([0; 126])]),
            ("pong", vec![Frame::pong([0; 126])]),
            ("close", vec![Frame::close(1000, &"r".repeat(124))]),
            ("ping that claims it", vec![Frame::ping("").claiming(70_000)]),
        ],
    );
}

#[test]
fn lengths_in_a_longer_form_than_needed_are_refused_with_1002() {
    all_refused(
        1002,
        [
            ("5 in 16 bits", vec![Frame::text("hello").length_in_16_bits()]),
            ("125 in 16 bits", vec![Frame::binary([0; 125]).length_in_16_bits()]),
            ("5 in 64 bits", vec![Frame::text("hello").length_in_64_bits()]),
            ("65535 in 64 bits", vec![Frame::binary([0; 65_535]).length_in_64_bits()]),
            ("a ping in 16 bits", vec![Frame::ping("a").length_in_16_bits()]),
        ],
    );
}

#[test]
fn a_length_with_its_highest_bit_set_is_refused_with_1002() {
    all_refused(1002, [("2⁶³", vec![Frame::binary("").claiming(1 << 63)])]);
}

#[test]
fn a_message_beyond_the_limit_is_refused_with_1009() {
    let too_much = MAX as u64 + 1;
    let half = || Frame::binary(vec![0; MAX / 2]);
    all_refused(
        1009,
        [
            ("its header alone", vec![Frame::binary("").claiming(too_much)]),
            ("a gigabyte claimed", vec![Frame::text("").claiming(1 << 30)]),
            ("2⁶² claimed", vec![Frame::text("").claiming(1 << 62)]),
            (
                "fragments that add up",
                vec![
                    half().more(),
                    Frame::continuation(vec![0; MAX / 2]).more(),
                    Frame::continuation([0]),
                ],
            ),
            (
                "a fragment whose header says so",
                vec![half().more(), Frame::continuation("").claiming(MAX as u64 / 2 + 1)],
            ),
        ],
    );
}

#[test]
fn a_limit_of_zero_takes_empty_messages_only() {
    let server = Probe::echo().start_with(|config| config.max_message_size = 0);
    let mut wire = Wire::open(&server);
    wire.echo("");
    wire.frame(Frame::ping("control frames are no messages"));
    wire.expect(PONG, "control frames are no messages");
    wire.frame(Frame::text("a"));
    wire.expect_failed(1009);
}

#[test]
fn what_follows_a_refused_frame_is_not_looked_at() {
    let mut server = server();
    let mut wire = Wire::open(&server);
    wire.frames([
        Frame::text("good"),
        Frame::text("bad").reserved(0x40),
        Frame::text("after"),
        Frame::close(1000, ""),
    ]);
    wire.expect_text("good");
    wire.expect_failed(1002);
    let end: End = server.events.closed();
    assert_eq!((end.sent, end.received), (Some(1002), None));
    assert_eq!(server.events.text(), "good");
    assert!(server.events.none(|seen| matches!(seen, Seen::Text(..))));
}

/// The payload of a fragment, whether it is text, the first and the last.
type Piece = (Vec<u8>, bool, bool, bool);

/// A server that hands over fragments as they come, and what its handler was given.
fn streaming() -> (Running, mpsc::Receiver<Piece>) {
    let (sender, pieces) = mpsc::channel();
    let server = Probe::echo()
        .on_fragment(move |_, piece| {
            let Fragment { payload, is_text, is_first, is_last } = piece;
            let _ = sender.send((payload.to_vec(), is_text, is_first, is_last));
        })
        .start_with(|config| {
            settings(config);
            config.stream_fragments = true;
        });
    (server, pieces)
}

#[test]
fn fragments_may_be_handed_over_as_they_come() {
    let (server, pieces) = streaming();
    let mut wire = Wire::open(&server);
    wire.frame(Frame::text("grü").more());
    let next = || pieces.recv_timeout(support::PATIENCE).expect("a piece");
    assert_eq!(next(), ("grü".into(), true, true, false));
    wire.frames([Frame::ping("between"), Frame::continuation(b"\xc3").more()]);
    wire.expect(PONG, "between");
    // Half a character is handed over: all pieces together are UTF-8.
    assert_eq!(next(), (b"\xc3".to_vec(), true, false, false));
    wire.frame(Frame::continuation(b"\x9fe"));
    assert_eq!(next(), (b"\x9fe".to_vec(), true, false, true));
    // A message in one piece is a message.
    wire.echo("whole");
}

#[test]
fn streamed_messages_are_checked_like_others() {
    let (server, pieces) = streaming();
    for (code, frames) in [
        (1007, vec![Frame::text("ok").more(), Frame::continuation(b"\xff").more()]),
        (1007, vec![Frame::text(b"\xe2\x82").more(), Frame::continuation("")]),
        (1002, vec![Frame::text("ok").more(), Frame::text("again")]),
        (1009, vec![Frame::binary("a").more(), Frame::continuation("").claiming(MAX as u64)]),
    ] {
        let mut wire = Wire::open(&server);
        wire.frames(frames);
        wire.expect_failed(code);
    }
    assert!(pieces.try_iter().all(|(_, _, _, is_last)| !is_last), "no message came to its end");
}

#[test]
fn a_large_frame_is_streamed_in_pieces_that_add_up() {
    let (server, pieces) = streaming();
    let mut wire = Wire::open(&server);
    let payload: Vec<u8> = (0..MAX).map(|i| (i % 251) as u8).collect();
    let bytes = Frame::binary(&payload).bytes();
    let (start, rest) = bytes.split_at(20_000);
    wire.send(start);
    let (mut got, _, is_first, is_last) = pieces.recv_timeout(support::PATIENCE).expect("a piece");
    assert!(is_first && !is_last && !got.is_empty());
    wire.send(rest);
    loop {
        let (piece, is_text, is_first, is_last) =
            pieces.recv_timeout(support::PATIENCE).expect("a piece");
        assert!(!is_text && !is_first);
        got.extend(piece);
        if is_last {
            break;
        }
    }
    assert!(got == payload);
}
