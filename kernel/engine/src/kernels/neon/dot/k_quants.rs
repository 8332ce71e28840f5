//! Weights in blocks of 256 on cores with SDOT: Q4_K, Q6_K.

use core::arch::aarch64::*;

use super::super::super::format::WeightFormat;
use super::super::k_quants::{self, Block, SUMS, Sums, scaled, times_sums};
use super::super::six_bits::{self, Place, six_bit_start};
use super::super::vectors::{add_scaled, insert_right, load};
use super::{Quads, nibbles, sums_of_16, sums_of_32};

/// `d s q - dmin m`.
pub(in super::super) struct Q4K(k_quants::Q4K);

/// Nibbles and scales of a part.
pub(in super::super) struct Q4KPart {
    weights: Quads<8>,
    scales: [int32x4_t; 2],
}

impl Block for Q4K {
    const FORMAT: WeightFormat = WeightFormat::Q4K;
    type Part = Q4KPart;

    #[inline(always)]
    unsafe fn header(block: *const u8) -> Self {
        // SAFETY: the caller's promise; scales and minima lie as for the other cores.
        Self(unsafe { k_quants::Q4K::header(block) })
    }

    #[inline(always)]
    unsafe fn part(&self, block: *const u8, part: usize) -> Q4KPart {
        // SAFETY: part 7 ends where the block of 1152 bytes ends; NEON is always there.
        unsafe {
            let scales = self.0.part_scales[part];
            Q4KPart {
                weights: nibbles(block.add(128 + 128 * part)),
                scales: [vmovl_s16(vget_low_s16(scales)), vmovl_high_s16(scales)],
            }
        }
    }

    #[inline(always)]
    unsafe fn add_part(weights: &Q4KPart, part: usize, sums: Sums, x: *const u8) -> Sums {
        // SAFETY: the integers of part 7 lie inside a block of activations; NEON is always there.
        unsafe {
            let products = sums_of_32(&weights.weights, [load(x, 32 * part), load(x, 32 * part + 16)]);
            let low = vmlaq_s32(sums[0], products[0], weights.scales[0]);
            let high = vmlaq_s32(sums[1], products[1], weights.scales[1]);
            [low, high, sums[2], sums[3]]
        }
    }

    #[inline(always)]
    unsafe fn add_to(&self, outputs: [float32x4_t; 2], sums: Sums, x: *const u8) -> [float32x4_t; 2] {
        // SAFETY: a block of activations lies at `x`; NEON is always there.
        unsafe {
            let sums_of_x = vreinterpretq_s16_s8(load(x, SUMS));
            let minima = times_sums([vdupq_n_s32(0); 2], &self.0.part_minima, sums_of_x);
            self.0.add_products(outputs, [sums[0], sums[1]], minima, x)
        }
    }
}

/// `d s (q - 32)`. Weights are unpacked as four times their value.
pub(in super::super) struct Q6K(six_bits::Q6K);

/// Two times 16 weights of each row and their scales.
pub(in super::super) struct Q6KPart {
    weights: [Quads<4>; 2],
    scales: [[int32x4_t; 2]; 2],
}

impl Block for Q6K {
    const FORMAT: WeightFormat = WeightFormat::Q6K;
    type Part = Q6KPart;

    #[inline(always)]
    unsafe fn header(block: *const u8) -> Self {
        // SAFETY: the caller's promise; scales lie as for the other cores.
        Self(unsafe { six_bits::Q6K::header(block) })
    }

    #[inline(always)]
    unsafe fn part(&self, block: *const u8, part: usize) -> Q6KPart {
        // SAFETY: the caller's promise; NEON is always there.
        unsafe {
            let Place { high, low, scales } = six_bits::place(block, part);
            let weights =
                if part.is_multiple_of(2) { six_bits::<6, 2>(high, low) } else { six_bits::<4, 0>(high, low) };
            let scales = [vmovl_s8(vget_low_s8(scales)), vmovl_high_s8(scales)];
            let scales = scales.map(|eight| [vmovl_s16(vget_low_s16(eight)), vmovl_high_s16(eight)]);
            Q6KPart { weights, scales }
        }
    }

    #[inline(always)]
    unsafe fn add_part(weights: &Q6KPart, part: usize, sums: Sums, x: *const u8) -> Sums {
        let start = six_bit_start(part);
        // SAFETY: at most 16 integers from 240 on; NEON is always there.
        unsafe {
            let first = sums_of_16(&weights.weights[0], load(x, start));
            let second = sums_of_16(&weights.weights[1], load(x, start + 64));
            let add = |half: usize| {
                let sum = vmlaq_s32(sums[half], first[half], weights.scales[0][half]);
                vmlaq_s32(sum, second[half], weights.scales[1][half])
            };
            [add(0), add(1), sums[2], sums[3]]
        }
    }

    #[inline(always)]
    unsafe fn add_to(&self, outputs: [float32x4_t; 2], sums: Sums, x: *const u8) -> [float32x4_t; 2] {
        // SAFETY: a block of activations lies at `x`; NEON is always there.
        unsafe {
            // Sums of four times the weights are below 2^31: 256 * 128 * 128 * 127. The conversion divides by 4; what it rounds
            // is the same as without the factor.
            let products = [vcvtq_n_f32_s32::<2>(sums[0]), vcvtq_n_f32_s32::<2>(sums[1])];
            add_scaled(outputs, scaled(self.0.scales, x), products)
        }
    }
}

/// Four times 32 signed weights of each row, from 128 bytes of low bits and two of the four pairs of bits in 128 bytes of high bits:
/// the pair that is `FIRST` bits below the top for the low nibbles, the one `SECOND` below for the high nibbles.
///
/// # Safety
/// `high` and `low` are multiples of 16, and 128 bytes lie at each; NEON is there.
#[inline(always)]
unsafe fn six_bits<const FIRST: i32, const SECOND: i32>(high: *const u8, low: *const u8) -> [Quads<4>; 2] {
    // SAFETY: the last vector ends at byte 128.
    unsafe {
        let mut weights = [[[vdupq_n_s8(0); 2]; 4]; 2];
        let mut index = 0;
        while index < 8 {
            let (high, low) = (load(high, 16 * index), load(low, 16 * index));
            let high_nibbles = vandq_s8(low, vdupq_n_s8(-16));
            weights[0][index / 2][index % 2] = insert_right::<2>(vshlq_n_s8::<FIRST>(high), vshlq_n_s8::<4>(low));
            weights[1][index / 2][index % 2] = insert_right::<2>(vshlq_n_s8::<SECOND>(high), high_nibbles);
            index += 1;
        }
        weights
    }
}
