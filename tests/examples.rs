//! The examples, each in both styles, as a client meets them.

// Their `main` functions are for those who run them.
#![allow(dead_code, unreachable_pub)]

mod support;

#[path = "../examples/chat.rs"]
mod chat;
#[path = "../examples/chat_async.rs"]
mod chat_async;
#[path = "../examples/echo.rs"]
mod echo;
#[path = "../examples/echo_async.rs"]
mod echo_async;
#[path = "../examples/file_watch.rs"]
mod file_watch;
#[path = "../examples/file_watch_async.rs"]
mod file_watch_async;
#[path = "../examples/heartbeat.rs"]
mod heartbeat;
#[path = "../examples/heartbeat_async.rs"]
mod heartbeat_async;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, process};

use async_tungstenite::tungstenite::Message;
use support::{Peer, eventually};

const LISTEN: &str = "127.0.0.1:0";

#[test]
fn echo() {
    let test = |addr: SocketAddr| {
        let mut peer = Peer::open(addr);
        peer.echo("Grüße");
        peer.send(Message::binary(vec![0, 255]));
        assert_eq!(peer.next().expect("a message"), Message::binary(vec![0, 255]));
        peer.close();
    };
    test(echo::start(LISTEN).expect("it starts").local_addr());
    let server = echo_async::start(LISTEN).expect("it starts");
    smol::spawn(echo_async::serve(server.incoming())).detach();
    test(server.local_addr());
}

#[test]
fn chat() {
    let test = |addr: SocketAddr| {
        let join = |path: &str| Peer::open_path(addr, path).expect("the handshake").0;
        let mut elsewhere = join("/other?cat");
        assert_eq!(elsewhere.text(), "cat joined");
        let mut ann = join("/lobby?ann");
        assert_eq!(ann.text(), "ann joined");
        let mut bob = join("/lobby?bob");
        assert_eq!((ann.text(), bob.text()), ("bob joined".to_owned(), "bob joined".to_owned()));
        bob.send("hello");
        assert_eq!((ann.text(), bob.text()), ("bob: hello".to_owned(), "bob: hello".to_owned()));
        bob.close();
        assert_eq!(ann.text(), "bob left");
        elsewhere.send("quiet here");
        assert_eq!(elsewhere.text(), "cat: quiet here");
    };
    test(chat::start(LISTEN).expect("it starts").local_addr());
    let server = chat_async::start(LISTEN).expect("it starts");
    smol::spawn(chat_async::serve(server.incoming())).detach();
    test(server.local_addr());
}

#[test]
fn heartbeat() {
    let every = Duration::from_millis(20);
    let test = |addr: SocketAddr| {
        let mut peer = Peer::open(addr);
        for _ in 0..3 {
            assert_eq!(peer.text(), "heartbeat");
        }
        peer.send("between them");
        while peer.text() == "heartbeat" {}
        assert_eq!(peer.text(), "heartbeat");
    };
    test(heartbeat::start(LISTEN, every).expect("it starts").local_addr());
    let server = heartbeat_async::start(LISTEN).expect("it starts");
    smol::spawn(heartbeat_async::serve(server.incoming(), every)).detach();
    test(server.local_addr());
}

#[test]
fn file_watch() {
    let test = |addr: SocketAddr, path: &Path| {
        let mut viewers = [Peer::open(addr), Peer::open(addr)];
        let mut all_see =
            |text: &str| viewers.iter_mut().for_each(|viewer| while viewer.text() != text {});
        all_see("first");
        fs::write(path, "second").expect("writing");
        all_see("second");
        let other = path.with_extension("new");
        fs::write(&other, "third").expect("writing");
        // Windows replaces no file that somebody is reading just now.
        eventually("the file to be replaced", || fs::rename(&other, path), Result::is_ok)
            .expect("replacing");
        all_see("third");
    };
    let file = |name: &str| {
        let name = format!("example-{}-{name}", process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("file");
        fs::write(&path, "first").expect("writing");
        path
    };
    let path = file("handler");
    let (server, _watcher) = file_watch::start(LISTEN, &path).expect("it starts");
    test(server.local_addr(), &path);
    let path = file("async");
    let server = Arc::new(file_watch_async::start(LISTEN).expect("it starts"));
    let addr = server.local_addr();
    let watched = path.clone();
    std::thread::spawn(move || smol::block_on(file_watch_async::serve(&server, &watched)).is_ok());
    test(addr, &path);
    for name in ["handler", "async"] {
        let _ = fs::remove_dir_all(file(name).parent().expect("its folder"));
    }
}
