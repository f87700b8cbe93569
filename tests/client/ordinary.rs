//! Against a server of this library.

use std::time::{Duration, Instant};

use smol::future;
use wspoll::client::{Client, DisconnectCause, Event};
use wspoll::{Error, Message, Response, Upgrade};

use crate::support::{PATIENCE, Probe, Running, eventually};
use crate::{connected, is_server, last, next, text};

fn url(server: &Running) -> String {
    format!("ws://{}/", server.addr)
}

fn open(server: &Running) -> Client {
    let client = Client::builder(url(server)).connect_blocking().expect("connecting");
    connected(&client);
    client
}

#[test]
fn messages_go_both_ways() {
    let mut server = Probe::echo().start();
    let client = open(&server);
    client.try_send("grün").expect("sent");
    assert_eq!(text(&client), "grün");
    client.try_send(&[0, 159, 146, 150]).expect("sent");
    assert!(matches!(next(&client), Event::Binary(bytes) if bytes == [0, 159, 146, 150]));
    client.try_send("").expect("sent");
    assert_eq!(text(&client), "");
    let large = "x".repeat(60_000);
    client.try_send(&large).expect("sent");
    assert_eq!(text(&client), large);
    assert_eq!(server.events.text(), "grün");
}

#[test]
fn it_needs_no_executor_and_serves_many_tasks() {
    let server = Probe::echo().start();
    // An executor that knows no sockets and no timers.
    future::block_on(async {
        let client = Client::connect(url(&server)).await.expect("connecting");
        let send = |name: &'static str| {
            let client = client.clone();
            async move {
                for n in 0..500 {
                    client.send(&format!("{name} {n}")).await.expect("sent");
                }
            }
        };
        let receive = async {
            let mut seen = [0; 2];
            while seen != [500, 500] {
                if let Some(Event::Text(text)) = client.recv().await {
                    let (name, n) = text.split_once(' ').expect("two words");
                    let count = &mut seen[usize::from(name == "b")];
                    assert_eq!(n, count.to_string());
                    *count += 1;
                }
            }
        };
        future::zip(receive, future::zip(send("a"), send("b"))).await;
        client.close(1000, "").await.expect("closed");
    });
}

#[test]
fn the_request_says_what_it_is_told_to() {
    let server = Probe::new()
        .on_upgrade(|_, request| {
            let fields = ["authorization", "x-more", "host"].map(|name| request.header(name));
            let asked = (request.path(), request.query(), request.origin(), fields);
            let offered: Vec<_> = request.subprotocols().collect();
            let fields = [Some("Bearer x"), Some("1"), Some("example.com")];
            let origin = Some("https://example.com");
            if asked != ("/room", Some("a=b"), origin, fields) || offered != ["chat", "superchat"] {
                return Upgrade::reject(
                    Response::new(400).body(format!("{asked:?} {offered:?}").into_bytes()),
                );
            }
            Upgrade::accept().subprotocol("superchat").header("X-Session", "7")
        })
        .start_with(|config| config.origin = wspoll::Origin::Any);
    let client = Client::builder(format!("ws://{}/room?a=b", server.addr))
        .header("Authorization", "Bearer x")
        .header("X-More", "1")
        .header("Host", "example.com")
        .origin("https://example.com")
        .subprotocol("chat")
        .subprotocol("superchat")
        .connect_blocking()
        .unwrap_or_else(|e| panic!("{e}"));
    let with = connected(&client);
    assert_eq!(with.subprotocol.as_deref(), Some("superchat"));
    assert!(with.headers.iter().any(|(name, value)| name == "X-Session" && value == "7"));
}

#[test]
fn a_server_need_not_choose_a_subprotocol() {
    let server = Probe::new().start();
    let client = Client::builder(url(&server)).subprotocol("chat").connect_blocking();
    assert_eq!(connected(&client.expect("connecting")).subprotocol, None);
}

#[test]
fn a_refusal_is_an_error_with_status_fields_and_body() {
    let server = Probe::new()
        .on_upgrade(|_, _| {
            let response = Response::new(401).header("WWW-Authenticate", "Bearer");
            Upgrade::reject(response.body(&b"no token\nand more"[..]))
        })
        .start();
    let refused = match Client::builder(url(&server)).connect_blocking() {
        Err(Error::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    };
    assert_eq!((refused.status, refused.body.as_str()), (401, "no token\nand more"));
    assert!(refused.headers.iter().any(|(name, _)| name == "WWW-Authenticate"));
    let said = Error::Refused(refused).to_string();
    assert_eq!(said, format!("{} answered 401: no token", url(&server)));
    // By start, the same is an event.
    let client = Client::builder(url(&server)).start().expect("started");
    let end = last(&client);
    assert!(matches!(end.cause, DisconnectCause::NotConnected(Error::Refused(_))), "{end}");
}

#[test]
fn what_was_sent_leaves_before_the_close() {
    let mut server = Probe::new().start();
    let client = open(&server);
    for n in 0..1000 {
        client.try_send(&n.to_string()).expect("sent");
    }
    client.start_close(4000, "done").expect("closing");
    assert!(matches!(client.try_send("late"), Err(Error::Gone)));
    for n in 0..1000 {
        assert_eq!(server.events.text(), n.to_string());
    }
    let end = server.events.closed();
    assert_eq!((end.code, end.reason.as_str(), end.clean), (4000, "done", true));
    let end = last(&client);
    assert!(matches!(end.cause, DisconnectCause::Client) && end.code == 4000, "{end}");
}

#[test]
fn closing_waits_for_the_answer_and_can_be_repeated() {
    let server = Probe::new().start();
    let client = open(&server);
    smol::block_on(async {
        client.close(1000, "one").await.expect("closed");
        client.close(1001, "two").await.expect("closed");
    });
    assert_eq!(last(&client).code, 1000);
    assert!(matches!(client.start_close(1006, ""), Err(Error::InvalidArgument(_))));
    assert!(matches!(client.start_close(1000, &"x".repeat(124)), Err(Error::InvalidArgument(_))));
}

#[test]
fn dropping_the_last_clone_closes() {
    let mut server = Probe::new().start();
    let client = open(&server);
    let clone = client.clone();
    drop(client);
    clone.try_send("still here").expect("sent");
    drop(clone);
    assert_eq!(server.events.text(), "still here");
    assert_eq!(server.events.closed().code, 1000);
    eventually("no connection", || server.handle.connections(), |count| *count == 0);
}

#[test]
fn the_server_closes() {
    let server = Probe::new()
        .on_message(|conn, _| {
            let _ = conn.send("bye");
            let _ = conn.close(4321, "go");
        })
        .start();
    let client = open(&server);
    client.try_send("go").expect("sent");
    assert_eq!(text(&client), "bye");
    let end = last(&client);
    assert!(is_server(&end) && (end.code, end.reason.as_str()) == (4321, "go"), "{end}");
    assert!(matches!(client.try_send("more"), Err(Error::Gone)));
    assert!(matches!(client.ping(b""), Err(Error::Gone)));
}

#[test]
fn pings_go_both_ways() {
    let mut server = Probe::new().start();
    let client = open(&server);
    client.ping(b"are you there").expect("sent");
    assert!(matches!(next(&client), Event::Pong(payload) if payload == b"are you there"));
    let id = server.events.opened();
    server.handle.ping(id, b"and you").expect("sent");
    server.events.find("pong", |seen| match seen {
        crate::support::Seen::Pong(_, payload) => (payload == b"and you").then_some(()),
        _ => None,
    });
    assert!(matches!(client.ping(&[0; 126]), Err(Error::InvalidArgument(_))));
}

#[test]
fn a_message_that_is_too_large_ends_the_connection_with_1009() {
    let mut server = Probe::new()
        .on_open(|conn| {
            let _ = conn.send(&[0; 1001]);
        })
        .start();
    let client = Client::builder(url(&server)).max_message_size(1000).connect_blocking();
    let client = client.expect("connecting");
    connected(&client);
    let end = last(&client);
    assert!(matches!(end.cause, DisconnectCause::Violation(_)), "{end}");
    assert_eq!(server.events.closed().code, 1009);
}

#[test]
fn a_message_that_cannot_be_sent_is_refused_at_once() {
    let server = Probe::echo().start();
    let client = Client::builder(url(&server)).max_outbox_bytes(1000).connect_blocking();
    let client = client.expect("connecting");
    connected(&client);
    let error = client.try_send(&[0; 1001]).expect_err("too large").to_string();
    assert_eq!(error, r#"message is "1001 bytes": is larger than max_outbox_bytes (1000)"#);
    client.try_send(&[7; 1000]).expect("sent");
    assert!(matches!(next(&client), Event::Binary(bytes) if bytes == [7; 1000]));
}

#[test]
fn who_does_not_receive_is_not_sent_to() {
    // More than the inbox, the two systems' buffers and the outbox hold.
    const COUNT: usize = 400;
    const SIZE: usize = 64 * 1024;
    let server =
        Probe::new().start_with(|config| config.slow_consumer = wspoll::SlowConsumer::DropNew);
    let client = Client::builder(url(&server)).max_inbox_bytes(SIZE).connect_blocking();
    let client = client.expect("connecting");
    connected(&client);
    let id = {
        let mut events = server.events;
        let id = events.opened();
        for n in 0..COUNT {
            let mut payload = vec![0; SIZE];
            payload[..8].copy_from_slice(&(n as u64).to_be_bytes());
            server.handle.send(id, Message::Binary(&payload)).expect("queued");
        }
        // The server has met a client that reads nothing.
        events.dropped();
        id
    };
    // What was kept comes in order once somebody receives, and the connection is as good as before.
    server.handle.close(id, 1000, "").expect("closing");
    let mut came = Vec::new();
    let end = loop {
        match next(&client) {
            Event::Binary(payload) => came.push(payload[7]),
            Event::Disconnected(end) => break end,
            other => panic!("{other:?}"),
        }
    };
    assert!(came.len() > 1 && came.len() < COUNT, "{}", came.len());
    assert!(came.is_sorted() && came[0] == 0);
    assert!(is_server(&end), "{end}");
}

#[test]
fn waiting_has_a_limit() {
    let server = Probe::new().start();
    let client = open(&server);
    let start = Instant::now();
    let error = client.recv_blocking(Duration::from_millis(20)).expect_err("nothing comes");
    assert!(matches!(error, Error::TimedOut(_)) && start.elapsed() >= Duration::from_millis(20));
    assert!(client.try_recv().is_none() && !client.wait_closed(Duration::ZERO));
    assert!(start.elapsed() < PATIENCE);
}

#[test]
fn what_cannot_be_is_said_at_once() {
    let wrong = |url: &str| Client::builder(url).start().expect_err(url).to_string();
    assert!(wrong("wss://example.com/").contains("needs TLS"));
    assert!(wrong("http://example.com/").contains("must begin with ws://"));
    let error = Client::builder("ws://127.0.0.1:1/").header("a b", "c").start();
    assert!(matches!(error, Err(Error::InvalidSetting(_))));
}
