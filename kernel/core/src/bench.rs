//! `/bench`: the time of a prompt token and of a generated token, on one core and on all, with clock, heat and throttling beside it.
//!
//! The prompts are token ids that mean nothing; each run begins with another one, so that nothing of the KV cache is reused.

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::request::{RecordKind, RequestHeader, RequestKind, Sampling};
use barellama_shell::command::BenchSizes;
use barellama_shell::report::{self, BenchRow};

use crate::kernel_loop::Kernel;
use crate::platform::Clock;
use crate::requests::Origin;

/// The first id: below it lie the special tokens of most vocabularies.
const FIRST_ID: u32 = 300;
/// So many different ids: every vocabulary of the family has them.
const DIFFERENT_IDS: u32 = 500;
/// Next to each other in no text.
const ID_STRIDE: u32 = 37;

/// The runs that are left to do.
pub struct Bench {
    sizes: BenchSizes,
    /// Cores of the run that is on, 0: none is.
    cores: u32,
    /// Counts runs, so that no two begin alike.
    runs: u32,
}

impl Bench {
    /// Nothing to do.
    #[must_use]
    pub const fn new() -> Self {
        Self { sizes: BenchSizes { prompt_tokens: 0, generated_tokens: 0 }, cores: 0, runs: 0 }
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}

impl Kernel {
    /// Begins with one core. Returns whether the engine works for it now.
    pub fn begin_bench(&mut self, sizes: BenchSizes) -> bool {
        self.bench.sizes = sizes;
        self.bench.cores = 1;
        if !self.submit_bench_run() {
            return false;
        }
        self.print(|out| report::bench_head(out));
        true
    }

    /// A run ended: its row, and the next run. Returns whether there is one.
    pub fn continue_bench(&mut self, outcome: &Outcome) -> bool {
        let sizes = self.bench.sizes;
        if outcome.stop_reason != StopReason::Complete {
            let reason = outcome.stop_reason.name();
            self.print(|out| write!(out, "The bench was stopped: {reason}.\r\n"));
            return false;
        }
        self.print_bench_row(outcome);
        let all_cores = self.engine.cores as u32;
        if self.bench.cores < all_cores {
            self.bench.cores =
                if sizes.generated_tokens == 0 { all_cores } else { self.bench.cores * 2 }.min(all_cores);
            return self.submit_bench_run();
        }
        let is_emulator = self.facts.is_emulator;
        self.print(|out| report::bench_foot(is_emulator, out));
        false
    }

    fn print_bench_row(&mut self, outcome: &Outcome) {
        let firmware = self.facts.firmware;
        let row = BenchRow {
            cores: self.bench.cores,
            prompt_tokens: outcome.prompt_tokens.saturating_sub(outcome.reused_tokens),
            prompt_ns: outcome.prompt_ns,
            // The first id comes out of the prompt's last token: it costs no step of its own.
            generated_tokens: outcome.generated_tokens.saturating_sub(1),
            decode_ns: outcome.decode_ns,
            arm_hz: firmware.measured_clock_hz(Clock::Arm).or_else(|| firmware.clock_hz(Clock::Arm)),
            temperature_millidegrees: firmware.temperature_millidegrees(),
            throttled: firmware.throttled(),
        };
        self.print(|out| report::bench_row(&row, out));
    }

    fn submit_bench_run(&mut self) -> bool {
        self.bench.runs = self.bench.runs.wrapping_add(1);
        let (runs, cores, sizes) = (self.bench.runs, self.bench.cores, self.bench.sizes);
        self.submit(
            Origin::Bench,
            |_, id| RequestHeader {
                id,
                kind: RequestKind::Score,
                max_tokens: sizes.generated_tokens.saturating_add(1),
                cores,
                top: 1,
                ignore_end: true,
                sampling: Sampling { temperature: 0.0, repeat_penalty: 1.0, ..Sampling::default() },
                ..RequestHeader::default()
            },
            |writer, _, _| {
                let mut ids = heapless::Vec::<u32, { BenchSizes::TOKENS_MAX as usize }>::new();
                let all = (0..sizes.prompt_tokens).map(|index| bench_id(runs, index));
                // There is room: the command's limit is the list's.
                all.take(ids.capacity()).for_each(|id| ids.push(id).unwrap_or_default());
                writer.ids(RecordKind::TokenIds, &ids)
            },
        )
    }
}

/// The id at a place of a run's prompt.
const fn bench_id(run: u32, index: u32) -> u32 {
    FIRST_ID + (run.wrapping_mul(101).wrapping_add(index.wrapping_mul(ID_STRIDE))) % DIFFERENT_IDS
}
