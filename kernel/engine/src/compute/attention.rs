//! Attention over the KV cache: tiles of positions from fixed starts, a running softmax in ascending order.

use core::ops::Range;

use barellama_gguf::ModelConfig;

use super::batch::Segment;
use super::float;
use super::kv_cache::{KvCache, Part};
use super::team::{Crew, Tile};

/// Positions of a tile. Tiles start at multiples of it, whatever is computed together.
const TILE: usize = 32;
/// Tokens that share the loading of a tile.
const TOKENS: usize = 8;

/// Values of scratch memory that a core needs.
#[must_use]
pub const fn scratch_values(config: &ModelConfig) -> usize {
    let states = TOKENS * (config.heads / config.kv_heads);
    2 * TILE * config.head + states * State::values(config.head) + TILE
}

/// Where the queries of a pass are.
#[derive(Clone, Copy, Debug)]
pub struct Queries<'a> {
    /// `[token][stride]`, rotated; the queries come first in each row.
    pub values: &'a [f32],
    /// Distance of two rows of [`Self::values`].
    pub stride: usize,
    /// Whose tokens the rows are.
    pub segments: &'a [Segment],
}

/// `output[token][head]` = softmax of the scaled scores, times the values; each token looks into the cache of its session.
pub fn attend(
    crew: &Crew<'_>,
    config: &ModelConfig,
    caches: &[KvCache<'_>],
    layer: usize,
    queries: &Queries<'_>,
    output: &mut [f32],
    scratch: &mut [f32],
) {
    let group = config.heads / config.kv_heads * config.head;
    crew.for_tiles(output, config.query_width(), (TOKENS, group), scratch, |tile, scratch| {
        let kv_head = tile.columns().start / group;
        let tokens = tile.rows();
        for segment in queries.segments {
            let rows = segment.rows.start.max(tokens.start)..segment.rows.end.min(tokens.end);
            if !rows.is_empty() {
                let cache = &caches[segment.cache];
                Job { config, cache, layer, kv_head, queries, segment, rows }.run(tile, scratch);
            }
        }
    });
}

/// Some tokens of a session and the query heads that share a key-value head.
struct Job<'j> {
    config: &'j ModelConfig,
    cache: &'j KvCache<'j>,
    layer: usize,
    kv_head: usize,
    queries: &'j Queries<'j>,
    segment: &'j Segment,
    /// Rows of the pass, all of the segment.
    rows: Range<usize>,
}

impl Job<'_> {
    fn run(&self, output: &mut Tile<'_, f32>, scratch: &mut [f32]) {
        let head = self.config.head;
        let heads = self.config.heads / self.config.kv_heads;
        let rows = self.rows.clone();
        let (keys, scratch) = scratch.split_at_mut(TILE * head);
        let (values, scratch) = scratch.split_at_mut(TILE * head);
        let (weights, scratch) = scratch.split_at_mut(TILE);
        let states = &mut scratch[..rows.len() * heads * State::values(head)];
        states.chunks_exact_mut(State::values(head)).for_each(State::reset);

        let end = self.segment.position(rows.end);
        for start in (0..end).step_by(TILE) {
            let positions = start..end.min(start + TILE);
            let length = positions.len() * head;
            self.cache.load(self.layer, Part::Keys, self.kv_head, positions.clone(), &mut keys[..length]);
            self.cache.load(self.layer, Part::Values, self.kv_head, positions.clone(), &mut values[..length]);
            let mut states = states.chunks_exact_mut(State::values(head));
            for row in rows.clone() {
                // A token sees itself and what came before it.
                let seen = (self.segment.position(row) + 1).min(positions.end).saturating_sub(start);
                for member in 0..heads {
                    let Some(state) = states.next() else { continue };
                    let query = self.query(row, self.kv_head * heads + member);
                    if seen > 0 {
                        let (keys, values) = (&keys[..seen * head], &values[..seen * head]);
                        State { values: state }.add(query, keys, values, &mut weights[..seen]);
                    }
                }
            }
        }
        let mut states = states.chunks_exact(State::values(head));
        for row in rows {
            for place in output.row_mut(row).chunks_exact_mut(head) {
                if let Some(state) = states.next() {
                    State::finish(state, place);
                }
            }
        }
    }

    fn query(&self, row: usize, head: usize) -> &[f32] {
        let start = row * self.queries.stride + head * self.config.head;
        &self.queries.values[start..start + self.config.head]
    }
}

/// The running softmax of one query: largest score, sum of weights, weighted sum of values.
struct State<'s> {
    values: &'s mut [f32],
}

impl State<'_> {
    const fn values(head: usize) -> usize {
        2 + head
    }

    fn reset(state: &mut [f32]) {
        state.fill(0.0);
        state[0] = f32::NEG_INFINITY;
    }

    /// Takes in the positions of a tile. `weights` is scratch memory, one for each position.
    fn add(self, query: &[f32], keys: &[f32], values: &[f32], weights: &mut [f32]) {
        let scale = 1.0 / libm::sqrtf(query.len() as f32);
        let [largest, sum, sums @ ..] = self.values else { return };
        float::dot_rows(query, keys, weights);
        float::scale(weights, scale);
        let new_largest = float::max(*largest, weights);
        let shrink = float::exp(*largest - new_largest);
        *largest = new_largest;
        for weight in &mut *weights {
            *weight = float::exp(*weight - new_largest);
        }
        *sum = *sum * shrink + float::sum(weights);
        if shrink != 1.0 {
            float::scale(sums, shrink);
        }
        float::add_scaled_rows(sums, weights, values);
    }

    fn finish(state: &[f32], output: &mut [f32]) {
        let [_, sum, sums @ ..] = state else { return };
        for (output, value) in output.iter_mut().zip(sums) {
            *output = value / sum;
        }
    }
}
