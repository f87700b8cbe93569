//! `POST /push/all`, `/push/room`, `/push/conn`: messages by HTTP.

mod form;
mod json;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use bytes::Bytes;
use data_encoding::BASE64;
use hyper::StatusCode;
use hyper::header::{self, HeaderMap, HeaderValue};
use serde_json::{Value, json as object};
use smol::{Timer, future};

use crate::connection::id::{ConnId, ID_EXPECTED};
use crate::error::Error;
use crate::protocol::message::Message;
use crate::shard::conn::check_room;
use crate::shard::target::{Pushed, Receipt, Target};

use super::reply::{self, Refusal, Reply};
use super::router::State;

/// Messages in one request. Each is answered for by itself.
const MAX_ITEMS: usize = 10_000;
/// How long the shards may take to say how far the messages came.
const RECEIPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Which of the paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    All,
    Room,
    Conn,
}

/// One message and for whom it is.
#[derive(Debug, PartialEq, Eq)]
struct Item {
    to: To,
    except: Option<ConnId>,
    payload: Payload,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum To {
    All,
    Room(String),
    Conns(Vec<ConnId>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Payload {
    Text(String),
    Binary(Vec<u8>),
}

impl Item {
    fn target(&self) -> Target<'_> {
        let target = match &self.to {
            To::All => Target::all(),
            To::Room(room) => Target::room(room),
            To::Conns(ids) => Target::conns(ids),
        };
        match self.except {
            Some(id) => target.except(id),
            None => target,
        }
    }

    fn message(&self) -> Message<'_> {
        match &self.payload {
            Payload::Text(text) => Message::Text(text),
            Payload::Binary(bytes) => Message::Binary(bytes),
        }
    }
}

/// Pushes what a request asks for: nothing of it if anything in it is wrong.
pub(super) async fn push(
    state: &State,
    kind: Kind,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Reply, Refusal> {
    let items = match syntax(headers, &body)? {
        Syntax::Json => json::items(kind, &body)?,
        Syntax::Form => form::items(kind, &body)?,
    };
    // All are queued before any is waited for, in the order of the request.
    let push = |item: &Item| state.host.push(item.target(), item.message());
    let pushed: Vec<crate::error::Result<Receipt>> = items.iter().map(push).collect();
    let deadline = Instant::now() + RECEIPT_TIMEOUT;
    let mut status = StatusCode::OK;
    let mut total = Pushed::default();
    let mut answers = Vec::with_capacity(pushed.len());
    for receipt in pushed {
        let came = match receipt {
            Ok(receipt) => wait(receipt, deadline).await,
            Err(e) => Err(Refusal::from(e)),
        };
        match came {
            Ok(came) => {
                total.delivered += came.delivered;
                total.dropped += came.dropped;
                total.unknown += came.unknown;
                answers.push(counts(&came));
            }
            Err(refusal) => {
                status = status.max(refusal.status);
                answers.push(object!({ "error": refusal.reason }));
            }
        }
    }
    let mut answer = counts(&total);
    answer["items"] = Value::Array(answers);
    let mut reply = reply::json(status, &answer);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(reply)
}

async fn wait(receipt: Receipt, deadline: Instant) -> Result<Pushed, Refusal> {
    if let Some(came) = receipt.get() {
        return Ok(came);
    }
    let late = async {
        Timer::at(deadline).await;
        let reason = format!("queued, but a shard has not taken it for {RECEIPT_TIMEOUT:?}");
        Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, reason))
    };
    future::or(async { Ok(receipt.await) }, late).await
}

fn counts(came: &Pushed) -> Value {
    object!({ "delivered": came.delivered, "dropped": came.dropped, "unknown": came.unknown })
}

enum Syntax {
    Json,
    Form,
}

/// How a body is to be read. `curl -d` calls everything a form: what begins like a JSON object is taken for one.
fn syntax(headers: &HeaderMap, body: &[u8]) -> Result<Syntax, Refusal> {
    let looks_like_json = body.trim_ascii_start().starts_with(b"{");
    let guess = if looks_like_json { Syntax::Json } else { Syntax::Form };
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(guess) };
    let value = value.to_str().unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/json" => Ok(Syntax::Json),
        "application/x-www-form-urlencoded" => Ok(guess),
        _ => {
            let reason = "must be application/json or application/x-www-form-urlencoded";
            let refusal = Refusal::field("Content-Type", value, reason);
            Err(refusal.status(StatusCode::UNSUPPORTED_MEDIA_TYPE))
        }
    }
}

/// A list that holds something, and not too much.
fn check_count(field: &str, count: usize) -> Result<(), Refusal> {
    if (1..=MAX_ITEMS).contains(&count) {
        return Ok(());
    }
    let reason = format!("must hold 1 to {MAX_ITEMS}");
    Err(Refusal::field(field, format!("{count} items"), reason))
}

fn check_room_name(field: impl Into<String>, room: &str) -> Result<(), Refusal> {
    check_room(room).map_err(|e| match e {
        Error::InvalidArgument(e) => Refusal::field(field, room, e.reason),
        e => Refusal::from(e),
    })
}

fn parse_id(field: impl Into<String>, text: &str) -> Result<ConnId, Refusal> {
    ConnId::parse(text).ok_or_else(|| Refusal::field(field, text, ID_EXPECTED))
}

fn parse_base64(field: impl Into<String>, text: &str) -> Result<Vec<u8>, Refusal> {
    BASE64
        .decode(text.as_bytes())
        .map_err(|e| Refusal::field(field, text, format!("is not base64: {e}")))
}
