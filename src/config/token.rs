//! The admin listener's secret, which no log shows.

use std::fmt;

use super::values::Parsed;

/// What stands in an error instead of a token.
pub(super) const HIDDEN: &str = "…";

/// More fits into no line of a request that is worth reading.
const LONGEST: usize = 1024;

/// A bearer token (RFC 6750), or none. `Debug` does not show it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Token(Box<str>);

impl Token {
    /// Whether there is one.
    pub fn is_set(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether `given` is the token: in a time that tells of the token no more than its length. Never, if there is none.
    #[cfg(feature = "admin")]
    pub(crate) fn matches(&self, given: &[u8]) -> bool {
        use subtle::ConstantTimeEq;

        self.is_set() && self.0.as_bytes().ct_eq(given).into()
    }

    pub(super) fn check(&self) -> Parsed<()> {
        let fits = self.0.len() <= LONGEST && self.0.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(()) } else { Err("must be visible ASCII without spaces".to_owned()) }
    }
}

impl<T: Into<Box<str>>> From<T> for Token {
    fn from(token: T) -> Token {
        Token(token.into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_set() { "Token(…)" } else { "Token(none)" })
    }
}

#[cfg(all(test, feature = "admin"))]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_matches() {
        let token = Token::from("s3cret");
        assert!(token.matches(b"s3cret"));
        for wrong in ["", "s3cre", "s3cret ", "S3cret", "s3cret0"] {
            assert!(!token.matches(wrong.as_bytes()), "{wrong:?}");
        }
        assert!(!Token::default().matches(b""));
    }
}
