//! A file of the card on its way into memory, slice by slice.

use barellama_abi::layout::{ARRIVED_ALL, PAGE_BYTES};
use barellama_arch::{mmu, timer};
use barellama_shell::report::LoadFacts;
use barellama_storage::{Destination, Load, LoadStep, LoadSummary, StorageError};

use super::{AfterStop, Card, SLICE_BYTES, Source, Stage, model_path};
use crate::kernel_loop::Kernel;
use crate::memory_plan::ModelMemory;

/// How often the progress line is drawn.
const PROGRESS_NS: u64 = 500_000_000;

impl Kernel {
    /// Opens the model that the boot, the menu or the configuration chose.
    pub(super) fn open_chosen(&mut self, path: &str) {
        let path = model_path(path);
        self.loading.source = Source::Card(path.clone());
        self.loading.reads = self.loading.reads.saturating_add(1);
        let opened = self.loading.card.open_load(&path);
        self.loading.target = Some(path);
        match opened {
            Ok(load) => match ModelMemory::for_file(self.loading.free.clone(), load.file_bytes()) {
                Ok(memory) => self.begin_stream(load, memory),
                Err(error) => self.report_no_memory(error),
            },
            Err(error) => self.fail_load(format_args!("{error}")),
        }
    }

    /// No model is mapped: lets the bytes flow, and the engine work on those that are there.
    pub(super) fn begin_stream(&mut self, load: Load, memory: ModelMemory) {
        if let Err(error) = zero_behind(&memory, load.file_bytes()) {
            return self.fail_load(format_args!("its memory could not be reached: {error}"));
        }
        let (now_ns, file_bytes) = (timer::now_ns(), load.file_bytes());
        (self.loading.place, self.loading.is_in_place) = (Some(load.file()), true);
        self.loading.stage = Stage::Streaming { load, began_ns: now_ns, drawn_ns: now_ns };
        self.give_to_engine(memory, file_bytes);
    }

    pub(super) fn step_stream(&mut self) {
        let now_ns = timer::now_ns();
        let Stage::Streaming { load, began_ns, drawn_ns } = &mut self.loading.stage else { return };
        let Some(model) = &self.engine.model else { return self.loading.end_arrival() };
        let began_ns = *began_ns;
        let step = load_slice(self.loading.card, load, model.memory(), now_ns);
        // The engine that waits for the card is not late.
        self.engine.note_prepare_progress(now_ns);
        match step {
            Ok(LoadStep::Done(summary)) => self.finish_stream(&summary),
            Ok(LoadStep::Checking(progress) | LoadStep::Reading(progress)) => {
                if let Some(memory) = &self.engine.memory {
                    memory.write_arrived(u32::try_from(progress.done_bytes / PAGE_BYTES).unwrap_or(0));
                }
                if now_ns - *drawn_ns < PROGRESS_NS {
                    return;
                }
                *drawn_ns = now_ns;
                self.report_load_progress(&LoadFacts {
                    done_bytes: progress.done_bytes,
                    total_bytes: progress.total_bytes,
                    elapsed_ns: now_ns - began_ns,
                });
            }
            Err(error) => self.loading.stage = Stage::Stopping { then: AfterStop::Failed(error) },
        }
    }

    fn finish_stream(&mut self, summary: &LoadSummary) {
        let facts = LoadFacts { done_bytes: summary.bytes, total_bytes: summary.bytes, elapsed_ns: summary.elapsed_ns };
        self.draw_load_end(&facts);
        self.loading.file_crc32 = Some(summary.crc32);
        self.loading.last_read = Some((summary.bytes, summary.elapsed_ns));
        let verified = if summary.is_checksum_verified { ", equal to the checksum file" } else { "" };
        let Source::Card(path) = self.loading.source.clone() else { return };
        self.say(format_args!("{path}: CRC-32 {:08x}{verified}.", summary.crc32));
        self.loading.stage = Stage::Settled;
        if let Some(memory) = &self.engine.memory {
            memory.write_arrived(ARRIVED_ALL);
        }
    }
}

/// The card's part of a step, with the bytes going through a window over physical memory.
fn load_slice(card: &mut Card, load: &mut Load, memory: &ModelMemory, now_ns: u64) -> Result<LoadStep, StorageError> {
    let offset = load.progress(now_ns).done_bytes;
    let Some(target) = memory.model_part(offset, SLICE_BYTES as u64) else {
        return card.load_step(load, &mut Window { offset, bytes: &mut [] }, now_ns);
    };
    let step = mmu::with_physical_mut(target.start, target.bytes as usize, |bytes| {
        card.load_step(load, &mut Window { offset, bytes }, now_ns)
    });
    // A window over planned RAM can always be opened; if not, the load ends with the error of a missing destination.
    step.unwrap_or_else(|_| card.load_step(load, &mut Window { offset, bytes: &mut [] }, now_ns))
}

/// The bytes of the region that are mapped just now.
struct Window<'a> {
    offset: u64,
    bytes: &'a mut [u8],
}

impl Destination for Window<'_> {
    fn window(&mut self, offset: u64, bytes: usize) -> Option<&mut [u8]> {
        let start = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        let rest = self.bytes.get_mut(start..)?;
        let count = rest.len().min(bytes);
        if count == 0 { None } else { rest.get_mut(..count) }
    }
}

/// Zeroes the region behind the file: the memory may hold what the model before it left.
fn zero_behind(memory: &ModelMemory, file_bytes: u64) -> Result<(), mmu::MapError> {
    let mut offset = file_bytes;
    while let Some(part) = memory.model_part(offset, u64::MAX) {
        mmu::zero_physical(part.start, part.bytes)?;
        offset += part.bytes;
    }
    Ok(())
}
