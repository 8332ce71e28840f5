//! Four cores on one token: how often they wait for each other, and what sharing the work costs in instructions beside the waiting.
//!
//! QEMU's clock counts all cores together, spinning ones too, so a plugin counts here (`tests/plugin/cores.c`), without `-icount`: the
//! engine's instructions outside and inside the functions of its barrier, up to the end of each request. One core and four run the same
//! two requests, one of them longer; the differences are the cost of the tokens between.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use barellama_tests::{Machine, artifacts};
use serde_json::json;

use crate::Outcome;
use crate::elf::read_engine;
use crate::plugin;
use crate::row::row;

const SYMBOLS: &str = "llvm-nm-19";
/// What belongs to waiting: a part of each function's name.
const BARRIER: [&str; 7] = [
    "compute::roster::Roster>::open",
    "compute::roster::Roster>::close",
    "compute::roster::Roster>::nudge",
    "compute::roster::Roster>::wait",
    "compute::roster::Roster>::leave",
    "kernel_calls::Kernel>::park",
    "kernel_calls::Kernel>::wake",
];
const TASK: &str = "compute::roster::Roster>::open";
const MARK: &str = "kernel_calls::Kernel>::finish";
/// Tokens that the requests generate.
const TOKENS: [u64; 2] = [2, 10];
/// The most that four cores may need outside barriers, of what one core needs.
const SHARE_MAX: f64 = 1.03;

/// What the plugin counted up to some moment.
#[derive(Clone, Copy, Debug)]
struct Counts {
    outside: u64,
    barrier: u64,
    tasks: u64,
}

/// Prints the figures.
pub fn measure() -> Outcome {
    let folder = tempfile::tempdir()?;
    let plugin = Plugin::build(folder.path())?;
    let [one, four] = [1, 4].map(|cores| plugin.per_token(cores));
    let (one, four) = (one?, four?);
    let share = four.outside / one.outside;
    let verdict = if share <= SHARE_MAX { "within" } else { "more than" };
    row("SmolLM2 Q4_1, per generated token: barriers, 4 cores", format!("{:.1}", four.tasks));
    row("  instructions outside barriers, 1 core", format!("{:.2} M", one.outside / 1e6));
    let shown = format!("{:.2} M = {share:.4} x, {verdict} {SHARE_MAX}", four.outside / 1e6);
    row("  instructions outside barriers, 4 cores together", shown);
    row("  instructions inside barriers, 4 cores together", format!("{:.2} M", four.barrier / 1e6));
    Ok(())
}

struct PerToken {
    outside: f64,
    barrier: f64,
    tasks: f64,
}

/// The plugin, compiled, and its arguments for the engine of this build.
struct Plugin {
    library: PathBuf,
    output: PathBuf,
    arguments: String,
}

impl Plugin {
    fn build(folder: &Path) -> Result<Self, Box<dyn Error>> {
        let (library, output) = (plugin::build("cores", folder)?, folder.join("counts"));
        let arguments = arguments()?;
        Ok(Self { library, output, arguments })
    }

    /// What a generated token costs on so many cores.
    fn per_token(&self, cores: u32) -> Result<PerToken, Box<dyn Error>> {
        let options = format!("{},out={}{}", self.library.display(), self.output.display(), self.arguments);
        let mut machine = Machine::raspi4b().placed_model(&artifacts::smollm2()).plugin(&options).boot();
        machine.expect_ready();
        let before = TOKENS.map(|tokens| -> Result<[Counts; 2], Box<dyn Error>> {
            machine.ask("/reset");
            let before = self.latest()?;
            let request = json!({"ids": [300], "steps": tokens, "cores": cores, "top": 1});
            machine.ask(&format!("/score {request}"));
            Ok([before, self.latest()?])
        });
        let [fewer, more] = before;
        let of = |[before, after]: [Counts; 2], part: fn(&Counts) -> u64| (part(&after) - part(&before)) as f64;
        let (fewer, more) = (fewer?, more?);
        let tokens = (TOKENS[1] - TOKENS[0]) as f64;
        let per_token = |part: fn(&Counts) -> u64| (of(more, part) - of(fewer, part)) / tokens;
        Ok(PerToken {
            outside: per_token(|counts| counts.outside),
            barrier: per_token(|counts| counts.barrier),
            tasks: per_token(|counts| counts.tasks),
        })
    }

    /// The counts at the end of the last request.
    fn latest(&self) -> Result<Counts, Box<dyn Error>> {
        let lines = fs::read_to_string(&self.output)?;
        let last = lines.lines().last().ok_or("the plugin saw no request end")?;
        let numbers = last.split(' ').map(str::parse).collect::<Result<Vec<u64>, _>>()?;
        let [outside, barrier, tasks] = numbers[..] else { return Err(format!("the plugin wrote {last:?}").into()) };
        Ok(Counts { outside, barrier, tasks })
    }
}

/// Where the functions lie: arguments of the plugin.
fn arguments() -> Result<String, Box<dyn Error>> {
    let symbols = read_engine(SYMBOLS, &["--demangle", "--print-size", "--defined-only"])?;
    let mut arguments = String::new();
    for part in BARRIER {
        let mut is_found = false;
        for (start, end) in functions(&symbols, part) {
            arguments += &format!(",barrier={start:x}-{end:x}");
            is_found = true;
        }
        if !is_found {
            return Err(format!("the engine has no function {part}").into());
        }
    }
    for (key, part) in [("task", TASK), ("mark", MARK)] {
        let (start, _) =
            functions(&symbols, part).next().ok_or_else(|| format!("the engine has no function {part}"))?;
        arguments += &format!(",{key}={start:x}");
    }
    Ok(arguments)
}

/// First address and end of the functions with that in their names.
fn functions<'s>(symbols: &'s str, part: &'s str) -> impl Iterator<Item = (u64, u64)> + 's {
    symbols.lines().filter(move |line| line.contains(part)).filter_map(|line| {
        let mut words = line.split(' ');
        let start = u64::from_str_radix(words.next()?, 16).ok()?;
        let bytes = u64::from_str_radix(words.next()?, 16).ok()?;
        Some((start, start + bytes))
    })
}
