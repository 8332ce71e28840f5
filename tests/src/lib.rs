//! The harness of the QEMU tests: boots `kernel8.img`, talks to its console, reads what `/score` says.
//!
//! Each file in `tests/` holds one behaviour. A test that fails shows the whole transcript of the serial line. All of them
//! need what `make image` built; `make test` runs them.
#![forbid(unsafe_code)]

pub mod artifacts;
pub mod card;
pub mod closeness;
pub mod machine;
pub mod memory;
pub mod reference;
pub mod score;
pub mod transcript;

pub use machine::Machine;
