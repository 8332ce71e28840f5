//! The serial line as an MCP server: which mode it is in, where messages go, and what becomes of the server's work.
//!
//! The protocol itself is the crate `barellama-mcp`; here its work meets requests, tables and the engine:
//!
//! - [`session`]: received bytes, clients that come and go.
//! - [`work`]: what the server asks for.
//! - [`answers`]: what the kernel knows itself.
//! - [`description`]: what the engine says about the model, kept.
//! - [`log_feed`]: lines of the log for clients that want them.

mod answers;
mod description;
mod log_feed;
mod session;
mod work;

use barellama_abi::outcome::Outcome;
use barellama_arch::timer;
use barellama_mcp::LINE_BYTES_MAX;
use barellama_mcp::outbox::{OUTBOX_BYTES, Outbox};
use barellama_mcp::server::{Buffers, Server, Submission, Ticket};
use barellama_mcp::wire::{FRAME_BYTES_MAX, Line, LineAssembler, Link, Mode, Role, Timing, is_console_command};
use heapless::Deque;
use static_cell::ConstStaticCell;

use crate::serial::Serial;
use answers::Read;
use description::Description;

/// Calls that wait for a free slot, and answers that wait for room.
const WAITING_MAX: usize = 8;
/// Frames are handed out only while so few bytes wait for the wire: what lies there delays what is sent again.
const WIRE_BACKLOG_BYTES: usize = 2048;
const PART_BYTES: usize = 256;
/// The end of a line with a hole is waited for so long.
const BROKEN_LINE_NS: u64 = 1_000_000_000;
/// A typed `/console` and not much more.
const COMMAND_BYTES: usize = 64;
const CONTROL_C: u8 = 3;

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
    /// What the engine says about the model.
    pub description: Description,
    /// Up to where the client knows the log; `None`: it does not want it.
    log_position: Option<u64>,
    /// Up to where the console on the PC knows it; `None`: it did not ask.
    console_log_position: Option<u64>,
    turnaround: Turnaround,
    /// When something last came, or was lost, of a line with a hole.
    broken_ns: u64,
}

/// How long messages took that are answered at once, from the arrival of their last bytes until the answer waits for the wire.
#[derive(Clone, Copy, Debug, Default)]
struct Turnaround {
    /// When the last bytes of the line that was just taken came.
    since_ns: Option<u64>,
    last_ns: u64,
    longest_ns: u64,
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
            description: Description::new(),
            log_position: None,
            console_log_position: None,
            turnaround: Turnaround::default(),
            broken_ns: 0,
        }
    }

    /// When there will be something to do even if nothing else happens, in nanoseconds since start.
    #[must_use]
    pub fn next_timer_ns(&self) -> Option<u64> {
        if self.mode == Mode::Console {
            return None;
        }
        let wire = self.link.next_timer_ns().filter(|_| self.mode == Mode::Checked);
        [wire, self.server.next_flush_ns(), self.broken_line_ends_ns()].into_iter().flatten().min()
    }

    /// Output of a call.
    pub fn text(&mut self, ticket: Ticket, text: &str) {
        self.server.text(ticket, text, timer::now_ns());
    }

    /// Why a call will fail.
    pub fn error_text(&mut self, ticket: Ticket, text: &str) {
        self.server.error_text(ticket, text);
    }

    /// A call cannot be carried out; `text` says why.
    pub fn fail(&mut self, ticket: Ticket, text: &str) {
        self.server.fail(ticket, text);
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

    /// Whether received bytes can be taken. A client in plain mode that does not let its answers leave has to wait: its bytes stay in the
    /// serial line's ring. In checked mode the link holds the host back.
    #[must_use]
    pub fn can_receive(&self) -> bool {
        self.mode != Mode::Plain || self.outbox.has_room_to_refuse()
    }

    /// Whether a byte ends a typed `/console`. Ctrl-C drops what stands in the row in front of it, as on the console.
    fn ends_console_command(&mut self, byte: u8) -> bool {
        if byte == CONTROL_C {
            self.commands.clear();
            return false;
        }
        matches!(self.commands.push(byte), Some(Line::Whole(line)) if is_console_command(line))
    }

    fn take_line(&mut self, byte: u8, serial: &Serial) {
        if self.lines.is_broken() {
            self.broken_ns = timer::now_ns();
        }
        match self.lines.push(byte) {
            None => return,
            Some(Line::Whole(line)) if self.outbox.has_room_to_receive() => {
                self.server.receive_line(line, timer::now_ns(), &mut self.outbox);
            }
            Some(Line::Whole(line)) => self.server.refuse_line(line, &mut self.outbox),
            Some(Line::TooLong) => self.server.receive_too_long(&mut self.outbox),
            Some(Line::Broken) => self.server.receive_broken(&mut self.outbox),
        }
        self.turnaround.since_ns = Some(serial.received_ns());
    }

    /// Bytes of a client in plain mode were lost.
    fn take_gap(&mut self) {
        self.lines.lose();
        self.commands.lose();
        self.broken_ns = timer::now_ns();
    }

    /// Answers a line with a hole whose end does not come: it may have been lost, too. Returns whether there was one.
    fn end_broken_line(&mut self) -> bool {
        let is_over = self.broken_line_ends_ns().is_some_and(|at_ns| at_ns <= timer::now_ns());
        if is_over {
            self.server.receive_broken(&mut self.outbox);
            self.lines.clear();
            self.commands.clear();
        }
        is_over
    }

    fn broken_line_ends_ns(&self) -> Option<u64> {
        let is_broken = self.mode == Mode::Plain && self.lines.is_broken() && self.outbox.has_room_to_refuse();
        is_broken.then(|| self.broken_ns.saturating_add(BROKEN_LINE_NS))
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

    /// A bridge that goes on without a hello knows a session from before a reset or from before `/console`: it is told that there is
    /// none any more. Returns whether there was one.
    fn answer_stranger(&mut self, serial: &Serial) -> bool {
        let mut part = [0; FRAME_BYTES_MAX];
        let count = self.link.poll_output(timer::now_ns(), &mut part);
        serial.write(&part[..count]);
        count > 0
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

impl Turnaround {
    /// The answers to what was taken wait for the wire, or will come later.
    fn end(&mut self, is_answered: bool, now_ns: u64) {
        if let Some(since_ns) = self.since_ns.take().filter(|_| is_answered) {
            self.last_ns = now_ns.saturating_sub(since_ns);
            self.longest_ns = self.longest_ns.max(self.last_ns);
        }
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
