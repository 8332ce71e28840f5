//! Packs `kernel8.img`: the kernel as a flat binary, the engine's ELF appended behind it.
//!
//! ```text
//! 0                  the kernel's loadable segments, at the distances they are linked at
//! payload offset     "BARELAMA", length of the engine's ELF (u64, little-endian), the ELF
//!                    on a multiple of 8 behind it: the names of its functions, see [`crate::symbols`]
//! ```
//!
//! The payload offset is the linker symbol `__payload_start` minus the lowest linked address. The engine's ELF keeps only
//! what a loader reads.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use object::build::elf::{Builder, SectionData};
use object::elf;
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Endianness, Object, ObjectSymbol};
use thiserror::Error;

use crate::symbols;

/// What the payload starts with; the kernel looks for it.
pub const PAYLOAD_MAGIC: &[u8; 8] = b"BARELAMA";
/// The linker symbol where the payload starts.
pub const PAYLOAD_SYMBOL: &str = "__payload_start";
/// The linker symbol behind the room that the kernel keeps for the payload.
pub const PAYLOAD_END_SYMBOL: &str = "__payload_end";
/// The most bytes that a kernel may have: an ELF that asks for more is linked wrongly (two halves in one image).
const KERNEL_BYTES_MAX: u64 = 64 << 20;

/// Why no image was made.
#[derive(Debug, Error)]
pub enum ImageError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// One of the files is not an ELF file for a 64-bit little-endian machine.
    #[error("{0}: not a 64-bit ELF file: {1}")]
    NotElf(&'static str, String),
    /// The kernel has nothing to load.
    #[error("kernel: no loadable segment; is it linked with linker/kernel.ld?")]
    NothingToLoad,
    /// The segments lie too far apart for a flat binary.
    #[error("kernel: the segments span {0} bytes, at most {KERNEL_BYTES_MAX} make sense; check linker/kernel.ld")]
    TooLarge(u64),
    /// The linker script does not say where the payload goes.
    #[error("kernel: no symbol {0}; linker/kernel.ld must define it behind the last loaded section")]
    NoPayloadSymbol(&'static str),
    /// The engine does not fit where the kernel expects it.
    #[error("engine: {payload} bytes with its header, but linker/kernel.ld keeps room for {window}")]
    EngineTooLarge {
        /// Bytes of the payload.
        payload: u64,
        /// Bytes from one payload symbol to the other.
        window: u64,
    },
    /// The payload would overwrite the kernel.
    #[error("kernel: {PAYLOAD_SYMBOL} is at offset {payload:#x}, but the kernel's bytes end at {end:#x}")]
    PayloadInsideKernel {
        /// Offset of the payload in the image.
        payload: u64,
        /// End of the kernel's bytes in the image.
        end: u64,
    },
}

/// What was packed, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Bytes of the kernel's flat binary.
    pub kernel_bytes: usize,
    /// Bytes of the engine's ELF as it was appended.
    pub engine_bytes: usize,
    /// Offset of the payload in the image.
    pub payload_offset: usize,
    /// Bytes of the image.
    pub image_bytes: usize,
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel_bytes, engine_bytes, payload_offset, image_bytes } = self;
        write!(
            formatter,
            "{image_bytes} bytes (kernel {kernel_bytes}, engine {engine_bytes} at offset {payload_offset:#x})"
        )
    }
}

/// Packs two ELF files into an image file.
///
/// # Errors
/// [`ImageError`] if a file cannot be read or written or does not have the form above.
pub fn pack_files(kernel: &Path, engine: &Path, output: &Path) -> Result<Summary, ImageError> {
    let read = |path: &Path| std::fs::read(path).map_err(|source| file_error(path, source));
    let (image, summary) = pack(&read(kernel)?, &read(engine)?)?;
    std::fs::write(output, image).map_err(|source| file_error(output, source))?;
    Ok(summary)
}

/// Packs the bytes of two ELF files into the bytes of an image.
///
/// # Errors
/// [`ImageError`] if one of them does not have the form above.
pub fn pack(kernel: &[u8], engine: &[u8]) -> Result<(Vec<u8>, Summary), ImageError> {
    let Kernel { mut image, payload_offset, window_bytes } = flatten(kernel)?;
    let kernel_bytes = image.len();
    let symbols = engine_symbols(engine)?;
    let engine = strip(engine)?;
    let symbols_offset = (PAYLOAD_MAGIC.len() + size_of::<u64>() + engine.len()).next_multiple_of(8);
    let payload_bytes = (symbols_offset + symbols.len()) as u64;
    if payload_bytes > window_bytes {
        return Err(ImageError::EngineTooLarge { payload: payload_bytes, window: window_bytes });
    }
    image.resize(payload_offset, 0);
    image.extend_from_slice(PAYLOAD_MAGIC);
    image.extend_from_slice(&(engine.len() as u64).to_le_bytes());
    image.extend_from_slice(&engine);
    if !symbols.is_empty() {
        image.resize(payload_offset + symbols_offset, 0);
        image.extend_from_slice(&symbols);
    }
    let summary = Summary { kernel_bytes, engine_bytes: engine.len(), payload_offset, image_bytes: image.len() };
    Ok((image, summary))
}

/// The kernel without its payload.
struct Kernel {
    /// Its loadable bytes as they lie in memory.
    image: Vec<u8>,
    /// Where the payload goes.
    payload_offset: usize,
    /// Room for the payload.
    window_bytes: u64,
}

fn flatten(bytes: &[u8]) -> Result<Kernel, ImageError> {
    let not_elf = |error: object::Error| ImageError::NotElf("kernel", error.to_string());
    let file = ElfFile64::<Endianness>::parse(bytes).map_err(not_elf)?;
    let endian = file.endian();
    let loaded = || file.elf_program_headers().iter().filter(|header| header.p_type(endian) == elf::PT_LOAD);
    let base = loaded().map(|header| header.p_vaddr(endian)).min().ok_or(ImageError::NothingToLoad)?;

    let mut image = Vec::new();
    for header in loaded() {
        let data = header.data(endian, bytes).map_err(|()| ImageError::NotElf("kernel", "cut off".into()))?;
        if data.is_empty() {
            continue;
        }
        let start = header.p_vaddr(endian) - base;
        let end = start.saturating_add(data.len() as u64);
        if end > KERNEL_BYTES_MAX {
            return Err(ImageError::TooLarge(end));
        }
        let (start, end) = (start as usize, end as usize);
        image.resize(image.len().max(end), 0);
        image[start..end].copy_from_slice(data);
    }

    let payload = symbol_offset(&file, PAYLOAD_SYMBOL, base)?;
    let payload_end = symbol_offset(&file, PAYLOAD_END_SYMBOL, base)?;
    let end = image.len() as u64;
    if payload < end {
        return Err(ImageError::PayloadInsideKernel { payload, end });
    }
    if payload > KERNEL_BYTES_MAX {
        return Err(ImageError::TooLarge(payload));
    }
    Ok(Kernel { image, payload_offset: payload as usize, window_bytes: payload_end.saturating_sub(payload) })
}

/// Offset of a linker symbol in the image.
fn symbol_offset(file: &ElfFile64<'_, Endianness>, name: &'static str, base: u64) -> Result<u64, ImageError> {
    file.symbols()
        .find(|symbol| symbol.name() == Ok(name))
        .map(|symbol| symbol.address().wrapping_sub(base))
        .ok_or(ImageError::NoPayloadSymbol(name))
}

/// The names of the engine's functions.
fn engine_symbols(bytes: &[u8]) -> Result<Vec<u8>, ImageError> {
    let not_elf = |error: object::Error| ImageError::NotElf("engine", error.to_string());
    Ok(symbols::table(&ElfFile64::<Endianness>::parse(bytes).map_err(not_elf)?))
}

/// An ELF file without the sections that are not loaded: symbols, debug information.
fn strip(bytes: &[u8]) -> Result<Vec<u8>, ImageError> {
    let not_elf = |error: String| ImageError::NotElf("engine", error);
    let mut builder = Builder::read(bytes).map_err(|error| not_elf(error.to_string()))?;
    for section in &mut builder.sections {
        let is_loaded = section.sh_flags & elf::SHF_ALLOC != elf::SectionFlags(0);
        section.delete = !is_loaded && !matches!(section.data, SectionData::SectionString);
    }
    for symbol in &mut builder.symbols {
        symbol.delete = true;
    }
    let mut output = Vec::new();
    builder.write(&mut output).map_err(|error| not_elf(error.to_string()))?;
    Ok(output)
}

fn file_error(path: &Path, source: io::Error) -> ImageError {
    ImageError::File { path: path.to_owned(), source }
}
