//! Weights in blocks of 256: the loops of all of them, and Q4_K.

use core::arch::aarch64::*;

use super::super::activations::ActivationFormat;
use super::super::format::{Fetch, ROWS, WeightFormat};
use super::super::product::{Operands, Outputs};
use super::token_loop::with_parts;
use super::vectors::{add_scaled, fetch_ahead, load, load_outputs, nibbles, scales, store_outputs, sums_of_32};

/// Bytes of a block of activations, and where its parts lie.
const ACTIVATION_BYTES: usize = ActivationFormat::Blocks256.block_bytes();
pub(super) const SUMS: usize = 256;
pub(super) const SUMS_BY_8: usize = 272;
const SCALE: usize = 288;
/// Tokens whose integer sums are kept at once: 64 bytes each on the stack.
const TILE: usize = 32;

/// Integer sums of a token: two or four vectors, as the format needs.
pub(super) type Sums = [int32x4_t; 4];

/// A block of eight rows.
pub(super) trait Block: Sized {
    const FORMAT: WeightFormat;
    /// Parts of 32 weights.
    type Part;

    /// Scales and minima.
    ///
    /// # Safety
    /// `block` is a multiple of 16, and a block of eight rows lies there.
    unsafe fn header(block: *const u8) -> Self;

    /// 32 weights of each row, unpacked, in the order that suits the format.
    ///
    /// # Safety
    /// As [`Self::header`]; `part` is below 8.
    unsafe fn part(&self, block: *const u8, part: usize) -> Self::Part;

    /// The sums with the products of one part added.
    ///
    /// # Safety
    /// `x` is a multiple of 16, and a block of activations lies there; `part` is below 8.
    unsafe fn add_part(weights: &Self::Part, part: usize, sums: Sums, x: *const u8) -> Sums;

    /// The sums of all parts. With `FETCHES` it asks for the weights ahead, an eighth of a block with each part.
    ///
    /// # Safety
    /// As [`Self::header`] and [`Self::add_part`].
    #[inline(always)]
    unsafe fn all_parts<const FETCHES: bool>(&self, block: *const u8, x: *const u8) -> Sums {
        // SAFETY: NEON is always there; nothing but registers is touched.
        let mut sums = unsafe { [vdupq_n_s32(0); 4] };
        for part in 0..8 {
            if FETCHES {
                fetch_part_ahead::<Self>(block, part);
            }
            // SAFETY: the caller's promise, and there are 8 parts.
            sums = unsafe { Self::add_part(&self.part(block, part), part, sums, x) };
        }
        sums
    }

    /// [`Self::add_part`] for each token.
    ///
    /// # Safety
    /// As many blocks of activations as elements of `tile` lie at `x`, which is a multiple of 16; `part` is below 8; NEON is
    /// there.
    #[inline(always)]
    unsafe fn each_token(weights: &Self::Part, part: usize, x: *const u8, tile: &mut [Sums]) {
        let mut x = x;
        for sums in tile {
            // SAFETY: the caller's promise: a block for each token.
            *sums = unsafe { Self::add_part(weights, part, *sums, x) };
            x = x.wrapping_add(ACTIVATION_BYTES);
        }
    }

    /// The outputs with the block's sums added, in the order of operations of `portable.rs`.
    ///
    /// # Safety
    /// As [`Self::add_part`].
    unsafe fn add_to(&self, outputs: [float32x4_t; 2], sums: Sums, x: *const u8) -> [float32x4_t; 2];
}

/// Outputs of a group for each token.
pub(super) fn product<B: Block>(operands: &Operands<'_>, outputs: &mut [Outputs]) {
    // SAFETY: NEON is part of every core that this target runs on. `GroupProducts` checked that group and activations have
    // equally many whole blocks (of `stride` tokens), that `first` and the tokens behind it are among these, and both alignments;
    // block sizes are multiples of 16.
    unsafe {
        if let [output] = outputs {
            return match operands.fetch {
                Fetch::Core => one_token::<B, false>(operands, output),
                Fetch::Program => one_token::<B, true>(operands, output),
            };
        }
        for (index, tile) in outputs.chunks_mut(TILE).enumerate() {
            many_tokens::<B>(&Operands { first: operands.first + index * TILE, ..*operands }, tile);
        }
    }
}

/// Asks for an eighth of the weights ahead.
#[inline(always)]
pub(super) fn fetch_part_ahead<B: Block>(block: *const u8, part: usize) {
    let part_bytes = B::FORMAT.block_bytes() * ROWS / 8;
    fetch_ahead(block.wrapping_add(part * part_bytes), part_bytes);
}

/// With `FETCHES` it asks for the weights ahead.
///
/// # Safety
/// The operands fit together and hold one token from `first` on.
#[target_feature(enable = "neon")]
unsafe fn one_token<B: Block, const FETCHES: bool>(operands: &Operands<'_>, output: &mut Outputs) {
    let mut outputs = [vdupq_n_f32(0.0); 2];
    let mut x = operands.activations.as_ptr().wrapping_add(operands.first * ACTIVATION_BYTES);
    for block in operands.group.chunks_exact(B::FORMAT.block_bytes() * ROWS) {
        let start = block.as_ptr();
        // SAFETY: the group's blocks are whole and aligned, and the activations have as many.
        unsafe {
            let header = B::header(start);
            let sums = header.all_parts::<FETCHES>(start, x);
            outputs = header.add_to(outputs, sums, x);
        }
        x = x.wrapping_add(operands.stride * ACTIVATION_BYTES);
    }
    store_outputs(output, outputs);
}

/// # Safety
/// The operands fit together and hold `outputs.len()` tokens from `first` on, which are at most [`TILE`].
#[target_feature(enable = "neon")]
unsafe fn many_tokens<B: Block>(operands: &Operands<'_>, outputs: &mut [Outputs]) {
    outputs.fill(Outputs::default());
    let mut tile = [[vdupq_n_s32(0); 4]; TILE];
    let tile = &mut tile[..outputs.len()];
    let mut row = operands.activations.as_ptr().wrapping_add(operands.first * ACTIVATION_BYTES);
    for block in operands.group.chunks_exact(B::FORMAT.block_bytes() * ROWS) {
        let start = block.as_ptr();
        // SAFETY: the group's blocks are whole and aligned.
        let header = unsafe { B::header(start) };
        tile.fill([vdupq_n_s32(0); 4]);
        for part in 0..8 {
            // SAFETY: there are 8 parts.
            let weights = unsafe { header.part(start, part) };
            // SAFETY: the activations have as many blocks, each with a token for each output from `first` on.
            unsafe { B::each_token(&weights, part, row, tile) };
        }
        let mut x = row;
        for (sums, output) in tile.iter().zip(&mut *outputs) {
            // SAFETY: as above.
            unsafe {
                let before = load_outputs(output);
                store_outputs(output, header.add_to(before, *sums, x));
            }
            x = x.wrapping_add(ACTIVATION_BYTES);
        }
        row = row.wrapping_add(operands.stride * ACTIVATION_BYTES);
    }
}

/// Scales of the weights times the scale of the activations.
///
/// # Safety
/// A block of activations lies at `x`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn scaled(scales: [float32x4_t; 2], x: *const u8) -> [float32x4_t; 2] {
    // SAFETY: the scale is a float at a multiple of 4 inside the block.
    let scale = unsafe { x.add(SCALE).cast::<f32>().read() };
    [vmulq_n_f32(scales[0], scale), vmulq_n_f32(scales[1], scale)]
}

/// `d s q - dmin m`.
///
/// With the nibbles q from 0 to 15 the sums of a part are `s sum((q - 8) x)`, exact in 16 bits before the scale;
/// `8 s sum(x)` follows at the end, from the sums of the activations.
pub(super) struct Q4K {
    scales: [float32x4_t; 2],
    minima: [float32x4_t; 2],
    /// Of each part, for each row.
    pub(super) part_scales: [int16x8_t; 8],
    pub(super) part_minima: [int16x8_t; 8],
}

impl Q4K {
    /// The outputs with integer sums added: products times scales, minima times sums of activations.
    ///
    /// # Safety
    /// A block of activations lies at `x`.
    #[inline(always)]
    pub(super) unsafe fn add_products(
        &self,
        outputs: [float32x4_t; 2],
        products: [int32x4_t; 2],
        minima: [int32x4_t; 2],
        x: *const u8,
    ) -> [float32x4_t; 2] {
        // SAFETY: the caller's promise; NEON is always there.
        unsafe {
            let products = products.map(|four| vcvtq_f32_s32(four));
            let minima = minima.map(|four| vcvtq_f32_s32(four));
            let outputs = add_scaled(outputs, scaled(self.scales, x), products);
            let scales = scaled(self.minima, x);
            [vfmsq_f32(outputs[0], scales[0], minima[0]), vfmsq_f32(outputs[1], scales[1], minima[1])]
        }
    }
}

/// Nibbles and scales of a part.
pub(super) struct Q4KPart {
    weights: [[int8x16_t; 2]; 8],
    scales: int16x8_t,
}

impl Q4KPart {
    /// # Safety
    /// As [`Block::add_part`].
    #[inline(always)]
    unsafe fn add_sums(&self, part: usize, sums: Sums, products: int16x8_t, x: *const u8) -> Sums {
        // SAFETY: the sum of part 7 lies inside a block of activations, at a multiple of 2; NEON is always there.
        unsafe {
            let offset = vdupq_n_s16(x.add(SUMS_BY_8 + 2 * part).cast::<i16>().read());
            let products = vsubq_s16(products, offset);
            [
                vmlal_s16(sums[0], vget_low_s16(products), vget_low_s16(self.scales)),
                vmlal_high_s16(sums[1], products, self.scales),
                sums[2],
                sums[3],
            ]
        }
    }
}

impl Block for Q4K {
    const FORMAT: WeightFormat = WeightFormat::Q4K;
    type Part = Q4KPart;

    #[inline(always)]
    unsafe fn header(block: *const u8) -> Self {
        // SAFETY: the block begins with 8 scales and 8 minima of 2 bytes, 64 bytes for the scales of the parts and 32 for the
        // low bits of their minima; NEON is always there.
        unsafe {
            let mut part_scales = [vdupq_n_s16(0); 8];
            let mut part_minima = [vdupq_n_s16(0); 8];
            let mut pair = 0;
            while pair < 4 {
                let packed = vreinterpretq_u8_s8(load(block, 32 + 16 * pair));
                let low = vreinterpretq_u8_s8(load(block, 96 + 16 * (pair / 2)));
                let low = if pair.is_multiple_of(2) { vandq_u8(low, vdupq_n_u8(0xF)) } else { vshrq_n_u8::<4>(low) };
                let scales = vreinterpretq_s8_u8(vandq_u8(packed, vdupq_n_u8(63)));
                let minima = vreinterpretq_s8_u8(vsliq_n_u8::<4>(low, vshrq_n_u8::<6>(packed)));
                part_scales[2 * pair] = vmovl_s8(vget_low_s8(scales));
                part_scales[2 * pair + 1] = vmovl_high_s8(scales);
                part_minima[2 * pair] = vmovl_s8(vget_low_s8(minima));
                part_minima[2 * pair + 1] = vmovl_high_s8(minima);
                pair += 1;
            }
            Self { scales: scales(block, 0), minima: scales(block, 16), part_scales, part_minima }
        }
    }

    #[inline(always)]
    unsafe fn part(&self, block: *const u8, part: usize) -> Q4KPart {
        // SAFETY: part 7 ends where the block of 1152 bytes ends; NEON is always there.
        let weights = unsafe { nibbles(block.add(128 + 128 * part)) };
        Q4KPart { weights, scales: self.part_scales[part] }
    }

    #[inline(always)]
    unsafe fn add_part(weights: &Q4KPart, part: usize, sums: Sums, x: *const u8) -> Sums {
        // SAFETY: integers and sums of part 7 lie inside a block of activations, sums at a multiple of 2; NEON is always there.
        unsafe {
            let products = sums_of_32(&weights.weights, [load(x, 32 * part), load(x, 32 * part + 16)]);
            weights.add_sums(part, sums, products, x)
        }
    }

    #[inline(always)]
    unsafe fn each_token(weights: &Q4KPart, part: usize, x: *const u8, tile: &mut [Sums]) {
        let Some(others) = tile.len().checked_sub(1) else { return };
        // SAFETY: the caller's promise; the loop goes from the first token to the last, whose sums are finished here.
        unsafe {
            let integers = x.add(32 * part);
            let mut products = sums_of_32(&weights.weights, [load(integers, 0), load(integers, 16)]);
            if others > 0 {
                let (next, offsets) = (integers.add(ACTIVATION_BYTES), x.add(SUMS_BY_8 + 2 * part));
                let Q4KPart { weights, scales } = weights;
                products = with_parts(weights, *scales, products, next, offsets, tile.as_mut_ptr(), others);
            }
            tile[others] = weights.add_sums(part, tile[others], products, x.add(others * ACTIVATION_BYTES));
        }
    }

    #[inline(always)]
    unsafe fn add_to(&self, outputs: [float32x4_t; 2], sums: Sums, x: *const u8) -> [float32x4_t; 2] {
        // SAFETY: a block of activations lies at `x`; NEON is always there.
        unsafe {
            let sums_by_8 = vreinterpretq_s16_s8(load(x, SUMS_BY_8));
            let products = times_sums([sums[0], sums[1]], &self.part_scales, sums_by_8);
            let minima = times_sums([vdupq_n_s32(0); 2], &self.part_minima, vreinterpretq_s16_s8(load(x, SUMS)));
            self.add_products(outputs, products, minima, x)
        }
    }
}

/// `start` plus factors of each part, for eight rows, times the part's lane of `sums`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn times_sums(start: [int32x4_t; 2], factors: &[int16x8_t; 8], sums: int16x8_t) -> [int32x4_t; 2] {
    let [mut low, mut high] = start;
    macro_rules! lanes {
        ($($lane:literal)*) => {
            $(
                low = vmlal_laneq_s16::<$lane>(low, vget_low_s16(factors[$lane]), sums);
                high = vmlal_high_laneq_s16::<$lane>(high, factors[$lane], sums);
            )*
        };
    }
    lanes!(0 1 2 3 4 5 6 7);
    [low, high]
}
