//! The decoder and the encoder of frames against tungstenite.

use async_tungstenite::tungstenite::Error;
use async_tungstenite::tungstenite::protocol::Role;
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;
use proptest::{prop_assert, prop_assert_eq, proptest};
use wspoll::protocol::close::Violation;
use wspoll::protocol::frame::{
    Opcode, encode_server_header, server_frame_is_droppable, server_frame_len,
};
use wspoll::protocol::mask;
use wspoll::protocol::message::{Decoder, Item, Message, Rules, Spares};

use crate::config;
use crate::oracle::{decode_by_oracle, encode_as_client};
use crate::script::{MAX_MESSAGE, Seen, chunks, script};

/// What our decoder makes of `bytes`, up to the close frame or the violation, if one ended it.
fn decode(
    bytes: &[u8],
    chunks: &[usize],
    stream_fragments: bool,
) -> (Vec<Seen>, Option<Violation>) {
    let rules = Rules { max_message_size: MAX_MESSAGE, stream_fragments };
    let (mut decoder, mut spares) = (Decoder::default(), Spares::default());
    let mut seen = Vec::new();
    let mut pieces = Vec::new();
    let mut rest = bytes;
    for &size in chunks.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, later) = rest.split_at(size.min(rest.len()));
        rest = later;
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
                Some(Item::Message(Message::Text(text))) => Seen::Text(text.to_owned()),
                Some(Item::Message(Message::Binary(bytes))) => Seen::Binary(bytes.to_vec()),
                Some(Item::Fragment(fragment)) => {
                    if fragment.is_first {
                        pieces.clear();
                    }
                    pieces.extend_from_slice(fragment.payload);
                    match (fragment.is_last, fragment.is_text) {
                        (false, _) => continue,
                        (true, false) => Seen::Binary(pieces.clone()),
                        (true, true) => {
                            Seen::Text(String::from_utf8(pieces.clone()).expect("checked"))
                        }
                    }
                }
                Some(Item::Ping(bytes)) => Seen::Ping(bytes.to_vec()),
                Some(Item::Pong(bytes)) => Seen::Pong(bytes.to_vec()),
                Some(Item::Close(close)) => {
                    let close = close.map(|(code, reason)| (code, reason.to_owned()));
                    seen.push(Seen::Close(close));
                    return (seen, None);
                }
            });
        }
        decoder.settle(&mut spares);
    }
    (seen, None)
}

/// Decodes `bytes` with both decoders, which must agree on the messages and on where they end.
///
/// tungstenite waits for whole frames, so it may have no opinion yet where ours has failed.
fn compare_with_oracle(bytes: &[u8], chunks: &[usize]) -> Result<(), TestCaseError> {
    let (mut seen, violation) = decode(bytes, chunks, false);
    let (expected, error) = decode_by_oracle(Role::Server, bytes.to_vec());
    // What tungstenite reports for a close code that it finds wrong.
    let wrong_code = Seen::Close(Some((1002, "Protocol violation".to_owned())));
    match violation {
        None => {
            // It does not know 1014.
            if let Some(Seen::Close(Some((1014, _)))) = seen.last() {
                seen.pop();
                seen.push(wrong_code);
            }
            prop_assert_eq!(seen, expected);
            prop_assert!(error.is_none(), "{error:?} was let pass");
        }
        // It lets pass what RFC 6455 §5.2 forbids, lengths in a longer form than needed, also where that makes a
        // control frame look too long.
        Some(Violation::LengthNotMinimal | Violation::ControlTooLong) => {
            prop_assert!(expected.starts_with(&seen), "{seen:?}, {expected:?}");
        }
        // It judges the reason before the code.
        Some(Violation::InvalidCloseCode(code)) => {
            let is_utf8 = matches!(error, Some(Error::Utf8(_)));
            if !is_utf8 {
                seen.push(wrong_code);
            }
            prop_assert!(is_utf8 || error.is_none(), "{error:?}");
            prop_assert_eq!(seen, expected, "{}", code);
        }
        Some(violation) => {
            let is_utf8 = violation.close_code() == 1007;
            let agreed = |error: &Error| is_utf8 == matches!(error, Error::Utf8(_));
            prop_assert!(error.as_ref().is_none_or(agreed), "{violation}, {error:?}");
            prop_assert_eq!(seen, expected, "{}", violation);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_chunking_of_a_clients_frames_gives_its_messages(script in script(), chunks in chunks()) {
        let bytes = encode_as_client(&script.frames);
        prop_assert_eq!(decode(&bytes, &chunks, false), (script.meaning, None));
    }

    #[test]
    fn streamed_fragments_add_up_to_the_messages(script in script(), chunks in chunks()) {
        let bytes = encode_as_client(&script.frames);
        prop_assert_eq!(decode(&bytes, &chunks, true), (script.meaning, None));
    }

    #[test]
    fn a_client_understands_our_frames(script in script()) {
        let mut bytes = Vec::new();
        let mut starts = Vec::new();
        for (fin, opcode, payload) in &script.frames {
            starts.push((bytes.len(), *fin && !opcode.is_control() && *opcode != Opcode::Continuation));
            let (header, len) = encode_server_header(*fin, *opcode, payload.len());
            bytes.extend_from_slice(&header[..len]);
            bytes.extend_from_slice(payload);
        }
        let mut walked = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            walked.push((at, server_frame_is_droppable(bytes[at])));
            at += server_frame_len(&bytes[at..]);
        }
        prop_assert_eq!(walked, starts);
        let (seen, error) = decode_by_oracle(Role::Client, bytes);
        prop_assert!(error.is_none(), "{:?}", error);
        prop_assert_eq!(seen, script.meaning);
    }

    #[test]
    fn mutated_frames_are_judged_as_the_oracle_judges_them(
        script in script(),
        mutations in vec((any::<Index>(), 1..=255_u8), 1..4),
        kept in any::<Index>(),
        chunks in chunks(),
    ) {
        let mut bytes = encode_as_client(&script.frames);
        if !bytes.is_empty() {
            for (at, flip) in mutations {
                let at = at.index(bytes.len());
                bytes[at] ^= flip;
            }
        }
        compare_with_oracle(&bytes, &chunks)?;
        bytes.truncate(kept.index(bytes.len() + 1));
        compare_with_oracle(&bytes, &chunks)?;
    }

    #[test]
    fn mutated_headers_are_judged_as_the_oracle_judges_them(
        frames in vec((any::<bool>(), 0..16_u8, 0..200_usize, any::<[u8; 4]>()), 1..6),
        chunks in chunks(),
    ) {
        // Headers of every kind in every order, over payloads that are valid text once unmasked.
        let mut bytes = Vec::new();
        for (fin, opcode, len, key) in frames {
            bytes.push(if fin { 0x80 | opcode } else { opcode });
            match len {
                0..126 => bytes.push(0x80 | len as u8),
                _ => bytes.extend([0xfe, 0, len as u8]),
            }
            bytes.extend(key);
            let payload = bytes.len();
            bytes.resize(payload + len, b'x');
            mask::apply(&mut bytes[payload..], key);
        }
        compare_with_oracle(&bytes, &chunks)?;
    }

    #[test]
    fn random_bytes_are_judged_as_the_oracle_judges_them(
        bytes in vec(any::<u8>(), 0..200),
        chunks in chunks(),
    ) {
        compare_with_oracle(&bytes, &chunks)?;
        decode(&bytes, &chunks, true);
    }
}
