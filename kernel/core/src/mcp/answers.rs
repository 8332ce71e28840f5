//! Answers that the kernel gives itself: resources, status, models.

use barellama_arch::{mmu, timer};
use barellama_mcp::resources::{MemoryRegion, Resource};
use barellama_mcp::server::{ModelEntry, SystemStatus, Ticket};
use barellama_shell::report::{self, MemoryRow};
use heapless::Vec;

use crate::kernel_loop::Kernel;
use crate::platform::Clock;
use crate::{heap, interrupt, logging};

/// A longer device tree does not fit into a message; those of the firmware have some 80 KiB.
const DEVICE_TREE_BYTES_MAX: u64 = 128 << 10;

/// An answer that the kernel gives itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    Resource(Ticket, Resource),
    Status(Ticket),
    Models(Ticket),
}

impl Read {
    pub const fn ticket(self) -> Ticket {
        match self {
            Self::Resource(ticket, _) | Self::Status(ticket) | Self::Models(ticket) => ticket,
        }
    }
}

impl Kernel {
    /// Gives the answers that the kernel knows itself, as long as the outbox has room. What has to wait lets others pass.
    pub(super) fn answer_waiting(&mut self) -> bool {
        let mut has_worked = false;
        for _ in 0..self.mcp.reads.len() {
            let Some(read) = self.mcp.reads.pop_front() else { break };
            let is_answered = match read {
                Read::Resource(ticket, resource) => self.answer_resource(ticket, resource),
                Read::Status(ticket) => self.answer_status(ticket),
                Read::Models(ticket) => self.answer_models(ticket),
            };
            has_worked |= is_answered;
            if !is_answered {
                // Cannot fail: it was in the queue before.
                let _ = self.mcp.reads.push_back(read);
            }
        }
        has_worked
    }

    /// Returns whether it is answered; if not, it is tried again.
    fn answer_resource(&mut self, ticket: Ticket, resource: Resource) -> bool {
        match resource {
            Resource::ModelCard | Resource::ModelTensors => self.answer_description(ticket, resource),
            Resource::MemoryMap => self.answer_memory(ticket, None),
            Resource::MemoryRegion(region) => self.answer_memory(ticket, Some(region)),
            Resource::BootLog => self.answer_text(ticket, &|out| logging::write_boot(out)),
            Resource::Log => self.answer_text(ticket, &|out| logging::write(out)),
            Resource::Faults => {
                let (server, outbox) = (&mut self.mcp.server, &mut self.mcp.outbox);
                let faults = &self.engine.fault_log;
                server.resource_text(ticket, &|out| faults.write(out), outbox).is_ok()
            }
            Resource::Metrics => self.answer_metrics(ticket),
            Resource::DeviceTree => self.answer_device_tree(ticket),
        }
    }

    /// The tree lies where the firmware left it, in memory that is kept free for it.
    fn answer_device_tree(&mut self, ticket: Ticket) -> bool {
        let (server, outbox) = (&mut self.mcp.server, &mut self.mcp.outbox);
        let Some(tree) = self.facts.device_tree else {
            server.fail(ticket, "The firmware passed no device tree.");
            return true;
        };
        if tree.bytes > DEVICE_TREE_BYTES_MAX {
            server.fail(ticket, "The device tree is longer than 128 KiB: it does not fit into a message.");
            return true;
        }
        let sent =
            mmu::with_physical(tree.start, tree.bytes as usize, |bytes| server.resource_blob(ticket, bytes, outbox));
        match sent {
            Ok(sent) => sent.is_ok(),
            Err(_) => {
                server.fail(ticket, "The device tree cannot be reached in memory.");
                true
            }
        }
    }

    fn answer_text(&mut self, ticket: Ticket, text: &dyn Fn(&mut dyn core::fmt::Write) -> core::fmt::Result) -> bool {
        self.mcp.server.resource_text(ticket, text, &mut self.mcp.outbox).is_ok()
    }

    fn answer_memory(&mut self, ticket: Ticket, region: Option<MemoryRegion>) -> bool {
        let mut rows = self.memory_rows();
        if let Some(region) = region {
            rows.retain(|row| is_in(row, region));
        }
        self.answer_text(ticket, &|out| report::memory_map(&rows, out))
    }

    fn answer_metrics(&mut self, ticket: Ticket) -> bool {
        let outcome = self.engine.last_outcome;
        let pool = heap::usage();
        let figures = [
            ("uptime_ns", timer::now_ns()),
            ("timer_interrupts_total", interrupt::timer_total()),
            ("requests_total", self.engine.requests_ended),
            ("generated_tokens_total", self.engine.generated_tokens),
            ("faults_total", self.engine.faults),
            ("restarts_total", self.engine.restarts),
            ("serial_lost_bytes_total", self.serial.lost_bytes()),
            ("serial_damaged_bytes_total", self.serial.damaged_bytes()),
            ("mcp_damaged_frames_total", self.mcp.link.counts().damaged_frames),
            ("mcp_waiting_bytes_peak", self.mcp.outbox.peak_bytes() as u64),
            ("mcp_lost_messages_total", self.mcp.outbox.lost_messages()),
            ("mcp_turnaround_ns", self.mcp.turnaround.last_ns),
            ("mcp_turnaround_longest_ns", self.mcp.turnaround.longest_ns),
            ("kernel_heap_bytes", pool.bytes as u64),
            ("kernel_heap_used_bytes", pool.used_bytes as u64),
            ("kernel_heap_peak_bytes", pool.peak_bytes as u64),
            ("last_prompt_tokens", outcome.prompt_tokens.into()),
            ("last_prompt_ns", outcome.prompt_ns),
            ("last_generated_tokens", outcome.generated_tokens.into()),
            ("last_decode_ns", outcome.decode_ns),
        ];
        self.answer_text(ticket, &|out| figures.iter().try_for_each(|(name, value)| writeln!(out, "{name} {value}")))
    }

    fn answer_status(&mut self, ticket: Ticket) -> bool {
        let pool = heap::usage();
        let firmware = self.facts.firmware;
        let model = self.whole_model();
        let status = SystemStatus {
            board: self.facts.name,
            uptime_ns: timer::now_ns(),
            engine: self.engine.life.name(),
            model: model.map(|_| self.loading.model_name()),
            arm_clock_hz: firmware.clock_hz(Clock::Arm),
            core_clock_hz: firmware.clock_hz(Clock::Core),
            temperature_millidegrees: firmware.temperature_millidegrees(),
            throttled_bits: firmware.throttled(),
            ram_bytes: self.facts.ram_bytes,
            model_bytes: model.map_or(0, |model| model.file_bytes()),
            arena_bytes: model.map_or(0, |model| model.memory().arena_bytes()),
            heap_bytes: pool.bytes as u64,
            heap_used_bytes: pool.used_bytes as u64,
            heap_peak_bytes: pool.peak_bytes as u64,
            faults: self.engine.faults,
            restarts: self.engine.restarts,
            requests: self.engine.requests_ended,
            tokens_served: self.engine.generated_tokens,
            overruns: self.serial.lost_bytes(),
            damaged_frames: self.mcp.link.counts().damaged_frames,
        };
        self.mcp.server.status(ticket, &status, &mut self.mcp.outbox).is_ok()
    }

    fn answer_models(&mut self, ticket: Ticket) -> bool {
        let loaded = self.whole_model().map(|model| (self.loading.model_name(), model.file_bytes()));
        let mut entries = Vec::<ModelEntry<'_>, 32>::new();
        for (name, bytes) in self.loading.models_on_card() {
            let is_loaded = loaded.is_some() && self.loading.is_loaded(name);
            // The card lists fewer than fit.
            let _ = entries.push(ModelEntry { name, bytes, is_loaded });
        }
        if let Some((name, bytes)) = loaded.filter(|_| !entries.iter().any(|entry| entry.is_loaded)) {
            let _ = entries.push(ModelEntry { name, bytes, is_loaded: true });
        }
        self.mcp.server.models(ticket, &entries, &mut self.mcp.outbox).is_ok()
    }
}

/// Whether a row of the memory map belongs to a region.
fn is_in(row: &MemoryRow<'_>, region: MemoryRegion) -> bool {
    match region {
        MemoryRegion::Kernel => row.engine_access == report::Access::None,
        MemoryRegion::Engine => row.name.starts_with("engine") && row.name != "engine stack",
        MemoryRegion::Stacks => row.name == "engine stack",
        MemoryRegion::Rings => row.name == "rings",
        MemoryRegion::Model => row.name == "model",
        MemoryRegion::Arena => row.name == "arena",
    }
}
