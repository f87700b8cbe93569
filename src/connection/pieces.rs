//! A message that is sent in pieces (RFC 6455 §5.4): the frames of one, from its first to its last.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::protocol::frame::{self, Opcode};
use crate::protocol::utf8::Utf8Validator;

use super::outbox::SharedFrame;

/// A frame of such a message.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// Which message it is of. No other message in this process has the number.
    pub(crate) message: u64,
    pub(crate) frame: SharedFrame,
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
}

/// Makes the pieces of one message.
#[derive(Debug)]
pub(crate) struct Pieces {
    message: u64,
    opcode: Opcode,
    text: Option<Utf8Validator>,
    has_begun: bool,
}

impl Pieces {
    pub(crate) fn new(is_text: bool) -> Pieces {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Pieces {
            message: LAST.fetch_add(1, Ordering::Relaxed) + 1,
            opcode: if is_text { Opcode::Text } else { Opcode::Binary },
            text: is_text.then(Utf8Validator::default),
            has_begun: false,
        }
    }

    /// The next piece. It counts as sent with [`sent`](Self::sent): one that finds no room may be made again.
    pub(crate) fn piece(&self, payload: &[u8], is_last: bool) -> Result<(Piece, Sent)> {
        let mut text = self.text;
        if let Some(text) = &mut text {
            let checked = text.push(payload);
            let checked = if is_last { checked.and_then(|()| text.finish()) } else { checked };
            checked.map_err(|e| {
                let value = format!("{} bytes", payload.len());
                Error::argument("data", value, format!("not UTF-8 with what came before: {e}"))
            })?;
        }
        let opcode = if self.has_begun { Opcode::Continuation } else { self.opcode };
        let (header, header_len) = frame::encode_server_header(is_last, opcode, payload.len());
        let frame = [&header[..header_len], payload].concat();
        let (message, is_first) = (self.message, !self.has_begun);
        Ok((Piece { message, frame: Arc::from(frame), is_first, is_last }, Sent(text)))
    }

    pub(crate) fn sent(&mut self, Sent(text): Sent) {
        self.text = text;
        self.has_begun = true;
    }

    /// Whether a piece has been sent, so that the message cannot be taken back.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }
}

/// What [`Pieces`] remember of a piece that was sent.
pub(crate) struct Sent(Option<Utf8Validator>);

#[cfg(test)]
mod tests {
    use super::*;

    fn next(pieces: &mut Pieces, payload: &[u8], is_last: bool) -> Vec<u8> {
        let (piece, sent) = pieces.piece(payload, is_last).expect("a piece");
        pieces.sent(sent);
        piece.frame.to_vec()
    }

    #[test]
    fn only_the_first_says_what_it_is_and_only_the_last_that_it_is_the_last() {
        let mut pieces = Pieces::new(false);
        assert_eq!(next(&mut pieces, b"a", false), [0x02, 1, b'a']);
        assert_eq!(next(&mut pieces, b"b", false), [0x00, 1, b'b']);
        assert_eq!(next(&mut pieces, b"", true), [0x80, 0]);
    }

    #[test]
    fn a_text_may_be_cut_inside_a_character_but_not_end_there() {
        let mut pieces = Pieces::new(true);
        let text = "ü".as_bytes();
        assert_eq!(next(&mut pieces, &text[..1], false), [0x01, 1, text[0]]);
        assert!(pieces.piece(b"", true).is_err());
        assert!(pieces.piece(b"x", false).is_err());
        assert_eq!(next(&mut pieces, &text[1..], true), [0x80, 1, text[1]]);
    }
}
