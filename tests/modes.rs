//! The modes of `wspoll serve`: the push protocol (docs/push-protocol.md) and the log.

#![cfg(feature = "cli")]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use async_tungstenite::tungstenite::Message;
use serde_json::{Value, json};
use support::command::{Program, Server};
use support::{Frame, Peer, Wire};

/// Opens a connection that speaks the push protocol.
fn open(server: &Server) -> Peer {
    Peer::open_path(server.addr, "/push").expect("the handshake").0
}

fn ask(peer: &mut Peer, kind: &str, data: Value) {
    peer.send(json!({ "type": kind, "data": data }).to_string());
}

fn heard(peer: &mut Peer) -> Value {
    serde_json::from_str(&peer.text()).expect("JSON")
}

/// Waits until all that was asked before has been done.
fn settle(peer: &mut Peer) {
    ask(peer, "PING", json!({}));
    assert_eq!(heard(peer), json!({ "type": "PONG", "data": {} }));
}

#[test]
fn a_push_reaches_the_members_of_its_room_and_nobody_else() {
    let server = Server::start(&["--shards", "2"]);
    let [mut one, mut two, mut outside] = [open(&server), open(&server), open(&server)];
    for peer in [&mut one, &mut two] {
        ask(peer, "JOIN", json!({ "room": "news" }));
        settle(peer);
    }
    ask(&mut outside, "JOIN", json!({ "room": "other" }));
    settle(&mut outside);
    let data = json!({ "room": "news", "items": [{ "title": "a \"b\"" }, 1, "zwei"] });
    ask(&mut one, "PUSH", data.clone());
    for peer in [&mut one, &mut two] {
        assert_eq!(heard(peer), json!({ "type": "PUSH", "data": data }));
    }
    // Who has left hears no more.
    ask(&mut two, "LEAVE", json!({ "room": "news" }));
    settle(&mut two);
    ask(&mut one, "PUSH", json!({ "room": "news", "items": [] }));
    assert_eq!(heard(&mut one)["data"]["items"], json!([]));
    settle(&mut two);
    settle(&mut outside);
}

#[test]
fn items_go_through_as_they_were_written() {
    let server = Server::start(&["--mode", "push"]);
    let mut peer = Peer::open(server.addr);
    let item = r#"{"b":1.50,"a":12345678901234567890,"c":[ 1 ]}"#;
    ask(&mut peer, "JOIN", json!({ "room": "r" }));
    peer.send(format!(r#"{{"data":{{"items":[{item}],"room":"r"}},"type":"PUSH","id":7}}"#));
    let wanted = format!(r#"{{"type":"PUSH","data":{{"room":"r","items":[{item}]}}}}"#);
    assert_eq!(peer.text(), wanted);
}

#[test]
fn what_is_wrong_is_answered_and_the_connection_goes_on() {
    let server = Server::start(&[]);
    let mut peer = open(&server);
    let deep = format!(r#"{{"type":{}"#, "[".repeat(1000));
    let long = format!(r#"{{"type":"PING","data":"{}"}}"#, "x".repeat(33_000));
    let name = "r".repeat(257);
    for (message, error) in [
        ("no JSON", "bad_json"),
        ("[1]", "bad_json"),
        ("", "bad_json"),
        (&deep, "bad_json"),
        ("{}", "bad_data"),
        (r#"{"type":1}"#, "bad_data"),
        (r#"{"type":"JOIN"}"#, "bad_data"),
        (r#"{"type":"JOIN","data":{}}"#, "bad_data"),
        (r#"{"type":"JOIN","data":{"room":""}}"#, "bad_data"),
        (r#"{"type":"LEAVE","data":{"room":5}}"#, "bad_data"),
        (&format!(r#"{{"type":"JOIN","data":{{"room":"{name}"}}}}"#), "bad_data"),
        (r#"{"type":"PUSH","data":{"room":"r"}}"#, "bad_data"),
        (r#"{"type":"PUSH","data":{"room":"r","items":{}}}"#, "bad_data"),
        (r#"{"type":"PUSH","data":{"room":"r","items":[]}}"#, "not_in_room"),
        (r#"{"type":"ping"}"#, "unknown_type"),
        (r#"{"type":"KICK","data":{}}"#, "unknown_type"),
        (&long, "too_large"),
    ] {
        peer.send(message);
        let answer = heard(&mut peer);
        assert_eq!((&answer["type"], &answer["data"]["error"]), (&json!("ERROR"), &json!(error)));
        assert!(answer["data"]["message"].as_str().is_some_and(|text| !text.is_empty()));
    }
    peer.send(Message::binary(b"{}".as_slice()));
    assert_eq!(heard(&mut peer)["data"]["error"], "not_text");
    peer.send(r#"{"type":"PONG"}"#);
    settle(&mut peer);
}

#[test]
fn a_connection_is_in_as_many_rooms_as_the_setting_says() {
    let server = Server::start(&["--max-rooms-per-connection", "100"]);
    let mut peer = open(&server);
    let room = |n: usize| json!({ "room": format!("room {n}") });
    for n in (0..100).chain(0..100) {
        ask(&mut peer, "JOIN", room(n));
    }
    settle(&mut peer);
    ask(&mut peer, "JOIN", room(100));
    assert_eq!(heard(&mut peer)["data"]["error"], "too_many_rooms");
    // It is not half inside either, and one that leaves makes room for one.
    ask(&mut peer, "PUSH", json!({ "room": "room 100", "items": [] }));
    assert_eq!(heard(&mut peer)["data"]["error"], "not_in_room");
    ask(&mut peer, "LEAVE", room(7));
    ask(&mut peer, "LEAVE", room(7));
    ask(&mut peer, "JOIN", room(100));
    settle(&mut peer);
    ask(&mut peer, "JOIN", room(7));
    assert_eq!(heard(&mut peer)["data"]["error"], "too_many_rooms");
}

#[test]
fn the_paths_say_the_mode_and_the_argument_says_the_rest() {
    let server = Server::start(&["--mode", "push"]);
    let mut echo = Peer::open_path(server.addr, "/echo").expect("the handshake").0;
    echo.echo("as it was");
    for path in ["/", "/anything", "/push"] {
        settle(&mut Peer::open_path(server.addr, path).expect("the handshake").0);
    }
    let program = Program::start(&["--listen", "127.0.0.1:0"], &[("WSPOLL_MODE", "log")]);
    let server = Server::listening(program);
    let mut wire = Wire::open_at(server.addr);
    wire.frame(Frame::text("printed"));
    assert!(server.program.line().ends_with(" text: printed"));
    settle(&mut open(&server));
}

#[test]
fn the_log_prints_one_line_a_message_and_answers_nothing() {
    let server = Server::start(&[]);
    let (mut wire, _) = Wire::open_path(server.addr, "/log", "");
    let from = wire.local_addr();
    wire.frame(Frame::text("Grüße\n\u{1b}[2J"));
    wire.frame(Frame::binary([0, b'b', 255]));
    wire.frame(Frame::text("x".repeat(5000)));
    assert_eq!(server.program.line(), format!("msg: {from} text: Grüße\\n\\u{{1b}}[2J"));
    assert_eq!(server.program.line(), format!("msg: {from} binary: \\x00b\\xff"));
    let cut = format!("msg: {from} text: {}… (5000 bytes)", "x".repeat(1024));
    assert_eq!(server.program.line(), cut);
    wire.frame(Frame::close(1000, ""));
    wire.expect_close(1000);
}

#[test]
fn a_log_that_nobody_reads_holds_up_nobody() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_wspoll"))
        .args(["--listen", "127.0.0.1:0", "--shards", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starting the program");
    let mut stdout = BufReader::new(child.stdout.take().expect("its stdout"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("the line that says where it listens");
    let (_, rest) = line.split_once("http://").expect("an address");
    let addr = rest.split(' ').next().and_then(|addr| addr.parse().ok()).expect("an address");
    let (mut peer, _) = Peer::open_path(addr, "/log").expect("the handshake");
    // Far more than the pipe and the queue hold.
    let text = "x".repeat(1000);
    peer.send_all((0..5000).map(|_| Message::text(text.as_str())));
    peer.close();
    Peer::open(addr).echo("the shard goes on");
    // Once it is read, the printer says what was lost.
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).count());
    let stderr = BufReader::new(child.stderr.take().expect("its stderr"));
    let told = stderr.lines().map_while(Result::ok).find(|line| line.contains("were not printed"));
    child.kill().expect("killing the program");
    child.wait().expect("its end");
    assert!(told.is_some());
}

#[cfg(unix)]
#[test]
fn what_was_logged_is_printed_before_the_end() {
    let server = Server::start(&[]);
    let mut peer = Peer::open_path(server.addr, "/log").expect("the handshake").0;
    let texts: std::collections::HashSet<String> =
        (0..500).map(|n| format!("message {n}")).collect();
    peer.send_all(texts.iter().map(Message::text));
    peer.close();
    server.program.signal("TERM");
    let printed = server.program.end().stdout;
    for text in &texts {
        assert!(printed.lines().any(|line| line.ends_with(text)), "{text} is in {printed}");
    }
}
