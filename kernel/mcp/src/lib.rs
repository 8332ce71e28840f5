//! The MCP server of the board and the serial wire under it.
//!
//! Pure: bytes and facts come in, messages and typed work go out. Nothing here waits, calls back or knows a device; the kernel
//! moves the bytes, carries out the [`server::Work`] and says how it went.
//!
//! ```text
//!   UART -> wire::Link (checked) or nothing (plain) -> wire::LineAssembler -> line
//!                                                                              |
//!              tickets: text, progress, finish                        server::Server::receive_line
//!   kernel <------------------------------------+---------------------- next_work
//!                                               v
//!   UART <- wire::Link or nothing <- outbox::Outbox (whole messages, each one line)
//! ```
//!
//! - [`wire`]: how one serial line carries people's text and messages; the PC's bridge uses the same code.
//! - [`json`]: bounds that are checked before a JSON reader runs, and strings for output.
//! - [`message`]: what a line is by JSON-RPC; [`id`]: request ids, echoed as they came.
//! - [`revision`]: the revisions of MCP and what differs between them.
//! - [`tools`], [`resources`], [`prompts`]: what the server offers.
//! - [`server`]: sessions, calls and answers.
//! - [`outbox`]: the messages on their way out.
//!
//! Memory: what outlives a line is in fixed buffers ([`server::Buffers`], the outbox, the assembler's line). The heap is used while a
//! line is read and by [`server::Work`] until the kernel drops it; `tests/heap.rs` holds the worst accepted lines to
//! [`HEAP_BYTES_MAX`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod id;
pub mod json;
pub mod message;
pub mod outbox;
pub mod prompts;
pub mod resources;
pub mod revision;
pub mod rpc_error;
pub mod server;
pub mod tools;
pub mod wire;

/// The longest line that is accepted, in bytes, without its end.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// The most heap that reading the worst accepted line takes, its work included.
pub const HEAP_BYTES_MAX: usize = 256 << 10;
