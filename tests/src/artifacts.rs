//! Where the files are that `make` built or fetched.

use std::path::{Path, PathBuf};

/// A file below `.work`, or below what BARELLAMA_WORK names, which must be there.
///
/// # Panics
/// If it is not: the tests were not run by `make test`.
#[must_use]
pub fn work_file(name: &str) -> PathBuf {
    existing(work_directory().join(name))
}

/// The folder of what is built: `.work`, or what BARELLAMA_WORK names.
#[must_use]
pub fn work_directory() -> PathBuf {
    std::env::var_os("BARELLAMA_WORK").map_or_else(|| root().join(".work"), PathBuf::from)
}

/// The image that a board boots.
#[must_use]
pub fn kernel_image() -> PathBuf {
    work_file("kernel8.img")
}

/// The same kernel with the attacker in place of the engine.
#[must_use]
pub fn attack_image() -> PathBuf {
    work_file("attack.img")
}

/// The same kernel with the comparison of the vector kernels in place of the engine.
#[must_use]
pub fn twins_image() -> PathBuf {
    work_file("twins.img")
}

/// The engine with its symbols: `target/bare/...`, or what the variable `BARELLAMA_ENGINE` names.
#[must_use]
pub fn engine_elf() -> PathBuf {
    let default = || root().join("target/bare/aarch64-unknown-none/release/engine");
    existing(std::env::var_os("BARELLAMA_ENGINE").map_or_else(default, PathBuf::from))
}

/// The device tree that makes one of QEMU's Raspberry Pis tell where it placed a file.
#[must_use]
pub fn device_tree(machine: &str) -> PathBuf {
    work_file(&format!("{machine}.dtb"))
}

/// The source of that device tree.
#[must_use]
pub fn device_tree_source(machine: &str) -> PathBuf {
    existing(root().join("qemu").join(format!("{machine}.dts")))
}

/// SmolLM2-135M-Instruct in Q4_1.
#[must_use]
pub fn smollm2() -> PathBuf {
    work_file("models/SmolLM2-135M-Instruct.Q4_1.gguf")
}

/// The tiny model in one of its types, e.g. `q4_0`.
#[must_use]
pub fn tiny(kind: &str) -> PathBuf {
    existing(root().join("tests/reference/tiny").join(format!("{kind}.gguf")))
}

/// The tool for the PC: `target/tool/barellama`, or what the variable `BARELLAMA` names.
#[must_use]
pub fn host_tool() -> PathBuf {
    existing(std::env::var_os("BARELLAMA").map_or_else(|| root().join("target/tool/barellama"), PathBuf::from))
}

/// The Python with the official MCP SDK.
#[must_use]
pub fn mcp_python() -> PathBuf {
    work_file("venv/bin/python")
}

/// Where npm put the Inspector and its Node: `make test-inspector`.
#[must_use]
pub fn inspector() -> PathBuf {
    work_file("inspector/node_modules")
}

/// A script of the MCP clients.
#[must_use]
pub fn mcp_client(name: &str) -> PathBuf {
    existing(root().join("tests/mcp_client").join(name))
}

/// A file of reference data.
#[must_use]
pub fn reference(name: &str) -> PathBuf {
    existing(root().join("tests/reference").join(name))
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn existing(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is missing: run `make test`, which builds and fetches it", path.display());
    path
}
