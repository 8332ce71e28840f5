//! `barellama mcp` as a client starts it, with a board that is simulated behind a socket.

mod board;
mod client;
mod faults;
mod noise;
mod sessions;
