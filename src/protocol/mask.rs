//! Masking of client payloads (RFC 6455 §5.3).
//!
//! Every byte a client sends passes through here, so this is plain safe Rust in a shape that LLVM turns
//! into full vector registers on any target: fixed-size chunks, no bounds checks, no byte loop.

/// XORs `data` in place with `key`, starting at the key's first byte.
#[inline]
pub fn apply(data: &mut [u8], key: [u8; 4]) {
    if data.len() >= BLOCK {
        apply_blocks(data, key);
    } else {
        apply_short(data, key);
    }
}

/// XORs in place a part of a payload that starts `offset` bytes after the payload's first byte.
#[inline]
pub fn apply_at(data: &mut [u8], key: [u8; 4], offset: usize) {
    apply(data, rotate(key, offset));
}

/// Size of the blocks that long payloads are cut into: one SSE or NEON register.
const BLOCK: usize = 16;

/// Blocks handled per round of the long loop. Four independent registers hide the latency of loads.
const UNROLLED: usize = 4 * BLOCK;

/// The key as it applies `offset` bytes further on.
#[inline]
fn rotate(key: [u8; 4], offset: usize) -> [u8; 4] {
    // One rotate instruction; little endian puts the key's first byte lowest, so "further on" is to the right.
    let bits = 8 * (offset % 4) as u32;
    u32::from_le_bytes(key).rotate_right(bits).to_le_bytes()
}

#[inline]
fn pattern64(key: [u8; 4]) -> u64 {
    let [a, b, c, d] = key;
    u64::from_ne_bytes([a, b, c, d, a, b, c, d])
}

#[inline]
fn pattern128(key: [u8; 4]) -> u128 {
    let [a, b, c, d] = key;
    u128::from_ne_bytes([a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d])
}

#[inline]
fn xor_block(block: &mut [u8; BLOCK], pattern: u128) {
    *block = (u128::from_ne_bytes(*block) ^ pattern).to_ne_bytes();
}

/// Masks 16 bytes or more.
///
/// The last block is read before the loop and written after it. It overlaps the loop's last block, but holds
/// the same result for the shared bytes, so no length needs a remainder loop.
#[inline]
fn apply_blocks(data: &mut [u8], key: [u8; 4]) {
    let pattern = pattern128(key);
    let tail_key = rotate(key, data.len() % 4);
    let tail = data.last_chunk::<BLOCK>().map(|tail| {
        let mut tail = *tail;
        xor_block(&mut tail, pattern128(tail_key));
        tail
    });

    let (rounds, rest) = data.as_chunks_mut::<UNROLLED>();
    for round in rounds {
        let (blocks, _) = round.as_chunks_mut::<BLOCK>();
        for block in blocks {
            xor_block(block, pattern);
        }
    }
    let (blocks, _) = rest.as_chunks_mut::<BLOCK>();
    for block in blocks {
        xor_block(block, pattern);
    }

    if let (Some(end), Some(tail)) = (data.last_chunk_mut::<BLOCK>(), tail) {
        *end = tail;
    }
}

/// Masks fewer than 16 bytes, with the same overlap of head and tail as [`apply_blocks`].
#[inline]
fn apply_short(data: &mut [u8], key: [u8; 4]) {
    let tail_key = rotate(key, data.len() % 4);
    if let (Some(&head), Some(&tail)) = (data.first_chunk::<8>(), data.last_chunk::<8>()) {
        let head = u64::from_ne_bytes(head) ^ pattern64(key);
        let tail = u64::from_ne_bytes(tail) ^ pattern64(tail_key);
        put_first(data, head.to_ne_bytes());
        put_last(data, tail.to_ne_bytes());
    } else if let (Some(&head), Some(&tail)) = (data.first_chunk::<4>(), data.last_chunk::<4>()) {
        let head = u32::from_ne_bytes(head) ^ u32::from_ne_bytes(key);
        let tail = u32::from_ne_bytes(tail) ^ u32::from_ne_bytes(tail_key);
        put_first(data, head.to_ne_bytes());
        put_last(data, tail.to_ne_bytes());
    } else {
        for (byte, key) in data.iter_mut().zip(key) {
            *byte ^= key;
        }
    }
}

#[inline]
fn put_first<const N: usize>(data: &mut [u8], bytes: [u8; N]) {
    if let Some(first) = data.first_chunk_mut::<N>() {
        *first = bytes;
    }
}

#[inline]
fn put_last<const N: usize>(data: &mut [u8], bytes: [u8; N]) {
    if let Some(last) = data.last_chunk_mut::<N>() {
        *last = bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::{apply, apply_at};

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn naive(data: &[u8], key: [u8; 4], offset: usize) -> Vec<u8> {
        let masked = data.iter().enumerate();
        masked.map(|(at, byte)| byte ^ key[(at + offset) % 4]).collect()
    }

    fn sample(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at * 7 + 3) as u8).collect()
    }

    #[test]
    fn agrees_with_the_definition_at_every_length_and_offset() {
        for len in 0..300 {
            for offset in 0..8 {
                let mut data = sample(len);
                apply_at(&mut data, KEY, offset);
                assert_eq!(data, naive(&sample(len), KEY, offset), "{len} bytes at {offset}");
            }
        }
    }

    #[test]
    fn touches_only_its_slice() {
        let mut data = sample(300);
        apply(&mut data[7..207], KEY);
        assert_eq!(data[..7], sample(300)[..7]);
        assert_eq!(data[207..], sample(300)[207..]);
    }

    #[test]
    fn a_payload_in_pieces_equals_the_whole() {
        for cut in 0..100 {
            let mut data = sample(100);
            let (head, tail) = data.split_at_mut(cut);
            apply(head, KEY);
            apply_at(tail, KEY, cut);
            assert_eq!(data, naive(&sample(100), KEY, 0), "cut at {cut}");
        }
    }

    #[test]
    fn unmasks_the_example_of_the_rfc() {
        // RFC 6455 §5.7: a single-frame masked text message.
        let mut data = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        apply(&mut data, KEY);
        assert_eq!(&data, b"Hello");
    }
}
