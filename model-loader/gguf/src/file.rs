//! The file as a whole: an index over its keys and tensors.

use alloc::vec::Vec;

use crate::cursor::Cursor;
use crate::error::{Check, GgufError};
use crate::tensor_type::TensorType;
use crate::value::{Array, StringArray, Value, ValueType, read_scalar};

/// Most metadata keys (models have 20 to 80).
pub const METADATA_MAX: u64 = 4096;
/// Most tensors (a model of 1000 layers has 9003).
pub const TENSORS_MAX: u64 = 16_384;
/// Longest key or tensor name, in bytes (ggml allows 64 for tensors, the specification 65535 for keys).
pub const NAME_BYTES_MAX: usize = 256;

/// Least bytes of a metadata entry: length and one byte of the name, type, one byte of value.
const METADATA_BYTES_MIN: u64 = 8 + 1 + 4 + 1;
/// Least bytes of a tensor entry: length and one byte of the name, dimension count, one dimension, type, offset.
const TENSOR_BYTES_MIN: u64 = 8 + 1 + 4 + 8 + 4 + 8;

/// A parsed file. Everything is borrowed from its bytes.
#[derive(Debug)]
pub struct Gguf<'a> {
    bytes: &'a [u8],
    file_bytes: usize,
    version: u32,
    /// Sorted by key.
    metadata: Vec<Entry<'a>>,
    /// Sorted by name.
    tensors: Vec<Tensor<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    key: &'a str,
    kind: ValueType,
    /// Offset of the value.
    offset: usize,
}

/// A tensor of the file.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its dimensions, fastest first; 1 where it has none.
    pub dimensions: [usize; 4],
    /// The type of its elements.
    pub kind: TensorType,
    /// Offset of its data in the file, in bytes.
    pub offset: usize,
    /// Its data: rows of `dimensions[0]` elements; nothing where [`Gguf::parse_beginning`] did not have all of it.
    pub data: &'a [u8],
}

impl<'a> Tensor<'a> {
    /// Number of rows of `dimensions[0]` elements.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.dimensions[1] * self.dimensions[2] * self.dimensions[3]
    }

    /// Bytes of one row.
    #[must_use]
    pub const fn row_bytes(&self) -> usize {
        self.dimensions[0] / self.kind.block_elements() * self.kind.block_bytes()
    }

    /// Bytes of its data.
    #[must_use]
    pub const fn data_bytes(&self) -> usize {
        self.rows() * self.row_bytes()
    }
}

impl<'a> Gguf<'a> {
    /// Reads and checks the whole structure: header, metadata, tensor table. Tensor data is only located.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, GgufError> {
        Self::parse_beginning(bytes, bytes.len())
    }

    /// [`Self::parse`] for a file of `file_bytes` bytes of which only the first ones are there yet: all that stands in front of the
    /// tensors' data has to be among them.
    ///
    /// # Errors
    /// The first check that fails. If bytes are missing it may be one that the whole file would pass.
    pub fn parse_beginning(bytes: &'a [u8], file_bytes: usize) -> Result<Self, GgufError> {
        let mut cursor = Cursor::new(bytes, 0);
        let (version, tensor_count, metadata_count) = read_header(&mut cursor)?;
        let metadata = read_metadata(&mut cursor, metadata_count)?;
        let mut gguf = Self { bytes, file_bytes, version, metadata, tensors: Vec::new() };
        gguf.refuse_split()?;
        let alignment = gguf.alignment()?;
        gguf.tensors = read_tensors(&mut cursor, tensor_count)?;
        gguf.locate_tensors(cursor.offset(), alignment)?;
        Ok(gguf)
    }

    /// The version of the format, 2 or 3.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Size of the file in bytes.
    #[must_use]
    pub const fn file_bytes(&self) -> usize {
        self.file_bytes
    }

    /// The keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> {
        self.metadata.iter().map(|entry| entry.key)
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        let index = self.metadata.binary_search_by(|entry| entry.key.cmp(key)).ok()?;
        let entry = self.metadata.get(index)?;
        let mut cursor = Cursor::new(self.bytes, entry.offset);
        match entry.kind {
            ValueType::Array => {
                let kind = ValueType::from_number(cursor.u32()?)?;
                let length = usize::try_from(cursor.u64()?).ok()?;
                Some(Value::Array(Array { kind, length, cursor }))
            }
            kind => read_scalar(&mut cursor, kind),
        }
    }

    /// A string.
    #[must_use]
    pub fn string(&self, key: &str) -> Option<&'a str> {
        match self.get(key)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// An integer of any width that fits in a `u32`.
    #[must_use]
    pub fn u32(&self, key: &str) -> Option<u32> {
        self.get(key)?.as_u32()
    }

    /// A float (`f64` is rounded).
    #[must_use]
    pub fn f32(&self, key: &str) -> Option<f32> {
        self.get(key)?.as_f32()
    }

    /// A boolean.
    #[must_use]
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// An array.
    #[must_use]
    pub fn array(&self, key: &str) -> Option<Array<'a>> {
        match self.get(key)? {
            Value::Array(array) => Some(array),
            _ => None,
        }
    }

    /// An array of strings.
    #[must_use]
    pub fn strings(&self, key: &str) -> Option<StringArray<'a>> {
        self.array(key).filter(|array| array.kind == ValueType::String).map(StringArray)
    }

    /// An array of `f32`.
    #[must_use]
    pub fn f32s(&self, key: &str) -> Option<impl ExactSizeIterator<Item = f32> + use<'a>> {
        let words = self.words(key, ValueType::F32)?;
        Some(words.map(|word| f32::from_le_bytes(*word)))
    }

    /// An array of `i32`.
    #[must_use]
    pub fn i32s(&self, key: &str) -> Option<impl ExactSizeIterator<Item = i32> + use<'a>> {
        let words = self.words(key, ValueType::I32)?;
        Some(words.map(|word| i32::from_le_bytes(*word)))
    }

    fn words(&self, key: &str, kind: ValueType) -> Option<core::slice::Iter<'a, [u8; 4]>> {
        let mut array = self.array(key).filter(|array| array.kind == kind)?;
        Some(array.cursor.take(array.length.checked_mul(4)?)?.as_chunks().0.iter())
    }

    /// The tensors, sorted by name.
    #[must_use]
    pub fn tensors(&self) -> &[Tensor<'a>] {
        &self.tensors
    }

    /// The tensor of that name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&Tensor<'a>> {
        let index = self.tensors.binary_search_by(|tensor| tensor.name.cmp(name)).ok()?;
        self.tensors.get(index)
    }

    fn refuse_split(&self) -> Result<(), GgufError> {
        let key = "split.count";
        match self.u32(key) {
            Some(parts) if parts > 1 => {
                Err(GgufError::new(Check::Split(u64::from(parts)), key, self.value_offset(key)))
            }
            _ => Ok(()),
        }
    }

    /// Alignment of tensor data in bytes; 32 if the file does not tell.
    fn alignment(&self) -> Result<usize, GgufError> {
        let key = "general.alignment";
        let Some(value) = self.get(key) else { return Ok(32) };
        let alignment = value.as_u32().unwrap_or(0);
        if !alignment.is_power_of_two() || !(8..=65_536).contains(&alignment) {
            return Err(GgufError::new(Check::Alignment(alignment), key, self.value_offset(key)));
        }
        Ok(alignment as usize)
    }

    fn value_offset(&self, key: &str) -> usize {
        self.metadata.iter().find(|entry| entry.key == key).map_or(0, |entry| entry.offset)
    }

    /// Turns the offsets of the table, relative to the data, into slices of the file.
    fn locate_tensors(&mut self, table_end: usize, alignment: usize) -> Result<(), GgufError> {
        let truncated = || GgufError::new(Check::Truncated, "", table_end);
        let data_start = table_end.checked_next_multiple_of(alignment).ok_or_else(truncated)?;
        for tensor in &mut self.tensors {
            let fail = |check| GgufError::new(check, tensor.name, tensor.offset);
            let bytes = checked_data_bytes(tensor).ok_or_else(|| fail(Check::Dimensions))?;
            if !tensor.offset.is_multiple_of(alignment) {
                return Err(fail(Check::TensorAlignment(tensor.offset as u64)));
            }
            let start = data_start.checked_add(tensor.offset);
            let range = start.and_then(|start| Some(start..start.checked_add(bytes)?));
            let range = range.filter(|range| range.end <= self.file_bytes).ok_or_else(|| {
                let start = start.map_or(u64::MAX, |start| start as u64);
                fail(Check::TensorOutsideFile { start, bytes: bytes as u64 })
            })?;
            tensor.data = self.bytes.get(range).unwrap_or_default();
            tensor.offset = start.unwrap_or(data_start);
        }
        self.refuse_overlaps()
    }

    fn refuse_overlaps(&mut self) -> Result<(), GgufError> {
        self.tensors.sort_unstable_by_key(|tensor| tensor.offset);
        for pair in self.tensors.windows(2) {
            if let [first, second] = pair
                && second.offset - first.offset < first.data_bytes()
            {
                return Err(GgufError::new(Check::TensorOverlap, second.name, second.offset));
            }
        }
        self.tensors.sort_unstable_by_key(|tensor| tensor.name);
        Ok(())
    }
}

fn read_header(cursor: &mut Cursor<'_>) -> Result<(u32, u64, u64), GgufError> {
    let fail = |check, offset| GgufError::new(check, "", offset);
    if cursor.array() != Some(*b"GGUF") {
        return Err(fail(Check::Magic, 0));
    }
    let truncated = || fail(Check::Truncated, 4);
    let version = cursor.u32().ok_or_else(truncated)?;
    if version != 0 && version & 0xFFFF == 0 {
        return Err(fail(Check::BigEndian, 4));
    }
    if !(2..=3).contains(&version) {
        return Err(fail(Check::Version(version), 4));
    }
    let tensor_count = cursor.u64().ok_or_else(truncated)?;
    let metadata_count = cursor.u64().ok_or_else(truncated)?;
    let left = cursor.left() as u64;
    if tensor_count > TENSORS_MAX || tensor_count * TENSOR_BYTES_MIN > left {
        return Err(fail(Check::TensorCount(tensor_count), 8));
    }
    if metadata_count > METADATA_MAX || metadata_count * METADATA_BYTES_MIN > left {
        return Err(fail(Check::MetadataCount(metadata_count), 16));
    }
    Ok((version, tensor_count, metadata_count))
}

/// A vector with room for `count` entries; the caller has checked the count.
fn reserve<T>(count: u64, offset: usize) -> Result<Vec<T>, GgufError> {
    let mut entries = Vec::new();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    entries.try_reserve_exact(count).map_err(|_| GgufError::new(Check::OutOfMemory, "", offset))?;
    Ok(entries)
}

fn read_name<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, GgufError> {
    let offset = cursor.offset();
    let fail = |check| GgufError::new(check, "", offset);
    let length = cursor.u64().ok_or_else(|| fail(Check::Truncated))?;
    let bytes = usize::try_from(length).unwrap_or(usize::MAX);
    if bytes == 0 || bytes > NAME_BYTES_MAX {
        return Err(fail(Check::NameLength(length)));
    }
    let name = cursor.take(bytes).ok_or_else(|| fail(Check::Truncated))?;
    core::str::from_utf8(name).map_err(|_| fail(Check::Utf8))
}

fn read_metadata<'a>(cursor: &mut Cursor<'a>, count: u64) -> Result<Vec<Entry<'a>>, GgufError> {
    let mut entries = reserve(count, cursor.offset())?;
    for _ in 0..count {
        let key = read_name(cursor)?;
        let at = cursor.offset();
        let number = cursor.u32().ok_or_else(|| GgufError::new(Check::Truncated, key, at))?;
        let kind = ValueType::from_number(number).ok_or_else(|| GgufError::new(Check::ValueType(number), key, at))?;
        let offset = cursor.offset();
        check_value(cursor, kind).map_err(|check| GgufError::new(check, key, offset))?;
        entries.push(Entry { key, kind, offset });
    }
    entries.sort_unstable_by_key(|entry| entry.key);
    for pair in entries.windows(2) {
        if let [first, second] = pair
            && first.key == second.key
        {
            return Err(GgufError::new(Check::DuplicateKey, second.key, first.offset.max(second.offset)));
        }
    }
    Ok(entries)
}

/// Moves the cursor over a value and checks all of it.
fn check_value(cursor: &mut Cursor<'_>, kind: ValueType) -> Result<(), Check> {
    match kind {
        ValueType::Array => check_array(cursor),
        ValueType::String => check_string(cursor),
        ValueType::Bool => match cursor.array::<1>().ok_or(Check::Truncated)? {
            [0 | 1] => Ok(()),
            [byte] => Err(Check::Boolean(byte)),
        },
        scalar => cursor.take(scalar.bytes_min()).map(|_| ()).ok_or(Check::Truncated),
    }
}

fn check_string(cursor: &mut Cursor<'_>) -> Result<(), Check> {
    let length = cursor.u64().ok_or(Check::Truncated)?;
    let bytes = usize::try_from(length).ok().and_then(|length| cursor.take(length));
    let bytes = bytes.ok_or(Check::StringLength(length))?;
    core::str::from_utf8(bytes).map(|_| ()).map_err(|_| Check::Utf8)
}

fn check_array(cursor: &mut Cursor<'_>) -> Result<(), Check> {
    let number = cursor.u32().ok_or(Check::Truncated)?;
    let kind = ValueType::from_number(number).ok_or(Check::ValueType(number))?;
    let count = cursor.u64().ok_or(Check::Truncated)?;
    if kind == ValueType::Array {
        return Err(Check::NestedArray);
    }
    let bytes_min = usize::try_from(count).ok().and_then(|count| count.checked_mul(kind.bytes_min()));
    if bytes_min.is_none_or(|bytes| bytes > cursor.left()) {
        return Err(Check::ArrayLength(count));
    }
    if !matches!(kind, ValueType::Bool | ValueType::String) {
        return bytes_min.and_then(|bytes| cursor.take(bytes)).map(|_| ()).ok_or(Check::Truncated);
    }
    for _ in 0..count {
        check_value(cursor, kind)?;
    }
    Ok(())
}

/// Reads the tensor table; `offset` of each tensor is still the one of the table and `data` is empty.
fn read_tensors<'a>(cursor: &mut Cursor<'a>, count: u64) -> Result<Vec<Tensor<'a>>, GgufError> {
    let mut tensors: Vec<Tensor<'a>> = reserve(count, cursor.offset())?;
    for _ in 0..count {
        let at = cursor.offset();
        let name = read_name(cursor)?;
        tensors.push(read_tensor(cursor, name).map_err(|check| GgufError::new(check, name, at))?);
    }
    tensors.sort_unstable_by_key(|tensor| tensor.name);
    for pair in tensors.windows(2) {
        if let [first, second] = pair
            && first.name == second.name
        {
            return Err(GgufError::new(Check::DuplicateTensor, second.name, cursor.offset()));
        }
    }
    Ok(tensors)
}

fn read_tensor<'a>(cursor: &mut Cursor<'a>, name: &'a str) -> Result<Tensor<'a>, Check> {
    let count = cursor.u32().ok_or(Check::Truncated)?;
    if !(1..=4).contains(&count) {
        return Err(Check::DimensionCount(count));
    }
    let mut dimensions = [1; 4];
    for dimension in dimensions.iter_mut().take(count as usize) {
        let value = cursor.u64().ok_or(Check::Truncated)?;
        *dimension = usize::try_from(value).ok().filter(|&value| value > 0).ok_or(Check::Dimensions)?;
    }
    let number = cursor.u32().ok_or(Check::Truncated)?;
    let kind = TensorType::from_number(number)
        .ok_or_else(|| TensorType::removed_name(number).map_or(Check::UnknownType(number), Check::RemovedType))?;
    let offset = cursor.u64().ok_or(Check::Truncated)?;
    let offset = usize::try_from(offset).map_err(|_| Check::TensorOutsideFile { start: u64::MAX, bytes: 0 })?;
    if !dimensions[0].is_multiple_of(kind.block_elements()) {
        return Err(Check::RowBlocks(kind));
    }
    Ok(Tensor { name, dimensions, kind, offset, data: &[] })
}

/// Size of a tensor's data in bytes; `None` if it overflows.
fn checked_data_bytes(tensor: &Tensor<'_>) -> Option<usize> {
    let [columns, a, b, c] = tensor.dimensions;
    let rows = a.checked_mul(b)?.checked_mul(c)?;
    tensor.kind.row_bytes(columns)?.checked_mul(rows)
}
