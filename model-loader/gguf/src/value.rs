//! Metadata values, read where they lie.

use crate::cursor::Cursor;

/// The type of a metadata value, numbered as in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ValueType {
    /// `u8`.
    U8 = 0,
    /// `i8`.
    I8 = 1,
    /// `u16`.
    U16 = 2,
    /// `i16`.
    I16 = 3,
    /// `u32`.
    U32 = 4,
    /// `i32`.
    I32 = 5,
    /// `f32`.
    F32 = 6,
    /// One byte, 0 or 1.
    Bool = 7,
    /// Length as `u64`, then UTF-8.
    String = 8,
    /// Element type as `u32`, count as `u64`, then the elements.
    Array = 9,
    /// `u64`.
    U64 = 10,
    /// `i64`.
    I64 = 11,
    /// `f64`.
    F64 = 12,
}

impl ValueType {
    /// The type of that number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Bool,
            8 => Self::String,
            9 => Self::Array,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            _ => return None,
        })
    }

    /// Least bytes that a value of this type takes; exact for all but strings and arrays.
    #[must_use]
    pub const fn bytes_min(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::String | Self::U64 | Self::I64 | Self::F64 => 8,
            Self::Array => 12,
        }
    }
}

/// A metadata value.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Any unsigned integer.
    Unsigned(u64),
    /// Any signed integer.
    Signed(i64),
    /// `f32`.
    F32(f32),
    /// `f64`.
    F64(f64),
    /// Boolean.
    Bool(bool),
    /// String.
    String(&'a str),
    /// Array.
    Array(Array<'a>),
}

impl Value<'_> {
    /// The value as `u32`, if it is an integer in range.
    #[must_use]
    pub fn as_u32(&self) -> Option<u32> {
        match *self {
            Self::Unsigned(value) => u32::try_from(value).ok(),
            Self::Signed(value) => u32::try_from(value).ok(),
            _ => None,
        }
    }

    /// The value as `f32`, if it is a float.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn as_f32(&self) -> Option<f32> {
        match *self {
            Self::F32(value) => Some(value),
            Self::F64(value) => Some(value as f32),
            _ => None,
        }
    }
}

/// Reads a scalar or string at the cursor; `None` at the end of the file, for arrays and for what is not UTF-8.
pub(crate) fn read_scalar<'a>(cursor: &mut Cursor<'a>, kind: ValueType) -> Option<Value<'a>> {
    Some(match kind {
        ValueType::U8 => Value::Unsigned(u64::from(u8::from_le_bytes(cursor.array()?))),
        ValueType::U16 => Value::Unsigned(u64::from(u16::from_le_bytes(cursor.array()?))),
        ValueType::U32 => Value::Unsigned(u64::from(cursor.u32()?)),
        ValueType::U64 => Value::Unsigned(cursor.u64()?),
        ValueType::I8 => Value::Signed(i64::from(i8::from_le_bytes(cursor.array()?))),
        ValueType::I16 => Value::Signed(i64::from(i16::from_le_bytes(cursor.array()?))),
        ValueType::I32 => Value::Signed(i64::from(i32::from_le_bytes(cursor.array()?))),
        ValueType::I64 => Value::Signed(i64::from_le_bytes(cursor.array()?)),
        ValueType::F32 => Value::F32(f32::from_le_bytes(cursor.array()?)),
        ValueType::F64 => Value::F64(f64::from_le_bytes(cursor.array()?)),
        ValueType::Bool => Value::Bool(cursor.array::<1>()?[0] != 0),
        ValueType::String => Value::String(core::str::from_utf8(cursor.string()?).ok()?),
        ValueType::Array => return None,
    })
}

/// An array of scalars or strings, read lazily.
#[derive(Clone, Copy, Debug)]
pub struct Array<'a> {
    pub(crate) kind: ValueType,
    pub(crate) length: usize,
    pub(crate) cursor: Cursor<'a>,
}

impl<'a> Array<'a> {
    /// Type of the elements.
    #[must_use]
    pub const fn kind(&self) -> ValueType {
        self.kind
    }

    /// Number of elements.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there are no elements.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The elements in their order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let Self { kind, length, mut cursor } = *self;
        (0..length).map_while(move |_| read_scalar(&mut cursor, kind))
    }
}

/// An array of strings, read lazily.
#[derive(Clone, Copy, Debug)]
pub struct StringArray<'a>(pub(crate) Array<'a>);

impl<'a> StringArray<'a> {
    /// Number of strings.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no strings.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The strings in their order.
    #[must_use]
    pub const fn iter(&self) -> StringIter<'a> {
        StringIter { cursor: self.0.cursor, left: self.0.length }
    }

    /// The bytes of the string at an offset that [`StringIter::offset`] gave: an index over the strings needs no more than
    /// their offsets.
    #[must_use]
    pub fn bytes_at(&self, offset: usize) -> Option<&'a [u8]> {
        self.0.cursor.moved_to(offset).string()
    }
}

impl<'a> IntoIterator for StringArray<'a> {
    type Item = &'a str;
    type IntoIter = StringIter<'a>;

    fn into_iter(self) -> StringIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &StringArray<'a> {
    type Item = &'a str;
    type IntoIter = StringIter<'a>;

    fn into_iter(self) -> StringIter<'a> {
        self.iter()
    }
}

/// Iterator over the strings of an array.
#[derive(Clone, Debug)]
pub struct StringIter<'a> {
    cursor: Cursor<'a>,
    left: usize,
}

impl StringIter<'_> {
    /// Offset of the next string in the file, in bytes.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.cursor.offset()
    }
}

impl<'a> Iterator for StringIter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.left = self.left.checked_sub(1)?;
        core::str::from_utf8(self.cursor.string()?).ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for StringIter<'_> {}
