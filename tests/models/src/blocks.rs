//! Random blocks that are valid in each format: random quants, scales of a plausible size.

use barellama_gguf::TensorType;
use half::{bf16, f16};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

/// Standard deviation of the weights, about that of a trained layer 2048 wide (1 / sqrt 2048): activations neither vanish nor grow.
pub const WEIGHT_DEVIATION: f32 = 0.022;

/// Fills `data` with blocks of a type.
///
/// # Panics
/// If `data` is not whole blocks, or for types that no weight has (Q8_1, Q8_K, integers, F64).
pub fn random_blocks(kind: TensorType, random: &mut Pcg64Mcg, data: &mut [u8]) {
    assert!(data.len().is_multiple_of(kind.block_bytes()), "{} bytes are not whole blocks", data.len());
    random.fill_bytes(data);
    match kind {
        TensorType::F32 => plain(data, |weight| weight.to_le_bytes()),
        TensorType::F16 => plain(data, |weight| f16::from_f32(weight).to_le_bytes()),
        TensorType::BF16 => plain(data, |weight| bf16::from_f32(weight).to_le_bytes()),
        _ => {
            let scale = Scale::of(kind).unwrap_or_else(|| panic!("{} is no type of weights", kind.name()));
            for block in data.chunks_exact_mut(kind.block_bytes()) {
                scale.write(block);
            }
        }
    }
}

/// Turns each group of random bytes into a number that is equally likely anywhere within its limits.
fn plain<const N: usize>(data: &mut [u8], encode: impl Fn(f32) -> [u8; N]) {
    let limit = WEIGHT_DEVIATION * 3.0f32.sqrt();
    for bytes in data.as_chunks_mut::<N>().0 {
        let random = i16::from_le_bytes([bytes[0], bytes[1]]);
        *bytes = encode(f32::from(random) / 32768.0 * limit);
    }
}

/// Where a format keeps its scale. Blocks are those of ggml's `ggml-common.h`.
#[derive(Clone, Copy)]
enum Scale {
    /// F16 at an offset in bytes. `unit`: the deviation of a block whose scale is 1.
    F16 { at: usize, unit: f32 },
    /// F16 for the quants at an offset, and behind it F16 for the minimum: `centre` times the scale, so that the mean is 0.
    WithMinimum { at: usize, unit: f32, centre: f32 },
    /// IQ1_M: F16 in the top four bits of four 16-bit words.
    TopBits { at: usize, unit: f32 },
    /// TQ2_0: F16, and quants of two bits of which 3 means nothing.
    Ternary { at: usize, unit: f32 },
    /// MXFP4: an exponent of two, biased by 128 because the table of values is doubled.
    Exponent { unit: f32 },
    /// NVFP4: four small floats without sign, in units of 2^-10 below 8.
    SmallFloats { unit: f32 },
}

impl Scale {
    /// The deviations were measured on random blocks (`tests/blocks.rs` checks the outcome).
    const fn of(kind: TensorType) -> Option<Self> {
        Some(match kind {
            TensorType::Q4_0 => Self::F16 { at: 0, unit: 4.6 },
            TensorType::Q4_1 => Self::WithMinimum { at: 0, unit: 4.6, centre: -7.5 },
            TensorType::Q5_0 => Self::F16 { at: 0, unit: 9.2 },
            TensorType::Q5_1 => Self::WithMinimum { at: 0, unit: 9.2, centre: -15.5 },
            TensorType::Q8_0 => Self::F16 { at: 0, unit: 74.0 },
            TensorType::Q2_K => Self::WithMinimum { at: 80, unit: 14.0, centre: 1.5 },
            TensorType::Q3_K => Self::F16 { at: 108, unit: 43.0 },
            TensorType::Q4_K => Self::WithMinimum { at: 0, unit: 270.0, centre: 7.5 },
            TensorType::Q5_K => Self::WithMinimum { at: 0, unit: 550.0, centre: 15.5 },
            TensorType::Q6_K => Self::F16 { at: 208, unit: 1370.0 },
            TensorType::IQ2_XXS | TensorType::IQ2_XS | TensorType::IQ2_S => Self::F16 { at: 0, unit: 53.0 },
            TensorType::IQ3_XXS => Self::F16 { at: 0, unit: 140.0 },
            TensorType::IQ3_S => Self::F16 { at: 0, unit: 160.0 },
            TensorType::IQ1_S => Self::F16 { at: 0, unit: 7.5 },
            TensorType::IQ1_M => Self::TopBits { at: 48, unit: 7.5 },
            TensorType::IQ4_NL => Self::F16 { at: 0, unit: 70.0 },
            TensorType::IQ4_XS => Self::F16 { at: 0, unit: 1300.0 },
            TensorType::TQ1_0 => Self::F16 { at: 52, unit: 0.82 },
            TensorType::TQ2_0 => Self::Ternary { at: 64, unit: 0.82 },
            TensorType::MXFP4 => Self::Exponent { unit: 5.9 },
            TensorType::NVFP4 => Self::SmallFloats { unit: 5.9 },
            TensorType::Q1_0 => Self::F16 { at: 0, unit: 1.0 },
            TensorType::Q2_0 => Self::F16 { at: 0, unit: 1.2 },
            _ => return None,
        })
    }

    fn write(self, block: &mut [u8]) {
        match self {
            Self::F16 { at, unit } => {
                let scale = varied(block[at], unit);
                put(block, at, scale);
            }
            Self::WithMinimum { at, unit, centre } => {
                let scale = varied(block[at], unit);
                put(block, at, scale);
                put(block, at + 2, scale * centre);
            }
            Self::TopBits { at, unit } => {
                let bits = f16::from_f32(varied(block[at], unit)).to_bits();
                for (word, byte) in
                    block[at..at + 8].as_chunks_mut::<2>().0.iter_mut().map(|word| &mut word[1]).enumerate()
                {
                    *byte = *byte & 0x0F | ((bits >> (4 * word)) as u8 & 0x0F) << 4;
                }
            }
            Self::Ternary { at, unit } => {
                block[..at].iter_mut().for_each(|byte| *byte &= !((*byte >> 1) & 0x55));
                let scale = varied(block[at], unit);
                put(block, at, scale);
            }
            Self::Exponent { unit } => {
                let exponent = (WEIGHT_DEVIATION / unit).log2().round() as i32 + 128;
                block[0] = exponent as u8 - (block[0] & 1);
            }
            Self::SmallFloats { unit } => {
                let steps = (WEIGHT_DEVIATION / unit * 1024.0).round() as u8;
                block[..4].iter_mut().for_each(|scale| *scale = steps + (*scale & 1));
            }
        }
    }
}

/// The scale that gives a block of deviation `unit` the wanted one, a quarter more or less by a random byte.
fn varied(random: u8, unit: f32) -> f32 {
    WEIGHT_DEVIATION / unit * (0.75 + f32::from(random) / 512.0)
}

fn put(block: &mut [u8], at: usize, value: f32) {
    block[at..at + 2].copy_from_slice(&f16::from_f32(value).to_le_bytes());
}
