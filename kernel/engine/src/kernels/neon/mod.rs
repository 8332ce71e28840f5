//! The kernels for AArch64 cores without dot-product instructions (Cortex-A53, A72).
//!
//! One step multiplies 32 weights of eight rows with 32 activations of one token. SMULL and three SMLAL leave eight sums of
//! four products for each row in 16 bits, a tree of ADDP makes one vector of them with a lane for each row, and conversion
//! and scaling are paid once for eight rows. Weights are unpacked before the loop over tokens.
//!
//! The 16-bit sums are exact: see [`vectors::sums_of_32`] and [`vectors::half_sums_of_16`].

mod k_quants;
mod quantize;
mod short;
mod token_loop;
mod vectors;

pub(super) use quantize::quantize;
pub(super) use vectors::copy_16;

use super::format::WeightFormat;
use super::product::Product;

/// The kernel of a format.
pub(super) fn product(format: WeightFormat) -> Product {
    match format {
        WeightFormat::Q4_0 => short::product::<short::Q4_0>,
        WeightFormat::Q4_1 => short::product::<short::Q4_1>,
        WeightFormat::Q8_0 => short::product::<short::Q8_0>,
        WeightFormat::Q4K => k_quants::product::<k_quants::Q4K>,
        WeightFormat::Q6K => k_quants::product::<k_quants::Q6K>,
    }
}
