//! Q6_K on cores without SDOT.

use core::arch::aarch64::*;

use super::super::format::WeightFormat;
use super::half_loop::with_half_parts;
use super::k_quants::{Block, Sums, fetch_part_ahead, scaled};
use super::six_bit_pair::add_pair;
use super::vectors::{add_scaled, insert_left, load, scales};

/// Where the scales of the parts are in a block of eight rows: behind `d`.
pub(super) const SCALES: usize = 16;

/// `d s (q - 32)`.
pub(super) struct Q6K {
    pub(super) scales: [float32x4_t; 2],
}

/// Two times 16 signed weights of each row, two rows in a vector (see [`super::half_loop`]), and their scales, those twice for each row.
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
            let start = vectors_of(block, part / 2);
            let mut weights = [[vdupq_n_s8(0); 2]; 8];
            let mut index = 0;
            while index < 8 {
                let [first, second, third, fourth] = six_bits(start.add(16 * index));
                weights[index] = if part.is_multiple_of(2) { [first, second] } else { [third, fourth] };
                index += 1;
            }
            Q6KPart { weights, scales: scales_of(block, part) }
        }
    }

    #[inline(always)]
    unsafe fn all_parts<const FETCHES: bool>(&self, block: *const u8, x: *const u8) -> Sums {
        // SAFETY: NEON is always there; nothing but registers is touched.
        let mut sums = unsafe { [vdupq_n_s32(0); 4] };
        // Two parts at once, which share bytes.
        for pair in 0..4 {
            if FETCHES {
                fetch_part_ahead::<Self>(block, 2 * pair);
                fetch_part_ahead::<Self>(block, 2 * pair + 1);
            }
            // SAFETY: there are 4 pairs; the integers of the last one end with the block of activations; NEON is always there.
            sums = unsafe {
                let (weights, scales) = (vectors_of(block, pair), block.add(SCALES + 32 * pair));
                add_pair(sums, weights, scales, x.add(six_bit_start(2 * pair)))
            };
        }
        sums
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
        let mut tile = [sums];
        // SAFETY: the caller's promise: a block for the one token.
        unsafe { Self::each_token(weights, part, x, &mut tile) };
        tile[0]
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

/// Where the bits of two parts are: three times 16 bytes of each row, 128 bytes apart.
pub(super) const fn vectors_of(block: *const u8, pair: usize) -> *const u8 {
    block.wrapping_add(144 + 384 * pair)
}

/// The scales of the two sub-blocks of a part, twice for each row.
///
/// # Safety
/// A group's block lies at `block`, a multiple of 16; `part` is one of its parts; NEON is there.
#[inline(always)]
unsafe fn scales_of(block: *const u8, part: usize) -> [[int16x8_t; 2]; 2] {
    // SAFETY: 16 bytes of scales for each part from byte 16 on: two of each row.
    unsafe {
        let scales = load(block, SCALES + 16 * part);
        let twice = [vtrn1q_s8(scales, scales), vtrn2q_s8(scales, scales)];
        twice.map(|twice| [vmovl_s8(vget_low_s8(twice)), vmovl_high_s8(twice)])
    }
}

/// Where the activations of a part are; those of its second half are 64 further.
///
/// Parts 2n and 2n + 1 have the weights from 128 (n / 2) + 16 (n mod 2) on, the second one 32 further.
pub(super) const fn six_bit_start(part: usize) -> usize {
    128 * (part / 4) + 16 * (part / 2 % 2) + 32 * (part % 2)
}

/// Four times 16 weights from three vectors, as `kernels::six_bits::pack` makes them.
///
/// # Safety
/// `start` is a multiple of 16, and 16 bytes lie there, 128 and 256 further.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn six_bits(start: *const u8) -> [int8x16_t; 4] {
    // SAFETY: the caller's promise.
    let [first, second, third] = unsafe { [load(start, 0), load(start, 128), load(start, 256)] };
    let fourth = four_times_fourth([first, second, third]);
    [vshrq_n_s8::<2>(first), vshrq_n_s8::<2>(second), vshrq_n_s8::<2>(third), vshrq_n_s8::<2>(fourth)]
}

/// Four times the weights whose bits are the lower two of each byte of three vectors.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn four_times_fourth([first, second, third]: [int8x16_t; 3]) -> int8x16_t {
    insert_left::<6>(insert_left::<4>(vshlq_n_s8::<2>(third), second), first)
}
