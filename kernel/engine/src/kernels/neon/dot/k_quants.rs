//! Weights in blocks of 256 on cores with SDOT: Q4_K, Q6_K.

use core::arch::aarch64::*;

use super::super::super::format::WeightFormat;
use super::super::k_quants::{self, Block, SUMS, Sums, fetch_part_ahead, scaled, times_sums};
use super::super::six_bits::{self, SCALES, four_times_fourth, six_bit_start, vectors_of};
use super::super::vectors::{add_scaled, load};
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
        // SAFETY: the caller's promise: 16 bytes of scales for each part; NEON is always there.
        unsafe {
            let start = vectors_of(block, part / 2);
            let mut weights = [[[vdupq_n_s8(0); 2]; 4]; 2];
            let mut index = 0;
            while index < 8 {
                let [first, second, third, fourth] = six_bits(start.add(16 * index));
                let [first, second] = if part.is_multiple_of(2) { [first, second] } else { [third, fourth] };
                weights[0][index / 2][index % 2] = first;
                weights[1][index / 2][index % 2] = second;
                index += 1;
            }
            let scales = load(block, SCALES + 16 * part);
            let scales = [vmovl_s8(vget_low_s8(scales)), vmovl_high_s8(scales)];
            let scales = scales.map(|eight| [vmovl_s16(vget_low_s16(eight)), vmovl_high_s16(eight)]);
            Q6KPart { weights, scales }
        }
    }

    #[inline(always)]
    unsafe fn all_parts<const FETCHES: bool>(&self, block: *const u8, x: *const u8) -> Sums {
        // SAFETY: NEON is always there; nothing but registers is touched.
        let mut sums = unsafe { [vdupq_n_s32(0); 4] };
        // By twos, so that the compiler knows which of the four sub-blocks that share bytes a part has.
        for pair in 0..4 {
            let (first, second) = (2 * pair, 2 * pair + 1);
            if FETCHES {
                fetch_part_ahead::<Self>(block, first);
                fetch_part_ahead::<Self>(block, second);
            }
            // SAFETY: the caller's promise, and there are 8 parts.
            sums = unsafe {
                let sums = Self::add_part(&self.part(block, first), first, sums, x);
                Self::add_part(&self.part(block, second), second, sums, x)
            };
        }
        sums
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

/// Four times four signed weights of each of four rows, of four sub-blocks, times 4.
///
/// # Safety
/// `start` is a multiple of 16, and 16 bytes lie there, 128 and 256 further; NEON is there.
#[inline(always)]
unsafe fn six_bits(start: *const u8) -> [int8x16_t; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        let vectors = [load(start, 0), load(start, 128), load(start, 256)];
        let [first, second, third] = vectors.map(|vector| vandq_s8(vector, vdupq_n_s8(-4)));
        [first, second, third, four_times_fourth(vectors)]
    }
}
