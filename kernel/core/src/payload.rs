//! The engine's ELF, which the build appends to the kernel's flat image.
//!
//! Layout: the magic `BARELAMA`, the length of the ELF as little-endian `u64`, the ELF, padding to a multiple of 8, [`crate::symbols`]. Pure: reads bytes, maps nothing.
//! Source of the format: System V ABI, "ELF-64 Object File Format" version 1.5.

use barellama_abi::layout::{ENGINE_BASE, ENGINE_END, PAGE_BYTES};
use heapless::Vec;

use crate::symbols::Symbols;

/// The first bytes of the payload.
pub const MAGIC: [u8; 8] = *b"BARELAMA";
/// The most loadable segments.
pub const SEGMENTS_MAX: usize = 4;

const HEADER_BYTES: usize = 16;
const ELF_MACHINE_AARCH64: u16 = 183;
const SEGMENT_LOAD: u32 = 1;
const FLAG_EXECUTE: u32 = 1;
const FLAG_WRITE: u32 = 2;

/// What EL0 may do with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentAccess {
    /// Code.
    ReadExecute,
    /// Constants.
    ReadOnly,
    /// Data and zeroed data.
    ReadWrite,
}

/// A loadable segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// First virtual address, on a page boundary.
    pub address: u64,
    /// Bytes in memory; what the file does not give is zero.
    pub memory_bytes: u64,
    /// The bytes that the file gives.
    pub contents: &'a [u8],
    /// What EL0 may do with it.
    pub access: SegmentAccess,
}

/// The engine as it lies in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineImage<'a> {
    /// First instruction.
    pub entry: u64,
    /// Its segments in ascending order.
    pub segments: Vec<Segment<'a>, SEGMENTS_MAX>,
    /// Bytes of the ELF.
    pub elf_bytes: usize,
}

/// Why the payload is not an engine. All of these mean that `kernel8.img` was built or copied wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadError {
    /// The magic is missing.
    NoPayload,
    /// The length does not fit the window or the bytes end early.
    CutOff,
    /// It is not a 64-bit little-endian executable for AArch64.
    NotAnElf,
    /// A segment lies outside the engine's window, is not on a page boundary, overlaps or is both writable and executable.
    BadSegment,
}

impl core::fmt::Display for PayloadError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NoPayload => "kernel8.img holds no engine: build it with `make image`",
            Self::CutOff => "the engine in kernel8.img is cut off: copy the file again",
            Self::NotAnElf => "the engine in kernel8.img is not an AArch64 ELF: build it with `make image`",
            Self::BadSegment => "the engine in kernel8.img does not fit its window: build it with `make image`",
        })
    }
}

impl<'a> EngineImage<'a> {
    /// Reads the payload window.
    ///
    /// # Errors
    /// [`PayloadError`] if it holds no valid engine.
    pub fn parse(window: &'a [u8]) -> Result<Self, PayloadError> {
        if window.get(..MAGIC.len()) != Some(&MAGIC) {
            return Err(PayloadError::NoPayload);
        }
        let length = usize::try_from(field_u64(window, MAGIC.len()).ok_or(PayloadError::CutOff)?)
            .map_err(|_| PayloadError::CutOff)?;
        let end = HEADER_BYTES.checked_add(length).ok_or(PayloadError::CutOff)?;
        parse_elf(window.get(HEADER_BYTES..end).ok_or(PayloadError::CutOff)?)
    }
}

/// The names of the engine's functions, which follow the ELF on the next multiple of 8 bytes; `None` if there are none.
#[must_use]
pub fn symbols(window: &[u8]) -> Option<Symbols<'_>> {
    let length = usize::try_from(field_u64(window, MAGIC.len())?).ok()?;
    let at = HEADER_BYTES.checked_add(length)?.checked_next_multiple_of(8)?;
    Symbols::parse(window.get(at..)?)
}

fn parse_elf(elf: &[u8]) -> Result<EngineImage<'_>, PayloadError> {
    let is_elf = elf.get(..6) == Some(&[0x7F, b'E', b'L', b'F', 2, 1]);
    if !is_elf || field_u16(elf, 18) != Some(ELF_MACHINE_AARCH64) {
        return Err(PayloadError::NotAnElf);
    }
    let entry = field_u64(elf, 24).ok_or(PayloadError::NotAnElf)?;
    let table = field_u64(elf, 32).ok_or(PayloadError::NotAnElf)?;
    let entry_bytes = u64::from(field_u16(elf, 54).ok_or(PayloadError::NotAnElf)?);
    let count = u64::from(field_u16(elf, 56).ok_or(PayloadError::NotAnElf)?);

    let mut segments = Vec::<Segment<'_>, SEGMENTS_MAX>::new();
    for index in 0..count {
        let at = table.checked_add(index * entry_bytes).ok_or(PayloadError::NotAnElf)?;
        let at = usize::try_from(at).map_err(|_| PayloadError::NotAnElf)?;
        let Some(segment) = parse_segment(elf, at)? else { continue };
        let lowest = segments.last().map_or(ENGINE_BASE, |last| last.address + last.memory_bytes);
        if segment.address < lowest {
            return Err(PayloadError::BadSegment);
        }
        segments.push(segment).map_err(|_| PayloadError::BadSegment)?;
    }
    let has_entry = segments.iter().any(|segment| {
        segment.access == SegmentAccess::ReadExecute
            && (segment.address..segment.address + segment.memory_bytes).contains(&entry)
    });
    if !has_entry {
        return Err(PayloadError::BadSegment);
    }
    Ok(EngineImage { entry, segments, elf_bytes: elf.len() })
}

/// The segment of a program header; `None` if it is not loaded.
fn parse_segment(elf: &[u8], at: usize) -> Result<Option<Segment<'_>>, PayloadError> {
    let kind = field_u32(elf, at).ok_or(PayloadError::NotAnElf)?;
    let flags = field_u32(elf, at.saturating_add(4)).ok_or(PayloadError::NotAnElf)?;
    let mut fields = [0_u64; 6];
    for (index, field) in fields.iter_mut().enumerate() {
        *field = field_u64(elf, at.saturating_add(8 + index * 8)).ok_or(PayloadError::NotAnElf)?;
    }
    let [offset, address, _physical, file_bytes, memory_bytes, _alignment] = fields;
    if kind != SEGMENT_LOAD || memory_bytes == 0 {
        return Ok(None);
    }
    let access = match (flags & FLAG_EXECUTE != 0, flags & FLAG_WRITE != 0) {
        (true, true) => return Err(PayloadError::BadSegment),
        (true, false) => SegmentAccess::ReadExecute,
        (false, true) => SegmentAccess::ReadWrite,
        (false, false) => SegmentAccess::ReadOnly,
    };
    let end = address.checked_add(memory_bytes).ok_or(PayloadError::BadSegment)?;
    let fits = address >= ENGINE_BASE && end <= ENGINE_END && address.is_multiple_of(PAGE_BYTES);
    if !fits || file_bytes > memory_bytes {
        return Err(PayloadError::BadSegment);
    }
    let start = usize::try_from(offset).map_err(|_| PayloadError::CutOff)?;
    let length = usize::try_from(file_bytes).map_err(|_| PayloadError::CutOff)?;
    let contents = start.checked_add(length).and_then(|end| elf.get(start..end)).ok_or(PayloadError::CutOff)?;
    Ok(Some(Segment { address, memory_bytes: memory_bytes.next_multiple_of(PAGE_BYTES), contents, access }))
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn field_u16(bytes: &[u8], at: usize) -> Option<u16> {
    field(bytes, at).map(u16::from_le_bytes)
}

fn field_u32(bytes: &[u8], at: usize) -> Option<u32> {
    field(bytes, at).map(u32::from_le_bytes)
}

fn field_u64(bytes: &[u8], at: usize) -> Option<u64> {
    field(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;
    use std::vec::Vec as StdVec;

    fn program_header(flags: u32, offset: u64, address: u64, file_bytes: u64, memory_bytes: u64) -> StdVec<u8> {
        let mut header = StdVec::new();
        header.extend(SEGMENT_LOAD.to_le_bytes());
        header.extend(flags.to_le_bytes());
        for field in [offset, address, address, file_bytes, memory_bytes, PAGE_BYTES] {
            header.extend(field.to_le_bytes());
        }
        header
    }

    fn window(headers: &[StdVec<u8>]) -> StdVec<u8> {
        let mut elf = vec![0_u8; 64];
        elf[..6].copy_from_slice(&[0x7F, b'E', b'L', b'F', 2, 1]);
        elf[18..20].copy_from_slice(&ELF_MACHINE_AARCH64.to_le_bytes());
        elf[24..32].copy_from_slice(&ENGINE_BASE.to_le_bytes());
        elf[32..40].copy_from_slice(&64_u64.to_le_bytes());
        elf[54..56].copy_from_slice(&56_u16.to_le_bytes());
        elf[56..58].copy_from_slice(&(headers.len() as u16).to_le_bytes());
        for header in headers {
            elf.extend(header);
        }
        elf.resize(0x1000, 0x55);
        let mut window = MAGIC.to_vec();
        window.extend((elf.len() as u64).to_le_bytes());
        window.extend(elf);
        window.resize(window.len() + 100, 0);
        window
    }

    fn good_headers() -> StdVec<StdVec<u8>> {
        vec![
            program_header(5, 0x400, ENGINE_BASE, 0x100, 0x100),
            program_header(4, 0x500, ENGINE_BASE + 0x1000, 0x20, 0x20),
            program_header(6, 0x600, ENGINE_BASE + 0x2000, 0x10, 0x5000),
        ]
    }

    #[test]
    fn a_good_engine_is_read() {
        let window = window(&good_headers());
        let image = EngineImage::parse(&window).unwrap();
        assert_eq!(image.entry, ENGINE_BASE);
        assert_eq!(image.segments.len(), 3);
        assert_eq!(image.segments[2].access, SegmentAccess::ReadWrite);
        assert_eq!(image.segments[2].memory_bytes, 0x5000);
        assert_eq!(image.segments[2].contents, [0x55; 0x10]);
    }

    #[test]
    fn writable_code_is_refused() {
        let mut headers = good_headers();
        headers[0] = program_header(7, 0x400, ENGINE_BASE, 0x100, 0x100);
        assert_eq!(EngineImage::parse(&window(&headers)), Err(PayloadError::BadSegment));
    }

    #[test]
    fn segments_outside_the_window_or_overlapping_are_refused() {
        for header in [
            program_header(6, 0x600, 0x1000, 0x10, 0x5000),
            program_header(6, 0x600, ENGINE_END - 0x1000, 0x10, 0x5000),
            program_header(6, 0x600, ENGINE_BASE, 0x10, 0x5000),
            program_header(6, 0x600, u64::MAX - 0xFFF, 0x10, 0x5000),
        ] {
            let mut headers = good_headers();
            headers[2] = header;
            assert_eq!(EngineImage::parse(&window(&headers)), Err(PayloadError::BadSegment));
        }
    }

    #[test]
    fn every_prefix_is_an_error_or_the_same_engine() {
        let window = window(&good_headers());
        let whole = EngineImage::parse(&window).unwrap();
        for length in 0..window.len() {
            if let Ok(image) = EngineImage::parse(&window[..length]) {
                assert_eq!(image, whole);
            }
        }
        assert_eq!(EngineImage::parse(&[0; 64]), Err(PayloadError::NoPayload));
    }
}
