//! The serial line as an MCP server: which mode it is in, where messages go, and what becomes of the server's work.
//!
//! The protocol itself is the crate `barellama-mcp`; here its work meets requests, tables and the engine.

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::request::RequestKind;
use barellama_arch::timer;
use barellama_mcp::LINE_BYTES_MAX;
use barellama_mcp::outbox::{OUTBOX_BYTES, Outbox};
use barellama_mcp::resources::{MemoryRegion, Resource};
use barellama_mcp::server::{Buffers, ModelEntry, Server, Submission, SystemStatus, Ticket, Work};
use barellama_mcp::wire::{
    Line, LineAssembler, Link, Mode, Received, Role, Timing, detect_plain_start, is_console_command, is_plain_command,
};
use barellama_shell::report::{self, MemoryRow};
use heapless::{Deque, Vec};
use static_cell::ConstStaticCell;

use crate::kernel_loop::Kernel;
use crate::lifecycle::Life;
use crate::platform::Clock;
use crate::requests::Origin;
use crate::serial::Serial;
use crate::{heap, logging};

/// Calls that wait for a free slot, and answers that wait for room.
const WAITING_MAX: usize = 8;
/// Frames are handed out only while so few bytes wait for the wire: what lies there delays what is sent again.
const WIRE_BACKLOG_BYTES: usize = 2048;
const PART_BYTES: usize = 256;
/// A typed `/console` and not much more.
const COMMAND_BYTES: usize = 64;

static BUFFERS: ConstStaticCell<Buffers> = ConstStaticCell::new(Buffers::new());
static OUTBOX: ConstStaticCell<[u8; OUTBOX_BYTES]> = ConstStaticCell::new([0; OUTBOX_BYTES]);
static LINE: ConstStaticCell<[u8; LINE_BYTES_MAX]> = ConstStaticCell::new([0; LINE_BYTES_MAX]);
static COMMAND: ConstStaticCell<[u8; COMMAND_BYTES]> = ConstStaticCell::new([0; COMMAND_BYTES]);

/// The state of the line and of the server on it.
pub struct Mcp {
    /// How the line is used.
    pub mode: Mode,
    link: Link,
    lines: LineAssembler<'static>,
    /// Text outside frames in checked mode: only `/console` is listened to.
    commands: LineAssembler<'static>,
    server: Server<'static>,
    outbox: Outbox<'static>,
    submissions: Deque<Submission, WAITING_MAX>,
    reads: Deque<Read, WAITING_MAX>,
}

/// An answer that the kernel gives itself.
#[derive(Clone, Copy, Debug)]
enum Read {
    Resource(Ticket, Resource),
    Status(Ticket),
    Models(Ticket),
}

impl Read {
    const fn ticket(self) -> Ticket {
        match self {
            Self::Resource(ticket, _) | Self::Status(ticket) | Self::Models(ticket) => ticket,
        }
    }
}

impl Mcp {
    /// A line that people use. Called once.
    #[must_use]
    pub fn new() -> Self {
        Self {
            mode: Mode::Console,
            link: Link::new(Role::Board, Timing::default()),
            lines: LineAssembler::new(LINE.take()),
            commands: LineAssembler::new(COMMAND.take()),
            server: Server::new(BUFFERS.take()),
            outbox: Outbox::new(OUTBOX.take()),
            submissions: Deque::new(),
            reads: Deque::new(),
        }
    }

    /// When there will be something to do even if nothing else happens, in nanoseconds since start.
    #[must_use]
    pub fn next_timer_ns(&self) -> Option<u64> {
        if self.mode == Mode::Console {
            return None;
        }
        let wire = self.link.next_timer_ns().filter(|_| self.mode == Mode::Checked);
        wire.into_iter().chain(self.server.next_flush_ns()).min()
    }

    /// Output of a call.
    pub fn text(&mut self, ticket: Ticket, text: &str) {
        self.server.text(ticket, text, timer::now_ns());
    }

    /// Why a call will fail.
    pub fn error_text(&mut self, ticket: Ticket, text: &str) {
        self.server.error_text(ticket, text);
    }

    /// How far a call is.
    pub fn progress(&mut self, ticket: Ticket, phase: barellama_abi::syscall::Phase, done: u64, total: u64) {
        self.server.progress(ticket, phase, done, total, timer::now_ns());
    }

    /// The engine took a call.
    pub fn started(&mut self, ticket: Ticket) {
        self.server.started(ticket, timer::now_ns());
    }

    /// A call ended.
    pub fn finish(&mut self, ticket: Ticket, outcome: &Outcome) {
        self.server.finish(ticket, outcome, timer::now_ns());
    }

    fn take_line(&mut self, byte: u8) {
        match self.lines.push(byte) {
            None => {}
            Some(_) if !self.outbox.has_room_to_receive() => {
                log::warn!("mcp: the client does not read its answers: a message was dropped");
            }
            Some(Line::Whole(line)) => self.server.receive_line(line, timer::now_ns(), &mut self.outbox),
            Some(Line::TooLong) => self.server.receive_too_long(&mut self.outbox),
        }
    }

    /// Forgets a client: its calls, its answers, its half line.
    fn forget_client(&mut self) {
        self.server.reset();
        self.outbox.clear();
        self.lines.clear();
        self.commands.clear();
    }

    /// Moves answers to the wire as far as it has room. Returns whether anything moved.
    fn pump(&mut self, serial: &Serial, now_ns: u64) -> bool {
        match self.mode {
            Mode::Console => false,
            Mode::Plain => pump_plain(&mut self.outbox, serial),
            Mode::Checked => self.pump_checked(serial, now_ns),
        }
    }

    fn pump_checked(&mut self, serial: &Serial, now_ns: u64) -> bool {
        let queued = self.link.queue(self.outbox.peek());
        self.outbox.consume(queued);
        if serial.waiting_bytes() > WIRE_BACKLOG_BYTES {
            return queued > 0;
        }
        let mut part = [0; PART_BYTES];
        let mut has_moved = queued > 0;
        // All that is due, so that no text comes between the parts of a frame.
        loop {
            let count = self.link.poll_output(now_ns, &mut part);
            if count == 0 {
                return has_moved;
            }
            serial.write(&part[..count]);
            has_moved = true;
        }
    }
}

impl Default for Mcp {
    fn default() -> Self {
        Self::new()
    }
}

fn pump_plain(outbox: &mut Outbox<'_>, serial: &Serial) -> bool {
    let mut has_moved = false;
    loop {
        let waiting = outbox.peek();
        let count = waiting.len().min(serial.free_bytes());
        if count == 0 {
            return has_moved;
        }
        serial.write(&waiting[..count]);
        outbox.consume(count);
        has_moved = true;
    }
}

impl Kernel {
    /// A received byte goes where the mode of the line says.
    pub fn route(&mut self, byte: u8) {
        if self.mcp.mode == Mode::Plain {
            return self.receive_plain(byte);
        }
        let now_ns = timer::now_ns();
        // Copied out of the link, so that the kernel is free to act on them.
        let mut text = Vec::<u8, { barellama_mcp::wire::FRAME_BYTES_MAX }>::new();
        let is_hello = match self.mcp.link.receive(byte, now_ns) {
            None | Some(Received::Ready | Received::PeerRestarted) => return,
            Some(Received::Hello) => true,
            Some(Received::Text(bytes)) => {
                // Cannot fail: the link holds back at most a frame.
                let _ = text.extend_from_slice(bytes);
                false
            }
            Some(Received::Message { bytes, is_end }) => {
                let _ = text.extend_from_slice(bytes);
                return self.receive_message(&text, is_end);
            }
        };
        match (is_hello, self.mcp.mode) {
            (true, _) => self.begin_session(Mode::Checked),
            (false, Mode::Checked) => self.receive_outside_frames(&text),
            (false, _) => text.iter().for_each(|byte| self.receive(*byte)),
        }
    }

    /// Takes a line typed on the console if it starts plain mode. Returns whether it did.
    pub fn begin_plain_mode(&mut self, line: &str) -> bool {
        let bytes = line.as_bytes();
        let is_message = detect_plain_start(bytes);
        if !is_message && !is_plain_command(bytes) {
            return false;
        }
        self.begin_session(Mode::Plain);
        if is_message {
            self.mcp.server.receive_line(bytes, timer::now_ns(), &mut self.mcp.outbox);
        }
        true
    }

    /// The line was held low: back to the console.
    pub fn receive_break(&mut self) {
        if self.mcp.mode == Mode::Plain {
            self.end_session();
        }
    }

    /// Carries out the server's work and moves its answers. Returns whether there was anything.
    pub fn step_mcp(&mut self) -> bool {
        if self.mcp.mode == Mode::Console {
            return false;
        }
        let mut has_worked = false;
        while let Some(work) = self.mcp.server.next_work() {
            has_worked = true;
            self.take_work(work);
        }
        has_worked |= self.submit_waiting();
        has_worked |= self.answer_waiting();
        let now_ns = timer::now_ns();
        if has_worked || self.mcp.server.next_flush_ns().is_some_and(|at_ns| at_ns <= now_ns) {
            self.mcp.server.flush(now_ns, &mut self.mcp.outbox);
        }
        self.mcp.pump(self.serial, now_ns) || has_worked
    }

    fn receive_plain(&mut self, byte: u8) {
        let is_end = match self.mcp.commands.push(byte) {
            Some(Line::Whole(line)) => is_console_command(line),
            _ => false,
        };
        if is_end {
            return self.end_session();
        }
        self.mcp.take_line(byte);
    }

    fn receive_message(&mut self, bytes: &[u8], is_end: bool) {
        for byte in bytes {
            self.mcp.take_line(*byte);
        }
        if is_end {
            self.mcp.take_line(b'\n');
        }
    }

    /// It may be the rest of a damaged frame, so nothing of it is carried out but the way back to the console.
    fn receive_outside_frames(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(Line::Whole(line)) = self.mcp.commands.push(*byte)
                && is_console_command(line)
            {
                return self.end_session();
            }
        }
    }

    fn begin_session(&mut self, mode: Mode) {
        log::info!("mcp: a client, {mode:?} mode");
        self.drop_calls();
        self.mcp.mode = mode;
        self.serial.mute_text(mode == Mode::Plain);
    }

    fn end_session(&mut self) {
        log::info!("mcp: back to the console");
        self.drop_calls();
        self.mcp.link.close();
        self.mcp.mode = Mode::Console;
        self.serial.mute_text(false);
        self.open_console();
    }

    /// The calls of the client before are of no use to anybody.
    fn drop_calls(&mut self) {
        self.mcp.forget_client();
        while let Some(work) = self.mcp.server.next_work() {
            self.take_work(work);
        }
    }

    fn take_work(&mut self, work: Work) {
        match work {
            Work::Submit(submission) => {
                if let Err(submission) = self.mcp.submissions.push_back(submission) {
                    self.mcp.server.fail(submission.ticket, "Too many calls wait.");
                }
            }
            Work::Cancel { ticket } => self.cancel_call(ticket),
            Work::ReadResource { ticket, resource } => self.read_later(Read::Resource(ticket, resource)),
            Work::Status { ticket } => self.read_later(Read::Status(ticket)),
            Work::ListModels { ticket } => self.read_later(Read::Models(ticket)),
            Work::LoadModel { ticket, .. } => self.mcp.server.fail(
                ticket,
                "A model is chosen at boot: write `model = NAME` into barellama.txt on the card and reboot the board.",
            ),
        }
    }

    fn read_later(&mut self, read: Read) {
        if let Err(read) = self.mcp.reads.push_back(read) {
            self.mcp.server.fail(read.ticket(), "Too many calls wait.");
        }
    }

    fn cancel_call(&mut self, ticket: Ticket) {
        let asked = self.requests.cancel(Origin::Mcp(ticket), timer::now_ns());
        self.write_controls(asked);
        let cancelled = Outcome { stop_reason: StopReason::Cancelled, ..Outcome::default() };
        for _ in 0..self.mcp.submissions.len() {
            let Some(submission) = self.mcp.submissions.pop_front() else { break };
            if submission.ticket == ticket {
                self.mcp.server.finish(ticket, &cancelled, timer::now_ns());
            } else {
                // Cannot fail: it was in the queue before.
                let _ = self.mcp.submissions.push_back(submission);
            }
        }
        for _ in 0..self.mcp.reads.len() {
            let Some(read) = self.mcp.reads.pop_front() else { break };
            if read.ticket() == ticket {
                self.mcp.server.finish(ticket, &cancelled, timer::now_ns());
            } else {
                // Cannot fail: it was in the queue before.
                let _ = self.mcp.reads.push_back(read);
            }
        }
    }

    /// Gives waiting calls to the engine as long as slots are free.
    fn submit_waiting(&mut self) -> bool {
        let mut has_worked = false;
        while !self.mcp.submissions.is_empty() {
            if self.engine.life == Life::Ready && self.requests.free_slot().is_none() {
                break;
            }
            let Some(submission) = self.mcp.submissions.pop_front() else { break };
            has_worked = true;
            let ticket = submission.ticket;
            let deadline_ms = submission.deadline_ms;
            let submitted =
                self.submit_written(Origin::Mcp(ticket), deadline_ms, |slot, id, _, _| submission.write(slot, id, 0));
            if let Err(refusal) = submitted {
                self.mcp.server.fail(ticket, refusal.sentence(self.engine.life));
            }
        }
        has_worked
    }

    /// Gives the answers that the kernel knows itself, as long as the outbox has room.
    fn answer_waiting(&mut self) -> bool {
        let mut has_worked = false;
        while let Some(read) = self.mcp.reads.pop_front() {
            let is_answered = match read {
                Read::Resource(ticket, resource) => self.answer_resource(ticket, resource),
                Read::Status(ticket) => self.answer_status(ticket),
                Read::Models(ticket) => self.answer_models(ticket),
            };
            if !is_answered {
                // Cannot fail: it was in the queue before.
                let _ = self.mcp.reads.push_front(read);
                break;
            }
            has_worked = true;
        }
        has_worked
    }

    fn answer_resource(&mut self, ticket: Ticket, resource: Resource) -> bool {
        match resource {
            Resource::ModelCard | Resource::ModelTensors => self.describe_model(ticket),
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
            Resource::DeviceTree => {
                self.mcp.server.fail(ticket, "The device tree is not kept after the start.");
                true
            }
        }
    }

    fn answer_text(&mut self, ticket: Ticket, text: &dyn Fn(&mut dyn core::fmt::Write) -> core::fmt::Result) -> bool {
        self.mcp.server.resource_text(ticket, text, &mut self.mcp.outbox).is_ok()
    }

    /// The engine knows the model; what it emits becomes the contents.
    fn describe_model(&mut self, ticket: Ticket) -> bool {
        if self.engine.life == Life::Ready && self.requests.free_slot().is_none() {
            return false;
        }
        let submitted = self.submit_written(Origin::Mcp(ticket), None, |slot, id, settings, _| {
            let header = settings.request_header(id, RequestKind::Describe);
            barellama_abi::request::RequestWriter::new(slot, header).map(|writer| writer.length())
        });
        if let Err(refusal) = submitted {
            self.mcp.server.fail(ticket, refusal.sentence(self.engine.life));
        }
        true
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
        let (heap_used_bytes, _) = heap::usage();
        let figures = [
            ("uptime_ns", timer::now_ns()),
            ("requests_total", self.engine.requests_ended),
            ("generated_tokens_total", self.engine.generated_tokens),
            ("faults_total", self.engine.faults),
            ("restarts_total", self.engine.restarts),
            ("serial_lost_bytes_total", self.serial.lost_bytes()),
            ("serial_damaged_bytes_total", self.serial.damaged_bytes()),
            ("mcp_damaged_frames_total", self.mcp.link.counts().damaged_frames),
            ("kernel_heap_used_bytes", heap_used_bytes as u64),
            ("last_prompt_tokens", outcome.prompt_tokens.into()),
            ("last_prompt_ns", outcome.prompt_ns),
            ("last_generated_tokens", outcome.generated_tokens.into()),
            ("last_decode_ns", outcome.decode_ns),
        ];
        self.answer_text(ticket, &|out| figures.iter().try_for_each(|(name, value)| writeln!(out, "{name} {value}")))
    }

    fn answer_status(&mut self, ticket: Ticket) -> bool {
        let (heap_used_bytes, heap_bytes) = heap::usage();
        let firmware = self.facts.firmware;
        let status = SystemStatus {
            board: self.facts.name,
            uptime_ns: timer::now_ns(),
            engine: self.engine.life.name(),
            model: self.engine.model.as_ref().map(|_| self.loading.model_name()),
            arm_clock_hz: firmware.clock_hz(Clock::Arm),
            core_clock_hz: firmware.clock_hz(Clock::Core),
            temperature_millidegrees: firmware.temperature_millidegrees(),
            throttled_bits: firmware.throttled(),
            heap_used_bytes: heap_used_bytes as u64,
            heap_bytes: heap_bytes as u64,
            ram_bytes: self.facts.ram_bytes,
            faults: self.engine.faults,
            restarts: self.engine.restarts,
            requests: self.engine.requests_ended,
            tokens_served: self.engine.generated_tokens,
            overruns: self.serial.lost_bytes(),
        };
        self.mcp.server.status(ticket, &status, &mut self.mcp.outbox).is_ok()
    }

    fn answer_models(&mut self, ticket: Ticket) -> bool {
        let loaded = self.engine.model.as_ref().map(|model| (self.loading.model_name(), model.file_bytes()));
        let mut entries = Vec::<ModelEntry<'_>, 32>::new();
        for (name, bytes) in self.loading.models_on_card() {
            let is_loaded = loaded.is_some_and(|(loaded, _)| name.rsplit('/').next() == Some(loaded));
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
