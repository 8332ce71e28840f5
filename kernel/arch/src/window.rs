//! A window of 2 MiB through which the kernel looks at physical memory that it has not mapped.
//!
//! One user at a time, never nested: two slices over the same bytes cannot exist.

use crate::mmu::{MapError, invalidate, publish_new_entries, refuse_kernel_memory};
use crate::page_table::Attributes;
use crate::table_plan::{WINDOW_BASE, WINDOW_BYTES, WINDOW_LEVEL_3};
use crate::{cache, mmu};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The most bytes of one slice, wherever it starts within a page.
pub const WINDOW_SLICE_BYTES: usize = (WINDOW_BYTES - PAGE) as usize;
const PAGE: u64 = 4096;
static IS_OPEN: AtomicBool = AtomicBool::new(false);

/// Lets `look` read physical memory. The range must be RAM that nobody writes meanwhile, for instance a device tree.
///
/// # Errors
/// `Window` if the range is longer than [`WINDOW_SLICE_BYTES`] or the call is nested; `OutOfRange`, `KernelMemory`.
pub fn with_physical<R>(start: u64, bytes: usize, look: impl FnOnce(&[u8]) -> R) -> Result<R, MapError> {
    let window = Window::open(start, bytes, Attributes::KERNEL_CONSTANTS)?;
    // SAFETY: the window maps these bytes readable until it is dropped, behind the slice's last use; it is the only one, and no
    // Rust object lies there (kernel memory was refused).
    Ok(look(unsafe { core::slice::from_raw_parts(window.address as *const u8, bytes) }))
}

/// Lets `fill` write physical memory: RAM that is not the kernel's and that no core uses meanwhile.
///
/// # Errors
/// `Window` if the range is longer than [`WINDOW_SLICE_BYTES`] or the call is nested; `OutOfRange`, `KernelMemory`.
pub fn with_physical_mut<R>(start: u64, bytes: usize, fill: impl FnOnce(&mut [u8]) -> R) -> Result<R, MapError> {
    let window = Window::open(start, bytes, Attributes::KERNEL_DATA)?;
    // SAFETY: as in `with_physical`, and the window maps the bytes writable.
    Ok(fill(unsafe { core::slice::from_raw_parts_mut(window.address as *mut u8, bytes) }))
}

/// Copies into physical memory, of any length.
///
/// # Errors
/// `Window` if called inside another window; `OutOfRange`, `KernelMemory`. What lies before the bad part may have been written.
pub fn copy_to_physical(destination: u64, source: &[u8]) -> Result<(), MapError> {
    let mut at = destination;
    for chunk in source.chunks(WINDOW_SLICE_BYTES) {
        with_physical_mut(at, chunk.len(), |bytes| bytes.copy_from_slice(chunk))?;
        at = at.checked_add(chunk.len() as u64).ok_or(MapError::OutOfRange)?;
    }
    Ok(())
}

/// Zeroes physical memory, of any length.
///
/// # Errors
/// As [`copy_to_physical`].
pub fn zero_physical(start: u64, bytes: u64) -> Result<(), MapError> {
    let end = start.checked_add(bytes).ok_or(MapError::OutOfRange)?;
    let mut at = start;
    while at < end {
        let chunk = (end - at).min(WINDOW_SLICE_BYTES as u64);
        with_physical_mut(at, chunk as usize, |bytes| bytes.fill(0))?;
        at += chunk;
    }
    Ok(())
}

/// Writes a word and cleans it to the point of coherency, for a core that reads it with its caches off (spin table).
///
/// # Errors
/// `Unaligned`; otherwise as [`with_physical_mut`].
pub fn publish_physical_u64(address: u64, value: u64) -> Result<(), MapError> {
    if !address.is_multiple_of(8) {
        return Err(MapError::Unaligned);
    }
    with_physical_mut(address, 8, |bytes| {
        // One store: the core that polls the word must never see half of the address.
        // SAFETY: eight mapped bytes, aligned (checked above), that only this atomic accesses while the slice is borrowed.
        let word = unsafe { AtomicU64::from_ptr(bytes.as_mut_ptr().cast()) };
        word.store(value, Ordering::Release);
        cache::clean_invalidate(bytes.as_ptr().addr(), bytes.len());
    })
}

/// The window while it is open; closes on drop.
struct Window {
    address: u64,
    mapped_bytes: u64,
}

impl Window {
    fn open(start: u64, bytes: usize, attributes: Attributes) -> Result<Self, MapError> {
        refuse_kernel_memory(start, bytes as u64)?;
        if bytes > WINDOW_SLICE_BYTES || IS_OPEN.swap(true, Ordering::Acquire) {
            return Err(MapError::Window);
        }
        let offset = start % PAGE;
        let mapped_bytes = (offset + bytes as u64).next_multiple_of(PAGE);
        for page in 0..mapped_bytes / PAGE {
            let descriptor = attributes.page_descriptor(start - offset + page * PAGE);
            mmu::TABLES[WINDOW_LEVEL_3].entry(page as usize).store(descriptor, Ordering::Release);
        }
        publish_new_entries();
        Ok(Self { address: WINDOW_BASE + offset, mapped_bytes })
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        for page in 0..self.mapped_bytes / PAGE {
            mmu::TABLES[WINDOW_LEVEL_3].entry(page as usize).store(0, Ordering::Release);
        }
        invalidate(WINDOW_BASE, self.mapped_bytes);
        IS_OPEN.store(false, Ordering::Release);
    }
}
