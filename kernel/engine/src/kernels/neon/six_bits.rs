//! Q6_K on cores without SDOT.

use core::arch::aarch64::*;

use super::super::format::WeightFormat;
use super::half_loop::with_half_parts;
use super::k_quants::{Block, Sums, scaled};
use super::vectors::{add_scaled, half_sums_of_16, insert_left, insert_right, load, scales};

/// `d s (q - 32)`.
pub(super) struct Q6K {
    pub(super) scales: [float32x4_t; 2],
}

/// Two times 16 signed weights and their scales, those twice for each row.
pub(super) struct Q6KPart {
    weights: [[int8x16_t; 2]; 8],
    scales: [[int16x8_t; 2]; 2],
}

impl Block for Q6K {
    const FORMAT: WeightFormat = WeightFormat::Q6K;
    type Part = Q6KPart;

    #[inline(always)]
    unsafe fn header(block: *const u8) -> Self {
        // SAFETY: the block begins with 8 scales of 2 bytes; NEON is always there.
        unsafe { Self { scales: scales(block, 0) } }
    }

    #[inline(always)]
    unsafe fn part(&self, block: *const u8, part: usize) -> Q6KPart {
        // SAFETY: the caller's promise; NEON is always there.
        unsafe {
            let Place { high, low, scales } = place(block, part);
            let weights =
                if part.is_multiple_of(2) { six_bits::<6, 2>(high, low) } else { six_bits::<4, 0>(high, low) };
            let (first, second) = (vzip1q_s8(scales, scales), vzip2q_s8(scales, scales));
            let scales = [first, second].map(|twice| [vmovl_s8(vget_low_s8(twice)), vmovl_high_s8(twice)]);
            Q6KPart { weights, scales }
        }
    }

    #[inline(always)]
    unsafe fn each_token(weights: &Q6KPart, part: usize, x: *const u8, tile: &mut [Sums]) {
        if !tile.is_empty() {
            let Q6KPart { weights, scales } = weights;
            // SAFETY: the caller's promise: a block for each token, whose integers end 80 behind the start of the last part at the latest.
            unsafe { with_half_parts(weights, scales, x.add(six_bit_start(part)), tile.as_mut_ptr(), tile.len()) };
        }
    }

    #[inline(always)]
    unsafe fn add_part(weights: &Q6KPart, part: usize, sums: Sums, x: *const u8) -> Sums {
        let start = six_bit_start(part);
        let mut sums = sums;
        let mut half = 0;
        while half < 2 {
            let row = |row: usize| weights.weights[row][half];
            let scales = weights.scales[half];
            // SAFETY: at most 16 integers from 240 on; NEON is always there.
            unsafe {
                let x = load(x, start + 64 * half);
                let first = half_sums_of_16([row(0), row(1), row(2), row(3)], x);
                let second = half_sums_of_16([row(4), row(5), row(6), row(7)], x);
                sums = [
                    vmlal_s16(sums[0], vget_low_s16(first), vget_low_s16(scales[0])),
                    vmlal_high_s16(sums[1], first, scales[0]),
                    vmlal_s16(sums[2], vget_low_s16(second), vget_low_s16(scales[1])),
                    vmlal_high_s16(sums[3], second, scales[1]),
                ];
            }
            half += 1;
        }
        sums
    }

    #[inline(always)]
    unsafe fn add_to(&self, outputs: [float32x4_t; 2], sums: Sums, x: *const u8) -> [float32x4_t; 2] {
        // SAFETY: a block of activations lies at `x`; NEON is always there.
        unsafe {
            let products = [vpaddq_s32(sums[0], sums[1]), vpaddq_s32(sums[2], sums[3])];
            add_scaled(outputs, scaled(self.scales, x), products.map(|four| vcvtq_f32_s32(four)))
        }
    }
}

/// A part of a block.
pub(super) struct Place {
    /// 128 bytes of high bits, which belong to two parts.
    pub(super) high: *const u8,
    /// 128 bytes of low bits.
    pub(super) low: *const u8,
    pub(super) scales: int8x16_t,
}

/// Where the bits of a part are, and its scales.
///
/// # Safety
/// A group's block lies at `block`, a multiple of 16; `part` is one of its parts; NEON is there.
#[inline(always)]
pub(super) unsafe fn place(block: *const u8, part: usize) -> Place {
    // SAFETY: 16 bytes of scales for each part from byte 16 on; then for two parts each 128 bytes of high bits and two times
    // 128 bytes of low bits, 1680 bytes in all.
    unsafe {
        let high = block.add(144 + 384 * (part / 2));
        Place { high, low: high.add(128 + 128 * (part % 2)), scales: load(block, 16 + 16 * part) }
    }
}

/// Where the activations of a part are; those of its second half are 64 further.
///
/// Parts 2n and 2n + 1 have the weights from 128 (n / 2) + 16 (n mod 2) on, the second one 32 further.
pub(super) const fn six_bit_start(part: usize) -> usize {
    128 * (part / 4) + 16 * (part / 2 % 2) + 32 * (part % 2)
}

/// 32 signed weights of each of eight rows, from 16 bytes of low bits each and two of the four pairs of bits in 16 bytes of
/// high bits: the pair that is `FIRST` bits below the top for the low nibbles, the one `SECOND` below for the high nibbles.
///
/// # Safety
/// `high` and `low` are multiples of 16, and 128 bytes lie at each.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn six_bits<const FIRST: i32, const SECOND: i32>(high: *const u8, low: *const u8) -> [[int8x16_t; 2]; 8] {
    let mut weights = [[vdupq_n_s8(0); 2]; 8];
    let mut row = 0;
    while row < 8 {
        // SAFETY: row 7 ends at byte 128.
        let (high, low) = unsafe { (load(high, 16 * row), load(low, 16 * row)) };
        let first = if FIRST == 6 {
            insert_left::<6>(vshlq_n_s8::<2>(low), high)
        } else {
            insert_right::<2>(vshlq_n_s8::<FIRST>(high), vshlq_n_s8::<4>(low))
        };
        let second = insert_right::<2>(vshlq_n_s8::<SECOND>(high), low);
        weights[row] = [vshrq_n_s8::<2>(first), vshrq_n_s8::<2>(second)];
        row += 1;
    }
    weights
}
