//! Weights in blocks of 32 on cores with SDOT: Q4_0, Q4_1, Q8_0.

use core::arch::aarch64::*;

use super::super::super::format::WeightFormat;
use super::super::short::{Block, Weights, scaled};
use super::super::vectors::{add_scaled, load, scales};
use super::{nibbles, sums_of_32};

/// `d (q - 8)`, stored as `q ^ 8`: a 4-bit number in two's complement. Weights are unpacked as 16 times their value.
pub(in super::super) struct Q4_0;

impl Block for Q4_0 {
    const FORMAT: WeightFormat = WeightFormat::Q4_0;
    type Scales = [float32x4_t; 2];
    type Sums = [int32x4_t; 2];

    #[inline(always)]
    unsafe fn scales(block: *const u8) -> Self::Scales {
        // SAFETY: a block begins with 8 scales of 2 bytes, by the caller's promise; NEON is always there.
        unsafe { scales(block, 0) }
    }

    #[inline(always)]
    unsafe fn weights(block: *const u8) -> Weights {
        // SAFETY: 128 bytes of nibbles follow; NEON is always there.
        unsafe {
            let mut weights = [[vdupq_n_s8(0); 2]; 8];
            let mut quad = 0;
            while quad < 4 {
                let mut half = 0;
                while half < 2 {
                    let bytes = load(block, 16 + 32 * quad + 16 * half);
                    weights[quad][half] = vshlq_n_s8::<4>(bytes);
                    weights[quad + 4][half] = vandq_s8(bytes, vdupq_n_s8(-16));
                    half += 1;
                }
                quad += 1;
            }
            weights
        }
    }

    #[inline(always)]
    fn sums(weights: &Weights, x: [int8x16_t; 2]) -> Self::Sums {
        sums_of_32(weights, x)
    }

    #[inline(always)]
    fn add_to(outputs: [float32x4_t; 2], scales: &Self::Scales, sums: Self::Sums, tail: int8x16_t) -> [float32x4_t; 2] {
        // SAFETY: NEON is always there; nothing but registers is touched.
        unsafe {
            // The conversion divides by 16, exactly: sums are below 2^24.
            let products = sums.map(|four| vcvtq_n_f32_s32::<4>(four));
            add_scaled(outputs, scaled(*scales, tail), products)
        }
    }
}

/// `d q + m`.
pub(in super::super) struct Q4_1;

impl Block for Q4_1 {
    const FORMAT: WeightFormat = WeightFormat::Q4_1;
    /// Scales, then minima.
    type Scales = [[float32x4_t; 2]; 2];
    type Sums = [int32x4_t; 2];

    #[inline(always)]
    unsafe fn scales(block: *const u8) -> Self::Scales {
        // SAFETY: a block begins with 8 scales and 8 minima of 2 bytes, by the caller's promise; NEON is always there.
        unsafe { [scales(block, 0), scales(block, 16)] }
    }

    #[inline(always)]
    unsafe fn weights(block: *const u8) -> Weights {
        // SAFETY: 128 bytes of nibbles follow; NEON is always there.
        unsafe { nibbles(block.add(32)) }
    }

    #[inline(always)]
    fn sums(weights: &Weights, x: [int8x16_t; 2]) -> Self::Sums {
        sums_of_32(weights, x)
    }

    #[inline(always)]
    fn add_to(outputs: [float32x4_t; 2], scales: &Self::Scales, sums: Self::Sums, tail: int8x16_t) -> [float32x4_t; 2] {
        // SAFETY: NEON is always there; nothing but registers is touched.
        unsafe {
            let outputs = add_scaled(outputs, scaled(scales[0], tail), sums.map(|four| vcvtq_f32_s32(four)));
            let tail = vreinterpretq_f32_s8(tail);
            [vfmaq_laneq_f32::<1>(outputs[0], scales[1][0], tail), vfmaq_laneq_f32::<1>(outputs[1], scales[1][1], tail)]
        }
    }
}

/// `d q` with 8-bit q.
pub(in super::super) struct Q8_0;

impl Block for Q8_0 {
    const FORMAT: WeightFormat = WeightFormat::Q8_0;
    type Scales = [float32x4_t; 2];
    type Sums = [int32x4_t; 2];

    #[inline(always)]
    unsafe fn scales(block: *const u8) -> Self::Scales {
        // SAFETY: a block begins with 8 scales of 2 bytes, by the caller's promise; NEON is always there.
        unsafe { scales(block, 0) }
    }

    #[inline(always)]
    unsafe fn weights(block: *const u8) -> Weights {
        // SAFETY: 256 bytes of weights follow; NEON is always there.
        unsafe {
            let quad = |quad: usize| [load(block, 16 + 32 * quad), load(block, 32 + 32 * quad)];
            [quad(0), quad(1), quad(2), quad(3), quad(4), quad(5), quad(6), quad(7)]
        }
    }

    #[inline(always)]
    fn sums(weights: &Weights, x: [int8x16_t; 2]) -> Self::Sums {
        sums_of_32(weights, x)
    }

    #[inline(always)]
    fn add_to(outputs: [float32x4_t; 2], scales: &Self::Scales, sums: Self::Sums, tail: int8x16_t) -> [float32x4_t; 2] {
        // SAFETY: NEON is always there; nothing but registers is touched.
        unsafe { add_scaled(outputs, scaled(*scales, tail), sums.map(|four| vcvtq_f32_s32(four))) }
    }
}
