//! The buffers of one forward pass, cut out of planned areas.

use barellama_gguf::ModelConfig;

use super::attention;
use super::inputs::{InputFormat, Quantizer};
use super::rope::RopeTable;
use super::weights::Weights;

/// Rows of logits that are computed together.
pub const LOGIT_ROWS: usize = 8;
/// Floats in a cache line: buffers start at multiples of it.
const LINE: usize = 16;

/// How large each area must be, in F32 values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkspaceSizes {
    /// Most tokens of a chunk.
    pub chunk: usize,
    /// Activations of a chunk.
    pub activations: usize,
    /// [`LOGIT_ROWS`] rows of logits.
    pub logits: usize,
    /// Scratch memory of all cores.
    pub scratch: usize,
    quantized: [usize; InputFormat::ALL.len()],
}

impl WorkspaceSizes {
    /// The sizes for chunks of `chunk` tokens on `cores` cores.
    #[must_use]
    pub fn new(weights: &Weights<'_>, chunk: usize, cores: usize) -> Self {
        let config = &weights.config;
        let widest = widest(config);
        let quantized = InputFormat::ALL.map(|format| {
            // A width that is not whole blocks of a format is never quantized to it; round up for those that are.
            let elements = widest.next_multiple_of(format.block_values());
            let bytes = format.token_bytes(elements).unwrap_or(0) * chunk;
            if weights.wants(format) { lines(bytes.div_ceil(4)) } else { 0 }
        });
        let plain: usize = plain_buffers(config, chunk).iter().sum();
        let scratch = lines(attention::scratch_values(config).max(widest));
        Self {
            chunk,
            activations: plain + quantized.iter().sum::<usize>(),
            logits: LOGIT_ROWS * config.vocabulary,
            scratch: scratch * cores,
            quantized,
        }
    }
}

/// The widest row that a matrix reads.
fn widest(config: &ModelConfig) -> usize {
    config.embedding.max(config.query_width()).max(config.feed_forward)
}

/// Lengths of the F32 buffers, in the order of [`Workspace`].
fn plain_buffers(config: &ModelConfig, chunk: usize) -> [usize; 6] {
    let qkv = config.query_width() + 2 * config.kv_width();
    let widths =
        [config.embedding, config.embedding, qkv, config.query_width(), config.feed_forward, config.rope_dimensions];
    widths.map(|width| lines(width * chunk))
}

const fn lines(values: usize) -> usize {
    values.next_multiple_of(LINE)
}

/// The buffers. Each holds a row per token of the chunk.
#[derive(Debug)]
pub struct Workspace<'w> {
    /// Most tokens of a chunk.
    pub chunk: usize,
    /// The residual stream.
    pub residual: &'w mut [f32],
    /// Its normalized form.
    pub normed: &'w mut [f32],
    /// Queries, keys and values, side by side.
    pub qkv: &'w mut [f32],
    /// What attention gives.
    pub attended: &'w mut [f32],
    /// What gate and up give.
    pub hidden: &'w mut [f32],
    /// Cosines and sines.
    pub rope: RopeTable<'w>,
    /// Quantized activations.
    pub quantizer: Quantizer<'w>,
    /// [`LOGIT_ROWS`] rows of logits.
    pub logits: &'w mut [f32],
    /// An equal share for each core.
    pub scratch: &'w mut [f32],
}

impl<'w> Workspace<'w> {
    /// Cuts the areas into buffers. They are at least as long as `sizes` says.
    #[must_use]
    pub fn new(
        config: &ModelConfig,
        sizes: &WorkspaceSizes,
        activations: &'w mut [f32],
        logits: &'w mut [f32],
        scratch: &'w mut [f32],
    ) -> Self {
        let mut rest = activations;
        let mut cut = |length: usize| -> &'w mut [f32] {
            let (buffer, after) = core::mem::take(&mut rest).split_at_mut(length);
            rest = after;
            buffer
        };
        let [residual, normed, qkv, attended, hidden, rope] = plain_buffers(config, sizes.chunk).map(&mut cut);
        let buffers = sizes.quantized.map(|length| bytemuck::cast_slice_mut(cut(length)));
        Self {
            chunk: sizes.chunk,
            residual,
            normed,
            qkv,
            attended,
            hidden,
            rope: RopeTable::new(rope, config),
            quantizer: Quantizer { buffers },
            logits: &mut logits[..sizes.logits],
            scratch: &mut scratch[..sizes.scratch],
        }
    }
}
