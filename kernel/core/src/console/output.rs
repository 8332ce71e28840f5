//! What comes back from the engine: to the console, or to whoever asked.

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::syscall::EmitKind;
use barellama_shell::json::{JsonString, write_outcome};
use barellama_shell::report;

use crate::kernel_loop::Kernel;
use crate::requests::{Entry, Origin};

impl Kernel {
    /// Output of a request, in the way its origin wants it.
    pub fn deliver(&mut self, origin: Origin, kind: EmitKind, text: &str) {
        match (origin, kind) {
            (_, EmitKind::Error) => self.deliver_error(origin, text),
            (Origin::Conversation, EmitKind::Text) => {
                // A full transcript is reported when the next message is added.
                let _ = self.console.conversation.append_assistant(text);
                self.print_engine_text(text);
            }
            (Origin::Autorun, EmitKind::Text) => {
                let _ = self.console.conversation.append_assistant(text);
            }
            (Origin::Autorun | Origin::Bench, _) => {}
            (Origin::Mcp(ticket), _) => self.mcp.text(ticket, text),
            (Origin::Description, _) => self.mcp.description.push(text),
            _ => self.print_engine_text(text),
        }
    }

    /// Output of the preparation of the model.
    pub fn deliver_report(&mut self, kind: EmitKind, text: &str) {
        match kind {
            // Told when the engine has ended the preparation: who reads it finds an engine that can be asked, or started again.
            EmitKind::Error => self.loading.note_problem(text.trim_end()),
            _ => {
                for line in text.lines() {
                    log::info!("{line}");
                }
                self.print_engine_text(text);
            }
        }
    }

    /// A request ended: the numbers, and the next line.
    pub fn end_request(&mut self, entry: &Entry, outcome: &Outcome) {
        if entry.origin == Origin::Description {
            return self.mcp.description.end(outcome);
        }
        self.engine.requests_ended += 1;
        self.engine.generated_tokens += u64::from(outcome.generated_tokens);
        self.engine.last_outcome = *outcome;
        match entry.origin {
            Origin::Conversation => self.end_turn(outcome),
            Origin::Completion => self.print_statistics(outcome),
            Origin::Score => self.print_score_end(outcome),
            Origin::Command => self.end_row(),
            Origin::Bench if self.continue_bench(outcome) => return,
            Origin::Bench => {}
            Origin::Autorun => return self.end_autorun_prompt(outcome),
            Origin::Mcp(ticket) => return self.mcp.finish(ticket, outcome),
            Origin::Description => return,
        }
        self.next_line();
    }

    /// Tells whoever sent a request why it ends without an answer.
    pub fn deliver_error(&mut self, origin: Origin, text: &str) {
        log::warn!("request refused: {}", text.trim_end());
        match origin {
            Origin::Score => self.print(|out| write!(out, "{{\"error\":{}}}\r\n", JsonString(text.trim_end()))),
            Origin::Autorun => self.autorun.note_error(text.trim_end()),
            Origin::Mcp(ticket) => self.mcp.error_text(ticket, text.trim_end()),
            // The log has it.
            Origin::Description => {}
            _ => self.print(|out| write!(out, "error: {}\r\n", text.trim_end())),
        }
    }

    fn end_turn(&mut self, outcome: &Outcome) {
        match outcome.stop_reason {
            StopReason::Error | StopReason::Fault => self.console.conversation.abandon_turn(),
            _ => self.console.conversation.finish_assistant(),
        }
        self.print_statistics(outcome);
        if outcome.stop_reason == StopReason::ContextFull {
            self.print(|out| out.write_str("The context is full: /reset begins a new conversation.\r\n"));
        }
    }

    /// The prompt starts a row, whatever the text before it ended with.
    pub(super) fn end_row(&mut self) {
        if core::mem::take(&mut self.console.is_row_open) {
            self.print(|out| out.write_str("\r\n"));
        }
    }

    fn print_statistics(&mut self, outcome: &Outcome) {
        self.console.is_row_open = false;
        self.print(|out| {
            out.write_str("\r\n")?;
            report::answer_statistics(outcome, out)
        });
    }

    fn print_score_end(&mut self, outcome: &Outcome) {
        self.print(|out| {
            out.write_str("{\"done\":true,")?;
            write_outcome(outcome, out)?;
            out.write_str("}\r\n")
        });
    }

    /// Prints text that the engine made: newlines become line ends, other control characters are not passed on, so that a model
    /// cannot drive the terminal.
    pub(super) fn print_engine_text(&mut self, text: &str) {
        self.console.is_row_open = text.chars().next_back().map_or(self.console.is_row_open, |last| last != '\n');
        self.print(|out| {
            for character in text.chars() {
                match character {
                    '\n' => out.write_str("\r\n")?,
                    '\t' => out.write_char('\t')?,
                    character if character.is_control() => {}
                    character => out.write_char(character)?,
                }
            }
            Ok(())
        });
    }
}
