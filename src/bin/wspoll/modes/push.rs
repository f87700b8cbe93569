//! The JSON protocol of push mode: docs/push-protocol.md. Its messages have the shapes that go-push gave them.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use wspoll::{Conn, Error, Message};

/// Longest name of a room in bytes.
const MAX_ROOM_NAME: usize = 256;
/// Longest message taken: far above what a push should be, and with the name of its room added still below what
/// clients take by default.
const MAX_MESSAGE: usize = 32 * 1024;

/// What a client did wrong: a word for programs, and words for people.
type Refusal = (&'static str, String);

type Fields = BTreeMap<String, Box<RawValue>>;

const PONG: &str = r#"{"type":"PONG","data":{}}"#;

/// Acts upon a message, and answers what is wrong with it.
pub(super) fn on_message(conn: &mut Conn<'_>, message: Message<'_>) -> wspoll::Result<()> {
    let refusal = match take(conn, message) {
        Ok(None) => return Ok(()),
        Ok(Some(answer)) => return conn.send(answer),
        Err(refusal) => refusal,
    };
    let (error, words) = refusal;
    let data = serde_json::json!({ "error": error, "message": words });
    conn.send(&serde_json::json!({ "type": "ERROR", "data": data }).to_string())
}

fn take(conn: &mut Conn<'_>, message: Message<'_>) -> Result<Option<&'static str>, Refusal> {
    let Message::Text(text) = message else {
        return Err(("not_text", "messages are JSON in text messages".to_owned()));
    };
    if text.len() > MAX_MESSAGE {
        let words =
            format!("the message has {} bytes, at most {MAX_MESSAGE} are taken", text.len());
        return Err(("too_large", words));
    }
    let fields: Fields =
        serde_json::from_str(text).map_err(|error| ("bad_json", error.to_string()))?;
    let kind: String = field(&fields, "type")?;
    match kind.as_str() {
        "PING" => return Ok(Some(PONG)),
        "PONG" => {}
        "JOIN" => join(conn, &room(&data(&fields)?)?)?,
        "LEAVE" => {
            conn.leave(&room(&data(&fields)?)?);
        }
        "PUSH" => push(conn, &data(&fields)?)?,
        _ => {
            let kind: String = kind.chars().take(40).collect();
            return Err((
                "unknown_type",
                format!("type is {kind:?}: must be PING, PONG, JOIN, LEAVE or PUSH"),
            ));
        }
    }
    Ok(None)
}

fn join(conn: &mut Conn<'_>, room: &str) -> Result<(), Refusal> {
    match conn.join(room) {
        // One that is closing needs no answer.
        Ok(_) | Err(Error::Gone) => Ok(()),
        // The name's length has been looked at.
        Err(_) => {
            Err(("too_many_rooms", "the connection is in as many rooms as it may be".to_owned()))
        }
    }
}

/// Sends what the client gives to everybody in a room that it is in itself.
fn push(conn: &mut Conn<'_>, data: &Fields) -> Result<(), Refusal> {
    let room = room(data)?;
    let items: Vec<Box<RawValue>> = field(data, "items")?;
    // Joining tells whether it was outside; it also is where it may be in no more rooms.
    let was_outside = conn.join(&room);
    if let Ok(true) = was_outside {
        conn.leave(&room);
    }
    if !matches!(was_outside, Ok(false)) {
        return Err(("not_in_room", "only members push to a room: JOIN it first".to_owned()));
    }
    let items: Vec<&str> = items.iter().map(|item| item.get()).collect();
    let name = serde_json::Value::from(room.as_str());
    let text =
        format!(r#"{{"type":"PUSH","data":{{"room":{name},"items":[{}]}}}}"#, items.join(","));
    match conn.publish(&room, &text) {
        Ok(()) => Ok(()),
        Err(Error::Backpressure) => {
            Err(("busy", "too much is under way; nobody got it, try again".to_owned()))
        }
        Err(error) => Err(("failed", error.to_string())),
    }
}

fn data(fields: &Fields) -> Result<Fields, Refusal> {
    field(fields, "data")
}

fn room(data: &Fields) -> Result<String, Refusal> {
    let room: String = field(data, "room")?;
    match room.len() {
        1..=MAX_ROOM_NAME => Ok(room),
        len => {
            let words = format!("room has {len} bytes: must be 1 to {MAX_ROOM_NAME}");
            Err(("bad_data", words))
        }
    }
}

fn field<T: for<'a> serde::Deserialize<'a>>(
    fields: &Fields,
    name: &'static str,
) -> Result<T, Refusal> {
    let value = fields.get(name).ok_or_else(|| ("bad_data", format!("{name} is missing")))?;
    serde_json::from_str(value.get()).map_err(|error| ("bad_data", format!("{name}: {error}")))
}
