//! Sums and functions over F32, in one order on every machine.
//!
//! Plain Rust. What runs once for every position or every hidden value has a vector form in [`crate::kernels`], with the same bits.

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
    add_rest(&mut sums, left_rest, right_rest);
    tree(sums)
}

/// `a * b + c`: rounded once on the Pi, where it is one instruction. A PC without that instruction rounds twice, so that its tests
/// do not take hours.
#[inline]
#[must_use]
pub fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(target_arch = "aarch64") { libm::fmaf(a, b, c) } else { a * b + c }
}

fn add_rest(sums: &mut [f32], left: &[f32], right: &[f32]) {
    for (sum, (a, b)) in sums.iter_mut().zip(left.iter().zip(right)) {
        *sum += a * b;
    }
}

/// Sum of partial sums: the upper half onto the lower one, until one is left.
#[inline]
#[must_use]
pub fn tree<const N: usize>(mut sums: [f32; N]) -> f32 {
    let mut width = N / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

/// `row *= factor`, element by element.
pub fn scale(row: &mut [f32], factor: f32) {
    for value in row {
        *value *= factor;
    }
}

/// `output = row / rms(row) * weight`, where rms is the root of the mean square plus `epsilon`. The squares are added in F64, as
/// ggml does it: 8 interleaved partial sums, then a tree.
pub fn rms_norm(row: &[f32], weight: &[f32], epsilon: f32, output: &mut [f32]) {
    let (chunks, rest) = row.as_chunks::<8>();
    let mut sums = [0.0f64; 8];
    for chunk in chunks {
        for lane in 0..8 {
            sums[lane] += f64::from(chunk[lane] * chunk[lane]);
        }
    }
    for (sum, value) in sums.iter_mut().zip(rest) {
        *sum += f64::from(value * value);
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let squares = ((a + e) + (c + g)) + ((b + f) + (d + h));
    #[allow(clippy::cast_possible_truncation)]
    let mean = (squares / row.len().max(1) as f64) as f32;
    let factor = 1.0 / libm::sqrtf(mean + epsilon);
    for ((output, value), weight) in output.iter_mut().zip(row).zip(weight) {
        *output = value * factor * weight;
    }
}

/// The steps of [`exp`], which the vector form shares.
pub mod power {
    /// 1.5 * 2^23: a small number added to it has its whole part in the lowest bits of the sum, rounded to nearest.
    pub const ROUNDER: f32 = 12_582_912.0;
    /// ln 2 in two parts, so that the product of the first with a whole number is exact.
    pub const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    /// The minimax polynomial of Cephes' `expf`: of the rest's second power and above, the highest first.
    pub const COEFFICIENTS: [f32; 6] =
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5];
    /// Below it the power is 0.
    pub const LOWEST: f32 = -87.33;
    /// Above it the power is infinite.
    pub const HIGHEST: f32 = 88.5;
}

/// e to the power of `x`, within 2 units in the last place; 0 below -87.33, infinite above 88.37.
///
/// `x` is a whole number of ln 2 and a rest below half of it, whose power is a polynomial.
#[inline]
#[must_use]
pub fn exp(x: f32) -> f32 {
    use power::{COEFFICIENTS, HIGHEST, LN_2, LOWEST, ROUNDER};
    let bounded = if x < LOWEST { LOWEST } else { x };
    let bounded = if bounded > HIGHEST { HIGHEST } else { bounded };
    let rounded = multiply_add(bounded, core::f32::consts::LOG2_E, ROUNDER);
    let whole = rounded - ROUNDER;
    let rest = multiply_add(-whole, LN_2[1], multiply_add(-whole, LN_2[0], bounded));
    let [first, others @ ..] = COEFFICIENTS;
    let polynomial = others.iter().fold(first, |power, coefficient| multiply_add(power, rest, *coefficient));
    let power = multiply_add(polynomial, rest * rest, rest) + 1.0;
    // The whole part moves into the exponent; the rounder's own bits fall out of the word.
    let scale = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    if x < LOWEST { 0.0 } else { power * scale }
}

/// `x * sigmoid(x)`.
#[inline]
#[must_use]
pub fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
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
    fn the_power_is_that_of_libm() {
        let mut worst = 0;
        for step in -87_000..88_000 {
            let x = step as f32 * 1.001e-3;
            worst = worst.max(exp(x).to_bits().abs_diff(libm::expf(x).to_bits()));
        }
        assert!(worst <= 2, "{worst} units in the last place");
        assert_eq!((exp(0.0), exp(-100.0), exp(f32::NEG_INFINITY)), (1.0, 0.0, 0.0));
        assert_eq!((exp(100.0), exp(f32::INFINITY)), (f32::INFINITY, f32::INFINITY));
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn silu_has_its_limits() {
        assert_eq!(silu(0.0), 0.0);
        assert_eq!(silu(100.0), 100.0);
        assert_eq!(silu(-1000.0), 0.0);
    }
}
