//! Q5_K: nibbles and scales as Q4_K has them, and a fifth bit, on cores with and without SDOT.
//!
//! The fifth bit is stored flipped: then it is the sign of `q - 16`, and a comparison makes the upper half of the byte from it.
//! `16 s sum(x)` follows at the end, from the sums of the activations.

use core::arch::aarch64::*;
use core::arch::asm;

use super::super::format::WeightFormat;
use super::dot;
use super::k_quants::{Block, Q4K, SUMS, SUMS_BY_8, Sums, times_sums};
use super::vectors::{load, quads};

/// Where the high bits are in a block of eight rows, and where the nibbles.
const HIGH: usize = 128;
const LOW: usize = 384;

/// `d s q - dmin m` on cores without SDOT.
pub(super) struct Q5K(Q4K);

/// Rows in the order in which a part has them: TRN1 and TRN2 double the scales of every second one, where ZIP takes three times as long
/// on a Cortex-A72.
const ORDER: [usize; 8] = [0, 2, 4, 6, 1, 3, 5, 7];

/// Weights of a part, and its scales, twice for each row, both in [`ORDER`].
pub(super) struct Part {
    weights: [[int8x16_t; 2]; 8],
    scales: [int16x8_t; 2],
}

impl Block for Q5K {
    const FORMAT: WeightFormat = WeightFormat::Q5K;
    type Part = Part;

    #[inline(always)]
    unsafe fn header(block: *const u8) -> Self {
        // SAFETY: the caller's promise; scales and minima lie as in a block of Q4_K.
        Self(unsafe { Q4K::header(block) })
    }

    #[inline(always)]
    unsafe fn part(&self, block: *const u8, part: usize) -> Part {
        // SAFETY: 128 bytes of high bits for the first 16 weights of every part, as many for the others, then 128 bytes of nibbles
        // for each of 8 parts: 1408 bytes in all; NEON is always there.
        unsafe {
            let low = block.add(LOW + 128 * part);
            let mut weights = [[vdupq_n_s8(0); 2]; 8];
            let mut index = 0;
            while index < 8 {
                let row = ORDER[index];
                let high = [load(block, HIGH + 16 * row), load(block, HIGH + 128 + 16 * row)];
                weights[index] = five_bits(load(low, 16 * row), high, part);
                index += 1;
            }
            let scales = self.0.part_scales[part];
            Part { weights, scales: [vtrn1q_s16(scales, scales), vtrn2q_s16(scales, scales)] }
        }
    }

    #[inline(always)]
    unsafe fn add_part(weights: &Part, part: usize, sums: Sums, x: *const u8) -> Sums {
        // SAFETY: the integers of part 7 lie inside a block of activations; NEON is always there.
        unsafe {
            let x = [load(x, 32 * part), load(x, 32 * part + 16)];
            // Two sums of 16 products for each row: 16 * 16 * 127 = 32512 in each.
            let (first, second) = (quads(&weights.weights, 0, x), quads(&weights.weights, 4, x));
            let [low, high] = weights.scales;
            [
                vmlal_s16(sums[0], vget_low_s16(first), vget_low_s16(low)),
                vmlal_high_s16(sums[1], first, low),
                vmlal_s16(sums[2], vget_low_s16(second), vget_low_s16(high)),
                vmlal_high_s16(sums[3], second, high),
            ]
        }
    }

    #[inline(always)]
    unsafe fn add_to(&self, outputs: [float32x4_t; 2], sums: Sums, x: *const u8) -> [float32x4_t; 2] {
        // SAFETY: a block of activations lies at `x`; NEON is always there.
        unsafe {
            let (even, odd) = (vpaddq_s32(sums[0], sums[1]), vpaddq_s32(sums[2], sums[3]));
            add_to(&self.0, outputs, [vzip1q_s32(even, odd), vzip2q_s32(even, odd)], x)
        }
    }
}

/// `d s q - dmin m` on cores with SDOT.
pub(super) struct DotQ5K(Q4K);

/// Weights and scales of a part.
pub(super) struct DotPart {
    weights: dot::Quads<8>,
    scales: [int32x4_t; 2],
}

impl Block for DotQ5K {
    const FORMAT: WeightFormat = WeightFormat::Q5K;
    type Part = DotPart;

    #[inline(always)]
    unsafe fn header(block: *const u8) -> Self {
        // SAFETY: the caller's promise; scales and minima lie as in a block of Q4_K.
        Self(unsafe { Q4K::header(block) })
    }

    #[inline(always)]
    unsafe fn part(&self, block: *const u8, part: usize) -> DotPart {
        // SAFETY: the bytes are those of `Q5K::part` in another order; NEON is always there.
        unsafe {
            let low = block.add(LOW + 128 * part);
            let mut weights = [[vdupq_n_s8(0); 2]; 8];
            let mut index = 0;
            while index < 8 {
                let high = [load(block, HIGH + 16 * index), load(block, HIGH + 128 + 16 * index)];
                let [first, second] = five_bits(load(low, 16 * index), high, part);
                weights[index / 2][index % 2] = first;
                weights[index / 2 + 4][index % 2] = second;
                index += 1;
            }
            let scales = self.0.part_scales[part];
            DotPart { weights, scales: [vmovl_s16(vget_low_s16(scales)), vmovl_high_s16(scales)] }
        }
    }

    #[inline(always)]
    unsafe fn add_part(weights: &DotPart, part: usize, sums: Sums, x: *const u8) -> Sums {
        // SAFETY: the integers of part 7 lie inside a block of activations; NEON is always there.
        unsafe {
            let products = dot::sums_of_32(&weights.weights, [load(x, 32 * part), load(x, 32 * part + 16)]);
            let low = vmlaq_s32(sums[0], products[0], weights.scales[0]);
            let high = vmlaq_s32(sums[1], products[1], weights.scales[1]);
            [low, high, sums[2], sums[3]]
        }
    }

    #[inline(always)]
    unsafe fn add_to(&self, outputs: [float32x4_t; 2], sums: Sums, x: *const u8) -> [float32x4_t; 2] {
        // SAFETY: a block of activations lies at `x`; NEON is always there.
        unsafe { add_to(&self.0, outputs, [sums[0], sums[1]], x) }
    }
}

/// 16 low nibbles with `high[0]` and 16 high ones with `high[1]`: of each byte there, bit `part`, flipped, is the sign.
#[inline]
#[target_feature(enable = "neon")]
fn five_bits(nibbles: int8x16_t, high: [int8x16_t; 2], part: usize) -> [int8x16_t; 2] {
    let bit = vdupq_n_s8(1_i8.wrapping_shl(part as u32));
    // A comparison gives all bits or none; the insertions leave four of them above the nibble.
    let [first, second] = high.map(|high| vreinterpretq_s8_u8(vtstq_s8(high, bit)));
    below(first, second, nibbles)
}

/// The low nibbles below the upper halves of `first`, the high ones below those of `second`: SLI and SRI. Both at once, so that the
/// nibbles are overwritten after they were read and not copied.
#[inline]
#[target_feature(enable = "neon")]
fn below(first: int8x16_t, second: int8x16_t, nibbles: int8x16_t) -> [int8x16_t; 2] {
    let (mut low, mut high) = (nibbles, second);
    // SAFETY: the instructions read and write the named registers alone.
    unsafe {
        asm!("sri {high:v}.16b, {low:v}.16b, #4", "sli {low:v}.16b, {first:v}.16b, #4", low = inout(vreg) low,
            high = inout(vreg) high, first = in(vreg) first, options(pure, nomem, nostack, preserves_flags));
    }
    [low, high]
}

/// The outputs with the sums of `s (q - 16) x` and what they lack added.
///
/// # Safety
/// A block of activations lies at `x`; NEON is there.
#[inline(always)]
unsafe fn add_to(header: &Q4K, outputs: [float32x4_t; 2], sums: [int32x4_t; 2], x: *const u8) -> [float32x4_t; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let (sums_of_x, sums_by_8) = (load(x, SUMS), load(x, SUMS_BY_8));
        let zero = [vdupq_n_s32(0); 2];
        let offsets = times_sums(zero, &header.part_scales, vreinterpretq_s16_s8(sums_by_8));
        let minima = times_sums(zero, &header.part_minima, vreinterpretq_s16_s8(sums_of_x));
        let products =
            [vaddq_s32(sums[0], vshlq_n_s32::<1>(offsets[0])), vaddq_s32(sums[1], vshlq_n_s32::<1>(offsets[1]))];
        header.add_products(outputs, products, minima, x)
    }
}
