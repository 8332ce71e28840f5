//! The console: what people type becomes commands, what the engine emits becomes text.
//!
//! Here are the line and its prompt. `commands` is what each command does, `requests` the way to the engine, `output` the way back: to
//! the console, or to whoever else asked.

mod commands;
mod output;
mod requests;

use core::fmt::{self, Write};

use barellama_abi::layout::REQUEST_SLOT_BYTES;
use barellama_arch::timer;
use barellama_shell::command;
use barellama_shell::conversation::Conversation;
use barellama_shell::editor::{Event, LineEditor};
use barellama_shell::report;
use barellama_shell::settings::Settings;
use static_cell::ConstStaticCell;

use crate::kernel_loop::Kernel;
use crate::loading::Asker;
use crate::requests::Origin;
use crate::serial::SerialWriter;

pub use requests::Refusal;

/// What is shown when a line may be typed.
pub const PROMPT: &str = "> ";

/// Whose requests Ctrl-C ends.
const INTERRUPTED: [Origin; 6] =
    [Origin::Conversation, Origin::Completion, Origin::Command, Origin::Score, Origin::Bench, Origin::Autorun];

/// Moves the cursor of the terminal a row up (ECMA-48, CUU).
const CURSOR_UP: &str = "\x1b[1A";

static EDITOR: ConstStaticCell<LineEditor> = ConstStaticCell::new(LineEditor::new());
static SETTINGS: ConstStaticCell<Settings> = ConstStaticCell::new(Settings::new());
static CONVERSATION: ConstStaticCell<Conversation> = ConstStaticCell::new(Conversation::new());
static STAGING: ConstStaticCell<[u8; REQUEST_SLOT_BYTES as usize]> =
    ConstStaticCell::new([0; REQUEST_SLOT_BYTES as usize]);
static LINE: ConstStaticCell<LineCopy> = ConstStaticCell::new(LineCopy::new());

/// The console's state.
pub struct Console {
    /// The line editor.
    pub editor: &'static mut LineEditor,
    /// What `/set` and the card's file set.
    pub settings: &'static mut Settings,
    /// Who said what.
    pub conversation: &'static mut Conversation,
    /// Where requests are put together.
    staging: &'static mut [u8; REQUEST_SLOT_BYTES as usize],
    /// The line that is being carried out.
    line: Option<&'static mut LineCopy>,
    /// Where text goes.
    pub out: SerialWriter,
    /// Whether the row above the editor's is the progress bar.
    is_bar_above: bool,
    /// Whether the engine's text ended within a row.
    is_row_open: bool,
}

/// A copy of the editor's line, so that the editor is free while the line is carried out.
struct LineCopy {
    bytes: [u8; barellama_shell::editor::LINE_BYTES_MAX],
    length: usize,
}

impl LineCopy {
    const fn new() -> Self {
        Self { bytes: [0; barellama_shell::editor::LINE_BYTES_MAX], length: 0 }
    }

    fn set(&mut self, line: &str) {
        self.length = line.len().min(self.bytes.len());
        self.bytes[..self.length].copy_from_slice(&line.as_bytes()[..self.length]);
    }

    fn text(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl Console {
    /// The console on a serial line. Called once.
    #[must_use]
    pub fn new(out: SerialWriter) -> Self {
        Self {
            editor: EDITOR.take(),
            settings: SETTINGS.take(),
            conversation: CONVERSATION.take(),
            staging: STAGING.take(),
            line: Some(LINE.take()),
            out,
            is_bar_above: false,
            is_row_open: false,
        }
    }
}

impl Kernel {
    /// Shows the first prompt.
    pub fn open_console(&mut self) {
        self.next_line();
    }

    /// Gives a received byte to the editor and carries out what it completes.
    pub fn receive(&mut self, byte: u8) {
        self.note_typing();
        let mut out = self.console.out;
        let Some(event) = self.console.editor.feed(byte, &mut out) else { return };
        self.console.is_bar_above = false;
        match event {
            Event::Line => self.carry_out_lines(),
            Event::Interrupt => self.interrupt_requests(),
        }
    }

    /// Prints while the editor's row is taken away.
    pub fn print(&mut self, write: impl FnOnce(&mut dyn Write) -> fmt::Result) {
        self.console.is_bar_above = false;
        let mut out = self.console.out;
        self.console.editor.before_output(&mut out);
        // The serial line takes everything.
        let _ = write(&mut out);
        self.console.editor.after_output(&mut out);
    }

    /// Draws the progress bar above the editor's row; over the bar that is there, if nothing was printed since.
    pub fn draw_load(&mut self, facts: &report::LoadFacts) {
        self.draw_bar(|out| {
            report::load_progress(facts, out)?;
            out.write_str("\r\n")
        });
        self.console.is_bar_above = true;
    }

    /// Draws over the progress bar what was reached.
    pub fn draw_load_end(&mut self, facts: &report::LoadFacts) {
        self.draw_bar(|out| report::load_done(facts, out));
    }

    fn draw_bar(&mut self, write: impl FnOnce(&mut dyn Write) -> fmt::Result) {
        let is_bar_above = core::mem::replace(&mut self.console.is_bar_above, false);
        self.print(|out| {
            if is_bar_above {
                out.write_str(CURSOR_UP)?;
            }
            write(out)
        });
    }

    fn interrupt_requests(&mut self) {
        if self.cancel_load(Asker::Console) || self.cancel_verification() {
            return;
        }
        let now_ns = timer::now_ns();
        for origin in INTERRUPTED {
            let asked = self.requests.cancel(origin, now_ns);
            self.write_controls(asked);
        }
    }

    /// Shows the prompt; carries out lines that were typed ahead.
    pub fn next_line(&mut self) {
        let mut out = self.console.out;
        if let Some(Event::Line) = self.console.editor.redraw(PROMPT, &mut out) {
            self.carry_out_lines();
        }
    }

    fn carry_out_lines(&mut self) {
        loop {
            // Taken for the time of the command, so that the command may use the console.
            let Some(line) = self.console.line.take() else { return };
            line.set(self.console.editor.line());
            let is_busy = self.begin_by_message(line.text()) || self.carry_out(line.text());
            self.console.line = Some(line);
            if is_busy {
                return;
            }
            let mut out = self.console.out;
            if self.console.editor.redraw(PROMPT, &mut out).is_none() {
                return;
            }
        }
    }

    /// Carries out a line. Returns whether the engine works for it now.
    fn carry_out(&mut self, line: &str) -> bool {
        if self.answer_menu(line) {
            return false;
        }
        match command::parse(line) {
            Ok(command) => self.execute(command),
            Err(error) => {
                self.print(|out| write!(out, "{error}\r\n"));
                false
            }
        }
    }
}
