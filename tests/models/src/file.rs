//! Writes GGUF files (version 2 or 3, the specification's `docs/gguf.md`).

use std::io::{self, Write};

use barellama_gguf::{TensorType, Value, ValueType};

/// Alignment of tensor data in bytes, the format's default.
const ALIGNMENT: usize = 32;

/// A metadata entry, as it lies in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    key: String,
    bytes: Vec<u8>,
}

impl KeyValue {
    /// A string.
    #[must_use]
    pub fn string(key: &str, value: &str) -> Self {
        Self::new(key, &Value::String(value))
    }

    /// An unsigned integer of 32 bits.
    ///
    /// # Panics
    /// If the value does not fit.
    #[must_use]
    pub fn u32(key: &str, value: usize) -> Self {
        Self::new(key, &Value::Unsigned(u32::try_from(value).expect("the value has 32 bits").into()))
    }

    /// A float.
    #[must_use]
    pub fn f32(key: &str, value: f32) -> Self {
        Self::new(key, &Value::F32(value))
    }

    /// Any value of another file.
    #[must_use]
    pub fn new(key: &str, value: &Value<'_>) -> Self {
        let mut bytes = Vec::new();
        put_string(&mut bytes, key);
        let kind = type_of(value);
        bytes.extend((kind as u32).to_le_bytes());
        put_value(&mut bytes, kind, value);
        Self { key: key.to_owned(), bytes }
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// An entry of the tensor table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorEntry {
    /// Its name.
    pub name: String,
    /// Its dimensions, fastest first.
    pub dimensions: Vec<usize>,
    /// The type of its elements.
    pub kind: TensorType,
}

impl TensorEntry {
    /// Bytes of its data.
    ///
    /// # Panics
    /// If a row is not whole blocks.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let (columns, rows) = self.dimensions.split_first().expect("a tensor has a dimension");
        let row = self.kind.row_bytes(*columns);
        let row = row.unwrap_or_else(|| panic!("{}: {columns} are no whole blocks of {}", self.name, self.kind.name()));
        row * rows.iter().product::<usize>()
    }
}

/// A file that is written from its start to its end.
pub struct GgufWriter<W> {
    output: W,
    entries: Vec<TensorEntry>,
    next: usize,
}

impl<W: Write> GgufWriter<W> {
    /// Writes everything in front of the tensors' data.
    ///
    /// # Errors
    /// Those of the output.
    pub fn start(mut output: W, version: u32, metadata: &[KeyValue], entries: Vec<TensorEntry>) -> io::Result<Self> {
        let mut front = Vec::new();
        front.extend(b"GGUF");
        front.extend(version.to_le_bytes());
        front.extend((entries.len() as u64).to_le_bytes());
        front.extend((metadata.len() as u64).to_le_bytes());
        metadata.iter().for_each(|entry| front.extend(&entry.bytes));
        let mut offset = 0usize;
        for entry in &entries {
            put_string(&mut front, &entry.name);
            front.extend((entry.dimensions.len() as u32).to_le_bytes());
            entry.dimensions.iter().for_each(|dimension| front.extend((*dimension as u64).to_le_bytes()));
            front.extend((entry.kind as u32).to_le_bytes());
            front.extend((offset as u64).to_le_bytes());
            offset += entry.bytes().next_multiple_of(ALIGNMENT);
        }
        front.resize(front.len().next_multiple_of(ALIGNMENT), 0);
        output.write_all(&front)?;
        Ok(Self { output, entries, next: 0 })
    }

    /// Writes the data of the next tensor in the order of the table.
    ///
    /// # Errors
    /// Those of the output.
    ///
    /// # Panics
    /// If there is no further tensor or the data has another size.
    pub fn tensor(&mut self, data: &[u8]) -> io::Result<()> {
        assert_eq!(data.len(), self.entries[self.next].bytes(), "{}", self.entries[self.next].name);
        self.next += 1;
        self.output.write_all(data)?;
        let padding = data.len().next_multiple_of(ALIGNMENT) - data.len();
        self.output.write_all(&[0; ALIGNMENT][..padding])
    }

    /// Ends the file; returns the output.
    ///
    /// # Errors
    /// Those of the output.
    ///
    /// # Panics
    /// If a tensor was not written.
    pub fn finish(mut self) -> io::Result<W> {
        assert_eq!(self.next, self.entries.len(), "every tensor was written");
        self.output.flush()?;
        Ok(self.output)
    }
}

fn put_string(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// The type that a value is written with; integers outside arrays have 32 bits.
const fn type_of(value: &Value<'_>) -> ValueType {
    match value {
        Value::Unsigned(_) => ValueType::U32,
        Value::Signed(_) => ValueType::I32,
        Value::F32(_) => ValueType::F32,
        Value::F64(_) => ValueType::F64,
        Value::Bool(_) => ValueType::Bool,
        Value::String(_) => ValueType::String,
        Value::Array(_) => ValueType::Array,
    }
}

fn put_value(bytes: &mut Vec<u8>, kind: ValueType, value: &Value<'_>) {
    match value {
        // The bytes of the narrower types are the low ones.
        Value::Unsigned(number) => bytes.extend(&number.to_le_bytes()[..kind.bytes_min()]),
        Value::Signed(number) => bytes.extend(&number.to_le_bytes()[..kind.bytes_min()]),
        Value::F32(number) => bytes.extend(number.to_le_bytes()),
        Value::F64(number) => bytes.extend(number.to_le_bytes()),
        Value::Bool(truth) => bytes.push(u8::from(*truth)),
        Value::String(text) => put_string(bytes, text),
        Value::Array(array) => {
            bytes.extend((array.kind() as u32).to_le_bytes());
            bytes.extend((array.len() as u64).to_le_bytes());
            array.iter().for_each(|element| put_value(bytes, array.kind(), &element));
        }
    }
}
