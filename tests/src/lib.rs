//! The harness of the QEMU tests: boots `kernel8.img`, talks to its console, reads what `/score` says.
//!
//! Each file in `tests/` holds one behaviour. A test that fails shows the whole transcript of the serial line. All of them
//! need what `make image` built; `make test` runs them.
#![forbid(unsafe_code)]

pub mod artifacts;
pub mod attacks;
pub mod card;
#[path = "../../host/tests/mcp_bridge/client.rs"]
pub mod client;
pub mod closeness;
pub mod debugger;
pub mod machine;
pub mod memory;
pub mod monitor;
#[path = "../../host/tests/mcp_bridge/noise.rs"]
pub mod noise;
pub mod proxy;
pub mod reference;
pub mod score;
pub mod transcript;

pub use machine::Machine;

/// The tool whose bridge the clients use.
fn bridge_path() -> std::path::PathBuf {
    artifacts::host_tool()
}
