//! The model on its way into memory: from the card in slices, or from where the firmware placed it.
//!
//! ```text
//! StartingCard -> configuration -> choice ---------------------> Stopping -> Streaming -----------> Ready
//!                                    |  Choosing (menu)             ^   the engine prepares what is there
//!                                    |                    /load, MCP's `models`
//!                                    +--> Copying, or in place: what the firmware put into memory -> engine prepares -> Ready
//! ```
//! While a file streams, the engine already runs: it sleeps until the kernel says that more bytes are there
//! ([`barellama_abi::layout::ARRIVED_ADDRESS`]), and interleaves rows on the other cores while core 0 waits for the card. It can seal the
//! region only when the file is whole and is what its checksum file says.
//!
//! `card_start` is about the card, which may be another one by now, `configuration` about `barellama.txt`, `choice` about which model
//! it is (the menu, `/models`), `change` about another model instead of the one that is loaded and about how every load ends, `stream`
//! and `placed` about the bytes' way, `template` about a chat template in a file.

mod card_start;
mod change;
mod choice;
mod configuration;
mod placed;
mod stream;
mod template;

use barellama_mcp::server::Ticket;
use barellama_shell::config;
use barellama_shell::models::name_of;
use barellama_storage::volume::FileEntry;
use barellama_storage::{Load, SdHost, Storage, StorageError};
use heapless::{String, Vec};
use static_cell::ConstStaticCell;

use crate::engine::memory::ModelMapping;
use crate::kernel_loop::Kernel;
use crate::lifecycle::Life;
use crate::memory_plan::{FreeMemory, ModelMemory, PlanError};
use crate::platform::{PhysicalRange, SD_HOSTS_MAX};

use card_start::AfterStart;
pub use change::LoadRefusal;

/// Bytes that one step may read at most; the card's driver chooses fewer so that a step stays short.
const SLICE_BYTES: usize = 512 << 10;
/// Longest path of a model, in bytes.
const PATH_BYTES: usize = barellama_storage::volume::PATH_BYTES_MAX;
/// Room for a sentence that tells why a load failed.
const PROBLEM_BYTES: usize = 512;
const CONFIG_BYTES: usize = config::BYTES_MAX + 1;
/// How often a model is read again because the engine faulted while it prepared it.
const READS_MAX: u8 = 3;
const PLACED_NAME: &str = "placed by the firmware";

type Card = Storage<&'static mut dyn SdHost>;
type ModelPath = String<PATH_BYTES>;

static CARD: ConstStaticCell<Card> = ConstStaticCell::new(Storage::new());
static CONFIG: ConstStaticCell<[u8; CONFIG_BYTES]> = ConstStaticCell::new([0; CONFIG_BYTES]);

/// Who waits for a load to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// Nobody: it is the load of the boot, or one that a fault made necessary.
    Nobody,
    /// The person at the console, who sees no prompt meanwhile.
    Console,
    /// A call of an MCP client.
    Client(Ticket),
}

/// How far the model is.
#[expect(clippy::large_enum_variant, reason = "there is one, in a static")]
enum Stage {
    /// The card is being started and its directory read.
    StartingCard { then: AfterStart },
    /// A person may choose a model until then.
    Choosing { until_ns: u64 },
    /// The engine is leaving the model that is loaded or arrives.
    Stopping { then: AfterStop },
    /// A file streams from the card into memory that the engine sees.
    Streaming { load: Load, began_ns: u64, drawn_ns: u64 },
    /// A file that the firmware put at an odd address is copied to blocks of its own.
    Copying { from: PhysicalRange, memory: ModelMemory, done_bytes: u64 },
    /// Nothing more to do: there is a model or there will be none.
    Settled,
}

/// What follows when the engine left the model.
#[expect(clippy::large_enum_variant, reason = "there is one, in a static")]
enum AfterStop {
    /// Another model.
    Load(Load, ModelMemory),
    /// The same model, read from the card once more.
    Again,
    /// The engine is started anew with the same, sealed model.
    Restart,
    /// Nothing: somebody stopped the load.
    Stopped,
    /// Nothing: the card failed.
    Failed(StorageError),
}

/// Where the model that is in memory, or on its way, comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one, in a static")]
enum Source {
    /// There is none.
    Nowhere,
    /// A file of the card.
    Card(ModelPath),
    /// The firmware put it there.
    Placed(PhysicalRange),
}

/// The card, the model's way and where it goes.
pub struct Loading {
    card: &'static mut Card,
    stage: Stage,
    /// What is free if no model is loaded.
    free: FreeMemory,
    placed_file: Option<PhysicalRange>,
    config: &'static mut [u8; CONFIG_BYTES],
    is_config_read: bool,
    source: Source,
    /// Where the file lay on the card that was loaded last, and whether it is there on the card that is in the slot now.
    place: Option<FileEntry>,
    is_in_place: bool,
    /// The file that is being loaded, for messages; `None` before one was chosen.
    target: Option<ModelPath>,
    /// The last model that became ready, for when the next one does not.
    last_good: Option<ModelPath>,
    asker: Asker,
    /// How often the model was read since it was asked for.
    reads: u8,
    /// CRC-32 of the file as it was read, if it came from the card.
    file_crc32: Option<u32>,
    /// Bytes and nanoseconds of the last file that was read.
    last_read: Option<(u64, u64)>,
    /// Why the engine refused the model.
    problem: String<PROBLEM_BYTES>,
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
            stage: Stage::StartingCard { then: AfterStart::Choose },
            free,
            placed_file,
            config: CONFIG.take(),
            is_config_read: false,
            source: Source::Nowhere,
            place: None,
            is_in_place: false,
            target: None,
            last_good: None,
            asker: Asker::Nobody,
            reads: 0,
            file_crc32: None,
            last_read: None,
            problem: String::new(),
        }
    }

    /// Whether a model is on its way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !matches!(self.stage, Stage::Settled)
    }

    /// Whether the engine is leaving the model, for what comes then.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        matches!(self.stage, Stage::Stopping { .. })
    }

    /// Whether somebody waits for a load to end.
    #[must_use]
    pub fn has_asker(&self) -> bool {
        self.asker != Asker::Nobody
    }

    /// Whether a file streams into memory that the engine sees.
    #[must_use]
    pub fn is_arriving(&self) -> bool {
        matches!(self.stage, Stage::Streaming { .. })
    }

    /// Reads no more of a file that was arriving: the engine has no use for it.
    pub fn end_arrival(&mut self) {
        if self.is_arriving() {
            self.stage = Stage::Settled;
        }
    }

    /// Whether the model was read from the card, so that it can be read again.
    #[must_use]
    pub fn came_from_card(&self) -> bool {
        matches!(self.source, Source::Card(_))
    }

    /// The model's file name.
    #[must_use]
    pub fn model_name(&self) -> &str {
        match &self.source {
            Source::Nowhere => "none",
            Source::Card(path) => name_of(path),
            Source::Placed(_) => PLACED_NAME,
        }
    }

    /// CRC-32 of the model's file as it was read; `None` for one that the firmware placed.
    #[must_use]
    pub fn file_crc32(&self) -> Option<u32> {
        self.file_crc32
    }

    /// Bytes and nanoseconds of the last file that was read from the card.
    #[must_use]
    pub fn last_read(&self) -> Option<(u64, u64)> {
        self.last_read
    }

    /// What is free if no model is loaded.
    #[must_use]
    pub fn free_extents(&self) -> &[PhysicalRange] {
        self.free.extents()
    }

    /// What is known of the card, and what reading cost so far.
    #[must_use]
    pub fn card(&self) -> &Storage<&'static mut dyn SdHost> {
        self.card
    }

    /// Reads a small file from the card.
    ///
    /// # Errors
    /// [`StorageError`] as the card gives it.
    pub fn read_small_file(&mut self, path: &str, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.card.read_small_file(path, buffer)
    }

    /// Why the engine refuses the model.
    #[must_use]
    pub fn problem(&self) -> String<PROBLEM_BYTES> {
        self.problem.clone()
    }

    /// Keeps why the engine refuses the model, for those who wait.
    pub fn note_problem(&mut self, text: &str) {
        self.problem.clear();
        let cut = text.floor_char_boundary(PROBLEM_BYTES);
        // Cannot fail: it was cut to the capacity.
        let _ = self.problem.push_str(&text[..cut]);
    }
}

impl Kernel {
    /// Begins anew with the card: the same model again if there was one, else the one that the configuration says.
    pub fn begin_loading(&mut self) {
        self.engine.life = Life::NoModel;
        if self.loading.reads >= READS_MAX {
            self.engine.life = Life::Refused;
            return self.fail_load(format_args!("the engine faulted on it {READS_MAX} times; it is given up"));
        }
        self.loading.card.restart();
        self.loading.stage = Stage::StartingCard { then: AfterStart::Choose };
    }

    /// Does a slice of what is to be done. Returns whether there was anything.
    pub fn step_loading(&mut self) -> bool {
        match &self.loading.stage {
            Stage::Settled => return false,
            Stage::Choosing { .. } => return self.step_menu(),
            Stage::Stopping { .. } => return self.step_stopping(),
            Stage::StartingCard { .. } => self.step_card(),
            Stage::Streaming { .. } => self.step_stream(),
            Stage::Copying { .. } => self.step_copy(),
        }
        true
    }

    /// The model, if all of it is there.
    #[must_use]
    pub fn whole_model(&self) -> Option<&ModelMapping> {
        self.engine.model.as_ref().filter(|_| !self.loading.is_arriving())
    }

    /// Takes the model away from the engine and reads it from the card once more.
    pub fn read_again(&mut self) {
        self.loading.reads = 0;
        self.loading.stage = Stage::Stopping { then: AfterStop::Again };
    }

    /// Lets all cores leave an engine that still runs and starts it with the same, sealed model.
    pub fn stop_and_restart(&mut self) {
        self.loading.stage = Stage::Stopping { then: AfterStop::Restart };
    }

    /// Lets the engine begin with a model that lies in memory, or whose first bytes will.
    fn give_to_engine(&mut self, memory: ModelMemory, file_bytes: u64) {
        match ModelMapping::map(memory, file_bytes) {
            Ok(mapping) => {
                self.engine.model = Some(mapping);
                self.start_engine();
            }
            Err(error) => self.fail_load(format_args!("it could not be mapped: {error}")),
        }
    }

    fn report_no_memory(&mut self, error: PlanError) {
        self.fail_load(format_args!("it does not fit: {error}"));
    }
}

/// A path, cut to what a path can have.
fn model_path(path: &str) -> ModelPath {
    let mut kept = ModelPath::new();
    // Cannot fail: it was cut to the capacity.
    let _ = kept.push_str(&path[..path.floor_char_boundary(PATH_BYTES)]);
    kept
}
