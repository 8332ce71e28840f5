//! Random access to the strings of the model file, at four bytes a string.

use alloc::vec::Vec;

use barellama_gguf::StringArray;

use super::error::TokenizerError;

/// What a string array may hold.
#[derive(Clone, Copy)]
pub(super) struct StringLimits {
    /// Its key, for errors.
    pub key: &'static str,
    /// Most strings.
    pub count: usize,
    /// Longest string, in bytes.
    pub bytes: usize,
}

/// A string array with the offset of each string in the file.
pub(super) struct Strings<'a> {
    array: StringArray<'a>,
    offsets: Vec<u32>,
}

impl<'a> Strings<'a> {
    pub(super) fn new(array: StringArray<'a>, limits: StringLimits) -> Result<Self, TokenizerError> {
        let StringLimits { key, count, bytes } = limits;
        if array.is_empty() || array.len() > count {
            return Err(TokenizerError::Count { key, count: array.len(), limit: count });
        }
        let mut offsets = vec_of(array.len())?;
        let mut strings = array.iter();
        for index in 0..array.len() {
            let too_long = TokenizerError::TooLong { key, index, limit: bytes };
            let offset = u32::try_from(strings.offset()).map_err(|_| too_long.clone())?;
            if strings.next().is_none_or(|string| string.len() > bytes) {
                return Err(too_long);
            }
            offsets.push(offset);
        }
        Ok(Self { array, offsets })
    }

    pub(super) fn len(&self) -> usize {
        self.offsets.len()
    }

    pub(super) fn get(&self, index: u32) -> Option<&'a [u8]> {
        let offset = *self.offsets.get(usize::try_from(index).ok()?)?;
        self.array.bytes_at(usize::try_from(offset).ok()?)
    }

    /// The strings with their indices.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &'a [u8])> {
        (0u32..).zip(&self.offsets).map_while(|(index, _)| Some((index, self.get(index)?)))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.offsets.capacity() * size_of::<u32>()
    }
}

/// An empty vector with room for `count` elements.
pub(super) fn vec_of<T>(count: usize) -> Result<Vec<T>, TokenizerError> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(count)
        .map_err(|_| TokenizerError::OutOfMemory { bytes: count.saturating_mul(size_of::<T>()) })?;
    Ok(vec)
}
