//! The static schedule of a llama-family transformer.

use barellama_abi::outcome::StopReason;
use barellama_gguf::ModelConfig;

use super::attention::{self, Chunk};
use super::float;
use super::kv_cache::{KvCache, Part};
use super::linear;
use super::rope::RopeTable;
use super::team::Crew;
use super::weights::{Layer, Weights};
use super::workspace::{LOGIT_ROWS, Workspace};

/// Asked after every layer; a reason ends the pass.
pub type StepCheck<'c> = dyn FnMut() -> Option<StopReason> + 'c;

/// Runs a chunk of tokens through all layers; their keys and values go to the cache at `first` and behind.
///
/// The chunk has 1 to [`Workspace::chunk`] tokens, the cache has room for them, and every token is below the size of the
/// vocabulary. Afterwards [`logits`] can be asked for the chunk's tokens.
///
/// # Errors
/// The reason that `check` gave; cache entries from `first` on are then undefined.
pub fn forward(
    crew: &Crew<'_>,
    weights: &Weights<'_>,
    workspace: &mut Workspace<'_>,
    cache: &mut KvCache<'_>,
    tokens: &[u32],
    first: usize,
    check: &mut StepCheck<'_>,
) -> Result<(), StopReason> {
    let config = &weights.config;
    let residual = &mut workspace.residual[..tokens.len() * config.embedding];
    for (row, token) in residual.chunks_exact_mut(config.embedding).zip(tokens) {
        weights.embedding.dequantize_row(*token as usize, row);
    }
    workspace.rope.fill(config, weights.rope_factors.as_deref(), first, tokens.len());
    for (index, layer) in weights.layers.iter().enumerate() {
        let mut pass = Pass { crew, config, workspace, tokens: tokens.len(), first };
        pass.attention(layer, cache, index);
        pass.feed_forward(layer);
        check().map_or(Ok(()), Err)?;
    }
    Ok(())
}

/// Logits of some tokens of the last chunk, [`LOGIT_ROWS`] at most: a row of the vocabulary's size for each.
pub fn logits<'w>(
    crew: &Crew<'_>,
    weights: &Weights<'_>,
    workspace: &'w mut Workspace<'_>,
    tokens: core::ops::Range<usize>,
) -> &'w [f32] {
    let config = &weights.config;
    let count = tokens.len().min(LOGIT_ROWS);
    let residual = &workspace.residual[tokens.start * config.embedding..(tokens.start + count) * config.embedding];
    let normed = &mut workspace.normed[..count * config.embedding];
    norm(crew, config, residual, &weights.output_norm, normed);
    let inputs = workspace.quantizer.prepare(crew, count, normed, &[&weights.output]);
    let logits = &mut workspace.logits[..count * config.vocabulary];
    linear::multiply(crew, &[&weights.output], &inputs, logits, workspace.scratch);
    logits
}

/// One layer's pass over one chunk.
struct Pass<'p, 'w> {
    crew: &'p Crew<'p>,
    config: &'p ModelConfig,
    workspace: &'p mut Workspace<'w>,
    tokens: usize,
    first: usize,
}

impl Pass<'_, '_> {
    fn attention(&mut self, layer: &Layer<'_>, cache: &mut KvCache<'_>, index: usize) {
        let Self { crew, config, workspace, tokens, first } = self;
        let (tokens, first) = (*tokens, *first);
        let residual = &mut workspace.residual[..tokens * config.embedding];
        let normed = &mut workspace.normed[..tokens * config.embedding];
        norm(crew, config, residual, &layer.attention_norm, normed);

        let matrices = [&layer.query, &layer.key, &layer.value];
        let inputs = workspace.quantizer.prepare(crew, tokens, normed, &matrices);
        let stride = config.query_width() + 2 * config.kv_width();
        let qkv = &mut workspace.qkv[..tokens * stride];
        linear::multiply(crew, &matrices, &inputs, qkv, workspace.scratch);

        rotate(crew, config, &workspace.rope, qkv);
        store(config, cache, index, first, qkv);
        let attended = &mut workspace.attended[..tokens * config.query_width()];
        let chunk = Chunk { queries: qkv, query_stride: stride, first };
        attention::attend(crew, config, cache, index, &chunk, attended, workspace.scratch);

        let inputs = workspace.quantizer.prepare(crew, tokens, attended, &[&layer.attention_output]);
        linear::multiply_add(crew, &layer.attention_output, &inputs, residual, workspace.scratch);
    }

    fn feed_forward(&mut self, layer: &Layer<'_>) {
        let Self { crew, config, workspace, tokens, .. } = self;
        let tokens = *tokens;
        let residual = &mut workspace.residual[..tokens * config.embedding];
        let normed = &mut workspace.normed[..tokens * config.embedding];
        norm(crew, config, residual, &layer.feed_forward_norm, normed);

        let inputs = workspace.quantizer.prepare(crew, tokens, normed, &[&layer.gate, &layer.up]);
        let hidden = &mut workspace.hidden[..tokens * config.feed_forward];
        linear::multiply_gated(crew, &layer.gate, &layer.up, &inputs, hidden, workspace.scratch);

        let inputs = workspace.quantizer.prepare(crew, tokens, hidden, &[&layer.down]);
        linear::multiply_add(crew, &layer.down, &inputs, residual, workspace.scratch);
    }
}

fn norm(crew: &Crew<'_>, config: &ModelConfig, residual: &[f32], weight: &[f32], normed: &mut [f32]) {
    let width = config.embedding;
    crew.for_tiles(normed, width, (1, width), &mut [], |tile, _| {
        let token = tile.rows().start;
        let row = &residual[token * width..(token + 1) * width];
        float::rms_norm(row, weight, config.norm_epsilon, tile.row_mut(token));
    });
}

/// Rotates queries and keys of every token.
fn rotate(crew: &Crew<'_>, config: &ModelConfig, rope: &RopeTable<'_>, qkv: &mut [f32]) {
    let stride = config.query_width() + 2 * config.kv_width();
    crew.for_tiles(qkv, stride, (1, stride), &mut [], |tile, _| {
        let token = tile.rows().start;
        let rotated = &mut tile.row_mut(token)[..config.query_width() + config.kv_width()];
        for head in rotated.chunks_exact_mut(config.head) {
            rope.rotate(token, head);
        }
    });
}

/// Puts keys and values of every token into the cache.
fn store(config: &ModelConfig, cache: &mut KvCache<'_>, layer: usize, first: usize, qkv: &[f32]) {
    let stride = config.query_width() + 2 * config.kv_width();
    for (token, row) in qkv.chunks_exact(stride).enumerate() {
        let (keys, values) = row[config.query_width()..].split_at(config.kv_width());
        for (part, heads) in [(Part::Keys, keys), (Part::Values, values)] {
            for (kv_head, head) in heads.chunks_exact(config.head).enumerate() {
                cache.store(layer, part, kv_head, first + token, head);
            }
        }
    }
}
