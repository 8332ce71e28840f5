//! How much heap a rendering may take: what the caller says is left, looked at before memory is taken, because an allocation that fails
//! would end the engine and not the request alone.

use alloc::string::String;
use alloc::vec::Vec;

use super::error::Problem;

/// Left alone: for small things that are not looked at one by one, and for what comes behind the rendering.
const RESERVE_BYTES: usize = 256 << 10;
/// Elements that a list begins with.
const FIRST_ELEMENTS: usize = 4;

/// What is left of the heap.
#[derive(Clone, Copy)]
pub struct Memory {
    left_bytes: fn() -> usize,
}

impl Memory {
    /// Memory of which `left_bytes` tells how much is left, at any time.
    #[must_use]
    pub const fn new(left_bytes: fn() -> usize) -> Self {
        Self { left_bytes }
    }

    /// Memory without end, for programs on a PC.
    #[must_use]
    pub const fn endless() -> Self {
        Self { left_bytes: || usize::MAX }
    }

    /// Says whether so many bytes can be taken.
    pub(super) fn expect(self, bytes: usize) -> Result<(), Problem> {
        if bytes.saturating_add(RESERVE_BYTES) <= (self.left_bytes)() { Ok(()) } else { Err(Problem::OutOfMemory) }
    }

    /// An empty list with room for so many elements.
    pub(super) fn list<T>(self, elements: usize) -> Result<Vec<T>, Problem> {
        let mut list = Vec::new();
        self.expect(elements.saturating_mul(size_of::<T>()))?;
        list.try_reserve_exact(elements).map_err(|_| Problem::OutOfMemory)?;
        Ok(list)
    }

    /// Adds an element to a list, which may have to be copied to where there is room for twice as much.
    pub(super) fn push<T>(self, list: &mut Vec<T>, element: T) -> Result<(), Problem> {
        if list.len() == list.capacity() {
            let elements = list.len().max(FIRST_ELEMENTS);
            self.expect(elements.saturating_mul(2 * size_of::<T>()))?;
            list.try_reserve(elements).map_err(|_| Problem::OutOfMemory)?;
        }
        list.push(element);
        Ok(())
    }

    /// The same for a text.
    pub(super) fn append(self, text: &mut String, part: &str) -> Result<(), Problem> {
        if text.capacity() - text.len() < part.len() {
            let bytes = text.len().max(part.len());
            self.expect(bytes.saturating_mul(2))?;
            text.try_reserve(bytes).map_err(|_| Problem::OutOfMemory)?;
        }
        text.push_str(part);
        Ok(())
    }
}
