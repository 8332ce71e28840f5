//! One module a target.

pub mod arena_plan;
pub mod blocks;
pub mod config;
pub mod console;
pub mod descriptor;
pub mod device_tree;
pub mod envelope;
pub mod gguf;
pub mod json;
pub mod mcp;
pub mod open_model;
pub mod records;
pub mod request;
pub mod storage;
pub mod template;
pub mod tokenizer;
pub mod wire;
