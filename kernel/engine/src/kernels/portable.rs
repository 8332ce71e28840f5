//! The products without vectors: the definition that the vector code follows bit for bit.
//!
//! For every block, in ascending order, an integer is computed exactly and added to the output by one fused multiply-add per
//! scale. The product of the two scales is rounded before.

use crate::compute::half::f16_to_f32;

use super::format::{GroupFormat, ROWS, WeightFormat};
use super::layout;
use super::product::{Operands, Outputs, Product};

/// The kernel of a format.
pub(super) fn product(format: WeightFormat) -> Product {
    match format {
        WeightFormat::Q4_0 => each_row::<32, Q4_0>,
        WeightFormat::Q4_1 => each_row::<32, Q4_1>,
        WeightFormat::Q8_0 => each_row::<32, Q8_0>,
        WeightFormat::Q4K => each_row::<256, Q4K>,
        WeightFormat::Q5K => each_row::<256, Q5K>,
        WeightFormat::Q6K => each_row::<256, Q6K>,
    }
}

/// One row's block, taken apart.
trait Block<const WEIGHTS: usize> {
    const FORMAT: WeightFormat;

    fn new(bytes: &[u8]) -> Self;

    /// The output with the block's products added. `activations` is one block of the format's activations.
    fn add_to(&self, output: f32, activations: &[u8]) -> f32;
}

fn each_row<const WEIGHTS: usize, B: Block<WEIGHTS>>(operands: &Operands<'_>, outputs: &mut [Outputs]) {
    let format = B::FORMAT;
    let activation_bytes = format.activation().block_bytes();
    let mut bytes = [0; 210];
    let bytes = &mut bytes[..format.block_bytes()];
    outputs.fill(Outputs::default());
    let group_blocks = operands.group.chunks_exact(format.block_bytes() * ROWS);
    let activations = operands.activations.chunks_exact(activation_bytes * operands.stride);
    for (group_block, activations) in group_blocks.zip(activations) {
        let activations = &activations[operands.first * activation_bytes..];
        for row in 0..ROWS {
            layout::extract_block(GroupFormat { weights: format, order: operands.order }, group_block, row, bytes);
            let block = B::new(bytes);
            for (output, activations) in outputs.iter_mut().zip(activations.chunks_exact(activation_bytes)) {
                output.0[row] = block.add_to(output.0[row], activations);
            }
        }
    }
}

fn half_at(bytes: &[u8], at: usize) -> f32 {
    f16_to_f32(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

fn float_at(bytes: &[u8], at: usize) -> f32 {
    f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn short_at(bytes: &[u8], at: usize) -> i32 {
    i32::from(i16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// Exact: at most 256 products of 8-bit numbers.
fn dot(weights: &[i8], activations: &[u8]) -> i32 {
    let products =
        weights.iter().zip(activations).map(|(weight, x)| i32::from(*weight).wrapping_mul(i32::from(*x as i8)));
    products.fold(0, i32::wrapping_add)
}

/// Nibbles: the low ones first, then the high ones.
fn nibbles(bytes: &[u8]) -> [i8; 32] {
    core::array::from_fn(|index| if index < 16 { (bytes[index] & 0xF) as i8 } else { (bytes[index - 16] >> 4) as i8 })
}

struct Q4_0 {
    scale: f32,
    weights: [i8; 32],
}

impl Block<32> for Q4_0 {
    const FORMAT: WeightFormat = WeightFormat::Q4_0;

    fn new(bytes: &[u8]) -> Self {
        Self { scale: half_at(bytes, 0), weights: nibbles(&bytes[2..]).map(|nibble| nibble - 8) }
    }

    fn add_to(&self, output: f32, activations: &[u8]) -> f32 {
        let scale = self.scale * float_at(activations, 32);
        libm::fmaf(scale, dot(&self.weights, activations) as f32, output)
    }
}

struct Q4_1 {
    scale: f32,
    minimum: f32,
    weights: [i8; 32],
}

impl Block<32> for Q4_1 {
    const FORMAT: WeightFormat = WeightFormat::Q4_1;

    fn new(bytes: &[u8]) -> Self {
        Self { scale: half_at(bytes, 0), minimum: half_at(bytes, 2), weights: nibbles(&bytes[4..]) }
    }

    fn add_to(&self, output: f32, activations: &[u8]) -> f32 {
        let scale = self.scale * float_at(activations, 32);
        let output = libm::fmaf(scale, dot(&self.weights, activations) as f32, output);
        libm::fmaf(self.minimum, float_at(activations, 36), output)
    }
}

struct Q8_0 {
    scale: f32,
    weights: [i8; 32],
}

impl Block<32> for Q8_0 {
    const FORMAT: WeightFormat = WeightFormat::Q8_0;

    fn new(bytes: &[u8]) -> Self {
        Self { scale: half_at(bytes, 0), weights: core::array::from_fn(|index| bytes[2 + index] as i8) }
    }

    fn add_to(&self, output: f32, activations: &[u8]) -> f32 {
        let scale = self.scale * float_at(activations, 32);
        libm::fmaf(scale, dot(&self.weights, activations) as f32, output)
    }
}

struct Q4K {
    scale: f32,
    minimum: f32,
    scales: [(u8, u8); 8],
    weights: [[i8; 32]; 8],
}

impl Block<256> for Q4K {
    const FORMAT: WeightFormat = WeightFormat::Q4K;

    fn new(bytes: &[u8]) -> Self {
        let weights = core::array::from_fn(|index| {
            let pair = &bytes[16 + index / 2 * 32..];
            core::array::from_fn(|at| (pair[at] >> (index % 2 * 4) & 0xF) as i8)
        });
        let scales = layout::unpack_scales(&bytes[4..16]);
        Self { scale: half_at(bytes, 0), minimum: half_at(bytes, 2), scales, weights }
    }

    fn add_to(&self, output: f32, activations: &[u8]) -> f32 {
        let (mut products, mut minima) = (0_i32, 0_i32);
        for (index, (scale, minimum)) in self.scales.iter().enumerate() {
            products += i32::from(*scale) * dot(&self.weights[index], &activations[32 * index..]);
            minima += i32::from(*minimum) * short_at(activations, 256 + 2 * index);
        }
        let scale = float_at(activations, 288);
        let output = libm::fmaf(self.scale * scale, products as f32, output);
        libm::fmaf(-(self.minimum * scale), minima as f32, output)
    }
}

/// As [`Q4K`], with weights of 5 bits.
struct Q5K(Q4K);

impl Block<256> for Q5K {
    const FORMAT: WeightFormat = WeightFormat::Q5K;

    fn new(bytes: &[u8]) -> Self {
        let weights = core::array::from_fn(|index| {
            let (high, pair) = (&bytes[16..48], &bytes[48 + index / 2 * 32..]);
            core::array::from_fn(|at| (pair[at] >> (index % 2 * 4) & 0xF | (high[at] >> index & 1) << 4) as i8)
        });
        let scales = layout::unpack_scales(&bytes[4..16]);
        Self(Q4K { scale: half_at(bytes, 0), minimum: half_at(bytes, 2), scales, weights })
    }

    fn add_to(&self, output: f32, activations: &[u8]) -> f32 {
        self.0.add_to(output, activations)
    }
}

struct Q6K {
    scale: f32,
    scales: [i8; 16],
    weights: [[i8; 16]; 16],
}

impl Block<256> for Q6K {
    const FORMAT: WeightFormat = WeightFormat::Q6K;

    fn new(bytes: &[u8]) -> Self {
        let weights = core::array::from_fn(|index| {
            // Each half of 128 weights: 64 bytes of low bits, low nibbles before high ones; 32 bytes with four times two high bits.
            let (half, quarter, start) = (index / 8, index % 8 / 2, index % 2 * 16);
            let low = &bytes[64 * half + quarter % 2 * 32 + start..];
            let high = &bytes[128 + 32 * half + start..];
            core::array::from_fn(|at| {
                let bits = low[at] >> (quarter / 2 * 4) & 0xF | (high[at] >> (2 * quarter) & 3) << 4;
                bits as i8 - 32
            })
        });
        Self { scale: half_at(bytes, 208), scales: core::array::from_fn(|index| bytes[192 + index] as i8), weights }
    }

    fn add_to(&self, output: f32, activations: &[u8]) -> f32 {
        let mut products = 0_i32;
        for (index, scale) in self.scales.iter().enumerate() {
            products += i32::from(*scale) * dot(&self.weights[index], &activations[16 * index..]);
        }
        libm::fmaf(self.scale * float_at(activations, 288), products as f32, output)
    }
}
