//! The loop over tokens of weights whose scales belong to 16 of them, in assembly for the reason that [`super::token_loop`] has.

use core::arch::aarch64::*;

use super::token_loop::with_weights;

/// A part of a long block whose scales belong to 16 weights, for `count` tokens: adds products times scales to the sums of each, two
/// halves of a row's sum side by side. Exact for weights from -32 to 31: 8 * 32 * 127 = 32512 in each 16-bit half.
///
/// `weights` and `scales` are of the 16 activations at `x`, then of those 64 further. The first four vectors of weights have two rows
/// each, of weights 0 to 3 and then 8 to 11; the other four those between. TRN1 and TRN2 make activations of the same order, so that a
/// lane adds four products and one ADDP does for four rows.
///
/// # Safety
/// `count` is not 0; `count` times, 304 bytes apart, 80 integers lie at `x`; `count` times four vectors lie at `tile`, which are
/// rewritten. `x` and `tile` are multiples of 16.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn with_half_parts(
    weights: &[[int8x16_t; 2]; 8],
    scales: &[[int16x8_t; 2]; 2],
    x: *const u8,
    tile: *mut [int32x4_t; 4],
    count: usize,
) {
    // SAFETY: two stretches of integers are read and four vectors rewritten in each of `count` turns, as the caller promises. All
    // registers that the text names are operands.
    unsafe {
        with_weights!(
            weights: weights,
            text: [
            "2:",
            "ldr q16, [{x}], #64",
            "ldr q17, [{x}], #240",
            "trn1 v18.4s, v16.4s, v16.4s",
            "trn2 v19.4s, v16.4s, v16.4s",
            "ldp q20, q21, [{tile}]",
            "ldp q22, q23, [{tile}, #32]",
            "smull v24.8h, v0.8b, v18.8b",
            "smull v25.8h, v1.8b, v18.8b",
            "smull v30.8h, v2.8b, v18.8b",
            "smull v31.8h, v3.8b, v18.8b",
            "smlal2 v24.8h, v0.16b, v18.16b",
            "smlal2 v25.8h, v1.16b, v18.16b",
            "smlal2 v30.8h, v2.16b, v18.16b",
            "smlal2 v31.8h, v3.16b, v18.16b",
            "trn1 v16.4s, v17.4s, v17.4s",
            "trn2 v18.4s, v17.4s, v17.4s",
            "smlal v24.8h, v4.8b, v19.8b",
            "smlal v25.8h, v5.8b, v19.8b",
            "smlal v30.8h, v6.8b, v19.8b",
            "smlal v31.8h, v7.8b, v19.8b",
            "smull v17.8h, v8.8b, v16.8b",
            "smlal2 v24.8h, v4.16b, v19.16b",
            "smlal2 v25.8h, v5.16b, v19.16b",
            "smlal2 v30.8h, v6.16b, v19.16b",
            "smlal2 v31.8h, v7.16b, v19.16b",
            "smull v19.8h, v9.8b, v16.8b",
            "smlal2 v17.8h, v8.16b, v16.16b",
            "addp v25.8h, v24.8h, v25.8h",
            "smull v24.8h, v10.8b, v16.8b",
            "addp v31.8h, v30.8h, v31.8h",
            "smull v30.8h, v11.8b, v16.8b",
            "smlal2 v19.8h, v9.16b, v16.16b",
            "smlal v17.8h, v12.8b, v18.8b",
            "smlal v20.4s, v25.4h, v26.4h",
            "smlal2 v21.4s, v25.8h, v26.8h",
            "smlal v22.4s, v31.4h, v27.4h",
            "smlal2 v23.4s, v31.8h, v27.8h",
            "smlal2 v24.8h, v10.16b, v16.16b",
            "smlal2 v30.8h, v11.16b, v16.16b",
            "smlal v19.8h, v13.8b, v18.8b",
            "smlal2 v17.8h, v12.16b, v18.16b",
            "smlal v24.8h, v14.8b, v18.8b",
            "smlal v30.8h, v15.8b, v18.8b",
            "smlal2 v19.8h, v13.16b, v18.16b",
            "smlal2 v24.8h, v14.16b, v18.16b",
            "smlal2 v30.8h, v15.16b, v18.16b",
            "addp v25.8h, v17.8h, v19.8h",
            "addp v31.8h, v24.8h, v30.8h",
            "smlal v20.4s, v25.4h, v28.4h",
            "smlal2 v21.4s, v25.8h, v28.8h",
            "smlal v22.4s, v31.4h, v29.4h",
            "smlal2 v23.4s, v31.8h, v29.8h",
            "stp q20, q21, [{tile}], #32",
            "stp q22, q23, [{tile}], #32",
            "subs {count}, {count}, #1",
            "b.ne 2b"
            ],
            in("v26") scales[0][0], in("v27") scales[0][1],
            in("v28") scales[1][0], in("v29") scales[1][1], out("v30") _, out("v31") _,
            x = inout(reg) x => _, tile = inout(reg) tile => _, count = inout(reg) count => _,
        );
    }
}
