//! One frame on the wire (RFC 6455 §5.2), as a client may send it, rightly or wrongly.

use std::fmt;

pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xa;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// How the length is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LengthForm {
    Shortest,
    In16Bits,
    In64Bits,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// FIN, the three reserved bits, and the opcode.
    pub first: u8,
    pub payload: Vec<u8>,
    masked: bool,
    form: LengthForm,
    /// What the header claims, where that is not the payload's length.
    claimed: Option<u64>,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame {:#04x} {}", self.first, show(&self.payload))
    }
}

/// The beginning of some bytes and how many they are: a failure may be about megabytes.
pub fn show(bytes: &[u8]) -> String {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]);
    format!("{start:?} ({} bytes)", bytes.len())
}

impl Frame {
    pub fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Frame {
        Frame {
            first: FIN | opcode,
            payload: payload.as_ref().to_vec(),
            masked: true,
            form: LengthForm::Shortest,
            claimed: None,
        }
    }

    pub fn text(payload: impl AsRef<[u8]>) -> Frame {
        Frame::new(TEXT, payload)
    }

    pub fn binary(payload: impl AsRef<[u8]>) -> Frame {
        Frame::new(BINARY, payload)
    }

    pub fn continuation(payload: impl AsRef<[u8]>) -> Frame {
        Frame::new(CONTINUATION, payload)
    }

    pub fn ping(payload: impl AsRef<[u8]>) -> Frame {
        Frame::new(PING, payload)
    }

    pub fn pong(payload: impl AsRef<[u8]>) -> Frame {
        Frame::new(PONG, payload)
    }

    pub fn close(code: u16, reason: &str) -> Frame {
        Frame::new(CLOSE, [&code.to_be_bytes()[..], reason.as_bytes()].concat())
    }

    pub fn close_without_code() -> Frame {
        Frame::new(CLOSE, "")
    }

    /// More fragments follow.
    pub fn more(mut self) -> Frame {
        self.first &= !FIN;
        self
    }

    /// With reserved bits (`0x40`, `0x20`, `0x10`).
    pub fn reserved(mut self, bits: u8) -> Frame {
        self.first |= bits;
        self
    }

    pub fn unmasked(mut self) -> Frame {
        self.masked = false;
        self
    }

    /// The length in 16 bits, whether it needs them or not.
    pub fn length_in_16_bits(mut self) -> Frame {
        self.form = LengthForm::In16Bits;
        self
    }

    /// The length in 64 bits, whether it needs them or not.
    pub fn length_in_64_bits(mut self) -> Frame {
        self.form = LengthForm::In64Bits;
        self
    }

    /// The header claims `length`, whatever the payload is.
    pub fn claiming(mut self, length: u64) -> Frame {
        self.claimed = Some(length);
        self
    }

    pub fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    pub fn is_final(&self) -> bool {
        self.first & FIN != 0
    }

    /// The code and reason of a close frame; 1005 where it holds none.
    pub fn close_code(&self) -> (u16, &[u8]) {
        assert_eq!(self.opcode(), CLOSE, "a close frame, not {self:?}");
        match self.payload.split_first_chunk::<2>() {
            Some((code, reason)) => (u16::from_be_bytes(*code), reason),
            None => (1005, &[]),
        }
    }

    /// The frame as it goes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let length = self.claimed.unwrap_or(self.payload.len() as u64);
        let mask_bit = if self.masked { MASKED } else { 0 };
        let mut bytes = vec![self.first];
        match (self.form, length) {
            (LengthForm::Shortest, 0..=125) => bytes.push(mask_bit | length as u8),
            (LengthForm::In16Bits, _) | (LengthForm::Shortest, 126..=0xffff) => {
                bytes.push(mask_bit | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(mask_bit | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        if self.masked {
            bytes.extend(MASK);
            bytes
                .extend(self.payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
        } else {
            bytes.extend(&self.payload);
        }
        bytes
    }

    /// Takes a whole server frame off the front of `bytes`.
    ///
    /// # Panics
    ///
    /// When the frame breaks a rule that holds for every frame of a server (RFC 6455 §5.1, §5.2, §5.5).
    pub fn parse(bytes: &mut Vec<u8>) -> Option<Frame> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        assert_eq!(second & MASKED, 0, "a server must not mask");
        assert_eq!(first & 0x70, 0, "no reserved bit was negotiated");
        let (header, length) = match second {
            126 => {
                let length = u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap());
                assert!(length > 125, "the length {length} is not in its shortest form");
                (4, length as usize)
            }
            127 => {
                let length = u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap());
                assert!(length > 0xffff, "the length {length} is not in its shortest form");
                (10, length as usize)
            }
            length => (2, length as usize),
        };
        let opcode = first & 0x0f;
        assert!(matches!(opcode, 0..=2 | 8..=10), "opcode {opcode:#x} is reserved");
        if opcode >= CLOSE {
            assert!(first & FIN != 0 && length <= 125, "a control frame is short and whole");
        }
        let payload = bytes.get(header..header + length)?.to_vec();
        bytes.drain(..header + length);
        Some(Frame { first, payload, masked: false, form: LengthForm::Shortest, claimed: None })
    }
}
