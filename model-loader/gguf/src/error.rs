//! What can be wrong with a file, and where.

use core::fmt;

use crate::tensor_type::TensorType;

/// A key or tensor name inside an error, cut to 56 bytes.
pub type ShortName = heapless::String<56, u8>;

/// The check that a file failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The first four bytes are not `GGUF`.
    Magic,
    /// The file is big-endian.
    BigEndian,
    /// The version is neither 2 nor 3.
    Version(u32),
    /// More keys than [`crate::METADATA_MAX`] or than the file has room for.
    MetadataCount(u64),
    /// More tensors than [`crate::TENSORS_MAX`] or than the file has room for.
    TensorCount(u64),
    /// The file ends inside a field.
    Truncated,
    /// A key or tensor name is empty or longer than [`crate::NAME_BYTES_MAX`].
    NameLength(u64),
    /// A string is longer than the rest of the file.
    StringLength(u64),
    /// A string is not UTF-8.
    Utf8,
    /// The value type has no meaning.
    ValueType(u32),
    /// An array holds arrays.
    NestedArray,
    /// An array has more elements than the rest of the file has room for.
    ArrayLength(u64),
    /// A boolean is neither 0 nor 1.
    Boolean(u8),
    /// Two keys have the same name.
    DuplicateKey,
    /// Two tensors have the same name.
    DuplicateTensor,
    /// `general.alignment` is not a power of two from 8 to 65536.
    Alignment(u32),
    /// A tensor has no dimensions or more than four.
    DimensionCount(u32),
    /// A dimension is zero, or the product of all overflows.
    Dimensions,
    /// The tensor type was taken out of the format; the name tells which.
    RemovedType(&'static str),
    /// The tensor type is not known.
    UnknownType(u32),
    /// A row of a quantized tensor is not a whole number of blocks.
    RowBlocks(TensorType),
    /// The tensor's offset is not aligned.
    TensorAlignment(u64),
    /// The tensor's data does not lie inside the file.
    TensorOutsideFile {
        /// Offset of its data in the file, in bytes; `u64::MAX` if that overflows.
        start: u64,
        /// Its size in bytes.
        bytes: u64,
    },
    /// The tensor's data overlaps another tensor's.
    TensorOverlap,
    /// The file is one part of several.
    Split(u64),
    /// No memory for the index.
    OutOfMemory,
}

impl fmt::Display for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => write!(
                formatter,
                "this is not a GGUF file (the magic is missing): is it a web page or a Git LFS pointer? Download the model again"
            ),
            Self::BigEndian => write!(formatter, "the file is big-endian; convert it to little-endian"),
            Self::Version(1) => write!(formatter, "GGUF version 1 is too old; convert the model again"),
            Self::Version(version) => write!(formatter, "GGUF version {version} is not supported (2 and 3 are)"),
            Self::MetadataCount(count) => {
                write!(formatter, "{count} metadata keys are more than the file or the limit allows; copy it again")
            }
            Self::TensorCount(count) => {
                write!(formatter, "{count} tensors are more than the file or the limit allows; copy it again")
            }
            Self::Truncated => write!(formatter, "the file ends inside a field; copy it again"),
            Self::NameLength(bytes) => {
                write!(formatter, "a name of {bytes} bytes (1 to {} allowed)", crate::NAME_BYTES_MAX)
            }
            Self::StringLength(bytes) => {
                write!(formatter, "a string of {bytes} bytes does not fit in the file; copy it again")
            }
            Self::Utf8 => write!(formatter, "a string is not UTF-8"),
            Self::ValueType(number) => write!(formatter, "value type {number} is not known"),
            Self::NestedArray => write!(formatter, "an array of arrays is not supported"),
            Self::ArrayLength(count) => {
                write!(formatter, "an array of {count} elements does not fit in the file; copy it again")
            }
            Self::Boolean(byte) => write!(formatter, "a boolean has the value {byte}"),
            Self::DuplicateKey => write!(formatter, "the key is there twice"),
            Self::DuplicateTensor => write!(formatter, "the tensor is there twice"),
            Self::Alignment(alignment) => {
                write!(formatter, "an alignment of {alignment} is not a power of two from 8 to 65536")
            }
            Self::DimensionCount(count) => write!(formatter, "{count} dimensions (1 to 4 allowed)"),
            Self::Dimensions => write!(formatter, "a dimension is zero or the number of elements overflows"),
            Self::RemovedType(name) => {
                write!(formatter, "the tensor type {name} was removed from GGUF; quantize the model again")
            }
            Self::UnknownType(number) => write!(formatter, "tensor type {number} is not known"),
            Self::RowBlocks(kind) => {
                write!(formatter, "a row is not a whole number of {} blocks of {}", kind.name(), kind.block_elements())
            }
            Self::TensorAlignment(offset) => write!(formatter, "the data offset {offset} is not aligned"),
            Self::TensorOutsideFile { start, bytes } => {
                write!(formatter, "the data ({bytes} bytes from byte {start}) lies outside the file; copy it again")
            }
            Self::TensorOverlap => write!(formatter, "the data overlaps another tensor's"),
            Self::Split(parts) => {
                write!(formatter, "the model is split into {parts} files; merge them first (gguf-split --merge)")
            }
            Self::OutOfMemory => write!(formatter, "no memory for the index"),
        }
    }
}

/// Why a file was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GgufError {
    /// The check that failed.
    pub check: Check,
    /// The key or tensor it is about; empty for the header.
    pub name: ShortName,
    /// Where in the file, in bytes.
    pub offset: usize,
}

impl GgufError {
    pub(crate) fn new(check: Check, name: &str, offset: usize) -> Self {
        Self { check, name: short_name(name), offset }
    }
}

impl fmt::Display for GgufError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            write!(formatter, "{} (at byte {})", self.check, self.offset)
        } else {
            write!(formatter, "{}: {} (at byte {})", self.name, self.check, self.offset)
        }
    }
}

impl core::error::Error for GgufError {}

/// The name, cut at a character boundary to what an error can hold.
pub(crate) fn short_name(name: &str) -> ShortName {
    let mut short = ShortName::new();
    for character in name.chars() {
        if short.push(character).is_err() {
            break;
        }
    }
    short
}
