//! The C functions.

use core::ffi::{c_int, c_void};

/// `vec_dot(n, s, bs, vx, bx, vy, by, nrc)`: `*s` = sum of `n` products of the row `vx` with the activations `vy`; the
/// strides `bs`, `bx`, `by` are unused for `nrc` = 1.
pub(crate) type VecDot =
    unsafe extern "C" fn(c_int, *mut f32, usize, *const c_void, usize, *const c_void, usize, c_int);
/// `dequantize_row(x, y, k)`: `k` weights of the row `x` as F32 to `y`.
pub(crate) type Dequantize = unsafe extern "C" fn(*const c_void, *mut f32, i64);
/// `quantize_row(x, y, k)`: `k` values of `x` as blocks to `y`.
pub(crate) type Quantize = unsafe extern "C" fn(*const f32, *mut c_void, i64);

macro_rules! declare {
    ($($dot:ident, $dequantize:ident;)*) => {
        unsafe extern "C" {
            $(
                pub(crate) fn $dot(
                    n: c_int,
                    s: *mut f32,
                    bs: usize,
                    vx: *const c_void,
                    bx: usize,
                    vy: *const c_void,
                    by: usize,
                    nrc: c_int,
                );
                pub(crate) fn $dequantize(x: *const c_void, y: *mut f32, k: i64);
            )*
        }
    };
}

declare! {
    ggml_vec_dot_q4_0_q8_0, dequantize_row_q4_0;
    ggml_vec_dot_q4_1_q8_1, dequantize_row_q4_1;
    ggml_vec_dot_q5_0_q8_0, dequantize_row_q5_0;
    ggml_vec_dot_q5_1_q8_1, dequantize_row_q5_1;
    ggml_vec_dot_q8_0_q8_0, dequantize_row_q8_0;
    ggml_vec_dot_q2_K_q8_K, dequantize_row_q2_K;
    ggml_vec_dot_q3_K_q8_K, dequantize_row_q3_K;
    ggml_vec_dot_q4_K_q8_K, dequantize_row_q4_K;
    ggml_vec_dot_q5_K_q8_K, dequantize_row_q5_K;
    ggml_vec_dot_q6_K_q8_K, dequantize_row_q6_K;
    ggml_vec_dot_iq2_xxs_q8_K, dequantize_row_iq2_xxs;
    ggml_vec_dot_iq2_xs_q8_K, dequantize_row_iq2_xs;
    ggml_vec_dot_iq2_s_q8_K, dequantize_row_iq2_s;
    ggml_vec_dot_iq3_xxs_q8_K, dequantize_row_iq3_xxs;
    ggml_vec_dot_iq3_s_q8_K, dequantize_row_iq3_s;
    ggml_vec_dot_iq1_s_q8_K, dequantize_row_iq1_s;
    ggml_vec_dot_iq1_m_q8_K, dequantize_row_iq1_m;
    ggml_vec_dot_iq4_nl_q8_0, dequantize_row_iq4_nl;
    ggml_vec_dot_iq4_xs_q8_K, dequantize_row_iq4_xs;
    ggml_vec_dot_tq1_0_q8_K, dequantize_row_tq1_0;
    ggml_vec_dot_tq2_0_q8_K, dequantize_row_tq2_0;
    ggml_vec_dot_mxfp4_q8_0, dequantize_row_mxfp4;
    ggml_vec_dot_nvfp4_q8_0, dequantize_row_nvfp4;
    ggml_vec_dot_q1_0_q8_0, dequantize_row_q1_0;
    ggml_vec_dot_q2_0_q8_0, dequantize_row_q2_0;
}

unsafe extern "C" {
    pub(crate) fn quantize_row_q8_0(x: *const f32, y: *mut c_void, k: i64);
    pub(crate) fn quantize_row_q8_1(x: *const f32, y: *mut c_void, k: i64);
    pub(crate) fn quantize_row_q8_K(x: *const f32, y: *mut c_void, k: i64);

    /// Of our own `shim/runtime.c`: elements of a block in the upper, bytes in the lower half; 0 for other types.
    pub(crate) safe fn barellama_ggml_block(kind: u32) -> u64;
}
