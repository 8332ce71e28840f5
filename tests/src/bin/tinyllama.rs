//! `make test-tinyllama`: files of TinyLlama-1.1B's shape load and generate, on each board that has room for them.
//!
//! The weights are random: this shows size and speed in QEMU, not quality. Arguments narrow the table: each row whose type,
//! board or way is named.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::Instant;

use barellama::card::CardSize;
use barellama_tests::card::Card;
use barellama_tests::machine::{LONG, SHORT, Setup};
use barellama_tests::memory::{Arena, kernel_kib};
use barellama_tests::{Machine, artifacts};

/// How the model gets into memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Put there before the kernel starts, as the firmware's `initramfs` would.
    Placed,
    /// The same at an address, for a file that finds room nowhere else in QEMU.
    PlacedAt(u64),
    /// Read from the card, which is slow in QEMU.
    Card,
}

/// What must become of the model.
enum Expected {
    /// It answers, with a context of so many tokens.
    Context(u64),
    /// It is refused, and the longest context that would fit is named.
    Refused,
}

struct Case {
    kind: &'static str,
    board: &'static str,
    way: Way,
    /// `context` in barellama.txt, in tokens; 0: nothing is said there.
    wanted: u64,
    expected: Expected,
}

const fn case(kind: &'static str, board: &'static str, way: Way, wanted: u64, expected: Expected) -> Case {
    Case { kind, board, way, wanted, expected }
}

const CASES: [Case; 12] = [
    case("Q4_0", "raspi4b", Way::Placed, 0, Expected::Context(2048)),
    case("Q4_K_M", "raspi4b", Way::Placed, 0, Expected::Context(2048)),
    // 1116 MiB in one piece, across the place of the VideoCore's memory, which QEMU has as plain RAM.
    case("Q8_0", "raspi4b", Way::PlacedAt(0x1000_0000), 0, Expected::Context(2048)),
    case("Q2_K", "raspi4b", Way::Placed, 0, Expected::Context(2048)),
    case("IQ2_XS", "raspi4b", Way::Placed, 0, Expected::Context(2048)),
    case("IQ3_XXS", "raspi4b", Way::Placed, 0, Expected::Context(2048)),
    case("Q4_0", "raspi4b", Way::Card, 0, Expected::Context(2048)),
    case("Q4_0", "raspi3b", Way::Placed, 0, Expected::Context(2048)),
    // From the card alone: QEMU puts the device tree at 128 MiB, and neither side of it has room for these files.
    case("IQ2_XS", "raspi3ap", Way::Card, 2048, Expected::Context(2048)),
    case("Q2_K", "raspi3ap", Way::Card, 512, Expected::Context(512)),
    case("Q2_K", "raspi3ap", Way::Card, 2048, Expected::Refused),
    case("Q4_0", "raspi3ap", Way::Card, 0, Expected::Refused),
];

fn main() {
    let only: Vec<String> = std::env::args().skip(1).collect();
    println!("| type | file, MB | board | model | context | arena, MiB | in all, MB | ready after, s | answer |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for case in &CASES {
        if only.iter().all(|word| [case.kind, case.board, case.way.name()].contains(&word.as_str())) {
            println!("{}", case.run());
        }
    }
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::Placed | Self::PlacedAt(_) => "placed",
            Self::Card => "card",
        }
    }
}

impl Case {
    fn model(&self) -> PathBuf {
        artifacts::work_file(&format!("models/tinyllama-1.1b-random.{}.gguf", self.kind))
    }

    /// Runs the case; returns its row of the table.
    fn run(&self) -> String {
        let model = self.model();
        let file_mb = std::fs::metadata(&model).expect("the model is there").len() as f64 / 1e6;
        let sources = tempfile::tempdir().expect("a directory can be made");
        let settings = sources.path().join("barellama.txt");
        std::fs::write(&settings, format!("context = {}\n", self.wanted)).expect("a file can be written");
        let mut files = vec![("barellama.txt", settings.as_path())];
        if self.way == Way::Card {
            files.push(("tinyllama.gguf", model.as_path()));
        }
        let card = Card::with_files(CardSize::Auto, &files);
        let mut setup = self.board().card(&card.path());
        setup = match self.way {
            Way::Placed => setup.placed_model(&model),
            Way::PlacedAt(address) => setup.placed_model_at(&model, address),
            Way::Card => setup,
        };
        let began = Instant::now();
        let mut machine = setup.boot();
        let row = format!("| {} | {file_mb:.1} | {} | {} ", self.kind, self.board, self.way.name());
        match self.expected {
            Expected::Context(context) => format!("{row}{}", answer(&mut machine, context, file_mb, began)),
            Expected::Refused => format!("{row}{}", refusal(&mut machine)),
        }
    }

    fn board(&self) -> Setup {
        match self.board {
            "raspi3b" => Machine::raspi3b(),
            "raspi3ap" => Machine::raspi3ap(),
            _ => Machine::raspi4b(),
        }
    }
}

/// The model is ready with that context and generates two tokens.
fn answer(machine: &mut Machine, context: u64, file_mb: f64, began: Instant) -> String {
    let shown = machine.expect_ready();
    let ready_s = began.elapsed().as_secs();
    let arena = Arena::from_report(&shown).unwrap_or_else(|| machine.fail("the arena is not reported"));
    if arena.context != context {
        machine.fail(&format!("the context is {}, not {context}", arena.context));
    }
    let kernel_mb = kernel_kib(&machine.ask("/mem")) as f64 * 1024.0 / 1e6;
    let all_mb = file_mb + arena.needed_mib * f64::from(1 << 20) / 1e6 + kernel_mb;
    machine.ask("/set max_tokens 2");
    machine.send("/raw The\r");
    machine.expect("\r\n", SHORT);
    let answer = machine.expect_answer();
    if answer.stop() != "max_tokens" || answer.text.is_empty() {
        machine.fail(&format!("two tokens were asked for: {answer:?}"));
    }
    format!("| {context} | {:.1} | {all_mb:.1} | {ready_s} | {} |", arena.needed_mib, answer.statistics)
}

/// The model is refused in one line, which says what would fit.
fn refusal(machine: &mut Machine) -> String {
    let before = machine.expect("fit", LONG);
    let behind = machine.expect("\r\n", SHORT);
    let line = format!("{}fit{behind}", before.lines().last().unwrap_or_default());
    format!("| | | | | {line} |")
}
