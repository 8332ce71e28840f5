//! Rows in half precision against their scalar twin.

use barellama_engine::kernels::halves;

/// Columns of a row: not a power of two, but whole vectors.
const COLUMNS: usize = 208;
/// Rows that are compared; half of them with all kinds of numbers, infinities and what is not a number among them.
const ROWS: u16 = 512;

/// How many products were the same, or the row in which they differ.
pub fn compare() -> Result<usize, u16> {
    let mut same = 0;
    for row in 0..ROWS {
        let mut bits = u32::from(row).wrapping_mul(2_654_435_761) | 1;
        let mut next = || {
            bits ^= bits << 13;
            bits ^= bits >> 17;
            bits ^= bits << 5;
            bits
        };
        let exponents = if row % 2 == 0 { 0xFFFF } else { 0xBFFF };
        let weights: [u16; COLUMNS] = core::array::from_fn(|_| next() as u16 & exponents);
        let values: [f32; COLUMNS * halves::TOKENS] =
            core::array::from_fn(|_| (next() >> 8) as f32 / 8_388_608.0 - 1.0);
        for tokens in 1..=halves::TOKENS {
            let (mut found, mut expected) = ([0.0; halves::TOKENS], [0.0; halves::TOKENS]);
            let values = &values[..COLUMNS * tokens];
            halves::products(&weights, values, &mut [0.0; COLUMNS], &mut found[..tokens]);
            halves::products_portable(&weights, values, &mut [0.0; COLUMNS], &mut expected[..tokens]);
            let is_same =
                |(one, other): (&f32, &f32)| one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan();
            if !found.iter().zip(&expected).all(is_same) {
                return Err(row);
            }
            same += tokens;
        }
    }
    Ok(same)
}
