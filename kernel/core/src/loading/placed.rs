//! A model that the firmware put into memory before the kernel started.

use barellama_arch::mmu;

use super::{PLACED_NAME, SLICE_BYTES, Source, Stage, model_path};
use crate::kernel_loop::Kernel;
use crate::memory_plan::ModelMemory;
use crate::platform::PhysicalRange;
use barellama_abi::layout::BLOCK_BYTES;

/// The first bytes of a GGUF file.
const GGUF_MAGIC: [u8; 4] = *b"GGUF";

impl Kernel {
    /// What the firmware placed, if it is a GGUF file.
    pub(super) fn placed_model(&mut self) -> Option<PhysicalRange> {
        let file = self.loading.placed_file?;
        let is_gguf = file.bytes >= GGUF_MAGIC.len() as u64
            && mmu::with_physical(file.start, GGUF_MAGIC.len(), |bytes| bytes == GGUF_MAGIC).unwrap_or(false);
        if !is_gguf {
            self.loading.placed_file = None;
            // Fails only if RAM is cut into too many pieces; the range stays reserved then.
            let _ = self.loading.free.give_back(file);
            self.say(format_args!(
                "The file of {} bytes that the firmware placed at {:#x} is not a GGUF model: ignored.",
                file.bytes, file.start
            ));
        }
        is_gguf.then_some(file)
    }

    pub(super) fn take_placed(&mut self, file: PhysicalRange) {
        self.loading.source = Source::Placed(file);
        // Once prepared it is no longer the file it was.
        self.loading.placed_file = None;
        self.loading.target = Some(model_path(PLACED_NAME));
        if file.start.is_multiple_of(BLOCK_BYTES) {
            match ModelMemory::for_placed_file(self.loading.free.clone(), file) {
                Ok((memory, tail)) => self.take_in_place(memory, file, tail),
                Err(error) => self.report_no_memory(error),
            }
        } else {
            match ModelMemory::for_file(self.loading.free.clone(), file.bytes) {
                Ok(memory) => self.loading.stage = Stage::Copying { from: file, memory, done_bytes: 0 },
                Err(error) => self.report_no_memory(error),
            }
        }
    }

    fn take_in_place(&mut self, memory: ModelMemory, file: PhysicalRange, tail: Option<(PhysicalRange, u64)>) {
        let own = memory.model.last().copied();
        let cleared = own.map_or(Ok(()), |own| mmu::zero_physical(own.start, own.bytes));
        let copied = cleared.and_then(|()| tail.map_or(Ok(()), |(from, to)| copy_physical(from, to)));
        match copied {
            Ok(()) => {
                self.loading.stage = Stage::Settled;
                self.give_to_engine(memory, file.bytes);
            }
            Err(error) => self.fail_load(format_args!("it could not be reached in memory: {error}")),
        }
    }

    pub(super) fn step_copy(&mut self) {
        let Stage::Copying { from, memory, done_bytes } = &mut self.loading.stage else { return };
        let bytes = (from.bytes - *done_bytes).min(SLICE_BYTES as u64);
        let Some(target) = memory.model_part(*done_bytes, bytes) else { return };
        let part = PhysicalRange { start: from.start + *done_bytes, bytes: target.bytes };
        let copied = copy_physical(part, target.start);
        *done_bytes += target.bytes;
        let is_done = *done_bytes == from.bytes;
        let file_bytes = from.bytes;
        if let Err(error) = copied {
            self.fail_load(format_args!("it could not be reached in memory: {error}"));
        } else if is_done
            && let Stage::Copying { memory, .. } = core::mem::replace(&mut self.loading.stage, Stage::Settled)
        {
            self.give_to_engine(memory, file_bytes);
        }
    }
}

/// Copies physical memory through a buffer: only one window can be open.
fn copy_physical(from: PhysicalRange, to: u64) -> Result<(), mmu::MapError> {
    let mut buffer = [0; 4096];
    let mut done = 0;
    while done < from.bytes {
        let count = (from.bytes - done).min(buffer.len() as u64);
        let part = &mut buffer[..count as usize];
        mmu::with_physical(from.start + done, count as usize, |bytes| part.copy_from_slice(bytes))?;
        mmu::copy_to_physical(to + done, part)?;
        done += count;
    }
    Ok(())
}
