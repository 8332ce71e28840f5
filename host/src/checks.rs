//! What must hold for the kernel's ELF and for the dependencies between the crates.

pub mod dependencies;
pub mod kernel;
