//! Frame headers (RFC 6455 §5.2).
//!
//! A header is judged as early as its bytes allow: the first byte is enough to refuse a reserved opcode, the
//! second to refuse a frame without mask. A peer that breaks the rules gets its close code without delay.

use super::close::{MAX_CONTROL_PAYLOAD, Violation};

/// Longest header that a server sends: two bytes and a 64-bit length.
pub const MAX_SERVER_HEADER: usize = 10;

/// Longest header that a client sends: a server's plus the masking key.
pub const MAX_CLIENT_HEADER: usize = 14;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_AND_3: u8 = 0x30;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
/// Value of the 7-bit length that announces a 16-bit one.
const LENGTH_16: u8 = 126;
/// Value of the 7-bit length that announces a 64-bit one.
const LENGTH_64: u8 = 127;

/// What a frame is for (RFC 6455 §11.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Opcode {
    /// The next fragment of a message.
    Continuation = 0,
    /// A text message or its first fragment.
    Text = 1,
    /// A binary message or its first fragment.
    Binary = 2,
    /// Ends the connection.
    Close = 8,
    /// Asks for a pong.
    Ping = 9,
    /// Answers a ping.
    Pong = 10,
}

impl Opcode {
    /// Whether this is a control frame, which may stand between the fragments of a message (§5.5).
    #[inline]
    pub const fn is_control(self) -> bool {
        self as u8 >= Self::Close as u8
    }

    #[inline]
    const fn from_nibble(nibble: u8) -> Result<Self, Violation> {
        match nibble {
            0 => Ok(Self::Continuation),
            1 => Ok(Self::Text),
            2 => Ok(Self::Binary),
            8 => Ok(Self::Close),
            9 => Ok(Self::Ping),
            10 => Ok(Self::Pong),
            reserved => Err(Violation::ReservedOpcode(reserved)),
        }
    }
}

/// The header of a frame that a client sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// The last fragment of its message.
    pub fin: bool,
    /// The message is compressed (RFC 7692 §6); only ever set on a message's first fragment.
    pub rsv1: bool,
    /// What the frame is for.
    pub opcode: Opcode,
    /// The masking key.
    pub key: [u8; 4],
    /// Bytes of payload that follow the header; below 2^63, and at most 125 in a control frame.
    pub payload_len: u64,
    /// Bytes of this header, key included: 6, 8 or 14.
    pub header_len: usize,
}

/// Reads the header of a client's frame at the start of `input`.
///
/// Returns `Ok(None)` when more bytes are needed. `rsv1_allowed` says that permessage-deflate was negotiated.
///
/// # Errors
///
/// The [`Violation`] that the bytes at hand prove, even when the header is not complete yet.
#[inline]
pub fn parse_client_header(
    input: &[u8],
    rsv1_allowed: bool,
) -> Result<Option<FrameHeader>, Violation> {
    let &[first, second, ref rest @ ..] = input else {
        return match input.first() {
            Some(&first) => check_first(first, rsv1_allowed).map(|_| None),
            None => Ok(None),
        };
    };
    let opcode = check_first(first, rsv1_allowed)?;
    if second & MASKED == 0 {
        return Err(Violation::Unmasked);
    }
    let length = second & LENGTH;
    if opcode.is_control() && length as usize > MAX_CONTROL_PAYLOAD {
        return Err(Violation::ControlTooLong);
    }

    let (payload_len, length_bytes) = match length {
        LENGTH_16 => match parse_length_16(rest)? {
            Some(length) => (length, 2),
            None => return Ok(None),
        },
        LENGTH_64 => match parse_length_64(rest)? {
            Some(length) => (length, 8),
            None => return Ok(None),
        },
        length => (u64::from(length), 0),
    };
    let Some(&key) = rest.get(length_bytes..).and_then(<[u8]>::first_chunk) else {
        return Ok(None);
    };
    Ok(Some(FrameHeader {
        fin: first & FIN != 0,
        rsv1: first & RSV1 != 0,
        opcode,
        key,
        payload_len,
        header_len: 2 + length_bytes + 4,
    }))
}

/// Judges the first byte alone.
#[inline]
fn check_first(first: u8, rsv1_allowed: bool) -> Result<Opcode, Violation> {
    if first & RSV2_AND_3 != 0 || (first & RSV1 != 0 && !rsv1_allowed) {
        return Err(Violation::ReservedBits);
    }
    let opcode = Opcode::from_nibble(first & OPCODE)?;
    if opcode.is_control() && first & FIN == 0 {
        return Err(Violation::ControlFragmented);
    }
    // RFC 7692 §6.1: the bit belongs to a message, so only its first frame carries it.
    if first & RSV1 != 0 && !matches!(opcode, Opcode::Text | Opcode::Binary) {
        return Err(Violation::ReservedBits);
    }
    Ok(opcode)
}

#[inline]
fn parse_length_16(rest: &[u8]) -> Result<Option<u64>, Violation> {
    let Some(&bytes) = rest.first_chunk() else {
        return Ok(None);
    };
    let length = u16::from_be_bytes(bytes);
    if length < u16::from(LENGTH_16) {
        return Err(Violation::LengthNotMinimal);
    }
    Ok(Some(u64::from(length)))
}

fn parse_length_64(rest: &[u8]) -> Result<Option<u64>, Violation> {
    if rest.first().is_some_and(|top| top & 0x80 != 0) {
        return Err(Violation::LengthTooLarge);
    }
    // Six zeros leave 16 bits, for which there is the shorter form.
    if rest.first_chunk() == Some(&[0; 6]) {
        return Err(Violation::LengthNotMinimal);
    }
    Ok(rest.first_chunk().map(|&bytes| u64::from_be_bytes(bytes)))
}

/// Makes the header of a frame that the server sends: unmasked (§5.1) and with the shortest length (§5.2).
///
/// Returns the bytes and how many of them are the header.
#[inline]
pub fn encode_server_header(
    fin: bool,
    opcode: Opcode,
    payload_len: usize,
) -> ([u8; MAX_SERVER_HEADER], usize) {
    let mut header = [0; MAX_SERVER_HEADER];
    header[0] = if fin { FIN | opcode as u8 } else { opcode as u8 };
    if payload_len < LENGTH_16 as usize {
        header[1] = payload_len as u8;
        (header, 2)
    } else if let Ok(short) = u16::try_from(payload_len) {
        header[1] = LENGTH_16;
        header[2..4].copy_from_slice(&short.to_be_bytes());
        (header, 4)
    } else {
        header[1] = LENGTH_64;
        header[2..].copy_from_slice(&(payload_len as u64).to_be_bytes());
        (header, MAX_SERVER_HEADER)
    }
}

/// Length of the header that [`encode_server_header`] makes for this payload.
#[inline]
pub const fn server_header_len(payload_len: usize) -> usize {
    if payload_len < LENGTH_16 as usize {
        2
    } else if payload_len <= u16::MAX as usize {
        4
    } else {
        MAX_SERVER_HEADER
    }
}

/// Length of the whole frame, header and payload, that begins at `head[0]`.
///
/// Only for walking over frames that [`encode_server_header`] began.
///
/// # Panics
///
/// When `head` is shorter than the frame's header.
#[inline]
pub fn server_frame_len(head: &[u8]) -> usize {
    match head[1] & LENGTH {
        LENGTH_16 => 4 + usize::from(u16::from_be_bytes([head[2], head[3]])),
        LENGTH_64 => {
            let mut length = [0; 8];
            length.copy_from_slice(&head[2..MAX_SERVER_HEADER]);
            // It was a `usize` when it was encoded.
            MAX_SERVER_HEADER + u64::from_be_bytes(length) as usize
        }
        length => 2 + usize::from(length),
    }
}

/// Whether a queued frame that starts with this byte may be left out without harm to those around it:
/// it is a message of its own, not a fragment and not a control frame.
#[inline]
pub const fn server_frame_is_droppable(first_byte: u8) -> bool {
    let opcode = first_byte & OPCODE;
    first_byte & FIN != 0 && (opcode == Opcode::Text as u8 || opcode == Opcode::Binary as u8)
}

#[cfg(test)]
mod tests {
    use super::{
        FrameHeader, Opcode, encode_server_header, parse_client_header, server_frame_is_droppable,
        server_frame_len, server_header_len,
    };
    use crate::protocol::close::Violation;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn parse(input: &[u8]) -> Result<Option<FrameHeader>, Violation> {
        parse_client_header(input, false)
    }

    /// A final text frame with the given length field.
    fn text(length: &[u8]) -> Vec<u8> {
        [&[0x81], length, &KEY].concat()
    }

    #[test]
    fn each_form_of_length_is_read_and_every_prefix_waits() {
        let cases: [(&[u8], u64); 7] = [
            (&[0x80], 0),
            (&[0x80 | 125], 125),
            (&[0x80 | 126, 0, 126], 126),
            (&[0x80 | 126, 0xff, 0xff], 65_535),
            (&[0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 0], 65_536),
            (&[0x80 | 127, 0, 0, 0, 1, 0, 0, 0, 0], 1 << 32),
            (&[0x80 | 127, 0x7f, 255, 255, 255, 255, 255, 255, 255], (1 << 63) - 1),
        ];
        for (length, payload_len) in cases {
            let frame = text(length);
            for end in 0..frame.len() {
                assert_eq!(parse(&frame[..end]), Ok(None), "{end} bytes of {frame:x?}");
            }
            let header = FrameHeader {
                fin: true,
                rsv1: false,
                opcode: Opcode::Text,
                key: KEY,
                payload_len,
                header_len: frame.len(),
            };
            assert_eq!(parse(&frame), Ok(Some(header)));
        }
    }

    #[test]
    fn the_first_byte_alone_condemns_a_frame() {
        for first in 0..=255_u8 {
            let control = first & 8 != 0;
            let expected = if first & 0x70 != 0 {
                Err(Violation::ReservedBits)
            } else if !matches!(first & 15, 0..=2 | 8..=10) {
                Err(Violation::ReservedOpcode(first & 15))
            } else if control && first & 0x80 == 0 {
                Err(Violation::ControlFragmented)
            } else {
                Ok(None)
            };
            assert_eq!(parse(&[first]), expected, "{first:#x}");
        }
    }

    #[test]
    fn the_second_byte_condemns_a_missing_mask_and_a_long_control_frame() {
        assert_eq!(parse(&[0x81, 5]), Err(Violation::Unmasked));
        assert_eq!(parse(&[0x89, 0x80 | 126]), Err(Violation::ControlTooLong));
        assert_eq!(parse(&[0x88, 0x80 | 127]), Err(Violation::ControlTooLong));
        assert_eq!(parse(&[0x89, 0x80 | 125]), Ok(None));
    }

    #[test]
    fn lengths_must_be_in_their_shortest_form() {
        assert_eq!(parse(&[0x82, 0xfe, 0, 125]), Err(Violation::LengthNotMinimal));
        assert_eq!(parse(&[0x82, 0xff, 0, 0, 0, 0, 0, 0]), Err(Violation::LengthNotMinimal));
        assert_eq!(
            parse(&text(&[0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff])),
            Err(Violation::LengthNotMinimal)
        );
        assert_eq!(parse(&[0x82, 0xff, 0x80]), Err(Violation::LengthTooLarge));
    }

    #[test]
    fn the_compression_bit_needs_the_extension_and_a_first_data_frame() {
        assert_eq!(parse(&[0xc1]), Err(Violation::ReservedBits));
        assert_eq!(parse_client_header(&[0xc1], true), Ok(None));
        assert_eq!(parse_client_header(&[0x42], true), Ok(None));
        assert_eq!(parse_client_header(&[0xc0], true), Err(Violation::ReservedBits));
        assert_eq!(parse_client_header(&[0xc9], true), Err(Violation::ReservedBits));
        assert_eq!(parse_client_header(&[0xa1], true), Err(Violation::ReservedBits));
        let header = parse_client_header(&[0xc1, 0x80, 1, 2, 3, 4], true).unwrap().unwrap();
        assert!(header.rsv1 && header.fin);
    }

    #[test]
    fn server_headers_are_unmasked_and_minimal() {
        let cases: [(usize, &[u8]); 6] = [
            (0, &[0x82, 0]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (65_535, &[0x82, 126, 0xff, 0xff]),
            (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
            (0x1234_5678, &[0x82, 127, 0, 0, 0, 0, 0x12, 0x34, 0x56, 0x78]),
        ];
        for (payload_len, expected) in cases {
            let (header, len) = encode_server_header(true, Opcode::Binary, payload_len);
            assert_eq!(&header[..len], expected);
            assert_eq!(server_header_len(payload_len), len);
            assert_eq!(server_frame_len(&header[..len]), len + payload_len);
        }
        assert_eq!(encode_server_header(false, Opcode::Continuation, 1).0[..2], [0, 1]);
    }

    #[test]
    fn only_whole_messages_may_be_dropped() {
        let droppable: Vec<u8> = (0..=255)
            .filter(|&first| server_frame_is_droppable(first) && first & 0x70 == 0)
            .collect();
        assert_eq!(droppable, [0x81, 0x82]);
    }
}
