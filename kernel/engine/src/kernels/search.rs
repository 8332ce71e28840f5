//! Looks through the logits: most of a vocabulary is passed over without a second look.

/// Index of the first value above `bound`. What is not a number is above nothing.
#[must_use]
pub fn first_above(values: &[f32], bound: f32) -> Option<usize> {
    #[cfg(target_arch = "aarch64")]
    return super::neon::first_above(values, bound);
    #[cfg(not(target_arch = "aarch64"))]
    first_above_portable(values, bound)
}

/// The definition of [`first_above`].
#[must_use]
pub fn first_above_portable(values: &[f32], bound: f32) -> Option<usize> {
    values.iter().position(|value| *value > bound)
}

/// Index of the first value that is infinite or not a number.
#[must_use]
pub fn first_not_finite(values: &[f32]) -> Option<usize> {
    #[cfg(target_arch = "aarch64")]
    return super::neon::first_not_finite(values);
    #[cfg(not(target_arch = "aarch64"))]
    first_not_finite_portable(values)
}

/// The definition of [`first_not_finite`].
#[must_use]
pub fn first_not_finite_portable(values: &[f32]) -> Option<usize> {
    values.iter().position(|value| !value.is_finite())
}

/// Index of the largest value, the first of equals; 0 if there is none. What is not a number is never the largest. Defined by
/// [`crate::compute::float::argmax`].
#[must_use]
pub fn argmax(values: &[f32]) -> usize {
    let (mut best, mut start) = (0, 0);
    let mut largest = f32::NEG_INFINITY;
    while let Some(above) = first_above(&values[start..], largest) {
        best = start + above;
        largest = values[best];
        start = best + 1;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::argmax;

    #[test]
    fn argmax_takes_the_first_of_equals_and_no_nan() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0, f32::NAN]), 1);
        assert_eq!(argmax(&[-0.0, 0.0, -1.0]), 0);
        assert_eq!(argmax(&[f32::NAN]), 0);
        assert_eq!(argmax(&[]), 0);
    }
}
