//! Attention over a tile: up to four queries meet four positions at a time.

use core::arch::aarch64::*;

use super::super::attention::{Softened, TILE};
use super::exp::Exp;
use crate::compute::float;

/// Heads are multiples of it.
pub(in super::super) const HEAD_STEP: usize = 16;

/// As [`super::super::attention::scores_portable`], the same bits. Lengths are checked; `head` is a multiple of [`HEAD_STEP`].
pub(in super::super) fn attention_scores(head: usize, queries: &[f32], keys: &[f32], scale: f32, scores: &mut [f32]) {
    let fours = keys.len() / head / 4;
    // SAFETY: NEON is part of every core that this target runs on. `attention::scores` checked that queries and keys are whole, at most
    // as many as there are places in `scores`; each call gets four whole keys (or one) and as many places.
    unsafe {
        let (queries_start, mut key, mut place) = (queries.as_ptr(), keys.as_ptr(), scores.as_mut_ptr());
        for _ in 0..fours {
            match queries.len() / head {
                1 => four_keys::<1>(head, queries_start, key, scale, place),
                2 => four_keys::<2>(head, queries_start, key, scale, place),
                3 => four_keys::<3>(head, queries_start, key, scale, place),
                _ => four_keys::<4>(head, queries_start, key, scale, place),
            }
            (key, place) = (key.add(4 * head), place.add(4));
        }
        for _ in 4 * fours..keys.len() / head {
            for query in 0..queries.len() / head {
                place.add(query * TILE).write(one_key(head, queries_start.add(query * head), key) * scale);
            }
            (key, place) = (key.add(head), place.add(1));
        }
    }
}

/// # Safety
/// `N` queries and four keys of `head` elements are readable, four places for each query writable; `head` is a multiple of [`HEAD_STEP`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn four_keys<const N: usize>(head: usize, queries: *const f32, keys: *const f32, scale: f32, places: *mut f32) {
    let mut sums = [[vdupq_n_f32(0.0); 4]; N];
    let mut keys = [0, 1, 2, 3].map(|key| keys.wrapping_add(key * head));
    let mut queries: [*const f32; N] = core::array::from_fn(|query| queries.wrapping_add(query * head));
    for _ in 0..head / HEAD_STEP {
        for at in [0, 8] {
            // SAFETY: 16 elements for each turn, here and below.
            let k = keys.map(|key| unsafe { [vld1q_f32(key.add(at)), vld1q_f32(key.add(at + 4))] });
            for (sums, query) in sums.iter_mut().zip(queries) {
                // SAFETY: as above.
                let q = unsafe { [vld1q_f32(query.add(at)), vld1q_f32(query.add(at + 4))] };
                for (sum, k) in sums.iter_mut().zip(&k) {
                    *sum = vfmaq_f32(*sum, q[0], k[0]);
                }
                for (sum, k) in sums.iter_mut().zip(&k) {
                    *sum = vfmaq_f32(*sum, q[1], k[1]);
                }
            }
        }
        keys = keys.map(|key| key.wrapping_add(HEAD_STEP));
        queries = queries.map(|query| query.wrapping_add(HEAD_STEP));
    }
    for (query, [a, b, c, d]) in sums.into_iter().enumerate() {
        let four = vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d));
        // SAFETY: four places for each query.
        unsafe { vst1q_f32(places.add(query * TILE), vmulq_n_f32(four, scale)) };
    }
}

/// # Safety
/// A query and a key of `head` elements, a multiple of 4.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn one_key(head: usize, query: *const f32, key: *const f32) -> f32 {
    let mut sum = vdupq_n_f32(0.0);
    for at in (0..head).step_by(4) {
        // SAFETY: below `head`.
        unsafe { sum = vfmaq_f32(sum, vld1q_f32(query.add(at)), vld1q_f32(key.add(at))) };
    }
    vaddvq_f32(vpaddq_f32(sum, vdupq_n_f32(0.0)))
}

/// As [`super::super::attention::soften_portable`], the same bits.
pub(in super::super) fn soften(largest: f32, scores: &mut [f32]) -> Softened {
    // SAFETY: NEON is part of every core that this target runs on.
    unsafe { soften_in_vectors(largest, scores) }
}

#[target_feature(enable = "neon")]
fn soften_in_vectors(largest: f32, scores: &mut [f32]) -> Softened {
    let (fours, rest) = scores.as_chunks_mut::<4>();
    let mut lanes = vdupq_n_f32(largest);
    for four in &*fours {
        // SAFETY: LD1 of the four values. FMAXNM takes the number where the other one is none.
        lanes = unsafe { vmaxnmq_f32(lanes, vld1q_f32(four.as_ptr())) };
    }
    let new_largest = rest.iter().fold(vmaxnmvq_f32(lanes), |largest, score| largest.max(*score));
    let mut sums = vdupq_n_f32(0.0);
    let exp = Exp::new();
    for four in fours {
        // SAFETY: LD1 and ST1 of the four values.
        unsafe {
            let weights = exp.of(vsubq_f32(vld1q_f32(four.as_ptr()), vdupq_n_f32(new_largest)));
            vst1q_f32(four.as_mut_ptr(), weights);
            sums = vaddq_f32(sums, weights);
        }
    }
    let mut partial = [0.0; 4];
    // SAFETY: ST1 of four values.
    unsafe { vst1q_f32(partial.as_mut_ptr(), sums) };
    for (sum, score) in partial.iter_mut().zip(rest) {
        *score = float::exp(*score - new_largest);
        *sum += *score;
    }
    Softened { largest: new_largest, shrink: float::exp(largest - new_largest), sum: float::tree(partial) }
}

/// As [`super::super::attention::add_weighted_portable`], the same bits. Lengths are checked; `head` is a multiple of [`HEAD_STEP`].
pub(in super::super) fn add_weighted(head: usize, weights: &[f32], values: &[f32], sums: &mut [f32]) {
    let positions = values.len() / head;
    for column in (0..head).step_by(HEAD_STEP) {
        // SAFETY: NEON is part of every core that this target runs on. `attention::add_weighted` checked that values and sums are whole and
        // that there is a tile of weights for each sum; 16 columns from this one on are inside of each.
        unsafe {
            let (weights, values) = (weights.as_ptr(), values.as_ptr().add(column));
            let places = sums.as_mut_ptr().add(column);
            match sums.len() / head {
                1 => add_columns::<1>(head, weights, values, positions, places),
                2 => add_columns::<2>(head, weights, values, positions, places),
                3 => add_columns::<3>(head, weights, values, positions, places),
                _ => add_columns::<4>(head, weights, values, positions, places),
            }
        }
    }
}

/// 16 columns of `N` queries.
///
/// # Safety
/// 16 elements at each of `positions` rows of `values` and `N` rows of `sums`, rows of `head`; as many weights for each query, [`TILE`]
/// apart.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn add_columns<const N: usize>(
    head: usize,
    weights: *const f32,
    values: *const f32,
    positions: usize,
    sums: *mut f32,
) {
    let (mut weights, mut values) = (weights, values);
    // SAFETY: the caller's promise, here and below: columns of the queries' rows, rows and weights below `positions`. One vector at a
    // time: the compiler moves those of the intrinsics that load four to and from the stack.
    let columns = |row: *const f32| unsafe {
        [vld1q_f32(row), vld1q_f32(row.add(4)), vld1q_f32(row.add(8)), vld1q_f32(row.add(12))]
    };
    let mut totals: [[float32x4_t; 4]; N] = core::array::from_fn(|query| columns(sums.wrapping_add(query * head)));
    macro_rules! add {
        ($lane:literal, $factors:expr) => {
            let v = columns(values);
            values = values.wrapping_add(head);
            for (total, factors) in totals.iter_mut().zip($factors) {
                for (total, v) in total.iter_mut().zip(v) {
                    *total = vfmaq_laneq_f32::<$lane>(*total, v, factors);
                }
            }
        };
    }
    for _ in 0..positions / 4 {
        // SAFETY: as above.
        let factors: [float32x4_t; N] = core::array::from_fn(|query| unsafe { vld1q_f32(weights.add(query * TILE)) });
        weights = weights.wrapping_add(4);
        add!(0, factors);
        add!(1, factors);
        add!(2, factors);
        add!(3, factors);
    }
    for _ in 0..positions % 4 {
        // SAFETY: as above.
        let factors: [float32x4_t; N] =
            core::array::from_fn(|query| unsafe { vdupq_n_f32(weights.add(query * TILE).read()) });
        weights = weights.wrapping_add(1);
        add!(0, factors);
    }
    for (query, totals) in totals.into_iter().enumerate() {
        for (index, total) in totals.into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { vst1q_f32(sums.add(query * head + 4 * index), total) };
        }
    }
}
