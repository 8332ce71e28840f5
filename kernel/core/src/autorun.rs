//! `autorun = FILE`: the prompts of a file, one a line, answered as JSON lines; then the board halts with a status.

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::request::RequestKind;
use barellama_shell::autorun::{self, Answer};
use static_cell::ConstStaticCell;

use crate::kernel_loop::Kernel;
use crate::last_run;
use crate::requests::Origin;

/// The largest file of prompts.
const FILE_BYTES_MAX: usize = 64 << 10;
const STATUS_SUCCESS: u32 = 0;
const STATUS_FAILURE: u32 = 1;

static FILE: ConstStaticCell<[u8; FILE_BYTES_MAX]> = ConstStaticCell::new([0; FILE_BYTES_MAX]);

/// The file and how far it was worked off.
pub struct Autorun {
    file: &'static mut [u8; FILE_BYTES_MAX],
    length: usize,
    next_prompt: usize,
    is_running: bool,
    has_failed: bool,
    error: heapless::String<256>,
}

impl Autorun {
    /// Nothing to run. Called once.
    #[must_use]
    pub fn new() -> Self {
        Self {
            file: FILE.take(),
            length: 0,
            next_prompt: 0,
            is_running: false,
            has_failed: false,
            error: heapless::String::new(),
        }
    }

    /// Whether prompts of the file are being answered.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.is_running
    }

    /// Keeps why the current prompt failed.
    pub fn note_error(&mut self, text: &str) {
        self.error.clear();
        let cut = text.floor_char_boundary(self.error.capacity());
        // Cannot fail: it was cut to the capacity.
        let _ = self.error.push_str(&text[..cut]);
    }

    /// The prompt of that index, `None` behind the last one.
    fn prompt(&self, index: usize) -> Option<Result<&str, autorun::NotUtf8>> {
        autorun::prompts(&self.file[..self.length]).nth(index).map(|(_, prompt)| prompt)
    }
}

impl Default for Autorun {
    fn default() -> Self {
        Self::new()
    }
}

impl Kernel {
    /// Begins with the file that the settings name, if they name one. After a restart of the engine the current prompt has ended
    /// with a fault already and the next one follows.
    pub fn begin_autorun(&mut self) {
        if self.autorun.is_running {
            return self.run_next_prompt();
        }
        if self.console.settings.autorun.is_empty() {
            return;
        }
        let path = self.console.settings.autorun.clone();
        match self.loading.read_small_file(&path, self.autorun.file) {
            Ok(length) => {
                self.autorun.length = length;
                self.autorun.next_prompt = 0;
                self.autorun.is_running = true;
                let mut out = self.console.out;
                self.console.editor.set_busy(true, &mut out);
                self.run_next_prompt();
            }
            Err(error) => {
                self.say(format_args!("autorun: {path}: {error}"));
                self.halt(STATUS_FAILURE);
            }
        }
    }

    /// The model was refused: there will be no answers.
    pub fn abandon_autorun(&mut self) {
        if !self.console.settings.autorun.is_empty() {
            self.halt(STATUS_FAILURE);
        }
    }

    /// Prints the answer of the prompt that ended and goes on with the next one.
    pub fn end_autorun_prompt(&mut self, outcome: &Outcome) {
        self.console.conversation.finish_assistant();
        let has_failed = matches!(outcome.stop_reason, StopReason::Error | StopReason::Fault);
        self.autorun.has_failed |= has_failed;
        self.print_answer(outcome);
        // After a fault the engine is on its way back; it calls `begin_autorun` when it is ready.
        if outcome.stop_reason != StopReason::Fault {
            self.run_next_prompt();
        }
    }

    fn print_answer(&mut self, outcome: &Outcome) {
        let index = self.autorun.next_prompt.saturating_sub(1);
        let prompt = self.autorun.prompt(index).and_then(Result::ok).unwrap_or_default();
        let error = (!self.autorun.error.is_empty()).then_some(self.autorun.error.as_str());
        let text = self.console.conversation.last_answer();
        let answer = Answer { prompt, text, outcome, error };
        let mut out = self.console.out;
        // The serial line takes everything.
        let _ = autorun::write_answer(&answer, &mut out);
    }

    fn run_next_prompt(&mut self) {
        loop {
            let index = self.autorun.next_prompt;
            self.autorun.next_prompt += 1;
            self.autorun.error.clear();
            self.console.conversation.clear();
            let conversation = &mut *self.console.conversation;
            let pushed = match self.autorun.prompt(index) {
                None => return self.end_autorun(),
                Some(Ok(prompt)) => conversation.push_user(prompt).map_err(|_| "the prompt is too long"),
                Some(Err(_)) => Err("the line is not UTF-8"),
            };
            if let Err(reason) = pushed {
                self.autorun.note_error(reason);
            } else if self.submit_conversation(Origin::Autorun, RequestKind::Generate) {
                // A full transcript cuts the answer, which the outcome does not show; the prompt was short enough to leave room.
                let _ = self.console.conversation.begin_assistant();
                return;
            }
            self.autorun.has_failed = true;
            self.print_answer(&Outcome { stop_reason: StopReason::Error, ..Outcome::default() });
        }
    }

    fn end_autorun(&mut self) {
        let status = if self.autorun.has_failed { STATUS_FAILURE } else { STATUS_SUCCESS };
        self.halt(status);
    }

    fn halt(&mut self, status: u32) {
        self.serial.flush();
        last_run::end_as_asked();
        self.facts.power.halt(status);
    }
}
