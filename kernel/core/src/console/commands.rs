//! What each command does.

use core::fmt::{self, Write};

use barellama_abi::request::{RecordKind, RequestKind};
use barellama_shell::command::{self, Command, RenderSubject};
use barellama_shell::report;
use barellama_shell::settings::{Applies, Source};

use crate::kernel_loop::Kernel;
use crate::last_run;
use crate::lifecycle::Life;
use crate::loading::Asker;
use crate::logging;
use crate::requests::Origin;

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

impl Kernel {
    pub(super) fn execute(&mut self, command: Command<'_>) -> bool {
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
            Command::Models => return self.list_models(Asker::Console),
            Command::Load(name) => return self.load(name),
            Command::Reset => return self.reset_conversation(),
            Command::Log => self.print_log(),
            Command::Mcp => {
                self.begin_plain_mode();
                return true;
            }
            Command::Console => {
                self.print(|out| out.write_str("This is the console; /mcp changes to JSON messages.\r\n"));
            }
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
}
