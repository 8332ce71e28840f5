//! The console: what people type becomes commands, what the engine emits becomes text.

use core::fmt::{self, Write};

use barellama_abi::layout::REQUEST_SLOT_BYTES;
use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::request::{RecordKind, Request, RequestHeader, RequestKind, RequestWriter, SlotFull};
use barellama_abi::syscall::EmitKind;
use barellama_arch::timer;
use barellama_shell::command::{self, Command, RenderSubject};
use barellama_shell::conversation::Conversation;
use barellama_shell::editor::{Event, LineEditor};
use barellama_shell::report;
use barellama_shell::settings::{Applies, Settings, Source};
use static_cell::ConstStaticCell;

use crate::call_budget;
use crate::engine::calls;
use crate::kernel_loop::Kernel;
use crate::last_run;
use crate::lifecycle::Life;
use crate::loading::Asker;
use crate::logging;
use crate::requests::{Entry, Origin};
use crate::serial::SerialWriter;

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

/// Turns newlines into the line ends of a terminal.
struct LineEnds<'a>(&'a mut dyn Write);

impl Write for LineEnds<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| self.write_char(character))
    }

    fn write_char(&mut self, character: char) -> fmt::Result {
        if character == '\n' { self.0.write_str("\r\n") } else { self.0.write_char(character) }
    }
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

/// Why a request could not be handed to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The engine takes no requests now.
    NotReady,
    /// All slots are taken.
    NoSlot,
    /// The request is longer than a slot.
    TooLong,
}

impl Refusal {
    /// For people: what happened and what to do, by the state of the engine.
    #[must_use]
    pub const fn sentence(self, life: Life) -> &'static str {
        match (self, life) {
            (Self::NoSlot, _) => "All request slots are taken: wait for an answer to end.",
            (Self::TooLong, _) => "The request is too long: shorten it or /reset the conversation.",
            (Self::NotReady, Life::NoModel) => "The engine cannot answer now: no model.",
            (Self::NotReady, Life::Preparing) => "The engine cannot answer now: it prepares the model.",
            (Self::NotReady, Life::Refused) => "The engine cannot answer now: it refused the model.",
            (Self::NotReady, Life::Down) => "The engine cannot answer now: it is down, /restart starts it again.",
            (Self::NotReady, Life::Ready) => "The request could not be handed to the engine.",
        }
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
            EmitKind::Error => {
                self.loading.note_problem(text.trim_end());
                self.say(format_args!("The model was refused: {}", text.trim_end()));
            }
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

    /// Puts a request together and hands it to the engine. `false` if it could not be; the user was told why.
    pub fn submit(
        &mut self,
        origin: Origin,
        header: impl FnOnce(&Settings, u32) -> RequestHeader,
        records: impl FnOnce(&mut RequestWriter<'_>, &Settings, &Conversation) -> Result<(), SlotFull>,
    ) -> bool {
        let submitted = self.submit_written(origin, None, |slot, id, settings, conversation| {
            let mut writer = RequestWriter::new(slot, header(settings, id))?;
            records(&mut writer, settings, conversation)?;
            Ok(writer.length())
        });
        match submitted {
            Ok(()) => {
                self.say_if_queued(origin);
                true
            }
            Err(refusal) => {
                self.deliver_error(origin, self.refusal_sentence(refusal));
                false
            }
        }
    }

    /// Tells a person that the newest request does not run yet.
    fn say_if_queued(&mut self, origin: Origin) {
        let Some(id) = self.requests.entries().map(|(_, entry)| entry.id).max() else { return };
        let ahead = self.requests.ahead_of(id);
        if ahead < self.engine.sessions
            || !matches!(origin, Origin::Conversation | Origin::Completion | Origin::Command)
        {
            return;
        }
        let before = if ahead == 1 { "request is" } else { "requests are" };
        self.print(|out| write!(out, "(queued: {ahead} {before} before this one)\r\n"));
    }

    /// Hands the engine a request that `write` puts into a slot; its deadline is the given one or that of the settings.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn submit_written(
        &mut self,
        origin: Origin,
        deadline_ms: Option<u32>,
        write: impl FnOnce(&mut [u8], u32, &Settings, &Conversation) -> Result<usize, SlotFull>,
    ) -> Result<(), Refusal> {
        if self.engine.life != Life::Ready {
            return Err(Refusal::NotReady);
        }
        let (slot, id) = self.requests.free_slot().ok_or(Refusal::NoSlot)?;
        let memory = self.engine.memory.as_ref().ok_or(Refusal::NotReady)?;
        let written = write(self.console.staging, id, self.console.settings, self.console.conversation);
        let length = written.map_err(|SlotFull| Refusal::TooLong)?;
        let max_tokens = Request::parse(self.console.staging).map_or(0, |request| request.header().max_tokens);
        calls::BUDGET.add(call_budget::for_request(length, max_tokens));
        memory.write_request(slot, &self.console.staging[..length]).map_err(|_| Refusal::NotReady)?;
        let deadline_ms = deadline_ms.unwrap_or(self.console.settings.request_deadline_ms);
        let deadline_ns = (deadline_ms != 0).then(|| timer::now_ns() + u64::from(deadline_ms) * 1_000_000);
        self.requests.submit(slot, id, origin, length, deadline_ns);
        Ok(())
    }

    /// Why a request cannot be handed to the engine now.
    #[must_use]
    pub fn refusal_sentence(&self, refusal: Refusal) -> &'static str {
        match (refusal, self.engine.life) {
            (Refusal::NotReady, Life::NoModel | Life::Preparing) if self.loading.is_busy() => {
                "The engine cannot answer now: a model is on its way; ask again when it is ready."
            }
            (refusal, life) => refusal.sentence(life),
        }
    }

    /// Tells whoever sent a request why it ends without an answer.
    pub fn deliver_error(&mut self, origin: Origin, text: &str) {
        log::warn!("request refused: {}", text.trim_end());
        match origin {
            Origin::Score => self
                .print(|out| write!(out, "{{\"error\":{}}}\r\n", barellama_shell::json::JsonString(text.trim_end()))),
            Origin::Autorun => self.autorun.note_error(text.trim_end()),
            Origin::Mcp(ticket) => self.mcp.error_text(ticket, text.trim_end()),
            // The log has it.
            Origin::Description => {}
            _ => self.print(|out| write!(out, "error: {}\r\n", text.trim_end())),
        }
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
            let is_busy = self.begin_plain_mode(line.text()) || self.carry_out(line.text());
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

    fn execute(&mut self, command: Command<'_>) -> bool {
        match command {
            Command::Nothing => {}
            Command::Prompt(text) => return self.ask(text),
            Command::Help => self.print(|out| command::write_help(out)),
            Command::Status => self.print_status(),
            Command::Memory => self.print_memory(),
            Command::VerifyMemory => return self.begin_verification(),
            Command::SelfTest => self.print_self_test(),
            Command::Traps => self.print_traps(),
            Command::Bench(sizes) => return self.begin_bench(sizes),
            Command::Model => return self.submit_plain(Origin::Command, RequestKind::Describe),
            Command::Models => return self.list_models(),
            Command::Load(name) => return self.load(name),
            Command::Reset => return self.reset_conversation(),
            Command::Log => self.print_log(),
            Command::Reboot => self.reboot(),
            Command::Restart => self.restart_by_hand(),
            Command::Settings => self.print_settings(),
            Command::Setting(key) => self.print_setting(key),
            Command::Set { key, value } => self.set(key, value),
            Command::ShowSystem => self.print_setting("system"),
            Command::System(text) => self.set("system", text),
            Command::Tokens(text) => return self.submit_text(Origin::Command, RequestKind::Tokenize, &text),
            Command::Raw(text) => return self.submit_text(Origin::Completion, RequestKind::Generate, &text),
            Command::Detokenize(ids) => {
                return self.submit(
                    Origin::Command,
                    |settings, id| settings.request_header(id, RequestKind::Detokenize),
                    |writer, _, _| writer.ids(RecordKind::TokenIds, &ids),
                );
            }
            Command::Score(score) => {
                return self.submit(
                    Origin::Score,
                    |_, id| score.header(id),
                    |writer, settings, _| {
                        score.write_records(writer)?;
                        settings.write_records(writer)
                    },
                );
            }
            Command::Render(subject) => return self.render(&subject),
        }
        false
    }

    fn ask(&mut self, text: &str) -> bool {
        if self.engine.life != Life::Ready {
            return self.submit_plain(Origin::Conversation, RequestKind::Generate);
        }
        let pushed = self.console.conversation.push_user(text);
        if let Err(full) = pushed {
            self.print(|out| write!(out, "{full}\r\n"));
            return false;
        }
        let is_submitted = self.submit_conversation(Origin::Conversation, RequestKind::Generate);
        if is_submitted {
            // A full transcript is reported when the next message is added.
            let _ = self.console.conversation.begin_assistant();
        } else {
            self.console.conversation.abandon_turn();
        }
        is_submitted
    }

    /// Submits the conversation as it stands.
    pub fn submit_conversation(&mut self, origin: Origin, kind: RequestKind) -> bool {
        self.submit(
            origin,
            |settings, id| settings.request_header(id, kind),
            |writer, settings, conversation| conversation.write_request(writer, settings),
        )
    }

    fn submit_plain(&mut self, origin: Origin, kind: RequestKind) -> bool {
        self.submit(origin, |settings, id| settings.request_header(id, kind), |_, _, _| Ok(()))
    }

    fn submit_text(&mut self, origin: Origin, kind: RequestKind, text: &str) -> bool {
        self.submit(
            origin,
            |settings, id| settings.request_header(id, kind),
            |writer, settings, _| {
                writer.record(RecordKind::Prompt, text.as_bytes())?;
                settings.write_records(writer)
            },
        )
    }

    fn render(&mut self, subject: &RenderSubject<'_>) -> bool {
        self.submit(
            Origin::Command,
            |settings, id| settings.request_header(id, RequestKind::Render),
            |writer, settings, conversation| match subject {
                RenderSubject::Conversation => conversation.write_request(writer, settings),
                RenderSubject::Text(text) => {
                    conversation.write_request(writer, settings)?;
                    writer.record(RecordKind::User, text.as_bytes())
                }
                RenderSubject::Messages(messages) => {
                    command::write_messages(messages, writer)?;
                    settings.write_records(writer)
                }
            },
        )
    }

    fn load(&mut self, name: &str) -> bool {
        match self.load_model(name, Asker::Console) {
            Ok(()) => true,
            Err(refusal) => {
                self.tell_refusal(Asker::Console, &refusal);
                false
            }
        }
    }

    fn reset_conversation(&mut self) -> bool {
        self.console.conversation.clear();
        self.print(|out| out.write_str("The conversation was forgotten.\r\n"));
        self.engine.life == Life::Ready && self.submit_plain(Origin::Command, RequestKind::Reset)
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
    fn end_row(&mut self) {
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
            write!(
                out,
                "{{\"done\":true,\"stop\":\"{}\",\"prompt_tokens\":{},\"reused_tokens\":{},\"generated_tokens\":{},\
                 \"context_used_tokens\":{},\"context_tokens\":{},\"prompt_ns\":{},\"decode_ns\":{},\
                 \"decode_passes\":{},\"decode_bytes\":{},\"decode_instructions\":{}}}\r\n",
                outcome.stop_reason.name(),
                outcome.prompt_tokens,
                outcome.reused_tokens,
                outcome.generated_tokens,
                outcome.context_used_tokens,
                outcome.context_tokens,
                outcome.prompt_ns,
                outcome.decode_ns,
                outcome.decode_passes,
                outcome.decode_bytes,
                outcome.decode_instructions
            )
        });
    }

    fn print_settings(&mut self) {
        let mut out = self.console.out;
        self.console.editor.before_output(&mut out);
        let _ = report::settings_table(self.console.settings, &mut out);
        self.console.editor.after_output(&mut out);
    }

    fn print_setting(&mut self, key: &str) {
        let mut out = self.console.out;
        self.console.editor.before_output(&mut out);
        let _ = match self.console.settings.write_value(key, &mut out) {
            Ok(()) => out.write_str("\r\n"),
            Err(error) => write!(out, "{error}\r\n"),
        };
        self.console.editor.after_output(&mut out);
    }

    fn set(&mut self, key: &str, value: &str) {
        match self.console.settings.set(key, value, Source::Console) {
            Ok(info) => {
                let when = match info.applies {
                    Applies::NextRequest => "from the next request on",
                    Applies::NextLoad => "from the next /load or boot on",
                    Applies::Boot => "from the next boot on",
                };
                let name = info.name;
                self.print(|out| write!(out, "{name} is set, {when}.\r\n"));
                if self.console.settings.template_file().is_some() && name == "chat_template" {
                    self.read_template_file();
                }
            }
            Err(error) => self.print(|out| write!(out, "{error}\r\n")),
        }
    }

    fn print_log(&mut self) {
        self.print(|out| logging::write(&mut LineEnds(out)));
    }

    fn reboot(&mut self) {
        self.print(|out| out.write_str("Rebooting.\r\n"));
        self.serial.flush();
        last_run::end_as_asked();
        self.facts.power.reboot();
    }

    /// Prints text that the engine made: newlines become line ends, other control characters are not passed on, so that a model
    /// cannot drive the terminal.
    fn print_engine_text(&mut self, text: &str) {
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
