//! Tells the tests whether the SmolLM2 model is on this machine: without it they are ignored, and say so, instead of passing.

use std::env;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rustc-check-cfg=cfg(smollm2)");
    println!("cargo::rerun-if-env-changed=BARELLAMA_SMOLLM2");
    println!("cargo::rerun-if-changed=build.rs");
    let default = || {
        let manifest = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        Path::new(&manifest).join("../../.work/models/SmolLM2-135M-Instruct.Q4_1.gguf")
    };
    let model = env::var_os("BARELLAMA_SMOLLM2").map_or_else(default, PathBuf::from);
    println!("cargo::rerun-if-changed={}", model.display());
    // The image must not depend on what lies around on the machine that builds it.
    let is_host = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os != "none");
    if is_host && model.is_file() {
        println!("cargo::rustc-cfg=smollm2");
    }
}
