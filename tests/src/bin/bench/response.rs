//! How long a person or a program waits for the first byte of an answer while the model works, what calls and interrupts cost, and how
//! long interrupts are masked.
//!
//! The kernel measures itself, from the interrupt that brought a byte to the first byte of the answer in the UART, and `/status` tells.
//! With `-icount` QEMU runs the cores in turn, so that a core's time includes what others executed meanwhile: a board has less.

use std::time::Duration;

use barellama_tests::machine::{LONG, SHORT};
use barellama_tests::{Machine, artifacts};

use crate::Outcome;
use crate::machines::counting_machine;
use crate::row::row;

/// Keys and requests that are timed.
const KEYS: usize = 5_000;
const PINGS: usize = 5_000;
/// Keys between two looks at the line: each is echoed before the next one.
const KEY: &str = "x";
const BACKSPACE: &str = "\x7f";

/// Prints the figures.
pub fn measure() -> Outcome {
    keys()?;
    pings()?;
    costs()
}

/// Echoes while the model reads a long prompt and while it generates, on all cores.
fn keys() -> Outcome {
    let mut machine = counting_machine(&artifacts::smollm2());
    let prompt = "All work and no play makes Jack a dull boy. ".repeat(20);
    machine.send(format!("/raw {prompt}\r"));
    for _ in 0..KEYS / 2 {
        for key in [KEY, BACKSPACE] {
            machine.send(key);
            // The editor draws the row anew.
            machine.expect("(next)", SHORT);
        }
    }
    machine.send("\x03");
    machine.expect("stop=", LONG);
    machine.expect_prompt(SHORT);
    let status = machine.ask("/status");
    row("worst echo of a key, model at work on 4 cores", response(&status)?);
    row("longest stretch with interrupts masked", masked(&status)?);
    Ok(())
}

/// Pings while a tool call generates.
fn pings() -> Outcome {
    let mut machine = counting_machine(&artifacts::smollm2());
    machine.send("/mcp\r");
    let initialize = r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
    machine.send(format!("{initialize}\n"));
    machine.expect("\"id\":\"i\"", SHORT);
    let generate = r#"{"jsonrpc":"2.0","id":"g","method":"tools/call","params":{"name":"generate","arguments":{"prompt":"Once upon a time","max_tokens":2000}}}"#;
    machine.send(format!("{generate}\n"));
    for number in 0..PINGS {
        machine.send(format!("{{\"jsonrpc\":\"2.0\",\"id\":{number},\"method\":\"ping\"}}\n"));
        machine.expect(&format!("\"id\":{number}"), SHORT);
    }
    machine.send("/console\n");
    machine.expect_prompt(LONG);
    let status = machine.ask("/status");
    row("worst answer to a ping, model at work on 4 cores", response(&status)?);
    Ok(())
}

/// By the attacker, which is the engine that does what it is told.
fn costs() -> Outcome {
    let setup = Machine::raspi4b().image(artifacts::attack_image()).placed_model(&artifacts::tiny("q4_0"));
    let mut machine = setup.counting_instructions().time_limit(Duration::from_secs(600)).boot();
    machine.expect_ready();
    let text = machine.chat("attack cost").text;
    let numbers: Vec<u64> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [call_ns, loop_ns, instructions] = numbers[..] else { return Err(format!("no costs in {text:?}").into()) };
    row("a system call through the kernel's loop (clock)", format!("{call_ns} instructions"));
    // A tick of each of the four cores comes every 50 ms.
    let ticks = loop_ns / 50_000_000 * 4;
    let each = loop_ns.saturating_sub(instructions).checked_div(ticks).ok_or("the loop was too short")?;
    row("a timer interrupt, from the engine and back to it", format!("{each} instructions"));
    Ok(())
}

fn response(status: &str) -> Result<String, Box<dyn std::error::Error>> {
    let line = status.lines().find(|line| line.starts_with("response")).ok_or("no response time in the status")?;
    let words: Vec<_> = line.split_whitespace().collect();
    let microseconds = words.get(2).ok_or("no time")?;
    let answers = words.get(7).ok_or("no number of answers")?;
    Ok(format!("{microseconds} us of {answers}"))
}

fn masked(status: &str) -> Result<String, Box<dyn std::error::Error>> {
    let line = status.lines().find(|line| line.starts_with("interrupts")).ok_or("no masked stretch in the status")?;
    let microseconds: u64 = line.split_whitespace().nth(3).ok_or("no time")?.parse()?;
    Ok(format!("{} instructions", microseconds * 1000))
}
