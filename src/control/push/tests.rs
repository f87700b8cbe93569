//! What bodies mean, and how they are refused.

use super::{Item, Kind, Payload, To, form, json};
use crate::connection::id::ConnId;
use crate::control::reply::Refusal;

fn text(text: &str) -> Payload {
    Payload::Text(text.to_owned())
}

fn room(name: &str) -> To {
    To::Room(name.to_owned())
}

fn item(to: To, payload: Payload) -> Item {
    Item { to, except: None, payload }
}

fn named(refusal: Refusal) -> (String, String) {
    *refusal.field.expect("a field")
}

#[test]
fn one_message_needs_no_list() {
    let items = json::items(Kind::All, br#"{"text": "Gr\u00fc\u00dfe"}"#).expect("items");
    assert_eq!(items, [item(To::All, text("Grüße"))]);
    let items = form::items(Kind::All, b"text=Gr%C3%BC%C3%9Fe+%2B").expect("items");
    assert_eq!(items, [item(To::All, text("Grüße +"))]);
}

#[test]
fn what_all_items_share_stands_beside_them() {
    let body = br#"{"room":"news","except":"0-1-2","items":[{"text":"a"},{"room":"chat","binary":"AAH/"}]}"#;
    let except = Some(ConnId::new(0, 1, 2));
    let expected = [
        Item { to: room("news"), except, payload: text("a") },
        Item { to: room("chat"), except, payload: Payload::Binary(vec![0, 1, 255]) },
    ];
    assert_eq!(json::items(Kind::Room, body).expect("items"), expected);
}

#[test]
fn ids_are_text_or_numbers() {
    let id = ConnId::new(3, 4, 5);
    let raw = id.to_raw();
    for body in [
        r#"{"id":"3-4-5","text":"t"}"#.to_owned(),
        format!(r#"{{"id":"{raw}","text":"t"}}"#),
        format!(r#"{{"ids":[{raw}],"text":"t"}}"#),
    ] {
        let items = json::items(Kind::Conn, body.as_bytes()).expect("items");
        assert_eq!(items, [item(To::Conns(vec![id]), text("t"))], "{body}");
    }
    let items = form::items(Kind::Conn, b"id=3-4-5&id=3-4-5&text=t").expect("items");
    assert_eq!(items, [item(To::Conns(vec![id, id]), text("t"))]);
}

#[test]
fn go_push_gets_its_envelope_with_the_items_as_written() {
    // As `curl --data-urlencode 'items=[…]'` sends it.
    let body = b"room=r1&items=%5B%7B%22b%22%3A+1.0%2C%22a%22%3A%22x%22%7D%2C+%22y%22%5D";
    let items = form::items(Kind::Room, body).expect("items");
    let sent = r#"{"type":"PUSH","data":{"items":[{"b": 1.0,"a":"x"},"y"]}}"#;
    assert_eq!(items, [item(room("r1"), text(sent))]);
    let items = form::items(Kind::All, br#"msg={"hi":"all"}"#).expect("items");
    let sent = r#"{"type":"PUSH","data":{"items":[{"hi":"all"}]}}"#;
    assert_eq!(items, [item(To::All, text(sent))]);
}

#[test]
fn what_is_wrong_is_named_with_its_value() {
    for (kind, body, field, value) in [
        (Kind::All, "[1]", "body", "[1]"),
        (Kind::All, "{", "body", "{"),
        (Kind::All, "{}", "text", ""),
        (Kind::All, r#"{"txt":"a"}"#, "txt", "\"a\""),
        (Kind::All, r#"{"text":7}"#, "text", "7"),
        (Kind::All, r#"{"text":"a","binary":""}"#, "text", "\"a\""),
        (Kind::All, r#"{"room":"r","text":"a"}"#, "room", "\"r\""),
        (Kind::All, r#"{"binary":"A"}"#, "binary", "A"),
        (Kind::All, r#"{"items":{}}"#, "items", "{}"),
        (Kind::All, r#"{"items":[]}"#, "items", "0 items"),
        (Kind::All, r#"{"items":[{"text":"a"},3]}"#, "items[1]", "3"),
        (Kind::All, r#"{"text":"a","items":[{"text":"b"}]}"#, "text", "\"a\""),
        (Kind::Room, r#"{"items":[{"room":"r","text":"a"},{"text":"b"}]}"#, "items[1].room", ""),
        (Kind::Room, r#"{"items":[{"room":1,"text":"a"}]}"#, "items[0].room", "1"),
        (Kind::Conn, r#"{"text":"a"}"#, "id", ""),
        (Kind::Conn, r#"{"id":0,"text":"a"}"#, "id", "0"),
        (Kind::Conn, r#"{"id":"me","text":"a"}"#, "id", "me"),
        (Kind::Conn, r#"{"ids":["1-1-1",-1],"text":"a"}"#, "ids[1]", "-1"),
        (Kind::Conn, r#"{"ids":[],"text":"a"}"#, "ids", "0 items"),
        (Kind::Conn, r#"{"ids":"1-1-1","text":"a"}"#, "ids", "\"1-1-1\""),
        (Kind::Conn, r#"{"id":"1-1-1","ids":["1-1-1"],"text":"a"}"#, "id", "\"1-1-1\""),
    ] {
        let refusal = json::items(kind, body.as_bytes()).expect_err(body);
        assert_eq!(named(refusal), (field.to_owned(), value.to_owned()), "{body}");
    }
    for (kind, body, field, value) in [
        (Kind::All, "", "text", ""),
        (Kind::All, "txt=a", "txt", "a"),
        (Kind::All, "room=r&text=a", "room", "r"),
        (Kind::All, "items=7", "items", "7"),
        (Kind::All, "items=[]", "items", "0 items"),
        (Kind::All, "msg=hello", "msg", "hello"),
        (Kind::All, "binary=%21", "binary", "!"),
        (Kind::Room, "text=a", "room", ""),
        (Kind::Room, "room=a&room=b&text=a", "room", "b"),
        (Kind::Conn, "text=a", "id", ""),
        (Kind::Conn, "id=1-2&text=a", "id", "1-2"),
    ] {
        let refusal = form::items(kind, body.as_bytes()).expect_err(body);
        assert_eq!(named(refusal), (field.to_owned(), value.to_owned()), "{body}");
    }
    let long = format!(r#"{{"room":"{}","text":"a"}}"#, "r".repeat(1025));
    let refusal = json::items(Kind::Room, long.as_bytes()).expect_err("too long");
    assert_eq!(named(refusal).0, "room");
}

#[test]
fn ten_thousand_messages_are_the_most() {
    let body =
        |count: usize| format!(r#"{{"items":[{}]}}"#, vec![r#"{"text":""}"#; count].join(","));
    assert_eq!(json::items(Kind::All, body(10_000).as_bytes()).expect("items").len(), 10_000);
    let refusal = json::items(Kind::All, body(10_001).as_bytes()).expect_err("too many");
    assert_eq!(named(refusal), ("items".to_owned(), "10001 items".to_owned()));
}
