//! Half-precision floats (IEEE binary16 and bfloat16) to and from F32.
//!
//! Both directions are exactly defined (round to nearest even), so the vector code and its scalar twin give the same bits;
//! only the payload of what is not a number may differ.

/// F16 values as F32. `values` and `output` have the same length.
pub fn widen(values: &[u16], output: &mut [f32]) {
    #[cfg(target_arch = "aarch64")]
    neon::widen(values, output);
    #[cfg(not(target_arch = "aarch64"))]
    widen_scalar(values, output);
}

/// F32 values as F16. `values` and `output` have the same length.
pub fn narrow(values: &[f32], output: &mut [u16]) {
    #[cfg(target_arch = "aarch64")]
    neon::narrow(values, output);
    #[cfg(not(target_arch = "aarch64"))]
    narrow_scalar(values, output);
}

/// The scalar twin of [`widen`].
pub fn widen_scalar(values: &[u16], output: &mut [f32]) {
    for (output, value) in output.iter_mut().zip(values) {
        *output = f16_to_f32(*value);
    }
}

/// The scalar twin of [`narrow`].
pub fn narrow_scalar(values: &[f32], output: &mut [u16]) {
    for (output, value) in output.iter_mut().zip(values) {
        *output = f32_to_f16(*value);
    }
}

/// The value of a binary16.
#[must_use]
pub fn f16_to_f32(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let magnitude = u32::from(half & 0x7FFF);
    let bits = match magnitude {
        // Infinity and what is not a number keep their mantissa.
        0x7C00.. => 0x7F80_0000 | (magnitude & 0x3FF) << 13,
        0x0400.. => (magnitude << 13) + ((127 - 15) << 23),
        // A subnormal is its mantissa times 2^-24: exact in F32.
        _ => (magnitude as f32 / 16_777_216.0).to_bits(),
    };
    f32::from_bits(sign | bits)
}

/// The binary16 next to a value; ties go to the even one.
#[must_use]
pub fn f32_to_f16(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = bits & 0x7FFF_FFFF;
    let half = match magnitude {
        // Not a number stays one (quiet).
        0x7F80_0001.. => 0x7E00 | (magnitude >> 13) & 0x1FF,
        // 65520 and above round to infinity.
        0x477F_F000.. => 0x7C00,
        // Normal: rebias the exponent, round at bit 13.
        0x3880_0000.. => round_shift(magnitude - ((127 - 15) << 23), 13),
        // Subnormal: the mantissa with its hidden bit, shifted until the exponent is that of a subnormal.
        0x3300_0000.. => round_shift((magnitude & 0x7F_FFFF) | 0x80_0000, 126 - (magnitude >> 23)),
        _ => 0,
    };
    sign | half as u16
}

/// `value >> shift`, rounded to nearest, ties to even. `shift` is 1 to 31.
const fn round_shift(value: u32, shift: u32) -> u32 {
    let half = 1 << (shift - 1);
    let rest = value & ((1 << shift) - 1);
    let kept = value >> shift;
    if rest > half || (rest == half && kept & 1 == 1) { kept + 1 } else { kept }
}

/// bfloat16 values as F32. `values` and `output` have the same length.
pub fn widen_bf16(values: &[u16], output: &mut [f32]) {
    for (output, value) in output.iter_mut().zip(values) {
        *output = f32::from_bits(u32::from(*value) << 16);
    }
}

#[cfg(target_arch = "aarch64")]
mod neon {
    //! FCVTL and FCVTN.

    use core::arch::aarch64::{
        float32x4_t, float32x4x4_t, uint16x8_t, vcvt_f16_f32, vcvt_f32_f16, vcvt_high_f32_f16, vget_low_f16, vld1q_f32,
        vld1q_u16_x4, vreinterpret_u16_f16, vreinterpretq_f16_u16, vst1_u16, vst1q_f32_x4,
    };

    pub(super) fn widen(values: &[u16], output: &mut [f32]) {
        let (values_by_32, values_rest) = values.as_chunks::<32>();
        let (output_by_32, output_rest) = output.as_chunks_mut::<32>();
        for (values, output) in values_by_32.iter().zip(output_by_32) {
            let (first, second) = output.split_at_mut(16);
            // SAFETY: NEON is part of every AArch64 core this runs on (target feature of the build); the load reads the 32
            // elements of one array, the stores write 16 each of the other.
            unsafe {
                let halves = vld1q_u16_x4(values.as_ptr());
                let [a, b] = widen_8(halves.0);
                let [c, d] = widen_8(halves.1);
                vst1q_f32_x4(first.as_mut_ptr(), float32x4x4_t(a, b, c, d));
                let [a, b] = widen_8(halves.2);
                let [c, d] = widen_8(halves.3);
                vst1q_f32_x4(second.as_mut_ptr(), float32x4x4_t(a, b, c, d));
            }
        }
        super::widen_scalar(values_rest, output_rest);
    }

    #[inline]
    #[target_feature(enable = "neon")]
    fn widen_8(halves: uint16x8_t) -> [float32x4_t; 2] {
        let halves = vreinterpretq_f16_u16(halves);
        [vcvt_f32_f16(vget_low_f16(halves)), vcvt_high_f32_f16(halves)]
    }

    pub(super) fn narrow(values: &[f32], output: &mut [u16]) {
        let (values_by_4, values_rest) = values.as_chunks::<4>();
        let (output_by_4, output_rest) = output.as_chunks_mut::<4>();
        for (values, output) in values_by_4.iter().zip(output_by_4) {
            // SAFETY: NEON is part of every AArch64 core this runs on (target feature of the build); the load reads the four
            // elements of one array, the store writes the four of the other.
            unsafe {
                let halves = vcvt_f16_f32(vld1q_f32(values.as_ptr()));
                vst1_u16(output.as_mut_ptr(), vreinterpret_u16_f16(halves));
            }
        }
        super::narrow_scalar(values_rest, output_rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_survives_the_round_trip() {
        for half in 0..=u16::MAX {
            let value = f16_to_f32(half);
            if value.is_nan() {
                assert!(f16_to_f32(f32_to_f16(value)).is_nan());
            } else {
                assert_eq!(f32_to_f16(value), half, "{value}");
            }
        }
    }

    #[test]
    fn known_values() {
        assert_eq!(f16_to_f32(0x3C00), 1.0);
        assert_eq!(f16_to_f32(0x7BFF), 65504.0);
        assert_eq!(f16_to_f32(0x0001), 1.0 / 16_777_216.0);
        assert_eq!(f16_to_f32(0xFC00), f32::NEG_INFINITY);
    }

    #[test]
    fn rounding_goes_to_the_nearest_and_to_even() {
        for half in 0..0x7BFFu16 {
            let (below, above) = (f16_to_f32(half), f16_to_f32(half + 1));
            let middle = (below + above) / 2.0;
            let even = if half & 1 == 0 { half } else { half + 1 };
            assert_eq!(f32_to_f16(middle), even);
            assert_eq!(f32_to_f16(f32::from_bits(middle.to_bits() - 1)), half);
            assert_eq!(f32_to_f16(f32::from_bits(middle.to_bits() + 1)), half + 1);
        }
        assert_eq!(f32_to_f16(65519.0), 0x7BFF);
        assert_eq!(f32_to_f16(65520.0), 0x7C00);
        assert_eq!(f32_to_f16(-1e-9), 0x8000);
    }

    #[test]
    fn slices_are_their_scalar_twins() {
        let halves: [u16; 37] = core::array::from_fn(|i| (i as u16).wrapping_mul(1771));
        let (mut fast, mut twin) = ([0.0; 37], [0.0; 37]);
        widen(&halves, &mut fast);
        widen_scalar(&halves, &mut twin);
        assert_eq!(fast.map(f32::to_bits), twin.map(f32::to_bits));
        let (mut back, mut back_twin) = ([0; 37], [0; 37]);
        narrow(&fast, &mut back);
        narrow_scalar(&fast, &mut back_twin);
        assert_eq!(back, back_twin);
    }
}
