//! The bits of a block of Q6_K as the kernels want them, and back.

/// Four sub-blocks of 16 weights, which three vectors hold: the places of the low bits of the first one and of the one 64 behind it, of
/// the high bits of all, and of the first one's scale.
struct Four {
    low: usize,
    high: usize,
    scale: usize,
}

/// The four sub-blocks that begin with weight 0, 16, 128 and 144.
const FOURS: [Four; 4] = [
    Four { low: 0, high: 128, scale: 192 },
    Four { low: 16, high: 144, scale: 193 },
    Four { low: 64, high: 160, scale: 200 },
    Four { low: 80, high: 176, scale: 201 },
];
/// The scales of the four sub-blocks behind the first one's. The weights are 0, 64, 32 and 96 behind.
const SCALES: [usize; 4] = [0, 4, 2, 6];
/// Where the scales begin in the packed block; `d` stays where it is, behind them.
const PACKED_SCALES: usize = 192;

/// Of each four sub-blocks the first three as bytes with `q - 32` in the upper six bits, and in the lower two, from the first to the
/// third, the bits of the fourth one's `q - 32`: one shift unpacks three of the four. The second and the third 4 bytes of each 16 change
/// places, see `neon::half_loop`. The scales follow in the order of the sub-blocks.
pub(super) fn pack(block: &[u8], packed: &mut [u8]) {
    let (vectors, scales) = packed.split_at_mut(PACKED_SCALES);
    for (index, four) in FOURS.iter().enumerate() {
        let part = |start: usize| block[start..].first_chunk::<16>().copied().unwrap_or_default();
        let (low, low_32, high) = (part(four.low), part(four.low + 32), part(four.high));
        let mut bytes = [[0; 16]; 3];
        for at in 0..16 {
            let (low, low_32, high) = (low[at], low_32[at], high[at]);
            // Two's complement: the flipped top bit is the sign of `q - 32`.
            let fourth = (low_32 >> 4 | high >> 6 << 4) ^ 32;
            bytes[0][at] = ((low & 0xF | high << 4) ^ 32) << 2 | fourth >> 4;
            bytes[1][at] = ((low >> 4 | high >> 4 << 4) ^ 32) << 2 | fourth >> 2 & 3;
            bytes[2][at] = ((low_32 & 0xF | high >> 2 << 4) ^ 32) << 2 | fourth & 3;
        }
        for (vector, bytes) in vectors[48 * index..].chunks_exact_mut(16).zip(bytes) {
            vector.copy_from_slice(&swapped(bytes));
        }
        for (to, from) in scales[4 * index..].iter_mut().zip(SCALES) {
            *to = block[four.scale + from];
        }
    }
}

/// The inverse of [`pack`].
pub(super) fn unpack(packed: &[u8], block: &mut [u8]) {
    for (index, four) in FOURS.iter().enumerate() {
        let part = |start: usize| swapped(packed[start..].first_chunk::<16>().copied().unwrap_or_default());
        let vectors = [0, 16, 32].map(|vector| part(48 * index + vector));
        for at in 0..16 {
            let [first, second, third] = vectors.map(|vector| vector[at]);
            let fourth = ((first & 3) << 4 | (second & 3) << 2 | third & 3) ^ 32;
            let [first, second, third] = [first, second, third].map(|byte| byte >> 2 ^ 32);
            block[four.low + at] = first & 0xF | second << 4;
            block[four.low + 32 + at] = third & 0xF | fourth << 4;
            block[four.high + at] = first >> 4 | third >> 4 << 2 | second >> 4 << 4 | fourth >> 4 << 6;
        }
        for (from, to) in packed[PACKED_SCALES + 4 * index..].iter().zip(SCALES) {
            block[four.scale + to] = *from;
        }
    }
}

/// The second and the third 4 bytes in each other's place.
fn swapped(bytes: [u8; 16]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
    [a, b, c, d, i, j, k, l, e, f, g, h, m, n, o, p]
}
