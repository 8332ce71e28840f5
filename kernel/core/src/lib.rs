//! The kernel: boot order, memory plan, system calls, engine life cycle, console.
#![no_std]

pub mod log_ring;
pub mod memory_plan;
pub mod payload;
pub mod platform;
pub mod requests;
