//! Drivers of the chips, one file each. They know registers, not addresses or wiring.

pub mod sdhci;
