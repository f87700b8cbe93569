//! The bounded send queue of one connection.
//!
//! A slow reader must cost a fixed amount of memory. The bound is in bytes ([`Config::max_outbox_bytes`]), because
//! message counts say nothing about memory; the shard compares it with [`Outbox::queued`].
//!
//! What is queued lies in one of three places: in the outbox's own bytes (small frames, one behind the other), in a
//! frame that many connections share (a broadcast is encoded once), or still in the shard's read buffer (an echo is
//! not copied). Everything leaves in one vectored send.
//!
//! # Invariants
//!
//! - `queued` is the sum of the runs' lengths; runs lie in the order in which they leave.
//! - The live part of `bytes` begins at `start` and is the [`Run::Own`] runs, in order.
//! - No [`Run::Lent`] outlives the read buffer's content: [`Outbox::own_lent`] is called before that changes.
//! - While a message is sent in pieces, whole messages wait in `streaming`, not in the queue.
//! - `partial` bytes at the front finish a frame that is partly on the wire, or an HTTP response. Behind them the
//!   queue begins with a frame header.
//!
//! [`Config::max_outbox_bytes`]: crate::Config::max_outbox_bytes

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;

use crate::protocol::frame::{self, Opcode};

use super::pieces::Piece;

/// Slices in one vectored send. Linux takes 1024; beyond some dozens there is nothing to gain.
pub(crate) const MAX_SLICES: usize = 64;

/// From this size on a payload in the read buffer is sent from there instead of being copied. An estimate, not
/// a measurement: a slice of a vectored send costs the kernel some ten nanoseconds, and two are needed.
const LEND_MIN: usize = 2048;

/// From this size on a shared frame is queued by reference; below, a copy is smaller than the reference's queue entry
/// and joins its neighbours in one slice.
const SHARE_MIN: usize = 64;

/// An encoded frame that many outboxes can hold.
pub(crate) type SharedFrame = Arc<[u8]>;

/// Encodes a frame to be shared.
pub(crate) fn encode_shared(opcode: Opcode, payload: &[u8]) -> SharedFrame {
    let (header, header_len) = frame::encode_server_header(true, opcode, payload.len());
    let mut bytes = Vec::with_capacity(header_len + payload.len());
    bytes.extend_from_slice(&header[..header_len]);
    bytes.extend_from_slice(payload);
    bytes.into()
}

#[derive(Debug)]
enum Run {
    /// The next bytes of the outbox's own.
    Own(usize),
    /// A range of the shard's read buffer.
    Lent(Range<usize>),
    /// A frame, of which `sent` bytes have left.
    Shared { frame: SharedFrame, sent: usize },
}

impl Run {
    fn len(&self) -> usize {
        match self {
            Run::Own(len) => *len,
            Run::Lent(range) => range.len(),
            Run::Shared { frame, sent } => frame.len() - sent,
        }
    }
}

/// What waits for one connection. See the module's description.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    start: usize,
    runs: VecDeque<Run>,
    queued: usize,
    partial: usize,
    /// Somebody was refused for want of room, or reading paused: *drain* is to be reported.
    pub(crate) owes_drain: bool,
    /// As how many bytes it stands in the shard's count of all that waits.
    pub(crate) counted: usize,
    /// A message that is being sent in pieces, and what has to wait for its last one.
    streaming: Option<Box<Streaming>>,
}

/// Between the frames of one message only control frames may stand (RFC 6455 §5.4).
#[derive(Debug, Default)]
struct Streaming {
    message: u64,
    /// Whole frames that follow behind the message.
    held: Vec<u8>,
    held_messages: usize,
}

impl Outbox {
    /// Bytes that wait.
    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.queued == 0
    }

    /// Bytes that wait, those included that wait for the end of a message in pieces.
    #[inline]
    pub(crate) fn load(&self) -> usize {
        self.queued + self.streaming.as_ref().map_or(0, |streaming| streaming.held.len())
    }

    /// Whether a message is being sent in pieces: then an empty outbox has something to remember.
    #[inline]
    pub(crate) fn is_streaming(&self) -> bool {
        self.streaming.is_some()
    }

    /// Queues a frame of a message in pieces. Returns whether it was queued: it is not if another message is being sent
    /// so, or this one has not begun.
    pub(crate) fn push_piece(&mut self, piece: &Piece) -> bool {
        let current = self.streaming.as_ref().map(|streaming| streaming.message);
        if current != (!piece.is_first).then_some(piece.message) {
            return false;
        }
        if piece.is_first {
            self.streaming =
                Some(Box::new(Streaming { message: piece.message, ..Default::default() }));
        }
        self.own(&piece.frame);
        if piece.is_last
            && let Some(streaming) = self.streaming.take()
        {
            self.own(&streaming.held);
        }
        true
    }

    #[cold]
    fn hold(&mut self, frame: &[u8]) {
        if let Some(streaming) = &mut self.streaming {
            streaming.held.extend_from_slice(frame);
            streaming.held_messages += 1;
        }
    }

    /// Queues a frame. `lent` is where the payload lies in the shard's read buffer, if it lies there.
    #[inline]
    pub(crate) fn push(&mut self, opcode: Opcode, payload: &[u8], lent: Option<usize>) {
        if self.streaming.is_some() && !opcode.is_control() {
            return self.hold(&encode_shared(opcode, payload));
        }
        let (header, header_len) = frame::encode_server_header(true, opcode, payload.len());
        match lent {
            Some(at) if payload.len() >= LEND_MIN => {
                self.own(&header[..header_len]);
                self.queued += payload.len();
                self.runs.push_back(Run::Lent(at..at + payload.len()));
            }
            _ => {
                self.bytes.reserve(header.len() + payload.len());
                // In pieces whose length the compiler knows: a copy through memory of two bytes that were just
                // written one by one stalls; in a profile at depth 32 that was a third of this call.
                match header_len {
                    2 => self.bytes.extend_from_slice(&[header[0], header[1]]),
                    4 => {
                        self.bytes.extend_from_slice(&[header[0], header[1], header[2], header[3]])
                    }
                    _ => self.bytes.extend_from_slice(&header),
                }
                self.bytes.extend_from_slice(payload);
                self.extend_run(header_len + payload.len());
            }
        }
    }

    /// Queues a frame that others may hold too.
    pub(crate) fn push_shared(&mut self, frame: &SharedFrame) {
        let is_message =
            frame.first().is_some_and(|first| frame::server_frame_is_droppable(*first));
        if self.streaming.is_some() && is_message {
            return self.hold(frame);
        }
        if frame.len() < SHARE_MIN {
            return self.own(frame);
        }
        self.queued += frame.len();
        self.runs.push_back(Run::Shared { frame: Arc::clone(frame), sent: 0 });
    }

    /// Queues bytes that are no frame (an HTTP response). Only an empty outbox takes them.
    pub(crate) fn push_response(&mut self, response: &[u8]) {
        debug_assert!(self.is_empty(), "a response comes first");
        self.own(response);
        self.partial = response.len();
    }

    fn own(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.extend_run(bytes.len());
    }

    /// Takes note that `len` bytes of our own have been added.
    #[inline]
    fn extend_run(&mut self, len: usize) {
        self.queued += len;
        match self.runs.back_mut() {
            Some(Run::Own(run)) => *run += len,
            _ => self.runs.push_back(Run::Own(len)),
        }
    }

    /// What is to be sent next, in order; returns how many of `slices` are filled.
    pub(crate) fn slices<'a>(
        &'a self,
        read_buffer: &'a [u8],
        slices: &mut [IoSlice<'a>; MAX_SLICES],
    ) -> usize {
        let mut own = self.start;
        let mut filled = 0;
        for (slice, run) in slices.iter_mut().zip(&self.runs) {
            *slice = IoSlice::new(match run {
                Run::Own(len) => {
                    own += len;
                    &self.bytes[own - len..own]
                }
                Run::Lent(range) => &read_buffer[range.clone()],
                Run::Shared { frame, sent } => &frame[*sent..],
            });
            filled += 1;
        }
        filled
    }

    /// The bytes to be sent, where they are one piece. The common case, and cheaper than slices.
    #[inline]
    pub(crate) fn single<'a>(&'a self, read_buffer: &'a [u8]) -> Option<&'a [u8]> {
        if self.runs.len() != 1 {
            return None;
        }
        match self.runs.front()? {
            Run::Own(len) => Some(&self.bytes[self.start..self.start + len]),
            Run::Lent(range) => Some(&read_buffer[range.clone()]),
            Run::Shared { frame, sent } => Some(&frame[*sent..]),
        }
    }

    /// Takes note that the first `sent` bytes have left.
    #[inline]
    pub(crate) fn advance(&mut self, sent: usize) {
        if sent == self.queued {
            self.clear();
        } else {
            self.advance_part(sent);
        }
    }

    fn advance_part(&mut self, sent: usize) {
        self.partial = self.left_of_frame_at(sent);
        self.queued -= sent;
        let mut left = sent;
        while left > 0 {
            let Some(run) = self.runs.front_mut() else { break };
            let taken = run.len().min(left);
            left -= taken;
            match run {
                Run::Own(len) => {
                    *len -= taken;
                    self.start += taken;
                }
                Run::Lent(range) => range.start += taken,
                Run::Shared { sent, .. } => *sent += taken,
            }
            if run.len() == 0 {
                self.runs.pop_front();
            }
        }
        // What has left is given up once it is the larger part, so that a byte is moved once at most.
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
    }

    /// The memory that it holds, full or empty.
    #[inline]
    fn footprint(&self) -> usize {
        size_of::<Outbox>() + self.bytes.capacity() + self.runs.capacity() * size_of::<Run>()
    }

    /// Empties the queue and keeps its memory.
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.runs.clear();
        self.start = 0;
        self.queued = 0;
        self.partial = 0;
    }

    /// Whether something is still in the read buffer.
    pub(crate) fn lends(&self) -> bool {
        self.runs.iter().any(|run| matches!(run, Run::Lent(_)))
    }

    /// Copies what is still in the read buffer, whose content is about to change.
    pub(crate) fn own_lent(&mut self, read_buffer: &[u8]) {
        if !self.lends() {
            return;
        }
        let (bytes, start) = (std::mem::take(&mut self.bytes), self.start);
        let runs = std::mem::take(&mut self.runs);
        (self.start, self.queued) = (0, 0);
        let mut own = start;
        for run in runs {
            match run {
                Run::Own(len) => {
                    self.own(&bytes[own..own + len]);
                    own += len;
                }
                Run::Lent(range) => self.own(&read_buffer[range]),
                Run::Shared { .. } => {
                    self.queued += run.len();
                    self.runs.push_back(run);
                }
            }
        }
    }

    /// Drops every frame that has not begun to leave. Returns how many messages that were.
    pub(crate) fn drop_unsent(&mut self) -> usize {
        let held = self.streaming.take().map_or(0, |streaming| streaming.held_messages);
        self.rebuild(|_, _| false) + held
    }

    /// Drops the oldest whole messages that have not begun to leave until `bytes` are free, or none is left; control
    /// frames and parts of fragmented messages stay. Returns how many messages were dropped.
    pub(crate) fn drop_oldest(&mut self, bytes: usize) -> usize {
        let mut freed = 0;
        self.rebuild(|first, len| {
            let keep = freed >= bytes || !frame::server_frame_is_droppable(first);
            freed += if keep { 0 } else { len };
            keep
        })
    }

    /// Keeps the frames that `keep` (first byte, length) wants, and those that are partly on the wire.
    fn rebuild(&mut self, mut keep: impl FnMut(u8, usize) -> bool) -> usize {
        let (bytes, runs) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.runs));
        let (mut own, mut partial) = (self.start, self.partial);
        (self.start, self.queued) = (0, 0);
        let mut dropped = 0;
        // Whether the payload is kept whose header ended the run before.
        let mut keeps_lent = true;
        for run in runs {
            let piece = match &run {
                Run::Own(len) => {
                    own += len;
                    &bytes[own - len..own]
                }
                Run::Shared { frame, sent } => &frame[*sent..],
                Run::Lent(range) => {
                    if keeps_lent {
                        self.queued += range.len();
                        self.runs.push_back(run);
                    }
                    continue;
                }
            };
            let mut at = partial.min(piece.len());
            let mut kept_from = 0;
            partial -= at;
            while at < piece.len() {
                let len = frame::server_frame_len(&piece[at..]);
                keeps_lent = keep(piece[at], len);
                if !keeps_lent {
                    dropped += usize::from(frame::server_frame_is_droppable(piece[at]));
                    self.keep_piece(&run, piece, kept_from..at);
                    kept_from = at + len;
                }
                at += len;
            }
            self.keep_piece(&run, piece, kept_from..piece.len());
        }
        dropped
    }

    /// Queues a part of `run` again: by reference where it is all of a shared frame.
    fn keep_piece(&mut self, run: &Run, piece: &[u8], part: Range<usize>) {
        match run {
            Run::Shared { frame, sent } if part.len() == piece.len() && !part.is_empty() => {
                self.queued += piece.len();
                self.runs.push_back(Run::Shared { frame: Arc::clone(frame), sent: *sent });
            }
            _ if part.is_empty() => {}
            _ => self.own(&piece[part]),
        }
    }

    /// How much of a frame is left behind the first `sent` bytes of the queue: 0 when they end with a frame.
    fn left_of_frame_at(&self, sent: usize) -> usize {
        if sent <= self.partial {
            return self.partial - sent;
        }
        // Walks over the headers, which are ours and lie each in one piece.
        let (mut own, mut run_begins, mut frame_begins) = (self.start, 0, self.partial);
        for run in &self.runs {
            let run_ends = run_begins + run.len();
            let piece = match run {
                Run::Own(len) => {
                    own += len;
                    &self.bytes[own - len..own]
                }
                Run::Shared { frame, sent } => &frame[*sent..],
                // A lent run is payload; its header has been walked over.
                Run::Lent(_) => &[],
            };
            while frame_begins < run_ends {
                if frame_begins >= sent {
                    return frame_begins - sent;
                }
                frame_begins += frame::server_frame_len(&piece[frame_begins - run_begins..]);
            }
            run_begins = run_ends;
        }
        frame_begins - sent
    }
}

/// Outboxes without content, shared by the connections of a shard.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "the boxes themselves are what is kept")]
pub(crate) struct Spares {
    boxes: Vec<Box<Outbox>>,
    kept_bytes: usize,
}

impl Spares {
    /// Memory that all of them together keep: a broadcast needs one for each receiver at once, and 2 MiB are enough for
    /// eight thousand of one message.
    const MAX_KEPT_BYTES: usize = 2 * 1024 * 1024;
    /// Largest one kept: an echo of sixteen messages of 1 KiB needs 16 KiB.
    const MAX_KEPT_EACH: usize = 64 * 1024;

    /// Memory that all of them together hold.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    #[inline]
    pub(crate) fn take(&mut self) -> Box<Outbox> {
        match self.boxes.pop() {
            Some(outbox) => {
                self.kept_bytes -= outbox.footprint();
                outbox
            }
            None => Box::default(),
        }
    }

    #[inline]
    pub(crate) fn give(&mut self, mut outbox: Box<Outbox>) {
        debug_assert!(outbox.is_empty() && outbox.runs.is_empty());
        outbox.owes_drain = false;
        outbox.counted = 0;
        outbox.streaming = None;
        let bytes = outbox.footprint();
        if bytes <= Self::MAX_KEPT_EACH && self.kept_bytes + bytes <= Self::MAX_KEPT_BYTES {
            self.kept_bytes += bytes;
            self.boxes.push(outbox);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pieces::Pieces;
    use super::*;

    impl Piece {
        fn clone_as(&self, is_first: bool) -> Piece {
            Piece { is_first, ..self.clone() }
        }
    }

    fn content(outbox: &Outbox, read_buffer: &[u8]) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let filled = outbox.slices(read_buffer, &mut slices);
        let bytes = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect::<Vec<_>>();
        assert_eq!(bytes.len(), outbox.queued());
        bytes
    }

    fn text(payload: &str) -> Vec<u8> {
        encode_shared(Opcode::Text, payload.as_bytes()).to_vec()
    }

    /// A queue of small, lent, shared and control frames.
    fn mixed(read_buffer: &[u8]) -> Outbox {
        let mut outbox = Outbox::default();
        outbox.push(Opcode::Text, b"one", None);
        outbox.push(Opcode::Binary, &read_buffer[10..10 + LEND_MIN], Some(10));
        outbox.push(Opcode::Pong, b"p", None);
        outbox.push_shared(&encode_shared(Opcode::Text, &[b's'; 100]));
        outbox.push(Opcode::Text, b"last", None);
        outbox
    }

    #[test]
    fn bytes_leave_in_order_whatever_the_network_takes() {
        let read_buffer = (0..=255).cycle().take(LEND_MIN + 20).collect::<Vec<u8>>();
        let whole = content(&mixed(&read_buffer), &read_buffer);
        for step in [1, 3, 7, 100, 1000, 5000] {
            let mut outbox = mixed(&read_buffer);
            let mut out = Vec::new();
            while !outbox.is_empty() {
                let left = content(&outbox, &read_buffer);
                let sent = left.len().min(step);
                out.extend_from_slice(&left[..sent]);
                outbox.advance(sent);
            }
            assert_eq!(out, whole, "in steps of {step}");
        }
    }

    #[test]
    fn lent_bytes_survive_the_read_buffer() {
        let mut read_buffer = vec![7; LEND_MIN + 20];
        for sent in [0, 1, 5, 9, 900] {
            let mut outbox = mixed(&read_buffer);
            let whole = content(&outbox, &read_buffer);
            outbox.advance(sent);
            outbox.own_lent(&read_buffer);
            read_buffer.fill(0);
            assert_eq!(content(&outbox, &read_buffer), whole[sent..]);
            read_buffer.fill(7);
        }
    }

    #[test]
    fn the_oldest_messages_make_room_and_control_frames_stay() {
        let mut outbox = Outbox::default();
        for payload in ["a", "b", "c"] {
            outbox.push(Opcode::Text, payload.as_bytes(), None);
        }
        outbox.push(Opcode::Pong, b"", None);
        outbox.push_shared(&encode_shared(Opcode::Text, &[b's'; 100]));
        // One byte of "a" is on the wire: it cannot be dropped any more.
        outbox.advance(1);
        assert_eq!(outbox.drop_oldest(4), 2);
        let shared = "s".repeat(100);
        let expected = [&text("a")[1..], &[0x8a, 0], &text(&shared)].concat();
        assert_eq!(content(&outbox, &[]), expected);
        assert_eq!(outbox.drop_oldest(usize::MAX), 1);
        assert_eq!(content(&outbox, &[]), [&text("a")[1..], &[0x8a, 0]].concat());
    }

    #[test]
    fn after_dropping_what_is_unsent_the_wire_ends_with_a_frame() {
        let read_buffer = vec![7; LEND_MIN + 20];
        let whole = content(&mixed(&read_buffer), &read_buffer);
        let ends = [5, 5 + 4 + LEND_MIN, 12 + LEND_MIN, 114 + LEND_MIN, whole.len()];
        for sent in 0..whole.len() {
            let mut outbox = mixed(&read_buffer);
            outbox.advance(sent);
            outbox.own_lent(&read_buffer);
            outbox.drop_unsent();
            let end =
                if sent == 0 { 0 } else { *ends.iter().find(|end| **end >= sent).expect("an end") };
            assert_eq!(content(&outbox, &[]), whole[sent..end], "{sent} bytes sent");
        }
    }

    #[test]
    fn a_response_is_not_taken_for_frames() {
        let mut outbox = Outbox::default();
        outbox.push_response(b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
        outbox.push(Opcode::Text, b"hi", None);
        outbox.advance(4);
        assert_eq!(outbox.drop_unsent(), 1);
        assert_eq!(content(&outbox, &[]), b"/1.1 101 Switching Protocols\r\n\r\n");
    }

    #[test]
    fn messages_wait_for_the_end_of_one_in_pieces_and_control_frames_do_not() {
        let mut pieces = Pieces::new(true);
        let mut outbox = Outbox::default();
        let mut push = |outbox: &mut Outbox, payload: &[u8], is_last| {
            let (piece, sent) = pieces.piece(payload, is_last).expect("a piece");
            pieces.sent(sent);
            assert!(outbox.push_piece(&piece));
        };
        push(&mut outbox, b"a", false);
        outbox.push(Opcode::Text, b"held", None);
        outbox.push_shared(&encode_shared(Opcode::Binary, b"also held"));
        outbox.push(Opcode::Ping, b"", None);
        assert_eq!(outbox.load(), outbox.queued() + 6 + 11);
        let other = Pieces::new(false).piece(b"x", false).expect("a piece").0;
        assert!(!outbox.push_piece(&other), "one message in pieces at a time");
        push(&mut outbox, b"b", true);
        let wanted = [&[0x01, 1, b'a', 0x89, 0, 0x80, 1, b'b'][..], &text("held")].concat();
        let wanted = [&wanted[..], &encode_shared(Opcode::Binary, b"also held")].concat();
        assert_eq!(content(&outbox, &[]), wanted);
        assert!(!outbox.push_piece(&other.clone_as(false)), "it has not begun");
    }
}
