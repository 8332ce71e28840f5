//! The arithmetic of the transformer.
//!
//! One rule shapes all of it: a token's logits depend only on the tokens before it. Every sum has one order, written down
//! here, whichever core computes it and however many tokens are computed together.

pub mod attention;
pub mod batch;
pub mod float;
// Four conversions at a time need vector loads and stores.
#[allow(unsafe_code)]
pub mod half;
pub mod inputs;
pub mod kv_cache;
pub mod linear;
pub mod q8;
pub mod rope;
mod roster;
// Lends a closure and parts of buffers to other cores.
#[allow(unsafe_code)]
pub mod team;
pub mod transformer;
pub mod weights;
pub mod workspace;

/// What [`roster`] is built on; `tests/interleavings` gives it loom's.
mod atomics {
    pub use core::hint::spin_loop;
    pub use core::sync::atomic::{AtomicU32, Ordering, fence};
}
