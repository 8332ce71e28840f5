//! The speed of the card as QEMU emulates it: wall time, the one figure here that depends on the PC.

use barellama::card::CardSize;
use barellama_tests::card::Card;
use barellama_tests::{Machine, artifacts};

use crate::Outcome;
use crate::row::row;

/// Prints the figure.
pub fn measure() -> Outcome {
    let card = Card::with_files(CardSize::Auto, &[("model.gguf", &artifacts::smollm2())]);
    let mut machine = Machine::raspi4b().card(&card.path()).boot();
    let shown = machine.expect_ready();
    let speed = shown.lines().find(|line| line.contains("read ")).ok_or("the load was not reported")?;
    row("SmolLM2 Q4_1 from the emulated card", speed.trim());
    Ok(())
}
