//! The whole way as the kernel loop sees it: controllers, card, file system, models, load.

use crate::block::{BlockReader, ReadCause, ReadError};
use crate::cache::CachedBlocks;
use crate::card::error::CardError;
use crate::card::{CardInfo, CardStep, ReadCounters, SdCard};
use crate::checksum;
use crate::error::StorageError;
use crate::host::SdHost;
use crate::listing::{Listing, ModelFile, Models, Path};
use crate::load::{Destination, Load, LoadStep};
use crate::volume::{FileEntry, Volume};

/// The most controllers that are tried.
pub const HOSTS_MAX: usize = 2;

/// How far the storage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageStep {
    /// Not done; call again.
    Busy,
    /// Files can be read. Whether there is a model says [`Storage::models`].
    Ready,
    /// Nothing can be read; [`Storage::restart`] tries again.
    Failed(StorageError),
}

/// The card of the board, and what is on it.
pub struct Storage<H> {
    blocks: CachedBlocks<Slots<H>>,
    phase: Phase,
    volume: Option<Volume>,
    listing: Listing,
}

#[derive(Clone, Copy)]
enum Phase {
    Start,
    Mount,
    List,
    Ready,
    Failed(StorageError),
}

impl<H: SdHost> Storage<H> {
    /// No controller yet. It is constant and some 40 KB large, so that it can stand in a static.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            blocks: CachedBlocks::new(Slots { cards: heapless::Vec::new(), active: 0, error: CardError::NoCard }),
            phase: Phase::Start,
            volume: None,
            listing: Listing::new(),
        }
    }

    /// Adds a controller; they are tried in the order in which they were added, and not touched before [`Self::step`].
    ///
    /// # Errors
    /// The controller itself, if there are [`HOSTS_MAX`] already.
    pub fn add_host(&mut self, host: H) -> Result<(), H> {
        self.blocks.reader().cards.push(SdCard::new(host)).map_err(SdCard::into_host)
    }

    /// Goes on: starts the card, mounts it, lists its models. A step waits for at most about a millisecond, except that mounting
    /// and listing read a few blocks (one folder a step). `now_ns` is a monotonic clock.
    pub fn step(&mut self, now_ns: u64) -> StorageStep {
        match self.advance(now_ns) {
            Ok(phase) => self.phase = phase,
            Err(error) => self.phase = Phase::Failed(error),
        }
        match self.phase {
            Phase::Ready => StorageStep::Ready,
            Phase::Failed(error) => StorageStep::Failed(error),
            _ => StorageStep::Busy,
        }
    }

    /// Begins again: another card may have been put in.
    pub fn restart(&mut self) {
        self.blocks.forget();
        self.blocks.reader().restart();
        self.phase = Phase::Start;
        self.volume = None;
        self.listing = Listing::new();
    }

    /// Whether the card that was mounted is still there. If not, [`Self::restart`] takes the one that is there now.
    pub fn answers(&mut self) -> bool {
        matches!(self.phase, Phase::Ready) && self.blocks.reader().answers()
    }

    /// What is known of the card, once it is started.
    pub fn card(&self) -> Option<CardInfo> {
        self.blocks.reader_ref().card().and_then(SdCard::info)
    }

    /// What the reads cost so far.
    pub fn counters(&self) -> ReadCounters {
        self.blocks.reader_ref().card().map(SdCard::counters).unwrap_or_default()
    }

    /// The models on the card; empty before [`StorageStep::Ready`].
    pub fn models(&self) -> &Models {
        self.listing.models()
    }

    /// The first model.
    ///
    /// # Errors
    /// [`StorageError::NoModel`], [`StorageError::NotReady`], or why the storage failed.
    pub fn first_model(&self) -> Result<&ModelFile, StorageError> {
        self.mounted()?;
        self.models().list.first().ok_or(StorageError::NoModel)
    }

    /// The path of a model by its name alone, also of one that the list has no room for.
    ///
    /// # Errors
    /// See [`Listing::find`]; [`StorageError::NotReady`] or why the storage failed.
    pub fn find_model(&mut self, name: &str) -> Result<Path, StorageError> {
        self.listing.find(&self.mounted()?, &mut self.blocks, name)
    }

    /// Where a file lies: another card, or another file of the same path, gives another place.
    ///
    /// # Errors
    /// See [`Volume::open`]; [`StorageError::NotReady`] or why the storage failed.
    pub fn find_file(&mut self, path: &str) -> Result<FileEntry, StorageError> {
        self.mounted()?.open(&mut self.blocks, path)
    }

    /// Reads a whole small file; returns its size in bytes.
    ///
    /// # Errors
    /// See [`Volume::read_small_file`]; [`StorageError::NotReady`] or why the storage failed.
    pub fn read_small_file(&mut self, path: &str, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.mounted()?.read_small_file(&mut self.blocks, path, buffer)
    }

    /// Reads the beginning of a file, as much as `buffer` has room for; returns how many bytes.
    ///
    /// # Errors
    /// See [`Volume::read_beginning`]; [`StorageError::NotReady`] or why the storage failed.
    pub fn read_beginning(&mut self, path: &str, buffer: &mut [u8]) -> Result<usize, StorageError> {
        self.mounted()?.read_beginning(&mut self.blocks, path, buffer)
    }

    /// Begins the load of a file, compared to its checksum file if there is one.
    ///
    /// # Errors
    /// [`StorageError::FileNotFound`], [`StorageError::Empty`], [`StorageError::ChecksumFile`], or what reading says.
    pub fn open_load(&mut self, path: &str) -> Result<Load, StorageError> {
        let volume = self.mounted()?;
        let file = volume.open(&mut self.blocks, path)?;
        let expected_crc32 = checksum::find(&volume, &mut self.blocks, path)?;
        Load::new(file, expected_crc32)
    }

    /// Reads the next slice of a load.
    ///
    /// # Errors
    /// See [`Load::step`].
    pub fn load_step(
        &mut self,
        load: &mut Load,
        destination: &mut (impl Destination + ?Sized),
        now_ns: u64,
    ) -> Result<LoadStep, StorageError> {
        load.step(&mut self.blocks, destination, now_ns)
    }

    fn mounted(&self) -> Result<Volume, StorageError> {
        match (self.phase, self.volume) {
            (Phase::Ready, Some(volume)) => Ok(volume),
            (Phase::Failed(error), _) => Err(error),
            _ => Err(StorageError::NotReady),
        }
    }

    fn advance(&mut self, now_ns: u64) -> Result<Phase, StorageError> {
        match (self.phase, self.volume) {
            (Phase::Start, _) => match self.blocks.reader().step(now_ns) {
                CardStep::Busy => Ok(Phase::Start),
                CardStep::Ready(_) => Ok(Phase::Mount),
                CardStep::Failed(CardError::NoCard) => Err(StorageError::NoCard),
                CardStep::Failed(error) => Err(StorageError::Card(error)),
            },
            (Phase::Mount, _) => {
                self.volume = Some(Volume::mount(&mut self.blocks)?);
                Ok(Phase::List)
            }
            (Phase::List, Some(volume)) => {
                let is_done = self.listing.step(&volume, &mut self.blocks)?;
                Ok(if is_done { Phase::Ready } else { Phase::List })
            }
            (phase, _) => Ok(phase),
        }
    }
}

impl<H: SdHost> Default for Storage<H> {
    fn default() -> Self {
        Self::new()
    }
}

/// The controllers that may have the card, tried one after the other.
struct Slots<H> {
    cards: heapless::Vec<SdCard<H>, HOSTS_MAX>,
    active: usize,
    /// The first failure that says more than "no card".
    error: CardError,
}

impl<H: SdHost> Slots<H> {
    fn card(&self) -> Option<&SdCard<H>> {
        self.cards.get(self.active)
    }

    fn step(&mut self, now_ns: u64) -> CardStep {
        let Some(card) = self.cards.get_mut(self.active) else { return CardStep::Failed(self.error) };
        match card.step(now_ns) {
            CardStep::Failed(error) => {
                if self.error == CardError::NoCard {
                    self.error = error;
                }
                self.active += 1;
                CardStep::Busy
            }
            step => step,
        }
    }

    fn answers(&mut self) -> bool {
        self.cards.get_mut(self.active).is_some_and(SdCard::answers)
    }

    fn restart(&mut self) {
        self.active = 0;
        self.error = CardError::NoCard;
        for card in &mut self.cards {
            card.restart();
        }
    }
}

impl<H: SdHost> BlockReader for Slots<H> {
    fn read_blocks(&mut self, lba: u32, destination: &mut [u8]) -> Result<(), ReadError> {
        let refused = ReadError { lba, command: 0, attempts: 0, cause: ReadCause::NotStarted };
        self.cards.get_mut(self.active).ok_or(refused)?.read_blocks(lba, destination)
    }

    fn block_count(&self) -> u32 {
        self.card().map_or(0, SdCard::block_count)
    }
}
