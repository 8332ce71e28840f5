//! The static schedule of a llama-family transformer.

use barellama_gguf::ModelConfig;

use super::attention::{self, Queries};
use super::batch::Segment;
use super::float;
use super::kv_cache::{KvCache, Part};
use super::linear;
use super::rope::RopeTable;
use super::team::Crew;
use super::weights::{Layer, Weights};
use super::workspace::{LOGIT_ROWS, Workspace};

/// Asked after every layer; `false` ends the pass.
pub type StepCheck<'c> = dyn FnMut() -> bool + 'c;

/// The pass was ended by its check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

/// Runs the tokens of some sessions through all layers, in one pass over the weights; their keys and values go to the sessions'
/// caches, from each segment's first position on.
///
/// The segments follow each other in `tokens`, 1 to [`Workspace::chunk`] of them, at most one for each of `caches`. The caches
/// have room for them, and every token is below the size of the vocabulary. Afterwards [`logits`] can be asked for the tokens.
///
/// # Errors
/// [`Interrupted`] if `check` said so; cache entries from the segments' first positions on are then undefined.
pub fn forward(
    crew: &Crew<'_>,
    weights: &Weights<'_>,
    workspace: &mut Workspace<'_>,
    caches: &mut [KvCache<'_>],
    tokens: &[u32],
    segments: &[Segment],
    check: &mut StepCheck<'_>,
) -> Result<(), Interrupted> {
    let config = &weights.config;
    let residual = &mut workspace.residual[..tokens.len() * config.embedding];
    for (row, token) in residual.chunks_exact_mut(config.embedding).zip(tokens) {
        weights.embedding.dequantize_row(*token as usize, row);
    }
    let positions = segments.iter().flat_map(Segment::positions);
    workspace.rope.fill(config, weights.rope_factors.as_deref(), positions);
    for (index, layer) in weights.layers.iter().enumerate() {
        let mut pass = Pass { crew, config, workspace, tokens: tokens.len(), segments };
        pass.attention(layer, caches, index);
        pass.feed_forward(layer);
        if !check() {
            return Err(Interrupted);
        }
    }
    Ok(())
}

/// Logits of some rows of the last pass, [`LOGIT_ROWS`] at most: a row of the vocabulary's size for each.
pub fn logits<'w>(
    crew: &Crew<'_>,
    weights: &Weights<'_>,
    workspace: &'w mut Workspace<'_>,
    rows: &[usize],
) -> &'w [f32] {
    let config = &weights.config;
    let width = config.embedding;
    let count = rows.len().min(LOGIT_ROWS);
    let residual = &*workspace.residual;
    let normed = &mut workspace.normed[..count * width];
    crew.for_values(count * width).for_tiles(normed, width, (1, width), &mut [], |tile, _| {
        let index = tile.rows().start;
        let row = &residual[rows[index] * width..][..width];
        float::rms_norm(row, &weights.output_norm, config.norm_epsilon, tile.row_mut(index));
    });
    let inputs = workspace.quantizer.prepare(crew, count, normed, &[&weights.output]);
    let logits = &mut workspace.logits[..count * config.vocabulary];
    linear::multiply(crew, &[&weights.output], &inputs, logits, workspace.scratch);
    logits
}

/// One layer's part of a pass.
struct Pass<'p, 'w> {
    crew: &'p Crew<'p>,
    config: &'p ModelConfig,
    workspace: &'p mut Workspace<'w>,
    tokens: usize,
    segments: &'p [Segment],
}

impl Pass<'_, '_> {
    fn attention(&mut self, layer: &Layer<'_>, caches: &mut [KvCache<'_>], index: usize) {
        let Self { crew, config, workspace, tokens, segments } = self;
        let tokens = *tokens;
        let residual = &mut workspace.residual[..tokens * config.embedding];
        let normed = &mut workspace.normed[..tokens * config.embedding];
        norm(crew, config, residual, &layer.attention_norm, normed);

        let matrices = [&layer.query, &layer.key, &layer.value];
        let inputs = workspace.quantizer.prepare(crew, tokens, normed, &matrices);
        let stride = config.query_width() + 2 * config.kv_width();
        let qkv = &mut workspace.qkv[..tokens * stride];
        linear::multiply(crew, &matrices, &inputs, qkv, workspace.scratch);

        rotate(crew, config, &workspace.rope, qkv);
        store(config, caches, index, segments, qkv);
        let attended = &mut workspace.attended[..tokens * config.query_width()];
        let queries = Queries { values: qkv, stride, segments };
        attention::attend(crew, config, caches, index, &queries, attended, workspace.scratch);

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
    crew.for_values(normed.len()).for_tiles(normed, width, (1, width), &mut [], |tile, _| {
        let token = tile.rows().start;
        let row = &residual[token * width..(token + 1) * width];
        float::rms_norm(row, weight, config.norm_epsilon, tile.row_mut(token));
    });
}

/// Rotates queries and keys of every token.
fn rotate(crew: &Crew<'_>, config: &ModelConfig, rope: &RopeTable<'_>, qkv: &mut [f32]) {
    let stride = config.query_width() + 2 * config.kv_width();
    crew.for_values(qkv.len()).for_tiles(qkv, stride, (1, stride), &mut [], |tile, _| {
        let token = tile.rows().start;
        let rotated = &mut tile.row_mut(token)[..config.query_width() + config.kv_width()];
        for head in rotated.chunks_exact_mut(config.head) {
            rope.rotate(token, head);
        }
    });
}

/// Puts keys and values of every token into the cache of its session.
fn store(config: &ModelConfig, caches: &mut [KvCache<'_>], layer: usize, segments: &[Segment], qkv: &[f32]) {
    let stride = config.query_width() + 2 * config.kv_width();
    for segment in segments {
        let cache = &mut caches[segment.cache];
        let rows = &qkv[segment.rows.start * stride..segment.rows.end * stride];
        for (position, row) in segment.positions().zip(rows.chunks_exact(stride)) {
            let (keys, values) = row[config.query_width()..].split_at(config.kv_width());
            for (part, heads) in [(Part::Keys, keys), (Part::Values, values)] {
                for (kv_head, head) in heads.chunks_exact(config.head).enumerate() {
                    cache.store(layer, part, kv_head, position, head);
                }
            }
        }
    }
}
