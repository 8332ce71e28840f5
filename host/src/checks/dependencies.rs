//! The direction of the dependencies: which crate of the workspace may use which.

use std::io;
use std::process::Command;

use serde_json::Value;
use thiserror::Error;

/// What each crate may use of the others. The kernel's side never sees the GGUF reader; the engine's side sees the
/// contract, ggml and pure crates only; boards stand above the kernel library, never below.
const ALLOWED: &[(&str, &[&str])] = &[
    ("barellama-abi", &[]),
    ("barellama-gguf", &[]),
    ("barellama-storage", &[]),
    ("barellama-shell", &["barellama-abi"]),
    ("barellama-ggml-sys", &["barellama-gguf"]),
    ("barellama-arch", &["barellama-abi"]),
    ("barellama-kernel", &["barellama-abi", "barellama-arch", "barellama-mcp", "barellama-shell", "barellama-storage"]),
    (
        "barellama-boards",
        &["barellama-abi", "barellama-arch", "barellama-kernel", "barellama-shell", "barellama-storage"],
    ),
    ("barellama-mcp", &["barellama-abi"]),
    ("barellama-el0", &["barellama-abi"]),
    ("barellama-engine", &["barellama-abi", "barellama-el0", "barellama-ggml-sys", "barellama-gguf"]),
    ("barellama-attacker", &["barellama-abi", "barellama-el0"]),
    (
        "barellama-fuzz",
        &[
            "barellama-abi",
            "barellama-boards",
            "barellama-engine",
            "barellama-ggml-sys",
            "barellama-gguf",
            "barellama-kernel",
            "barellama-mcp",
            "barellama-shell",
            "barellama-storage",
        ],
    ),
    ("barellama-interleavings", &[]),
    ("barellama-twins", &["barellama-abi", "barellama-el0", "barellama-engine"]),
    ("barellama", &["barellama-mcp"]),
    ("barellama-models", &["barellama-gguf"]),
    (
        "barellama-tests",
        &[
            "barellama",
            "barellama-abi",
            "barellama-engine",
            "barellama-ggml-sys",
            "barellama-gguf",
            "barellama-mcp",
            "barellama-models",
        ],
    ),
];

/// Why the check failed.
#[derive(Debug, Error)]
pub enum DependencyError {
    /// `cargo metadata` did not run.
    #[error("cargo metadata: {0}")]
    Cargo(#[from] io::Error),
    /// `cargo metadata` failed.
    #[error("cargo metadata: {0}")]
    Metadata(String),
    /// Its output was not understood.
    #[error("the output of cargo metadata was not understood: {0}")]
    Json(#[from] serde_json::Error),
    /// Crates use what they must not.
    #[error("dependencies against the direction:\n{0}")]
    Direction(String),
}

/// Checks the workspace that the current directory belongs to.
///
/// # Errors
/// [`DependencyError`] with one line for each dependency that is not allowed.
pub fn check() -> Result<String, DependencyError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(["metadata", "--format-version", "1", "--no-deps"]).output()?;
    if !output.status.success() {
        return Err(DependencyError::Metadata(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let metadata = serde_json::from_slice::<Value>(&output.stdout)?;
    let violations = violations(&metadata);
    if violations.is_empty() {
        Ok("dependencies: every crate uses only what it may".to_owned())
    } else {
        Err(DependencyError::Direction(violations.join("\n")))
    }
}

fn violations(metadata: &Value) -> Vec<String> {
    let packages = array(&metadata["packages"]);
    let mut lines = Vec::new();
    for package in packages {
        let name = text(&package["name"]);
        let Some((_, allowed)) = ALLOWED.iter().find(|(known, _)| *known == name) else {
            lines.push(format!("  {name} is not in the table of host/src/checks/dependencies.rs"));
            continue;
        };
        for dependency in array(&package["dependencies"]) {
            let used = text(&dependency["name"]);
            let is_for_tests = text(&dependency["kind"]) == "dev";
            let is_member = packages.iter().any(|package| text(&package["name"]) == used);
            if is_member && !is_for_tests && !allowed.contains(&used) {
                lines.push(format!("  {name} uses {used}"));
            }
        }
    }
    lines
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workspace(kernel_uses: &Value) -> Value {
        json!({"packages": [
            {"name": "barellama-abi", "dependencies": []},
            {"name": "barellama-gguf", "dependencies": []},
            {"name": "barellama-kernel", "dependencies": kernel_uses},
        ]})
    }

    #[test]
    fn allowed_outside_and_test_dependencies_pass() {
        let uses = json!([
            {"name": "barellama-abi", "kind": null},
            {"name": "heapless", "kind": null},
            {"name": "barellama-gguf", "kind": "dev"},
        ]);
        assert!(violations(&workspace(&uses)).is_empty());
    }

    #[test]
    fn a_kernel_that_uses_the_gguf_reader_is_found() {
        let uses = json!([{"name": "barellama-gguf", "kind": null}]);
        assert_eq!(violations(&workspace(&uses)), ["  barellama-kernel uses barellama-gguf"]);
    }

    #[test]
    fn an_unknown_crate_is_found() {
        let metadata = json!({"packages": [{"name": "stranger", "dependencies": []}]});
        assert_eq!(violations(&metadata).len(), 1);
    }
}
