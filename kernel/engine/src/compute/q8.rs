//! ggml's Q8_0: 32 values as `i8` with one F16 scale, 34 bytes.

use super::half;

/// Values of a block.
pub const BLOCK_VALUES: usize = 32;
/// Bytes of a block: the scale, then a byte for each value.
pub const BLOCK_BYTES: usize = 2 + BLOCK_VALUES;

/// Rounds values to blocks as ggml's `quantize_row_q8_0_ref` does: the largest becomes 127, ties go away from zero.
/// `values` are whole blocks, `blocks` are as many.
pub fn quantize(values: &[f32], blocks: &mut [u8]) {
    let (values, blocks) = (values.as_chunks::<BLOCK_VALUES>().0, blocks.as_chunks_mut::<BLOCK_BYTES>().0);
    for (values, block) in values.iter().zip(blocks) {
        let largest = values.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        let scale = largest / 127.0;
        let inverse = if scale == 0.0 { 0.0 } else { 1.0 / scale };
        let [low, high, places @ ..] = block;
        [*low, *high] = half::f32_to_f16(scale).to_le_bytes();
        for (place, value) in places.iter_mut().zip(values) {
            #[allow(clippy::cast_possible_truncation)]
            let rounded = libm::roundf(value * inverse) as i8;
            *place = rounded.cast_unsigned();
        }
    }
}

/// The values of blocks.
pub fn dequantize(blocks: &[u8], values: &mut [f32]) {
    let (blocks, values) = (blocks.as_chunks::<BLOCK_BYTES>().0, values.as_chunks_mut::<BLOCK_VALUES>().0);
    for (block, values) in blocks.iter().zip(values) {
        let [low, high, places @ ..] = block;
        let scale = half::f16_to_f32(u16::from_le_bytes([*low, *high]));
        for (value, place) in values.iter_mut().zip(places) {
            *value = f32::from(place.cast_signed()) * scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use barellama_ggml_sys::{ActivationType, TensorType, WeightKernel};

    #[test]
    fn blocks_and_values_are_ggmls() {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8e5 - 10.0
        };
        let mut values: Vec<f32> = (0..64 * 9).map(|_| next()).collect();
        values[64..96].fill(0.0);
        values[100] = 1e30;
        values[200] = -70_000.0;
        let mut blocks = [0u8; 18 * BLOCK_BYTES];
        let mut theirs = [0u32; 18 * BLOCK_BYTES / 4];
        quantize(&values, &mut blocks);
        ActivationType::Q8_0.quantize(&values, bytemuck::cast_slice_mut(&mut theirs));
        assert_eq!(blocks, *bytemuck::cast_slice::<u32, u8>(&theirs));
        let (mut ours, mut expected) = ([0.0; 64 * 9], [0.0; 64 * 9]);
        dequantize(&blocks, &mut ours);
        WeightKernel::of(TensorType::Q8_0).unwrap().dequantize(bytemuck::cast_slice(&theirs), &mut expected);
        assert_eq!(ours.map(f32::to_bits), expected.map(f32::to_bits));
    }
}
