//! Weights in blocks of 32: Q4_0, Q4_1, Q8_0.

use core::arch::aarch64::*;

use super::super::activations::ActivationFormat;
use super::super::format::{Fetch, ROWS, WeightFormat};
use super::super::product::{Operands, Outputs};
use super::token_loop::{self, Pending};
use super::vectors::{
    add_scaled, fetch_ahead, load, load_outputs, nibbles, scales, store_outputs, sums_of_32, to_floats,
};
use super::wide_loop;

/// Bytes of a block of activations.
const ACTIVATION_BYTES: usize = ActivationFormat::Blocks32.block_bytes();

/// 32 weights of each of eight rows.
pub(super) type Weights = [[int8x16_t; 2]; 8];

/// A format.
pub(super) trait Block: Sized {
    const FORMAT: WeightFormat;
    /// Scales of eight rows, widened.
    type Scales: Copy;
    /// Integer sums of eight rows.
    type Sums: Copy;

    /// # Safety
    /// `block` is a multiple of 16, and a block of eight rows lies there.
    unsafe fn scales(block: *const u8) -> Self::Scales;

    /// # Safety
    /// As [`Self::scales`].
    unsafe fn weights(block: *const u8) -> Weights;

    /// Products of weights and activations, summed.
    fn sums(weights: &Weights, x: [int8x16_t; 2]) -> Self::Sums;

    /// The outputs with one block's sums added, in the order of operations of `portable.rs`. `tail` is what follows the
    /// integers: scale, scale times sum, 8 times the sum.
    fn add_to(outputs: [float32x4_t; 2], scales: &Self::Scales, sums: Self::Sums, tail: int8x16_t) -> [float32x4_t; 2];

    /// Adds one block's products to the outputs of all tokens, as [`Self::add_to`] does for each.
    ///
    /// # Safety
    /// As many blocks of activations as outputs lie at `x`, which is a multiple of 16; NEON is there.
    #[inline(always)]
    unsafe fn each_token(weights: &Weights, scales: &Self::Scales, x: *const u8, outputs: &mut [Outputs]) {
        let mut x = x;
        for output in outputs {
            // SAFETY: the caller's promise: a block for each output.
            unsafe {
                let (sums, tail) = sums_at::<Self>(weights, x);
                store_outputs(output, Self::add_to(load_outputs(output), scales, sums, tail));
            }
            x = x.wrapping_add(ACTIVATION_BYTES);
        }
    }
}

/// Outputs of a group for each token.
pub(super) fn product<B: Block>(operands: &Operands<'_>, outputs: &mut [Outputs]) {
    // SAFETY: NEON is part of every core that this target runs on. `GroupProducts` checked that group and activations have
    // equally many whole blocks (of `stride` tokens), that `first` and the tokens behind it are among these, and both alignments;
    // block sizes are multiples of 16.
    unsafe {
        match (outputs, operands.fetch) {
            ([output], Fetch::Core) => one_token::<B, false>(operands, output),
            ([output], Fetch::Program) => one_token::<B, true>(operands, output),
            (outputs, _) => many_tokens::<B>(operands, outputs),
        }
    }
}

/// With `FETCHES` it asks for the weights ahead. (Many tokens wait for multiplications, not for the memory.)
///
/// # Safety
/// The operands fit together and hold one token from `first` on.
#[target_feature(enable = "neon")]
unsafe fn one_token<B: Block, const FETCHES: bool>(operands: &Operands<'_>, output: &mut Outputs) {
    let mut outputs = [vdupq_n_f32(0.0); 2];
    // The sums of the next block are computed before those of a block are added: a core that works in order has something to do.
    let mut pending = None;
    let mut x = operands.activations.as_ptr().wrapping_add(operands.first * ACTIVATION_BYTES);
    for block in operands.group.chunks_exact(B::FORMAT.block_bytes() * ROWS) {
        let start = block.as_ptr();
        if FETCHES {
            fetch_ahead(start, B::FORMAT.block_bytes() * ROWS);
        }
        // SAFETY: the group's blocks are whole and aligned, and the activations have as many.
        let next = unsafe { (B::sums(&B::weights(start), [load(x, 0), load(x, 16)]), B::scales(start), load(x, 32)) };
        if let Some((sums, scales, tail)) = pending.replace(next) {
            outputs = B::add_to(outputs, &scales, sums, tail);
        }
        x = x.wrapping_add(operands.stride * ACTIVATION_BYTES);
    }
    if let Some((sums, scales, tail)) = pending {
        outputs = B::add_to(outputs, &scales, sums, tail);
    }
    store_outputs(output, outputs);
}

/// # Safety
/// The operands fit together and hold `outputs.len()` tokens from `first` on.
#[target_feature(enable = "neon")]
unsafe fn many_tokens<B: Block>(operands: &Operands<'_>, outputs: &mut [Outputs]) {
    outputs.fill(Outputs::default());
    let mut x = operands.activations.as_ptr().wrapping_add(operands.first * ACTIVATION_BYTES);
    for block in operands.group.chunks_exact(B::FORMAT.block_bytes() * ROWS) {
        // SAFETY: the group's blocks are whole and aligned, and the activations have as many, each with a token for each output
        // from `first` on.
        unsafe { B::each_token(&B::weights(block.as_ptr()), &B::scales(block.as_ptr()), x, outputs) };
        x = x.wrapping_add(operands.stride * ACTIVATION_BYTES);
    }
}

/// Sums and tail of the block of activations at `x`.
///
/// # Safety
/// A block lies there, at a multiple of 16.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn sums_at<B: Block>(weights: &Weights, x: *const u8) -> (B::Sums, int8x16_t) {
    // SAFETY: the caller's promise.
    unsafe { (B::sums(weights, [load(x, 0), load(x, 16)]), load(x, 32)) }
}

/// `d (q - 8)`.
pub(super) struct Q4_0;

impl Block for Q4_0 {
    const FORMAT: WeightFormat = WeightFormat::Q4_0;
    type Scales = [float32x4_t; 2];
    type Sums = int16x8_t;

    #[inline(always)]
    unsafe fn scales(block: *const u8) -> Self::Scales {
        // SAFETY: a block begins with 8 scales of 2 bytes, by the caller's promise; NEON is always there.
        unsafe { scales(block, 0) }
    }

    #[inline(always)]
    unsafe fn weights(block: *const u8) -> Weights {
        // SAFETY: 8 rows of 16 bytes follow; NEON is always there.
        unsafe { nibbles(block.add(16)) }
    }

    #[inline(always)]
    fn sums(weights: &Weights, x: [int8x16_t; 2]) -> int16x8_t {
        // SAFETY: NEON is always there; nothing but registers is touched.
        unsafe { sums_of_32(weights, x) }
    }

    #[inline(always)]
    fn add_to(outputs: [float32x4_t; 2], scales: &Self::Scales, sums: int16x8_t, tail: int8x16_t) -> [float32x4_t; 2] {
        // SAFETY: NEON is always there; nothing but registers is touched.
        unsafe {
            let sums = vsubq_s16(sums, vdupq_laneq_s16::<4>(vreinterpretq_s16_s8(tail)));
            add_scaled(outputs, scaled(*scales, tail), to_floats(sums))
        }
    }

    #[inline(always)]
    unsafe fn each_token(weights: &Weights, scales: &Self::Scales, x: *const u8, outputs: &mut [Outputs]) {
        let Some(others) = outputs.len().checked_sub(1) else { return };
        // SAFETY: the caller's promise; the loop goes from the first token to the last, whose outputs are finished here.
        unsafe {
            let (sums, tail) = sums_at::<Self>(weights, x);
            let mut pending = Pending { sums, tail };
            if others > 0 {
                let next = x.add(ACTIVATION_BYTES);
                pending = token_loop::with_scales(weights, scales, pending, next, outputs.as_mut_ptr().cast(), others);
            }
            let last = &mut outputs[others];
            store_outputs(last, Self::add_to(load_outputs(last), scales, pending.sums, pending.tail));
        }
    }
}

/// `d q + m`.
pub(super) struct Q4_1;

impl Block for Q4_1 {
    const FORMAT: WeightFormat = WeightFormat::Q4_1;
    /// Scales, then minima.
    type Scales = [[float32x4_t; 2]; 2];
    type Sums = int16x8_t;

    #[inline(always)]
    unsafe fn scales(block: *const u8) -> Self::Scales {
        // SAFETY: a block begins with 8 scales and 8 minima of 2 bytes, by the caller's promise; NEON is always there.
        unsafe { [scales(block, 0), scales(block, 16)] }
    }

    #[inline(always)]
    unsafe fn weights(block: *const u8) -> Weights {
        // SAFETY: 8 rows of 16 bytes follow; NEON is always there.
        unsafe { nibbles(block.add(32)) }
    }

    #[inline(always)]
    fn sums(weights: &Weights, x: [int8x16_t; 2]) -> int16x8_t {
        // SAFETY: NEON is always there; nothing but registers is touched.
        unsafe { sums_of_32(weights, x) }
    }

    #[inline(always)]
    fn add_to(outputs: [float32x4_t; 2], scales: &Self::Scales, sums: int16x8_t, tail: int8x16_t) -> [float32x4_t; 2] {
        // SAFETY: NEON is always there; nothing but registers is touched.
        unsafe {
            let offset = vdupq_laneq_s16::<4>(vreinterpretq_s16_s8(tail));
            let sums = vsubq_s16(sums, offset);
            // The whole sum needs 17 bits: the offset comes back in 32.
            let low = vaddl_s16(vget_low_s16(sums), vget_low_s16(offset));
            let high = vaddl_high_s16(sums, offset);
            let outputs = add_scaled(outputs, scaled(scales[0], tail), [vcvtq_f32_s32(low), vcvtq_f32_s32(high)]);
            let tail = vreinterpretq_f32_s8(tail);
            [vfmaq_laneq_f32::<1>(outputs[0], scales[1][0], tail), vfmaq_laneq_f32::<1>(outputs[1], scales[1][1], tail)]
        }
    }

    #[inline(always)]
    unsafe fn each_token(weights: &Weights, scales: &Self::Scales, x: *const u8, outputs: &mut [Outputs]) {
        let Some(others) = outputs.len().checked_sub(1) else { return };
        // SAFETY: the caller's promise; the loop goes from the first token to the last, whose outputs are finished here.
        unsafe {
            let (sums, tail) = sums_at::<Self>(weights, x);
            let mut pending = Pending { sums, tail };
            if others > 0 {
                let next = x.add(ACTIVATION_BYTES);
                pending = token_loop::with_minima(weights, scales, pending, next, outputs.as_mut_ptr().cast(), others);
            }
            let last = &mut outputs[others];
            store_outputs(last, Self::add_to(load_outputs(last), scales, pending.sums, pending.tail));
        }
    }
}

/// `d q` with 8-bit q.
pub(super) struct Q8_0;

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
        // SAFETY: 8 rows of 32 bytes follow; NEON is always there.
        unsafe {
            let row = |row: usize| [load(block, 16 + 32 * row), load(block, 32 + 32 * row)];
            [row(0), row(1), row(2), row(3), row(4), row(5), row(6), row(7)]
        }
    }

    #[inline(always)]
    fn sums(weights: &Weights, x: [int8x16_t; 2]) -> [int32x4_t; 2] {
        // SAFETY: NEON is always there; nothing but registers is touched.
        unsafe { [wide_quads(weights, 0, x), wide_quads(weights, 4, x)] }
    }

    #[inline(always)]
    fn add_to(
        outputs: [float32x4_t; 2],
        scales: &Self::Scales,
        sums: [int32x4_t; 2],
        tail: int8x16_t,
    ) -> [float32x4_t; 2] {
        // SAFETY: NEON is always there; nothing but registers is touched.
        unsafe { add_scaled(outputs, scaled(*scales, tail), sums.map(|four| vcvtq_f32_s32(four))) }
    }

    #[inline(always)]
    unsafe fn each_token(weights: &Weights, scales: &Self::Scales, x: *const u8, outputs: &mut [Outputs]) {
        let Some(others) = outputs.len().checked_sub(1) else { return };
        // SAFETY: the caller's promise; the loop goes from the first token to the last, whose outputs are finished here.
        unsafe {
            let (sums, tail) = sums_at::<Self>(weights, x);
            let mut pending = wide_loop::Pending { sums, tail };
            if others > 0 {
                let next = x.add(ACTIVATION_BYTES);
                let outputs = outputs.as_mut_ptr().cast();
                pending = wide_loop::with_wide_sums(weights, scales, pending, next, outputs, others);
            }
            let last = &mut outputs[others];
            store_outputs(last, Self::add_to(load_outputs(last), scales, pending.sums, pending.tail));
        }
    }
}

/// For each of four rows the sum of 32 products of 8-bit weights. 16 bits hold two of them: 2 * 128 * 127 = 32512.
#[inline]
#[target_feature(enable = "neon")]
fn wide_quads(weights: &Weights, row: usize, x: [int8x16_t; 2]) -> int32x4_t {
    let (a, b, c, d) = (weights[row], weights[row + 1], weights[row + 2], weights[row + 3]);
    let pairs = |part: usize| {
        let low = vget_low_s8(x[part]);
        let sums = [
            vmull_s8(vget_low_s8(a[part]), low),
            vmull_s8(vget_low_s8(b[part]), low),
            vmull_s8(vget_low_s8(c[part]), low),
            vmull_s8(vget_low_s8(d[part]), low),
        ];
        [
            vmlal_high_s8(sums[0], a[part], x[part]),
            vmlal_high_s8(sums[1], b[part], x[part]),
            vmlal_high_s8(sums[2], c[part], x[part]),
            vmlal_high_s8(sums[3], d[part], x[part]),
        ]
    };
    let (first, second) = (pairs(0), pairs(1));
    let wide = |row: usize| vpadalq_s16(vpaddlq_s16(first[row]), second[row]);
    vpaddq_s32(vpaddq_s32(wide(0), wide(1)), vpaddq_s32(wide(2), wide(3)))
}

/// Scales of the weights times the scale of the activations.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn scaled(scales: [float32x4_t; 2], tail: int8x16_t) -> [float32x4_t; 2] {
    let tail = vreinterpretq_f32_s8(tail);
    [vmulq_laneq_f32::<0>(scales[0], tail), vmulq_laneq_f32::<0>(scales[1], tail)]
}
