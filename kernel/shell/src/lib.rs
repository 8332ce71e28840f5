//! The console's brain: line editor, commands, settings, conversation and reports.
//!
//! Pure: bytes and facts come in, text and typed commands go out through [`core::fmt::Write`]. The kernel moves the bytes
//! and carries the commands out.
//!
//! ```text
//!   UART bytes -> editor -> line -> command -> kernel -> request slot -> engine
//!                   ^                  |                                   |
//!                   |       settings, conversation                       text
//!   terminal <------+------------------+------------ report <--------------+
//! ```
//!
//! - [`editor`]: bytes to lines, with history and type-ahead.
//! - [`command`]: lines to commands.
//! - [`settings`]: what can be set; [`config`]: the file on the card that sets it.
//! - [`models`]: which model of the card a name or number means.
//! - [`conversation`]: the messages so far, in fixed memory.
//! - [`report`]: everything people look at.
//! - [`self_test`]: what follows from what was seen of the machine.
//! - [`autorun`]: prompts from a file, answers as JSON lines.
//! - [`json`]: bounds that are checked before a JSON reader runs, and escaping.
//!
//! Memory: nothing here grows without a bound. The large types ([`editor::LineEditor`], [`conversation::Conversation`],
//! [`settings::Settings`]) have a `const fn new` so that they can be statics. Only JSON arguments are allocated, after the
//! scanner has bounded them: at most a few times the length of a line.
//! Rows end with `\r\n`: a terminal on a raw serial line needs both.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod autorun;
pub mod command;
pub mod config;
pub mod conversation;
pub mod editor;
mod harmless;
pub mod json;
pub mod models;
mod nearest;
pub mod report;
pub mod self_test;
pub mod settings;
#[cfg(test)]
mod test_random;
