//! `/status` and `/mem`: the facts that the tables are made of.

use barellama_abi::layout::{ARENA_BASE, CORES_MAX, MODEL_BASE, RINGS_BASE, STACK_BYTES, stack_top};
use barellama_abi::syscall::Call;
use barellama_arch::{masked, mmu, timer};
use barellama_shell::report::{self, Access, MemoryRow, ModelFacts, StatusFacts};
use heapless::Vec;

use crate::engine::calls;
use crate::kernel_loop::Kernel;
use crate::lifecycle::Life;
use crate::payload::SegmentAccess;
use crate::platform::{Clock, PhysicalRange};
use crate::{heap, protection};

const ROWS_MAX: usize = 64;
/// The rows of the memory map.
pub type Rows = Vec<MemoryRow<'static>, ROWS_MAX>;

impl Kernel {
    /// Prints what goes on.
    pub fn print_status(&mut self) {
        let pool = heap::usage();
        let firmware = self.facts.firmware;
        let outcome = &self.engine.last_outcome;
        let model = self.whole_model().map(|model| ModelFacts {
            name: self.loading.model_name(),
            file_bytes: model.file_bytes(),
            arena_bytes: model.memory().arena_bytes(),
            context_used_tokens: outcome.context_used_tokens,
            context_tokens: outcome.context_tokens,
        });
        let facts = StatusFacts {
            uptime_ns: timer::now_ns(),
            board: self.facts.name,
            temperature_millidegrees: firmware.temperature_millidegrees(),
            throttled: firmware.throttled(),
            arm_hz: firmware.clock_hz(Clock::Arm),
            cores: self.facts.cores,
            model,
            engine: self.engine_state(),
            messages: self.console.conversation.messages().count(),
            requests: self.engine.requests_ended,
            generated_tokens: self.engine.generated_tokens,
            faults: self.engine.faults,
            restarts: self.engine.restarts,
            receive_overruns: self.serial.lost_bytes(),
            damaged_bytes: self.serial.damaged_bytes(),
            heap_used_bytes: pool.used_bytes as u64,
            heap_peak_bytes: pool.peak_bytes as u64,
            heap_bytes: pool.bytes as u64,
            longest_masked_ns: Some(masked::longest_ns()),
        };
        let mut out = self.console.out;
        self.console.editor.before_output(&mut out);
        // The serial line takes everything.
        let _ = report::status(&facts, &mut out);
        self.console.editor.after_output(&mut out);
        self.print_audit();
    }

    /// What the engine asked for, and whether the kernel is what it was.
    fn print_audit(&mut self) {
        let [kernel, user] = mmu::scan_tables();
        let changed = self.changed_part();
        let sums = self.engine.sums;
        let serial = self.serial;
        self.print(|out| {
            write!(out, "system calls ")?;
            for (number, count) in calls::counts().into_iter().enumerate() {
                let name = Call::from_number(number as u64).map_or("", Call::name);
                write!(out, " {name} {count},")?;
            }
            write!(out, " refused {}\r\n", calls::refused_total())?;
            write!(
                out,
                "mappings     kernel {} (executable {}), engine {} (executable {}), writable and executable {}\r\n",
                kernel.leaves,
                kernel.kernel_executable,
                user.leaves,
                user.user_executable,
                kernel.writable_and_executable + user.writable_and_executable
            )?;
            write!(
                out,
                "             for EL0 in the kernel's half {}, for EL1 to execute in the engine's half {}\r\n",
                kernel.for_user, user.kernel_executable
            )?;
            let (response_ns, answers) = serial.longest_response_ns();
            write!(out, "response     after {} us at most, of {answers} answers\r\n", response_ns.div_ceil(1000))?;
            protection::write(out)?;
            match (sums, changed) {
                (None, _) => out.write_str("integrity    not known before a model is mapped\r\n"),
                (Some(sums), None) => write!(out, "integrity    unchanged, {:016x}\r\n", sums.total()),
                (Some(_), Some(part)) => write!(out, "integrity    CHANGED: {part}\r\n"),
            }
        });
    }

    /// What the engine does, for people.
    fn engine_state(&self) -> &'static str {
        match self.engine.life {
            Life::NoModel | Life::Preparing if self.loading.is_busy() => "a model is on its way",
            life => life.name(),
        }
    }

    /// Prints who may see which memory.
    pub fn print_memory(&mut self) {
        let rows = self.memory_rows();
        self.print(|out| report::memory_map(&rows, out));
    }

    /// The rows of the memory map.
    #[must_use]
    pub fn memory_rows(&self) -> Rows {
        let mut rows = Rows::new();
        let (kernel_start, _) = mmu::kernel_physical_range();
        let mut first_virtual = None;
        for region in mmu::kernel_regions() {
            let base = *first_virtual.get_or_insert(region.start);
            push(
                &mut rows,
                MemoryRow {
                    name: region.name,
                    virtual_start: Some(region.start),
                    physical_start: Some(kernel_start + (region.start - base)),
                    bytes: region.bytes,
                    kernel_access: access_named(region.access),
                    engine_access: Access::None,
                },
            );
        }
        if let Some(memory) = &self.engine.memory {
            for (segment, physical) in memory.segments() {
                let (name, kernel_access, engine_access) = match segment.access {
                    SegmentAccess::ReadExecute => ("engine code", Access::Read, Access::Execute),
                    SegmentAccess::ReadOnly => ("engine constants", Access::Read, Access::Read),
                    SegmentAccess::ReadWrite => ("engine data", Access::ReadWrite, Access::ReadWrite),
                };
                push(&mut rows, row(name, segment.address, physical, kernel_access, engine_access));
            }
            for core in 0..CORES_MAX as u64 {
                let physical = PhysicalRange { start: memory.stacks().start + STACK_BYTES * core, bytes: STACK_BYTES };
                let start = stack_top(core as usize) - STACK_BYTES;
                push(&mut rows, row("engine stack", start, physical, Access::ReadWrite, Access::ReadWrite));
            }
            push(&mut rows, row("rings", RINGS_BASE, memory.rings(), Access::ReadWrite, Access::ReadWrite));
        }
        if let Some(model) = &self.engine.model {
            let access = if model.is_sealed() { Access::Read } else { Access::ReadWrite };
            push_extents(&mut rows, "model", MODEL_BASE, &model.memory().model, access);
            push_extents(&mut rows, "arena", ARENA_BASE, &model.memory().arena, Access::ReadWrite);
        }
        rows
    }
}

fn push_extents(rows: &mut Rows, name: &'static str, base: u64, extents: &[PhysicalRange], access: Access) {
    let mut at = base;
    for extent in extents {
        push(rows, row(name, at, *extent, access, access));
        at += extent.bytes;
    }
}

fn row(
    name: &'static str,
    virtual_start: u64,
    physical: PhysicalRange,
    kernel_access: Access,
    engine_access: Access,
) -> MemoryRow<'static> {
    MemoryRow {
        name,
        virtual_start: Some(virtual_start),
        physical_start: Some(physical.start),
        bytes: physical.bytes,
        kernel_access,
        engine_access,
    }
}

fn push(rows: &mut Rows, row: MemoryRow<'static>) {
    // There are fewer regions than rows; a row too many would be left out of the table.
    let _ = rows.push(row);
}

fn access_named(access: &str) -> Access {
    match access {
        "rx" | "r-x" => Access::Execute,
        "r" | "r--" => Access::Read,
        "rw" | "rw-" => Access::ReadWrite,
        _ => Access::None,
    }
}
