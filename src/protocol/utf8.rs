//! UTF-8 validation of text that arrives in pieces (RFC 6455 §8.1).
//!
//! Fails at the first byte that no continuation can make valid, also in the middle of a fragment: a peer that
//! sends garbage is cut off before it has sent all of it.

use std::fmt;
use std::str;

/// The bytes seen so far can't begin any UTF-8 text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidUtf8;

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid UTF-8")
    }
}

impl std::error::Error for InvalidUtf8 {}

/// Validates a text that is there as a whole.
///
/// # Errors
///
/// [`InvalidUtf8`], also when the text ends inside a character.
#[inline]
pub fn validate(text: &[u8]) -> Result<&str, InvalidUtf8> {
    simdutf8::basic::from_utf8(text).map_err(|_| InvalidUtf8)
}

/// The state between two pieces of one text.
///
/// # Invariants
///
/// - `pending[..pending_len]` is a proper prefix of at least one UTF-8 character.
/// - After an error the state is unspecified; the connection is about to be closed.
#[derive(Clone, Copy, Default, Debug)]
pub struct Utf8Validator {
    pending: [u8; 3],
    pending_len: u8,
}

impl Utf8Validator {
    /// Takes the next piece of the text.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] when nothing that may still arrive could make the text valid.
    #[inline]
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), InvalidUtf8> {
        let rest = if self.pending_len == 0 { chunk } else { self.complete(chunk)? };
        match simdutf8::compat::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(InvalidUtf8),
            Err(error) => {
                let tail = &rest[error.valid_up_to()..];
                self.pending[..tail.len()].copy_from_slice(tail);
                self.pending_len = tail.len() as u8;
                Ok(())
            }
        }
    }

    /// Ends the text.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`] when the text ends inside a character.
    #[inline]
    pub fn finish(&self) -> Result<(), InvalidUtf8> {
        if self.pending_len == 0 { Ok(()) } else { Err(InvalidUtf8) }
    }

    /// Completes the character that the last piece began, and returns what follows it in `chunk`.
    fn complete<'a>(&mut self, chunk: &'a [u8]) -> Result<&'a [u8], InvalidUtf8> {
        let mut character = [0; 4];
        let mut len = usize::from(self.pending_len);
        character[..len].copy_from_slice(&self.pending[..len]);
        for (at, &byte) in chunk.iter().enumerate() {
            // Four bytes are always a whole character or wrong, so `len` stays below 4 here.
            character[len] = byte;
            len += 1;
            match str::from_utf8(&character[..len]) {
                Ok(_) => {
                    self.pending_len = 0;
                    return Ok(&chunk[at + 1..]);
                }
                Err(error) if error.error_len().is_some() => return Err(InvalidUtf8),
                Err(_) => {}
            }
        }
        self.pending.copy_from_slice(&character[..3]);
        self.pending_len = len as u8;
        Ok(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidUtf8, Utf8Validator, validate};

    /// How many bytes of `text` are taken, fed one by one, before the validator objects.
    fn accepted(text: &[u8]) -> usize {
        let mut validator = Utf8Validator::default();
        text.iter().take_while(|byte| validator.push(&[**byte]).is_ok()).count()
    }

    #[test]
    fn the_state_is_small() {
        assert!(size_of::<Utf8Validator>() <= 8);
    }

    #[test]
    fn characters_may_be_cut_anywhere() {
        let text = "κόσμε 😀 \u{10ffff} \u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000} ".repeat(8);
        let bytes = text.as_bytes();
        assert_eq!(validate(bytes), Ok(text.as_str()));
        for first in 0..bytes.len() {
            for second in first..bytes.len() {
                let mut validator = Utf8Validator::default();
                for piece in [&bytes[..first], &bytes[first..second], &[], &bytes[second..]] {
                    assert_eq!(validator.push(piece), Ok(()), "cut at {first} and {second}");
                }
                assert_eq!(validator.finish(), Ok(()));
            }
        }
    }

    #[test]
    fn fails_at_the_first_byte_that_cannot_be_continued() {
        assert_eq!(accepted(&[0xf4, 0x90, 0x80, 0x80]), 1, "above U+10FFFF");
        assert_eq!(accepted(&[0xed, 0xa0, 0x80]), 1, "surrogate");
        assert_eq!(accepted(&[0xe0, 0x80, 0x80]), 1, "overlong in three bytes");
        assert_eq!(accepted(&[0xf0, 0x80, 0x80, 0x80]), 1, "overlong in four bytes");
        assert_eq!(accepted(&[b'a', 0xc0]), 1, "overlong in two bytes");
        assert_eq!(accepted(&[0xf8]), 0, "five bytes");
        assert_eq!(accepted(&[0x80]), 0, "continuation without start");
        assert_eq!(accepted(&[0xf0, 0x9f, 0x98, b'a']), 3, "character cut short");
    }

    #[test]
    fn an_impossible_prefix_at_the_end_of_a_piece_fails_at_once() {
        // Autobahn 6.4.1 to 6.4.4 send the rest much later, or never.
        for piece in [&b"\xce\xba\xe1\xbd\xb9\xf4\x90"[..], b"\xed\xa0", b"\xf8", b"\xc0"] {
            assert_eq!(Utf8Validator::default().push(piece), Err(InvalidUtf8), "{piece:x?}");
        }
    }

    #[test]
    fn a_text_must_not_end_inside_a_character() {
        let mut validator = Utf8Validator::default();
        assert_eq!(validator.push(b"abc\xf0\x9f\x98"), Ok(()));
        assert_eq!(validator.finish(), Err(InvalidUtf8));
        assert_eq!(validator.push(b"\x80"), Ok(()));
        assert_eq!(validator.finish(), Ok(()));
        assert_eq!(validate(b"abc\xf0\x9f\x98"), Err(InvalidUtf8));
    }
}
