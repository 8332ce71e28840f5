//! JSON: bounds that are checked before a reader runs, and strings for output.
//!
//! A JSON reader allocates as it reads and keeps the last of two equal keys. [`check`] walks a text once without allocating, so that a
//! hostile line is refused before it can use up the kernel's heap, and an ambiguous one before two readers take it differently.

mod quoted;
mod scan;
mod string;

pub(crate) use quoted::Escaping;
pub use quoted::{Quoted, quoted_bytes};
pub use scan::{BoundsError, DEPTH_MAX, ELEMENTS_MAX, KEYS_MAX, check};
pub use string::equal;
