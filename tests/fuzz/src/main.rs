//! libFuzzer's entry: hands every input to the target that `BARELLAMA_FUZZ_TARGET` names. Built by `scripts/fuzz.sh`.
#![no_main]

use std::sync::OnceLock;

use barellama_fuzz::Target;

static TARGET: OnceLock<&'static Target> = OnceLock::new();

libfuzzer_sys::fuzz_target!(init: {
    write_seeds();
    let name = std::env::var("BARELLAMA_FUZZ_TARGET").unwrap_or_default();
    match barellama_fuzz::find(&name) {
        Some(target) => { TARGET.get_or_init(|| target); }
        None => {
            eprintln!("BARELLAMA_FUZZ_TARGET is '{name}'; the targets: {}", barellama_fuzz::names());
            std::process::exit(2);
        }
    }
}, |data: &[u8]| {
    if let Some(target) = TARGET.get() {
        (target.run)(data);
    }
});

/// Writes the intact inputs of the target into the folder that `BARELLAMA_FUZZ_SEEDS` names, if it does.
fn write_seeds() {
    let Ok(folder) = std::env::var("BARELLAMA_FUZZ_SEEDS") else { return };
    let name = std::env::var("BARELLAMA_FUZZ_TARGET").unwrap_or_default();
    for (index, seed) in barellama_fuzz::seeds::of(&name).iter().enumerate() {
        std::fs::write(format!("{folder}/intact-{index}"), seed).expect("the folder can be written");
    }
}
