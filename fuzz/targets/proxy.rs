//! Headers of the PROXY protocol: where one ends does not depend on what follows, and every shorter part asks for more.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wspoll::protocol::proxy;

fuzz_target!(|input: &[u8]| {
    match proxy::parse(input) {
        Ok(Some(header)) => {
            assert!(header.len <= input.len() && header.len <= proxy::MAX_HEADER);
            assert_eq!(proxy::parse(&input[..header.len]), Ok(Some(header)));
            for len in 0..header.len {
                assert_eq!(proxy::parse(&input[..len]), Ok(None), "{len} bytes");
            }
        }
        Ok(None) => assert!(input.len() < proxy::MAX_HEADER),
        Err(malformed) => {
            // Nothing that may follow makes it one.
            assert_eq!(proxy::parse(&[input, b"\r\n"].concat()), Err(malformed));
        }
    }
});
