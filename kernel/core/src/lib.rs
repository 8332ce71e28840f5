//! The kernel: boot order, memory plan, system calls, engine life cycle, console.
//!
//! - [`platform`]: what a board gives.
//! - [`boot`]: from the recognised board to the prompt.
//! - [`kernel_loop`]: the one loop of core 0, with [`loading`], [`console`], [`mcp`], [`serving`], [`lifecycle`] and [`autorun`] as its parts.
//! - [`engine`]: the program at EL0 as the kernel sees it; [`integrity`]: whether it left the kernel as it was.
//! - [`memory_plan`], [`payload`], [`requests`], [`call_budget`], [`rate`], [`symbols`], [`log_ring`], [`liveness`], [`watchdog`], [`led`], [`facts`]: pure, tested on the PC.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(target_os = "none")]
pub mod autorun;
#[cfg(target_os = "none")]
pub mod bench;
#[cfg(target_os = "none")]
pub mod boot;
pub mod call_budget;
pub mod coherence;
#[cfg(target_os = "none")]
pub mod console;
#[cfg(target_os = "none")]
pub mod engine;
pub mod facts;
pub mod gaps;
#[cfg(target_os = "none")]
pub mod heap;
#[cfg(target_os = "none")]
pub mod integrity;
#[cfg(target_os = "none")]
pub mod interrupt;
#[cfg(target_os = "none")]
pub mod kernel_loop;
#[cfg(target_os = "none")]
pub mod last_run;
pub mod led;
#[cfg(target_os = "none")]
pub mod lifecycle;
pub mod liveness;
#[cfg(target_os = "none")]
pub mod loading;
pub mod log_ring;
#[cfg(target_os = "none")]
pub mod logging;
#[cfg(target_os = "none")]
pub mod mcp;
pub mod memory_plan;
pub mod payload;
pub mod platform;
#[cfg(target_os = "none")]
pub mod protection;
pub mod rate;
pub mod requests;
#[cfg(target_os = "none")]
mod response;
#[cfg(target_os = "none")]
pub mod self_test;
#[cfg(target_os = "none")]
pub mod serial;
#[cfg(target_os = "none")]
pub mod serving;
pub mod symbols;
#[cfg(target_os = "none")]
pub mod tables;
pub mod turns;
#[cfg(target_os = "none")]
pub mod verification;
pub mod watchdog;
