//! The loops over tokens, in assembly.
//!
//! The compiler keeps a second copy of the low halves of 16 registers full of weights and spills them; written by hand the
//! loop of the formats with nibbles has seven instructions per block and token. While one token is multiplied, the sums of the token
//! before it are finished: their steps are spread between the multiplications, where neither waits for the other.

use core::arch::aarch64::*;

/// Expands to assembly with 32 weights of each of eight rows in `v0` to `v15`, first halves first. It may use `v16` to `v25` beside its
/// operands.
macro_rules! with_weights {
    (weights: $weights:expr, text: [$($line:literal),* $(,)?], $($operands:tt)*) => {
        core::arch::asm!(
            $($line,)*
            in("v0") $weights[0][0], in("v1") $weights[1][0], in("v2") $weights[2][0], in("v3") $weights[3][0],
            in("v4") $weights[4][0], in("v5") $weights[5][0], in("v6") $weights[6][0], in("v7") $weights[7][0],
            in("v8") $weights[0][1], in("v9") $weights[1][1], in("v10") $weights[2][1], in("v11") $weights[3][1],
            in("v12") $weights[4][1], in("v13") $weights[5][1], in("v14") $weights[6][1], in("v15") $weights[7][1],
            out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _, out("v21") _, out("v22") _,
            out("v23") _, out("v24") _, out("v25") _,
            options(nostack),
            $($operands)*
        )
    };
}
pub(super) use with_weights;

/// Expands to the assembly of a loop. The sums of the token before are in `v26`; steps may use `v27` to `v31` and must be
/// done with `v26` after the last one.
macro_rules! token_loop {
    (
        weights: $weights:expr,
        activations: $load:literal,
        steps: [$a:literal, $b:literal, $c:literal, $d:literal, $e:literal, $f:literal, $g:literal, $h:literal],
        end: $end:literal,
        $($operands:tt)*
    ) => {
        with_weights! {
            weights: $weights,
            text: [
            "2:",
            $load,
            "smull v18.8h, v0.8b, v16.8b",
            "smull v19.8h, v1.8b, v16.8b",
            "smull v20.8h, v2.8b, v16.8b",
            "smull v21.8h, v3.8b, v16.8b",
            $a,
            "smull v22.8h, v4.8b, v16.8b",
            "smull v23.8h, v5.8b, v16.8b",
            "smull v24.8h, v6.8b, v16.8b",
            "smull v25.8h, v7.8b, v16.8b",
            $b,
            "smlal2 v18.8h, v0.16b, v16.16b",
            "smlal2 v19.8h, v1.16b, v16.16b",
            "smlal2 v20.8h, v2.16b, v16.16b",
            "smlal2 v21.8h, v3.16b, v16.16b",
            $c,
            "smlal2 v22.8h, v4.16b, v16.16b",
            "smlal2 v23.8h, v5.16b, v16.16b",
            "smlal2 v24.8h, v6.16b, v16.16b",
            "smlal2 v25.8h, v7.16b, v16.16b",
            $d,
            "smlal v18.8h, v8.8b, v17.8b",
            "smlal v19.8h, v9.8b, v17.8b",
            "smlal v20.8h, v10.8b, v17.8b",
            "smlal v21.8h, v11.8b, v17.8b",
            $e,
            "smlal v22.8h, v12.8b, v17.8b",
            "smlal v23.8h, v13.8b, v17.8b",
            "smlal v24.8h, v14.8b, v17.8b",
            "smlal v25.8h, v15.8b, v17.8b",
            $f,
            "smlal2 v18.8h, v8.16b, v17.16b",
            "smlal2 v19.8h, v9.16b, v17.16b",
            "smlal2 v20.8h, v10.16b, v17.16b",
            "smlal2 v21.8h, v11.16b, v17.16b",
            $g,
            "smlal2 v22.8h, v12.16b, v17.16b",
            "smlal2 v23.8h, v13.16b, v17.16b",
            "smlal2 v24.8h, v14.16b, v17.16b",
            "smlal2 v25.8h, v15.16b, v17.16b",
            $h,
            "addp v18.8h, v18.8h, v19.8h",
            "addp v20.8h, v20.8h, v21.8h",
            "addp v22.8h, v22.8h, v23.8h",
            "addp v24.8h, v24.8h, v25.8h",
            "addp v18.8h, v18.8h, v20.8h",
            "addp v22.8h, v22.8h, v24.8h",
            "subs {count}, {count}, #1",
            "addp v26.8h, v18.8h, v22.8h",
            $end,
            "b.ne 2b"
            ],
            out("v28") _, out("v29") _, out("v30") _,
            $($operands)*
        }
    };
}

/// Where a loop over tokens stands.
#[derive(Clone, Copy)]
pub(super) struct Pending {
    /// The sums of a token that were not added to its outputs yet.
    pub(super) sums: int16x8_t,
    /// What follows the integers in its block of activations.
    pub(super) tail: int8x16_t,
}

/// Goes `count` tokens on: finishes as many in `outputs`, the last one's sums are pending. `x` is the block of activations
/// behind the pending one.
///
/// # Safety
/// `count` is not 0; `count` blocks of 48 bytes lie at `x`, and as many outputs of 32 bytes at `outputs`, both at multiples
/// of 16.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn with_scales(
    weights: &[[int8x16_t; 2]; 8],
    scales: &[float32x4_t; 2],
    pending: Pending,
    x: *const u8,
    outputs: *mut f32,
    count: usize,
) -> Pending {
    let Pending { mut sums, mut tail } = pending;
    // SAFETY: one block is read and one output rewritten in each of `count` turns, as the caller promises; `scales` is read.
    // All registers that the text names are operands.
    unsafe {
        token_loop!(
            weights: weights,
            activations: "ldp q16, q17, [{x}], #48",
            steps: [
                "dup v28.8h, v27.h[4]",
                "sub v26.8h, v26.8h, v28.8h",
                "ldp q30, q31, [{scales}]",
                "fmul v30.4s, v30.4s, v27.s[0]\nfmul v31.4s, v31.4s, v27.s[0]",
                "sshll v28.4s, v26.4h, #0\nsshll2 v26.4s, v26.8h, #0",
                "scvtf v28.4s, v28.4s\nscvtf v26.4s, v26.4s\nldp q27, q29, [{outputs}]",
                "fmla v27.4s, v30.4s, v28.4s\nfmla v29.4s, v31.4s, v26.4s",
                "stp q27, q29, [{outputs}], #32"
            ],
            end: "ldr q27, [{x}, #-16]",
            inout("v26") sums, inout("v27") tail, out("v31") _,
            x = inout(reg) x => _, outputs = inout(reg) outputs => _, count = inout(reg) count => _,
            scales = in(reg) scales.as_ptr(),
        );
    }
    Pending { sums, tail }
}

/// As [`with_scales`] for weights that have minima, which follow the scales.
///
/// # Safety
/// As [`with_scales`].
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn with_minima(
    weights: &[[int8x16_t; 2]; 8],
    scales: &[[float32x4_t; 2]; 2],
    pending: Pending,
    x: *const u8,
    outputs: *mut f32,
    count: usize,
) -> Pending {
    let Pending { mut sums, mut tail } = pending;
    // SAFETY: one block is read and one output rewritten in each of `count` turns, as the caller promises; `scales` is read.
    // All registers that the text names are operands.
    unsafe {
        token_loop!(
            weights: weights,
            activations: "ldp q16, q17, [{x}], #48",
            steps: [
                "dup v28.8h, v27.h[4]\nldp q30, q31, [{scales}]",
                "sub v26.8h, v26.8h, v28.8h",
                "fmul v30.4s, v30.4s, v27.s[0]\nfmul v31.4s, v31.4s, v27.s[0]",
                "saddl2 v29.4s, v26.8h, v28.8h\nsaddl v26.4s, v26.4h, v28.4h",
                "scvtf v29.4s, v29.4s\nscvtf v26.4s, v26.4s\nldr q28, [{outputs}]",
                "fmla v28.4s, v30.4s, v26.4s\nldr q26, [{outputs}, #16]",
                "fmla v26.4s, v31.4s, v29.4s\nldp q30, q31, [{scales}, #32]",
                "fmla v28.4s, v30.4s, v27.s[1]\nfmla v26.4s, v31.4s, v27.s[1]\nstp q28, q26, [{outputs}], #32"
            ],
            end: "ldr q27, [{x}, #-16]",
            inout("v26") sums, inout("v27") tail, out("v31") _,
            x = inout(reg) x => _, outputs = inout(reg) outputs => _, count = inout(reg) count => _,
            scales = in(reg) scales.as_ptr(),
        );
    }
    Pending { sums, tail }
}

/// One part of a long block for `count` more tokens: for each the pending sums less `8 sum(x)`, times `scales`, are added to
/// its sums. Returns the pending sums of the last one.
///
/// # Safety
/// `count` is not 0; `count` times, 304 bytes apart, 32 integers lie at `x` and a sum at `offsets` (the pending token's is the
/// first); `count` times four vectors lie at `tile`, of which two are rewritten. `x` and `tile` are multiples of 16.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn with_parts(
    weights: &[[int8x16_t; 2]; 8],
    scales: int16x8_t,
    mut sums: int16x8_t,
    x: *const u8,
    offsets: *const u8,
    tile: *mut [int32x4_t; 4],
    count: usize,
) -> int16x8_t {
    // SAFETY: one part is read, one sum, and two vectors rewritten in each of `count` turns, as the caller promises. All
    // registers that the text names are operands.
    unsafe {
        token_loop!(
            weights: weights,
            activations: "ldp q16, q17, [{x}], #304",
            steps: [
                "ld1r {{v28.8h}}, [{offsets}], {stride}",
                "sub v26.8h, v26.8h, v28.8h",
                "ldp q29, q30, [{tile}]",
                "smlal v29.4s, v26.4h, v31.4h",
                "smlal2 v30.4s, v26.8h, v31.8h",
                "",
                "stp q29, q30, [{tile}], #64",
                ""
            ],
            end: "",
            inout("v26") sums, out("v27") _, in("v31") scales,
            x = inout(reg) x => _, offsets = inout(reg) offsets => _, tile = inout(reg) tile => _,
            count = inout(reg) count => _, stride = in(reg) 304_usize,
        );
    }
    sums
}
