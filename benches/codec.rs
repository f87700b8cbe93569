//! Reading and writing of frames, without sockets.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wspoll::protocol::frame::{FrameHeader, Opcode, encode_server_header, parse_client_header};
use wspoll::protocol::message::{Decoder, Item, Message, Rules, Spares};
use wspoll::protocol::utf8::Utf8Validator;

/// Leaves payloads as they are, so that unmasking in place gives every round the same input at the same cost.
const KEY: [u8; 4] = [0; 4];

const RULES: Rules = Rules { max_message_size: 1 << 20, stream_fragments: false };

/// The shapes of load that DESIGN.md names: bytes per message, messages per read.
const SHAPES: [(usize, usize); 3] = [(32, 32), (1024, 16), (64 * 1024, 1)];

/// A masked final frame.
fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let (mut header, len) = encode_server_header(true, opcode, payload.len());
    header[1] |= 0x80;
    [&header[..len], &KEY, payload].concat()
}

fn text(len: usize) -> Vec<u8> {
    let words = "Grüße, κόσμε, and some plain words in between. ";
    // Padded, since a cut may fall into a character.
    let mut text: String = words.chars().cycle().take(len / 2).collect();
    text.extend(std::iter::repeat_n('x', len - text.len()));
    text.into_bytes()
}

fn header(c: &mut Criterion) {
    let mut group = c.benchmark_group("header");
    for (len, header_len) in [(32, 6), (1024, 8), (64 * 1024, 14)] {
        let bytes = frame(Opcode::Binary, &vec![0; len]);
        let expected = FrameHeader {
            fin: true,
            rsv1: false,
            opcode: Opcode::Binary,
            key: KEY,
            payload_len: len as u64,
            header_len,
        };
        group.bench_function(format!("parse {len}"), |b| {
            b.iter(|| {
                let header = parse_client_header(black_box(&bytes), false);
                assert_eq!(header, Ok(Some(expected)));
            });
        });
        group.bench_function(format!("encode {len}"), |b| {
            b.iter(|| {
                let (header, encoded) = encode_server_header(true, Opcode::Binary, black_box(len));
                assert_eq!((encoded, header[0]), (header_len - 4, 0x82));
                header
            });
        });
    }
    group.finish();
}

/// Decodes a whole read and returns the bytes of its messages.
fn decode(decoder: &mut Decoder, input: &mut [u8], spares: &mut Spares) -> usize {
    let (mut at, mut sum) = (0, 0);
    while at < input.len() {
        let step = decoder.decode(&mut input[at..], &RULES, spares).expect("valid");
        at += step.consumed;
        sum += match step.item {
            Some(Item::Message(Message::Text(text))) => text.len(),
            Some(Item::Message(Message::Binary(bytes))) => bytes.len(),
            _ => 0,
        };
    }
    sum
}

fn decoder(c: &mut Criterion) {
    let mut group = c.benchmark_group("decode");
    for (len, count) in SHAPES {
        for (name, opcode) in [("binary", Opcode::Binary), ("text", Opcode::Text)] {
            let mut input = frame(opcode, &text(len)).repeat(count);
            let (mut decoder, mut spares) = (Decoder::default(), Spares::default());
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(format!("{name} {len} x {count}"), |b| {
                b.iter(|| {
                    let sum = decode(&mut decoder, black_box(&mut input), &mut spares);
                    assert_eq!(sum, len * count);
                });
            });
        }
    }
    group.finish();
}

/// A message that comes in many reads, as large ones do.
fn pieces(c: &mut Criterion) {
    const READ: usize = 16 * 1024;
    let len = 64 * 1024;
    let mut input = frame(Opcode::Text, &text(len));
    let (mut decoder, mut spares) = (Decoder::default(), Spares::default());
    let mut group = c.benchmark_group("pieces");
    group.throughput(Throughput::Bytes(len as u64));
    group.bench_function(format!("text {len} in reads of {READ}"), |b| {
        b.iter(|| {
            let chunks = black_box(&mut input).chunks_mut(READ);
            let sum: usize = chunks.map(|chunk| decode(&mut decoder, chunk, &mut spares)).sum();
            decoder.settle(&mut spares);
            assert_eq!(sum, len);
        });
    });
    group.finish();
}

fn utf8(c: &mut Criterion) {
    let mut group = c.benchmark_group("utf8");
    for len in [32, 1024, 64 * 1024] {
        for (name, text) in [("ascii", vec![b'a'; len]), ("mixed", text(len))] {
            group.throughput(Throughput::Bytes(len as u64));
            group.bench_function(format!("{name} {len}"), |b| {
                b.iter(|| {
                    let mut validator = Utf8Validator::default();
                    let pushed = validator.push(black_box(&text));
                    assert_eq!(pushed.and_then(|()| validator.finish()), Ok(()));
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, header, decoder, pieces, utf8);
criterion_main!(benches);
