//! Pushes in JSON: one message, or `{"items": […]}` with what all of them have in common beside it.
//!
//! ```json
//! {"room": "news", "items": [{"text": "to news"}, {"room": "chat", "binary": "AAEC"}]}
//! ```

use serde_json::{Map, Value};

use super::super::reply::Refusal;
use super::{Item, Kind, Payload, To};
use crate::connection::id::{ConnId, ID_EXPECTED};

/// Reads a body.
pub(super) fn items(kind: Kind, body: &[u8]) -> Result<Vec<Item>, Refusal> {
    let value: Value = serde_json::from_slice(body).map_err(|e| {
        Refusal::field("body", String::from_utf8_lossy(body), format!("is not JSON: {e}"))
    })?;
    let Value::Object(body) = value else {
        return Err(Refusal::field("body", value.to_string(), "must be an object"));
    };
    let Some(items) = body.get("items") else {
        let item = Fields { prefix: String::new(), fields: &body, common: None };
        return Ok(vec![item.item(kind)?]);
    };
    let common = Fields { prefix: String::new(), fields: &body, common: None };
    common.check_names(kind, false)?;
    let Value::Array(items) = items else {
        return Err(Refusal::field("items", items.to_string(), "must be a list"));
    };
    super::check_count("items", items.len())?;
    let item = |(at, value): (usize, &Value)| {
        let Value::Object(fields) = value else {
            let field = format!("items[{at}]");
            return Err(Refusal::field(field, value.to_string(), "must be an object"));
        };
        let prefix = format!("items[{at}].");
        Fields { prefix, fields, common: Some(&common) }.item(kind)
    };
    items.iter().enumerate().map(item).collect()
}

/// The fields of one object of the request.
struct Fields<'v> {
    /// What its fields are called in errors: `items[3].`
    prefix: String,
    fields: &'v Map<String, Value>,
    /// Where what it lacks may stand.
    common: Option<&'v Fields<'v>>,
}

impl Fields<'_> {
    fn item(&self, kind: Kind) -> Result<Item, Refusal> {
        self.check_names(kind, true)?;
        let to = match kind {
            Kind::All => To::All,
            Kind::Room => To::Room(self.room()?),
            Kind::Conn => To::Conns(self.ids()?),
        };
        let except = self.get("except").map(|(name, value)| id(name, value)).transpose()?;
        Ok(Item { to, except, payload: self.payload()? })
    }

    /// A field that is not known is most likely misspelt, and would be missed in silence.
    fn check_names(&self, kind: Kind, is_item: bool) -> Result<(), Refusal> {
        let target: &[&str] = match kind {
            Kind::All => &["except"],
            Kind::Room => &["except", "room"],
            Kind::Conn => &["except", "id", "ids"],
        };
        let content: &[&str] = if is_item { &["binary", "text"] } else { &["items"] };
        for (name, value) in self.fields {
            if !target.contains(&name.as_str()) && !content.contains(&name.as_str()) {
                let known = [target, content].concat().join(", ");
                let field = format!("{}{name}", self.prefix);
                let reason = format!("there is no such field here, only {known}");
                return Err(Refusal::field(field, value.to_string(), reason));
            }
        }
        Ok(())
    }

    /// A field and its name in errors, of the item or else of what all have in common.
    fn get(&self, name: &str) -> Option<(String, &Value)> {
        match self.fields.get(name) {
            Some(value) => Some((format!("{}{name}", self.prefix), value)),
            None => self.common?.get(name),
        }
    }

    fn missing(&self, name: &str, reason: &str) -> Refusal {
        Refusal::field(format!("{}{name}", self.prefix), "", reason)
    }

    fn room(&self) -> Result<String, Refusal> {
        let (name, value) =
            self.get("room").ok_or_else(|| self.missing("room", "must be there"))?;
        let room = text(&name, value)?;
        super::check_room_name(name, room)?;
        Ok(room.to_owned())
    }

    fn ids(&self) -> Result<Vec<ConnId>, Refusal> {
        match (self.get("id"), self.get("ids")) {
            (Some((name, value)), None) => Ok(vec![id(name, value)?]),
            (None, Some((name, Value::Array(list)))) => {
                super::check_count(&name, list.len())?;
                let one = |(at, value)| id(format!("{name}[{at}]"), value);
                list.iter().enumerate().map(one).collect()
            }
            (None, Some((name, value))) => {
                Err(Refusal::field(name, value.to_string(), "must be a list"))
            }
            (Some((name, value)), Some(_)) => {
                Err(Refusal::field(name, value.to_string(), "must not stand beside ids"))
            }
            (None, None) => Err(self.missing("id", "must be there, or ids")),
        }
    }

    fn payload(&self) -> Result<Payload, Refusal> {
        let field = |name: &str| format!("{}{name}", self.prefix);
        match (self.fields.get("text"), self.fields.get("binary")) {
            (Some(value), None) => Ok(Payload::Text(text(&field("text"), value)?.to_owned())),
            (None, Some(value)) => {
                let name = field("binary");
                let bytes = super::parse_base64(name.clone(), text(&name, value)?)?;
                Ok(Payload::Binary(bytes))
            }
            (Some(value), Some(_)) => Err(Refusal::field(
                field("text"),
                value.to_string(),
                "must not stand beside binary",
            )),
            (None, None) => Err(self.missing("text", "must be there, or binary")),
        }
    }
}

fn text<'v>(field: &str, value: &'v Value) -> Result<&'v str, Refusal> {
    value.as_str().ok_or_else(|| Refusal::field(field, value.to_string(), "must be text"))
}

/// An id as text, or as the number where the writer's numbers hold 64 bits.
fn id(field: String, value: &Value) -> Result<ConnId, Refusal> {
    match (value.as_str(), value.as_u64()) {
        (Some(text), _) => super::parse_id(field, text),
        (None, Some(raw)) if raw > 0 => Ok(ConnId::from_raw(raw)),
        _ => Err(Refusal::field(field, value.to_string(), ID_EXPECTED)),
    }
}
