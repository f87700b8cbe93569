//! Against servers that refuse, lie, hang and vanish.

use std::time::{Duration, Instant};
use std::{net::TcpListener, thread};

use wspoll::Error;
use wspoll::client::{Client, ClientBuilder, DisconnectCause, Event};

use crate::raw::{RawConn, RawServer};
use crate::support::frame::{PING, PONG};
use crate::support::{Frame, PATIENCE};
use crate::{connected, last, next, text};

/// A client that has connected, and the server's end of it.
fn open(server: &RawServer, builder: ClientBuilder) -> (Client, RawConn) {
    let client = builder.start().expect("started");
    let conn = server.open();
    connected(&client);
    (client, conn)
}

fn pair() -> (RawServer, Client, RawConn) {
    let server = RawServer::new();
    let (client, conn) = open(&server, Client::builder(server.url()));
    (server, client, conn)
}

/// What connecting says when the server does `act`.
fn refusal(act: impl FnOnce(&mut RawConn) + Send + 'static) -> Error {
    let server = RawServer::new();
    let builder = Client::builder(server.url()).subprotocol("chat");
    let server = thread::spawn(move || {
        let mut conn = server.accept();
        act(&mut conn);
        conn
    });
    let error = builder.connect_blocking().expect_err("refused");
    server.join().expect("the server");
    error
}

#[test]
fn answers_that_are_wrong_are_told_apart() {
    let answer = |text: &'static str| {
        let error = refusal(move |conn| {
            conn.request();
            conn.say(text);
        });
        match error {
            Error::BadHandshake(e) => e.reason,
            other => panic!("{other:?}"),
        }
    };
    let has = |text, reason: &str| {
        let said = answer(text);
        assert!(said.contains(reason), "{said}");
    };
    has("SSH-2.0-OpenSSH_9.6\r\n\r\n", "no HTTP");
    has("HTTP/1.0 101 x\r\n\r\n", "HTTP/1.1");
    has("HTTP/1.1 101 x\r\nConnection: Upgrade\r\n\r\n", "Upgrade: websocket");
    has("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n", "Connection: Upgrade");
    let wrong_key = "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    has(wrong_key, "Sec-WebSocket-Accept");
    let fields = |more: &'static str| match refusal(move |conn| conn.shake_hands(more)) {
        Error::BadHandshake(e) => e.reason,
        other => panic!("{other:?}"),
    };
    assert!(fields("Sec-WebSocket-Extensions: permessage-deflate\r\n").contains("extensions"));
    assert!(fields("Sec-WebSocket-Protocol: other\r\n").contains(r#""other""#));
    assert!(
        fields("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat\r\n").contains("one")
    );
}

#[test]
fn a_list_of_tokens_in_any_case_is_an_upgrade() {
    let server = RawServer::new();
    let client = Client::builder(server.url()).start().expect("started");
    let mut conn = server.accept();
    let accept =
        async_tungstenite::tungstenite::handshake::derive_accept_key(conn.request().as_bytes());
    let head = format!(
        "HTTP/1.1 101 x\r\nupgrade: WebSocket\r\nconnection: keep-alive, UPGRADE\r\n\
         sec-websocket-accept: {accept}\r\n\r\n"
    );
    // The first message may come with the answer.
    conn.say([head.as_bytes(), &Frame::text("at once").unmasked().bytes()].concat());
    connected(&client);
    assert_eq!(text(&client), "at once");
}

#[test]
fn of_an_endless_head_and_of_an_endless_body_only_so_much_is_read() {
    let head = refusal(|conn| {
        conn.request();
        conn.say("HTTP/1.1 101 x\r\nX: ");
        // The client may hang up before it has all.
        let _ = std::io::Write::write_all(&mut conn.stream, &vec![b'x'; 1 << 20]);
    });
    assert!(matches!(&head, Error::BadHandshake(e) if e.reason.contains("longer")), "{head}");
    let body = refusal(|conn| {
        conn.request();
        conn.say("HTTP/1.1 503 x\r\nRetry-After: 7\r\n\r\n");
        let _ = std::io::Write::write_all(&mut conn.stream, &vec![b'x'; 1 << 20]);
    });
    match body {
        Error::Refused(refused) => {
            assert_eq!((refused.status, refused.body), (503, "x".repeat(1024)));
        }
        other => panic!("{other:?}"),
    }
    // One whose body never comes is known by its status all the same.
    let silent = refusal(|conn| {
        conn.request();
        conn.say("HTTP/1.1 404 x\r\nContent-Length: 10\r\n\r\n");
    });
    assert!(matches!(silent, Error::Refused(refused) if refused.status == 404));
}

#[test]
fn a_server_that_hangs_up_or_says_nothing_fails_the_handshake() {
    let error = refusal(|conn| {
        conn.request();
        conn.stream.shutdown(std::net::Shutdown::Both).expect("hanging up");
    });
    assert!(matches!(&error, Error::Io(e) if e.doing.starts_with("the handshake")), "{error}");
    // It accepts and never answers; another sends a byte now and then, which buys no time.
    let server = RawServer::new();
    let limit = Duration::from_millis(100);
    let start = Instant::now();
    let error = Client::builder(server.url()).connect_timeout(limit).connect_blocking();
    let error = error.expect_err("it took too long");
    assert!(matches!(&error, Error::TimedOut(e) if e.limit == limit), "{error}");
    assert!(error.to_string().starts_with("the handshake with ws://"), "{error}");
    assert!(start.elapsed() >= limit && start.elapsed() < PATIENCE);
}

#[test]
fn nobody_listens() {
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let error = Client::builder(format!("ws://{gone}/")).connect_blocking().expect_err("refused");
    assert!(error.to_string().starts_with(&format!("connecting to {gone}: ")), "{error}");
}

#[test]
fn a_name_without_an_address_is_named() {
    let limit = Duration::from_secs(5);
    let client = Client::builder("ws://nowhere.invalid/").connect_timeout(limit);
    let error = client.connect_blocking().expect_err("no such name").to_string();
    assert!(error.starts_with("looking up nowhere.invalid: "), "{error}");
}

#[test]
fn closing_while_connecting_ends_at_once() {
    let server = RawServer::new();
    let client = Client::builder(server.url()).start().expect("started");
    let _conn = server.accept();
    smol::block_on(client.close(1000, "")).expect("closed");
    assert!(matches!(last(&client).cause, DisconnectCause::Client));
}

#[test]
fn a_server_that_vanishes() {
    let (_server, client, conn) = pair();
    drop(conn);
    let end = last(&client);
    assert!(matches!(end.cause, DisconnectCause::EndOfStream) && end.code == 1006, "{end}");
    // Unread bytes make the system send RST.
    let (_server, client, conn) = pair();
    client.try_send("unread").expect("sent");
    conn.stream.peek(&mut [0]).expect("it has come");
    drop(conn);
    let end = last(&client);
    let lost = matches!(end.cause, DisconnectCause::EndOfStream | DisconnectCause::Lost(_));
    assert!(lost && end.code == 1006, "{end}");
}

#[test]
fn violations_end_the_connection_with_their_code() {
    let masked = Frame::text("masked").bytes();
    let frame = |frame: Frame| frame.unmasked().bytes();
    for (bytes, code) in [
        (masked, 1002),
        (frame(Frame::text("x").reserved(0x40)), 1002),
        (frame(Frame::new(0x3, "x")), 1002),
        (frame(Frame::continuation("x")), 1002),
        (frame(Frame::text([0xff])), 1007),
        (frame(Frame::binary("x").claiming(1 << 40)), 1009),
        (frame(Frame::ping([0; 126])), 1002),
    ] {
        let (_server, client, mut conn) = pair();
        conn.frame(Frame::text("before"));
        conn.say(bytes);
        assert_eq!(conn.close_code(), Some(code));
        assert_eq!(text(&client), "before");
        let end = last(&client);
        assert!(matches!(end.cause, DisconnectCause::Violation(_)), "{end}");
    }
}

#[test]
fn a_close_frame_without_a_code_is_1005() {
    let (_server, client, mut conn) = pair();
    conn.frame(Frame::close_without_code());
    assert!(conn.close_code().is_none_or(|code| code == 1005 || code == 1000));
    drop(conn);
    let end = last(&client);
    assert!(matches!(end.cause, DisconnectCause::Server) && end.code == 1005, "{end}");
}

#[test]
fn a_close_that_is_not_answered_has_a_limit() {
    let server = RawServer::new();
    let limit = Duration::from_millis(100);
    let (client, _conn) = open(&server, Client::builder(server.url()).close_timeout(limit));
    let start = Instant::now();
    smol::block_on(client.close(1000, "")).expect("closed");
    assert!(start.elapsed() >= limit && start.elapsed() < PATIENCE);
    assert!(matches!(last(&client).cause, DisconnectCause::CloseTimeout));
}

#[test]
fn a_server_that_answers_the_close_and_keeps_the_stream_has_a_limit() {
    let server = RawServer::new();
    let limit = Duration::from_millis(100);
    let (client, mut conn) = open(&server, Client::builder(server.url()).close_timeout(limit));
    client.start_close(1000, "").expect("closing");
    assert_eq!(conn.close_code(), Some(1000));
    conn.frame(Frame::close(1000, "bye"));
    let end = last(&client);
    assert!(matches!(end.cause, DisconnectCause::Client | DisconnectCause::CloseTimeout), "{end}");
}

#[test]
fn a_silent_server_is_pinged_and_then_dead() {
    let server = RawServer::new();
    let (ping, pong) = (Duration::from_millis(50), Duration::from_millis(400));
    let (client, mut conn) = open(&server, Client::builder(server.url()).keepalive(ping, pong));
    let start = Instant::now();
    assert!(matches!(last(&client).cause, DisconnectCause::PongTimeout));
    assert!(start.elapsed() < PATIENCE);
    let mut pings = 0;
    while let Some(frame) = conn.next_frame() {
        pings += u32::from(frame.opcode() == PING);
    }
    assert!((1..=8).contains(&pings), "{pings}");
}

#[test]
fn a_server_that_answers_pings_is_alive_and_the_host_sees_no_pong() {
    let server = RawServer::new();
    let (ping, pong) = (Duration::from_millis(30), Duration::from_secs(20));
    let (client, mut conn) = open(&server, Client::builder(server.url()).keepalive(ping, pong));
    for _ in 0..5 {
        let frame = conn.next_frame().expect("a ping");
        assert_eq!(frame.opcode(), PING);
        conn.frame(Frame::pong(frame.payload));
    }
    conn.frame(Frame::text("here"));
    assert_eq!(text(&client), "here");
}

#[test]
fn who_does_not_receive_stops_reading_and_is_no_reason_to_cut() {
    let server = RawServer::new();
    let (ping, pong) = (Duration::from_millis(100), Duration::from_secs(1));
    let builder = Client::builder(server.url()).max_inbox_bytes(10_000).keepalive(ping, pong);
    let (client, mut conn) = open(&server, builder);
    let frame = Frame::binary([7; 1000]).unmasked().bytes();
    let whole = frame.repeat(32_000);
    // The systems' buffers take some megabytes; the rest stays here, and longer than the pong timeout.
    let sent = conn.say_while_taken(&whole, Duration::from_millis(1500));
    assert!(sent < whole.len(), "{sent}");
    assert!(client.try_send("still here").is_ok());
    let rest = whole[sent..].to_vec();
    let writer = thread::spawn(move || {
        conn.say(&rest);
        conn
    });
    for _ in 0..32_000 {
        assert!(matches!(next(&client), Event::Binary(bytes) if bytes == [7; 1000]));
    }
    let mut conn = writer.join().expect("the rest was taken");
    loop {
        let frame = conn.next_frame().expect("the text");
        if frame.payload == b"still here" {
            break;
        }
    }
}

#[test]
fn a_server_that_reads_nothing_fills_the_outbox_and_is_cut() {
    let server = RawServer::new();
    let builder = Client::builder(server.url())
        .max_outbox_bytes(100_000)
        .write_timeout(Duration::from_millis(500));
    let (client, _conn) = open(&server, builder);
    let start = Instant::now();
    let message = [0; 50_000];
    let full = loop {
        match client.try_send(&message) {
            Ok(()) => {}
            Err(error) => break error,
        }
        assert!(start.elapsed() < PATIENCE);
    };
    assert!(matches!(full, Error::Backpressure | Error::Gone), "{full}");
    // Whoever waits for room hears of the end.
    let waited = loop {
        if let Err(error) = client.send_blocking(&message, PATIENCE) {
            break error;
        }
    };
    assert!(matches!(waited, Error::Gone), "{waited}");
    assert!(matches!(last(&client).cause, DisconnectCause::WriteTimeout));
}

#[test]
fn a_flood_of_pings_from_a_server_that_reads_nothing_is_survived() {
    let server = RawServer::new();
    let builder = Client::builder(server.url())
        .max_outbox_bytes(1000)
        .write_timeout(Duration::from_millis(500));
    let (client, mut conn) = open(&server, builder);
    let pings = Frame::ping([0; 125]).unmasked().bytes().repeat(100_000);
    // It may have been cut before all are written.
    let _ = std::io::Write::write_all(&mut conn.stream, &pings);
    let end = last(&client);
    assert!(matches!(end.cause, DisconnectCause::WriteTimeout), "{end}");
}

#[test]
fn pings_are_answered() {
    let (_server, _client, mut conn) = pair();
    conn.frame(Frame::ping("one"));
    let pong = conn.next_frame().expect("a pong");
    assert_eq!((pong.opcode(), pong.payload.as_slice()), (PONG, b"one".as_slice()));
}

#[cfg(unix)]
#[test]
fn a_socket_of_a_file_is_an_address_too() {
    use std::io::{Read, Write};
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("client-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("listening");
    let url = format!("unix:{}:/chat?x=1", path.display());
    let client = Client::builder(url).start().expect("started");
    let (mut stream, _) = listener.accept().expect("a connection");
    let (mut head, mut byte) = (String::new(), [0]);
    while !head.ends_with("\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a request");
        head.push(byte[0].into());
    }
    assert!(head.starts_with("GET /chat?x=1 HTTP/1.1\r\nHost: localhost\r\n"), "{head}");
    stream.write_all(b"HTTP/1.1 429 x\r\nContent-Length: 4\r\n\r\nlate").expect("an answer");
    let end = last(&client);
    assert!(end.to_string().ends_with("answered 429: late"), "{end}");
    std::fs::remove_file(&path).expect("tidying up");
}
