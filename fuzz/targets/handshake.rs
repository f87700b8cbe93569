//! The head of a request and the opening handshake (RFC 6455 §4, RFC 9112): where it ends does not depend on what follows,
//! and an answer is one head.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wspoll::protocol::{forwarded, handshake, http};

const MAX_HEAD: usize = 8192;

fuzz_target!(|input: &[u8]| {
    let Ok(Some(head)) = http::parse_head(input, MAX_HEAD) else { return };
    assert!(head.len <= input.len() && head.len <= MAX_HEAD);
    let alone = http::parse_head(&input[..head.len], MAX_HEAD).expect("valid before");
    assert_eq!(alone.expect("whole before").len, head.len);
    let short = http::parse_head(&input[..head.len - 1], MAX_HEAD);
    assert!(matches!(short, Ok(None)), "its end is its last byte");
    assert!(head.path().len() + head.query().map_or(0, str::len) <= head.target.len());

    // They take what there is, or leave it.
    let _ = (head.host(), head.has_body(), handshake::origin(&head));
    let _ = (forwarded::forwarded(&head).count(), forwarded::x_forwarded_for(&head).count());

    let supported = ["chat".to_owned(), "superchat".to_owned()];
    let (Ok(key), Ok(offered)) =
        (handshake::check_upgrade(&head), handshake::offered_subprotocols(&head))
    else {
        return;
    };
    assert!(handshake::wants_upgrade(&head));
    let chosen = handshake::choose_subprotocol(offered, &supported);
    let chosen = chosen.map(|at| supported[at].as_str());
    let mut answer = Vec::new();
    handshake::encode_accept(&mut answer, &key, chosen, std::iter::empty());
    let ends = answer.windows(4).filter(|bytes| bytes == b"\r\n\r\n").count();
    assert!(ends == 1 && answer.ends_with(b"\r\n\r\n"));
});
