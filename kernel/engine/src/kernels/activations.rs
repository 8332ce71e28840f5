//! Activations as blocks of 8-bit integers, in the layout that the kernels read.
//!
//! The blocks of one place in the row follow each other for all tokens (`block 0 of token 0, 1, ...; block 1 of token 0, 1,
//! ...`): a kernel unpacks weights once and meets the tokens in a row. Integers are rounded exactly as ggml's reference does
//! (`quantize_row_q8_0_ref`, `quantize_row_q8_K_ref`); scales stay F32, where ggml rounds those of the short blocks to F16.

use super::format::ALIGNMENT;

/// How activations are quantized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ActivationFormat {
    /// 32 integers, a scale, and their sum.
    ///
    /// 48 bytes: `[i8; 32]`, scale `d: f32`, `d * sum: f32`, `8 * sum: i32`, 4 bytes of zero.
    Blocks32,
    /// 256 integers, a scale, and a sum for every 32.
    ///
    /// 304 bytes: `[i8; 256]`, sums `[i16; 8]`, `8 * sums: [i16; 8]`, scale `d: f32`, 12 bytes of zero.
    Blocks256,
}

/// Largest magnitude of an integer. -128 does not occur: the bounds of the kernels' `int16` sums rest on that.
pub(super) const LARGEST: f32 = 127.0;

impl ActivationFormat {
    /// Activations of a block.
    #[must_use]
    pub const fn block_values(self) -> usize {
        match self {
            Self::Blocks32 => 32,
            Self::Blocks256 => 256,
        }
    }

    /// Bytes of a block, a multiple of the alignment that kernels expect.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::Blocks32 => 48,
            Self::Blocks256 => 304,
        }
    }

    /// Bytes of the blocks of one token; `None` if its values are not whole blocks.
    #[must_use]
    pub const fn token_bytes(self, values: usize) -> Option<usize> {
        if values.is_multiple_of(self.block_values()) {
            Some(values / self.block_values() * self.block_bytes())
        } else {
            None
        }
    }

    /// Quantizes one block. Values that are not finite give a scale that is not finite.
    ///
    /// # Panics
    /// If `values` or `block` do not have the format's length, or `block` is not aligned to 16 bytes.
    pub fn quantize(self, values: &[f32], block: &mut [u8]) {
        assert_eq!((values.len(), block.len()), (self.block_values(), self.block_bytes()), "one block");
        assert!(block.as_ptr().addr().is_multiple_of(ALIGNMENT), "blocks are aligned to {ALIGNMENT} bytes");
        #[cfg(target_arch = "aarch64")]
        super::neon::quantize(self, values, block);
        #[cfg(not(target_arch = "aarch64"))]
        self.quantize_portable(values, block);
    }

    /// The definition of [`Self::quantize`]; the vector code gives the same bytes (the payload of what is not a number aside).
    ///
    /// # Panics
    /// If `values` or `block` do not have the format's length.
    pub fn quantize_portable(self, values: &[f32], block: &mut [u8]) {
        match self {
            Self::Blocks32 => quantize_32(values, block),
            Self::Blocks256 => quantize_256(values, block),
        }
    }
}

/// `d` = largest magnitude / 127; integers are `x / d` rounded to the nearest, ties away from zero.
fn quantize_32(values: &[f32], block: &mut [u8]) {
    let scale = largest_magnitude(values) / LARGEST;
    let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
    let mut sum = 0_i32;
    for (value, byte) in values.iter().zip(&mut block[..32]) {
        let integer = libm::roundf(value * inverse).clamp(-LARGEST, LARGEST) as i8;
        sum += i32::from(integer);
        *byte = integer as u8;
    }
    block[32..36].copy_from_slice(&scale.to_le_bytes());
    block[36..40].copy_from_slice(&(scale * sum as f32).to_le_bytes());
    block[40..44].copy_from_slice(&(8 * sum).to_le_bytes());
    block[44..48].fill(0);
}

/// `d` = 1 / (127 / largest magnitude); integers are `x / d` rounded to the nearest, ties to even.
fn quantize_256(values: &[f32], block: &mut [u8]) {
    let largest = largest_magnitude(values);
    let inverse = if largest == 0.0 { 0.0 } else { LARGEST / largest };
    let scale = if largest == 0.0 { 0.0 } else { 1.0 / inverse };
    let (bytes, rest) = block.split_at_mut(256);
    for (index, (values, bytes)) in values.chunks_exact(32).zip(bytes.chunks_exact_mut(32)).enumerate() {
        let mut sum = 0_i16;
        for (value, byte) in values.iter().zip(bytes) {
            let integer = libm::rintf(value * inverse).clamp(-LARGEST, LARGEST) as i8;
            sum += i16::from(integer);
            *byte = integer as u8;
        }
        rest[2 * index..][..2].copy_from_slice(&sum.to_le_bytes());
        rest[16 + 2 * index..][..2].copy_from_slice(&(8 * sum).to_le_bytes());
    }
    rest[32..36].copy_from_slice(&scale.to_le_bytes());
    rest[36..48].fill(0);
}

/// Not a number if any of the values is not.
fn largest_magnitude(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| {
        let magnitude = value.abs();
        if magnitude > largest || magnitude.is_nan() { magnitude } else { largest }
    })
}
