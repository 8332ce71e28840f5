//! The loops of attention and of the feed-forward gate against their scalar twins.

use barellama_engine::kernels::attention::{
    QUERIES, TILE, add_weighted, add_weighted_portable, scores, scores_portable, soften, soften_portable,
};
use barellama_engine::kernels::swiglu::{silu, silu_portable};

use crate::random::Random;

/// Elements of the widest head.
const HEAD_MAX: usize = 128;
/// Heads with and without vectors.
const HEADS: [usize; 5] = [16, 20, 64, 80, HEAD_MAX];
/// Numbers of positions.
const POSITIONS: [usize; 6] = [1, 3, 4, 13, 31, TILE];

/// Tables of a tile and what comes of them.
pub struct Tables {
    queries: [f32; QUERIES * HEAD_MAX],
    expected_sums: [f32; QUERIES * HEAD_MAX],
    tile: [f32; TILE * HEAD_MAX],
    weights: [f32; QUERIES * TILE],
    expected: [f32; QUERIES * TILE],
}

impl Tables {
    /// Zeroes.
    pub const fn new() -> Self {
        Self {
            queries: [0.0; QUERIES * HEAD_MAX],
            expected_sums: [0.0; QUERIES * HEAD_MAX],
            tile: [0.0; TILE * HEAD_MAX],
            weights: [0.0; QUERIES * TILE],
            expected: [0.0; QUERIES * TILE],
        }
    }

    /// How many numbers were the same, or what differs.
    pub fn compare(&mut self) -> Result<usize, &'static str> {
        let mut random = Random(0x2545_F491_4F6C_DD1D);
        let mut same = 0;
        for head in HEADS {
            for positions in POSITIONS {
                for queries in 1..=QUERIES {
                    same += self.compare_tile(head, positions, queries, &mut random)?;
                }
            }
        }
        Ok(same)
    }

    fn compare_tile(
        &mut self,
        head: usize,
        positions: usize,
        count: usize,
        random: &mut Random,
    ) -> Result<usize, &'static str> {
        let queries = &mut self.queries[..count * head];
        let expected_sums = &mut self.expected_sums[..count * head];
        let tile = &mut self.tile[..positions * head];
        let (weights, expected) = (&mut self.weights[..count * TILE], &mut self.expected[..count * TILE]);
        queries.iter_mut().chain(&mut *tile).for_each(|value| *value = random.float());
        weights.fill(0.0);
        expected.fill(0.0);
        scores(head, queries, tile, 0.125, weights);
        scores_portable(head, queries, tile, 0.125, expected);
        let mut same = equal(weights, expected).ok_or("scores")?;
        for (weights, expected) in weights.chunks_exact_mut(TILE).zip(expected.chunks_exact_mut(TILE)) {
            let largest = random.float();
            let softened = soften(largest, &mut weights[..positions]);
            if softened != soften_portable(largest, &mut expected[..positions]) {
                return Err("the softmax");
            }
        }
        same += equal(weights, expected).ok_or("weights")?;
        expected_sums.copy_from_slice(queries);
        add_weighted(head, weights, tile, queries);
        add_weighted_portable(head, expected, tile, expected_sums);
        same += equal(queries, expected_sums).ok_or("weighted sums")?;
        silu(&mut queries[1..]);
        silu_portable(&mut expected_sums[1..]);
        same += equal(queries, expected_sums).ok_or("gates")?;
        // Every power that is neither 0 nor infinite, and some that are.
        weights.iter_mut().for_each(|value| *value = 100.0 * random.float());
        expected.copy_from_slice(weights);
        soften(0.0, weights);
        soften_portable(0.0, expected);
        Ok(same + equal(weights, expected).ok_or("powers")?)
    }
}

fn equal(one: &[f32], other: &[f32]) -> Option<usize> {
    one.iter().zip(other).all(|(one, other)| one.to_bits() == other.to_bits()).then_some(one.len())
}
