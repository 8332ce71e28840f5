//! The image, the time to the prompt, and the memory outside model and arena.

use std::fs;

use barellama_tests::machine::SHORT;
use barellama_tests::memory::kernel_kib;
use barellama_tests::{Machine, artifacts};

use crate::Outcome;
use crate::machines::counting_machine;
use crate::row::row;

/// Prints the figures.
pub fn measure() -> Outcome {
    row("kernel8.img, engine included", format!("{} bytes", fs::metadata(artifacts::kernel_image())?.len()));
    row("kernel entry to prompt, without a model", format!("{} us", entry_to_prompt_us()?));
    let memory = kernel_kib(&counting_machine(&artifacts::smollm2()).ask("/mem"));
    row("kernel and engine memory outside model and arena", format!("{memory} KiB"));
    Ok(())
}

fn entry_to_prompt_us() -> Result<u64, Box<dyn std::error::Error>> {
    let label = "kernel entry to prompt: ";
    let mut machine = Machine::raspi4b().counting_instructions().boot();
    machine.expect_prompt(SHORT);
    let log = machine.ask("/log");
    let rest = log.split_once(label).ok_or_else(|| format!("{label:?} is not in the log"))?.1;
    Ok(rest.split_whitespace().next().unwrap_or_default().parse()?)
}
