//! How long a person or a program waits for the first byte of an answer while the model works, what calls and interrupts cost, and how
//! long interrupts are masked.
//!
//! For keys the kernel measures itself, from the interrupt that brought a byte to the first byte of the answer in the UART, and `/status`
//! tells. A ping is timed by a plugin of QEMU's (`tests/plugin/response.c`), from its first byte to the first byte of its answer, each sent
//! when the one before was answered.
//!
//! With `-icount` QEMU runs the cores in turn, so that a core's time includes what others executed meanwhile, three times as much as it
//! did itself while all are busy: a board has less. Pings are timed twice, by that clock and, without it, by what core 0 executed itself.

use std::error::Error;
use std::fs;
use std::time::Duration;

use barellama_tests::machine::{LONG, SHORT};
use barellama_tests::{Machine, artifacts};

use crate::Outcome;
use crate::machines::counting_machine;
use crate::plugin;
use crate::row::row;

/// A key, and it is taken back: the row stays as it is.
const KEYS: &str = "x\x7f";
/// Keys, one by one, while a prompt is read, and as many while an answer is generated. The one that takes it back is not timed.
const KEYS_TYPED: usize = 5000;
/// On one core many are typed at once; what arrives together is timed once.
const KEYS_IN_BURST: usize = 64;
const KEY_BURSTS: usize = 100;
/// Pings while a prompt is read, and as many while an answer is generated.
const PINGS: usize = 5000;
/// A prompt that takes longer to read than the keys.
const SENTENCE: &str = "All work and no play makes Jack a dull boy. ";
const SENTENCES: usize = 60;
/// The same for pings.
const SENTENCES_FOR_PINGS: usize = 600;
/// Where the kernel maps the UART: `DEVICE_BASE` of `kernel/arch` and the physical address on a Raspberry Pi 4.
const UART: u64 = 0xFFFF_FFC0_FE20_1000;

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

/// Echoes of keys, each typed when the one before was shown, while the model reads a long prompt and while it generates, on all cores.
fn keys() -> Outcome {
    let mut machine = busy_machine();
    for (tokens, prompt) in [(1, SENTENCE.repeat(SENTENCES)), (4000, "Once upon a time".to_owned())] {
        machine.ask(&format!("/set max_tokens {tokens}"));
        machine.send(format!("/raw {prompt}\r"));
        machine.expect("\r\n", SHORT);
        for _ in 0..KEYS_TYPED {
            machine.send(KEYS);
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
    for _ in 0..KEY_BURSTS {
        machine.send(&burst);
        machine.expect("x", LONG);
    }
    // A tiny model may have come to its end before.
    machine.send("\x03/status\r");
    machine.expect("integrity", LONG)
}

/// Pings while a tool call reads a long prompt and while one generates, on all cores, by both clocks.
fn pings() -> Outcome {
    let folder = tempfile::tempdir()?;
    let library = plugin::build("response", folder.path())?;
    let placed = || Machine::raspi4b().placed_model(&artifacts::smollm2());
    let clocks = [
        ("the clock of all cores in turn", placed().counting_instructions().short_turns(), Counts::ALL_CORES),
        ("instructions of core 0 itself", placed(), Counts::CORE_0),
    ];
    for (clock, setup, counts) in clocks {
        let output = folder.path().join("counts");
        let options = format!("{},out={},uart={UART:x},text=\"ping\"", library.display(), output.display());
        let mut machine = setup.plugin(&options).boot();
        machine.expect_ready();
        ping(&mut machine)?;
        let lines = fs::read_to_string(&output)?;
        let mut times = lines.lines().map(|line| counts.of(line)).collect::<Result<Vec<_>, _>>()?;
        times.sort_unstable();
        let (Some(worst), Some(median)) = (times.last(), times.get(times.len() / 2)) else {
            return Err("no ping was timed".into());
        };
        row(&format!("answer to a ping, model at work on 4 cores: {clock}"), "");
        let micros = |instructions: u64| instructions as f64 / 1000.0;
        let shown = format!("{:.0} us of {} (median {:.0} us)", micros(*worst), times.len(), micros(*median));
        row("  worst, a nanosecond each", shown);
    }
    Ok(())
}

/// Which of the plugin's two counts.
#[derive(Clone, Copy)]
struct Counts(usize);

impl Counts {
    const CORE_0: Self = Self(0);
    const ALL_CORES: Self = Self(1);

    fn of(self, line: &str) -> Result<u64, Box<dyn Error>> {
        let word = line.split(' ').nth(self.0).ok_or_else(|| format!("the plugin wrote {line:?}"))?;
        Ok(word.parse()?)
    }
}

/// Pings one by one while a call reads a prompt, then while one generates. A call that ends before is followed by another.
fn ping(machine: &mut Machine) -> Outcome {
    machine.send("/mcp\r");
    let initialize = r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
    machine.send(format!("{initialize}\n"));
    machine.expect("\"id\":\"i\"", SHORT);
    let mut calls = 0;
    for (tokens, text) in [(1, SENTENCE.repeat(SENTENCES_FOR_PINGS)), (4000, "Once upon a time".to_owned())] {
        call(machine, calls, tokens, &text);
        for number in 0..PINGS {
            machine.send(format!("{{\"jsonrpc\":\"2.0\",\"id\":{number},\"method\":\"ping\"}}\n"));
            let before = machine.expect(&format!("\"id\":{number},\"result\":{{}}}}\n"), LONG);
            if before.contains(&format!("\"id\":\"call{calls}\"")) {
                calls += 1;
                call(machine, calls, tokens, &text);
            }
        }
        let cancel =
            format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":"call{calls}"}}}}"#);
        machine.send(format!("{cancel}\n"));
        calls += 1;
    }
    Ok(())
}

/// Sends a tool call, and waits until it was read: a long message is read for a millisecond, and a ping behind it would wait for that. Its
/// number comes first in the prompt, so that no prefix is reused.
fn call(machine: &mut Machine, number: usize, tokens: u32, text: &str) {
    let arguments = format!(r#"{{"prompt":"{number}. {text}","max_tokens":{tokens}}}"#);
    let params = format!(r#"{{"name":"generate","arguments":{arguments}}}"#);
    machine.send(format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":\"call{number}\",\"method\":\"tools/call\",\"params\":{params}}}\n"
    ));
    machine.send(format!("{{\"jsonrpc\":\"2.0\",\"id\":\"read{number}\",\"method\":\"prompts/list\"}}\n"));
    machine.expect(&format!("\"id\":\"read{number}\""), LONG);
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

fn response(status: &str) -> Result<String, Box<dyn Error>> {
    let line = status.lines().find(|line| line.starts_with("response")).ok_or("no response time in the status")?;
    let words: Vec<_> = line.split_whitespace().collect();
    let microseconds = words.get(2).ok_or("no time")?;
    let answers = words.get(7).ok_or("no number of answers")?;
    Ok(format!("{microseconds} us of {answers}"))
}

fn masked(status: &str) -> Result<String, Box<dyn Error>> {
    let line = status.lines().find(|line| line.starts_with("interrupts")).ok_or("no masked stretch in the status")?;
    let microseconds: u64 = line.split_whitespace().nth(3).ok_or("no time")?.parse()?;
    Ok(format!("{} instructions", microseconds * 1000))
}
