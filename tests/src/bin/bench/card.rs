//! The way from the card into memory: its speed as QEMU emulates the card, by the PC's clock (the one figure here that depends on the
//! PC), and the instructions of all cores, by the guest's.

use std::error::Error;

use barellama::card::CardSize;
use barellama_tests::card::Card;
use barellama_tests::{Machine, artifacts};

use crate::Outcome;
use crate::machines::stamp_ms;
use crate::row::row;

/// Prints the figures.
pub fn measure() -> Outcome {
    let card = Card::with_files(CardSize::Auto, &[("model.gguf", &artifacts::smollm2())]);
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    let shown = machine.expect_ready();
    row("SmolLM2 Q4_1 from the emulated card", line_with(&shown, "read ")?);
    drop(machine);

    let mut machine = Machine::raspi4b().card(&card.path()).counting_instructions().boot();
    let shown = machine.expect_ready();
    let per_megabyte = 1e9 / rate(line_with(&shown, "read ")?)?;
    row("  instructions per MB, all cores, with interleaving", format!("{:.1} M", per_megabyte / 1e6));
    row("  meanwhile", line_with(&shown, "interleaved: ")?);
    let log = machine.ask("/log");
    let line = |part: &str| log.lines().rfind(|line| line.contains(part)).ok_or(format!("the log has no {part:?}"));
    let behind_ms = stamp_ms(line("Ready.")?)? - stamp_ms(line(": CRC-32 ")?)?;
    row("  from the last byte to ready, all cores", format!("{behind_ms} M instructions"));
    Ok(())
}

fn line_with<'s>(shown: &'s str, part: &str) -> Result<&'s str, Box<dyn Error>> {
    let line = shown.lines().find(|line| line.contains(part)).ok_or_else(|| format!("{part:?} was not reported"))?;
    Ok(line.trim())
}

/// 12.6 of `read 98.3 MB in 7 s, 12.6 MB/s`.
fn rate(line: &str) -> Result<f64, Box<dyn Error>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let unit = words.iter().position(|word| *word == "MB/s").ok_or("no speed was reported")?;
    Ok(words.get(unit.wrapping_sub(1)).ok_or("no speed was reported")?.parse()?)
}
