//! From the bytes of a connection to its messages (RFC 6455 §5 and §6.2).
//!
//! Frames are unmasked where they lie. A message that is whole in one read is handed out as a slice of the read
//! buffer; only one that is not costs memory of its own, and that grows with the bytes that came, never with the
//! length that a header claims.
//!
//! # Invariants
//!
//! - Between messages, with no byte left over, a [`Decoder`] holds nothing: it is one null pointer.
//! - `Partial::head` holds the start of a frame that cannot be judged yet: a header, or a control frame.

use crate::error::{self, Error};

use super::close::{self, Violation};
use super::frame::{self, FrameHeader, MAX_CLIENT_HEADER, Opcode};
use super::mask;
use super::utf8::Utf8Validator;

/// Longest payload of a control frame (§5.5).
const MAX_CONTROL_PAYLOAD: usize = 125;

/// A whole message, as it came or as it goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// UTF-8 text (§5.6, opcode 1).
    Text(&'a str),
    /// Bytes (§5.6, opcode 2).
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// A text message of bytes that must be UTF-8.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] tells where the bytes stop being UTF-8.
    pub fn text(payload: &'a [u8]) -> error::Result<Message<'a>> {
        match simdutf8::compat::from_utf8(payload) {
            Ok(text) => Ok(Message::Text(text)),
            Err(e) => {
                let value = format!("{} bytes", payload.len());
                Err(Error::argument("payload", value, format!("not UTF-8: {e}")))
            }
        }
    }

    /// The bytes, whichever kind it is.
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        match *self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }

    /// Whether this is a text message.
    pub fn is_text(&self) -> bool {
        matches!(self, Message::Text(_))
    }

    #[inline]
    pub(crate) fn opcode(&self) -> Opcode {
        match self {
            Message::Text(_) => Opcode::Text,
            Message::Binary(_) => Opcode::Binary,
        }
    }
}

impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Self {
        Message::Text(text)
    }
}

impl<'a> From<&'a String> for Message<'a> {
    fn from(text: &'a String) -> Self {
        Message::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Message::Binary(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Message<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Message::Binary(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Message<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Message::Binary(bytes)
    }
}

/// A piece of a message, as it came. Pieces follow the peer's frames and the network's reads, nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment<'a> {
    /// The bytes. Those of a text message may begin or end inside a character; all of them together are UTF-8.
    pub payload: &'a [u8],
    /// Whether the message is text.
    pub is_text: bool,
    /// Whether this is the message's first piece.
    pub is_first: bool,
    /// Whether this is the message's last piece.
    pub is_last: bool,
}

/// What the peer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// A whole message.
    Message(Message<'a>),
    /// A piece of a message; only with [`Rules::stream_fragments`].
    Fragment(Fragment<'a>),
    /// A ping, to be answered by a pong with the same payload (§5.5.2).
    Ping(&'a [u8]),
    /// A pong, asked for or not (§5.5.3).
    Pong(&'a [u8]),
    /// A close frame: code and reason, or nothing (§5.5.1).
    Close(Option<(u16, &'a str)>),
}

/// What a peer may send.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Largest message in bytes.
    pub max_message_size: usize,
    /// Messages that are not whole in one read come as [`Item::Fragment`].
    pub stream_fragments: bool,
}

/// What is kept between two reads.
#[derive(Default)]
struct Partial {
    head: Vec<u8>,
    message: Vec<u8>,
    /// The kind of the message that has begun; `None` between messages.
    kind: Option<Opcode>,
    frame: OpenFrame,
    utf8: Utf8Validator,
    /// Bytes of the message so far: `message.len()`, but when streaming.
    size: usize,
    /// The message has been handed out; the next call starts afresh.
    delivered: bool,
}

/// The data frame that is being read.
#[derive(Default)]
struct OpenFrame {
    key: [u8; 4],
    /// Payload bytes that came.
    came: usize,
    /// Payload bytes that are to come.
    missing: usize,
    fin: bool,
    /// Its header has been read and its end not yet acted upon.
    open: bool,
}

/// Buffers of messages in pieces, shared by the connections of a shard.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "the boxes themselves are what is kept")]
pub struct Spares {
    partials: Vec<Box<Partial>>,
}

impl Spares {
    /// Boxes kept for the next message that comes in pieces.
    const MAX_KEPT: usize = 16;
    /// Largest buffer kept with a box: with [`MAX_KEPT`](Self::MAX_KEPT), at most 1 MiB lies idle.
    const MAX_KEPT_BYTES: usize = 64 * 1024;

    fn take(&mut self) -> Box<Partial> {
        self.partials.pop().unwrap_or_default()
    }

    fn give(&mut self, mut partial: Box<Partial>) {
        if self.partials.len() >= Self::MAX_KEPT {
            return;
        }
        let mut message = std::mem::take(&mut partial.message);
        if message.capacity() > Self::MAX_KEPT_BYTES {
            message = Vec::new();
        }
        message.clear();
        let mut head = std::mem::take(&mut partial.head);
        head.clear();
        *partial = Partial { message, head, ..Partial::default() };
        self.partials.push(partial);
    }
}

/// What one call to [`Decoder::decode`] made of its input.
#[derive(Debug)]
pub struct Step<'a> {
    /// How many bytes of the input are done with.
    pub consumed: usize,
    /// What they said, if that is a whole item.
    pub item: Option<Item<'a>>,
}

/// The decoder of one connection.
#[derive(Default)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
}

impl Decoder {
    /// What must stand before the next bytes read: the start of a frame that could not be judged yet.
    #[inline]
    pub fn head(&self) -> &[u8] {
        match &self.partial {
            None => &[],
            Some(partial) => &partial.head,
        }
    }

    /// Forgets [`head`](Self::head), which the caller has put before the bytes that it read.
    #[inline]
    pub fn clear_head(&mut self) {
        if let Some(partial) = &mut self.partial {
            partial.head.clear();
        }
    }

    /// Whether a message or a frame has begun and not ended.
    pub fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// Bytes of memory held for what has come in part.
    pub fn held_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.message.capacity())
    }

    /// Gives back what the last message needed, if no other has begun.
    #[inline]
    pub fn settle(&mut self, spares: &mut Spares) {
        if let Some(partial) = &self.partial
            && partial.head.is_empty()
            && (partial.delivered || partial.kind.is_none())
            && let Some(partial) = self.partial.take()
        {
            spares.give(partial);
        }
    }

    /// The buffer of the message just handed out, for a caller that keeps it. `None` when the message lies in the
    /// input.
    pub fn take_message(&mut self) -> Option<Vec<u8>> {
        let partial = self.partial.as_mut().filter(|partial| partial.delivered)?;
        Some(std::mem::take(&mut partial.message))
    }

    /// Reads on in `input`, unmasking it in place, up to the next item.
    ///
    /// Call it again with the rest of the input until all of it is consumed. What could not be judged yet is kept:
    /// [`head`](Self::head) must stand before the bytes of the next read.
    ///
    /// # Errors
    ///
    /// A [`Violation`] says which rule the peer broke and with which code the connection is to be failed (§7.1.7).
    /// The decoder must not be used after that.
    #[inline]
    pub fn decode<'a>(
        &'a mut self,
        input: &'a mut [u8],
        rules: &Rules,
        spares: &mut Spares,
    ) -> Result<Step<'a>, Violation> {
        self.settle(spares);
        if self.partial.is_some() {
            return self.decode_partial(input, rules);
        }
        let Some(header) = frame::parse_client_header(input, false)? else {
            return Ok(self.keep_head(input, spares));
        };
        let FrameHeader { header_len, opcode, .. } = header;
        if opcode.is_control() {
            if input.len() < header.header_len + header.payload_len as usize {
                return Ok(self.keep_head(input, spares));
            }
            return control(input, &header);
        }
        if opcode == Opcode::Continuation {
            return Err(Violation::ContinuationWithoutStart);
        }
        let size = fit(header.payload_len, 0, rules)?;
        let end = header_len + size;
        if !header.fin || input.len() < end {
            let partial = self.partial.insert(spares.take());
            partial.begin_message(opcode);
            partial.begin_frame(&header, size);
            return self.read_on(input, header_len, rules);
        }
        let payload = &mut input[header_len..end];
        mask::apply(payload, header.key);
        let message = match opcode {
            Opcode::Text => Message::Text(text(payload)?),
            _ => Message::Binary(payload),
        };
        Ok(Step { consumed: end, item: Some(Item::Message(message)) })
    }

    /// Keeps the start of a frame for the next read.
    fn keep_head<'a>(&mut self, start: &[u8], spares: &mut Spares) -> Step<'a> {
        if !start.is_empty() {
            self.partial.get_or_insert_with(|| spares.take()).keep_head(start);
        }
        Step { consumed: start.len(), item: None }
    }

    /// A message has begun: reads the rest of its frame, or its next frame, or a control frame in between.
    fn decode_partial<'a>(
        &'a mut self,
        input: &'a mut [u8],
        rules: &Rules,
    ) -> Result<Step<'a>, Violation> {
        let Some(partial) = &mut self.partial else {
            return Ok(Step { consumed: 0, item: None });
        };
        if partial.frame.open {
            return self.read_on(input, 0, rules);
        }
        let Some(header) = frame::parse_client_header(input, false)? else {
            partial.keep_head(input);
            return Ok(Step { consumed: input.len(), item: None });
        };
        if header.opcode.is_control() {
            if input.len() < header.header_len + header.payload_len as usize {
                partial.keep_head(input);
                return Ok(Step { consumed: input.len(), item: None });
            }
            return control(input, &header);
        }
        match (header.opcode, partial.kind) {
            (Opcode::Continuation, None) => return Err(Violation::ContinuationWithoutStart),
            (Opcode::Continuation, Some(_)) => {}
            (_, Some(_)) => return Err(Violation::DataInsideFragmented),
            // Only a head was kept, and it has become a frame.
            (opcode, None) => partial.begin_message(opcode),
        }
        let size = fit(header.payload_len, partial.size, rules)?;
        partial.begin_frame(&header, size);
        self.read_on(input, header.header_len, rules)
    }

    /// Takes payload of the open frame from `input[at..]`.
    fn read_on<'a>(
        &'a mut self,
        input: &'a mut [u8],
        at: usize,
        rules: &Rules,
    ) -> Result<Step<'a>, Violation> {
        let Some(partial) = &mut self.partial else {
            return Ok(Step { consumed: at, item: None });
        };
        let taken = partial.frame.missing.min(input.len() - at);
        let consumed = at + taken;
        let chunk = &mut input[at..consumed];
        partial.frame.unmask(chunk);
        let is_text = partial.kind == Some(Opcode::Text);
        if is_text {
            partial.utf8.push(chunk).map_err(|_| Violation::InvalidUtf8)?;
        }
        let is_first = partial.size == 0;
        partial.size += taken;
        let frame_ends = partial.frame.missing == 0;
        let is_last = frame_ends && partial.frame.fin;
        if frame_ends {
            partial.frame.open = false;
        }
        if is_last && is_text {
            partial.utf8.finish().map_err(|_| Violation::InvalidUtf8)?;
        }
        if rules.stream_fragments {
            partial.delivered = is_last;
            if taken == 0 && !is_last {
                return Ok(Step { consumed, item: None });
            }
            let payload = &input[at..consumed];
            let fragment = Fragment { payload, is_text, is_first, is_last };
            return Ok(Step { consumed, item: Some(Item::Fragment(fragment)) });
        }
        partial.keep(&input[at..consumed]);
        if !is_last {
            return Ok(Step { consumed, item: None });
        }
        partial.delivered = true;
        let message = match partial.kind {
            Some(Opcode::Text) => Message::Text(text(&partial.message)?),
            _ => Message::Binary(&partial.message),
        };
        Ok(Step { consumed, item: Some(Item::Message(message)) })
    }
}

impl Partial {
    fn begin_message(&mut self, kind: Opcode) {
        self.kind = Some(kind);
        self.size = 0;
        self.utf8 = Utf8Validator::default();
    }

    fn begin_frame(&mut self, header: &FrameHeader, size: usize) {
        self.frame =
            OpenFrame { key: header.key, came: 0, missing: size, fin: header.fin, open: true };
    }

    fn keep_head(&mut self, start: &[u8]) {
        self.head.extend_from_slice(start);
        debug_assert!(self.head.len() < MAX_CLIENT_HEADER + MAX_CONTROL_PAYLOAD);
    }

    /// Appends to the message; room is made for what came, and for as much again at most.
    fn keep(&mut self, chunk: &[u8]) {
        let need = self.message.len() + chunk.len();
        if need > self.message.capacity() {
            let whole = need + self.frame.missing;
            let room = need.max(whole.min(need * 2));
            self.message.reserve_exact(room - self.message.len());
        }
        self.message.extend_from_slice(chunk);
    }
}

impl OpenFrame {
    fn unmask(&mut self, chunk: &mut [u8]) {
        mask::apply_at(chunk, self.key, self.came);
        self.came += chunk.len();
        self.missing -= chunk.len();
    }
}

/// Hands out a control frame that is whole in `input`.
fn control<'a>(input: &'a mut [u8], header: &FrameHeader) -> Result<Step<'a>, Violation> {
    let consumed = header.header_len + header.payload_len as usize;
    let payload = &mut input[header.header_len..consumed];
    mask::apply(payload, header.key);
    let item = match header.opcode {
        Opcode::Ping => Item::Ping(payload),
        Opcode::Pong => Item::Pong(payload),
        _ => Item::Close(close::parse_close(payload)?),
    };
    Ok(Step { consumed, item: Some(item) })
}

/// The length of a frame as memory knows it, if the message may be that long.
#[inline]
fn fit(payload_len: u64, so_far: usize, rules: &Rules) -> Result<usize, Violation> {
    let limit = rules.max_message_size;
    match usize::try_from(payload_len) {
        Ok(len) if len <= limit - so_far.min(limit) => Ok(len),
        _ => Err(Violation::MessageTooBig { limit }),
    }
}

#[inline]
fn text(payload: &[u8]) -> Result<&str, Violation> {
    simdutf8::basic::from_utf8(payload).map_err(|_| Violation::InvalidUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { max_message_size: 1024, stream_fragments: false };

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let mut frame = vec![first];
        match payload.len() {
            n @ 0..126 => frame.push(0x80 | n as u8),
            n => {
                frame.push(0x80 | 126);
                frame.extend((n as u16).to_be_bytes());
            }
        }
        frame.extend(key);
        frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        frame
    }

    /// Feeds `bytes` in chunks of `size` as a connection would, and lists what came out.
    fn decode(bytes: &[u8], size: usize, rules: &Rules) -> Result<Vec<String>, Violation> {
        let (mut decoder, mut spares) = (Decoder::default(), Spares::default());
        let mut seen = Vec::new();
        for chunk in bytes.chunks(size) {
            let mut input = [decoder.head(), chunk].concat();
            decoder.clear_head();
            let mut at = 0;
            while at < input.len() {
                let step = decoder.decode(&mut input[at..], rules, &mut spares)?;
                at += step.consumed;
                seen.extend(step.item.map(|item| format!("{item:?}")));
            }
            decoder.settle(&mut spares);
        }
        assert!(decoder.is_idle(), "bytes are left over");
        Ok(seen)
    }

    #[test]
    fn any_chunking_gives_the_same_items() {
        let long = "grün ".repeat(60);
        let bytes = [
            masked(0x81, b"hello"),
            masked(0x01, "h\u{e4}".as_bytes()),
            masked(0x89, b"are you there"),
            masked(0x00, b""),
            masked(0x80, b"llo"),
            masked(0x82, long.as_bytes()),
            masked(0x81, b""),
            masked(0x88, &[0x03, 0xe8, b'b', b'y', b'e']),
        ]
        .concat();
        let whole = decode(&bytes, bytes.len(), &RULES).expect("valid");
        assert_eq!(whole.len(), 6);
        assert_eq!(whole[1], format!("{:?}", Item::Ping(b"are you there")));
        assert_eq!(whole[2], format!("{:?}", Item::Message(Message::Text("h\u{e4}llo"))));
        for size in 1..bytes.len() {
            assert_eq!(decode(&bytes, size, &RULES), Ok(whole.clone()), "in chunks of {size}");
        }
    }

    #[test]
    fn fragments_are_handed_out_as_they_come() {
        let rules = Rules { stream_fragments: true, ..RULES };
        let bytes = [masked(0x02, b"ab"), masked(0x00, b""), masked(0x80, b"c")].concat();
        let seen = decode(&bytes, 9, &rules).expect("valid");
        let fragment = |payload, is_first, is_last| {
            format!("{:?}", Item::Fragment(Fragment { payload, is_text: false, is_first, is_last }))
        };
        let expected = [
            fragment(b"ab", true, false),
            fragment(b"", false, false),
            fragment(b"c", false, true),
        ];
        assert_eq!(seen, [&expected[..1], &expected[2..]].concat());
    }

    #[test]
    fn a_length_header_alone_reserves_nothing() {
        let mut spares = Spares::default();
        let mut decoder = Decoder::default();
        let rules = Rules { max_message_size: 1 << 30, ..RULES };
        let mut input = vec![0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4, 9];
        let step = decoder.decode(&mut input, &rules, &mut spares).expect("valid");
        assert_eq!((step.consumed, step.item), (15, None));
        assert!(decoder.held_bytes() <= 64, "{}", decoder.held_bytes());
    }

    #[test]
    fn the_limit_counts_all_fragments() {
        let half = [b'x'; 600];
        let bytes = [masked(0x01, &half), masked(0x80, &half)].concat();
        assert_eq!(
            decode(&bytes, bytes.len(), &RULES),
            Err(Violation::MessageTooBig { limit: 1024 })
        );
    }

    #[test]
    fn frames_out_of_order_are_violations() {
        let go_on = masked(0x80, b"x");
        assert_eq!(decode(&go_on, 99, &RULES), Err(Violation::ContinuationWithoutStart));
        let twice = [masked(0x01, b"x"), masked(0x81, b"x")].concat();
        assert_eq!(decode(&twice, 99, &RULES), Err(Violation::DataInsideFragmented));
    }

    #[test]
    fn text_fails_at_the_first_impossible_byte() {
        let (mut decoder, mut spares) = (Decoder::default(), Spares::default());
        let frame = masked(0x81, b"\xce\xba\xe1\xbd\xb9\xf4\x90\x80\x80 and more");
        // Header and payload up to 0x90, which no UTF-8 text has after 0xf4.
        let mut input = frame[..6 + 7].to_vec();
        let step = decoder.decode(&mut input, &RULES, &mut spares);
        assert_eq!(step.err(), Some(Violation::InvalidUtf8));
    }
}
