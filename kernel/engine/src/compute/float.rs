//! Sums and functions over F32, in one order on every machine.
//!
//! Plain Rust that the compiler turns into vector instructions; multiplications and additions stay apart, so the PC's tests
//! and the Pi compute the same bits.

/// Independent partial sums of [`dot`].
const LANES: usize = 16;

/// Sum of products of two rows of the same length: 16 interleaved partial sums, then a tree.
#[must_use]
pub fn dot(left: &[f32], right: &[f32]) -> f32 {
    let (left_chunks, left_rest) = left.as_chunks::<LANES>();
    let (right_chunks, right_rest) = right.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in left_chunks.iter().zip(right_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    for (sum, (a, b)) in sums.iter_mut().zip(left_rest.iter().zip(right_rest)) {
        *sum += a * b;
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

/// `sums += factor * row`, element by element.
pub fn add_scaled(sums: &mut [f32], factor: f32, row: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum += factor * value;
    }
}

/// `row *= factor`, element by element.
pub fn scale(row: &mut [f32], factor: f32) {
    for value in row {
        *value *= factor;
    }
}

/// `output = row / rms(row) * weight`, where rms is the root of the mean square plus `epsilon`.
pub fn rms_norm(row: &[f32], weight: &[f32], epsilon: f32, output: &mut [f32]) {
    let squares: f64 = row.iter().map(|value| f64::from(value * value)).sum();
    #[allow(clippy::cast_possible_truncation)]
    let mean = (squares / row.len().max(1) as f64) as f32;
    let factor = 1.0 / libm::sqrtf(mean + epsilon);
    for ((output, value), weight) in output.iter_mut().zip(row).zip(weight) {
        *output = value * factor * weight;
    }
}

/// `x * sigmoid(x)`.
#[must_use]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + libm::expf(-x))
}

/// Index of the largest value, the first of equals; 0 if there is none. What is not a number is never the largest.
#[must_use]
pub fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    let mut largest = f32::NEG_INFINITY;
    for (index, &value) in values.iter().enumerate() {
        if value > largest {
            (best, largest) = (index, value);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn dot_adds_every_product_once() {
        for length in [0, 1, 15, 16, 17, 64, 100] {
            let left: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let right: Vec<f32> = (0..length).map(|i| (i % 3) as f32).collect();
            let exact: f32 = left.iter().zip(&right).map(|(a, b)| a * b).sum();
            assert_eq!(dot(&left, &right), exact, "{length}");
        }
    }

    #[test]
    fn rms_norm_gives_unit_mean_square() {
        let row = [3.0, -4.0, 12.0, 84.0];
        let mut output = [0.0; 4];
        rms_norm(&row, &[1.0, 1.0, 2.0, 1.0], 0.0, &mut output);
        output[2] /= 2.0;
        let mean: f32 = output.iter().map(|x| x * x).sum::<f32>() / 4.0;
        assert!((mean - 1.0).abs() < 1e-6);
    }

    #[test]
    fn argmax_takes_the_first_of_equals_and_no_nan() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0, f32::NAN]), 1);
        assert_eq!(argmax(&[f32::NAN]), 0);
        assert_eq!(argmax(&[]), 0);
    }

    #[test]
    fn silu_has_its_limits() {
        assert_eq!(silu(0.0), 0.0);
        assert_eq!(silu(100.0), 100.0);
        assert_eq!(silu(-1000.0), 0.0);
    }
}
