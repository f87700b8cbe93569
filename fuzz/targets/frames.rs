//! The decoder of a client's frames (RFC 6455 §5): however the bytes are cut, it sees the same.
//!
//! The first byte is the size of the pieces, the second the settings, the rest what a client sent.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wspoll::protocol::close::Violation;
use wspoll::protocol::message::{Decoder, Item, Message, Rules, Spares};

const MAX_MESSAGE: usize = 1000;

/// What came out, with the fragments of a message put together.
#[derive(Debug, PartialEq)]
enum Seen {
    Message(bool, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

fn decode(bytes: &[u8], piece: usize, stream_fragments: bool) -> (Vec<Seen>, Option<Violation>) {
    let rules = Rules { max_message_size: MAX_MESSAGE, stream_fragments };
    let (mut decoder, mut spares) = (Decoder::default(), Spares::default());
    let (mut seen, mut message) = (Vec::new(), Vec::new());
    for chunk in bytes.chunks(piece) {
        let mut input = [decoder.head(), chunk].concat();
        decoder.clear_head();
        let mut at = 0;
        while at < input.len() {
            let step = match decoder.decode(&mut input[at..], &rules, &mut spares) {
                Ok(step) => step,
                Err(violation) => return (seen, Some(violation)),
            };
            at += step.consumed;
            seen.push(match step.item {
                None => continue,
                Some(Item::Message(Message::Text(text))) => Seen::Message(true, text.into()),
                Some(Item::Message(Message::Binary(bytes))) => Seen::Message(false, bytes.into()),
                Some(Item::Fragment(fragment)) => {
                    if fragment.is_first {
                        message.clear();
                    }
                    message.extend_from_slice(fragment.payload);
                    assert!(message.len() <= MAX_MESSAGE);
                    if !fragment.is_last {
                        continue;
                    }
                    Seen::Message(fragment.is_text, message.clone())
                }
                Some(Item::Ping(bytes)) => Seen::Ping(bytes.into()),
                Some(Item::Pong(bytes)) => Seen::Pong(bytes.into()),
                Some(Item::Close(close)) => {
                    seen.push(Seen::Close(close.map(|(code, reason)| (code, reason.into()))));
                    return (seen, None);
                }
            });
        }
        decoder.settle(&mut spares);
        // Never more than a message may have and what a header or a control frame takes.
        assert!(decoder.held_bytes() <= 2 * MAX_MESSAGE + 256, "{}", decoder.held_bytes());
    }
    (seen, None)
}

fuzz_target!(|input: &[u8]| {
    let [piece, settings, bytes @ ..] = input else { return };
    let whole = decode(bytes, bytes.len().max(1), false);
    for message in &whole.0 {
        if let Seen::Message(is_text, bytes) = message {
            assert!(bytes.len() <= MAX_MESSAGE);
            assert!(!is_text || str::from_utf8(bytes).is_ok());
        }
    }
    let cut = decode(bytes, usize::from(*piece).max(1), settings & 1 == 1);
    assert_eq!(cut, whole);
});
