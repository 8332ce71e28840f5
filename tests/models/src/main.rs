//! Writes a model of random weights in the shape of TinyLlama-1.1B.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::PathBuf;
use std::process::ExitCode;

use barellama_models::{Mix, Model, Shape, Vocabulary};
use clap::Parser;

/// The chat template of TinyLlama-1.1B-Chat-v1.0 (Zephyr's).
const ZEPHYR: &str = include_str!("../../../kernel/engine/src/template/builtin/zephyr.jinja");

/// Writes a model file of random weights in TinyLlama-1.1B's shape: shows size and speed, says nothing about quality.
#[derive(Parser)]
struct Arguments {
    /// Type of the file, as llama.cpp's quantizer names it, e.g. Q4_0, Q4_K_M, IQ2_XS.
    #[arg(long = "type")]
    mix: Mix,
    /// The file to write.
    #[arg(long)]
    output: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("models: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let vocabulary = Vocabulary::reference("ggml-vocab-llama-spm.gguf")?;
    let name = format!("TinyLlama-1.1B shape, random weights, {}", arguments.mix.name());
    let model = Model::new(&name, &Shape::TINYLLAMA, arguments.mix, &vocabulary).with_template(ZEPHYR);
    let output = &arguments.output;
    let failed = |error| format!("{}: {error}", output.display());
    // Under another name until it is whole: the disk may become full.
    let part = output.with_added_extension("part");
    let file = model.write(BufWriter::new(File::create(&part).map_err(failed)?)).map_err(failed)?;
    let bytes = file.get_ref().metadata().map_err(failed)?.len();
    fs::rename(&part, output).map_err(failed)?;
    println!(
        "{}: {:.1} MB ({bytes} bytes) of random weights, shape and types of TinyLlama-1.1B {}: it shows size and speed, not quality",
        output.display(),
        bytes as f64 / 1e6,
        arguments.mix.name()
    );
    Ok(())
}
