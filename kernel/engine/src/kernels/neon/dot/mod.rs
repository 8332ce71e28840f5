//! The kernels for cores with SDOT (FEAT_DotProd, Arm ARM C7.2.281): quants lie in fours of each row in turn.
//!
//! A vector holds four weights of each of four rows. SDOT by element multiplies them with four activations of a token and adds
//! the four products of each row to a 32-bit lane, so that the sums of four rows need no tree at the end. The formats share
//! the loops of [`super::short`] and [`super::k_quants`].
//!
//! Only the choice in [`super::product`] leads here; without SDOT the instruction is undefined and faults.

mod k_quants;
mod short;

use core::arch::aarch64::*;
use core::arch::asm;

pub(super) use k_quants::{Q4K, Q6K};
pub(super) use short::{Q4_0, Q4_1, Q8_0};

use super::vectors::load;

/// Weights of eight rows in fours: rows 0 to 3, then rows 4 to 7, of each four.
pub(super) type Quads<const COUNT: usize> = [[int8x16_t; 2]; COUNT];

/// For each of eight rows the sum of 32 products. Exact: 32 * 128 * 128 is far below 2^31.
///
/// By name, since Rust's intrinsic is not stable.
#[inline(always)]
pub(super) fn sums_of_32(weights: &Quads<8>, x: [int8x16_t; 2]) -> [int32x4_t; 2] {
    let (low, high);
    // SAFETY: registers alone are read and written; every caller runs on a core with SDOT, see the module's documentation.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "movi {low:v}.4s, #0",
            "movi {high:v}.4s, #0",
            "sdot {low:v}.4s, {a0:v}.16b, {x0:v}.4b[0]",
            "sdot {high:v}.4s, {a1:v}.16b, {x0:v}.4b[0]",
            "sdot {low:v}.4s, {b0:v}.16b, {x0:v}.4b[1]",
            "sdot {high:v}.4s, {b1:v}.16b, {x0:v}.4b[1]",
            "sdot {low:v}.4s, {c0:v}.16b, {x0:v}.4b[2]",
            "sdot {high:v}.4s, {c1:v}.16b, {x0:v}.4b[2]",
            "sdot {low:v}.4s, {d0:v}.16b, {x0:v}.4b[3]",
            "sdot {high:v}.4s, {d1:v}.16b, {x0:v}.4b[3]",
            "sdot {low:v}.4s, {e0:v}.16b, {x1:v}.4b[0]",
            "sdot {high:v}.4s, {e1:v}.16b, {x1:v}.4b[0]",
            "sdot {low:v}.4s, {f0:v}.16b, {x1:v}.4b[1]",
            "sdot {high:v}.4s, {f1:v}.16b, {x1:v}.4b[1]",
            "sdot {low:v}.4s, {g0:v}.16b, {x1:v}.4b[2]",
            "sdot {high:v}.4s, {g1:v}.16b, {x1:v}.4b[2]",
            "sdot {low:v}.4s, {h0:v}.16b, {x1:v}.4b[3]",
            "sdot {high:v}.4s, {h1:v}.16b, {x1:v}.4b[3]",
            low = out(vreg) low, high = out(vreg) high, x0 = in(vreg) x[0], x1 = in(vreg) x[1],
            a0 = in(vreg) weights[0][0], a1 = in(vreg) weights[0][1], b0 = in(vreg) weights[1][0], b1 = in(vreg) weights[1][1],
            c0 = in(vreg) weights[2][0], c1 = in(vreg) weights[2][1], d0 = in(vreg) weights[3][0], d1 = in(vreg) weights[3][1],
            e0 = in(vreg) weights[4][0], e1 = in(vreg) weights[4][1], f0 = in(vreg) weights[5][0], f1 = in(vreg) weights[5][1],
            g0 = in(vreg) weights[6][0], g1 = in(vreg) weights[6][1], h0 = in(vreg) weights[7][0], h1 = in(vreg) weights[7][1],
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    [low, high]
}

/// For each of eight rows the sum of 16 products, exact as [`sums_of_32`].
#[inline(always)]
fn sums_of_16(weights: &Quads<4>, x: int8x16_t) -> [int32x4_t; 2] {
    let (low, high);
    // SAFETY: as in `sums_of_32`.
    unsafe {
        asm!(
            ".arch_extension dotprod",
            "movi {low:v}.4s, #0",
            "movi {high:v}.4s, #0",
            "sdot {low:v}.4s, {a0:v}.16b, {x:v}.4b[0]",
            "sdot {high:v}.4s, {a1:v}.16b, {x:v}.4b[0]",
            "sdot {low:v}.4s, {b0:v}.16b, {x:v}.4b[1]",
            "sdot {high:v}.4s, {b1:v}.16b, {x:v}.4b[1]",
            "sdot {low:v}.4s, {c0:v}.16b, {x:v}.4b[2]",
            "sdot {high:v}.4s, {c1:v}.16b, {x:v}.4b[2]",
            "sdot {low:v}.4s, {d0:v}.16b, {x:v}.4b[3]",
            "sdot {high:v}.4s, {d1:v}.16b, {x:v}.4b[3]",
            low = out(vreg) low, high = out(vreg) high, x = in(vreg) x,
            a0 = in(vreg) weights[0][0], a1 = in(vreg) weights[0][1], b0 = in(vreg) weights[1][0], b1 = in(vreg) weights[1][1],
            c0 = in(vreg) weights[2][0], c1 = in(vreg) weights[2][1], d0 = in(vreg) weights[3][0], d1 = in(vreg) weights[3][1],
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    [low, high]
}

/// 128 bytes of nibbles as unsigned weights: those of the low nibbles, then those of the high ones.
///
/// # Safety
/// `start` is a multiple of 16 and 128 bytes there are readable; NEON is there.
#[inline(always)]
unsafe fn nibbles(start: *const u8) -> Quads<8> {
    // SAFETY: the last vector ends at byte 128.
    unsafe {
        let mut weights = [[vdupq_n_s8(0); 2]; 8];
        let mut quad = 0;
        while quad < 4 {
            let mut half = 0;
            while half < 2 {
                let bytes = vreinterpretq_u8_s8(load(start, 32 * quad + 16 * half));
                weights[quad][half] = vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(0xF)));
                weights[quad + 4][half] = vreinterpretq_s8_u8(vshrq_n_u8::<4>(bytes));
                half += 1;
            }
            quad += 1;
        }
        weights
    }
}
