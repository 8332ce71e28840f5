//! Attention over the KV cache: tiles of positions from fixed starts, a running softmax in ascending order.

use barellama_gguf::ModelConfig;

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

/// Where the queries and the output of a chunk are.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// `[token][query_stride]`, rotated; the queries come first in each row.
    pub queries: &'a [f32],
    /// Distance of two rows of [`Self::queries`].
    pub query_stride: usize,
    /// Position of the first token.
    pub first: usize,
}

/// `output[token][head]` = softmax of the scaled scores, times the values.
pub fn attend(
    crew: &Crew<'_>,
    config: &ModelConfig,
    cache: &KvCache<'_>,
    layer: usize,
    chunk: &Chunk<'_>,
    output: &mut [f32],
    scratch: &mut [f32],
) {
    let group = config.heads / config.kv_heads * config.head;
    crew.for_tiles(output, config.query_width(), (TOKENS, group), scratch, |tile, scratch| {
        let job = Job { config, cache, layer, kv_head: tile.columns().start / group, chunk };
        job.run(tile, scratch);
    });
}

/// A block of tokens and the query heads that share a key-value head.
struct Job<'j> {
    config: &'j ModelConfig,
    cache: &'j KvCache<'j>,
    layer: usize,
    kv_head: usize,
    chunk: &'j Chunk<'j>,
}

impl Job<'_> {
    fn run(&self, output: &mut Tile<'_, f32>, scratch: &mut [f32]) {
        let head = self.config.head;
        let heads = self.config.heads / self.config.kv_heads;
        let tokens = output.rows();
        let (keys, scratch) = scratch.split_at_mut(TILE * head);
        let (values, scratch) = scratch.split_at_mut(TILE * head);
        let (weights, scratch) = scratch.split_at_mut(TILE);
        let states = &mut scratch[..tokens.len() * heads * State::values(head)];
        states.chunks_exact_mut(State::values(head)).for_each(State::reset);

        let end = self.chunk.first + tokens.end;
        for start in (0..end).step_by(TILE) {
            let positions = start..end.min(start + TILE);
            let length = positions.len() * head;
            self.cache.load(self.layer, Part::Keys, self.kv_head, positions.clone(), &mut keys[..length]);
            self.cache.load(self.layer, Part::Values, self.kv_head, positions.clone(), &mut values[..length]);
            let mut states = states.chunks_exact_mut(State::values(head));
            for token in tokens.clone() {
                // A token sees itself and what came before it.
                let seen = (self.chunk.first + token + 1).min(positions.end).saturating_sub(start);
                for member in 0..heads {
                    let Some(state) = states.next() else { continue };
                    let query = self.query(token, self.kv_head * heads + member);
                    if seen > 0 {
                        let (keys, values) = (&keys[..seen * head], &values[..seen * head]);
                        State { values: state }.add(query, keys, values, &mut weights[..seen]);
                    }
                }
            }
        }
        let mut states = states.chunks_exact(State::values(head));
        for token in tokens {
            for place in output.row_mut(token).chunks_exact_mut(head) {
                if let Some(state) = states.next() {
                    State::finish(state, place);
                }
            }
        }
    }

    fn query(&self, token: usize, head: usize) -> &[f32] {
        let start = token * self.chunk.query_stride + head * self.config.head;
        &self.chunk.queries[start..start + self.config.head]
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
        let head = query.len();
        let scale = 1.0 / libm::sqrtf(head as f32);
        let [largest, sum, sums @ ..] = self.values else { return };
        let mut new_largest = *largest;
        for (weight, key) in weights.iter_mut().zip(keys.chunks_exact(head)) {
            *weight = float::dot(query, key) * scale;
            new_largest = new_largest.max(*weight);
        }
        let shrink = libm::expf(*largest - new_largest);
        *largest = new_largest;
        *sum *= shrink;
        float::scale(sums, shrink);
        for (weight, value) in weights.iter().zip(values.chunks_exact(head)) {
            let weight = libm::expf(weight - new_largest);
            *sum += weight;
            float::add_scaled(sums, weight, value);
        }
    }

    fn finish(state: &[f32], output: &mut [f32]) {
        let [_, sum, sums @ ..] = state else { return };
        for (output, value) in output.iter_mut().zip(sums) {
            *output = value / sum;
        }
    }
}
