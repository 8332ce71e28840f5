//! Products of rows in half precision (IEEE binary16) with F32 activations: widened on the way, no copy in F32.
//!
//! The definition is [`float::dot`] over the widened row: 16 interleaved partial sums, then a tree, multiplications and
//! additions apart. The vector code does the same operations in the same order for several tokens at once.

use crate::compute::float;
use crate::compute::half;

/// Tokens that share the widening of a row.
pub const TOKENS: usize = 4;

/// `products[token]` = row of `weights` times token of `values`, which has rows as long as `weights`; at most [`TOKENS`].
/// `scratch` is at least as long as `weights`.
pub fn products(weights: &[u16], values: &[f32], scratch: &mut [f32], products: &mut [f32]) {
    #[cfg(target_arch = "aarch64")]
    if weights.len().is_multiple_of(16) {
        return super::neon::half_products(weights, values, products);
    }
    products_portable(weights, values, scratch, products);
}

/// The definition of [`products`].
pub fn products_portable(weights: &[u16], values: &[f32], scratch: &mut [f32], products: &mut [f32]) {
    let row = &mut scratch[..weights.len()];
    half::widen_scalar(weights, row);
    for (product, values) in products.iter_mut().zip(values.chunks_exact(weights.len().max(1))) {
        *product = float::dot(row, values);
    }
}
