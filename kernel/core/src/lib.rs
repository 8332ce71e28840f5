//! The kernel: boot order, memory plan, system calls, engine life cycle, console.
#![no_std]

pub mod platform;
