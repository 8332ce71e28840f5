//! An SD card image: a master boot record and one FAT32 partition with the files.
//!
//! The size is a power of two, because QEMU takes no other card. Files keep their long names; directories are made as
//! needed. Nothing depends on the time or on the machine: the same files with the same dates give the same image, and with
//! SOURCE_DATE_EPOCH the same contents do.

mod dates;

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use fatfs::{Dir, FatType, FileSystem, FormatVolumeOptions, FsOptions};
use fscommon::StreamSlice;
use indicatif::{ProgressBar, ProgressStyle};
use mbrman::{CHS, MBR, MBRPartitionEntry};
use thiserror::Error;

use dates::Dates;

const SECTOR_BYTES: u64 = 512;
/// The partition starts at 1 MiB, as partitioning tools do: it fits every card's erase blocks.
const PARTITION_START_BYTES: u64 = 1 << 20;
/// Partition type: FAT32 with LBA addressing.
const FAT32_LBA: u8 = 0x0C;
const LABEL: [u8; 11] = *b"BARELLAMA  ";
/// Serial number of the volume; fixed, so that images are reproducible.
const VOLUME_ID: u32 = 0xBA2E_11A3;
/// Clusters to aim for: twice the 65,525 below which a volume would not be FAT32 (Microsoft FAT specification, 3.5).
const CLUSTERS_WANTED: u64 = 1 << 17;
const CLUSTER_BYTES_MAX: u64 = 32 << 10;
/// Smallest card: 131,072 clusters of one sector.
const CARD_BYTES_MIN: u64 = 64 << 20;
/// Largest card: the largest SDXC.
const CARD_BYTES_MAX: u64 = 2 << 40;
const COPY_BYTES: usize = 1 << 20;

/// Why no card image was made.
#[derive(Debug, Error)]
pub enum CardError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file system on the card refused something.
    #[error("{name} on the card: {source}")]
    OnCard {
        /// Which file.
        name: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The partition table could not be written.
    #[error("partition table: {0}")]
    PartitionTable(#[from] mbrman::Error),
    /// The files need more room.
    #[error("the files need a card of {needed}, but {given} was asked for")]
    TooSmall {
        /// Smallest card that holds them.
        needed: CardSize,
        /// What was asked for.
        given: CardSize,
    },
    /// The files need more room than any card has.
    #[error("the files have {0} bytes, more than any SD card holds")]
    TooMuch(u64),
    /// FAT cannot hold the file.
    #[error("{0}: larger than 4 GiB - 1 byte, which is the most that FAT32 holds")]
    FileTooLarge(PathBuf),
    /// The date that all files shall have is none.
    #[error("SOURCE_DATE_EPOCH is {0:?}: give the seconds since 1970 as a whole number, or unset it")]
    Epoch(String),
}

/// How large the card is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardSize {
    /// The smallest power of two, from 64 MiB on, that holds the files.
    Auto,
    /// So many bytes: a power of two from 64 MiB on.
    Bytes(u64),
}

impl FromStr for CardSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let (digits, shift) = match text.as_bytes().last() {
            Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
            Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
            _ => (text, 0),
        };
        digits
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(1 << shift))
            .filter(|bytes| bytes.is_power_of_two() && (CARD_BYTES_MIN..=CARD_BYTES_MAX).contains(bytes))
            .map(Self::Bytes)
            .ok_or_else(|| "expected `auto` or a power of two from 64M on, such as 256M or 2G".to_owned())
    }
}

impl fmt::Display for CardSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Bytes(bytes) if bytes % (1 << 30) == 0 => write!(formatter, "{}G", bytes >> 30),
            Self::Bytes(bytes) => write!(formatter, "{}M", bytes >> 20),
        }
    }
}

/// A file for the card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it comes from.
    pub source: PathBuf,
    /// Its path on the card, with `/`.
    pub name: String,
}

impl Entry {
    /// Reads `PATH` or `PATH=NAME`; without a name the file keeps its own.
    #[must_use]
    pub fn from_argument(argument: &str) -> Self {
        match argument.rsplit_once('=') {
            Some((path, name)) if !Path::new(argument).exists() => Self { source: path.into(), name: name.to_owned() },
            _ => {
                let source = PathBuf::from(argument);
                let name = source.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
                Self { source, name }
            }
        }
    }
}

/// What a card holds, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// Bytes of the image.
    pub bytes: u64,
    /// Bytes of a cluster.
    pub cluster_bytes: u64,
    /// The files, as they were put there.
    pub files: Vec<Copied>,
}

/// A file that was put on a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its path on the card.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Where it came from.
    pub source: PathBuf,
}

/// The firmware that a board reads from the card before the kernel. With `gpu_mem=16`, which our config.txt asks for, it is the
/// cut-down pair (github.com/raspberrypi/documentation, "The boot folder").
const FIRMWARE: [(&str, &[&str]); 2] = [
    ("Raspberry Pi 3 and Zero 2 W", &["bootcode.bin", "start_cd.elf", "fixup_cd.dat"]),
    ("Raspberry Pi 4", &["start4cd.elf", "fixup4cd.dat"]),
];

impl fmt::Display for Card {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = CardSize::Bytes(self.bytes);
        write!(formatter, "{size}, one FAT32 partition at 1 MiB, clusters of {} bytes", self.cluster_bytes)?;
        let columns = self.files.iter().map(|file| file.name.chars().count()).max().unwrap_or(0);
        for Copied { name, bytes, source } in &self.files {
            write!(formatter, "\n  {bytes:>12}  /{name:<columns$}  from {}", source.display())?;
        }
        let mut has_board = false;
        for (board, needed) in FIRMWARE {
            let is_there = |name: &&str| self.files.iter().any(|file| file.name.eq_ignore_ascii_case(name));
            let missing = needed.iter().filter(|name| !is_there(name)).copied().collect::<Vec<_>>();
            has_board |= missing.is_empty();
            match missing.len() {
                0 => write!(formatter, "\n{board}: its firmware is there")?,
                count if count < needed.len() => write!(formatter, "\n{board}: missing {}", missing.join(", "))?,
                _ => {}
            }
        }
        if has_board {
            return Ok(());
        }
        formatter
            .write_str("\nNo board boots from this card, only QEMU: it lacks the firmware (make card FIRMWARE=debian)")
    }
}

/// All files below a directory, with their paths relative to it, in the order of their names.
///
/// # Errors
/// [`CardError::File`] if a directory cannot be read.
pub fn directory_entries(directory: &Path) -> Result<Vec<Entry>, CardError> {
    let mut entries = Vec::new();
    collect(directory, "", &mut entries)?;
    entries.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(entries)
}

fn collect(directory: &Path, prefix: &str, entries: &mut Vec<Entry>) -> Result<(), CardError> {
    for found in fs::read_dir(directory).map_err(|source| file_error(directory, source))? {
        let found = found.map_err(|source| file_error(directory, source))?;
        let name = format!("{prefix}{}", found.file_name().to_string_lossy());
        if found.path().is_dir() {
            collect(&found.path(), &format!("{name}/"), entries)?;
        } else {
            entries.push(Entry { source: found.path(), name });
        }
    }
    Ok(())
}

/// Makes a card image at `output`. An image that is there is replaced; free space stays a hole in the file.
///
/// # Errors
/// [`CardError`] if the files do not fit or cannot be read, or the image cannot be written.
pub fn make(output: &Path, size: CardSize, entries: &[Entry]) -> Result<Card, CardError> {
    let dates = Dates::new(std::env::var_os("SOURCE_DATE_EPOCH").as_deref())?;
    let sizes = entries.iter().map(source_bytes).collect::<Result<Vec<_>, _>>()?;
    let bytes = choose_size(size, &sizes)?;
    let at_output = |source| file_error(output, source);
    let mut image =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(output).map_err(at_output)?;
    image.set_len(bytes).map_err(at_output)?;
    write_partition_table(&mut image, bytes)?;

    let cluster_bytes = cluster_bytes(bytes);
    let mut partition = StreamSlice::new(image, PARTITION_START_BYTES, bytes).map_err(at_output)?;
    fatfs::format_volume(&mut partition, format_options(bytes, cluster_bytes)).map_err(at_output)?;
    // The library keeps its clock for good: some bytes for each card.
    let dates = &*Box::leak(Box::new(dates));
    let options = FsOptions::new().time_provider(dates);
    let volume = FileSystem::new(partition, options).map_err(at_output)?;

    let bar = progress_bar(sizes.iter().sum());
    let mut files = Vec::new();
    for (entry, size) in entries.iter().zip(sizes) {
        dates.follow(&fs::metadata(&entry.source).map_err(|source| file_error(&entry.source, source))?);
        copy(&volume.root_dir(), entry, &bar)?;
        files.push(Copied { name: entry.name.clone(), bytes: size, source: entry.source.clone() });
    }
    bar.finish_and_clear();
    volume.unmount().map_err(at_output)?;
    Ok(Card { bytes, cluster_bytes, files })
}

fn source_bytes(entry: &Entry) -> Result<u64, CardError> {
    let bytes = fs::metadata(&entry.source).map_err(|source| file_error(&entry.source, source))?.len();
    if bytes > u64::from(u32::MAX) {
        return Err(CardError::FileTooLarge(entry.source.clone()));
    }
    Ok(bytes)
}

fn choose_size(size: CardSize, files: &[u64]) -> Result<u64, CardError> {
    let fits = |card: u64| needed_bytes(card, files) <= card;
    let mut smallest = CARD_BYTES_MIN;
    while !fits(smallest) {
        smallest *= 2;
        if smallest > CARD_BYTES_MAX {
            return Err(CardError::TooMuch(files.iter().sum()));
        }
    }
    match size {
        CardSize::Auto => Ok(smallest),
        CardSize::Bytes(given) if given >= smallest => Ok(given),
        given => Err(CardError::TooSmall { needed: CardSize::Bytes(smallest), given }),
    }
}

/// Upper bound of what the files take on a card of that size: clusters, two tables, directories.
fn needed_bytes(card: u64, files: &[u64]) -> u64 {
    let cluster = cluster_bytes(card);
    let data: u64 = files.iter().map(|bytes| bytes.next_multiple_of(cluster)).sum();
    let tables = 2 * 4 * (card / cluster) + (64 << 10);
    let directories = (files.len() as u64 + 1) * cluster.max(1024);
    PARTITION_START_BYTES + data + tables + directories
}

fn cluster_bytes(card: u64) -> u64 {
    (card / CLUSTERS_WANTED).clamp(SECTOR_BYTES, CLUSTER_BYTES_MAX)
}

fn write_partition_table(image: &mut File, bytes: u64) -> Result<(), CardError> {
    let mut table = MBR::new_from(image, SECTOR_BYTES as u32, VOLUME_ID.to_le_bytes())?;
    let sectors = (bytes - PARTITION_START_BYTES) / SECTOR_BYTES;
    table[1] = MBRPartitionEntry {
        boot: mbrman::BOOT_INACTIVE,
        first_chs: CHS::empty(),
        sys: FAT32_LBA,
        last_chs: CHS::empty(),
        starting_lba: (PARTITION_START_BYTES / SECTOR_BYTES) as u32,
        sectors: u32::try_from(sectors).unwrap_or(u32::MAX),
    };
    table.write_into(image)?;
    Ok(())
}

fn format_options(card: u64, cluster_bytes: u64) -> FormatVolumeOptions {
    let sectors = (card - PARTITION_START_BYTES) / SECTOR_BYTES;
    FormatVolumeOptions::new()
        .fat_type(FatType::Fat32)
        .bytes_per_cluster(cluster_bytes as u32)
        .total_sectors(u32::try_from(sectors).unwrap_or(u32::MAX))
        .volume_id(VOLUME_ID)
        .volume_label(LABEL)
}

type CardDirectory<'a> = Dir<'a, StreamSlice<File>>;

fn copy(root: &CardDirectory<'_>, entry: &Entry, bar: &ProgressBar) -> Result<(), CardError> {
    let on_card = |source| CardError::OnCard { name: entry.name.clone(), source };
    let mut source = File::open(&entry.source).map_err(|source| file_error(&entry.source, source))?;
    make_parents(root, &entry.name).map_err(on_card)?;
    let mut target = root.create_file(&entry.name).map_err(on_card)?;
    target.truncate().map_err(on_card)?;
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let count = source.read(&mut buffer).map_err(|source| file_error(&entry.source, source))?;
        if count == 0 {
            break;
        }
        target.write_all(&buffer[..count]).map_err(on_card)?;
        bar.inc(count as u64);
    }
    target.seek(SeekFrom::Start(0)).map_err(on_card)?;
    target.flush().map_err(on_card)
}

fn make_parents(root: &CardDirectory<'_>, name: &str) -> io::Result<()> {
    for (at, _) in name.match_indices('/') {
        root.create_dir(&name[..at])?;
    }
    Ok(())
}

fn progress_bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}") {
        bar.set_style(style);
    }
    bar
}

fn file_error(path: &Path, source: io::Error) -> CardError {
    CardError::File { path: path.to_owned(), source }
}
