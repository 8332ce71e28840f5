//! Powers of e, four at a time: `float::exp` and what is made of it, the same operations in the same order.

use core::arch::aarch64::*;

use crate::compute::float::{self, power};

/// The numbers that [`Self::of`] needs, in registers.
pub(super) struct Exp {
    bounds: [float32x4_t; 2],
    rounder: float32x4_t,
    log2_e: float32x4_t,
    ln_2: [float32x4_t; 2],
    coefficients: [float32x4_t; 6],
    one: float32x4_t,
}

impl Exp {
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn new() -> Self {
        Self {
            bounds: [kept(power::LOWEST), kept(power::HIGHEST)],
            rounder: kept(power::ROUNDER),
            log2_e: kept(core::f32::consts::LOG2_E),
            ln_2: [kept(power::LN_2[0]), kept(power::LN_2[1])],
            coefficients: power::COEFFICIENTS.map(|number| kept(number)),
            one: kept(1.0),
        }
    }

    /// As [`float::exp`].
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn of(&self, x: float32x4_t) -> float32x4_t {
        let [lowest, highest] = self.bounds;
        // FMAX and FMIN keep what is not a number, as the comparisons of the twin do.
        let bounded = vminq_f32(vmaxq_f32(x, lowest), highest);
        let rounded = vfmaq_f32(self.rounder, bounded, self.log2_e);
        let whole = vsubq_f32(rounded, self.rounder);
        let rest = vfmsq_f32(bounded, whole, self.ln_2[0]);
        let rest = vfmsq_f32(rest, whole, self.ln_2[1]);
        let [a, b, c, d, e, f] = self.coefficients;
        let polynomial = vfmaq_f32(b, a, rest);
        let polynomial = vfmaq_f32(c, polynomial, rest);
        let polynomial = vfmaq_f32(d, polynomial, rest);
        let polynomial = vfmaq_f32(e, polynomial, rest);
        let polynomial = vfmaq_f32(f, polynomial, rest);
        let power = vaddq_f32(vfmaq_f32(rest, polynomial, vmulq_f32(rest, rest)), self.one);
        // The bits of 1.0 are those of the exponent 0.
        let exponent = vaddq_u32(vshlq_n_u32::<23>(vreinterpretq_u32_f32(rounded)), vreinterpretq_u32_f32(self.one));
        let result = vmulq_f32(power, vreinterpretq_f32_u32(exponent));
        vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(result), vcltq_f32(x, lowest)))
    }
}

/// Four times the number. What it is stays unknown to the compiler, which would make constants anew in each turn of a loop.
#[inline]
#[target_feature(enable = "neon")]
fn kept(number: f32) -> float32x4_t {
    let mut numbers = vdupq_n_f32(number);
    // SAFETY: no instruction at all.
    unsafe {
        core::arch::asm!("/* {numbers:v} */", numbers = inout(vreg) numbers, options(pure, nomem, nostack, preserves_flags));
    }
    numbers
}

/// As [`crate::kernels::swiglu::silu_portable`], the same bits.
pub(in super::super) fn silu(values: &mut [f32]) {
    let (fours, rest) = values.as_chunks_mut::<4>();
    // SAFETY: NEON is part of every core that this target runs on.
    let exp = unsafe { Exp::new() };
    for four in fours {
        // SAFETY: NEON is part of every core that this target runs on; four values are read and written at any address that their
        // type allows.
        unsafe {
            let x = vld1q_f32(four.as_ptr());
            let inverse = vaddq_f32(exp.one, exp.of(vnegq_f32(x)));
            vst1q_f32(four.as_mut_ptr(), vdivq_f32(x, inverse));
        }
    }
    for value in rest {
        *value = float::silu(*value);
    }
}
