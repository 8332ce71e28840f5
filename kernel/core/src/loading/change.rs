//! Another model instead of the one that is loaded, without a reboot; and how every load ends.
//!
//! What can be known before is looked at before: that the file is there, that it is not empty, that it fits. Only then the old model
//! goes: its memory is part of what the new one is planned into.

use core::fmt::{self, Write as _};

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::syscall::Phase;
use barellama_mcp::rpc_error::short_text;
use barellama_shell::models::FindError;
use barellama_shell::report::LoadFacts;
use barellama_storage::StorageError;
use heapless::String;

use super::{AfterStart, AfterStop, Asker, ModelPath, PROBLEM_BYTES, Source, Stage, model_path};
use crate::engine::team::TEAM;
use crate::kernel_loop::Kernel;
use crate::memory_plan::{ModelMemory, PlanError};

/// Why a load was not begun. What was loaded before still is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "it lives while a sentence is printed")]
pub enum LoadRefusal {
    /// The image holds no engine.
    NoEngine,
    /// The card has not been read yet.
    CardStarts,
    /// Another load that somebody waits for is on its way, or `autorun` works.
    Busy,
    /// No model has this name or number; the sentence says what there is.
    Unknown(String<PROBLEM_BYTES>),
    /// The file cannot be had.
    Storage(StorageError),
    /// It does not fit.
    Memory(PlanError),
    /// Whoever asked did not want to wait for the card.
    Stopped,
}

impl fmt::Display for LoadRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEngine => formatter.write_str("there is no engine that could use a model"),
            Self::CardStarts => formatter.write_str("the card is being read: try again in a second"),
            Self::Busy => formatter.write_str("the board is busy with another model or with autorun: wait for its end"),
            Self::Unknown(sentence) => formatter.write_str(sentence),
            Self::Storage(error) => error.fmt(formatter),
            Self::Memory(error) => write!(formatter, "it does not fit: {error}"),
            Self::Stopped => formatter.write_str("it was stopped"),
        }
    }
}

impl Kernel {
    /// Begins to load the model that a name, a path or a number of `/models` means, instead of the one that is there. Requests that
    /// wait or run are ended. How the load ends is told to the asker; so is a refusal that comes later, when the card had to be
    /// started again first.
    ///
    /// # Errors
    /// [`LoadRefusal`]; nothing has changed then.
    #[expect(clippy::result_large_err, reason = "a sentence with names, of which there is one at a time")]
    pub fn load_model(&mut self, wanted: &str, asker: Asker) -> Result<(), LoadRefusal> {
        if self.engine.memory.is_none() {
            return Err(LoadRefusal::NoEngine);
        }
        if matches!(self.loading.stage, Stage::StartingCard { .. }) {
            return Err(LoadRefusal::CardStarts);
        }
        if self.loading.asker != Asker::Nobody || self.autorun.is_running() {
            return Err(LoadRefusal::Busy);
        }
        if self.is_card_lost() {
            // A number is one of the list that was shown.
            let path = self.loading.find(wanted).unwrap_or_else(|_| model_path(wanted));
            self.start_card_for(asker, AfterStart::Load(path));
            return Ok(());
        }
        self.begin_change(wanted, asker)
    }

    /// The same with a card that answers.
    #[expect(clippy::result_large_err, reason = "as above")]
    pub(super) fn begin_change(&mut self, wanted: &str, asker: Asker) -> Result<(), LoadRefusal> {
        let path = self.wanted_path(wanted)?;
        let load = self.loading.card.open_load(&path).map_err(LoadRefusal::Storage)?;
        let memory = self.plan_without_model(load.file_bytes()).map_err(LoadRefusal::Memory)?;
        self.end_requests(format_args!("the model is being changed to {path}: ask again when it is ready"));
        self.loading.asker = asker;
        self.loading.reads = 1;
        self.loading.target = Some(path);
        self.loading.stage = Stage::Stopping { then: AfterStop::Load(load, memory) };
        Ok(())
    }

    /// Tells whoever asked why nothing is loaded for them.
    pub fn tell_refusal(&mut self, asker: Asker, refusal: &LoadRefusal) {
        match asker {
            Asker::Nobody => {}
            Asker::Console => self.print(|out| write!(out, "Not loaded: {refusal}.\r\n")),
            Asker::Client(ticket) => {
                let sentence = short_text(format_args!("The model was not changed: {refusal}."));
                self.mcp.fail(ticket, &sentence);
            }
        }
    }

    /// Gives a load up, if it is this asker's. Returns whether it was.
    pub fn cancel_load(&mut self, asker: Asker) -> bool {
        let is_theirs = self.loading.asker == asker && asker != Asker::Nobody;
        match self.loading.stage {
            _ if !is_theirs => {}
            Stage::StartingCard { then: AfterStart::Load(_) | AfterStart::List } => self.stop_card_start(),
            _ => self.loading.stage = Stage::Stopping { then: AfterStop::Stopped },
        }
        is_theirs
    }

    /// Waits until all cores are out of the engine, takes the model away, goes on with the next one. Returns whether there was
    /// anything to do.
    pub(super) fn step_stopping(&mut self) -> bool {
        if !TEAM.is_stopping() {
            TEAM.stop(0);
        }
        self.engine.main.stop();
        if !TEAM.are_workers_idle() {
            return false;
        }
        TEAM.settle();
        let Stage::Stopping { then } = core::mem::replace(&mut self.loading.stage, Stage::Settled) else {
            return false;
        };
        if matches!(then, AfterStop::Restart) {
            self.restart();
            return true;
        }
        self.forget_model();
        match (then, self.loading.target.clone()) {
            (AfterStop::Load(load, memory), Some(path)) => {
                self.loading.source = Source::Card(path);
                self.begin_stream(load, memory);
            }
            (AfterStop::Again, Some(path)) => {
                self.loading.source = Source::Card(path);
                self.begin_loading();
            }
            (AfterStop::Failed(error), _) => self.fail_load(format_args!("{error}")),
            _ => self.fail_load(format_args!("it was stopped")),
        }
        true
    }

    /// How far a load is: for the console, and for the client that waits.
    pub(super) fn report_load_progress(&mut self, facts: &LoadFacts) {
        self.draw_load(facts);
        if let Asker::Client(ticket) = self.loading.asker {
            self.mcp.progress(ticket, Phase::Prepare, facts.done_bytes, facts.total_bytes);
        }
    }

    /// There is no model, and no file that could be named.
    pub(super) fn fail_without_model(&mut self, error: StorageError) {
        self.loading.target = None;
        self.fail_load(format_args!("{error}"));
    }

    /// A load ended without a model.
    pub(super) fn fail_load(&mut self, why: fmt::Arguments<'_>) {
        let mut sentence = String::<PROBLEM_BYTES>::new();
        // A sentence that is too long is cut; that is all that can go wrong.
        let _ = match &self.loading.target {
            Some(path) => write!(sentence, "{path} was not loaded: {why}."),
            None => write!(sentence, "No model: {why}."),
        };
        self.loading.stage = Stage::Settled;
        if let Source::Card(_) = self.loading.source {
            self.loading.source = Source::Nowhere;
        }
        self.say(format_args!("{sentence}"));
        self.loading.note_problem(&sentence);
        self.end_load(false);
    }

    /// A load ended, well or not; what was wrong with it was said. Whoever waits is told.
    pub fn end_load(&mut self, is_loaded: bool) {
        self.loading.reads = 0;
        match (is_loaded, &self.loading.source) {
            (true, Source::Card(path)) => self.loading.last_good = Some(path.clone()),
            (true, _) => {}
            (false, _) => self.offer_another(),
        }
        match core::mem::replace(&mut self.loading.asker, Asker::Nobody) {
            Asker::Nobody if is_loaded => {}
            Asker::Nobody => self.abandon_autorun(),
            Asker::Console => self.next_line(),
            Asker::Client(ticket) => {
                let stop_reason = if is_loaded { StopReason::Complete } else { StopReason::Error };
                if is_loaded {
                    self.mcp.text(ticket, self.loading.model_name());
                } else {
                    self.mcp.error_text(ticket, &self.loading.problem);
                }
                self.mcp.finish(ticket, &Outcome { stop_reason, ..Outcome::default() });
            }
        }
    }

    /// Says what else there is.
    fn offer_another(&mut self) {
        match self.loading.last_good.clone() {
            Some(path) => self.say(format_args!("/load {path} takes the model back that was loaded before.")),
            None if self.loading.models_on_card().count() > 1 => {
                self.say(format_args!("The card has other models: /models lists them, /load takes one."));
            }
            None => {}
        }
    }

    #[expect(clippy::result_large_err, reason = "as above")]
    fn wanted_path(&mut self, wanted: &str) -> Result<ModelPath, LoadRefusal> {
        let error = match self.loading.find(wanted) {
            Ok(path) => return Ok(path),
            // A path may lead where models are not looked for.
            Err(_) if wanted.contains('/') => return Ok(model_path(wanted.trim_start_matches('/'))),
            Err(error) => error,
        };
        let mut sentence = String::new();
        // A sentence that is too long is cut; that is all that can go wrong.
        let _ = write!(sentence, "{error}");
        let refusal = LoadRefusal::Unknown(sentence);
        // The list has room for some models only.
        let is_unlisted = self.loading.card.models().omitted != 0 && matches!(error, FindError::NoSuchName { .. });
        if is_unlisted { self.loading.card.find_model(wanted).map_err(|_| refusal) } else { Err(refusal) }
    }

    /// Plans for a file as if no model were there: the one that is will have gone by then.
    fn plan_without_model(&self, file_bytes: u64) -> Result<ModelMemory, PlanError> {
        let mut free = self.loading.free.clone();
        if let Source::Placed(file) = self.loading.source {
            free.give_back(file)?;
        }
        ModelMemory::for_file(free, file_bytes)
    }

    /// Takes the model away. All cores are out of the engine.
    fn forget_model(&mut self) {
        if let Some(model) = self.engine.model.take() {
            model.unmap();
        }
        let source = core::mem::replace(&mut self.loading.source, Source::Nowhere);
        if let Source::Placed(file) = source
            && self.loading.free.give_back(file).is_err()
        {
            log::warn!("the memory of the placed model stays reserved: RAM is cut into too many pieces");
        }
        self.loading.file_crc32 = None;
        self.verification.forget();
        self.engine.forget_model();
    }

    /// Ends what waits for the engine or is in its hands.
    fn end_requests(&mut self, why: fmt::Arguments<'_>) {
        let mut sentence = String::<PROBLEM_BYTES>::new();
        // A sentence that is too long is cut; that is all that can go wrong.
        let _ = sentence.write_fmt(why);
        while let Some(entry) = self.requests.take_any() {
            self.deliver_error(entry.origin, &sentence);
            self.end_request(&entry, &Outcome { stop_reason: StopReason::Error, ..Outcome::default() });
        }
    }
}
