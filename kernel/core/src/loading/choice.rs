//! Which model: what the firmware placed, what the configuration names, the card's only one, or what a person chooses.

use barellama_arch::timer;
use barellama_mcp::wire::Mode;
use barellama_shell::models;
use barellama_shell::report::{self, ModelRow, Omitted};
use barellama_storage::StorageError;

use super::{AfterStart, Asker, ModelPath, Source, Stage, model_path};
use crate::kernel_loop::Kernel;
use crate::lifecycle::Life;

/// How long the menu waits for a person.
const MENU_NS: u64 = 5_000_000_000;
/// How long it waits for the rest of a line that somebody has begun; noise on the line must not hold the board for good.
const MENU_TYPING_NS: u64 = 20_000_000_000;

impl super::Loading {
    /// The models on the card: path and size in bytes.
    pub fn models_on_card(&self) -> impl Iterator<Item = (&str, u64)> + Clone {
        self.card.models().list.iter().map(|model| (model.path.as_str(), u64::from(model.bytes)))
    }

    /// Whether the model in memory, or on its way, is the file of that path.
    #[must_use]
    pub fn is_loaded(&self, path: &str) -> bool {
        self.is_in_place && matches!(&self.source, Source::Card(loaded) if loaded.as_str() == path)
    }

    /// Looks whether the file that was loaded is on the card that was just started.
    pub(super) fn look_for_loaded(&mut self) {
        self.is_in_place = match &self.source {
            Source::Card(path) => self.card.find_file(path).is_ok_and(|file| self.place == Some(file)),
            Source::Nowhere | Source::Placed(_) => false,
        };
    }

    /// The path of the model that a number, a path or a name means.
    pub(super) fn find(&self, wanted: &str) -> Result<ModelPath, models::FindError<'_>> {
        let paths = self.models_on_card().map(|(path, _)| path);
        let index = models::find(paths.clone(), wanted)?;
        paths.clone().nth(index).map(model_path).ok_or(models::FindError::NoModels)
    }

    fn omitted(&self) -> Omitted {
        let models = self.card.models();
        Omitted { models: models.omitted, folders: models.folders_omitted }
    }

    fn rows(&self, is_model_used: bool) -> impl Iterator<Item = ModelRow<'_>> + Clone {
        let is_loaded = move |path: &str| is_model_used && self.is_loaded(path);
        self.models_on_card().map(move |(path, bytes)| ModelRow { path, bytes, is_loaded: is_loaded(path) })
    }
}

impl Kernel {
    /// A file in memory comes first, then the model that was chosen before, then the configuration's.
    pub(super) fn choose_model(&mut self, card_error: Option<StorageError>) {
        self.loading.stage = Stage::Settled;
        if self.engine.memory.is_none() {
            return;
        }
        match (self.placed_model(), card_error) {
            (Some(file), _) => self.take_placed(file),
            (None, Some(error)) => self.fail_without_model(error),
            (None, None) => self.choose_from_card(),
        }
    }

    fn choose_from_card(&mut self) {
        if let Source::Card(path) = &self.loading.source {
            let path = path.clone();
            return self.open_chosen(&path);
        }
        let wanted = self.console.settings.model.clone();
        if !wanted.is_empty() {
            // Names of the list and numbers are known; anything else is a path, which may lead where the list does not.
            let path = self.loading.find(&wanted).unwrap_or_else(|_| model_path(&wanted));
            return self.open_chosen(&path);
        }
        let is_person_there = self.mcp.mode == Mode::Console && self.console.settings.autorun.is_empty();
        if is_person_there && self.loading.models_on_card().count() > 1 {
            return self.open_menu();
        }
        self.open_first();
    }

    fn open_first(&mut self) {
        self.loading.stage = Stage::Settled;
        // A file of 0 bytes is what is left of a copy that failed: the first one that can be a model is taken.
        let first = self.loading.card.models().list.iter().find(|model| model.bytes != 0);
        let first = first.map_or_else(|| self.loading.card.first_model(), Ok);
        match first.map(|model| model.path.clone()) {
            Ok(path) => self.open_chosen(&path),
            Err(error) => self.fail_without_model(error),
        }
    }

    fn open_menu(&mut self) {
        self.loading.stage = Stage::Choosing { until_ns: timer::now_ns() + MENU_NS };
        let mut out = self.console.out;
        self.console.editor.before_output(&mut out);
        let omitted = self.loading.omitted();
        // The serial line takes everything.
        let _ = report::model_menu(self.loading.rows(false), omitted, MENU_NS / 1_000_000_000, &mut out);
        self.console.editor.after_output(&mut out);
    }

    /// Takes the first model when the time is over or a program has the line. Returns whether there was anything to do.
    pub(super) fn step_menu(&mut self) -> bool {
        let Stage::Choosing { until_ns } = self.loading.stage else { return false };
        let is_over = timer::now_ns() >= until_ns || self.mcp.mode != Mode::Console;
        if is_over {
            self.open_first();
        }
        is_over
    }

    /// Somebody types: the menu waits for the end of the line.
    pub fn note_typing(&mut self) {
        if let Stage::Choosing { until_ns } = &mut self.loading.stage {
            *until_ns = (*until_ns).max(timer::now_ns() + MENU_TYPING_NS);
        }
    }

    /// Takes a line as the answer to the menu, if it is open and the line is one. Returns whether it was.
    pub fn answer_menu(&mut self, line: &str) -> bool {
        if !matches!(self.loading.stage, Stage::Choosing { .. }) || line.trim().starts_with('/') {
            return false;
        }
        if line.trim().is_empty() {
            self.open_first();
            return true;
        }
        match self.loading.find(line) {
            Ok(path) => self.open_chosen(&path),
            Err(error) => {
                let mut out = self.console.out;
                // The serial line takes everything; the editor's row is gone while a line is carried out.
                let _ = core::fmt::Write::write_fmt(&mut out, format_args!("Which model? {error}.\r\n"));
            }
        }
        true
    }

    /// Lists the models of the card; if it has to be started for that, as soon as it is. Returns whether that is so.
    pub fn list_models(&mut self, asker: Asker) -> bool {
        let is_card_lost = self.loading.asker == Asker::Nobody && self.is_card_lost();
        if is_card_lost {
            self.start_card_for(asker, AfterStart::List);
        } else {
            self.show_models(asker);
        }
        is_card_lost
    }

    pub(super) fn show_models(&mut self, asker: Asker) {
        match asker {
            Asker::Client(ticket) => self.answer_models_later(ticket),
            Asker::Nobody | Asker::Console => self.print_models(),
        }
    }

    fn print_models(&mut self) {
        let mut out = self.console.out;
        self.console.editor.before_output(&mut out);
        let is_in_use = matches!(self.engine.life, Life::Preparing | Life::Ready | Life::Down);
        let is_model_used = is_in_use && !self.loading.is_arriving();
        let rows = self.loading.rows(is_model_used);
        // The serial line takes everything.
        let _ = match self.loading.card.first_model() {
            Ok(_) => report::model_table(rows, self.loading.omitted(), &mut out),
            Err(error) => core::fmt::Write::write_fmt(&mut out, format_args!("{error}.\r\n")),
        };
        if let Source::Placed(file) = self.loading.source {
            let _ = report::placed_model(file.bytes, &mut out);
        }
        self.console.editor.after_output(&mut out);
    }
}
