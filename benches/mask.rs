//! Unmasking of payloads: every byte that a client sends goes through this.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wspoll::protocol::mask;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + 3) as u8).collect()
}

/// The definition of RFC 6455 §5.3, by which the results are checked.
fn by_definition(data: &[u8], key: [u8; 4]) -> Vec<u8> {
    data.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}

/// Bytes per payload, payloads per round. Short ones come many in a read; 5 and 125 are no multiple of a word.
const SHAPES: [(usize, usize); 5] = [(5, 32), (32, 32), (125, 32), (1024, 16), (64 * 1024, 1)];

fn mask(c: &mut Criterion) {
    let mut group = c.benchmark_group("mask");
    for (len, count) in SHAPES {
        let plain = payload(len).repeat(count);
        let masked = by_definition(&payload(len), KEY).repeat(count);
        let mut data = plain.clone();
        let mut rounds = 0_u64;
        group.throughput(Throughput::Bytes(plain.len() as u64));
        group.bench_function(format!("{len} x {count}"), |b| {
            b.iter(|| {
                rounds += 1;
                for payload in black_box(&mut data).chunks_exact_mut(len) {
                    mask::apply(payload, black_box(KEY));
                }
            });
        });
        // Masking twice is masking not at all.
        let expected = if rounds.is_multiple_of(2) { &plain } else { &masked };
        assert_eq!(&data, expected, "{len} bytes");
    }
    group.finish();
}

criterion_group!(benches, mask);
criterion_main!(benches);
