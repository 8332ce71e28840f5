//! The tools: what clients are told about them, their arguments, and the requests to the engine that they become.

mod arguments;
mod benchmark;
mod catalog;
mod generation;
mod models;
mod schemas;
mod score;
mod text;
mod values;

pub(crate) use arguments::{BadArguments, read};
pub use catalog::Tool;
pub(crate) use catalog::ToolList;

use alloc::string::String;

use barellama_abi::request::RequestHeader;

use crate::server::Records;

/// What a call asks the kernel for.
#[derive(Debug)]
pub(crate) enum Order {
    /// A request to the engine.
    Engine {
        header: RequestHeader,
        deadline_ms: Option<u32>,
        records: Records,
    },
    Status,
    ListModels,
    LoadModel(String),
}
