//! Attention over the KV cache: tiles of positions, which start at multiples of their length whatever is computed together, and a
//! running softmax in ascending order.

use core::ops::Range;

use barellama_gguf::ModelConfig;

use super::batch::Segment;
use crate::kernels::attention::{self as kernel, QUERIES, TILE};

use super::float;
use super::kv_cache::{KvCache, Part};
use super::team::{Crew, Tile};

/// Tokens that share the loading of a tile.
const TOKENS: usize = 8;
/// Values of a query's running softmax beside its weighted sum: the largest score, the sum of weights.
const STATE: usize = 2;

/// Values of scratch memory that a core needs.
#[must_use]
pub const fn scratch_values(config: &ModelConfig) -> usize {
    let queries = TOKENS * (config.heads / config.kv_heads);
    2 * TILE * config.head + QUERIES * TILE + queries * (config.head + STATE)
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
        let queries = self.rows.len() * self.heads();
        let (keys, scratch) = scratch.split_at_mut(TILE * head);
        let (values, scratch) = scratch.split_at_mut(TILE * head);
        let (weights, scratch) = scratch.split_at_mut(QUERIES * TILE);
        let (sums, scratch) = scratch.split_at_mut(queries * head);
        let states = &mut scratch.as_chunks_mut::<STATE>().0[..queries];
        sums.fill(0.0);
        states.fill([f32::NEG_INFINITY, 0.0]);

        let end = self.segment.position(self.rows.end);
        for start in (0..end).step_by(TILE) {
            let positions = start..end.min(start + TILE);
            let length = positions.len() * head;
            self.cache.load(self.layer, Part::Keys, self.kv_head, positions.clone(), &mut keys[..length]);
            self.cache.load(self.layer, Part::Values, self.kv_head, positions.clone(), &mut values[..length]);
            for (index, row) in self.rows.clone().enumerate() {
                // A token sees itself and what came before it.
                let seen = (self.segment.position(row) + 1).min(positions.end).saturating_sub(start);
                for members in kernel::groups(self.heads()).filter(|_| seen > 0) {
                    let first = index * self.heads();
                    let places = first + members.start..first + members.end;
                    let weights = &mut weights[..members.len() * TILE];
                    let sums = &mut sums[places.start * head..places.end * head];
                    kernel::scores(head, self.queries(row, members), &keys[..seen * head], self.scale(), weights);
                    for ((state, sums), weights) in
                        states[places].iter_mut().zip(sums.chunks_exact_mut(head)).zip(weights.chunks_exact_mut(TILE))
                    {
                        soften(state, sums, &mut weights[..seen]);
                    }
                    kernel::add_weighted(head, weights, &values[..seen * head], sums);
                }
            }
        }
        let mut queries = states.iter().zip(sums.chunks_exact(head));
        for row in self.rows.clone() {
            for (place, ([_, sum], sums)) in output.row_mut(row).chunks_exact_mut(head).zip(&mut queries) {
                for (output, value) in place.iter_mut().zip(sums) {
                    *output = value / sum;
                }
            }
        }
    }

    /// Query heads that share the key-value head.
    const fn heads(&self) -> usize {
        self.config.heads / self.config.kv_heads
    }

    fn scale(&self) -> f32 {
        1.0 / libm::sqrtf(self.config.head as f32)
    }

    /// Some of a row's queries that share the key-value head, one behind the other.
    fn queries(&self, row: usize, members: Range<usize>) -> &[f32] {
        let start = row * self.queries.stride + self.kv_head * self.heads() * self.config.head;
        &self.queries.values[start + members.start * self.config.head..start + members.end * self.config.head]
    }
}

/// Takes the scores of a tile into a query's running softmax and makes weights of them.
fn soften([largest, sum]: &mut [f32; STATE], sums: &mut [f32], scores: &mut [f32]) {
    let tile = kernel::soften(*largest, scores);
    *largest = tile.largest;
    *sum = *sum * tile.shrink + tile.sum;
    if tile.shrink != 1.0 {
        float::scale(sums, tile.shrink);
    }
}
