//! What LLVM's tools say of the engine's ELF.

use std::error::Error;
use std::process::Command;

use barellama_tests::artifacts;

/// The output of a tool that reads the ELF of the engine of this build.
///
/// # Errors
/// The tool is not installed, or does not write text.
pub fn read_engine(tool: &str, arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    let output = Command::new(tool).args(arguments).arg(artifacts::engine_elf()).output();
    let output = output.map_err(|error| format!("{tool}: {error}; run `make setup`"))?;
    Ok(String::from_utf8(output.stdout)?)
}
