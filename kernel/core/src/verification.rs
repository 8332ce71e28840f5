//! `/mem verify`: whether anything changed that must not. The kernel's own parts are summed by [`crate::integrity`]; here the model is
//! added, which is large: it is summed in slices, once when the kernel has nothing else to do after the sealing, and again on request.

use barellama_arch::checksum::Checksum;
use barellama_arch::{cores, mmu, probe};
use barellama_shell::report::{self, PartRow, PartState, StackRow};
use heapless::Vec;

use crate::integrity::{PARTS, Sums};
use crate::kernel_loop::Kernel;
use crate::memory_plan::ModelMemory;

/// Whole words, and not more than the window shows. A key that is typed meanwhile waits for the whole slice
/// (about 25,000 instructions): it has to be a small part of a millisecond, also at 600 MHz.
const SLICE_BYTES: u64 = 32 << 10;

/// A sum over the model region on its way.
#[derive(Clone, Copy)]
struct Walk {
    sum: Checksum,
    done_bytes: u64,
}

impl Walk {
    const START: Self = Self { sum: Checksum::new(), done_bytes: 0 };

    /// Adds a slice. Returns the sum when all is done.
    fn step(&mut self, memory: &ModelMemory) -> Option<u64> {
        let Some(part) = memory.model_part(self.done_bytes, SLICE_BYTES) else { return Some(self.sum.value()) };
        let sum = self.sum;
        // A window over planned RAM can always be opened; if not, the sum is another one, which is what it should be then.
        self.sum = mmu::with_physical(part.start, part.bytes as usize, |bytes| sum.bytes(bytes)).unwrap_or(sum.word(1));
        self.done_bytes += part.bytes;
        None
    }
}

/// What is known of the sealed model.
pub struct Verification {
    /// The sum as it was after the sealing.
    expected: Option<u64>,
    /// That sum on its way.
    first: Walk,
    /// The sum that somebody waits for.
    asked: Option<Walk>,
}

impl Verification {
    /// Nothing known.
    #[must_use]
    pub const fn new() -> Self {
        Self { expected: None, first: Walk::START, asked: None }
    }

    /// The model is gone, or another one.
    pub fn forget(&mut self) {
        *self = Self::new();
    }
}

impl Default for Verification {
    fn default() -> Self {
        Self::new()
    }
}

impl Kernel {
    /// Begins to compare; the table follows when the model was read through. Returns whether that takes a while.
    pub fn begin_verification(&mut self) -> bool {
        let is_sealed = self.engine.model.as_ref().is_some_and(|model| model.is_sealed());
        if is_sealed {
            self.verification.asked = Some(Walk::START);
        } else {
            self.print_verification(None);
        }
        is_sealed
    }

    /// Gives the comparison up. Returns whether there was one.
    pub fn cancel_verification(&mut self) -> bool {
        let was_asked = self.verification.asked.take().is_some();
        if was_asked {
            self.print(|out| out.write_str("The comparison was stopped.\r\n"));
            self.next_line();
        }
        was_asked
    }

    /// Adds a slice to the sum that somebody waits for. Returns whether there was one.
    pub fn step_verification(&mut self) -> bool {
        if self.verification.asked.is_none() {
            return false;
        }
        // Nothing to compare with before the first sum is there.
        if self.verification.expected.is_none() {
            return self.step_first_sum();
        }
        let (Some(walk), Some(model)) = (&mut self.verification.asked, &self.engine.model) else { return false };
        if let Some(sum) = walk.step(model.memory()) {
            self.verification.asked = None;
            self.print_verification(Some(sum));
            self.next_line();
        }
        true
    }

    /// Adds a slice to the first sum of a sealed model, when there is nothing else to do. Returns whether there was one.
    pub fn step_first_sum(&mut self) -> bool {
        let Some(model) = self.engine.model.as_ref().filter(|model| model.is_sealed()) else { return false };
        if self.verification.expected.is_some() {
            return false;
        }
        if let Some(sum) = self.verification.first.step(model.memory()) {
            self.verification.expected = Some(sum);
            log::info!("the sealed model's sum is {sum:016x}");
        }
        true
    }

    fn print_verification(&mut self, model_sum: Option<u64>) {
        let mut rows = Vec::<PartRow<'_>, 16>::new();
        let mut push = |name, bytes, state| {
            // There are fewer parts than rows.
            let _ = rows.push(PartRow { name, bytes, state });
        };
        let sizes = part_bytes();
        let now = Sums::take(self.engine.model.as_ref());
        for (index, name) in PARTS.into_iter().enumerate() {
            let state = match (self.engine.sums, now.parts[index]) {
                (Some(then), Some(sum)) if then.parts[index] == Some(sum) => PartState::Unchanged,
                (Some(then), Some(_)) if then.parts[index].is_some() => PartState::Changed,
                _ => PartState::NotKnown,
            };
            push(name, sizes[index], state);
        }
        if let Some(memory) = &self.engine.memory {
            let changed = memory.changed_part();
            for (name, bytes) in memory.constant_parts() {
                let is_changed = changed == Some(name);
                push(name, Some(bytes), if is_changed { PartState::Changed } else { PartState::Unchanged });
            }
        }
        let model_bytes = self.engine.model.as_ref().map(|model| model.memory().model_bytes());
        let state = match (self.verification.expected, model_sum) {
            (Some(expected), Some(sum)) if expected == sum => PartState::Unchanged,
            (Some(_), Some(_)) => PartState::Changed,
            _ => PartState::NotKnown,
        };
        push("model, sealed", model_bytes, state);
        let stacks: Vec<StackRow, 4> = (0..self.facts.cores)
            .map(|core| StackRow {
                used_bytes: cores::stack_used_bytes(core),
                bytes: cores::stack_bytes(),
                are_guards_intact: probe::guard_words_are_intact(core),
            })
            .collect();
        let file_crc32 = self.loading.file_crc32();
        self.print(|out| report::verification(&rows, &stacks, file_crc32, out));
    }
}

/// Sizes of the parts that [`Sums`] covers, as far as they say something.
fn part_bytes() -> [Option<u64>; PARTS.len()] {
    let of = |bytes: &[u8]| Some(bytes.len() as u64);
    let (tables, _) = mmu::table_pages();
    [
        of(mmu::kernel_text()),
        of(mmu::kernel_rodata()),
        of(mmu::payload().unwrap_or(&[])),
        Some(tables as u64 * barellama_abi::layout::PAGE_BYTES),
        None,
        Some(barellama_abi::layout::DESCRIPTOR_BYTES),
    ]
}
