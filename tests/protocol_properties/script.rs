//! Streams of frames, and what they mean.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;
use proptest::sample::Index;
use wspoll::protocol::close::encode_close;
use wspoll::protocol::frame::Opcode;

/// Above all messages made here, so that only mutated lengths exceed it.
pub(crate) const MAX_MESSAGE: usize = 1 << 17;

/// What a decoder reports, owned, for both decoders.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl Seen {
    fn payload(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.clone().into_bytes(),
            Self::Binary(bytes) | Self::Ping(bytes) | Self::Pong(bytes) => bytes.clone(),
            Self::Close(None) => Vec::new(),
            Self::Close(Some((code, reason))) => {
                let mut out = [0; 125];
                let len = encode_close(&mut out, Some(*code), reason);
                out[..len].to_vec()
            }
        }
    }

    fn opcode(&self) -> Opcode {
        match self {
            Self::Text(_) => Opcode::Text,
            Self::Binary(_) => Opcode::Binary,
            Self::Ping(_) => Opcode::Ping,
            Self::Pong(_) => Opcode::Pong,
            Self::Close(_) => Opcode::Close,
        }
    }
}

/// One frame before it is encoded.
pub(crate) type Plain = (bool, Opcode, Vec<u8>);

/// A stream of valid frames and what it means.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) frames: Vec<Plain>,
    pub(crate) meaning: Vec<Seen>,
}

fn bytes_of_interesting_length() -> impl Strategy<Value = Vec<u8>> {
    let boundary = prop_oneof![124..128_usize, 65_534..65_538_usize, Just(70_000_usize)];
    prop_oneof![
        8 => vec(any::<u8>(), 0..300),
        1 => (boundary, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ]
}

fn data() -> impl Strategy<Value = Seen> {
    prop_oneof![
        bytes_of_interesting_length().prop_map(Seen::Binary),
        vec(any::<char>(), 0..120).prop_map(|text| Seen::Text(text.into_iter().collect())),
    ]
}

fn control() -> impl Strategy<Value = Seen> {
    let payload = || vec(any::<u8>(), 0..=125);
    prop_oneof![payload().prop_map(Seen::Ping), payload().prop_map(Seen::Pong)]
}

fn close() -> impl Strategy<Value = Seen> {
    // Not 1014, which tungstenite does not know.
    let code = prop_oneof![1000..=1003_u16, 1007..=1013_u16, 3000..=4999_u16];
    let reason = vec(any::<char>(), 0..30).prop_map(|text| text.into_iter().collect::<String>());
    proptest::option::of((code, reason)).prop_map(Seen::Close)
}

/// Messages in fragments, with control frames in between, and perhaps a close frame.
pub(crate) fn script() -> impl Strategy<Value = Script> {
    let message = (data(), vec(any::<Index>(), 0..4), vec(control(), 0..4));
    (vec(message, 0..5), proptest::option::of(close())).prop_map(|(messages, close)| {
        let mut script = Script { frames: Vec::new(), meaning: Vec::new() };
        for (message, cuts, controls) in messages {
            let payload = message.payload();
            let mut cuts: Vec<usize> =
                cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
            cuts.sort_unstable();
            let mut controls = controls.into_iter();
            let mut start = 0;
            for (at, cut) in cuts.into_iter().chain([payload.len()]).enumerate() {
                let opcode = if at == 0 { message.opcode() } else { Opcode::Continuation };
                script.frames.push((false, opcode, payload[start..cut].to_vec()));
                start = cut;
                // The last fragment is set right below, whatever follows it.
                if cut < payload.len() {
                    let control = controls.next();
                    script.frames.extend(control.iter().map(|c| (true, c.opcode(), c.payload())));
                    script.meaning.extend(control);
                }
            }
            if let Some(last) = script.frames.iter_mut().rev().find(|frame| !frame.1.is_control()) {
                last.0 = true;
            }
            script.meaning.push(message);
            let rest: Vec<Seen> = controls.collect();
            script.frames.extend(rest.iter().map(|c| (true, c.opcode(), c.payload())));
            script.meaning.extend(rest);
        }
        script.frames.extend(close.iter().map(|c| (true, c.opcode(), c.payload())));
        script.meaning.extend(close);
        script
    })
}

/// Sizes of the reads in which bytes arrive, repeated until all have.
pub(crate) fn chunks() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![1..8_usize, 1..400_usize, 1..100_000_usize], 1..6)
}
