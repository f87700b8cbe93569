//! The opening handshake (RFC 6455 §4), as bytes on a socket.

mod support;

use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use support::wire::{ACCEPT, Answer, KEY, request};
use support::{Frame, Peer, Probe, Running, Seen, Wire};
use wspoll::{Error, Origin, PeerAddr, Response, ServerHandle, Upgrade};

/// The answer to a request that is sent verbatim.
fn answer_to(server: &Running, request: impl AsRef<[u8]>) -> Answer {
    let mut wire = Wire::connect(server.addr);
    wire.send(request);
    wire.answer()
}

/// A request head of these lines.
fn head(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\r\n")).collect::<String>() + "\r\n"
}

/// The usual request with one line replaced, or left out where `by` is empty.
fn with(line: &str, by: &str) -> String {
    let by = if by.is_empty() { String::new() } else { format!("{by}\r\n") };
    let usual = request("/", "");
    assert!(usual.contains(&format!("{line}\r\n")), "{line}");
    usual.replace(&format!("{line}\r\n"), &by)
}

const GET: &str = "GET / HTTP/1.1";
const HOST: &str = "Host: localhost";
const UPGRADE: &str = "Upgrade: websocket";
const CONNECTION: &str = "Connection: Upgrade";
const VERSION: &str = "Sec-WebSocket-Version: 13";

fn key_line() -> String {
    format!("Sec-WebSocket-Key: {KEY}")
}

#[test]
fn the_answer_holds_the_accept_value_of_the_rfcs_example() {
    let server = Probe::echo().start();
    let answer = answer_to(&server, request("/", ""));
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("upgrade").map(str::to_ascii_lowercase).as_deref(), Some("websocket"));
    assert_eq!(
        answer.header("connection").map(str::to_ascii_lowercase).as_deref(),
        Some("upgrade")
    );
    assert_eq!(answer.header("sec-websocket-accept"), Some(ACCEPT));
    for absent in ["sec-websocket-protocol", "sec-websocket-extensions", "content-length"] {
        assert_eq!(answer.header(absent), None, "{answer:?}");
    }
}

#[test]
fn a_client_library_opens_echoes_and_closes() {
    let mut server = Probe::echo().start();
    let mut peer = Peer::open(server.addr);
    peer.echo("Grüße");
    peer.close();
    assert!(server.events.closed().clean);
}

#[test]
fn names_tokens_and_lists_are_read_in_any_case_and_shape() {
    let server = Probe::echo().start();
    for request in [
        with(UPGRADE, "uPgRaDe: WebSocket"),
        with(UPGRADE, "Upgrade: h2c, websocket"),
        with(UPGRADE, "Upgrade: h2c\r\nUpgrade: websocket"),
        with(CONNECTION, "CONNECTION: uPGRADE"),
        with(CONNECTION, "Connection: keep-alive, Upgrade"),
        with(CONNECTION, "Connection: Upgrade,keep-alive"),
        with(CONNECTION, "Connection: ,\t Upgrade ,"),
        with(CONNECTION, "Connection: keep-alive\r\nConnection: upgrade"),
        with(HOST, "hOST:localhost"),
        with(HOST, "Host: \t localhost \t "),
        with(VERSION, "sec-websocket-version:13"),
        with(GET, "GET /chat?room=1&x=%20 HTTP/1.1"),
        with(GET, "GET http://localhost/chat HTTP/1.1"),
        with(&key_line(), &format!("sec-websocket-key:  {KEY}  ")),
        // An empty line before the request is skipped (RFC 9112 §2.2).
        format!("\r\n{}", request("/", "")),
    ] {
        assert_eq!(answer_to(&server, &request).status, 101, "{request:?}");
    }
}

#[test]
fn a_broken_request_is_answered_with_400() {
    let server = Probe::echo().start();
    let long_key = data_encoding::BASE64.encode(&[7; 17]);
    let short_key = data_encoding::BASE64.encode(&[7; 15]);
    for request in [
        with(HOST, ""),
        with(HOST, "Host: localhost\r\nHost: example.com"),
        with(&key_line(), ""),
        with(&key_line(), "Sec-WebSocket-Key:"),
        with(&key_line(), &format!("Sec-WebSocket-Key: {long_key}")),
        with(&key_line(), &format!("Sec-WebSocket-Key: {short_key}")),
        with(&key_line(), "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=!"),
        with(&key_line(), &format!("Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Key: {KEY}")),
        // RFC 9112 §5.1: no space before the colon.
        with(HOST, "Host : localhost"),
        with(HOST, "Host: localhost\r\nnonsense"),
        with(HOST, "Host: localhost\r\n: nameless"),
        with(HOST, "Host: localhost\r\nX: a\0b"),
        with(GET, "GET / HTTP/1.1 more"),
        with(GET, "GET  HTTP/1.1"),
        with(GET, "G(T / HTTP/1.1"),
        "\x16\x03\x01\x02\0 is not HTTP\r\n\r\n".to_owned(),
    ] {
        let mut wire = Wire::connect(server.addr);
        wire.send(&request);
        let answer = wire.answer();
        assert_eq!(answer.status, 400, "{request:?}: {answer:?}");
        wire.expect_fin();
    }
}

#[test]
fn an_old_http_version_is_not_upgraded() {
    let server = Probe::echo().start();
    for version in ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0"] {
        let answer = answer_to(&server, with(GET, &format!("GET / {version}")));
        assert!(matches!(answer.status, 400 | 426 | 505), "{version}: {answer:?}");
    }
}

#[test]
fn another_method_is_answered_with_405_and_what_is_allowed() {
    let server = Probe::echo().start();
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let mut wire = Wire::connect(server.addr);
        wire.send(with(GET, &format!("{method} / HTTP/1.1")));
        let answer = wire.expect_refusal(405);
        assert!(answer.header("allow").is_some_and(|allow| allow.contains("GET")), "{answer:?}");
    }
}

#[test]
fn a_request_without_upgrade_is_answered_with_426_and_what_to_upgrade_to() {
    let server = Probe::echo().start();
    for request in [
        head(&[GET, HOST]),
        head(&[GET, HOST, "Connection: keep-alive"]),
        head(&[GET, HOST, "Connection: Upgrade", "Upgrade: h2c"]),
    ] {
        let mut wire = Wire::connect(server.addr);
        wire.send(&request);
        let answer = wire.expect_refusal(426);
        // RFC 9110 §15.5.22.
        assert_eq!(
            answer.header("upgrade").map(str::to_ascii_lowercase).as_deref(),
            Some("websocket")
        );
    }
}

#[test]
fn half_an_upgrade_is_refused() {
    let server = Probe::echo().start();
    for request in [with(UPGRADE, ""), with(CONNECTION, ""), with(CONNECTION, "Connection: close")]
    {
        let answer = answer_to(&server, &request);
        assert!(matches!(answer.status, 400 | 426), "{request:?}: {answer:?}");
    }
}

#[test]
fn another_version_is_answered_with_426_and_the_one_that_is_spoken() {
    let server = Probe::echo().start();
    for version in ["8", "7", "0", "14", "255", "013", "thirteen"] {
        let mut wire = Wire::connect(server.addr);
        wire.send(with(VERSION, &format!("Sec-WebSocket-Version: {version}")));
        let answer = wire.expect_refusal(426);
        assert_eq!(answer.header("sec-websocket-version"), Some("13"), "{version}");
    }
    let answer = answer_to(&server, with(VERSION, ""));
    assert!(matches!(answer.status, 400 | 426), "no version: {answer:?}");
}

#[test]
fn a_head_beyond_the_limit_is_answered_with_431() {
    let server = Probe::echo().start_with(|config| config.max_handshake_bytes = 1024);
    let cookie = "c".repeat(4096);
    let whole = request("/", &format!("Cookie: {cookie}\r\n"));
    let endless = format!("GET / HTTP/1.1\r\nCookie: {cookie}");
    let endless_target = format!("GET /{cookie}");
    // RFC 9110 §15.5.15: where it is the target that is too long, 414 says so.
    for (request, status) in [(whole, 431), (endless, 431), (endless_target, 414)] {
        let answer = answer_to(&server, &request);
        assert_eq!(answer.status, status, "{}…: {answer:?}", &request[..30]);
    }
    // Just below the limit nothing is wrong.
    let room = 1024 - request("/", "X: \r\n").len();
    let fits = request("/", &format!("X: {}\r\n", "x".repeat(room)));
    assert_eq!(answer_to(&server, fits).status, 101);
}

#[test]
fn dozens_of_header_lines_are_read_and_hundreds_are_answered_with_431() {
    let server = Probe::echo().start();
    let lines = |count: usize| (0..count).map(|i| format!("X-{i}: {i}\r\n")).collect::<String>();
    assert_eq!(answer_to(&server, request("/", &lines(50))).status, 101);
    assert_eq!(answer_to(&server, request("/", &lines(300))).status, 431);
}

/// The status for a page of `origin` that connects to `host`.
fn status_for(server: &Running, host: &str, origin: &str) -> u16 {
    let request = with(HOST, &format!("Host: {host}\r\nOrigin: {origin}"));
    answer_to(server, request).status
}

#[test]
fn by_default_only_pages_of_the_same_host_connect() {
    let server = Probe::echo().start();
    for (host, origin, status) in [
        ("localhost:8000", "http://localhost:8000", 101),
        ("localhost:8000", "http://LOCALHOST:8000", 101),
        ("example.com", "https://example.com", 101),
        ("[::1]:8000", "http://[::1]:8000", 101),
        ("localhost:8000", "http://localhost:9000", 403),
        ("localhost:8000", "http://localhost", 403),
        ("example.com", "https://example.com.evil.example", 403),
        ("example.com", "https://evil.example", 403),
        ("example.com", "https://notexample.com", 403),
        ("example.com", "null", 403),
        ("example.com", "", 403),
    ] {
        assert_eq!(status_for(&server, host, origin), status, "{origin} at {host}");
    }
    assert_eq!(answer_to(&server, request("/", "")).status, 101, "no page, no Origin");
}

#[test]
fn a_list_of_origins_replaces_the_check_of_the_host() {
    let server = Probe::echo().start_with(|config| {
        let list = ["https://example.com", "https://*.example.org", "example.net"];
        config.origin = Origin::List(list.map(str::to_owned).to_vec());
    });
    for (origin, status) in [
        ("https://example.com", 101),
        ("https://EXAMPLE.com", 101),
        ("https://a.example.org", 101),
        ("http://example.net", 101),
        ("https://example.net", 101),
        ("http://example.com", 403),
        ("https://example.com:444", 403),
        ("https://a.example.com", 403),
        ("https://example.org.evil.example", 403),
        ("https://evilexample.org", 403),
        ("http://a.example.org", 403),
        ("http://localhost", 403),
        ("null", 403),
    ] {
        assert_eq!(status_for(&server, "localhost", origin), status, "{origin}");
    }
}

#[test]
fn any_origin_may_be_let_in_and_the_handler_decides() {
    let server = Probe::echo()
        .on_upgrade(|_, request| match request.origin() {
            Some("https://evil.example") => Upgrade::reject(Response::new(403)),
            _ => Upgrade::accept(),
        })
        .start_with(|config| config.origin = Origin::Any);
    assert_eq!(status_for(&server, "localhost", "https://elsewhere.example"), 101);
    assert_eq!(status_for(&server, "localhost", "null"), 101);
    assert_eq!(status_for(&server, "localhost", "https://evil.example"), 403);
}

#[test]
fn the_subprotocol_is_the_servers_most_wanted_of_those_offered() {
    let server = Probe::new()
        .on_open(|conn| {
            let chosen = conn.subprotocol().unwrap_or("none").to_owned();
            conn.send(chosen.as_str()).expect("room in an empty outbox");
        })
        .start_with(|config| {
            config.subprotocols = ["chat.v3", "chat.v2", "chat.v1"].map(str::to_owned).to_vec();
        });
    for (offer, chosen) in [
        ("Sec-WebSocket-Protocol: chat.v1, chat.v2\r\n", Some("chat.v2")),
        ("Sec-WebSocket-Protocol: chat.v1\r\nSec-WebSocket-Protocol: chat.v3\r\n", Some("chat.v3")),
        ("Sec-WebSocket-Protocol: mqtt,chat.v1\r\n", Some("chat.v1")),
        ("Sec-WebSocket-Protocol: mqtt\r\n", None),
        ("Sec-WebSocket-Protocol: CHAT.V1\r\n", None),
        ("", None),
    ] {
        let (mut wire, answer) = Wire::open_path(server.addr, "/", offer);
        assert_eq!(answer.header("sec-websocket-protocol"), chosen, "{offer:?}");
        wire.expect_text(chosen.unwrap_or("none"));
    }
}

#[test]
fn the_handlers_subprotocol_comes_before_the_settings() {
    let server = Probe::new()
        .on_upgrade(|_, request| {
            let offered: Vec<_> = request.subprotocols().collect();
            assert_eq!(offered, ["a", "b"]);
            Upgrade::accept().subprotocol("b")
        })
        .start_with(|config| config.subprotocols = vec!["a".to_owned()]);
    let (_wire, answer) = Wire::open_path(server.addr, "/", "Sec-WebSocket-Protocol: a, b\r\n");
    assert_eq!(answer.header("sec-websocket-protocol"), Some("b"));
}

#[test]
fn a_subprotocol_that_was_not_offered_is_never_named() {
    let server = Probe::new().on_upgrade(|_, _| Upgrade::accept().subprotocol("other")).start();
    for offer in ["", "Sec-WebSocket-Protocol: a\r\n"] {
        let answer = answer_to(&server, request("/", offer));
        assert_eq!(answer.header("sec-websocket-protocol"), None, "{answer:?}");
    }
}

#[test]
fn an_extension_offer_is_declined_by_silence() {
    let server = Probe::echo().start();
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-other\r\n";
    let (mut wire, answer) = Wire::open_path(server.addr, "/", offer);
    assert_eq!(answer.header("sec-websocket-extensions"), None);
    wire.echo("plain");
}

#[test]
fn the_handler_adds_headers_and_cookies() {
    let server = Probe::new()
        .on_upgrade(|_, _| {
            Upgrade::accept()
                .header("Set-Cookie", "session=1; HttpOnly")
                .header("Set-Cookie", "theme=dark")
                .header("X-Served-By", "wspoll")
        })
        .start();
    let answer = answer_to(&server, request("/", ""));
    assert_eq!(answer.status, 101);
    let cookies: Vec<_> = answer.all("set-cookie").collect();
    assert_eq!(cookies, ["session=1; HttpOnly", "theme=dark"]);
    assert_eq!(answer.header("x-served-by"), Some("wspoll"));
}

#[test]
fn a_rejection_carries_status_headers_and_body() {
    let mut server = Probe::new()
        .on_upgrade(|_, _| {
            Upgrade::reject(
                Response::new(401).header("WWW-Authenticate", "Bearer").body(b"who are you?"),
            )
        })
        .start();
    let mut wire = Wire::connect(server.addr);
    wire.send(request("/", ""));
    let answer = wire.expect_refusal(401);
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    assert_eq!(answer.body, b"who are you?");
    assert!(server.events.none(|_| true), "a refused request opens nothing and closes nothing");
}

#[test]
fn a_plain_request_is_answered_by_the_handler() {
    let server = Probe::echo()
        .on_request(|request| {
            let body = format!("{} {} {:?}", request.method(), request.path(), request.query());
            Response::new(200).header("Content-Type", "text/plain").body(body.into_bytes())
        })
        .start();
    let answer = answer_to(&server, head(&["GET /page?x=1 HTTP/1.1", HOST]));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain")));
    assert_eq!(answer.body, b"GET /page Some(\"x=1\")");
    assert_eq!(answer_to(&server, request("/page", "")).status, 101, "an upgrade is not plain");
}

#[test]
fn no_header_line_of_the_handler_can_smuggle_another() {
    for (name, value) in [
        ("X-A", "1\r\nSet-Cookie: evil=1"),
        ("X-A", "1\nSet-Cookie: evil=1"),
        ("X-A: 1\r\nSet-Cookie", "evil=1"),
        ("X A", "1"),
        ("", "1"),
        ("X-A", "a\0b"),
    ] {
        let server = Probe::new()
            .on_upgrade(move |_, request| {
                if request.path() == "/accept" {
                    Upgrade::accept().header(name, value)
                } else {
                    Upgrade::reject(Response::new(403).header(name, value))
                }
            })
            .start();
        for path in ["/accept", "/reject"] {
            let answer = answer_to(&server, request(path, ""));
            assert_eq!(answer.header("set-cookie"), None, "{name:?}: {value:?} gave {answer:?}");
            let names = answer.headers.iter().map(|(name, _)| name.as_str());
            assert!(!names.clone().any(|n| n.contains(' ') || n.is_empty()), "{answer:?}");
            assert!(!answer.headers.iter().any(|(_, value)| value.contains('\0')), "{answer:?}");
        }
    }
}

#[test]
fn a_request_may_come_in_single_bytes() {
    let server = Probe::echo().start();
    let mut wire = Wire::connect(server.addr);
    for byte in request("/", "Cookie: a=1\r\n").bytes() {
        wire.send([byte]);
    }
    assert_eq!(wire.answer().status, 101);
    wire.echo("still in step");
}

#[test]
fn frames_right_behind_the_request_are_taken() {
    let server = Probe::echo().start();
    let mut wire = Wire::connect(server.addr);
    let mut segment = request("/", "").into_bytes();
    segment.extend(Frame::text("first").bytes());
    segment.extend(Frame::text("second").bytes());
    let half = Frame::text("third").bytes();
    segment.extend(&half[..4]);
    wire.send(segment);
    assert_eq!(wire.answer().status, 101);
    wire.expect_text("first");
    wire.expect_text("second");
    wire.send(&half[4..]);
    wire.expect_text("third");
}

#[test]
fn the_handler_sees_the_request() {
    let (sender, seen) = mpsc::channel::<(Vec<String>, PeerAddr)>();
    let server = Probe::new()
        .on_upgrade(move |_, request| {
            let token = request.headers().find(|(name, _)| name.eq_ignore_ascii_case("x-token"));
            let facts = vec![
                request.method().to_owned(),
                request.path().to_owned(),
                format!("{:?}", request.query()),
                format!("{:?}", request.header("HOST")),
                format!("{:?}", token.map(|(_, value)| value.to_vec())),
                format!("{:?}", request.header("absent")),
                format!("{:?}", request.origin()),
            ];
            let _ = sender.send((facts, request.peer_addr()));
            Upgrade::accept()
        })
        .start();
    let more = "X-Token: \u{e9}\r\nOrigin: http://localhost\r\n";
    let (wire, _) = Wire::open_path(server.addr, "/room/1?user=ann", more);
    let (facts, peer) = seen.recv_timeout(support::PATIENCE).expect("on_upgrade was called");
    assert_eq!(
        facts,
        [
            "GET",
            "/room/1",
            "Some(\"user=ann\")",
            "Some(\"localhost\")",
            "Some([195, 169])",
            "None",
            "Some(\"http://localhost\")",
        ]
    );
    assert_eq!(peer, wire.local_addr().into());
}

#[test]
fn a_decision_may_come_later_and_from_another_thread() {
    let (sender, asked) = mpsc::channel();
    let mut server = Probe::echo()
        .on_upgrade(move |id, request| {
            sender.send((id, request.path().to_owned())).expect("the test waits");
            Upgrade::later()
        })
        .start();
    let mut accepted = Wire::connect(server.addr);
    let mut segment = request("/yes", "").into_bytes();
    // The peer need not wait with its first message.
    segment.extend(Frame::text("early").bytes());
    accepted.send(segment);
    let (yes, path) = asked.recv_timeout(support::PATIENCE).expect("on_upgrade was called");
    assert_eq!(path, "/yes");
    let mut refused = Wire::connect(server.addr);
    refused.send(request("/no", ""));
    let (no, path) = asked.recv_timeout(support::PATIENCE).expect("on_upgrade was called");
    assert_eq!(path, "/no");
    assert!(server.events.none(|_| true), "nothing is open before the decision");

    let handle = server.handle.clone();
    thread::spawn(move || {
        handle.accept(yes, Upgrade::accept().header("X-User", "ann")).expect("accepted");
        handle.accept(no, Upgrade::reject(Response::new(402))).expect("refused");
    })
    .join()
    .expect("the deciding thread");

    let answer = accepted.answer();
    assert_eq!((answer.status, answer.header("x-user")), (101, Some("ann")));
    accepted.expect_text("early");
    assert_eq!(server.events.opened(), yes);
    refused.expect_refusal(402);
}

#[test]
fn a_decision_may_overtake_the_word_that_it_comes_later() {
    // Another thread that was told the id may be faster than the handler that told it.
    let handle = Arc::new(OnceLock::<ServerHandle>::new());
    let deciding = Arc::clone(&handle);
    let server = Probe::echo()
        .on_upgrade(move |id, _| {
            let handle = deciding.wait().clone();
            let decide = move || handle.accept(id, Upgrade::accept().header("X-Early", "yes"));
            thread::spawn(decide).join().expect("the deciding thread").expect("to be decided");
            Upgrade::later()
        })
        .start();
    assert!(handle.set(server.handle.clone()).is_ok());
    let (mut wire, answer) = Wire::open_path(server.addr, "/", "");
    assert_eq!(answer.header("x-early"), Some("yes"));
    wire.echo("open");
}

#[test]
fn a_decision_that_never_comes_ends_with_the_handshakes_time() {
    let mut server = Probe::echo()
        .on_upgrade(|_, _| Upgrade::later())
        .start_with(|config| config.handshake_timeout = Duration::from_millis(200));
    let mut wire = Wire::connect(server.addr);
    wire.send(request("/", ""));
    wire.expect_end();
    assert!(server.events.none(|_| true));
}

#[test]
fn a_peer_that_leaves_before_the_decision_was_never_open() {
    let (sender, asked) = mpsc::channel();
    let sender = Mutex::new(sender);
    let mut server = Probe::echo()
        .on_upgrade(move |id, request| {
            if request.path() == "/later" {
                sender.lock().unwrap().send(id).expect("the test waits");
                Upgrade::later()
            } else {
                Upgrade::accept()
            }
        })
        .start();
    let mut wire = Wire::connect(server.addr);
    wire.send(request("/later", ""));
    let id = asked.recv_timeout(support::PATIENCE).expect("on_upgrade was called");
    wire.reset();
    // Its id is stale when the server has let go of the socket.
    let sockets = || server.handle.stats().total.sockets;
    support::eventually("the peer to be gone", sockets, |n| *n == 0);
    assert!(matches!(server.handle.accept(id, Upgrade::accept()), Err(Error::Gone)));
    let mut other = Wire::open(&server);
    other.echo("others are served");
    assert!(server.events.none(|seen| matches!(seen, Seen::Open(who) if *who == id)));
}
