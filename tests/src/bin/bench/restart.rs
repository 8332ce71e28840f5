//! From a fault to the engine being ready again, by the time stamps of the log.

use barellama_tests::artifacts;
use barellama_tests::machine::LONG;

use crate::Outcome;
use crate::machines::{counting_machine, stamp_ms};
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
