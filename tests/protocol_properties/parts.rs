//! Headers, masks and UTF-8, each alone.

use std::io::Cursor;

use async_tungstenite::tungstenite::protocol::frame::FrameHeader;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};
use proptest::sample::Index;
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};
use wspoll::protocol::frame::parse_client_header;
use wspoll::protocol::mask;
use wspoll::protocol::utf8::Utf8Validator;

use crate::config;
use crate::oracle::theirs;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_header_is_judged_alike_at_every_length(bytes in any::<[u8; 14]>(), rsv1 in any::<bool>()) {
        // Random first bytes are mostly wrong; half of the cases get a good one.
        let mut bytes = bytes;
        if bytes[13] & 1 == 0 {
            bytes[0] = [0x01, 0x82, 0x80, 0x89][usize::from(bytes[13] >> 6)];
            bytes[1] |= 0x80;
        }
        let whole = parse_client_header(&bytes, rsv1);
        prop_assert!(whole != Ok(None));
        for end in 0..=bytes.len() {
            let part = parse_client_header(&bytes[..end], rsv1);
            prop_assert!(part == Ok(None) || part == whole, "{end} bytes: {part:?}, {whole:?}");
        }
        if let Ok(Some(header)) = whole {
            let short = parse_client_header(&bytes[..header.header_len - 1], rsv1);
            prop_assert_eq!(short, Ok(None));
            let (other, payload_len) =
                FrameHeader::parse(&mut Cursor::new(&bytes)).expect("valid").expect("whole");
            prop_assert_eq!(other.is_final, header.fin);
            prop_assert_eq!(other.mask, Some(header.key));
            prop_assert_eq!(other.opcode, theirs(header.opcode));
            prop_assert_eq!(payload_len, header.payload_len);
        }
    }

    #[test]
    fn masking_follows_its_definition(
        data in vec(any::<u8>(), 0..3000),
        start in any::<Index>(),
        key in any::<[u8; 4]>(),
        offset in any::<usize>(),
    ) {
        let start = start.index(data.len() + 1);
        let expected: Vec<u8> = data[start..]
            .iter()
            .enumerate()
            .map(|(at, byte)| byte ^ key[(at + offset % 4) % 4])
            .collect();
        let mut masked = data.clone();
        mask::apply_at(&mut masked[start..], key, offset);
        prop_assert_eq!(&masked[..start], &data[..start]);
        prop_assert_eq!(&masked[start..], &expected[..]);
    }

    #[test]
    fn text_fails_in_the_chunk_with_the_first_impossible_byte(
        parts in vec(
            prop_oneof![
                6 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
                1 => any::<char>().prop_map(|c| c.to_string().into_bytes()[1..].to_vec()),
                1 => vec(any::<u8>(), 0..3),
                1 => (0..200_usize).prop_map(|len| vec![b'a'; len]),
            ],
            0..40,
        ),
        chunks in vec(0..70_usize, 1..6),
    ) {
        let text = parts.concat();
        let impossible = |bytes: &[u8]| {
            std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_some())
        };
        let first_bad = (1..=text.len()).find(|&end| impossible(&text[..end]));
        let mut validator = Utf8Validator::default();
        let mut at = 0;
        for &size in chunks.iter().chain([&1]).cycle() {
            let end = (at + size).min(text.len());
            let result = validator.push(&text[at..end]);
            prop_assert_eq!(result.is_err(), first_bad.is_some_and(|bad| bad <= end));
            at = end;
            if result.is_err() || at == text.len() {
                break;
            }
        }
        let valid = std::str::from_utf8(&text).is_ok();
        prop_assert_eq!(first_bad.is_none() && validator.finish().is_ok(), valid);
    }
}
