//! Instructions of one machine on one model file.

use std::error::Error;
use std::path::Path;

use barellama_tests::Machine;
use barellama_tests::machine::Setup;
use serde::Deserialize;
use serde_json::json;

/// Positions in the context at which tokens are measured; what comes before has made-up keys and values.
pub const POSITIONS: [usize; 3] = [0, 128, 1024];
/// Prompt tokens of a chunk. The cost of a prompt token is that of a whole chunk, shared.
const CHUNK: usize = 32;
/// Steps of a score: one at the end of the prompt, the others behind it.
const STEPS: u64 = 4;
/// Any ids will do.
const FIRST_ID: usize = 300;

/// The times in the last line of a score.
#[derive(Deserialize)]
struct Times {
    prompt_ns: u64,
    decode_ns: u64,
}

/// Instructions of a token.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// As part of a prompt.
    pub prompt: f64,
    /// Generated.
    pub generated: f64,
}

/// Counts at each of [`POSITIONS`], and the largest relative difference of two runs of the same thing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    /// By position.
    pub at: [Counts; POSITIONS.len()],
    /// 0.001 is 0.1 %.
    pub spread: f64,
}

/// Boots the machine with the model and counts.
pub fn count(setup: Setup, model: &Path) -> Result<Measured, Box<dyn Error + Send + Sync>> {
    let mut machine = setup.placed_model(model).counting_instructions().boot();
    machine.expect_ready();
    let mut measured = Measured::default();
    for (counts, position) in measured.at.iter_mut().zip(POSITIONS) {
        *counts = count_at(&mut machine, position)?;
    }
    let again = count_at(&mut machine, POSITIONS[0])?;
    let first = measured.at[0];
    let relative = |one: f64, other: f64| (one - other).abs() / one;
    measured.spread = relative(first.prompt, again.prompt).max(relative(first.generated, again.generated));
    Ok(measured)
}

/// The cost of a chunk is the difference of two prompts, one of them a chunk longer.
fn count_at(machine: &mut Machine, position: usize) -> Result<Counts, Box<dyn Error + Send + Sync>> {
    let short = times(machine, position, 1, STEPS)?;
    let long = times(machine, position, 1 + CHUNK, 1)?;
    Ok(Counts {
        prompt: long.prompt_ns.saturating_sub(short.prompt_ns) as f64 / CHUNK as f64,
        generated: short.decode_ns as f64 / (STEPS - 1) as f64,
    })
}

fn times(
    machine: &mut Machine,
    position: usize,
    prompt: usize,
    steps: u64,
) -> Result<Times, Box<dyn Error + Send + Sync>> {
    machine.ask("/reset");
    let ids: Vec<usize> = (FIRST_ID..FIRST_ID + prompt).collect();
    let request = json!({"ids": ids, "filled": position, "steps": steps, "cores": 1, "chunk": CHUNK, "top": 1});
    let shown = machine.ask(&format!("/score {request}"));
    let end = shown.lines().rfind(|line| line.contains("\"done\"")).ok_or("the score did not end")?;
    Ok(serde_json::from_str(end.trim())?)
}
