//! The kernels for AArch64 cores.
//!
//! One step multiplies 32 weights of eight rows with 32 activations of one token. Weights are unpacked before the loop over
//! tokens, and conversion and scaling are paid once for eight rows.
//!
//! - Without dot-product instructions (Cortex-A53, A72): SMULL and three SMLAL leave eight sums of four products for each row
//!   in 16 bits, a tree of ADDP makes one vector of them with a lane for each row. The 16-bit sums are exact: see
//!   [`vectors::sums_of_32`] and [`six_bit_pair::add_pair`].
//! - With them (A76): SDOT multiplies four weights of four rows with the same four activations and adds to a 32-bit lane for
//!   each row: [`dot`].

mod attention;
mod dot;
mod exp;
mod five_bits;
mod half_loop;
mod halves;
mod k_quants;
mod quantize;
mod search;
mod short;
mod six_bit_pair;
mod six_bits;
mod token_loop;
mod vectors;
mod wide_loop;

pub(super) use attention::{HEAD_STEP, add_weighted, attention_scores, soften};
pub(super) use exp::silu;
pub(super) use halves::half_products;
pub(super) use quantize::quantize;
pub(super) use search::{first_above, first_not_finite};
pub(super) use vectors::copy_16;

use super::format::{GroupFormat, Interleaving, WeightFormat};
use super::product::Product;

/// The kernel of a format.
pub(super) fn product(format: GroupFormat) -> Product {
    match (format.weights, format.order) {
        (WeightFormat::Q4_0, Interleaving::Rows) => short::product::<short::Q4_0>,
        (WeightFormat::Q4_1, Interleaving::Rows) => short::product::<short::Q4_1>,
        (WeightFormat::Q8_0, Interleaving::Rows) => short::product::<short::Q8_0>,
        (WeightFormat::Q4K, Interleaving::Rows) => k_quants::product::<k_quants::Q4K>,
        (WeightFormat::Q5K, Interleaving::Rows) => k_quants::product::<five_bits::Q5K>,
        (WeightFormat::Q6K, Interleaving::Rows) => k_quants::product::<six_bits::Q6K>,
        (WeightFormat::Q4_0, Interleaving::Quads) => short::product::<dot::Q4_0>,
        (WeightFormat::Q4_1, Interleaving::Quads) => short::product::<dot::Q4_1>,
        (WeightFormat::Q8_0, Interleaving::Quads) => short::product::<dot::Q8_0>,
        (WeightFormat::Q4K, Interleaving::Quads) => k_quants::product::<dot::Q4K>,
        (WeightFormat::Q5K, Interleaving::Quads) => k_quants::product::<five_bits::DotQ5K>,
        (WeightFormat::Q6K, Interleaving::Quads) => k_quants::product::<dot::Q6K>,
    }
}
