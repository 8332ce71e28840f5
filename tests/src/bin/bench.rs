//! `make bench`: the figures of the README, measured in QEMU's raspi4b.
//!
//! Instructions are counted by the guest's own clock, which under `-icount shift=0,sleep=off` advances one nanosecond with each
//! executed instruction of any core; with one computing core the others sleep and count nothing. Nothing here fails on a figure.

use std::error::Error;
use std::fs;
use std::path::Path;

use barellama::card::CardSize;
use barellama_tests::card::Card;
use barellama_tests::machine::{LONG, SHORT};
use barellama_tests::{Machine, artifacts, reference};
use serde::Deserialize;
use serde_json::json;

/// The times in the last line of a score.
#[derive(Deserialize)]
struct Times {
    prompt_ns: u64,
    decode_ns: u64,
}

type Outcome = Result<(), Box<dyn Error>>;

/// Prompt lengths whose difference gives the cost of a prompt token, and steps whose number gives that of a generated one.
const SHORT_PROMPT: usize = 16;
const LONG_PROMPT: usize = 80;
const STEPS: u64 = 9;

fn main() -> Outcome {
    println!("{:<58} {:>16}", "figure (QEMU raspi4b)", "value");
    image_size()?;
    boot()?;
    memory_and_work()?;
    restart()?;
    card()
}

fn image_size() -> Outcome {
    row("kernel8.img, engine included", format!("{} bytes", fs::metadata(artifacts::kernel_image())?.len()));
    Ok(())
}

fn boot() -> Outcome {
    let mut machine = Machine::raspi4b().counting_instructions().boot();
    machine.expect_prompt(SHORT);
    let log = machine.ask("/log");
    row("kernel entry to prompt, without a model", format!("{} us", number_behind(&log, "kernel entry to prompt: ")?));
    Ok(())
}

/// Memory outside model and arena, and instructions per token on one core.
fn memory_and_work() -> Outcome {
    let mut machine = counting_machine(&artifacts::smollm2());
    let memory = kernel_memory_kib(&machine.ask("/mem"));
    row("kernel and engine memory outside model and arena", format!("{memory} KiB"));

    let ids = long_prompt()?;
    let short = prompt_and_decode(&mut machine, &ids[..SHORT_PROMPT])?;
    let long = prompt_and_decode(&mut machine, &ids[..LONG_PROMPT])?;
    let per_prompt_token = (long.0 - short.0) / (LONG_PROMPT - SHORT_PROMPT) as u64;
    row("SmolLM2 Q4_1: instructions per prompt token, 1 core", millions(per_prompt_token));
    row("SmolLM2 Q4_1: instructions per generated token, 1 core", millions(short.1));
    Ok(())
}

/// From a fault to the engine being ready again, by the time stamps of the log.
fn restart() -> Outcome {
    let mut machine = counting_machine(&artifacts::smollm2());
    machine.ask("/set step_deadline_ms 1");
    machine.send("/raw Once upon a time\r");
    machine.expect("*** engine fault: step-deadline", LONG);
    machine.expect_ready();
    let log = machine.ask("/log");
    let fault_ms = stamp_ms(&log, "engine fault")?;
    let ready_ms = log.rfind("Ready.").map(|end| &log[..end]).and_then(last_stamp_ms).ok_or("no time stamp")?;
    row("SmolLM2 Q4_1: fault to ready again, model in memory", format!("{} ms", ready_ms - fault_ms));
    Ok(())
}

/// The speed of the card as QEMU emulates it: wall time, the one figure here that depends on the PC.
fn card() -> Outcome {
    let card = Card::with_files(CardSize::Auto, &[("model.gguf", &artifacts::smollm2())]);
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    let shown = machine.expect_ready();
    let speed = shown.lines().find(|line| line.contains("read ")).ok_or("the load was not reported")?;
    row("SmolLM2 Q4_1 from the emulated card", speed.trim().to_owned());
    Ok(())
}

fn counting_machine(model: &Path) -> Machine {
    let mut machine = Machine::raspi4b().placed_model(model).counting_instructions().boot();
    machine.expect_ready();
    machine
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

/// Sum of the sizes in the memory map, model and arena left out.
fn kernel_memory_kib(map: &str) -> u64 {
    let rows =
        map.lines().filter(|line| line.contains("0x") && !line.starts_with("model") && !line.starts_with("arena"));
    rows.filter_map(|line| {
        let mut words = line.split_whitespace().rev().skip(2);
        let (unit, size) = (words.next()?, words.next()?.parse::<f64>().ok()?);
        Some(if unit == "MiB" { size * 1024.0 } else { size } as u64)
    })
    .sum()
}

fn number_behind(text: &str, label: &str) -> Result<u64, Box<dyn Error>> {
    let rest = text.split_once(label).ok_or_else(|| format!("{label:?} is not in the log"))?.1;
    Ok(rest.split_whitespace().next().unwrap_or_default().parse()?)
}

/// Time stamp of the line that holds a text.
fn stamp_ms(log: &str, text: &str) -> Result<u64, Box<dyn Error>> {
    let line = log.lines().find(|line| line.contains(text)).ok_or_else(|| format!("{text:?} is not in the log"))?;
    parse_stamp_ms(line).ok_or_else(|| "no time stamp".into())
}

fn last_stamp_ms(log: &str) -> Option<u64> {
    parse_stamp_ms(log.lines().last()?)
}

fn parse_stamp_ms(line: &str) -> Option<u64> {
    let (seconds, millis) = line.split_whitespace().next()?.split_once('.')?;
    Some(seconds.parse::<u64>().ok()? * 1000 + millis.parse::<u64>().ok()?)
}

fn millions(instructions: u64) -> String {
    format!("{:.1} M", instructions as f64 / 1e6)
}

fn row(figure: &str, value: String) {
    println!("{figure:<58} {value:>16}");
}
