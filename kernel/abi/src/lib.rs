//! The contract between the kernel (EL1) and the engine (EL0).
//!
//! Both sides link their own copy of this crate; nothing else is shared. It has no dependencies and no unsafe code.
//!
//! - [`layout`]: where each region lies in the one address space.
//! - [`syscall`]: the numbers, arguments and errors of the calls that the engine may make.
//! - [`request`]: how a request lies in a request slot.
//! - [`outcome`]: how the engine says that a request ended.
//! - [`boot_info`]: what the kernel tells the engine before its first instruction.
//! - [`fault`]: what the kernel says when the engine did what it must not.
#![no_std]
#![forbid(unsafe_code)]

pub mod boot_info;
pub mod fault;
pub mod layout;
pub mod outcome;
pub mod request;
pub mod syscall;
mod wire;
