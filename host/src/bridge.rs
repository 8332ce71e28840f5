//! The bridge between an MCP client's standard input and output and the board's serial line in checked mode.
//!
//! ```text
//!   client --stdin--> input -> lines -+                      +-> envelope -> output --stdout--> client
//!                                     v                      |
//!                              barellama_mcp::wire::Link  relay
//!                                     |                      ^
//!   board  <----------- wire ---------+----------------------+---> text --stderr--> people
//! ```
//!
//! Messages pass as they came: a message is read to know who waits for what, never written anew. What the client gets is complete
//! JSON, and nothing else is on standard output. When the board was reset, requests that it worked on are answered with an error, those
//! that it did not have are sent again, and the client's handshake is repeated with the client's own lines.

mod envelope;
mod input;
mod lines;
mod nonces;
mod outage;
mod outstanding;
mod pump;
mod relay;
mod session;
mod text;
mod wire;

pub use pump::{BridgeError, run};

/// What `barellama mcp --help` says at its end.
pub const EXAMPLES: &str = r#"Examples:
  A board on a USB serial adapter, with `baud 921600` in its barellama.txt:
    barellama mcp --port /dev/ttyUSB0 --baud 921600
  The same on macOS:
    barellama mcp --port /dev/cu.usbserial-0001 --baud 921600
  QEMU with `-serial unix:/tmp/board.sock,server=on,wait=off`, or `-serial tcp:...`:
    barellama mcp --connect unix:/tmp/board.sock
    barellama mcp --connect localhost:4321
  One question without a client:
    echo '{"jsonrpc":"2.0","id":1,"method":"ping"}' | barellama mcp --port /dev/ttyUSB0 --drain-s 5

Configuration of MCP clients (Claude Desktop, Claude Code and most others; use the full path of barellama):
    {
      "mcpServers": {
        "pi": {
          "command": "barellama",
          "args": ["mcp", "--port", "/dev/ttyUSB0", "--baud", "921600"]
        }
      }
    }
VS Code, in .vscode/mcp.json:
    {
      "servers": {
        "pi": {
          "type": "stdio",
          "command": "barellama",
          "args": ["mcp", "--port", "/dev/ttyUSB0", "--baud", "921600"]
        }
      }
    }

Standard error shows the board's log and what the bridge notices. The serial line has one owner: end `barellama console` first."#;
