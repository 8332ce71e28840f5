//! AArch64: boot, vectors, MMU, caches, timer, cores, EL0 entry.
//!
//! This crate is the kernel's unsafe island: what it offers is safe to call, or says what the caller owes.
//!
//! ```text
//! firmware -> _start (boot.s)      own load address measured, EL1 entered, errata, final tables, MMU on
//!          -> kernel_main(&BootFacts)   supplied by the binary in `boards`
//!
//! TTBR1, 39-bit addresses          FFFF_FF80_0020_0000  image: text RX, constants R, data RW, payload R, stacks with guards
//!                                  FFFF_FF80_2000_0000  window: 2 MiB, for looking at physical memory
//!                                  FFFF_FFC0_0000_0000  devices: DEVICE_BASE + physical address
//! TTBR0                            the engine's: see `barellama_abi::layout`
//! ```
//!
//! Modules without hardware access ([`page_table`], [`syndrome`], [`boot`]'s and [`user`]'s types, the checks of
//! [`user_memory`]) build and are tested on the host.
#![no_std]

pub mod boot;
pub mod checksum;
pub mod kept_log;
pub mod page_table;
pub mod pool;
pub mod syndrome;
pub mod user;
pub mod user_memory;

mod table_plan;

#[cfg(target_os = "none")]
pub mod cache;
#[cfg(target_os = "none")]
pub mod canary;
#[cfg(target_os = "none")]
pub mod cores;
#[cfg(target_os = "none")]
pub mod exceptions;
#[cfg(target_os = "none")]
pub mod executed;
#[cfg(target_os = "none")]
mod hook;
#[cfg(target_os = "none")]
mod image;
#[cfg(target_os = "none")]
pub mod interrupts;
#[cfg(target_os = "none")]
pub mod kept;
#[cfg(target_os = "none")]
pub mod masked;
#[cfg(target_os = "none")]
pub mod mmu;
#[cfg(target_os = "none")]
pub mod probe;
#[cfg(target_os = "none")]
pub mod psci;
#[cfg(target_os = "none")]
pub mod registers;
#[cfg(target_os = "none")]
pub mod semihosting;
#[cfg(target_os = "none")]
pub mod timer;
#[cfg(target_os = "none")]
pub mod translate;
#[cfg(target_os = "none")]
mod window;
