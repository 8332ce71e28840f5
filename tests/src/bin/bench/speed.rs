//! Executed instructions per token on one core.

use std::error::Error;

use barellama_tests::{Machine, artifacts, reference};
use serde::Deserialize;
use serde_json::json;

use crate::Outcome;
use crate::machines::counting_machine;
use crate::row::{millions, row};

/// The times in the last line of a score.
#[derive(Deserialize)]
struct Times {
    prompt_ns: u64,
    decode_ns: u64,
}

/// Prompt lengths whose difference gives the cost of a prompt token, and steps whose number gives that of a generated one.
const SHORT_PROMPT: usize = 16;
const LONG_PROMPT: usize = 80;
const STEPS: u64 = 9;

/// Prints the figures.
pub fn measure() -> Outcome {
    let mut machine = counting_machine(&artifacts::smollm2());
    let ids = long_prompt()?;
    let short = prompt_and_decode(&mut machine, &ids[..SHORT_PROMPT])?;
    let long = prompt_and_decode(&mut machine, &ids[..LONG_PROMPT])?;
    let per_prompt_token = (long.0 - short.0) / (LONG_PROMPT - SHORT_PROMPT) as u64;
    row("SmolLM2 Q4_1: instructions per prompt token, 1 core", millions(per_prompt_token));
    row("SmolLM2 Q4_1: instructions per generated token, 1 core", millions(short.1));
    Ok(())
}

/// Nanoseconds (instructions) for a prompt, and for each generated token behind it.
fn prompt_and_decode(machine: &mut Machine, ids: &[u32]) -> Result<(u64, u64), Box<dyn Error>> {
    machine.ask("/reset");
    let request = json!({"ids": ids, "steps": STEPS, "cores": 1, "top": 1});
    let shown = machine.ask(&format!("/score {request}"));
    let end = shown.lines().rfind(|line| line.contains("\"done\"")).ok_or("the score did not end")?;
    let times: Times = serde_json::from_str(end.trim())?;
    Ok((times.prompt_ns, times.decode_ns / (STEPS - 1)))
}

fn long_prompt() -> Result<Vec<u32>, Box<dyn Error>> {
    let cases = reference::cases("smollm2/cases-f32.json");
    let case = cases.into_iter().find(|case| case.prompt_ids.len() >= LONG_PROMPT).ok_or("no long prompt")?;
    Ok(case.prompt_ids)
}
