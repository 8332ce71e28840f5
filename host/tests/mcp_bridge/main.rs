//! `barellama mcp` as a client starts it, with a board that is simulated behind a socket.

mod board;
mod client;
mod faults;
mod noise;
mod sessions;

use std::path::PathBuf;

/// The tool under test.
fn bridge_path() -> PathBuf {
    env!("CARGO_BIN_EXE_barellama").into()
}
