//! The inner loops of attention: scores of a tile of positions, their softmax, and the weighted sum of values.
//!
//! Query heads that share a key-value head meet each key and each value together, so that it is loaded once for up to
//! [`QUERIES`] of them. A query's numbers do not depend on its neighbours:
//!
//! - a score is 4 interleaved partial sums of fused multiply-adds, added in pairs, then scaled;
//! - the sum of a tile's weights is 4 interleaved partial sums, then a tree;
//! - each element of the output adds its positions in ascending order, with one fused multiply-add each.

use core::ops::Range;

use crate::compute::float;

/// Most queries of a call.
pub const QUERIES: usize = 4;
/// Positions of a tile: the distance of two queries' scores.
pub const TILE: usize = 32;

/// What the softmax of a query's tile leaves behind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Softened {
    /// The largest score so far.
    pub largest: f32,
    /// What earlier sums must be multiplied with, since the largest score grew.
    pub shrink: f32,
    /// Sum of the tile's weights.
    pub sum: f32,
}

/// `scores[query][position] = scale * query . key`, for queries and keys of `head` elements that lie one behind the other. There are
/// [`TILE`] places for each query, at most [`QUERIES`] of those; the places behind the last key are not touched.
///
/// # Panics
/// If lengths do not fit together.
pub fn scores(head: usize, queries: &[f32], keys: &[f32], scale: f32, scores: &mut [f32]) {
    check(head, queries, keys, scores);
    #[cfg(target_arch = "aarch64")]
    if head.is_multiple_of(super::neon::HEAD_STEP) {
        return super::neon::attention_scores(head, queries, keys, scale, scores);
    }
    scores_portable(head, queries, keys, scale, scores);
}

/// The definition of [`scores`].
pub fn scores_portable(head: usize, queries: &[f32], keys: &[f32], scale: f32, scores: &mut [f32]) {
    for (query, scores) in queries.chunks_exact(head).zip(scores.chunks_exact_mut(TILE)) {
        let (query, query_rest) = query.as_chunks::<4>();
        for (key, score) in keys.chunks_exact(head).zip(scores) {
            let (key, key_rest) = key.as_chunks::<4>();
            let mut sums = [0.0; 4];
            for (q, k) in query.iter().zip(key) {
                for lane in 0..4 {
                    sums[lane] = float::multiply_add(q[lane], k[lane], sums[lane]);
                }
            }
            for (sum, (q, k)) in sums.iter_mut().zip(query_rest.iter().zip(key_rest)) {
                *sum = float::multiply_add(*q, *k, *sum);
            }
            *score = ((sums[0] + sums[1]) + (sums[2] + sums[3])) * scale;
        }
    }
}

/// Turns a query's scores into weights: `exp(score - largest)`, where `largest` is that of all scores so far.
pub fn soften(largest: f32, scores: &mut [f32]) -> Softened {
    #[cfg(target_arch = "aarch64")]
    return super::neon::soften(largest, scores);
    #[cfg(not(target_arch = "aarch64"))]
    soften_portable(largest, scores)
}

/// The definition of [`soften`].
pub fn soften_portable(largest: f32, scores: &mut [f32]) -> Softened {
    // What is not a number is never the largest.
    let new_largest = scores.iter().fold(largest, |largest, score| largest.max(*score));
    let mut sums = [0.0; 4];
    for (index, score) in scores.iter_mut().enumerate() {
        *score = float::exp(*score - new_largest);
        sums[index % 4] += *score;
    }
    Softened { largest: new_largest, shrink: float::exp(largest - new_largest), sum: float::tree(sums) }
}

/// `sums[query] += weights[query][position] * value`, position by position. Shapes are those of [`scores`], `sums` is like its queries.
///
/// # Panics
/// If lengths do not fit together.
pub fn add_weighted(head: usize, weights: &[f32], values: &[f32], sums: &mut [f32]) {
    check(head, sums, values, weights);
    #[cfg(target_arch = "aarch64")]
    if head.is_multiple_of(super::neon::HEAD_STEP) {
        return super::neon::add_weighted(head, weights, values, sums);
    }
    add_weighted_portable(head, weights, values, sums);
}

/// The definition of [`add_weighted`].
pub fn add_weighted_portable(head: usize, weights: &[f32], values: &[f32], sums: &mut [f32]) {
    for (weights, sums) in weights.chunks_exact(TILE).zip(sums.chunks_exact_mut(head)) {
        for (weight, value) in weights.iter().zip(values.chunks_exact(head)) {
            for (sum, value) in sums.iter_mut().zip(value) {
                *sum = float::multiply_add(*weight, *value, *sum);
            }
        }
    }
}

/// Groups of at most [`QUERIES`] of `count` queries.
pub fn groups(count: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).step_by(QUERIES).map(move |first| first..count.min(first + QUERIES))
}

fn check(head: usize, queries: &[f32], positions: &[f32], table: &[f32]) {
    assert!(head > 0, "a head has elements");
    let (count, length) = (queries.len() / head, positions.len() / head);
    assert!(count <= QUERIES && count * head == queries.len(), "whole queries");
    assert!(length <= TILE && length * head == positions.len(), "whole positions");
    assert!(table.len() == count * TILE, "a tile for each query");
}
