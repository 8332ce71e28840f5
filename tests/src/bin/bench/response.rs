//! How long a person or a program waits for the first byte of an answer while the model works, what calls and interrupts cost, and how
//! long interrupts are masked.
//!
//! The kernel measures itself, from the interrupt that brought a byte to the first byte of the answer in the UART, and `/status` tells.
//! With `-icount` QEMU runs the cores in turn, so that a core's time includes what others executed meanwhile, three times as much as it
//! did itself while all are busy: a board has less.

use std::time::Duration;

use barellama_tests::machine::{LONG, SHORT};
use barellama_tests::{Machine, artifacts};

use crate::Outcome;
use crate::machines::counting_machine;
use crate::row::row;

/// A key, and it is taken back: the row stays as it is.
const KEYS: &str = "x\x7f";
const KEYS_IN_BURST: usize = 64;
/// Bursts while a prompt is read, and as many while an answer is generated. What arrives together is timed once.
const KEY_BURSTS: usize = 1000;
/// Pings that are sent at once, and how often in each phase.
const PINGS: usize = 16;
const PING_BURSTS: usize = 400;
/// A prompt that takes longer to read than the bursts of a phase.
const SENTENCE: &str = "All work and no play makes Jack a dull boy. ";
const SENTENCES: usize = 60;

/// Prints the figures.
pub fn measure() -> Outcome {
    keys_on_one_core()?;
    keys()?;
    pings()?;
    costs()
}

fn busy_machine() -> Machine {
    let setup = Machine::raspi4b().placed_model(&artifacts::smollm2()).counting_instructions().short_turns();
    let mut machine = setup.boot();
    machine.expect_ready();
    machine
}

/// Echoes while the model reads a long prompt and while it generates, on all cores.
fn keys() -> Outcome {
    let mut machine = busy_machine();
    let burst = KEYS.repeat(KEYS_IN_BURST);
    for (tokens, prompt) in [(1, SENTENCE.repeat(SENTENCES)), (4000, "Once upon a time".to_owned())] {
        machine.ask(&format!("/set max_tokens {tokens}"));
        machine.send(format!("/raw {prompt}\r"));
        machine.expect("\r\n", SHORT);
        for _ in 0..KEY_BURSTS {
            machine.send(&burst);
            machine.expect("(next)", LONG);
        }
        if machine.transcript().matches("stop=").count() > usize::from(tokens > 1) {
            return Err("the model was done before all keys were typed".into());
        }
        machine.send("\x03");
        machine.expect("stop=", LONG);
        machine.expect_prompt(SHORT);
    }
    let status = machine.ask("/status");
    row("worst echo of a key, model at work on 4 cores", response(&status)?);
    Ok(())
}

/// Echoes while one core works and the others sleep: what this core executed.
fn keys_on_one_core() -> Outcome {
    let mut machine = counting_machine(&artifacts::smollm2());
    let status = type_on_one_core(&mut machine);
    row("worst echo of a key, model at work on 1 core", response(&status)?);
    // A model that is prepared at once: all cores prepare, and a turn of the others in between would count.
    let mut machine = counting_machine(&artifacts::tiny("q4_0"));
    let status = type_on_one_core(&mut machine);
    row("longest stretch with interrupts masked", masked(&status)?);
    Ok(())
}

fn type_on_one_core(machine: &mut Machine) -> String {
    machine.ask("/set cores 1");
    machine.send("/raw Once upon a time\r");
    machine.expect("\r\n", SHORT);
    let burst = KEYS.repeat(KEYS_IN_BURST);
    for _ in 0..KEY_BURSTS / 10 {
        machine.send(&burst);
        machine.expect("x", LONG);
    }
    // A tiny model may have come to its end before.
    machine.send("\x03/status\r");
    machine.expect("integrity", LONG)
}

/// Pings while a tool call reads a long prompt and while one generates.
fn pings() -> Outcome {
    let mut machine = busy_machine();
    machine.send("/mcp\r");
    let initialize = r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
    machine.send(format!("{initialize}\n"));
    machine.expect("\"id\":\"i\"", SHORT);
    for (id, tokens, prompt) in
        [("read", 1, SENTENCE.repeat(SENTENCES)), ("write", 4000, "Once upon a time".to_owned())]
    {
        let arguments = format!(r#"{{"prompt":"{prompt}","max_tokens":{tokens}}}"#);
        let call = format!(r#"{{"name":"generate","arguments":{arguments}}}"#);
        machine.send(format!("{{\"jsonrpc\":\"2.0\",\"id\":\"{id}\",\"method\":\"tools/call\",\"params\":{call}}}\n"));
        for burst in 0..PING_BURSTS {
            let ping =
                |number| format!("{{\"jsonrpc\":\"2.0\",\"id\":\"{id}{burst}-{number}\",\"method\":\"ping\"}}\n");
            machine.send((0..PINGS).map(ping).collect::<String>());
            machine.expect(&format!("\"id\":\"{id}{burst}-{}\"", PINGS - 1), LONG);
        }
        if machine.transcript().contains(&format!("\"id\":\"{id}\"")) {
            return Err("the model was done before all pings were sent".into());
        }
        let cancel =
            format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":"{id}"}}}}"#);
        machine.send(format!("{cancel}\n"));
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
