//! Cards for the tests.

use std::path::{Path, PathBuf};

use barellama::card::{CardSize, Entry, make};
use fatfs::{Dir, FatType, FileSystem, FormatVolumeOptions, FsOptions};
use fscommon::StreamSlice;
use std::fs::File;
use tempfile::TempDir;

/// Bytes of the cards that are made here: QEMU takes powers of two only.
const CARD_BYTES: u64 = 64 << 20;
const SECTOR_BYTES: u64 = 512;
/// Where the partition begins, if there is one.
const PARTITION_BYTES: u64 = 1 << 20;

/// A folder of a card that is being made.
pub type Folder<'a> = Dir<'a, StreamSlice<File>>;

/// How a card is formatted.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// FAT16 or FAT32.
    pub kind: FatType,
    /// Bytes of a cluster.
    pub cluster_bytes: u32,
    /// A partition table, or a file system from the first sector on.
    pub has_partition: bool,
}

/// A card image in a directory of its own, which goes away with it.
pub struct Card {
    directory: TempDir,
}

impl Card {
    /// A card with these files in its root: name on the card and where it comes from.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn with_files(size: CardSize, files: &[(&str, &Path)]) -> Self {
        let card = Self::directory_only();
        let entries =
            files.iter().map(|(name, source)| Entry { source: (*source).to_owned(), name: (*name).to_owned() });
        make(&card.path(), size, &entries.collect::<Vec<_>>()).expect("the card can be made");
        card
    }

    /// A card of 64 MiB with a model and texts.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn with_model_and_texts(model: &Path, texts: &[(&str, &str)]) -> Self {
        Self::with_files_and_texts(&[("model.gguf", model)], texts)
    }

    /// A card of 64 MiB with texts, for a machine whose model is placed.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn with_texts(texts: &[(&str, &str)]) -> Self {
        Self::with_files_and_texts(&[], texts)
    }

    fn with_files_and_texts(files: &[(&str, &Path)], texts: &[(&str, &str)]) -> Self {
        let sources = tempfile::tempdir().expect("a directory can be made");
        let written = texts.iter().map(|(name, text)| {
            let path = sources.path().join(name);
            std::fs::write(&path, text).expect("a file can be written");
            (*name, path)
        });
        let written = written.collect::<Vec<_>>();
        let mut files = files.to_vec();
        files.extend(written.iter().map(|(name, path)| (*name, path.as_path())));
        Self::with_files(CardSize::Auto, &files)
    }

    /// A card of 64 MiB with these bytes at its start and zeros behind them.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn with_bytes(bytes: &[u8]) -> Self {
        let card = Self::directory_only();
        std::fs::write(card.path(), bytes).expect("the card can be written");
        card.open().set_len(CARD_BYTES).expect("the card can grow");
        card
    }

    /// A card of 64 MiB that is formatted like that and filled by `fill`, which gets the root.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn formatted(format: Format, fill: impl FnOnce(&Folder<'_>)) -> Self {
        let start = if format.has_partition { PARTITION_BYTES } else { 0 };
        let card = if format.has_partition {
            let kind = if format.kind == FatType::Fat32 { 0x0C } else { 0x0E };
            Self::with_bytes(&partition_table(kind, start, CARD_BYTES - start))
        } else {
            Self::with_bytes(&[])
        };
        let image = card.open();
        let mut volume = StreamSlice::new(image, start, CARD_BYTES).expect("the card has a partition");
        let sectors = (CARD_BYTES - start) / SECTOR_BYTES;
        let options = FormatVolumeOptions::new().fat_type(format.kind).bytes_per_cluster(format.cluster_bytes);
        fatfs::format_volume(&mut volume, options.total_sectors(sectors as u32)).expect("the card can be formatted");
        let volume = FileSystem::new(volume, FsOptions::new()).expect("the card can be mounted");
        fill(&volume.root_dir());
        volume.unmount().expect("the card can be unmounted");
        card
    }

    /// Changes sectors of the card.
    ///
    /// # Panics
    /// If it cannot be read or written.
    pub fn change(&self, change: impl FnOnce(&mut [u8])) {
        let mut bytes = std::fs::read(self.path()).expect("the card can be read");
        change(&mut bytes);
        std::fs::write(self.path(), bytes).expect("the card can be written");
    }

    fn open(&self) -> File {
        std::fs::OpenOptions::new().read(true).write(true).open(self.path()).expect("the card can be opened")
    }

    /// Where the image is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("card.img")
    }

    fn directory_only() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory can be made") }
    }
}

/// A first sector with one partition.
#[must_use]
pub fn partition_table(kind: u8, start_bytes: u64, bytes: u64) -> Vec<u8> {
    let mut sector = vec![0; SECTOR_BYTES as usize];
    sector[446 + 4] = kind;
    sector[446 + 8..446 + 12].copy_from_slice(&((start_bytes / SECTOR_BYTES) as u32).to_le_bytes());
    sector[446 + 12..446 + 16].copy_from_slice(&((bytes / SECTOR_BYTES) as u32).to_le_bytes());
    sector[510..].copy_from_slice(&[0x55, 0xAA]);
    sector
}
