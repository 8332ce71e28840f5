//! Plugins of QEMU's, compiled from `tests/plugin`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

const COMPILER: &str = "clang-19";

/// Compiles `tests/plugin/NAME.c` into a folder: the file for QEMU.
///
/// # Errors
/// The compiler is not installed, or refuses it.
pub fn build(name: &str, folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let library = folder.join(name).with_extension("so");
    let compiled = Command::new(COMPILER)
        .args(["-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-o"])
        .arg(&library)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("plugin").join(name).with_extension("c"))
        .status();
    if !compiled.map_err(|error| format!("{COMPILER}: {error}; run `make setup`"))?.success() {
        return Err(format!("the plugin {name} could not be compiled").into());
    }
    Ok(library)
}
