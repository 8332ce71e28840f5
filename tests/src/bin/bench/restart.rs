//! From a fault to the engine being ready again, by the time stamps of the log.

use barellama_tests::artifacts;
use barellama_tests::machine::LONG;

use crate::Outcome;
use crate::machines::counting_machine;
use crate::row::row;

/// Prints the figure.
pub fn measure() -> Outcome {
    let mut machine = counting_machine(&artifacts::smollm2());
    machine.ask("/set step_deadline_ms 1");
    machine.send("/raw Once upon a time\r");
    machine.expect("*** engine fault: step-deadline", LONG);
    machine.expect_ready();
    let log = machine.ask("/log");
    let fault = log.lines().find(|line| line.contains("engine fault")).ok_or("the fault is not in the log")?;
    let ready = log.rfind("Ready.").and_then(|end| log[..end].lines().last()).ok_or("the log does not end ready")?;
    row("SmolLM2 Q4_1: fault to ready again, model in memory", format!("{} ms", stamp_ms(ready)? - stamp_ms(fault)?));
    Ok(())
}

/// The time stamp at the start of a line of the log.
fn stamp_ms(line: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let stamp = line.split_whitespace().next().unwrap_or_default();
    let (seconds, millis) = stamp.split_once('.').ok_or_else(|| format!("no time stamp: {line:?}"))?;
    Ok(seconds.parse::<u64>()? * 1000 + millis.parse::<u64>()?)
}
