//! Searches over many values, eight at a time.

use core::arch::aarch64::*;

use super::super::product::Outputs;
use super::super::search::{first_above_portable, first_not_finite_portable};
use super::vectors::load_outputs;

/// As [`first_above_portable`].
pub(in super::super) fn first_above(values: &[f32], bound: f32) -> Option<usize> {
    // SAFETY: NEON is part of every core that this target runs on.
    let is_above = |four| unsafe { vcgtq_f32(four, vdupq_n_f32(bound)) };
    first(values, is_above, |part| first_above_portable(part, bound))
}

/// As [`first_not_finite_portable`].
pub(in super::super) fn first_not_finite(values: &[f32]) -> Option<usize> {
    // SAFETY: as in `first_above`. What is not a number is not at most the largest number either.
    let is_not_finite = |four| unsafe { vmvnq_u32(vcleq_f32(vabsq_f32(four), vdupq_n_f32(f32::MAX))) };
    first(values, is_not_finite, first_not_finite_portable)
}

/// Index of the first value that is looked for: `is_found` sets the lanes of such values, `find` looks at few of them.
#[inline(always)]
fn first(
    values: &[f32],
    is_found: impl Fn(float32x4_t) -> uint32x4_t,
    find: impl Fn(&[f32]) -> Option<usize>,
) -> Option<usize> {
    // SAFETY: `Outputs` are eight floats and nothing else; every bit pattern is one.
    let (before, eights, behind) = unsafe { values.align_to::<Outputs>() };
    if let Some(index) = find(before) {
        return Some(index);
    }
    let found = eights.iter().position(|eight| {
        // SAFETY: NEON is part of every core that this target runs on.
        unsafe {
            let [low, high] = load_outputs(eight);
            vmaxvq_u32(vorrq_u32(is_found(low), is_found(high))) != 0
        }
    });
    match found.and_then(|index| Some((index, find(&eights[index].0)?))) {
        Some((index, place)) => Some(before.len() + index * 8 + place),
        None => find(behind).map(|index| values.len() - behind.len() + index),
    }
}
