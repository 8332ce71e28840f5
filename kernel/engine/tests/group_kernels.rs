//! The kernels of eight rows against ggml's products of the same rows.

use barellama_engine::kernels::{GroupFormat, GroupKernel, Outputs, ROWS, WeightFormat, interleave};
use barellama_ggml_sys::WeightKernel;

const COLUMNS: usize = 1024;
const TOKENS: usize = 3;

#[repr(align(16))]
struct Aligned([u8; 128 << 10]);

/// Xorshift, so that failures repeat.
struct Random(u64);

impl Random {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as u8
    }
}

/// Random blocks with scales near 1/16.
fn random_rows(format: WeightFormat, random: &mut Random, rows: &mut [u8]) {
    for block in rows.chunks_exact_mut(format.block_bytes()) {
        block.fill_with(|| random.byte());
        let scales: &[usize] = match format {
            WeightFormat::Q4_0 | WeightFormat::Q8_0 => &[0],
            WeightFormat::Q4_1 | WeightFormat::Q4K | WeightFormat::Q5K => &[0, 2],
            WeightFormat::Q6K => &[208],
        };
        for &at in scales {
            block[at + 1] = 0x2C | block[at + 1] & 0x80;
        }
    }
}

#[test]
fn products_are_those_of_ggml() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let values: Vec<f32> = (0..COLUMNS * TOKENS).map(|_| f32::from(random.byte()) / 127.5 - 1.0).collect();
    for group_format in GroupFormat::all() {
        let format = group_format.weights;
        let ggml = WeightKernel::of(format.tensor_type()).unwrap();
        let row_bytes = COLUMNS / format.block_weights() * format.block_bytes();
        let mut plain = Aligned([0; 128 << 10]);
        let plain = &mut plain.0[..row_bytes * ROWS];
        random_rows(format, &mut random, plain);
        let mut group = Aligned([0; 128 << 10]);
        let group = &mut group.0[..row_bytes * ROWS];
        group.copy_from_slice(plain);
        interleave(group_format, group, row_bytes, &mut vec![0; row_bytes * ROWS]).unwrap();

        let outputs = products(group_format, group, &values);
        for (token, values) in values.chunks_exact(COLUMNS).enumerate() {
            let mut blocks = Aligned([0; 128 << 10]);
            let blocks = &mut blocks.0[..ggml.activation().row_bytes(COLUMNS).unwrap()];
            ggml.activation().quantize(values, blocks);
            for (row, bytes) in plain.chunks_exact(row_bytes).enumerate() {
                let expected = ggml.dot(COLUMNS, bytes, blocks);
                let mut weights = vec![0.0; COLUMNS];
                ggml.dequantize(bytes, &mut weights);
                let size: f32 = weights.iter().zip(values).map(|(weight, value)| (weight * value).abs()).sum();
                let found = outputs[token].0[row];
                // ggml rounds the scales of short blocks of activations to F16, 2^-11 of each product at most; sums of floats
                // in another order differ by less.
                let bound = size / 1024.0;
                assert!(
                    size > 1.0 && (found - expected).abs() <= bound,
                    "{group_format:?}: {found} is not {expected} ({size})"
                );
            }
        }
    }
}

fn products(format: GroupFormat, group: &[u8], values: &[f32]) -> [Outputs; TOKENS] {
    // Only the kernel for this processor may run; the definition has both orders.
    let kernel = GroupKernel::portable(format);
    let format = format.weights;
    let (length, bytes) = (format.block_weights(), format.activation().block_bytes());
    let blocks = COLUMNS / length;
    let mut activations = Aligned([0; 128 << 10]);
    let activations = &mut activations.0[..blocks * TOKENS * bytes];
    for (index, block) in activations.chunks_exact_mut(bytes).enumerate() {
        let start = index % TOKENS * COLUMNS + index / TOKENS * length;
        format.activation().quantize(&values[start..start + length], block);
    }
    let mut outputs = [Outputs::default(); TOKENS];
    kernel.product(group, activations, TOKENS, 0, &mut outputs);
    outputs
}
