//! Every vector kernel against its scalar twin, and one token at a time against many at once: the same bits.

use core::fmt;

use barellama_engine::kernels::{
    ActivationFormat, Fetch, GroupFormat, GroupKernel, Outputs, ROWS, WeightFormat, interleave,
};

use crate::random::Random;

/// Columns of the matrices: two of the long blocks.
const COLUMNS: usize = 512;
/// Bytes of a row in the widest format.
const ROW_BYTES_MAX: usize = COLUMNS / 32 * 34;
/// More than the tokens that a kernel keeps sums for at once.
const TOKENS_MAX: usize = 35;
/// Bytes of a token's activations in the wider format.
const TOKEN_BYTES_MAX: usize = COLUMNS / 32 * 48;
/// Numbers of tokens that are computed together.
const TOKENS: [usize; 4] = [1, 2, 7, TOKENS_MAX];
/// Cases for each format and number of tokens.
const CASES: u64 = 24;

/// What was not the same.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    what: &'static str,
    format: GroupFormat,
    tokens: usize,
    case: u64,
    place: usize,
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, format, tokens, case, place } = self;
        write!(out, "{what} differ: {format:?}, {tokens} tokens, case {case}, place {place}")
    }
}

/// Buffers, aligned as the kernels want them.
#[repr(align(16))]
pub struct Buffers {
    group: [u8; ROW_BYTES_MAX * ROWS],
    scratch: [u8; ROW_BYTES_MAX * ROWS],
    activations: [u8; TOKEN_BYTES_MAX * TOKENS_MAX],
    values: Values,
    block: Block,
    outputs: [Outputs; TOKENS_MAX],
    expected: [Outputs; TOKENS_MAX],
}

#[repr(align(16))]
struct Values([f32; COLUMNS]);

#[repr(align(16))]
struct Block([u8; 304]);

impl Buffers {
    /// Zeroes.
    pub const fn new() -> Self {
        Self {
            group: [0; ROW_BYTES_MAX * ROWS],
            scratch: [0; ROW_BYTES_MAX * ROWS],
            activations: [0; TOKEN_BYTES_MAX * TOKENS_MAX],
            values: Values([0.0; COLUMNS]),
            block: Block([0; 304]),
            outputs: [Outputs([0.0; ROWS]); TOKENS_MAX],
            expected: [Outputs([0.0; ROWS]); TOKENS_MAX],
        }
    }

    /// Compares all kernels of a format; the number of outputs that were the same.
    pub fn compare(&mut self, format: GroupFormat) -> Result<usize, Difference> {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut same = 0;
        for tokens in TOKENS {
            for case in 0..CASES {
                let difference = |what, place| Difference { what, format, tokens, case, place };
                self.fill_group(format, case, &mut random);
                self.fill_activations(format.weights.activation(), tokens, case, &mut random)
                    .map_err(|place| difference("activations", place))?;
                self.multiply(format, tokens).map_err(|(what, place)| difference(what, place))?;
                same += 2 * tokens * ROWS;
            }
        }
        Ok(same)
    }

    /// Random weights; all the same byte in some cases, for the largest sums.
    fn fill_group(&mut self, group_format: GroupFormat, case: u64, random: &mut Random) {
        let format = group_format.weights;
        let row_bytes = COLUMNS / format.block_weights() * format.block_bytes();
        let group = &mut self.group[..row_bytes * ROWS];
        for byte in group.iter_mut() {
            *byte = match case % 6 {
                0 => 0x00,
                1 => 0xFF,
                2 => 0x80,
                _ => random.byte(),
            };
        }
        for block in group.chunks_exact_mut(format.block_bytes()) {
            for at in scale_places(format) {
                // A finite binary16 of any size; a small ordinary one where all other bytes are the same.
                let high = random.byte() & 0xBF;
                block[at + 1] = if case % 6 < 3 { 0x2C } else { high };
            }
        }
        let done = interleave(group_format, group, row_bytes, &mut self.scratch);
        assert!(done.is_ok(), "scales are finite");
    }

    /// Random values, or all of the largest magnitude; both quantizers must agree.
    fn fill_activations(
        &mut self,
        format: ActivationFormat,
        tokens: usize,
        case: u64,
        random: &mut Random,
    ) -> Result<(), usize> {
        let (weights, bytes) = (format.block_values(), format.block_bytes());
        for token in 0..tokens {
            for value in &mut self.values.0 {
                let integer = f32::from(random.byte()) - 127.5;
                *value = match case % 4 {
                    0 => 3.0,
                    1 => -3.0,
                    2 => integer / 127.0,
                    _ => integer * integer * integer + f32::from(random.byte()) / 300.0,
                };
            }
            for (index, values) in self.values.0.chunks_exact(weights).enumerate() {
                let at = (index * tokens + token) * bytes;
                let block = &mut self.activations[at..at + bytes];
                format.quantize(values, block);
                let expected = &mut self.block.0[..bytes];
                format.quantize_portable(values, expected);
                if let Some(place) = block.iter().zip(expected.iter()).position(|(one, other)| one != other) {
                    return Err(at + place);
                }
            }
        }
        Ok(())
    }

    fn multiply(&mut self, group_format: GroupFormat, tokens: usize) -> Result<(), (&'static str, usize)> {
        let format = group_format.weights;
        let blocks = COLUMNS / format.block_weights();
        let group = &self.group[..blocks * format.block_bytes() * ROWS];
        let activations = &self.activations[..blocks * format.activation().block_bytes() * tokens];
        let kernel = GroupKernel::new(group_format, Fetch::Core);
        let fetching = GroupKernel::new(group_format, Fetch::Program);
        let (outputs, expected) = (&mut self.outputs[..tokens], &mut self.expected[..tokens]);
        kernel.product(group, activations, tokens, 0, outputs);
        GroupKernel::portable(group_format).product(group, activations, tokens, 0, expected);
        if let Some(place) = first_difference(outputs, expected) {
            return Err(("products", place));
        }
        for token in 0..tokens {
            let one = &mut expected[token..=token];
            for kernel in [kernel, fetching] {
                kernel.product(group, activations, tokens, token, one);
                if let Some(place) = first_difference(&outputs[token..=token], one) {
                    return Err(("products of one token and of many", token * ROWS + place));
                }
            }
        }
        Ok(())
    }
}

fn first_difference(one: &[Outputs], other: &[Outputs]) -> Option<usize> {
    let pairs = one.iter().flat_map(|outputs| outputs.0).zip(other.iter().flat_map(|outputs| outputs.0));
    // Infinities of both signs can meet in these sums; what is not a number is so in both.
    pairs.map(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())).position(|same| !same)
}

/// Where F16 scales lie in a row's block in ggml's layout.
fn scale_places(format: WeightFormat) -> impl Iterator<Item = usize> {
    let places: &[usize] = match format {
        WeightFormat::Q4_0 | WeightFormat::Q8_0 => &[0],
        WeightFormat::Q4_1 | WeightFormat::Q4K | WeightFormat::Q5K => &[0, 2],
        WeightFormat::Q6K => &[208],
    };
    places.iter().copied()
}
