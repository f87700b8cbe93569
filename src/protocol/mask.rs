//! Masking of client payloads (RFC 6455 §5.3).
//!
//! Every byte a client sends passes through here, so this is plain safe Rust in a shape that LLVM turns into
//! vector instructions on any target: blocks of constant size, cut into words of 64 bits. (It keeps words of
//! 128 bits in general registers, which takes twice as long.)

/// XORs `data` in place with `key`, starting at the key's first byte.
#[inline]
pub fn apply(data: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let pattern = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);

    let (blocks, rest) = data.as_chunks_mut::<128>();
    for block in blocks {
        xor(block, pattern);
    }
    // What is left takes one step per bit of its length, not a loop: most messages are short.
    let rest = step::<64>(rest, pattern);
    let rest = step::<32>(rest, pattern);
    let rest = step::<16>(rest, pattern);
    let rest = step::<8>(rest, pattern);
    let rest = match rest.split_first_chunk_mut::<4>() {
        Some((head, rest)) => {
            *head = (u32::from_ne_bytes(*head) ^ u32::from_ne_bytes(key)).to_ne_bytes();
            rest
        }
        None => rest,
    };
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// XORs in place a part of a payload that starts `offset` bytes after the payload's first byte.
#[inline]
pub fn apply_at(data: &mut [u8], key: [u8; 4], offset: usize) {
    apply(data, rotate(key, offset));
}

/// The key as it applies `offset` bytes further on.
#[inline]
fn rotate(key: [u8; 4], offset: usize) -> [u8; 4] {
    // One rotate instruction; little endian puts the key's first byte lowest, so "further on" is to the right.
    let bits = 8 * (offset % 4) as u32;
    u32::from_le_bytes(key).rotate_right(bits).to_le_bytes()
}

/// XORs the first `N` bytes, if there are that many, and returns those that are left.
///
/// `N` is a multiple of 8, so the pattern continues where it began.
#[inline]
fn step<const N: usize>(data: &mut [u8], pattern: u64) -> &mut [u8] {
    const { assert!(N.is_multiple_of(8)) };
    if data.len() < N {
        return data;
    }
    let (head, rest) = data.split_at_mut(N);
    if let Some(block) = head.first_chunk_mut::<N>() {
        xor(block, pattern);
    }
    rest
}

#[inline]
fn xor<const N: usize>(block: &mut [u8; N], pattern: u64) {
    let (words, _) = block.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ pattern).to_ne_bytes();
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
