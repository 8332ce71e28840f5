//! The loop over tokens of weights whose scales belong to 16 of them, in assembly for the reason that [`super::token_loop`] has.

use core::arch::aarch64::*;

use super::token_loop::with_weights;

/// A part of a long block whose scales belong to 16 weights, for `count` tokens: adds products times scales to the sums of each, two
/// halves of a row's sum side by side.
///
/// `weights[row]` and `scales` are of the activations at `x`, then of those 64 further.
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
            "smull v17.8h, v0.8b, v16.8b",
            "smull v18.8h, v1.8b, v16.8b",
            "smull v19.8h, v2.8b, v16.8b",
            "smull v20.8h, v3.8b, v16.8b",
            "ldp q30, q31, [{tile}]",
            "smull v21.8h, v4.8b, v16.8b",
            "smull v22.8h, v5.8b, v16.8b",
            "smull v23.8h, v6.8b, v16.8b",
            "smull v24.8h, v7.8b, v16.8b",
            "smlal2 v17.8h, v0.16b, v16.16b",
            "smlal2 v18.8h, v1.16b, v16.16b",
            "smlal2 v19.8h, v2.16b, v16.16b",
            "smlal2 v20.8h, v3.16b, v16.16b",
            "smlal2 v21.8h, v4.16b, v16.16b",
            "addp v17.8h, v17.8h, v18.8h",
            "smlal2 v22.8h, v5.16b, v16.16b",
            "addp v19.8h, v19.8h, v20.8h",
            "smlal2 v23.8h, v6.16b, v16.16b",
            "smlal2 v24.8h, v7.16b, v16.16b",
            "ldr q16, [{x}], #240",
            "addp v25.8h, v17.8h, v19.8h",
            "smull v17.8h, v8.8b, v16.8b",
            "smull v18.8h, v9.8b, v16.8b",
            "addp v21.8h, v21.8h, v22.8h",
            "smull v19.8h, v10.8b, v16.8b",
            "addp v23.8h, v23.8h, v24.8h",
            "smull v20.8h, v11.8b, v16.8b",
            "smlal v30.4s, v25.4h, v26.4h",
            "smlal2 v31.4s, v25.8h, v26.8h",
            "addp v25.8h, v21.8h, v23.8h",
            "smull v21.8h, v12.8b, v16.8b",
            "smull v22.8h, v13.8b, v16.8b",
            "smull v23.8h, v14.8b, v16.8b",
            "smull v24.8h, v15.8b, v16.8b",
            "smlal2 v17.8h, v8.16b, v16.16b",
            "smlal2 v18.8h, v9.16b, v16.16b",
            "smlal2 v19.8h, v10.16b, v16.16b",
            "smlal2 v20.8h, v11.16b, v16.16b",
            "smlal2 v21.8h, v12.16b, v16.16b",
            "addp v17.8h, v17.8h, v18.8h",
            "smlal2 v22.8h, v13.16b, v16.16b",
            "addp v19.8h, v19.8h, v20.8h",
            "smlal2 v23.8h, v14.16b, v16.16b",
            "smlal2 v24.8h, v15.16b, v16.16b",
            "ldp q18, q20, [{tile}, #32]",
            "addp v17.8h, v17.8h, v19.8h",
            "addp v21.8h, v21.8h, v22.8h",
            "addp v23.8h, v23.8h, v24.8h",
            "smlal v18.4s, v25.4h, v27.4h",
            "smlal2 v20.4s, v25.8h, v27.8h",
            "smlal v30.4s, v17.4h, v28.4h",
            "smlal2 v31.4s, v17.8h, v28.8h",
            "addp v21.8h, v21.8h, v23.8h",
            "subs {count}, {count}, #1",
            "stp q30, q31, [{tile}], #32",
            "smlal v18.4s, v21.4h, v29.4h",
            "smlal2 v20.4s, v21.8h, v29.8h",
            "stp q18, q20, [{tile}], #32",
            "b.ne 2b"
            ],
            in("v26") scales[0][0], in("v27") scales[0][1],
            in("v28") scales[1][0], in("v29") scales[1][1], out("v30") _, out("v31") _,
            x = inout(reg) x => _, tile = inout(reg) tile => _, count = inout(reg) count => _,
        );
    }
}
