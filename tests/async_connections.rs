//! Async connections: what tasks receive, send and wait for, and how each queue pushes back.

mod support;

use std::collections::BTreeSet;
use std::future::Future;
use std::task::{Context, Poll, Waker};

use async_tungstenite::tungstenite::Message as Heard;
use async_tungstenite::tungstenite::client::IntoClientRequest;
use smol::future;
use support::peer::within;
use support::{Frame, Peer, Wire, probe};
use wspoll::{
    AsyncServer, Builder, CloseCause, Config, ConnId, Connection, Error, Handler, MessageBuf,
    Request, Response, Server, Upgrade,
};

/// One shard on a free port.
fn builder(adjust: impl FnOnce(&mut Config)) -> Builder {
    Server::builder().config(probe::config(adjust))
}

fn start() -> AsyncServer {
    builder(|_| {}).start_async().expect("the server starts")
}

/// A client, and the server's end of it.
fn pair(server: &AsyncServer) -> (Peer, Connection) {
    let peer = Peer::open(server.local_addr());
    (peer, next(server))
}

fn wire_pair(server: &AsyncServer) -> (Wire, Connection) {
    let wire = Wire::open_at(server.local_addr());
    (wire, next(server))
}

fn next(server: &AsyncServer) -> Connection {
    within(server.incoming().next()).expect("a connection")
}

/// Polls a future once, as an executor would that then has other things to do.
fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn messages_come_and_go_in_order() {
    let server = start();
    let (mut peer, connection) = pair(&server);
    for n in 0..100 {
        peer.send(format!("to {n}"));
        within(connection.send(format!("from {n}"))).expect("queued");
    }
    peer.send(Heard::binary(vec![0, 255]));
    for n in 0..100 {
        let message = within(connection.recv()).expect("a message");
        assert_eq!(message.as_text(), Some(&*format!("to {n}")));
        assert_eq!(peer.text(), format!("from {n}"));
    }
    assert_eq!(within(connection.recv()).expect("a message"), MessageBuf::Binary(vec![0, 255]));
    assert!(connection.try_recv().is_none());
    within(connection.send(vec![7; 3])).expect("queued");
    assert_eq!(peer.next().expect("a message"), Heard::binary(vec![7; 3]));
}

#[test]
fn the_request_can_be_read_as_long_as_the_connection_lives() {
    let server =
        builder(|config| config.subprotocols = vec!["chat".to_owned()]).start_async().expect("up");
    let url = format!("ws://{}/room/7?name=a%20b", server.local_addr());
    let mut request = url.into_client_request().expect("a request");
    for (name, value) in [("Sec-WebSocket-Protocol", "chat"), ("X-Token", "t0k3n")] {
        request.headers_mut().insert(name, value.parse().expect("a value"));
    }
    let (peer, _) = Peer::open_request(server.local_addr(), request).expect("the handshake");
    let connection = next(&server);
    assert_eq!(connection.path(), "/room/7");
    assert_eq!(connection.query(), Some("name=a%20b"));
    assert_eq!(connection.header("x-token"), Some("t0k3n"));
    assert_eq!(connection.header("x-other"), None);
    assert_eq!(connection.subprotocol(), Some("chat"));
    assert!(connection.peer_addr().ip().is_some_and(|ip| ip.is_loopback()));
    peer.close();
    within(connection.closed());
    assert_eq!(connection.path(), "/room/7");
}

#[test]
fn a_handler_decides_who_is_let_in_and_answers_what_is_no_upgrade() {
    struct Gate;
    impl Handler for Gate {
        fn on_upgrade(&self, _conn: ConnId, request: &Request<'_>) -> Upgrade {
            match request.path() {
                "/in" => Upgrade::accept().header("X-Gate", "open"),
                _ => Upgrade::reject(Response::new(403)),
            }
        }

        fn on_request(&self, _request: &Request<'_>) -> Response {
            Response::new(200).body(b"a page".as_slice())
        }

        fn on_open(&self, _conn: &mut wspoll::Conn<'_>) {
            panic!("only the two above are called");
        }
    }
    let server = builder(|_| {}).handler(Gate).start_async().expect("up");
    let (mut peer, response) = Peer::open_path(server.local_addr(), "/in").expect("let in");
    assert_eq!(response.headers()["x-gate"], "open");
    assert!(Peer::open_path(server.local_addr(), "/out").is_err());
    let mut wire = Wire::connect(server.local_addr());
    wire.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(wire.answer().body, b"a page");
    let connection = next(&server);
    within(connection.send("hello")).expect("queued");
    assert_eq!(peer.text(), "hello");
}

#[test]
fn recv_gives_what_came_and_then_how_it_ended_again_and_again() {
    let server = start();
    let (mut wire, connection) = wire_pair(&server);
    wire.frame(Frame::text("last"));
    wire.frame(Frame::close(4001, "enough"));
    wire.expect_close(4001);
    let ended = within(connection.closed());
    assert_eq!((ended.code(), ended.reason()), (4001, "enough"));
    assert_eq!(ended.cause(), CloseCause::Peer);
    assert!(ended.as_close().was_clean());
    assert_eq!(within(connection.recv()).expect("what came before").as_text(), Some("last"));
    for _ in 0..2 {
        assert_eq!(within(connection.recv()), Err(ended.clone()));
    }
    assert!(matches!(within(connection.send("late")), Err(Error::Gone)));
    assert!(matches!(connection.try_send("late"), Err(Error::Gone)));
    assert!(matches!(connection.close(1000, ""), Err(Error::Gone)));
    assert!(matches!(connection.join("room"), Err(Error::Gone)));
}

#[test]
fn close_goes_after_what_is_queued_and_ends_what_waits() {
    let server = start();
    let (mut wire, connection) = wire_pair(&server);
    within(connection.send("before")).expect("queued");
    assert!(matches!(connection.close(1005, ""), Err(Error::InvalidArgument(_))));
    connection.close(4002, "done").expect("begun");
    assert!(matches!(within(connection.send("after")), Err(Error::Gone)));
    wire.expect_text("before");
    wire.expect_close(4002);
    wire.frame(Frame::text("still under way"));
    wire.frame(Frame::close(4002, ""));
    let ended = within(connection.closed());
    assert_eq!((ended.cause(), ended.as_close().sent()), (CloseCause::Host, Some(4002)));
    assert_eq!(within(connection.recv()), Err(ended));
}

#[test]
fn the_last_clone_that_is_dropped_closes() {
    let server = start();
    let (mut wire, connection) = wire_pair(&server);
    let other = connection.clone();
    drop(connection);
    within(other.send("still open")).expect("queued");
    wire.expect_text("still open");
    wire.frame(Frame::text("never received"));
    within(other.send("and this")).expect("queued");
    drop(other);
    wire.expect_text("and this");
    wire.expect_close(1000);

    let (mut wire, connection) = wire_pair(&server);
    let task = std::thread::spawn(move || {
        let _connection = connection;
        panic!("on purpose");
    });
    assert!(task.join().is_err());
    wire.expect_close(1011);
}

#[test]
fn a_future_that_is_dropped_takes_and_queues_nothing() {
    let server = start();
    let (mut peer, connection) = pair(&server);
    let mut recv = Box::pin(connection.recv());
    assert!(poll_once(&mut recv).is_pending());
    let mut other = Box::pin(connection.recv());
    assert!(poll_once(&mut other).is_pending());
    peer.send("one");
    // Whichever of the two was told, the message is there for the one that stays.
    drop(recv);
    assert_eq!(within(other).expect("a message").as_text(), Some("one"));

    let mut unstarted = Box::pin(server.incoming());
    let mut next = Box::pin(unstarted.next());
    assert!(poll_once(&mut next).is_pending());
    drop(next);
    let _peer = Peer::open(server.local_addr());
    within(unstarted.as_mut().next()).expect("a connection");
}

#[test]
fn each_message_goes_to_one_of_the_tasks_that_wait() {
    let server = start();
    let (mut peer, connection) = pair(&server);
    let executor = smol::Executor::new();
    let receive = || {
        let connection = connection.clone();
        executor.spawn(async move {
            let mut heard = Vec::new();
            while let Ok(message) = connection.recv().await {
                heard.push(message.as_text().expect("a text").to_owned());
                future::yield_now().await;
            }
            heard
        })
    };
    let tasks: Vec<_> = (0..4).map(|_| receive()).collect();
    let expected: BTreeSet<String> = (0..200).map(|n| n.to_string()).collect();
    peer.send_all((0..200).map(|n| Heard::text(n.to_string())));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            within(executor.run(async {
                let mut heard = BTreeSet::new();
                for task in tasks {
                    for text in task.await {
                        assert!(heard.insert(text), "nobody hears what another has heard");
                    }
                }
                assert_eq!(heard, expected);
            }));
        });
        peer.close();
    });
}

#[test]
fn a_full_queue_of_received_messages_pauses_its_connection_alone() {
    const MOST: usize = 4;
    let server = builder(|_| {}).max_received_messages(MOST).start_async().expect("up");
    let (wire, connection) = wire_pair(&server);
    let (mut peer, other) = pair(&server);
    // More than the socket's buffers hold, in messages of 32 KiB: the sender is held up until it is received.
    let count = 2000;
    let writer = std::thread::spawn(move || {
        let mut wire = wire;
        for n in 0..count {
            let mut text = format!("{n} ");
            text.extend(std::iter::repeat_n('x', 32 * 1024));
            wire.frame(Frame::text(&text));
        }
        wire
    });
    // The other connection does not notice, even when the first has surely been paused.
    for n in 0..50 {
        peer.send(format!("{n}"));
        let echo = within(other.recv()).expect("a message");
        within(other.send(echo)).expect("queued");
        assert_eq!(peer.text(), n.to_string());
    }
    assert!(server.stats().total.messages_in < 200, "the connection is not read on");
    for n in 0..count {
        let message = within(connection.recv()).expect("a message");
        let (number, _) = message.as_text().and_then(|t| t.split_once(' ')).expect("a number");
        assert_eq!(number, n.to_string());
    }
    writer.join().expect("all was taken");
}

#[test]
fn send_waits_while_the_queue_is_full_and_goes_on_as_the_peer_reads() {
    let server = builder(|config| {
        config.max_outbox_bytes = 64 * 1024;
        config.write_timeout = std::time::Duration::ZERO;
    })
    .max_sent_messages(8)
    .start_async()
    .expect("up");
    let (mut wire, connection) = wire_pair(&server);
    let text = |n: usize| format!("{n:06} {}", "y".repeat(10_000));
    let (mut sent, mut refused) = (0, 0);
    // The peer does not read: its and our buffers fill up, then the queue, and stay full.
    while refused < 50 {
        assert!(sent < 100_000, "the queue is never full");
        match connection.try_send(text(sent)) {
            Ok(()) => (sent, refused) = (sent + 1, 0),
            Err(Error::Backpressure) => {
                refused += 1;
                std::thread::park_timeout(std::time::Duration::from_millis(2));
            }
            Err(error) => panic!("{error}"),
        }
    }
    // What is dropped while it waits was not queued.
    let mut send = Box::pin(connection.send(text(sent)));
    if poll_once(&mut send).is_ready() {
        sent += 1;
    }
    drop(send);
    let more = 50;
    let writer = std::thread::spawn(move || {
        for n in sent..sent + more {
            within(connection.send(text(n))).expect("queued");
        }
        connection
    });
    for n in 0..sent + more {
        wire.expect_text(&text(n));
    }
    drop(writer.join().expect("all was queued"));
    wire.expect_close(1000);
}

#[test]
fn a_connection_that_is_dropped_while_it_is_paused_closes() {
    let server = builder(|_| {}).max_received_messages(1).start_async().expect("up");
    let (mut wire, connection) = wire_pair(&server);
    wire.frame(Frame::text("fills the queue"));
    wire.frame(Frame::text("waits in the system's buffer, or was read with the first"));
    // A look from outside that takes nothing: once the shard has the message it has paused.
    let handle = server.handle();
    support::eventually("a message", || handle.stats().total.messages_in, |came| *came > 0);
    drop(connection);
    wire.expect_close(1000);
    wire.frame(Frame::close(1000, ""));
    wire.expect_fin();
}

#[test]
fn many_tasks_on_many_threads_lose_no_wake_up() {
    const CONNECTIONS: usize = 50;
    const ROUNDS: usize = 40;
    const BURST: usize = 25;
    let server = builder(|config| config.shards = 2)
        // Narrower than a burst, so that every queue fills up and empties again and again.
        .max_received_messages(3)
        .max_sent_messages(2)
        .start_async()
        .expect("up");
    let executor = std::sync::Arc::new(smol::Executor::new());
    let incoming = server.incoming();
    let tasks = std::sync::Arc::clone(&executor);
    let accepting = executor.spawn(async move {
        while let Some(connection) = incoming.next().await {
            // Two tasks receive and send on the same connection.
            for connection in [connection.clone(), connection] {
                let echo = async move {
                    while let Ok(message) = connection.recv().await {
                        if connection.send(message).await.is_err() {
                            break;
                        }
                    }
                };
                tasks.spawn(echo).detach();
            }
        }
    });
    let (stop, stopped) = smol::channel::unbounded::<()>();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| future::block_on(executor.run(stopped.recv())));
        }
        let mut peers: Vec<Peer> =
            (0..CONNECTIONS).map(|_| Peer::open(server.local_addr())).collect();
        for round in 0..ROUNDS {
            for peer in &mut peers {
                peer.send_all((0..BURST).map(|n| Heard::text(format!("{round} {n}"))));
            }
            for peer in &mut peers {
                // Two tasks may swap two messages, but none is lost, and none comes twice.
                let heard: BTreeSet<String> = (0..BURST).map(|_| peer.text()).collect();
                let sent: BTreeSet<String> = (0..BURST).map(|n| format!("{round} {n}")).collect();
                assert_eq!(heard, sent);
            }
        }
        drop(peers);
        drop(stop);
    });
    drop(accepting);
}

#[test]
fn rooms_are_those_of_the_server() {
    let server = start();
    let (mut first, one) = pair(&server);
    let (mut second, two) = pair(&server);
    one.join("news").expect("joined");
    two.join("news").expect("joined");
    one.publish("news", "to both").expect("published");
    assert_eq!((first.text(), second.text()), ("to both".to_owned(), "to both".to_owned()));
    one.leave("news").expect("left");
    server.handle().publish("news", "to one").expect("published");
    within(one.send("nothing came before")).expect("queued");
    assert_eq!((first.text(), second.text()), ("nothing came before".into(), "to one".into()));
}

#[test]
fn more_connections_than_may_wait_are_refused() {
    let server = builder(|_| {}).max_waiting_connections(2).start_async().expect("up");
    let _waiting = [Peer::open(server.local_addr()), Peer::open(server.local_addr())];
    let mut wire = Wire::connect(server.local_addr());
    wire.send(support::wire::request("/", ""));
    wire.expect_refusal(503);
    drop(next(&server));
    Peer::open(server.local_addr());
}

#[test]
fn the_end_of_the_server_ends_everything_that_waits() {
    let server = start();
    let incoming = server.incoming();
    let (mut wire, connection) = wire_pair(&server);
    let waits = std::thread::spawn(move || {
        let ended = within(connection.recv()).expect_err("no message");
        (ended, within(connection.send("late")), within(incoming.next()).is_none())
    });
    server.handle().shutdown(support::PATIENCE);
    wire.expect_close(1001);
    wire.frame(Frame::close(1001, ""));
    let (ended, sent, no_more) = waits.join().expect("nobody waits for ever");
    assert_eq!(ended.cause(), CloseCause::ShutDown);
    assert!(matches!(sent, Err(Error::Gone)));
    assert!(no_more);
}

#[test]
fn what_cannot_be_is_refused_at_the_start() {
    for (builder, field) in [
        (builder(|_| {}).max_received_messages(0), "max_received_messages"),
        (builder(|_| {}).max_sent_messages(0), "max_sent_messages"),
        (builder(|_| {}).max_waiting_connections(0), "max_waiting_connections"),
        (builder(|config| config.stream_fragments = true), "stream_fragments"),
    ] {
        match builder.start_async().err() {
            Some(Error::InvalidSetting(setting)) => assert_eq!(setting.field, field),
            other => panic!("{field}: {other:?}"),
        }
    }
}
