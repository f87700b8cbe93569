//! Closing: what a peer can do wrong, the code that answers it, and the body of close frames (RFC 6455 §7).

use std::fmt;

use super::utf8::InvalidUtf8;

/// The purpose of the connection has been fulfilled.
pub const NORMAL: u16 = 1000;
/// The endpoint goes away: a server shuts down, a browser leaves the page.
pub const GOING_AWAY: u16 = 1001;
/// The peer broke RFC 6455.
pub const PROTOCOL_ERROR: u16 = 1002;
/// A kind of data that the endpoint can't accept.
pub const UNSUPPORTED: u16 = 1003;
/// The close frame carried no code. Reported, never sent.
pub const NO_STATUS: u16 = 1005;
/// The connection ended without a close frame. Reported, never sent.
pub const ABNORMAL: u16 = 1006;
/// Data that contradicts its type, such as text that is not UTF-8.
pub const INVALID_PAYLOAD: u16 = 1007;
/// The message violates the endpoint's policy.
pub const POLICY: u16 = 1008;
/// The message is too big to process.
pub const TOO_BIG: u16 = 1009;
/// A client misses an extension that it needs.
pub const MANDATORY_EXTENSION: u16 = 1010;
/// The server met a condition that it did not expect.
pub const INTERNAL_ERROR: u16 = 1011;
/// The server restarts (IANA registry of WebSocket close codes).
pub const SERVICE_RESTART: u16 = 1012;
/// The server is overloaded; try again later (IANA registry of WebSocket close codes).
pub const TRY_AGAIN_LATER: u16 = 1013;

/// Longest payload of a control frame (RFC 6455 §5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// Longest reason of a close frame: a control payload less the two bytes of the code (RFC 6455 §5.5.1).
pub const MAX_REASON: usize = MAX_CONTROL_PAYLOAD - 2;

/// A way in which a peer broke RFC 6455, or a limit that it ran into.
///
/// `Display` gives a text that fits into the reason of a close frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Violation {
    /// RSV1, RSV2 or RSV3 set, and no extension that defines it (§5.2).
    ReservedBits,
    /// One of the opcodes 3–7 and 11–15 (§5.2).
    ReservedOpcode(u8),
    /// A frame from a client without mask (§5.1).
    Unmasked,
    /// A control frame without FIN (§5.5).
    ControlFragmented,
    /// A control frame with more than 125 bytes of payload (§5.5).
    ControlTooLong,
    /// A length that a shorter encoding could have expressed (§5.2).
    LengthNotMinimal,
    /// A 64-bit length with its top bit set (§5.2).
    LengthTooLarge,
    /// A continuation frame while no message is being continued (§5.4).
    ContinuationWithoutStart,
    /// A new data frame before the last fragment of the current message (§5.4).
    DataInsideFragmented,
    /// A text message that is not UTF-8 (§8.1).
    InvalidUtf8,
    /// A message of more than `limit` bytes (§10.4).
    MessageTooBig {
        /// The configured limit, in bytes.
        limit: usize,
    },
    /// A close frame whose payload is half a code (§5.5.1).
    CloseFrameOneByte,
    /// A close code that must not appear on the wire (§7.4).
    InvalidCloseCode(u16),
    /// A close reason that is not UTF-8 (§5.5.1).
    CloseReasonNotUtf8,
}

impl Violation {
    /// The code of the close frame that answers this violation (RFC 6455 §7.4.1).
    pub fn close_code(&self) -> u16 {
        match self {
            Self::InvalidUtf8 | Self::CloseReasonNotUtf8 => INVALID_PAYLOAD,
            Self::MessageTooBig { .. } => TOO_BIG,
            Self::ReservedBits
            | Self::ReservedOpcode(_)
            | Self::Unmasked
            | Self::ControlFragmented
            | Self::ControlTooLong
            | Self::LengthNotMinimal
            | Self::LengthTooLarge
            | Self::ContinuationWithoutStart
            | Self::DataInsideFragmented
            | Self::CloseFrameOneByte
            | Self::InvalidCloseCode(_) => PROTOCOL_ERROR,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits => {
                f.write_str("reserved bit set without an extension that uses it (RFC 6455 §5.2)")
            }
            Self::ReservedOpcode(opcode) => write!(f, "reserved opcode {opcode} (RFC 6455 §5.2)"),
            Self::Unmasked => f.write_str("frame from a client is not masked (RFC 6455 §5.1)"),
            Self::ControlFragmented => f.write_str("control frame is fragmented (RFC 6455 §5.5)"),
            Self::ControlTooLong => {
                f.write_str("control frame is longer than 125 bytes (RFC 6455 §5.5)")
            }
            Self::LengthNotMinimal => {
                f.write_str("payload length is not in its shortest form (RFC 6455 §5.2)")
            }
            Self::LengthTooLarge => {
                f.write_str("payload length has its top bit set (RFC 6455 §5.2)")
            }
            Self::ContinuationWithoutStart => {
                f.write_str("continuation frame without a message (RFC 6455 §5.4)")
            }
            Self::DataInsideFragmented => {
                f.write_str("new message inside a fragmented one (RFC 6455 §5.4)")
            }
            Self::InvalidUtf8 => f.write_str("text message is not UTF-8 (RFC 6455 §8.1)"),
            Self::MessageTooBig { limit } => {
                write!(f, "message is longer than {limit} bytes (RFC 6455 §10.4)")
            }
            Self::CloseFrameOneByte => {
                f.write_str("close frame with half a code (RFC 6455 §5.5.1)")
            }
            Self::InvalidCloseCode(code) => {
                write!(f, "close code {code} must not be sent (RFC 6455 §7.4)")
            }
            Self::CloseReasonNotUtf8 => f.write_str("close reason is not UTF-8 (RFC 6455 §5.5.1)"),
        }
    }
}

impl std::error::Error for Violation {}

impl From<InvalidUtf8> for Violation {
    fn from(_: InvalidUtf8) -> Self {
        Self::InvalidUtf8
    }
}

/// Whether a close frame may carry `code` (RFC 6455 §7.4 and the IANA registry of WebSocket close codes).
///
/// 1004 is reserved; 1005, 1006 and 1015 only exist to be reported locally.
pub const fn is_valid_on_wire(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Reads the payload of a close frame: its code and reason, or `None` when it is empty ([`NO_STATUS`]).
///
/// # Errors
///
/// [`Violation::CloseFrameOneByte`], [`Violation::InvalidCloseCode`] or [`Violation::CloseReasonNotUtf8`].
pub fn parse_close(payload: &[u8]) -> Result<Option<(u16, &str)>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() { Ok(None) } else { Err(Violation::CloseFrameOneByte) };
    };
    let code = u16::from_be_bytes(*code);
    if !is_valid_on_wire(code) {
        return Err(Violation::InvalidCloseCode(code));
    }
    let reason = std::str::from_utf8(reason).map_err(|_| Violation::CloseReasonNotUtf8)?;
    Ok(Some((code, reason)))
}

/// Writes the payload of a close frame into `out` and returns its length.
///
/// Without a code the payload is empty, since a reason can't stand alone. A reason of more than
/// [`MAX_REASON`] bytes is cut at a character boundary.
pub fn encode_close(out: &mut [u8; MAX_CONTROL_PAYLOAD], code: Option<u16>, reason: &str) -> usize {
    let Some(code) = code else {
        return 0;
    };
    let mut len = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(len) {
        len -= 1;
    }
    out[..2].copy_from_slice(&code.to_be_bytes());
    out[2..2 + len].copy_from_slice(&reason.as_bytes()[..len]);
    2 + len
}

/// Why a host's own close code or reason can't be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LocalCloseError {
    /// The code must not appear on the wire; see [`is_valid_on_wire`].
    Code(u16),
    /// The reason has this many bytes, more than [`MAX_REASON`].
    ReasonTooLong(usize),
}

impl fmt::Display for LocalCloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(
                f,
                "close code {code} must not be sent: use 1000-1003, 1007-1014 or 3000-4999"
            ),
            Self::ReasonTooLong(len) => {
                write!(f, "close reason of {len} bytes is longer than {MAX_REASON} bytes")
            }
        }
    }
}

impl std::error::Error for LocalCloseError {}

/// Checks what a host asks to close with, so that a mistake is an error there and not a surprise on the wire.
///
/// # Errors
///
/// Names the argument that is wrong, the code first.
pub fn check_local(code: u16, reason: &str) -> Result<(), LocalCloseError> {
    if !is_valid_on_wire(code) {
        return Err(LocalCloseError::Code(code));
    }
    if reason.len() > MAX_REASON {
        return Err(LocalCloseError::ReasonTooLong(reason.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        LocalCloseError, MAX_REASON, NORMAL, Violation, check_local, encode_close,
        is_valid_on_wire, parse_close,
    };

    const ALL: [Violation; 14] = [
        Violation::ReservedBits,
        Violation::ReservedOpcode(15),
        Violation::Unmasked,
        Violation::ControlFragmented,
        Violation::ControlTooLong,
        Violation::LengthNotMinimal,
        Violation::LengthTooLarge,
        Violation::ContinuationWithoutStart,
        Violation::DataInsideFragmented,
        Violation::InvalidUtf8,
        Violation::MessageTooBig { limit: usize::MAX },
        Violation::CloseFrameOneByte,
        Violation::InvalidCloseCode(u16::MAX),
        Violation::CloseReasonNotUtf8,
    ];

    #[test]
    fn violations_are_small() {
        assert!(size_of::<Violation>() <= 16);
    }

    #[test]
    fn every_violation_can_be_sent_as_a_close_frame() {
        for violation in ALL {
            let text = violation.to_string();
            assert_eq!(check_local(violation.close_code(), &text), Ok(()), "{text}");
            assert!(text.contains("RFC 6455 §"), "{text}");
        }
    }

    #[test]
    fn codes_follow_the_registry() {
        let valid = |code| matches!(code, 1000 | 1001 | 1002 | 1003 | 1007..=1014 | 3000..=4999);
        for code in 0..=u16::MAX {
            assert_eq!(is_valid_on_wire(code), valid(code), "{code}");
        }
    }

    #[test]
    fn a_close_frame_survives_the_round_trip() {
        let mut out = [0; 125];
        let len = encode_close(&mut out, Some(3999), "au revoir, à bientôt");
        assert_eq!(parse_close(&out[..len]), Ok(Some((3999, "au revoir, à bientôt"))));
        assert_eq!(encode_close(&mut out, None, "lost"), 0);
        assert_eq!(parse_close(&[]), Ok(None));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let mut out = [0; 125];
        for lead in 0..4 {
            let reason = "x".repeat(lead) + &"😀".repeat(40);
            let len = encode_close(&mut out, Some(NORMAL), &reason);
            let kept = MAX_REASON - (MAX_REASON - lead) % 4;
            assert_eq!(parse_close(&out[..len]), Ok(Some((NORMAL, &reason[..kept]))));
        }
    }

    #[test]
    fn bad_close_frames_are_violations() {
        assert_eq!(parse_close(&[3]), Err(Violation::CloseFrameOneByte));
        assert_eq!(parse_close(&1005u16.to_be_bytes()), Err(Violation::InvalidCloseCode(1005)));
        assert_eq!(parse_close(&[0x03, 0xe8, 0xff]), Err(Violation::CloseReasonNotUtf8));
        // The code is judged first: a bad code with a bad reason is 1002, not 1007.
        assert_eq!(parse_close(&[0, 0, 0xff]), Err(Violation::InvalidCloseCode(0)));
    }

    #[test]
    fn hosts_learn_what_they_may_not_send() {
        assert_eq!(check_local(1006, ""), Err(LocalCloseError::Code(1006)));
        assert_eq!(check_local(NORMAL, &"x".repeat(123)), Ok(()));
        assert_eq!(check_local(NORMAL, &"x".repeat(124)), Err(LocalCloseError::ReasonTooLong(124)));
    }
}
