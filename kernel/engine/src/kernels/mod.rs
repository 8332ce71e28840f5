//! Products with quantized weights: eight rows at a time.
//!
//! ```text
//!   rows of a tensor        layout.rs          group of 8 rows, in the same bytes
//!   r0 |b0|b1|b2|...        --------->         |b0: scales of r0..r7, quants of r0..r7|b1: ...|b2: ...|
//!   r1 |b0|b1|b2|...        <--------- row lookup (embeddings)
//!   ...
//!   r7 |b0|b1|b2|...
//!                                              x  activations.rs: blocks of 8-bit integers
//!                                              =  product.rs: 8 outputs for each token
//!                                                 portable.rs (definition) = neon/ (the same bits)
//! ```
//!
//! Every product has the same bits on every path: the products of a block are summed as integers, exactly (`int16` lanes are
//! used within bounds that the formats guarantee), and each output adds its blocks in F32 in ascending order with the same
//! fused operations, whatever the number of tokens. [`portable`] writes this down without vectors. Rows are interleaved in one of
//! two orders, for cores with SDOT (Cortex-A76) and without (A53, A72); the bits are those of [`portable`] on both.
//!
//! Beside the products: the loops of [`attention`], [`swiglu`], and the [`search`] for the best logit.
//!
//! Only [`neon`] has unsafe code.

pub mod activations;
pub mod attention;
pub mod format;
pub mod halves;
pub mod layout;
#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code)]
pub mod neon;
pub mod portable;
pub mod product;
pub mod search;
mod six_bits;
pub mod swiglu;

pub use activations::ActivationFormat;
pub use format::{Fetch, GroupFormat, Interleaving, ROWS, WeightFormat};
pub use layout::{BadScale, interleavable, interleave};
pub use product::{GroupKernel, GroupProducts, Operands, Outputs};
