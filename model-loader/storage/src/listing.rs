//! The models of a card, found folder by folder so that the console lives while a large card is looked through.

use crate::block::BlockReader;
use crate::cache::CachedBlocks;
use crate::error::StorageError;
use crate::volume::{PATH_BYTES_MAX, Volume};
use core::cmp::Ordering;
use core::ops::ControlFlow;

/// How many models are listed.
pub const MODELS_MAX: usize = 16;
/// How many folders are looked into, the root included. A card of Raspberry Pi OS has two.
pub const FOLDERS_MAX: usize = 32;
const MODEL_SUFFIX: &str = ".gguf";
/// What is left of the suffix in the short name of a file whose long one is lost, and what shows that there was one.
const SHORT_SUFFIX: &str = ".GGU";
const SHORT_NAME_MARK: char = '~';
/// `.` and `..`, and what other systems hide: macOS leaves `._NAME` beside each file that it copies.
const HIDDEN_PREFIX: &str = ".";

/// A path on the card: folders and name, separated by `/`.
pub type Path = heapless::String<PATH_BYTES_MAX>;

/// A model on the card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// Where it lies, for [`Volume::open`]: folders and name, separated by `/`.
    pub path: Path,
    /// Its size in bytes; 0 for a file that was never copied whole.
    pub bytes: u32,
}

/// The models on the card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Models {
    /// Those of the root first, then those of its folders, and so on; in each depth in the order of their paths.
    pub list: heapless::Vec<ModelFile, MODELS_MAX>,
    /// How many more there are that the list has no room for.
    pub omitted: u32,
    /// How many folders were not looked into, because there are more than [`FOLDERS_MAX`] or their path is too long.
    pub folders_omitted: u32,
}

/// A walk through the folders, nearest to the root first. Folders in a circle end where no more are looked into.
#[derive(Debug)]
pub struct Listing {
    models: Models,
    /// Folders that were found; the root is the empty path.
    folders: heapless::Vec<Path, FOLDERS_MAX>,
    folders_done: usize,
    /// The first folder that could not be read: an error only if no model is found elsewhere.
    damage: Option<StorageError>,
}

impl Listing {
    /// Before the root.
    #[must_use]
    pub const fn new() -> Self {
        let models = Models { list: heapless::Vec::new(), omitted: 0, folders_omitted: 0 };
        Self { models, folders: heapless::Vec::new(), folders_done: 0, damage: None }
    }

    /// What was found so far.
    #[must_use]
    pub fn models(&self) -> &Models {
        &self.models
    }

    /// Looks into the next folder. Returns whether that was the last one.
    ///
    /// # Errors
    /// [`StorageError::Read`], [`StorageError::Directory`] or [`StorageError::DirectoryDamaged`] of the root; of another folder
    /// only at the end, if no model was found.
    pub fn step<R: BlockReader>(
        &mut self,
        volume: &Volume,
        blocks: &mut CachedBlocks<R>,
    ) -> Result<bool, StorageError> {
        if self.folders.is_empty() {
            // An empty list has room.
            let _ = self.folders.push(Path::new());
        }
        let Some(folder) = self.folders.get(self.folders_done).cloned() else { return self.finish() };
        self.folders_done += 1;
        match self.look_into(volume, blocks, &folder) {
            Err(error) if folder.is_empty() => return Err(error),
            Err(error) => self.damage = self.damage.or(Some(error)),
            Ok(()) => {}
        }
        if self.folders_done < self.folders.len() { Ok(false) } else { self.finish() }
    }

    /// The path of a model that may have had no room in the list: the first file in the folders that were found whose name this is, with
    /// or without its `.gguf`.
    ///
    /// # Errors
    /// [`StorageError::FileNotFound`], or what reading the folders says.
    pub fn find<R: BlockReader>(
        &self,
        volume: &Volume,
        blocks: &mut CachedBlocks<R>,
        wanted: &str,
    ) -> Result<Path, StorageError> {
        for folder in &self.folders {
            let mut found = None;
            volume.each_entry(blocks, folder, |name, is_directory, _| {
                let stem = name.get(..name.len().saturating_sub(MODEL_SUFFIX.len())).unwrap_or(name);
                let is_it = name.eq_ignore_ascii_case(wanted) || stem.eq_ignore_ascii_case(wanted);
                if is_directory || !is_model_name(name) || !is_it {
                    return ControlFlow::Continue(());
                }
                found = join(folder, name);
                ControlFlow::Break(())
            })?;
            if let Some(path) = found {
                return Ok(path);
            }
        }
        Err(StorageError::FileNotFound)
    }

    fn finish(&mut self) -> Result<bool, StorageError> {
        self.models.list.sort_unstable_by(by_depth_and_path);
        match self.damage {
            Some(error) if self.models.list.is_empty() => Err(error),
            _ => Ok(true),
        }
    }

    fn look_into<R: BlockReader>(
        &mut self,
        volume: &Volume,
        blocks: &mut CachedBlocks<R>,
        folder: &str,
    ) -> Result<(), StorageError> {
        volume.each_entry(blocks, folder, |name, is_directory, bytes| {
            if name.starts_with(HIDDEN_PREFIX) {
                return ControlFlow::Continue(());
            }
            let path = join(folder, name);
            if is_directory {
                let is_kept = path.is_some_and(|path| self.folders.push(path).is_ok());
                self.models.folders_omitted = self.models.folders_omitted.saturating_add(u32::from(!is_kept));
            } else if is_model_name(name) {
                let is_kept = path.is_some_and(|path| self.models.list.push(ModelFile { path, bytes }).is_ok());
                self.models.omitted = self.models.omitted.saturating_add(u32::from(!is_kept));
            }
            ControlFlow::Continue(())
        })
    }
}

impl Default for Listing {
    fn default() -> Self {
        Self::new()
    }
}

fn join(folder: &str, name: &str) -> Option<Path> {
    let mut path = Path::new();
    path.push_str(folder).ok()?;
    if !folder.is_empty() {
        path.push('/').ok()?;
    }
    path.push_str(name).ok()?;
    Some(path)
}

fn by_depth_and_path(left: &ModelFile, right: &ModelFile) -> Ordering {
    let depth = |model: &ModelFile| model.path.matches('/').count();
    depth(left).cmp(&depth(right)).then_with(|| left.path.cmp(&right.path))
}

fn is_model_name(name: &str) -> bool {
    let is_shortened = name.contains(SHORT_NAME_MARK) && ends_with(name, SHORT_SUFFIX);
    ends_with(name, MODEL_SUFFIX) || is_shortened
}

/// Whether a name has this end, without regard to the case of ASCII letters.
fn ends_with(name: &str, end: &str) -> bool {
    let start = name.len().checked_sub(end.len());
    start.and_then(|start| name.get(start..)).is_some_and(|suffix| suffix.eq_ignore_ascii_case(end))
}
