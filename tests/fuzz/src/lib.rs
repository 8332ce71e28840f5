//! Fuzz targets: what a hostile card, model file, serial line or device tree may do to each parser.
//!
//! A target takes any bytes and panics if the parser breaks a promise: not only by panicking itself, but by taking more memory than it
//! says, by reading outside its part, by accepting what another reader refuses, or by not answering. `make fuzz FUZZ_TARGET=name`
//! mutates inputs under coverage; `tests/corpus.rs` runs the kept ones in every `cargo test`.

#[allow(dead_code, reason = "the reader's tests use all of it")]
#[path = "../../../model-loader/gguf/tests/support/broken.rs"]
mod broken;
pub mod engine_bench;
pub mod heap;
pub mod input;
#[path = "../../../model-loader/gguf/tests/support/model_file.rs"]
pub mod model_file;
pub mod seeds;
mod targets;

/// A fuzz target.
pub struct Target {
    /// Its name: also the folder of its corpus.
    pub name: &'static str,
    /// Runs one input; panics if a promise is broken.
    pub run: fn(&[u8]),
}

/// Every target, as `targets.txt` lists them.
pub const TARGETS: [Target; 17] = [
    Target { name: "gguf", run: targets::gguf::run },
    Target { name: "arena_plan", run: targets::arena_plan::run },
    Target { name: "open_model", run: targets::open_model::run },
    Target { name: "request", run: targets::request::run },
    Target { name: "blocks", run: targets::blocks::run },
    Target { name: "tokenizer", run: targets::tokenizer::run },
    Target { name: "template", run: targets::template::run },
    Target { name: "storage", run: targets::storage::run },
    Target { name: "device_tree", run: targets::device_tree::run },
    Target { name: "config", run: targets::config::run },
    Target { name: "console", run: targets::console::run },
    Target { name: "json", run: targets::json::run },
    Target { name: "mcp", run: targets::mcp::run },
    Target { name: "wire", run: targets::wire::run },
    Target { name: "records", run: targets::records::run },
    Target { name: "envelope", run: targets::envelope::run },
    Target { name: "descriptor", run: targets::descriptor::run },
];

/// The target of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The names of all targets, for people.
#[must_use]
pub fn names() -> String {
    TARGETS.map(|target| target.name).join(" ")
}
