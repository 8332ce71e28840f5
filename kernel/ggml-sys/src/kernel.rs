//! The kernels of each weight type.

use core::ffi::c_int;

use crate::TensorType;
use crate::bindings::*;

/// A block format for activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationType {
    /// 32 values as `i8` with an F16 scale.
    Q8_0,
    /// 32 values as `i8` with an F16 scale and an F16 sum.
    Q8_1,
    /// 256 values as `i8` with an F32 scale and sums of 16.
    Q8K,
}

impl ActivationType {
    /// The tensor type that has this format.
    #[must_use]
    pub const fn tensor_type(self) -> TensorType {
        match self {
            Self::Q8_0 => TensorType::Q8_0,
            Self::Q8_1 => TensorType::Q8_1,
            Self::Q8K => TensorType::Q8_K,
        }
    }

    /// Bytes of a row of `elements`; `None` if they are not whole blocks.
    #[must_use]
    pub const fn row_bytes(self, elements: usize) -> Option<usize> {
        self.tensor_type().row_bytes(elements)
    }

    /// Alignment of a row in bytes: that of the widest field of a block (ggml, `ggml-common.h`). A row of an odd number of
    /// Q8_0 blocks of 34 bytes is followed by one that is aligned to 2 only.
    #[must_use]
    pub const fn alignment(self) -> usize {
        match self {
            Self::Q8_0 => 2,
            Self::Q8_1 | Self::Q8K => 4,
        }
    }

    /// Quantizes `values` to `blocks`. A block with a value that is not finite gets a scale that is no number; one of values below
    /// 1e-36 becomes zeros.
    ///
    /// # Panics
    /// If `values` are not whole blocks, `blocks` is not [`Self::row_bytes`] long or not aligned to [`Self::alignment`].
    pub fn quantize(self, values: &[f32], blocks: &mut [u8]) {
        assert_eq!(self.row_bytes(values.len()), Some(blocks.len()), "activations are whole blocks");
        assert_aligned(blocks, self.alignment());
        if values.chunks_exact(self.tensor_type().block_elements()).all(is_plain) {
            return self.quantize_plain(values, blocks);
        }
        let (elements, bytes) = (self.tensor_type().block_elements(), self.tensor_type().block_bytes());
        for (values, block) in values.chunks_exact(elements).zip(blocks.chunks_exact_mut(bytes)) {
            if is_plain(values) {
                self.quantize_plain(values, block);
            } else {
                block.fill(0);
                if values.iter().any(|value| !value.is_finite()) {
                    self.spoil(block);
                }
            }
        }
    }

    /// Makes a block of zeros one whose products are no numbers.
    fn spoil(self, block: &mut [u8]) {
        match self {
            Self::Q8_0 | Self::Q8_1 => block[..2].copy_from_slice(&[0x00, 0x7E]),
            Self::Q8K => block[..4].copy_from_slice(&f32::NAN.to_le_bytes()),
        }
    }

    fn quantize_plain(self, values: &[f32], blocks: &mut [u8]) {
        let function: Quantize = match self {
            Self::Q8_0 => quantize_row_q8_0,
            Self::Q8_1 => quantize_row_q8_1,
            Self::Q8K => quantize_row_q8_K,
        };
        // SAFETY: the function reads `values.len()` floats and writes the blocks that hold them, which is exactly the length of
        // `blocks` in both calls above, aligned for their fields: `quantize` asserts it for the row, and blocks are multiples of it.
        unsafe { function(values.as_ptr(), blocks.as_mut_ptr().cast(), values.len() as i64) };
    }
}

/// Least largest magnitude of a block of activations that are not taken for zeros: below about 4e-37 the inverse of the scale is
/// infinite, and C leaves open what becomes of the product as an integer.
const LEAST_MAGNITUDE: f32 = 1e-36;

/// Whether ggml's C is defined for a block of activations.
fn is_plain(values: &[f32]) -> bool {
    let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    values.iter().all(|value| value.is_finite()) && (largest == 0.0 || largest >= LEAST_MAGNITUDE)
}

/// The kernels for one type of quantized weights.
#[derive(Clone, Copy, Debug)]
pub struct WeightKernel {
    kind: TensorType,
    activation: ActivationType,
    dot: VecDot,
    dequantize: Dequantize,
}

impl WeightKernel {
    /// The kernels of a type; `None` for plain types and for those that are only activations.
    #[must_use]
    pub fn of(kind: TensorType) -> Option<Self> {
        use ActivationType::{Q8_0, Q8_1, Q8K};
        let (activation, dot, dequantize): (_, VecDot, Dequantize) = match kind {
            TensorType::Q4_0 => (Q8_0, ggml_vec_dot_q4_0_q8_0, dequantize_row_q4_0),
            TensorType::Q4_1 => (Q8_1, ggml_vec_dot_q4_1_q8_1, dequantize_row_q4_1),
            TensorType::Q5_0 => (Q8_0, ggml_vec_dot_q5_0_q8_0, dequantize_row_q5_0),
            TensorType::Q5_1 => (Q8_1, ggml_vec_dot_q5_1_q8_1, dequantize_row_q5_1),
            TensorType::Q8_0 => (Q8_0, ggml_vec_dot_q8_0_q8_0, dequantize_row_q8_0),
            TensorType::Q2_K => (Q8K, ggml_vec_dot_q2_K_q8_K, dequantize_row_q2_K),
            TensorType::Q3_K => (Q8K, ggml_vec_dot_q3_K_q8_K, dequantize_row_q3_K),
            TensorType::Q4_K => (Q8K, ggml_vec_dot_q4_K_q8_K, dequantize_row_q4_K),
            TensorType::Q5_K => (Q8K, ggml_vec_dot_q5_K_q8_K, dequantize_row_q5_K),
            TensorType::Q6_K => (Q8K, ggml_vec_dot_q6_K_q8_K, dequantize_row_q6_K),
            TensorType::IQ2_XXS => (Q8K, ggml_vec_dot_iq2_xxs_q8_K, dequantize_row_iq2_xxs),
            TensorType::IQ2_XS => (Q8K, ggml_vec_dot_iq2_xs_q8_K, dequantize_row_iq2_xs),
            TensorType::IQ2_S => (Q8K, ggml_vec_dot_iq2_s_q8_K, dequantize_row_iq2_s),
            TensorType::IQ3_XXS => (Q8K, ggml_vec_dot_iq3_xxs_q8_K, dequantize_row_iq3_xxs),
            TensorType::IQ3_S => (Q8K, ggml_vec_dot_iq3_s_q8_K, dequantize_row_iq3_s),
            TensorType::IQ1_S => (Q8K, ggml_vec_dot_iq1_s_q8_K, dequantize_row_iq1_s),
            TensorType::IQ1_M => (Q8K, ggml_vec_dot_iq1_m_q8_K, dequantize_row_iq1_m),
            TensorType::IQ4_NL => (Q8_0, ggml_vec_dot_iq4_nl_q8_0, dequantize_row_iq4_nl),
            TensorType::IQ4_XS => (Q8K, ggml_vec_dot_iq4_xs_q8_K, dequantize_row_iq4_xs),
            TensorType::TQ1_0 => (Q8K, ggml_vec_dot_tq1_0_q8_K, dequantize_row_tq1_0),
            TensorType::TQ2_0 => (Q8K, ggml_vec_dot_tq2_0_q8_K, dequantize_row_tq2_0),
            TensorType::MXFP4 => (Q8_0, ggml_vec_dot_mxfp4_q8_0, dequantize_row_mxfp4),
            TensorType::NVFP4 => (Q8_0, ggml_vec_dot_nvfp4_q8_0, dequantize_row_nvfp4),
            TensorType::Q1_0 => (Q8_0, ggml_vec_dot_q1_0_q8_0, dequantize_row_q1_0),
            TensorType::Q2_0 => (Q8_0, ggml_vec_dot_q2_0_q8_0, dequantize_row_q2_0),
            _ => return None,
        };
        Some(Self { kind, activation, dot, dequantize })
    }

    /// The weight type.
    #[must_use]
    pub const fn kind(&self) -> TensorType {
        self.kind
    }

    /// The activations that [`Self::dot`] takes.
    #[must_use]
    pub const fn activation(&self) -> ActivationType {
        self.activation
    }

    /// Alignment of a row in bytes: blocks of an odd size, those of MXFP4, have no field wider than a byte.
    const fn alignment(&self) -> usize {
        if self.kind.block_bytes().is_multiple_of(2) { 2 } else { 1 }
    }

    /// The product of a row of `elements` weights with as many activations.
    ///
    /// # Panics
    /// If `row` or `activations` do not hold exactly `elements`, or are not aligned for their fields.
    #[must_use]
    pub fn dot(&self, elements: usize, row: &[u8], activations: &[u8]) -> f32 {
        assert_eq!(self.kind.row_bytes(elements), Some(row.len()), "a row is whole blocks");
        assert_eq!(self.activation.row_bytes(elements), Some(activations.len()), "activations are whole blocks");
        assert_aligned(row, self.alignment());
        assert_aligned(activations, self.activation.alignment());
        let count = c_int::try_from(elements).unwrap_or(0);
        let mut sum = 0.0;
        // SAFETY: the function reads `count` elements of both formats, which is what the slices hold by the assertions (a count
        // of 0 reads nothing), and writes one float. No weight block has a field wider than 2 bytes, no activation block wider
        // than 4. Every bit pattern of a block is a valid one: grid indices are masked to the size of the grids.
        unsafe { (self.dot)(count, &raw mut sum, 0, row.as_ptr().cast(), 0, activations.as_ptr().cast(), 0, 1) };
        sum
    }

    /// The weights of a row as F32.
    ///
    /// # Panics
    /// If `row` does not hold exactly `values.len()` weights or is not aligned to 2 bytes (MXFP4: any).
    pub fn dequantize(&self, row: &[u8], values: &mut [f32]) {
        assert_eq!(self.kind.row_bytes(values.len()), Some(row.len()), "a row is whole blocks");
        assert_aligned(row, self.alignment());
        // SAFETY: the function reads the blocks of `values.len()` weights, which is what `row` holds by the assertion, and writes as
        // many floats.
        unsafe { (self.dequantize)(row.as_ptr().cast(), values.as_mut_ptr(), values.len() as i64) };
    }
}

fn assert_aligned(bytes: &[u8], alignment: usize) {
    assert!(bytes.as_ptr().addr().is_multiple_of(alignment), "blocks are aligned to {alignment} bytes");
}
