//! Activations in the formats that weights want.

use barellama_ggml_sys::ActivationType;

use crate::kernels::ActivationFormat;

use super::linear::Matrix;
use super::team::Crew;

/// A format of activations beside F32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputFormat {
    /// For ggml's kernels: the blocks of one token follow each other.
    Rows(ActivationType),
    /// For the kernels of eight rows: the blocks of all tokens at one place follow each other.
    Groups(ActivationFormat),
}

impl InputFormat {
    /// All formats.
    pub const ALL: [Self; 5] = [
        Self::Rows(ActivationType::Q8_0),
        Self::Rows(ActivationType::Q8_1),
        Self::Rows(ActivationType::Q8K),
        Self::Groups(ActivationFormat::Blocks32),
        Self::Groups(ActivationFormat::Blocks256),
    ];

    /// Values of a block.
    #[must_use]
    pub const fn block_values(self) -> usize {
        match self {
            Self::Rows(kind) => kind.tensor_type().block_elements(),
            Self::Groups(format) => format.block_values(),
        }
    }

    /// Bytes of one token's values; `None` if they are not whole blocks.
    #[must_use]
    pub fn token_bytes(self, values: usize) -> Option<usize> {
        match self {
            Self::Rows(kind) => kind.row_bytes(values),
            Self::Groups(format) => format.token_bytes(values),
        }
    }

    fn index(self) -> usize {
        Self::ALL.iter().position(|format| *format == self).unwrap_or_default()
    }
}

/// Activations of some tokens, in F32 and in the formats that the weights want.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Number of tokens.
    pub tokens: usize,
    /// A row for each token.
    pub values: &'a [f32],
    blocks: [&'a [u8]; InputFormat::ALL.len()],
}

impl Inputs<'_> {
    /// The activations in that format; nothing if [`Quantizer::prepare`] was not asked for it.
    #[must_use]
    pub fn blocks(&self, format: InputFormat) -> &[u8] {
        self.blocks[format.index()]
    }
}

/// Buffers for quantized activations.
#[derive(Debug)]
pub struct Quantizer<'w> {
    /// One for each of [`InputFormat::ALL`]; empty if the model does not need the format.
    pub buffers: [&'w mut [u8]; InputFormat::ALL.len()],
}

impl Quantizer<'_> {
    /// Brings activations (`tokens` rows in `values`) into the formats that the matrices want.
    pub fn prepare<'a>(
        &'a mut self,
        crew: &Crew<'_>,
        tokens: usize,
        values: &'a [f32],
        matrices: &[&Matrix<'_>],
    ) -> Inputs<'a> {
        let width = values.len() / tokens;
        let crew = &crew.for_values(values.len());
        let mut blocks: [&'a [u8]; InputFormat::ALL.len()] = [&[]; _];
        for ((blocks, buffer), format) in blocks.iter_mut().zip(&mut self.buffers).zip(InputFormat::ALL) {
            let is_wanted = matrices.iter().any(|matrix| matrix.input() == Some(format));
            let Some(stride) = format.token_bytes(width).filter(|_| is_wanted) else { continue };
            let buffer = &mut buffer[..stride * tokens];
            match format {
                InputFormat::Rows(kind) => quantize_rows(crew, kind, values, width, buffer),
                InputFormat::Groups(format) => quantize_groups(crew, format, values, width, buffer),
            }
            *blocks = buffer;
        }
        Inputs { tokens, values, blocks }
    }
}

/// Each token's blocks side by side; a token at a time.
fn quantize_rows(crew: &Crew<'_>, kind: ActivationType, values: &[f32], width: usize, buffer: &mut [u8]) {
    let stride = buffer.len() / (values.len() / width);
    crew.for_tiles(buffer, stride, (1, stride), &mut [], |tile, _| {
        let token = tile.rows().start;
        kind.quantize(&values[token * width..(token + 1) * width], tile.row_mut(token));
    });
}

/// Each block of all tokens side by side; some blocks at a time.
fn quantize_groups(crew: &Crew<'_>, format: ActivationFormat, values: &[f32], width: usize, buffer: &mut [u8]) {
    let length = format.block_values();
    let stride = buffer.len() / (width / length);
    let blocks_at_once = (width / length).div_ceil(2 * crew.cores);
    crew.for_tiles(buffer, stride, (blocks_at_once, stride), &mut [], |tile, _| {
        for index in tile.rows() {
            let blocks = tile.row_mut(index).chunks_exact_mut(format.block_bytes());
            for (block, values) in blocks.zip(values.chunks_exact(width)) {
                format.quantize(&values[index * length..][..length], block);
            }
        }
    });
}
