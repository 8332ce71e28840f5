//! An engine that misbehaves can do nothing to the kernel: each attack ends in its exact fault or refusal, the kernel's memory is
//! unchanged, the console answers, and the next request is answered by an engine with the model still in memory.
//!
//! The rows that it saw become `.work/security-*.md`; `make security-table` puts them together.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

use barellama::image::PAYLOAD_MAGIC;
use barellama_tests::attacks::{self, Attack, Expected};
use barellama_tests::machine::{SHORT, Setup};
use barellama_tests::{Machine, artifacts};

/// A group of attacks takes a minute; a machine that does not answer any more ends its test.
const TIME_LIMIT: Duration = Duration::from_secs(400);

/// The console keeps a limited number of messages: after so many attacks they are forgotten.
const MESSAGES_KEPT: usize = 8;
/// Longest step while the attacks are made, unless they need another one.
const STEP_DEADLINE: &str = "/set step_deadline_ms 2000";

/// A machine with the attacker in it, and the table of what was seen.
struct Victim {
    machine: Machine,
    memory_map: String,
    integrity: String,
    rows: String,
    suffered: usize,
}

impl Victim {
    #[track_caller]
    fn boot(setup: Setup) -> Self {
        let model = artifacts::tiny("q4_0");
        let setup = setup.image(artifacts::attack_image()).placed_model(&model).time_limit(TIME_LIMIT);
        let mut machine = setup.boot();
        machine.expect_ready();
        machine.ask(STEP_DEADLINE);
        machine.ask("/set max_tokens 16");
        let memory_map = machine.ask("/mem");
        let integrity = status_line(&mut machine, "integrity");
        assert!(integrity.contains("unchanged"), "{integrity}");
        Self { machine, memory_map, integrity, rows: String::new(), suffered: 0 }
    }

    /// Makes an attack and checks everything that has to hold afterwards.
    #[track_caller]
    fn suffer(&mut self, attack: &Attack) {
        let line = self.with_addresses(attack.line);
        let seen = match attack.expected {
            Expected::Fault(kind, detail) => self.expect_fault(&line, kind, detail),
            Expected::Answer(text) => self.expect_answer(&line, text),
            Expected::Harmless(text, meaning) => {
                self.expect_answer(&line, text);
                meaning.to_owned()
            }
        };
        // Writing to a string cannot fail.
        let _ = writeln!(self.rows, "| {} | {} | {seen} |", attack.what, expectation(attack.expected));
        let answer = self.machine.chat("are you well?");
        assert_eq!(answer.text, "fine: are you well?", "after {line}");
        self.suffered += 1;
        if self.suffered.is_multiple_of(MESSAGES_KEPT) {
            self.machine.ask("/reset");
        }
    }

    #[track_caller]
    fn expect_fault(&mut self, line: &str, kind: &str, detail: &str) -> String {
        // Where several cores misbehave, any of them may be the first; a core that is woken all the time is as late as its waker.
        let core = line.rsplit_once(" on ").map_or("0", |(_, core)| core);
        let is_any = line.starts_with("everywhere") && !kind.ends_with("deadline") || line.starts_with("flood 8 1");
        let core = if is_any { "" } else { core };
        if kind == "call-budget" {
            // A flood makes no progress: the step's deadline would end it first.
            self.machine.ask("/set step_deadline_ms 120000");
        }
        if kind == "request-deadline" {
            self.machine.ask("/set request_deadline_ms 500");
        }
        self.machine.send(format!("attack {line}\r"));
        if kind.ends_with("deadline") || kind == "call-budget" {
            // The console answers during the attack: what is typed is shown, and taken back.
            self.machine.send("x");
            self.machine.expect("(next) x", SHORT);
            self.machine.send("\x7f");
        }
        self.machine.expect(&format!("*** engine fault: {kind} on core {core}"), SHORT);
        let report = self.machine.expect("The kernel's memory is unchanged.", SHORT);
        assert!(report.contains(detail), "{line}: {detail:?} is not in the report:\n{report}");
        assert!(report.contains("the model stays in memory"), "{line}:\n{report}");
        let frames = report.matches("called from").count();
        assert!(frames <= 16, "{line}: {frames} frames");
        self.machine.expect_ready();
        // Faults in a row would leave the engine down; a restart by hand begins to count anew.
        self.machine.ask("/restart");
        match kind {
            "call-budget" => self.machine.ask(STEP_DEADLINE),
            "request-deadline" => self.machine.ask("/set request_deadline_ms 0"),
            _ => String::new(),
        };
        let class = report.split_once("(class ").and_then(|(_, rest)| rest.split_once(')'));
        class.map_or_else(|| kind.to_owned(), |(class, _)| format!("{kind}, exception class {class}"))
    }

    #[track_caller]
    fn expect_answer(&mut self, line: &str, text: &str) -> String {
        let answer = self.machine.chat(&format!("attack {line}"));
        let all = format!("{} stop={}", answer.text, answer.statistics);
        assert!(all.contains(text), "{line}: {text:?} is not in {all:?}");
        assert!(!all.contains("after the end"), "{line}: output of a request that had ended: {all:?}");
        self.expect_unchanged();
        answer.text
    }

    #[track_caller]
    fn expect_unchanged(&mut self) {
        let integrity = status_line(&mut self.machine, "integrity");
        assert_eq!(integrity, self.integrity);
    }

    /// The order with the addresses of `/mem` in place of their names.
    fn with_addresses(&self, line: &str) -> String {
        let Some((before, rest)) = line.split_once('{') else { return line.to_owned() };
        let Some((name, after)) = rest.split_once('}') else { return line.to_owned() };
        if name == "x" {
            return line.to_owned();
        }
        let address = match name {
            "tables end" => row(&self.memory_map, "stacks").0 - 8,
            "tables last page" => row(&self.memory_map, "stacks").0 - 4096,
            "descriptor" => {
                let (start, bytes) = self
                    .memory_map
                    .lines()
                    .filter(|line| line.starts_with("model"))
                    .map(parse_row)
                    .next_back()
                    .unwrap();
                start + bytes - (2 << 20)
            }
            name => row(&self.memory_map, name).0,
        };
        format!("{before}{address:x}{after}")
    }

    /// What holds at the end of a group; the rows go to the table.
    #[track_caller]
    fn end(mut self, group: &str) {
        self.expect_unchanged();
        let status = self.machine.ask("/status");
        assert!(status.contains("writable and executable 0"), "{status}");
        assert!(
            status.contains("for EL0 in the kernel's half 0, for EL1 to execute in the engine's half 0"),
            "{status}"
        );
        assert!(!self.machine.transcript().contains("kernel panic"));
        assert!(!self.machine.transcript().contains("kernel fault"));
        let path = artifacts::work_directory().join(format!("security-{group}.md"));
        fs::write(path, self.rows).unwrap();
    }
}

fn expectation(expected: Expected) -> String {
    match expected {
        Expected::Fault(kind, _) => format!("fault: {kind}"),
        Expected::Answer(text) => text.to_owned(),
        Expected::Harmless(..) => "the kernel goes on; the next answer is right".to_owned(),
    }
}

#[track_caller]
fn status_line(machine: &mut Machine, label: &str) -> String {
    let status = machine.ask("/status");
    status
        .lines()
        .find(|line| line.starts_with(label))
        .unwrap_or_else(|| panic!("no {label} in {status}"))
        .trim()
        .to_owned()
}

/// First virtual address and size of a row of `/mem`.
fn row(map: &str, name: &str) -> (u64, u64) {
    parse_row(
        map.lines().find(|line| line.starts_with(&format!("{name}  "))).unwrap_or_else(|| panic!("no {name} in {map}")),
    )
}

fn parse_row(line: &str) -> (u64, u64) {
    let columns: Vec<_> = line.split_whitespace().collect();
    let at = columns.iter().position(|word| word.starts_with("0x")).unwrap_or_else(|| panic!("no address: {line}"));
    let start = u64::from_str_radix(&columns[at][2..].replace('_', ""), 16).unwrap();
    let (size, unit) = (columns[at + 2], columns[at + 3]);
    let scale = if unit == "MiB" { 1 << 20 } else { 1 << 10 };
    (start, (size.parse::<f64>().unwrap() * f64::from(scale)) as u64)
}

#[test]
fn the_kernel_is_byte_for_byte_the_one_that_is_shipped() {
    let [shipped, attacked] = [artifacts::kernel_image(), artifacts::attack_image()].map(|path| split_image(&path));
    assert!(shipped.0 == attacked.0, "the kernels differ");
    assert!(shipped.1 != attacked.1, "the attacker is not in its image");
}

fn split_image(path: &Path) -> (Vec<u8>, Vec<u8>) {
    let image = fs::read(path).unwrap();
    let payload = image.windows(PAYLOAD_MAGIC.len()).rposition(|window| window == PAYLOAD_MAGIC).unwrap();
    (image[..payload].to_vec(), image[payload..].to_vec())
}

#[test]
fn memory() {
    let mut victim = Victim::boot(Machine::raspi4b());
    attacks::MEMORY.iter().for_each(|attack| victim.suffer(attack));
    victim.end("1-memory");
}

#[test]
fn calls() {
    let mut victim = Victim::boot(Machine::raspi4b());
    attacks::CALLS.iter().for_each(|attack| victim.suffer(attack));
    let transcript = victim.machine.transcript();
    assert!(
        !transcript.contains("]52;c;c3RvbGVu\u{7}") && !transcript.contains('\u{9b}'),
        "an escape reached the terminal"
    );
    let log = victim.machine.ask("/log");
    assert!(log.contains("call refused: emit on core 0") && log.contains("BadAddress"), "{log}");
    victim.end("2-calls");
}

#[test]
fn resources() {
    let mut victim = Victim::boot(Machine::raspi4b());
    attacks::RESOURCES.iter().for_each(|attack| victim.suffer(attack));
    let log = victim.machine.ask("/log");
    for kept in ["kernel entry to prompt", "engine fault: call-budget on core 0", "engine fault: panic on core 0"] {
        assert!(log.contains(kept), "the floods pushed {kept:?} out of the log:\n{log}");
    }
    victim.end("3-resources");
}

#[test]
fn instructions_and_registers() {
    let mut victim = Victim::boot(Machine::raspi4b());
    for (index, instruction) in attacks::instructions().into_iter().enumerate() {
        let line = format!("instruction {instruction} on {}", index % 4).leak();
        let what = format!("`{}` on core {}", instruction.replace("{x}", "x0"), index % 4).leak();
        let expected = Expected::Fault(attacks::instruction_fault(instruction), "");
        victim.suffer(&Attack { what, line, expected });
    }
    victim.end("4-instructions");
}

/// A core that has PAN, and other exception classes to offer.
#[test]
fn a_newer_core_holds_too() {
    let mut victim = Victim::boot(Machine::virt("cortex-a76"));
    let status = victim.machine.ask("/status");
    assert!(status.contains("PAN on") && status.contains("the same on 4 of 4 cores"), "{status}");
    for attack in attacks::MEMORY.iter().step_by(3).filter(|attack| !attack.what.contains("device")) {
        victim.suffer(attack);
    }
    attacks::CALLS.iter().step_by(2).for_each(|attack| victim.suffer(attack));
    victim.end("5-newer-core");
}

/// What QEMU does not raise is asserted by what the registers say: hardware-only.
const HARDWARE_ONLY: &str = "\
| a stack pointer that is no multiple of 16 (QEMU raises nothing) | hardware only | SCTLR_EL1.SA and SA0 are set on every core |
| traps of floating point (no core from the A53 to the A76 has them) | hardware only | FPCR is 0 on every core after a restart (rows above) |
";

#[test]
fn registers_ask_for_what_the_emulator_does_not_raise() {
    let mut victim = Victim::boot(Machine::raspi4b());
    let line = status_line(&mut victim.machine, "registers");
    let number = |name: &str| {
        let rest = line.split_once(&format!("{name} 0x")).unwrap_or_else(|| panic!("no {name}: {line}")).1;
        let digits = rest.split(',').next().unwrap().trim();
        u64::from_str_radix(digits, 16).unwrap()
    };
    let sctlr = number("SCTLR");
    for (bit, name) in [(0, "M"), (2, "C"), (3, "SA"), (4, "SA0"), (12, "I"), (19, "WXN")] {
        assert_ne!(sctlr & (1 << bit), 0, "SCTLR_EL1.{name} is not set: {sctlr:#x}");
    }
    for (bit, name) in [(9, "UMA"), (14, "DZE"), (15, "UCT"), (16, "nTWI"), (18, "nTWE"), (26, "UCI")] {
        assert_eq!(sctlr & (1 << bit), 0, "SCTLR_EL1.{name} is set: {sctlr:#x}");
    }
    assert_eq!(number("CNTKCTL"), 0, "EL0 sees a counter or a timer");
    assert_eq!(number("PMUSERENR"), 0, "EL0 sees performance counters");
    assert_eq!(number("MDSCR"), 1 << 12, "EL0 may use the debugger's channel");
    assert_eq!(number("CPACR"), 3 << 20, "more than vector registers is open");
    assert!(victim.machine.ask("/status").contains("the same on 4 of 4 cores"));
    victim.rows = HARDWARE_ONLY.to_owned();
    victim.end("6-hardware-only");
}

#[test]
fn an_engine_that_faults_again_and_again_stays_down_until_it_is_restarted() {
    let mut victim = Victim::boot(Machine::raspi4b());
    let machine = &mut victim.machine;
    machine.send("attack start 7\r");
    machine.expect("the engine stays stopped", SHORT);
    machine.expect("The kernel's memory is unchanged.", SHORT);
    machine.expect_prompt(SHORT);
    assert!(machine.ask("hello").contains("error:"), "the engine is down and says so");
    assert!(machine.ask("/status").contains("down: /restart starts it again"));
    machine.send("/restart\r");
    machine.expect_ready();
    assert_eq!(machine.chat("hello").text, "fine: hello");
}
