//! Who is connected and which rooms there are, page by page; and the end of one connection.
//!
//! A page is taken from one shard after the other, on their threads. A cursor says where the next page begins: on which
//! shard, and at which place there. What comes or goes between two pages may be missed, or met twice.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};
use smol::{Timer, channel, future};

use crate::connection::id::{ConnId, ID_EXPECTED};
use crate::shard::mailbox::Command;
use crate::shard::view::{ConnView, View};

use super::reply::{self, Refusal, Reply};
use super::router::{self, State};

const DEFAULT_LIMIT: usize = 100;
/// A page is made between two messages of a shard: it must be short.
const MAX_LIMIT: usize = 1000;
/// Rooms shown of a connection that may be in thousands.
const SHOWN_ROOMS: usize = 20;
/// Looks at shards for one page of rooms: where many rooms are on several shards, a page may be shorter than asked for.
const MAX_LOOKS: usize = 16;
/// How long a shard may take to show itself.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a page begins.
#[derive(Clone, Copy, Default)]
struct Cursor {
    shard: usize,
    place: u32,
}

impl Cursor {
    fn parse(text: Option<&str>, shards: usize) -> Result<Cursor, Refusal> {
        let Some(text) = text else { return Ok(Cursor::default()) };
        let parsed = text.split_once('-').and_then(|(shard, place)| {
            Some(Cursor { shard: shard.parse().ok()?, place: place.parse().ok()? })
        });
        parsed
            .filter(|cursor| cursor.shard < shards)
            .ok_or_else(|| Refusal::field("cursor", text, "must be a next of an earlier page"))
    }

    fn show(self) -> String {
        format!("{}-{}", self.shard, self.place)
    }
}

/// Entries of one shard, and the place behind the last if there are more.
struct Part<T> {
    entries: Vec<T>,
    next: Option<u32>,
}

impl<T> Part<T> {
    /// Takes `limit` of what comes with the place behind it.
    fn take<E>(
        all: impl Iterator<Item = (u32, E)>,
        limit: usize,
        show: impl Fn(E) -> T,
    ) -> Part<T> {
        let mut part = Part { entries: Vec::new(), next: None };
        let mut last = 0;
        for (next, entry) in all {
            if part.entries.len() == limit {
                part.next = Some(last);
                break;
            }
            part.entries.push(show(entry));
            last = next;
        }
        part
    }
}

fn limit(text: Option<String>) -> Result<usize, Refusal> {
    let Some(text) = text else { return Ok(DEFAULT_LIMIT) };
    match text.parse() {
        Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
        _ => Err(Refusal::field("limit", text, format!("must be 1 to {MAX_LIMIT}"))),
    }
}

/// Has a shard show something of itself.
pub(super) async fn look<T: Send + 'static>(
    state: &State,
    shard: usize,
    look: impl FnOnce(&View<'_>) -> T + Send + 'static,
) -> Result<T, Refusal> {
    let (sender, seen) = channel::bounded(1);
    let inspect = Box::new(move |view: &View<'_>| drop(sender.try_send(look(view))));
    state.host.fleet().post(shard, Command::Inspect(inspect))?;
    let late = async {
        Timer::after(LOOK_TIMEOUT).await;
        let reason = format!("shard {shard} has not answered for {LOOK_TIMEOUT:?}");
        Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, reason))
    };
    let seen = async {
        let ended = |_| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the server has ended");
        seen.recv().await.map_err(ended)
    };
    future::or(seen, late).await
}

/// `GET /connections`
pub(super) async fn connections(state: &State, query: &str) -> Result<Reply, Refusal> {
    let [room, cursor, limit_] = router::parameters(query, ["room", "cursor", "limit"])?;
    let fleet = state.host.fleet();
    let (shards, limit) = (fleet.mailboxes.len(), limit(limit_)?);
    let mut cursor = Some(Cursor::parse(cursor.as_deref(), shards)?);
    let mut page = Vec::new();
    while let Some(Cursor { shard, place }) = cursor
        && page.len() < limit
    {
        let (room, left) = (room.clone(), limit - page.len());
        let part = look(state, shard, move |view| match room {
            Some(room) => Part::take(view.members(&room, place), left, show),
            None => Part::take(view.connections(place), left, show),
        });
        let part = part.await?;
        page.extend(part.entries);
        cursor = match part.next {
            Some(place) => Some(Cursor { shard, place }),
            None => (shard + 1 < shards).then_some(Cursor { shard: shard + 1, place: 0 }),
        };
    }
    let total = match room {
        None => fleet.stats().total.connections,
        Some(room) => members(state, &room).await?,
    };
    let next = cursor.map(Cursor::show);
    Ok(reply::json(StatusCode::OK, &json!({ "total": total, "connections": page, "next": next })))
}

fn show(conn: ConnView<'_>) -> Value {
    let id = conn.id();
    let mut rooms: Vec<&str> = conn.rooms().take(SHOWN_ROOMS + 1).collect();
    let has_more = rooms.len() > SHOWN_ROOMS;
    rooms.truncate(SHOWN_ROOMS);
    json!({
        "id": id.to_raw().to_string(),
        "name": id.to_string(),
        "peer": conn.peer().to_string(),
        "open": conn.is_open(),
        "subprotocol": conn.subprotocol(),
        "age_ms": conn.age().as_millis() as u64,
        "queued_bytes": conn.queued_bytes(),
        "data": conn.data().to_string(),
        "rooms": rooms,
        "more_rooms": has_more,
    })
}

/// Members of a room on all shards.
async fn members(state: &State, room: &str) -> Result<u64, Refusal> {
    let mut members = 0;
    for shard in 0..state.host.fleet().mailboxes.len() {
        let room = room.to_owned();
        members += look(state, shard, move |view| view.room_members(&room) as u64).await?;
    }
    Ok(members)
}

/// `GET /rooms`. A room of several shards is shown where the first of them is.
pub(super) async fn rooms(state: &State, query: &str) -> Result<Reply, Refusal> {
    let [cursor, limit_] = router::parameters(query, ["cursor", "limit"])?;
    let (shards, limit) = (state.host.fleet().mailboxes.len(), limit(limit_)?);
    let mut cursor = Some(Cursor::parse(cursor.as_deref(), shards)?);
    let mut page: Vec<Value> = Vec::new();
    let mut looks = 0..MAX_LOOKS;
    while let Some(Cursor { shard, place }) = cursor
        && page.len() < limit
        && looks.next().is_some()
    {
        let left = limit - page.len();
        let part = look(state, shard, move |view| {
            Part::take(view.rooms(place), left, |room| (room.name.to_owned(), room.members as u64))
        });
        let part = part.await?;
        let mut found = part.entries;
        for other in (0..shards).filter(|other| *other != shard) {
            let names: Vec<String> = found.iter().map(|(name, _)| name.clone()).collect();
            let counts = look(state, other, move |view| {
                names.iter().map(|name| view.room_members(name) as u64).collect::<Vec<_>>()
            });
            let mut counts = counts.await?.into_iter();
            found.retain_mut(|(_, members)| {
                let there = counts.next().unwrap_or_default();
                *members += there;
                // What a shard before this one has was shown with that shard.
                other > shard || there == 0
            });
        }
        page.extend(
            found.iter().map(|(name, members)| json!({ "name": name, "members": members })),
        );
        cursor = match part.next {
            Some(place) => Some(Cursor { shard, place }),
            None => (shard + 1 < shards).then_some(Cursor { shard: shard + 1, place: 0 }),
        };
    }
    let next = cursor.map(Cursor::show);
    Ok(reply::json(StatusCode::OK, &json!({ "rooms": page, "next": next })))
}

/// `DELETE /connections/{id}`: begins the closing handshake.
pub(super) fn close(state: &State, id: &str, query: &str) -> Result<Reply, Refusal> {
    let id = ConnId::parse(id).ok_or_else(|| Refusal::field("id", id, ID_EXPECTED))?;
    let [code, reason] = router::parameters(query, ["code", "reason"])?;
    let code = match code {
        None => 1000,
        Some(text) => {
            text.parse().map_err(|_| Refusal::field("code", text, "must be a close code"))?
        }
    };
    state.host.close(id, code, reason.as_deref().unwrap_or_default())?;
    Ok(reply::json(StatusCode::ACCEPTED, &json!({ "closing": id.to_raw().to_string() })))
}
