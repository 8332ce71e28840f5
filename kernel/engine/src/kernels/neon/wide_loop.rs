//! The loop over tokens of weights with 8 bits, in assembly for the reason that [`super::token_loop`] has.

use core::arch::aarch64::*;

use super::token_loop::with_weights;

/// Where the loop over tokens of 8-bit weights stands.
#[derive(Clone, Copy)]
pub(super) struct Pending {
    /// The sums of a token that were not added to its outputs yet.
    pub(super) sums: [int32x4_t; 2],
    /// What follows the integers in its block of activations.
    pub(super) tail: int8x16_t,
}

/// As [`super::token_loop::with_scales`] for weights of 8 bits: a 16-bit lane holds the sum of two products, so these are widened after every 16.
///
/// # Safety
/// As [`super::token_loop::with_scales`].
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn with_wide_sums(
    weights: &[[int8x16_t; 2]; 8],
    scales: &[float32x4_t; 2],
    pending: Pending,
    x: *const u8,
    outputs: *mut f32,
    count: usize,
) -> Pending {
    let Pending { sums: [mut low, mut high], mut tail } = pending;
    // SAFETY: one block is read and one output rewritten in each of `count` turns, as the caller promises; `scales` is read.
    // All registers that the text names are operands.
    unsafe {
        with_weights!(
            weights: weights,
            text: [
            "2:",
            "ldp q16, q17, [{x}], #48",
            "smull v18.8h, v0.8b, v16.8b",
            "smull v19.8h, v1.8b, v16.8b",
            "smull v20.8h, v2.8b, v16.8b",
            "smull v21.8h, v3.8b, v16.8b",
            "ldp q29, q30, [{scales}]",
            "smlal2 v18.8h, v0.16b, v16.16b",
            "smlal2 v19.8h, v1.16b, v16.16b",
            "scvtf v26.4s, v26.4s",
            "smlal2 v20.8h, v2.16b, v16.16b",
            "smlal2 v21.8h, v3.16b, v16.16b",
            "scvtf v27.4s, v27.4s",
            "saddlp v22.4s, v18.8h",
            "smull v18.8h, v8.8b, v17.8b",
            "saddlp v23.4s, v19.8h",
            "smull v19.8h, v9.8b, v17.8b",
            "fmul v29.4s, v29.4s, v28.s[0]",
            "saddlp v24.4s, v20.8h",
            "smull v20.8h, v10.8b, v17.8b",
            "saddlp v25.4s, v21.8h",
            "smull v21.8h, v11.8b, v17.8b",
            "fmul v30.4s, v30.4s, v28.s[0]",
            "smlal2 v18.8h, v8.16b, v17.16b",
            "ldr q31, [{outputs}]",
            "smlal2 v19.8h, v9.16b, v17.16b",
            "ldr q28, [{outputs}, #16]",
            "smlal2 v20.8h, v10.16b, v17.16b",
            "fmla v31.4s, v29.4s, v26.4s",
            "smlal2 v21.8h, v11.16b, v17.16b",
            "fmla v28.4s, v30.4s, v27.4s",
            "sadalp v22.4s, v18.8h",
            "smull v18.8h, v4.8b, v16.8b",
            "sadalp v23.4s, v19.8h",
            "smull v19.8h, v5.8b, v16.8b",
            "sadalp v24.4s, v20.8h",
            "smull v20.8h, v6.8b, v16.8b",
            "sadalp v25.4s, v21.8h",
            "smull v21.8h, v7.8b, v16.8b",
            "stp q31, q28, [{outputs}], #32",
            "smlal2 v18.8h, v4.16b, v16.16b",
            "addp v22.4s, v22.4s, v23.4s",
            "smlal2 v19.8h, v5.16b, v16.16b",
            "addp v24.4s, v24.4s, v25.4s",
            "smlal2 v20.8h, v6.16b, v16.16b",
            "smlal2 v21.8h, v7.16b, v16.16b",
            "ldr q28, [{x}, #-16]",
            "saddlp v27.4s, v18.8h",
            "smull v18.8h, v12.8b, v17.8b",
            "saddlp v23.4s, v19.8h",
            "smull v19.8h, v13.8b, v17.8b",
            "addp v26.4s, v22.4s, v24.4s",
            "saddlp v29.4s, v20.8h",
            "smull v20.8h, v14.8b, v17.8b",
            "saddlp v25.4s, v21.8h",
            "smull v21.8h, v15.8b, v17.8b",
            "subs {count}, {count}, #1",
            "smlal2 v18.8h, v12.16b, v17.16b",
            "smlal2 v19.8h, v13.16b, v17.16b",
            "smlal2 v20.8h, v14.16b, v17.16b",
            "smlal2 v21.8h, v15.16b, v17.16b",
            "sadalp v27.4s, v18.8h",
            "sadalp v23.4s, v19.8h",
            "sadalp v29.4s, v20.8h",
            "sadalp v25.4s, v21.8h",
            "addp v27.4s, v27.4s, v23.4s",
            "addp v29.4s, v29.4s, v25.4s",
            "addp v27.4s, v27.4s, v29.4s",
            "b.ne 2b"
            ],
            inout("v26") low, inout("v27") high, inout("v28") tail,
            out("v29") _, out("v30") _, out("v31") _,
            x = inout(reg) x => _, outputs = inout(reg) outputs => _, count = inout(reg) count => _,
            scales = in(reg) scales.as_ptr(),
        );
    }
    Pending { sums: [low, high], tail }
}
