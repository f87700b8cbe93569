//! Pushes as forms: `room=news&text=hello`, several texts for several messages; and as go-push takes them.
//!
//! The gateways of go-push (github.com/owenliang/go-push) get `items=[…]`, a JSON list of anything, or `msg=…`, one of
//! anything. What their clients receive is one text, `{"type":"PUSH","data":{"items":[…]}}`, with the items as they
//! were written. So do ours.

use serde_json::value::RawValue;

use super::super::reply::Refusal;
use super::{Item, Kind, Payload, To};

/// Reads a body.
pub(super) fn items(kind: Kind, body: &[u8]) -> Result<Vec<Item>, Refusal> {
    let (mut room, mut except, mut ids) = (None, None, Vec::new());
    let mut payloads = Vec::new();
    for (name, value) in form_urlencoded::parse(body) {
        match (&*name, kind) {
            ("room", Kind::Room) if room.is_some() => {
                return Err(Refusal::field("room", value, "must stand once"));
            }
            ("room", Kind::Room) => {
                super::check_room_name("room", &value)?;
                room = Some(value.into_owned());
            }
            ("id", Kind::Conn) => ids.push(super::parse_id("id", &value)?),
            ("except", _) if except.is_some() => {
                return Err(Refusal::field("except", value, "must stand once"));
            }
            ("except", _) => except = Some(super::parse_id("except", &value)?),
            ("text", _) => payloads.push(Payload::Text(value.into_owned())),
            ("binary", _) => payloads.push(Payload::Binary(super::parse_base64("binary", &value)?)),
            ("items", _) => payloads.push(go_push_items(&value)?),
            ("msg", _) => payloads.push(go_push_message(&value)?),
            _ => {
                let known = match kind {
                    Kind::All => "except, text, binary, items, msg",
                    Kind::Room => "room, except, text, binary, items, msg",
                    Kind::Conn => "id, except, text, binary, items, msg",
                };
                let reason = format!("there is no such field here, only {known}");
                return Err(Refusal::field(name, value, reason));
            }
        }
    }
    let to = match kind {
        Kind::All => To::All,
        Kind::Room => To::Room(room.ok_or_else(|| Refusal::field("room", "", "must be there"))?),
        Kind::Conn if ids.is_empty() => return Err(Refusal::field("id", "", "must be there")),
        Kind::Conn => {
            super::check_count("id", ids.len())?;
            To::Conns(ids)
        }
    };
    if payloads.is_empty() {
        return Err(Refusal::field("text", "", "must be there, or binary, items or msg"));
    }
    super::check_count("text", payloads.len())?;
    let item = |payload| Item { to: to.clone(), except, payload };
    Ok(payloads.into_iter().map(item).collect())
}

/// A list of anything, as one message.
fn go_push_items(text: &str) -> Result<Payload, Refusal> {
    let items: Vec<&RawValue> = serde_json::from_str(text)
        .map_err(|e| Refusal::field("items", text, format!("must be a JSON list: {e}")))?;
    super::check_count("items", items.len())?;
    let items: Vec<&str> = items.into_iter().map(RawValue::get).collect();
    Ok(envelope(&items.join(",")))
}

/// One thing, as one message.
fn go_push_message(text: &str) -> Result<Payload, Refusal> {
    let message: &RawValue = serde_json::from_str(text)
        .map_err(|e| Refusal::field("msg", text, format!("must be JSON: {e}")))?;
    Ok(envelope(message.get()))
}

fn envelope(items: &str) -> Payload {
    Payload::Text(format!(r#"{{"type":"PUSH","data":{{"items":[{items}]}}}}"#))
}
