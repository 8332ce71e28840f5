//! What runs on the PC: image packer, card maker, console, checks.
//!
//! - [`image`]: `kernel8.img` out of the two ELF files.
//! - [`card`]: an SD card image with a FAT32 partition.
//! - [`console`]: a terminal on the board's serial line that survives reconnects.
//! - [`checks`]: what must hold for the kernel's ELF and for the dependencies between the crates.
#![forbid(unsafe_code)]

pub mod card;
pub mod checks;
pub mod console;
pub mod image;
