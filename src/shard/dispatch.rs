//! From a ready socket to the handler: reads, decodes, calls, and sends what the calls brought about.

use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::config::LARGEST_HANDSHAKE_BYTES;
use crate::connection::ending::CloseCause;
use crate::protocol::close::Violation;
use crate::protocol::frame::Opcode;
use crate::protocol::message::{Decoder, Item};
use crate::protocol::proxy::MAX_HEADER;
use crate::reactor::{EDGE, Ready};

use super::core::{Core, READ_BUFFER};
use super::entry::Phase;
use super::sink::Sink;
use super::{Reads, Shard};

/// Room that a read must have in the buffer of a hosted shard; with less, the connection waits for the next turn.
const LEAST_READ: usize = READ_BUFFER / 4;

// What was kept of an earlier read stands before the next.
const _: () = assert!(LEAST_READ > MAX_HEADER + LARGEST_HANDSHAKE_BYTES);

impl Shard {
    /// Acts upon one ready socket.
    #[inline]
    pub(super) fn on_ready(&mut self, ready: Ready) {
        let Ready { key: slot, read, write, hung_up, ended } = ready;
        if write && self.core.entries.get(slot).is_some_and(|entry| entry.interest.write) {
            self.core.flush(slot, &self.reads.buffer);
        }
        let Some(entry) = self.core.entries.get_mut(slot) else { return };
        if EDGE && ended {
            entry.left.end();
        }
        if read && entry.interest.read {
            self.read(slot);
        } else if hung_up && !entry.interest.read {
            // In level mode, whoever does not read this away is told of it for ever.
            self.core.lost(slot, CloseCause::Lost(io::ErrorKind::ConnectionReset));
        }
        self.sink.deliver(&mut self.core);
    }

    /// Whether a read has the room that it must have.
    pub(super) fn has_room(&self) -> bool {
        self.reads.buffer.len() - self.reads.used >= LEAST_READ
    }

    pub(super) fn read(&mut self, slot: u32) {
        if !self.has_room() {
            return self.core.list_again(slot);
        }
        let Shard { core, sink, reads, .. } = self;
        let Some(entry) = core.entries.get_mut(slot) else { return };
        let Some(transport) = &entry.transport else { return };
        let free = &mut reads.buffer[reads.used..];
        let earlier = match &entry.phase {
            Phase::Open | Phase::Closing(..) => entry.decoder.head(),
            Phase::Proxy(earlier) | Phase::Handshake(earlier) => earlier,
            _ => &[],
        };
        let have = earlier.len();
        free[..have].copy_from_slice(earlier);
        // Of somebody who has not been let in, no more is taken than a request may have.
        let most = match entry.phase {
            Phase::Handshake(_) => core.fleet.config.max_handshake_bytes,
            Phase::Proxy(_) => MAX_HEADER + core.fleet.config.max_handshake_bytes,
            _ => free.len(),
        };
        let result = transport.read(&mut free[have..most]);
        let may_be_more = match result {
            Ok(came) => came > 0 && (came == most - have || entry.left.has_end()),
            Err(ref e) => e.kind() == io::ErrorKind::Interrupted,
        };
        if EDGE && may_be_more && entry.left.list() {
            core.again.push_back(slot);
        }
        match result {
            Ok(0) => core.end_of_stream(slot),
            Ok(came) => {
                core.stats.bytes_in += came as u64;
                entry.last_read = core.now;
                match entry.phase {
                    Phase::Open | Phase::Closing(..) => {
                        entry.decoder.clear_head();
                        dispatch(core, sink, reads, slot, have + came);
                    }
                    Phase::Proxy(_) => self.on_proxy_bytes(slot, have + came),
                    Phase::Handshake(_) => self.on_request_bytes(slot, have + came),
                    Phase::Deciding(_) | Phase::Lingering | Phase::Ended => {}
                }
            }
            Err(e)
                if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(e) => core.lost(slot, CloseCause::Lost(e.kind())),
        }
    }
}

/// Decodes `len` bytes at the free part of the buffer and hands out what they say; then sends the answers.
pub(super) fn dispatch(core: &mut Core, sink: &mut Sink, reads: &mut Reads, slot: u32, len: usize) {
    let Some(entry) = core.entries.get_mut(slot) else { return };
    // Out of the entry while handlers run, which may do to the entry what they like. The entry counts as dirty, since
    // it is flushed at the end of this.
    let mut decoder = std::mem::take(&mut entry.decoder);
    entry.dirty = true;
    let messages = core.stats.messages_in;
    let start = reads.used;
    let hosted = matches!(sink, Sink::Batch(_));
    let input = &mut reads.buffer[start..start + len];
    // One net under all the calls of a read. The decoder of a connection whose handler panicked is not used again.
    let decode = AssertUnwindSafe(|| decode_all(core, sink, &mut decoder, slot, input));
    match catch_unwind(decode) {
        Ok(Ok(())) => {}
        Ok(Err(violation)) => {
            core.stats.violations += 1;
            let reason = violation.to_string();
            core.fail(slot, violation.close_code(), &reason, CloseCause::Violation);
        }
        Err(panic) => core.fail_of_panic(slot, &*panic),
    }
    if hosted {
        // Events point into the buffer, and the answers are yet to come.
        reads.used += len;
    }
    if let Some(entry) = core.entries.get_mut(slot).filter(|entry| entry.is_known()) {
        decoder.settle(&mut core.partials);
        entry.decoder = decoder;
        if core.stats.messages_in != messages {
            entry.last_message = core.now;
        }
    }
    core.flush(slot, &reads.buffer);
}

fn decode_all(
    core: &mut Core,
    sink: &mut Sink,
    decoder: &mut Decoder,
    slot: u32,
    mut input: &mut [u8],
) -> Result<(), Violation> {
    let rules = core.rules;
    while !input.is_empty() {
        let step = decoder.decode(input, &rules, &mut core.partials)?;
        let consumed = step.consumed;
        if let Some(item) = step.item
            && take(core, sink, slot, item).is_break()
        {
            return Ok(());
        }
        sink.settle(decoder);
        input = &mut std::mem::take(&mut input)[consumed..];
    }
    Ok(())
}

/// Acts upon what the peer said. Breaks where nothing more of it counts.
#[inline]
fn take(core: &mut Core, sink: &mut Sink, slot: u32, item: Item<'_>) -> ControlFlow<()> {
    let Some(entry) = core.entries.get(slot) else { return ControlFlow::Break(()) };
    match entry.phase {
        Phase::Open => {}
        // §5.5.1: after our close frame only the peer's matters.
        Phase::Closing(..) => {
            if let Item::Close(frame) = item {
                core.peer_closed(slot, frame);
                return ControlFlow::Break(());
            }
            return ControlFlow::Continue(());
        }
        _ => return ControlFlow::Break(()),
    }
    match item {
        Item::Message(message) => {
            core.stats.messages_in += 1;
            sink.message(core, slot, message);
        }
        Item::Fragment(fragment) => {
            core.stats.messages_in += 1;
            sink.fragment(core, slot, fragment);
        }
        Item::Ping(payload) => core.push_control(slot, Opcode::Pong, payload),
        Item::Pong(payload) => sink.pong(core, slot, payload),
        Item::Close(frame) => {
            core.peer_closed(slot, frame);
            return ControlFlow::Break(());
        }
    }
    ControlFlow::Continue(())
}

impl Core {
    /// The peer has ended its direction.
    fn end_of_stream(&mut self, slot: u32) {
        let Some(entry) = self.entries.get(slot) else { return };
        let unsaid = entry.queued() > 0;
        match entry.phase {
            // A client that asks for a page may end its direction behind the request, and still reads the answer.
            Phase::Lingering if unsaid => {
                let interest = crate::reactor::Interest { read: false, write: true };
                self.set_interest(slot, interest);
            }
            _ => self.lost(slot, CloseCause::EndOfStream),
        }
    }
}
