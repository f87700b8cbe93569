//! The HTTP push API of the admin listener: who gets what, and what is answered.

#![cfg(feature = "admin")]

mod support;

use std::process::Command;

use serde_json::{Value, json};
use wspoll::{ConnId, SlowConsumer};

use support::admin::{self, Admin};
use support::{Frame, PATIENCE, Probe, Running, Wire, eventually, frame, tools};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// A server whose clients join the rooms that they name, and hear `in NAME` when they are.
fn start(adjust: impl FnOnce(&mut wspoll::Config)) -> (Running, Admin) {
    let probe = Probe::new().on_message(|conn, message| {
        if let wspoll::Message::Text(room) = message {
            let _ = conn.join(room);
            let _ = conn.send(&*format!("in {room}"));
        }
    });
    let server = probe.start_with(|config| {
        config.admin = Some("127.0.0.1:0".to_owned());
        adjust(config);
    });
    let admin = Admin::at(server.server.admin_addr().expect("an admin listener"));
    (server, admin)
}

fn open(server: &mut Running, rooms: &[&str]) -> (Wire, ConnId) {
    let mut wire = Wire::open(server);
    let id = server.events.opened();
    for room in rooms {
        wire.frame(Frame::text(room));
        wire.expect_text(&format!("in {room}"));
    }
    (wire, id)
}

fn counts(delivered: u64, dropped: u64, unknown: u64) -> Value {
    json!({ "delivered": delivered, "dropped": dropped, "unknown": unknown })
}

#[track_caller]
fn expect(answer: &support::wire::Answer, total: Value, items: Vec<Value>) {
    assert_eq!(answer.status, 200, "{}", admin::text(answer));
    let mut expected = total;
    expected["items"] = Value::Array(items);
    assert_eq!(admin::json(answer), expected);
}

#[test]
fn everyone_a_room_or_some_connections_get_a_message() {
    let (mut server, admin) = start(|config| config.shards = 3);
    let (mut a, a_id) = open(&mut server, &["news"]);
    let (mut b, b_id) = open(&mut server, &["news", "chat"]);
    let (mut c, c_id) = open(&mut server, &[]);

    let answer = admin.post("/push/all", JSON, r#"{"text":"to all"}"#);
    expect(&answer, counts(3, 0, 0), vec![counts(3, 0, 0)]);
    let answer = admin.post("/push/room", JSON, r#"{"room":"news","text":"to news"}"#);
    expect(&answer, counts(2, 0, 0), vec![counts(2, 0, 0)]);
    let body = json!({ "ids": [a_id.to_string(), c_id.to_raw().to_string()], "text": "to two" });
    let answer = admin.post("/push/conn", JSON, &body.to_string());
    expect(&answer, counts(2, 0, 0), vec![counts(2, 0, 0)]);
    let body = json!({ "except": b_id.to_raw(), "room": "news", "binary": "AP8=" });
    let answer = admin.post("/push/room", JSON, &body.to_string());
    expect(&answer, counts(1, 0, 0), vec![counts(1, 0, 0)]);

    for (wire, texts) in [
        (&mut a, &["to all", "to news", "to two"][..]),
        (&mut b, &["to all", "to news"]),
        (&mut c, &["to all", "to two"]),
    ] {
        texts.iter().for_each(|text| wire.expect_text(text));
    }
    a.expect(frame::BINARY, [0, 255]);
}

#[test]
fn many_items_go_out_in_their_order_and_are_answered_one_by_one() {
    let (mut server, admin) = start(|_| {});
    let (mut wire, id) = open(&mut server, &["r"]);
    let items: Vec<Value> = (0..100).map(|n| json!({ "text": format!("{n}") })).collect();
    let answer =
        admin.post("/push/room", JSON, &json!({ "room": "r", "items": items }).to_string());
    expect(&answer, counts(100, 0, 0), vec![counts(1, 0, 0); 100]);
    (0..100).for_each(|n| wire.expect_text(&n.to_string()));

    let body = json!({ "items": [
        { "room": "nobody", "text": "a" },
        { "room": "r", "text": "b" },
    ]});
    let answer = admin.post("/push/room", JSON, &body.to_string());
    expect(&answer, counts(1, 0, 1), vec![counts(0, 0, 1), counts(1, 0, 0)]);
    wire.expect_text("b");

    server.handle.close(id, 1000, "").expect("closing");
    wire.expect_close(1000);
    wire.frame(Frame::close(1000, ""));
    server.events.closed();
    let answer = admin.post("/push/conn", "", &format!(r#"{{"id":"{id}","text":"too late"}}"#));
    expect(&answer, counts(0, 0, 1), vec![counts(0, 0, 1)]);
}

#[test]
fn forms_do_as_well() {
    let (mut server, admin) = start(|_| {});
    let (mut wire, id) = open(&mut server, &["a b&c"]);
    let answer = admin.post("/push/room", FORM, "room=a+b%26c&text=Gr%C3%BC%C3%9Fe&text=zwei");
    expect(&answer, counts(2, 0, 0), vec![counts(1, 0, 0); 2]);
    wire.expect_text("Grüße");
    wire.expect_text("zwei");
    let answer = admin.post("/push/conn", FORM, &format!("id={id}&binary=AAEC"));
    expect(&answer, counts(1, 0, 0), vec![counts(1, 0, 0)]);
    wire.expect(frame::BINARY, [0, 1, 2]);
    // What curl says of every body, and no type at all.
    for kind in [FORM, ""] {
        let answer = admin.post("/push/all", kind, r#" {"text":"JSON all the same"}"#);
        expect(&answer, counts(1, 0, 0), vec![counts(1, 0, 0)]);
        wire.expect_text("JSON all the same");
    }
}

#[test]
fn a_service_that_speaks_to_go_push_needs_no_change() {
    let (mut server, admin) = start(|_| {});
    let (mut wire, _) = open(&mut server, &["room-1"]);
    let Some(curl) = tools::require_tool(&["curl"]) else { return };
    let push = |path: &str, data: &[&str]| {
        let mut command = Command::new(&curl);
        command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time"]);
        command.arg(PATIENCE.as_secs().to_string()).arg(format!("http://{}{path}", admin.addr));
        for data in data {
            command.args(["--data-urlencode", data]);
        }
        let output = command.output().expect("running curl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).expect("JSON")
    };
    let items = r#"items=[{"type":"gift","data":{"n": 1}},{"type":"chat","data":"hi & hello"}]"#;
    let sent = r#"{"type":"PUSH","data":{"items":[{"type":"gift","data":{"n": 1}},{"type":"chat","data":"hi & hello"}]}}"#;
    assert_eq!(push("/push/all", &[items])["delivered"], 1);
    wire.expect_text(sent);
    assert_eq!(push("/push/room", &["room=room-1", items])["delivered"], 1);
    wire.expect_text(sent);
    assert_eq!(push("/push/room", &["room=elsewhere", items])["delivered"], 0);
    // As its gateways are asked by its logic servers.
    assert_eq!(push("/push/room", &["room=room-1", r#"msg={"n":2}"#])["delivered"], 1);
    wire.expect_text(r#"{"type":"PUSH","data":{"items":[{"n":2}]}}"#);
}

#[test]
fn what_a_slow_reader_does_not_get_is_counted() {
    let (mut server, admin) = start(|config| {
        config.max_outbox_bytes = 64 * 1024;
        config.slow_consumer = SlowConsumer::DropNew;
    });
    let _reads_nothing = open(&mut server, &[]);
    let body = json!({ "text": "x".repeat(1024 * 1024) }).to_string();
    let total = eventually(
        "a push to be dropped",
        || admin::json(&admin.post("/push/all", JSON, &body)),
        |answer| answer["dropped"] == 1,
    );
    assert_eq!(total["delivered"], 0);
}

#[test]
fn nothing_is_pushed_if_anything_is_wrong() {
    let (mut server, admin) = start(|_| {});
    let (mut wire, _) = open(&mut server, &[]);
    let wrong = |answer: support::wire::Answer, status: u16, field: &str, value: &str| {
        assert_eq!(answer.status, status, "{}", admin::text(&answer));
        let error = admin::json(&answer);
        assert_eq!((&error["field"], &error["value"]), (&json!(field), &json!(value)));
        let text = error["error"].as_str().expect("a text");
        assert!(text.contains(field) && text.contains(value), "{text}");
    };
    let body = r#"{"items":[{"text":"first"},{"text":5}]}"#;
    wrong(admin.post("/push/all", JSON, body), 400, "items[1].text", "5");
    wrong(admin.post("/push/all", JSON, "text=a"), 400, "body", "text=a");
    wrong(admin.post("/push/all", FORM, "items=none"), 400, "items", "none");
    wrong(admin.post("/push/all", "text/plain", "a"), 415, "Content-Type", "text/plain");
    let room = "r".repeat(1025);
    let shown = format!("{}…", "r".repeat(100));
    wrong(admin.post("/push/room", FORM, &format!("room={room}&text=a")), 400, "room", &shown);
    admin.post("/push/all", JSON, r#"{"text":"last"}"#);
    wire.expect_text("last");
}

#[test]
fn a_mailbox_without_room_is_told_item_by_item() {
    let (server, shards) = wspoll::Server::builder()
        .config(support::probe::config(|config| config.max_mailbox_bytes = 2048))
        .admin("127.0.0.1:0")
        .start_hosted()
        .expect("the server starts");
    // Nobody drives the shard.
    let admin = Admin::at(server.admin_addr().expect("an admin listener"));
    let big = "x".repeat(4000);
    let body = json!({ "items": [{ "text": big }, { "text": "b" }] });
    let answer = admin.post("/push/all", JSON, &body.to_string());
    assert_eq!(answer.status, 504, "the worse of the two: {}", admin::text(&answer));
    let answer = admin::json(&answer);
    let error = |at: usize| answer["items"][at]["error"].as_str().expect("an error").to_owned();
    assert!(error(0).starts_with("queued, but"), "{answer}");
    assert_eq!(error(1), "the queue is full");
    let answer = admin.post("/push/all", JSON, r#"{"text":"c"}"#);
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
    drop(shards);
}

#[test]
fn a_body_has_a_largest_size() {
    let (_server, admin) = start(|_| {});
    let mut wire = Wire::connect(admin.addr);
    let length = 8 * 1024 * 1024 + 1;
    wire.send(format!(
        "POST /push/all HTTP/1.1\r\nHost: {}\r\nContent-Length: {length}\r\n\r\n",
        admin.addr
    ));
    let answer = wire.answer();
    assert_eq!(answer.status, 413, "{}", admin::text(&answer));
}
