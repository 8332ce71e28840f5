//! Activations to 8-bit integers, 16 at a time.

use core::arch::aarch64::*;

use super::super::activations::{ActivationFormat, LARGEST};
use super::super::format::ALIGNMENT;

/// As [`ActivationFormat::quantize_portable`], the same bytes. The lengths are checked, `block` is aligned.
pub(in super::super) fn quantize(format: ActivationFormat, values: &[f32], block: &mut [u8]) {
    if !values.as_ptr().addr().is_multiple_of(ALIGNMENT) {
        return format.quantize_portable(values, block);
    }
    // SAFETY: NEON is part of every core that this target runs on; `values` is aligned (just checked) and, like `block`, has the
    // format's length and alignment (checked by `ActivationFormat::quantize`).
    unsafe {
        match format {
            ActivationFormat::Blocks32 => quantize_32(values, block),
            ActivationFormat::Blocks256 => quantize_256(values, block),
        }
    }
}

/// # Safety
/// 32 values at a multiple of 16; 48 bytes at a multiple of 16.
#[target_feature(enable = "neon")]
unsafe fn quantize_32(values: &[f32], block: &mut [u8]) {
    // SAFETY: 32 values.
    let scale = unsafe { largest_magnitude::<32>(values.as_ptr()) } / LARGEST;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let mut sums = vdupq_n_s16(0);
    for half in 0..2 {
        // SAFETY: 16 values and 16 bytes of each half, aligned.
        let bytes = unsafe {
            let floats = load_16(values.as_ptr().add(16 * half), inverse);
            let bytes = narrow(floats.map(|four| vcvtaq_s32_f32(four)));
            block.as_mut_ptr().add(16 * half).cast::<int8x16_t>().write(bytes);
            bytes
        };
        sums = vpadalq_s8(sums, bytes);
    }
    let sum = i32::from(vaddvq_s16(sums));
    let tail = [scale.to_bits(), (scale * sum as f32).to_bits(), (8 * sum).cast_unsigned(), 0];
    // SAFETY: the last 16 of the 48 bytes, aligned; any bytes are a vector.
    unsafe { block.as_mut_ptr().add(32).cast::<[u32; 4]>().write(tail) };
}

/// # Safety
/// 256 values at a multiple of 16; 304 bytes at a multiple of 16.
#[target_feature(enable = "neon")]
unsafe fn quantize_256(values: &[f32], block: &mut [u8]) {
    // SAFETY: 256 values.
    let largest = unsafe { largest_magnitude::<256>(values.as_ptr()) };
    let inverse = if largest == 0.0 { 0.0 } else { LARGEST / largest };
    let scale = if largest == 0.0 { 0.0 } else { 1.0 / inverse };
    let mut all_sums = [0; 8];
    for (part, sum) in all_sums.iter_mut().enumerate() {
        let mut sums = vdupq_n_s16(0);
        for half in 2 * part..2 * part + 2 {
            // SAFETY: 16 values and 16 bytes of each of 16 parts, aligned.
            let bytes = unsafe {
                let floats = load_16(values.as_ptr().add(16 * half), inverse);
                let bytes = narrow(floats.map(|four| vcvtnq_s32_f32(four)));
                block.as_mut_ptr().add(16 * half).cast::<int8x16_t>().write(bytes);
                bytes
            };
            sums = vpadalq_s8(sums, bytes);
        }
        *sum = vaddvq_s16(sums);
    }
    // SAFETY: the last 48 of the 304 bytes, aligned; an array of eight numbers and a vector of them are the same bytes.
    unsafe {
        let sums = core::mem::transmute::<[i16; 8], int16x8_t>(all_sums);
        let rest = block.as_mut_ptr().add(256).cast::<int16x8_t>();
        rest.write(sums);
        rest.add(1).write(vshlq_n_s16::<3>(sums));
        rest.add(2).cast::<[u32; 4]>().write([scale.to_bits(), 0, 0, 0]);
    }
}

/// Not a number if any of the values is not: FMAX and FMAXV say so.
///
/// # Safety
/// `COUNT` values, a multiple of 16, at a multiple of 16.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn largest_magnitude<const COUNT: usize>(values: *const f32) -> f32 {
    let mut largest = [vdupq_n_f32(0.0); 4];
    for start in (0..COUNT).step_by(16) {
        for (lane, largest) in largest.iter_mut().enumerate() {
            // SAFETY: four of the values, aligned as all of them.
            let four = unsafe { values.add(start + 4 * lane).cast::<float32x4_t>().read() };
            *largest = vmaxq_f32(*largest, vabsq_f32(four));
        }
    }
    vmaxvq_f32(vmaxq_f32(vmaxq_f32(largest[0], largest[1]), vmaxq_f32(largest[2], largest[3])))
}

/// 16 values times `factor`.
///
/// # Safety
/// 16 values at a multiple of 16.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn load_16(values: *const f32, factor: f32) -> [float32x4_t; 4] {
    // SAFETY: the caller's promise.
    let four = |index: usize| unsafe { values.add(4 * index).cast::<float32x4_t>().read() };
    [0, 1, 2, 3].map(|index| vmulq_n_f32(four(index), factor))
}

/// Integers to 8 bits: saturated, and -128 becomes -127.
#[inline]
#[target_feature(enable = "neon")]
fn narrow(integers: [int32x4_t; 4]) -> int8x16_t {
    let low = vqmovn_high_s32(vqmovn_s32(integers[0]), integers[1]);
    let high = vqmovn_high_s32(vqmovn_s32(integers[2]), integers[3]);
    vmaxq_s8(vqmovn_high_s16(vqmovn_s16(low), high), vdupq_n_s8(-127))
}
