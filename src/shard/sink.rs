//! Where events go: to the handler at once, or into the batch of a hosted shard.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::connection::ending::{Close, CloseCause};
use crate::connection::request::{Decision, Request, Response, Upgrade};
use crate::protocol::close;
use crate::protocol::http;
use crate::protocol::message::{Decoder, Fragment, Message};

use super::conn::Conn;
use super::core::{Core, Notice};
use super::event::{Batch, Record, Span};
use super::handler::Handler;

pub(super) enum Sink {
    /// Managed mode.
    Handler(Arc<dyn Handler>),
    /// Hosted mode.
    Batch(Batch),
}

impl Sink {
    /// A message came. This, [`fragment`](Self::fragment) and [`pong`](Self::pong) let a handler's panic through:
    /// their caller catches it, once for all that a read brought.
    #[inline]
    pub(super) fn message(&mut self, core: &mut Core, slot: u32, message: Message<'_>) {
        match self {
            Sink::Handler(handler) => handler.on_message(&mut Conn { core, slot }, message),
            Sink::Batch(batch) => {
                let payload = batch.span(core, message.payload());
                let is_text = message.is_text();
                batch.push(Record::Message { conn: core.id(slot), is_text, payload });
            }
        }
    }

    pub(super) fn fragment(&mut self, core: &mut Core, slot: u32, fragment: Fragment<'_>) {
        match self {
            Sink::Handler(handler) => handler.on_fragment(&mut Conn { core, slot }, fragment),
            Sink::Batch(batch) => {
                let payload = batch.span(core, fragment.payload);
                let Fragment { is_text, is_first, is_last, .. } = fragment;
                let conn = core.id(slot);
                batch.push(Record::Fragment { conn, is_text, is_first, is_last, payload });
            }
        }
    }

    /// A message that had been put together was handed out: a batch keeps its buffer instead of a copy.
    pub(super) fn settle(&mut self, decoder: &mut Decoder) {
        if let Sink::Batch(batch) = self
            && batch.wants_message()
            && let Some(message) = decoder.take_message()
        {
            batch.keep(message);
        }
    }

    pub(super) fn pong(&mut self, core: &mut Core, slot: u32, payload: &[u8]) {
        match self {
            Sink::Handler(handler) => handler.on_pong(&mut Conn { core, slot }, payload),
            Sink::Batch(batch) => {
                let payload = batch.span(core, payload);
                batch.push(Record::Pong { conn: core.id(slot), payload });
            }
        }
    }

    /// The connection is open; `request` are the bytes of the request that asked for it, where we have read them.
    pub(super) fn open(&mut self, core: &mut Core, slot: u32, request: Option<&[u8]>) {
        match self {
            Sink::Handler(handler) => {
                let head = request.and_then(|bytes| http::parse_head(bytes, usize::MAX).ok()?);
                let peers = core.peers(slot);
                guard(core, slot, |conn| match head.zip(peers) {
                    Some((head, peers)) => handler.on_open_by(conn, &Request { head, peers }),
                    None => handler.on_open(conn),
                });
            }
            Sink::Batch(batch) => batch.push(Record::Open { conn: core.id(slot) }),
        }
    }

    /// Asks whether a connection may be. `bytes` are those of the request.
    pub(super) fn upgrade(
        &mut self,
        core: &mut Core,
        slot: u32,
        request: &Request<'_>,
        bytes: &Arc<[u8]>,
    ) -> Upgrade {
        let id = core.id(slot);
        match self {
            Sink::Handler(handler) => {
                match catch_unwind(AssertUnwindSafe(|| handler.on_upgrade(id, request))) {
                    Ok(upgrade) => upgrade,
                    Err(panic) => Upgrade(Decision::Reject(panicked(core, &*panic))),
                }
            }
            Sink::Batch(batch) if batch.decides_upgrades => {
                let (bytes, peers) = (Arc::clone(bytes), Box::new(request.peers));
                batch.push(Record::Upgrade { conn: id, bytes, peers });
                Upgrade::later()
            }
            Sink::Batch(_) => Upgrade::accept(),
        }
    }

    pub(super) fn request(&mut self, core: &mut Core, request: &Request<'_>) -> Response {
        match self {
            Sink::Handler(handler) => {
                match catch_unwind(AssertUnwindSafe(|| handler.on_request(request))) {
                    Ok(response) => response,
                    Err(panic) => panicked(core, &*panic),
                }
            }
            Sink::Batch(_) => Response::upgrade_required(),
        }
    }

    /// Makes the calls that are due. They may cause others, which are made too.
    #[inline]
    pub(super) fn deliver(&mut self, core: &mut Core) {
        while let Some(notice) = core.notices.pop_front() {
            self.deliver_one(core, notice);
        }
    }

    fn deliver_one(&mut self, core: &mut Core, notice: Notice) {
        match (self, notice) {
            (Sink::Handler(handler), Notice::Drain(slot)) => {
                if core.entries.get(slot).is_some_and(|entry| entry.is_open()) {
                    guard(core, slot, |conn| handler.on_drain(conn));
                }
            }
            (Sink::Handler(handler), Notice::Dropped(id, dropped)) => {
                let call = AssertUnwindSafe(|| handler.on_dropped(id, dropped));
                if let Err(panic) = catch_unwind(call) {
                    count_panic(core, &*panic);
                }
            }
            (Sink::Handler(handler), Notice::Close(slot, closed)) => {
                let close = Close {
                    sent: closed.sent,
                    received: closed.received,
                    reason: &closed.reason,
                    cause: closed.cause,
                };
                guard(core, slot, |conn| handler.on_close(conn, &close));
            }
            (Sink::Batch(batch), Notice::Drain(slot)) => {
                batch.push(Record::Drain { conn: core.id(slot) });
            }
            (Sink::Batch(batch), Notice::Dropped(conn, dropped)) => {
                batch.push(Record::Dropped { conn, dropped });
            }
            (Sink::Batch(batch), Notice::Close(slot, closed)) => {
                let data = core.entries.get(slot).map_or(0, |entry| entry.data);
                batch.push(Record::Close { conn: core.id(slot), data, closed });
            }
        }
    }
}

impl Batch {
    /// Where a payload lies that has just been handed out.
    #[inline]
    fn span(&self, core: &Core, payload: &[u8]) -> Span {
        let at = payload.as_ptr().addr();
        if payload.is_empty() {
            Span::Buffer(0..0)
        } else if core.read_buffer.contains(&at) {
            let start = at - core.read_buffer.start;
            Span::Buffer(start as u32..(start + payload.len()) as u32)
        } else {
            Span::Owned { message: self.owned_next(), len: payload.len() }
        }
    }
}

/// Calls the handler for a connection. A panic costs the connection.
fn guard(core: &mut Core, slot: u32, call: impl FnOnce(&mut Conn<'_>)) {
    let mut conn = Conn { core, slot };
    // The handler has the core only through `Conn`, whose methods keep it whole; what it leaves half done of its own
    // is its own affair, as it is with a panicking thread.
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| call(&mut conn))) {
        core.fail_of_panic(slot, &*panic);
    }
}

impl Core {
    /// The handler panicked while it was called for this connection.
    pub(super) fn fail_of_panic(&mut self, slot: u32, panic: &(dyn Any + Send)) {
        count_panic(self, panic);
        self.fail(slot, close::INTERNAL_ERROR, "internal error", CloseCause::Panic);
    }
}

fn panicked(core: &mut Core, panic: &(dyn Any + Send)) -> Response {
    count_panic(core, panic);
    Response::refusal(500, &[], "internal error")
}

#[cold]
fn count_panic(core: &mut Core, panic: &(dyn Any + Send)) {
    core.stats.panics += 1;
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    log::error!("shard {}: a handler panicked: {}", core.index, text.unwrap_or("(no message)"));
}
