//! The events of a turn as other languages' structs are filled from them: without a check of what was checked when it
//! came, and without an allocation.

use crate::connection::ending::{Close, Dropped};
use crate::connection::id::ConnId;
use crate::connection::request::Request;
use crate::protocol::http;

use super::Shard;
use super::core::Closed;
use super::event::{Events, Record};

use super::sink::Sink;

/// One event.
pub(crate) struct RawEvent<'a> {
    pub(crate) conn: ConnId,
    /// The host's word for the connection.
    pub(crate) data: u64,
    pub(crate) payload: &'a [u8],
    pub(crate) kind: RawKind<'a>,
}

pub(crate) enum RawKind<'a> {
    /// `None` if what was valid when it came could not be read again, which would be a bug.
    ///
    /// In a box, since a head has two kilobytes of headers, and every event is moved.
    Upgrade(Option<Box<Request<'a>>>),
    Open,
    Message {
        is_text: bool,
    },
    Fragment {
        is_text: bool,
        is_first: bool,
        is_last: bool,
    },
    Pong,
    Drain,
    Dropped(Dropped),
    Close(Close<'a>),
}

impl Shard {
    /// How many events the last turn brought.
    pub(crate) fn raw_len(&self) -> usize {
        match &self.sink {
            Sink::Batch(batch) => batch.len(),
            Sink::Handler(_) => 0,
        }
    }

    /// The events of the last turn from the `from`th on.
    #[inline]
    pub(crate) fn raw_events(&self, from: usize) -> impl Iterator<Item = RawEvent<'_>> {
        let (records, events) = match &self.sink {
            Sink::Batch(batch) => {
                let events = Events { batch, buffer: &self.reads.buffer };
                (batch.records.get(from..).unwrap_or_default(), Some(events))
            }
            Sink::Handler(_) => (&[][..], None),
        };
        records.iter().filter_map(move |record| Some(self.raw_event(events.as_ref()?, record)))
    }

    /// The host's word. The slot is not given away before the next turn, so it is still the connection's.
    #[inline]
    fn data(&self, conn: ConnId) -> u64 {
        self.core.entries.get(conn.slot()).map_or(0, |entry| entry.data)
    }

    #[inline]
    fn raw_event<'a>(&'a self, events: &Events<'a>, record: &'a Record) -> RawEvent<'a> {
        let event = |conn: ConnId, payload: &'a [u8], kind| RawEvent {
            conn,
            data: self.data(conn),
            payload,
            kind,
        };
        match record {
            Record::Message { conn, is_text, payload } => {
                event(*conn, events.payload(payload), RawKind::Message { is_text: *is_text })
            }
            &Record::Fragment { conn, is_text, is_first, is_last, ref payload } => {
                let kind = RawKind::Fragment { is_text, is_first, is_last };
                event(conn, events.payload(payload), kind)
            }
            Record::Pong { conn, payload } => event(*conn, events.payload(payload), RawKind::Pong),
            Record::Open { conn } => event(*conn, &[], RawKind::Open),
            Record::Drain { conn } => event(*conn, &[], RawKind::Drain),
            // The connection may be gone, and another one in its place.
            Record::Dropped { conn, dropped } => {
                RawEvent { conn: *conn, data: 0, payload: &[], kind: RawKind::Dropped(*dropped) }
            }
            Record::Upgrade { conn, bytes, peers } => {
                let head = http::parse_head(bytes, usize::MAX).ok().flatten();
                let request = head.map(|head| Box::new(Request { head, peers: **peers }));
                RawEvent { conn: *conn, data: 0, payload: &[], kind: RawKind::Upgrade(request) }
            }
            Record::Close { conn, data, closed } => {
                let Closed { sent, received, reason, cause } = closed;
                let close = Close { sent: *sent, received: *received, reason, cause: *cause };
                let payload = reason.as_bytes();
                RawEvent { conn: *conn, data: *data, payload, kind: RawKind::Close(close) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_cheap_to_move() {
        assert!(size_of::<RawEvent<'_>>() <= 96, "{} bytes", size_of::<RawEvent<'_>>());
    }
}
