//! Compiles ggml's quantized kernels: freestanding for the Pi, portable C for tests on the PC.
//!
//! The sources come out of the crate `llama-cpp-sys-2`, pinned by Cargo.lock; headers of a C library come from `shim/`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crate that carries the sources.
const SOURCE_CRATE: &str = "llama-cpp-sys-2";
/// Where ggml lies inside that crate.
const GGML: &str = "llama.cpp/ggml";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=shim");
    println!("cargo::rerun-if-changed=../../Cargo.lock");
    println!("cargo::rerun-if-env-changed=BARELLAMA_CLANG");
    println!("cargo::rerun-if-env-changed=BARELLAMA_AR");
    println!("cargo::rerun-if-env-changed=BARELLAMA_SANITIZE");

    let ggml = source_crate().join(GGML);
    let target_is_bare = variable("CARGO_CFG_TARGET_OS") == "none";
    let target_is_arm = variable("CARGO_CFG_TARGET_ARCH") == "aarch64";

    let mut build = cc::Build::new();
    common_options(&mut build, &ggml);
    if target_is_bare {
        bare_options(&mut build);
    } else if let Ok(sanitizers) = env::var("BARELLAMA_SANITIZE") {
        sanitizer_options(&mut build, &sanitizers);
    }
    build.file(ggml.join("src/ggml-quants.c")).file(ggml.join("src/ggml-cpu/quants.c")).file("shim/runtime.c");
    if target_is_arm {
        build.file(ggml.join("src/ggml-cpu/arch/arm/quants.c"));
    } else {
        build.define("GGML_CPU_GENERIC", None);
        // Without this the C would read a table that only ggml's own start-up fills.
        build.define("GGML_CPU_FP16_TO_FP32(x)", "GGML_COMPUTE_FP16_TO_FP32(x)");
    }
    build.compile("barellama_ggml");
}

fn common_options(build: &mut cc::Build, ggml: &Path) {
    build
        .compiler(tool("BARELLAMA_CLANG", &["clang-19", "clang"]))
        .opt_level(3)
        .debug(false)
        .std("c11")
        .define("NDEBUG", None)
        .include(ggml.join("include"))
        .include(ggml.join("src"))
        .include(ggml.join("src/ggml-cpu"))
        // No path of this machine may reach the object files.
        .flag(format!("-ffile-prefix-map={}=ggml", ggml.display()))
        .flag(format!("-ffile-prefix-map={}=ggml-sys", variable("CARGO_MANIFEST_DIR")))
        // sqrtf and friends become instructions instead of calls that set errno.
        .flag("-fno-math-errno")
        .flag("-ffunction-sections")
        .flag("-fdata-sections")
        .cargo_warnings(false)
        .warnings(false);
}

/// For tests on the PC: what clang's sanitizers find ends the program. Who links it links their runtime (`scripts/fuzz.sh`).
fn sanitizer_options(build: &mut cc::Build, sanitizers: &str) {
    build
        .flag(format!("-fsanitize={sanitizers}"))
        .flag("-fno-sanitize-recover=all")
        .flag("-fno-omit-frame-pointer")
        .define("BARELLAMA_SANITIZE", None)
        .opt_level(1)
        .debug(true);
}

fn bare_options(build: &mut cc::Build) {
    build
        .archiver(tool("BARELLAMA_AR", &["llvm-ar-19", "llvm-ar"]))
        .no_default_flags(true)
        .flag("-O3")
        .flag("--target=aarch64-none-elf")
        .flag("-mcpu=cortex-a72")
        // An erratum of the Pi 3: no 64-bit multiply-accumulate directly behind a memory access.
        .flag("-mfix-cortex-a53-835769")
        .flag("-fno-pic")
        .flag("-fno-unwind-tables")
        .flag("-fno-asynchronous-unwind-tables")
        .include("shim/include");
}

/// The first of the programs that runs, or what the environment variable says.
fn tool(override_variable: &str, candidates: &[&str]) -> String {
    if let Ok(chosen) = env::var(override_variable) {
        return chosen;
    }
    let runs = |name: &&&str| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    match candidates.iter().find(runs) {
        Some(name) => (*name).to_owned(),
        None => panic!("none of {candidates:?} runs: `make setup` installs it, or set {override_variable}"),
    }
}

/// The folder where Cargo unpacked the crate with the sources.
fn source_crate() -> PathBuf {
    let metadata = ["--offline", ""]
        .iter()
        .find_map(|mode| cargo_metadata(mode))
        .unwrap_or_else(|| panic!("`cargo metadata --locked` failed: run `cargo fetch --locked` first"));
    let packages = metadata["packages"].as_array().expect("cargo metadata lists packages");
    let package = packages.iter().find(|package| package["name"] == SOURCE_CRATE);
    let manifest = package.and_then(|package| package["manifest_path"].as_str());
    let manifest = manifest.unwrap_or_else(|| panic!("{SOURCE_CRATE} is not in Cargo.lock"));
    Path::new(manifest).parent().expect("a manifest lies in a folder").to_owned()
}

fn cargo_metadata(mode: &str) -> Option<serde_json::Value> {
    let mut command = Command::new(variable("CARGO"));
    command.args(["metadata", "--format-version", "1", "--locked"]);
    command.args((!mode.is_empty()).then_some(mode));
    command.current_dir(variable("CARGO_MANIFEST_DIR"));
    let output = command.output().ok().filter(|output| output.status.success())?;
    serde_json::from_slice(&output.stdout).ok()
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("Cargo sets {name} for build scripts"))
}
