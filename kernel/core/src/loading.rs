//! The model on its way into memory: from the card in slices, or from where the firmware placed it.

use barellama_arch::{mmu, timer};
use barellama_shell::config;
use barellama_shell::report::{self, LoadFacts};
use barellama_storage::{Destination, Load, LoadStep, LoadSummary, SdHost, Storage, StorageError, StorageStep};
use heapless::{String, Vec};
use static_cell::ConstStaticCell;

use crate::engine::memory::ModelMapping;
use crate::kernel_loop::Kernel;
use crate::lifecycle::Life;
use crate::memory_plan::{FreeMemory, ModelMemory, PlanError};
use crate::platform::{PhysicalRange, SD_HOSTS_MAX};
use barellama_abi::layout::BLOCK_BYTES;

/// The first bytes of a GGUF file.
const GGUF_MAGIC: [u8; 4] = *b"GGUF";
/// Bytes that one step may read at most; the card's driver chooses fewer so that a step stays short.
const SLICE_BYTES: usize = 512 << 10;
/// How often the progress line is drawn.
const PROGRESS_NS: u64 = 500_000_000;
const NAME_BYTES: usize = 128;
const CONFIG_BYTES: usize = config::BYTES_MAX + 1;

type Card = Storage<&'static mut dyn SdHost>;

static CARD: ConstStaticCell<Card> = ConstStaticCell::new(Storage::new());
static CONFIG: ConstStaticCell<[u8; CONFIG_BYTES]> = ConstStaticCell::new([0; CONFIG_BYTES]);

/// How far the model is.
enum Stage {
    /// The card is being started and its directory read.
    StartingCard,
    /// A file streams from the card.
    Streaming { load: Load, memory: ModelMemory, began_ns: u64, drawn_ns: u64 },
    /// A file that the firmware put at an odd address is copied to blocks of its own.
    Copying { from: PhysicalRange, memory: ModelMemory, done_bytes: u64 },
    /// Nothing more to do: there is a model or there will be none.
    Settled,
}

/// The card, the model's way and where it goes.
pub struct Loading {
    card: &'static mut Card,
    stage: Stage,
    free: FreeMemory,
    placed_file: Option<PhysicalRange>,
    config: &'static mut [u8; CONFIG_BYTES],
    is_config_read: bool,
    is_from_card: bool,
    name: String<NAME_BYTES>,
}

impl Loading {
    /// Nothing loaded. `free` is what is left for model and arena. Called once.
    #[must_use]
    pub fn new(
        hosts: Vec<&'static mut dyn SdHost, SD_HOSTS_MAX>,
        free: FreeMemory,
        placed_file: Option<PhysicalRange>,
    ) -> Self {
        let card = CARD.take();
        for host in hosts {
            // Cannot fail: the machine's list is as short as the card's.
            let _ = card.add_host(host);
        }
        Self {
            card,
            stage: Stage::StartingCard,
            free,
            placed_file,
            config: CONFIG.take(),
            is_config_read: false,
            is_from_card: false,
            name: String::new(),
        }
    }

    /// Whether a model is on its way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !matches!(self.stage, Stage::Settled)
    }

    /// Whether the model was read from the card, so that it can be read again.
    #[must_use]
    pub fn came_from_card(&self) -> bool {
        self.is_from_card
    }

    /// The model's file name.
    #[must_use]
    pub fn model_name(&self) -> &str {
        if self.name.is_empty() { "none" } else { &self.name }
    }

    /// The models on the card: path and size in bytes.
    pub fn models_on_card(&self) -> impl Iterator<Item = (&str, u64)> {
        self.card.models().list.iter().map(|model| (model.path.as_str(), u64::from(model.bytes)))
    }

    /// Reads a small file from the card.
    ///
    /// # Errors
    /// [`StorageError`] as the card gives it.
    pub fn read_small_file(&mut self, path: &str, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.card.read_small_file(path, buffer)
    }

    fn set_name(&mut self, path: &str) {
        self.name.clear();
        let name = path.rsplit('/').next().unwrap_or(path);
        let cut = name.floor_char_boundary(NAME_BYTES);
        // Cannot fail: it was cut to the capacity.
        let _ = self.name.push_str(&name[..cut]);
    }
}

impl Kernel {
    /// Begins anew with the card.
    pub fn begin_loading(&mut self) {
        self.loading.card.restart();
        self.loading.stage = Stage::StartingCard;
        self.engine.life = Life::NoModel;
    }

    /// Does a slice of what is to be done. Returns whether there was anything.
    pub fn step_loading(&mut self) -> bool {
        match &self.loading.stage {
            Stage::Settled => return false,
            Stage::StartingCard => self.step_card(),
            Stage::Streaming { .. } => self.step_stream(),
            Stage::Copying { .. } => self.step_copy(),
        }
        true
    }

    fn step_card(&mut self) {
        match self.loading.card.step(timer::now_ns()) {
            StorageStep::Busy => {}
            StorageStep::Ready => {
                self.read_config();
                self.choose_model(None);
            }
            StorageStep::Failed(error) => self.choose_model(Some(error)),
        }
    }

    /// Applies `barellama.txt`; a card without it is fine.
    fn read_config(&mut self) {
        if core::mem::replace(&mut self.loading.is_config_read, true) {
            return;
        }
        let length = match self.loading.card.read_small_file(config::FILE_NAME, self.loading.config) {
            Ok(length) => length,
            Err(StorageError::FileNotFound) => return,
            Err(error) => return self.say(format_args!("{}: {error}", config::FILE_NAME)),
        };
        let baud = self.console.settings.baud;
        let mut out = self.console.out;
        let mut problems = 0;
        self.console.editor.before_output(&mut out);
        let bytes = &self.loading.config[..length];
        let applied = config::apply(bytes, self.console.settings, &mut |problem| {
            use core::fmt::Write as _;
            problems += 1;
            log::warn!("{}: {problem}", config::FILE_NAME);
            // The serial line takes everything.
            let _ = write!(out, "{}: {problem}\r\n", config::FILE_NAME);
        });
        self.console.editor.after_output(&mut out);
        log::info!("{}: {applied} settings applied, {problems} problems", config::FILE_NAME);
        if self.console.settings.baud != baud {
            self.serial.set_baud(self.console.settings.baud);
        }
        self.engine.cores = self.facts.cores.min(match self.console.settings.cores {
            0 => self.facts.cores,
            cores => cores as usize,
        });
    }

    /// A file in memory comes first, then the card's.
    fn choose_model(&mut self, card_error: Option<StorageError>) {
        self.loading.stage = Stage::Settled;
        if self.engine.memory.is_none() {
            return;
        }
        match (self.placed_model(), card_error) {
            (Some(file), _) => self.take_placed(file),
            (None, Some(error)) => self.report_no_model(error),
            (None, None) => self.open_from_card(),
        }
    }

    /// What the firmware placed, if it is a GGUF file.
    fn placed_model(&mut self) -> Option<PhysicalRange> {
        let file = self.loading.placed_file?;
        let is_gguf = file.bytes >= GGUF_MAGIC.len() as u64
            && mmu::with_physical(file.start, GGUF_MAGIC.len(), |bytes| bytes == GGUF_MAGIC).unwrap_or(false);
        if !is_gguf {
            self.loading.placed_file = None;
            self.say(format_args!(
                "The file of {} bytes that the firmware placed at {:#x} is not a GGUF model: ignored.",
                file.bytes, file.start
            ));
        }
        is_gguf.then_some(file)
    }

    fn take_placed(&mut self, file: PhysicalRange) {
        self.loading.set_name("placed by the firmware");
        self.loading.is_from_card = false;
        // Once prepared it is no longer the file it was.
        self.loading.placed_file = None;
        if file.start.is_multiple_of(BLOCK_BYTES) {
            match ModelMemory::for_placed_file(self.loading.free.clone(), file) {
                Ok((memory, tail)) => self.take_in_place(memory, file, tail),
                Err(error) => self.report_no_memory(error),
            }
        } else {
            match ModelMemory::for_file(self.loading.free.clone(), file.bytes) {
                Ok(memory) => self.loading.stage = Stage::Copying { from: file, memory, done_bytes: 0 },
                Err(error) => self.report_no_memory(error),
            }
        }
    }

    fn take_in_place(&mut self, memory: ModelMemory, file: PhysicalRange, tail: Option<(PhysicalRange, u64)>) {
        let own = memory.model.last().copied();
        let cleared = own.map_or(Ok(()), |own| mmu::zero_physical(own.start, own.bytes));
        let copied = cleared.and_then(|()| tail.map_or(Ok(()), |(from, to)| copy_physical(from, to)));
        match copied {
            Ok(()) => self.model_is_in_memory(memory, file.bytes),
            Err(error) => self.say(format_args!("The model could not be reached in memory: {error}")),
        }
    }

    fn step_copy(&mut self) {
        let Stage::Copying { from, memory, done_bytes } = &mut self.loading.stage else { return };
        let bytes = (from.bytes - *done_bytes).min(SLICE_BYTES as u64);
        let Some(target) = window(memory, *done_bytes, bytes) else { return };
        let part = PhysicalRange { start: from.start + *done_bytes, bytes: target.bytes };
        let copied = copy_physical(part, target.start);
        *done_bytes += target.bytes;
        let is_done = *done_bytes == from.bytes;
        let file_bytes = from.bytes;
        if let Err(error) = copied {
            self.loading.stage = Stage::Settled;
            self.say(format_args!("The model could not be reached in memory: {error}"));
        } else if is_done {
            self.finish_stage(file_bytes);
        }
    }

    fn open_from_card(&mut self) {
        let wanted = self.console.settings.model.clone();
        let opened = if wanted.is_empty() {
            let first = self.loading.card.first_model().map(|model| model.path.clone());
            first.and_then(|path| self.open(&path))
        } else {
            self.open(&wanted)
        };
        if let Err(error) = opened {
            self.report_no_model(error);
        }
    }

    fn open(&mut self, path: &str) -> Result<(), StorageError> {
        let load = self.loading.card.open_load(path)?;
        let file_bytes = load.file_bytes();
        match ModelMemory::for_file(self.loading.free.clone(), file_bytes) {
            Ok(memory) => {
                self.loading.set_name(path);
                self.loading.is_from_card = true;
                let now_ns = timer::now_ns();
                self.loading.stage = Stage::Streaming { load, memory, began_ns: now_ns, drawn_ns: now_ns };
            }
            Err(error) => self.report_no_memory(error),
        }
        Ok(())
    }

    fn step_stream(&mut self) {
        let now_ns = timer::now_ns();
        let Stage::Streaming { load, memory, began_ns, drawn_ns } = &mut self.loading.stage else { return };
        let began_ns = *began_ns;
        let step = load_slice(self.loading.card, load, memory, now_ns);
        match step {
            Ok(LoadStep::Done(summary)) => self.finish_stream(&summary),
            Ok(LoadStep::Checking(progress) | LoadStep::Reading(progress)) => {
                if now_ns - *drawn_ns < PROGRESS_NS {
                    return;
                }
                *drawn_ns = now_ns;
                let facts = LoadFacts {
                    done_bytes: progress.done_bytes,
                    total_bytes: progress.total_bytes,
                    elapsed_ns: now_ns - began_ns,
                };
                self.draw_load(&facts);
            }
            Err(error) => {
                self.loading.stage = Stage::Settled;
                self.report_no_model(error);
            }
        }
    }

    fn finish_stream(&mut self, summary: &LoadSummary) {
        let facts = LoadFacts { done_bytes: summary.bytes, total_bytes: summary.bytes, elapsed_ns: summary.elapsed_ns };
        self.print(|out| report::load_done(&facts, out));
        let verified = if summary.is_checksum_verified { ", equal to the checksum file" } else { "" };
        self.say(format_args!("{}: CRC-32 {:08x}{verified}.", self.loading.name.clone(), summary.crc32));
        self.finish_stage(summary.bytes);
    }

    /// The bytes are all there: takes the plan out of the stage and goes on with it.
    fn finish_stage(&mut self, file_bytes: u64) {
        let stage = core::mem::replace(&mut self.loading.stage, Stage::Settled);
        if let Stage::Streaming { memory, .. } | Stage::Copying { memory, .. } = stage {
            self.model_is_in_memory(memory, file_bytes);
        }
    }

    fn model_is_in_memory(&mut self, memory: ModelMemory, file_bytes: u64) {
        match ModelMapping::map(memory, file_bytes) {
            Ok(mapping) => {
                self.engine.model = Some(mapping);
                self.start_engine();
            }
            Err(error) => self.say(format_args!("The model could not be mapped: {error}")),
        }
    }

    fn report_no_memory(&mut self, error: PlanError) {
        self.say(format_args!("The model does not fit: {error}."));
        self.abandon_autorun();
    }

    fn report_no_model(&mut self, error: StorageError) {
        self.say(format_args!("No model: {error}"));
        self.abandon_autorun();
    }
}

/// The card's part of a step, with the bytes going through a window over physical memory.
fn load_slice(card: &mut Card, load: &mut Load, memory: &ModelMemory, now_ns: u64) -> Result<LoadStep, StorageError> {
    let offset = load.progress(now_ns).done_bytes;
    let Some(target) = window(memory, offset, SLICE_BYTES as u64) else {
        return card.load_step(load, &mut Window { offset, bytes: &mut [] }, now_ns);
    };
    let step = mmu::with_physical_mut(target.start, target.bytes as usize, |bytes| {
        card.load_step(load, &mut Window { offset, bytes }, now_ns)
    });
    // A window over planned RAM can always be opened; if not, the load ends with the error of a missing destination.
    step.unwrap_or_else(|_| card.load_step(load, &mut Window { offset, bytes: &mut [] }, now_ns))
}

/// The bytes of the region that are mapped just now.
struct Window<'a> {
    offset: u64,
    bytes: &'a mut [u8],
}

impl Destination for Window<'_> {
    fn window(&mut self, offset: u64, bytes: usize) -> Option<&mut [u8]> {
        let start = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        let rest = self.bytes.get_mut(start..)?;
        let count = rest.len().min(bytes);
        if count == 0 { None } else { rest.get_mut(..count) }
    }
}

/// The physical place of the region's bytes from `offset` on: at most `bytes`, fewer at the end of an extent.
fn window(memory: &ModelMemory, offset: u64, bytes: u64) -> Option<PhysicalRange> {
    let mut start = 0;
    for extent in &memory.model {
        if offset < start + extent.bytes {
            let inside = offset - start;
            return Some(PhysicalRange { start: extent.start + inside, bytes: bytes.min(extent.bytes - inside) });
        }
        start += extent.bytes;
    }
    None
}

/// Copies physical memory through a buffer: only one window can be open.
fn copy_physical(from: PhysicalRange, to: u64) -> Result<(), mmu::MapError> {
    let mut buffer = [0; 4096];
    let mut done = 0;
    while done < from.bytes {
        let count = (from.bytes - done).min(buffer.len() as u64);
        let part = &mut buffer[..count as usize];
        mmu::with_physical(from.start + done, count as usize, |bytes| part.copy_from_slice(bytes))?;
        mmu::copy_to_physical(to + done, part)?;
        done += count;
    }
    Ok(())
}
