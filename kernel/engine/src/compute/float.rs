//! Sums and functions over F32, in one order on every machine.
//!
//! Plain Rust that the compiler turns into vector instructions; multiplications and additions stay apart, so the PC's tests
//! and the Pi compute the same bits.

/// Independent partial sums of [`dot`].
const LANES: usize = 16;
/// Independent partial sums of [`dot_short`].
const SHORT_LANES: usize = 8;
/// Elements of a row of sums that are kept in registers.
const COLUMNS: usize = 16;

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

/// Products of one row with several of the same length, `rows` one behind the other: 8 interleaved partial sums each, then a
/// tree. Each product is the same whatever the number of rows.
pub fn dot_rows(row: &[f32], rows: &[f32], products: &mut [f32]) {
    const ROWS: usize = 4;
    let width = row.len();
    let (fours, rest) = products.as_chunks_mut::<ROWS>();
    let (rows_of_fours, rows_of_rest) = rows.split_at(fours.len() * ROWS * width);
    for (products, rows) in fours.iter_mut().zip(rows_of_fours.chunks_exact(ROWS * width)) {
        let (first, second) = rows.split_at(2 * width);
        let ((a, b), (c, d)) = (first.split_at(width), second.split_at(width));
        *products = dot_short(row, [a, b, c, d]);
    }
    for (product, other) in rest.iter_mut().zip(rows_of_rest.chunks_exact(width)) {
        [*product] = dot_short(row, [other]);
    }
}

/// Products of one row with `N` others, which share its loads.
#[inline]
fn dot_short<const N: usize>(row: &[f32], others: [&[f32]; N]) -> [f32; N] {
    let (chunks, rest) = row.as_chunks::<SHORT_LANES>();
    let mut sums = [[0.0; SHORT_LANES]; N];
    let others = others.map(|other| other.as_chunks::<SHORT_LANES>());
    let bodies = others.map(|(body, _)| &body[..chunks.len()]);
    for (index, chunk) in chunks.iter().enumerate() {
        for (sums, body) in sums.iter_mut().zip(bodies) {
            for lane in 0..SHORT_LANES {
                sums[lane] += chunk[lane] * body[index][lane];
            }
        }
    }
    for (sums, (_, others_rest)) in sums.iter_mut().zip(others) {
        add_rest(sums, rest, others_rest);
    }
    sums.map(tree)
}

fn add_rest(sums: &mut [f32], left: &[f32], right: &[f32]) {
    for (sum, (a, b)) in sums.iter_mut().zip(left.iter().zip(right)) {
        *sum += a * b;
    }
}

/// Sum of partial sums: the upper half onto the lower one, until one is left.
#[inline]
fn tree<const N: usize>(mut sums: [f32; N]) -> f32 {
    let mut width = N / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

/// Sum of a row: 4 interleaved partial sums, then a tree.
#[must_use]
pub fn sum(row: &[f32]) -> f32 {
    let (chunks, rest) = row.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for chunk in chunks {
        for lane in 0..4 {
            sums[lane] += chunk[lane];
        }
    }
    for (sum, value) in sums.iter_mut().zip(rest) {
        *sum += value;
    }
    tree(sums)
}

/// The largest of `first` and the values, in 4 lanes; what is not a number is never the largest.
#[must_use]
pub fn max(first: f32, values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<4>();
    let mut lanes = [first; 4];
    for chunk in chunks {
        for lane in 0..4 {
            lanes[lane] = lanes[lane].max(chunk[lane]);
        }
    }
    rest.iter().chain(&lanes).fold(first, |largest, value| largest.max(*value))
}

/// `sums += factor * row` for each factor and its row, in their order, element by element.
pub fn add_scaled_rows(sums: &mut [f32], factors: &[f32], rows: &[f32]) {
    let width = sums.len();
    let (chunks, rest) = sums.as_chunks_mut::<COLUMNS>();
    for (index, place) in chunks.iter_mut().enumerate() {
        let mut sums = *place;
        for (factor, row) in factors.iter().zip(rows.chunks_exact(width)) {
            let Some(row) = row.as_chunks::<COLUMNS>().0.get(index) else { continue };
            for column in 0..COLUMNS {
                sums[column] += factor * row[column];
            }
        }
        *place = sums;
    }
    let first = width - rest.len();
    for (factor, row) in factors.iter().zip(rows.chunks_exact(width)) {
        for (sum, value) in rest.iter_mut().zip(&row[first..]) {
            *sum += factor * value;
        }
    }
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

/// e to the power of `x`, within 2 units in the last place; 0 below -87.33, infinite above 88.37.
///
/// Without a branch, so that a loop over it becomes vector instructions: `x` is a whole number of ln 2 and a rest below half of
/// it, whose power is a polynomial (the minimax one of Cephes' `expf`).
#[inline]
#[must_use]
pub fn exp(x: f32) -> f32 {
    /// 1.5 * 2^23: a small number added to it has its whole part in the lowest bits of the sum, rounded to nearest.
    const ROUNDER: f32 = 12_582_912.0;
    // ln 2 in two parts, so that the product of the first with a whole number is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let bounded = if x < -87.33 { -87.33 } else { x };
    let bounded = if bounded > 88.5 { 88.5 } else { bounded };
    let rounded = bounded * core::f32::consts::LOG2_E + ROUNDER;
    let whole = rounded - ROUNDER;
    let rest = bounded - whole * LN_2_HIGH - whole * LN_2_LOW;
    let mut power = 1.987_569_1e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        power = power * rest + coefficient;
    }
    power = power * rest * rest + rest + 1.0;
    // The whole part moves into the exponent; the rounder's own bits fall out of the word.
    let scale = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    if x < -87.33 { 0.0 } else { power * scale }
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
    fn rows_are_multiplied_like_one() {
        let row: Vec<f32> = (0..75).map(|i| (i as f32 * 0.37).sin()).collect();
        let rows: Vec<f32> = (0..75 * 11).map(|i| (i as f32 * 0.11).cos()).collect();
        let mut products = [0.0; 11];
        dot_rows(&row, &rows, &mut products);
        for (product, other) in products.iter().zip(rows.chunks_exact(75)) {
            let [alone] = dot_short(&row, [other]);
            assert_eq!(product.to_bits(), alone.to_bits());
            let exact: f64 = row.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(alone) - exact).abs() < 1e-5);
        }
    }

    #[test]
    fn scaled_rows_are_added_in_their_order() {
        for width in [1, 16, 20, 64] {
            let rows: Vec<f32> = (0..width * 5).map(|i| (i as f32 * 0.7).sin()).collect();
            let factors = [0.1, 0.25, 1.5, -2.0, 1e-3];
            let mut sums: Vec<f32> = (0..width).map(|i| i as f32).collect();
            let mut expected = sums.clone();
            add_scaled_rows(&mut sums, &factors, &rows);
            for (factor, row) in factors.iter().zip(rows.chunks_exact(width)) {
                expected.iter_mut().zip(row).for_each(|(sum, value)| *sum += factor * value);
            }
            assert_eq!(sums, expected, "{width}");
        }
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
