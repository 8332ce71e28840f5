//! What runs on the PC: image packer, card maker, console, MCP bridge, checks.
//!
//! - [`image`]: `kernel8.img` out of the two ELF files.
//! - [`card`]: an SD card image with a FAT32 partition.
//! - [`console`]: a terminal on the board's serial line that survives reconnects.
//! - [`bridge`]: between an MCP client's standard input and output and the board's serial line.
//! - [`line`]: the serial line itself: a device or a socket.
//! - [`symbols`]: the names of the engine's functions, behind its ELF in the image.
//! - [`checks`]: what must hold for the kernel's ELF and for the dependencies between the crates.
#![forbid(unsafe_code)]

pub mod bridge;
pub mod card;
pub mod checks;
pub mod console;
pub mod image;
pub mod line;
pub mod symbols;
