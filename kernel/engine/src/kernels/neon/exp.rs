//! Powers of e, four at a time: `float::exp` and what is made of it, the same operations in the same order.

use core::arch::aarch64::*;

use crate::compute::float::{self, power};

/// As [`float::exp`].
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn exp(x: float32x4_t) -> float32x4_t {
    let (lowest, rounder) = (vdupq_n_f32(power::LOWEST), vdupq_n_f32(power::ROUNDER));
    // FMAX and FMIN keep what is not a number, as the comparisons of the twin do.
    let bounded = vminq_f32(vmaxq_f32(x, lowest), vdupq_n_f32(power::HIGHEST));
    let rounded = vfmaq_f32(rounder, bounded, vdupq_n_f32(core::f32::consts::LOG2_E));
    let whole = vsubq_f32(rounded, rounder);
    let rest = vfmsq_f32(bounded, whole, vdupq_n_f32(power::LN_2[0]));
    let rest = vfmsq_f32(rest, whole, vdupq_n_f32(power::LN_2[1]));
    let [a, b, c, d, e, f] = power::COEFFICIENTS;
    let polynomial = vfmaq_f32(vdupq_n_f32(b), vdupq_n_f32(a), rest);
    let polynomial = vfmaq_f32(vdupq_n_f32(c), polynomial, rest);
    let polynomial = vfmaq_f32(vdupq_n_f32(d), polynomial, rest);
    let polynomial = vfmaq_f32(vdupq_n_f32(e), polynomial, rest);
    let polynomial = vfmaq_f32(vdupq_n_f32(f), polynomial, rest);
    let power = vaddq_f32(vfmaq_f32(rest, polynomial, vmulq_f32(rest, rest)), vdupq_n_f32(1.0));
    let exponent = vaddq_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(rounded)), vdupq_n_u32(127 << 23));
    let result = vmulq_f32(power, vreinterpretq_f32_u32(exponent));
    vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(result), vcltq_f32(x, lowest)))
}

/// As [`crate::kernels::swiglu::silu_portable`], the same bits.
pub(in super::super) fn silu(values: &mut [f32]) {
    let (fours, rest) = values.as_chunks_mut::<4>();
    for four in fours {
        // SAFETY: NEON is part of every core that this target runs on; four values are read and written at any address that their
        // type allows.
        unsafe {
            let x = vld1q_f32(four.as_ptr());
            let inverse = vaddq_f32(vdupq_n_f32(1.0), exp(vnegq_f32(x)));
            vst1q_f32(four.as_mut_ptr(), vdivq_f32(x, inverse));
        }
    }
    for value in rest {
        *value = float::silu(*value);
    }
}
