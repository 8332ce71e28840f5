//! Chip drivers and boards.
//!
//! [`drivers`] know registers, one file per chip; [`machines`] know addresses and wiring. The board is recognised at run time.
#![no_std]

#[cfg(test)]
extern crate std;

pub mod device_tree;
pub mod drivers;
pub mod machines;
pub mod memory;
pub mod models;
