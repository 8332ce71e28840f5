//! The address space: kernel image, devices, the engine's half. One set of tables for all cores, never switched.
//!
//! The boot assembly writes the kernel's tables with their final permissions; here mappings of devices and of the engine are added
//! and changed. Only one core at a time changes tables; a lock sees to it, so interrupt handlers must not.

use crate::checksum::Checksum;
use crate::image;
use crate::page_table::{Attributes, ENTRIES, Table, Tables};
use crate::table_plan::{FIRST_FREE, KERNEL_HALF, KERNEL_LEVEL_1, TABLES as TABLE_COUNT, USER_LEVEL_1, WINDOW_LEVEL_3};
use aarch64_cpu::asm::barrier;
use aarch64_cpu::registers::{Readable, TTBR1_EL1};
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub use crate::page_table::{MapError, Scan, UserAccess};
pub use crate::window::WINDOW_SLICE_BYTES;
pub use crate::window::{copy_to_physical, publish_physical_u64, with_physical, with_physical_mut, zero_physical};

/// Device registers appear at this address plus their physical address.
pub const DEVICE_BASE: u64 = 0xFFFF_FFC0_0000_0000;
const PAGE: u64 = 4096;
const PAYLOAD_MAGIC: &[u8; 8] = b"BARELAMA";
/// From this many pages on, one invalidation of everything is cheaper than one per page.
const SINGLE_INVALIDATIONS_MAX: u64 = 64;

/// The pool of tables; which is which says `table_plan`. Zeroed by the boot assembly, not with .bss.
#[unsafe(link_section = ".tables")]
pub(crate) static TABLES: [Table; TABLE_COUNT] = [const { Table::new() }; TABLE_COUNT];
static NEXT_FREE_TABLE: AtomicUsize = AtomicUsize::new(FIRST_FREE);
static IS_LOCKED: AtomicBool = AtomicBool::new(false);

/// A part of the kernel's image, for printing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelRegion {
    /// For people.
    pub name: &'static str,
    /// Virtual address.
    pub start: u64,
    /// Length in bytes, guard pages included.
    pub bytes: u64,
    /// `rx`, `r` or `rw`.
    pub access: &'static str,
}

/// Maps device registers (Device-nGnRE, never executable) and returns the address of `physical`. What is mapped already stays.
///
/// # Errors
/// `OutOfRange`, `OutOfTables`.
pub fn map_device(physical: u64, bytes: u64) -> Result<usize, MapError> {
    let first = physical & !(PAGE - 1);
    let end =
        physical.checked_add(bytes).and_then(|end| end.checked_next_multiple_of(PAGE)).ok_or(MapError::OutOfRange)?;
    let half_offset = DEVICE_BASE - KERNEL_HALF;
    with_tables(|tables| {
        let mut page = first;
        while page < end {
            let address = page.checked_add(half_offset).ok_or(MapError::OutOfRange)?;
            match tables.map(KERNEL_LEVEL_1, address, page, PAGE, Attributes::KERNEL_DEVICE) {
                Ok(()) | Err(MapError::AlreadyMapped) => page += PAGE,
                Err(error) => return Err(error),
            }
        }
        publish_new_entries();
        Ok(device_address(physical))
    })
}

/// Where a device register that [`map_device`] mapped appears.
#[must_use]
pub const fn device_address(physical: u64) -> usize {
    DEVICE_BASE.wrapping_add(physical) as usize
}

/// Maps RAM into the engine's half, by 2 MiB blocks where both addresses are aligned to them. The memory is visible to all cores
/// when this returns.
///
/// # Errors
/// `Unaligned`, `OutOfRange`, `AlreadyMapped`, `OutOfTables`, `KernelMemory`; nothing was changed.
pub fn map_user(virtual_address: u64, physical: u64, bytes: u64, access: UserAccess) -> Result<(), MapError> {
    refuse_kernel_memory(physical, bytes)?;
    with_tables(|tables| {
        tables.map(USER_LEVEL_1, virtual_address, physical, bytes, access.attributes())?;
        publish_new_entries();
        Ok(())
    })
}

/// Changes what EL0 and EL1 may do with a mapped range while other cores run in it. Only permissions change, so that no
/// break-before-make is needed (Arm ARM D8.16.1).
///
/// # Errors
/// `Unaligned`, `OutOfRange`, `NotMapped`, `SplitsBlock`; nothing was changed.
pub fn protect_user(virtual_address: u64, bytes: u64, access: UserAccess) -> Result<(), MapError> {
    with_tables(|tables| {
        tables.protect(USER_LEVEL_1, virtual_address, bytes, access.attributes())?;
        invalidate(virtual_address, bytes);
        Ok(())
    })
}

/// Removes a mapping from the engine's half.
///
/// # Errors
/// `Unaligned`, `OutOfRange`, `NotMapped`, `SplitsBlock`; nothing was changed.
pub fn unmap_user(virtual_address: u64, bytes: u64) -> Result<(), MapError> {
    with_tables(|tables| {
        tables.unmap(USER_LEVEL_1, virtual_address, bytes)?;
        invalidate(virtual_address, bytes);
        Ok(())
    })
}

/// The physical address behind an address of the engine's half.
#[must_use]
pub fn translate_user(virtual_address: u64) -> Option<u64> {
    if virtual_address >= 1 << 39 {
        return None;
    }
    tables().translate(USER_LEVEL_1, virtual_address)
}

/// What image, zeroed data and stacks occupy: (first physical address, bytes).
#[must_use]
pub fn kernel_physical_range() -> (u64, u64) {
    let (start, bytes) = image::range();
    ((start as u64).wrapping_add(physical_offset()), bytes as u64)
}

/// The parts of the kernel's image.
#[must_use]
pub fn kernel_regions() -> [KernelRegion; 7] {
    image::regions()
}

/// The kernel's code, for a checksum.
#[must_use]
pub fn kernel_text() -> &'static [u8] {
    image::text()
}

/// The kernel's constants, for a checksum.
#[must_use]
pub fn kernel_rodata() -> &'static [u8] {
    image::rodata()
}

/// The window behind the image's data, to its end, where the build appends the engine: magic `BARELAMA`, length as little-endian
/// u64, ELF. `None` if it does not begin with the magic.
#[must_use]
pub fn payload() -> Option<&'static [u8]> {
    let window = image::payload_window();
    window.starts_with(PAYLOAD_MAGIC).then_some(window)
}

/// Physical address of something in the kernel's image, for masters that do not see virtual addresses.
#[must_use]
pub fn physical_of<T: ?Sized>(object: &T) -> u64 {
    (core::ptr::from_ref(object).addr() as u64).wrapping_add(physical_offset())
}

/// Translation tables: (in use, in the pool).
#[must_use]
pub fn table_pages() -> (usize, usize) {
    (tables().used(), TABLE_COUNT)
}

/// A checksum of all tables in use, without the window's, which changes with each look at physical memory.
#[must_use]
pub fn tables_checksum() -> u64 {
    let used = TABLES.iter().take(tables().used()).enumerate().filter(|(index, _)| *index != WINDOW_LEVEL_3);
    used.flat_map(|(_, table)| (0..ENTRIES).map(|slot| table.entry(slot).load(Ordering::Relaxed)))
        .fold(Checksum::new(), Checksum::word)
        .value()
}

/// What the live tables allow: of the kernel's half, then of the engine's.
#[must_use]
pub fn scan_tables() -> [Scan; 2] {
    [KERNEL_LEVEL_1, USER_LEVEL_1].map(|root| tables().scan(root))
}

/// What to add to an address of the image to get the physical one. TTBR1_EL1 tells where the first table really lies.
pub(crate) fn physical_offset() -> u64 {
    let root = TTBR1_EL1.get() & 0x0000_FFFF_FFFF_F000;
    root.wrapping_sub(TABLES.as_ptr().addr() as u64)
}

/// Refuses what overlaps the kernel's image: no other mapping or window may reach Rust's own objects.
pub(crate) fn refuse_kernel_memory(physical: u64, bytes: u64) -> Result<(), MapError> {
    let (start, kernel_bytes) = kernel_physical_range();
    let end = physical.checked_add(bytes).ok_or(MapError::OutOfRange)?;
    if physical < start + kernel_bytes && start < end { Err(MapError::KernelMemory) } else { Ok(()) }
}

/// Makes changed or removed entries of `bytes` at `address` hold on all cores.
pub(crate) fn invalidate(address: u64, bytes: u64) {
    barrier::dsb(barrier::ISHST);
    if bytes / PAGE > SINGLE_INVALIDATIONS_MAX {
        // SAFETY: forgetting cached translations changes no memory; the tables hold the truth.
        unsafe { core::arch::asm!("tlbi vmalle1is", options(nostack, preserves_flags)) };
    } else {
        for page in (address >> 12)..((address + bytes) >> 12) {
            let operand = page & ((1 << 44) - 1);
            // SAFETY: as above, for one page in all address spaces.
            unsafe { core::arch::asm!("tlbi vaae1is, {}", in(reg) operand, options(nostack, preserves_flags)) };
        }
    }
    barrier::dsb(barrier::ISH);
    barrier::isb(barrier::SY);
}

/// Orders writes to entries that were invalid before their first use; invalid entries are never cached (Arm ARM D8.16.1).
pub(crate) fn publish_new_entries() {
    barrier::dsb(barrier::ISHST);
    barrier::isb(barrier::SY);
}

fn tables() -> Tables<'static> {
    Tables::new(&TABLES, TTBR1_EL1.get() & 0x0000_FFFF_FFFF_F000, &NEXT_FREE_TABLE)
}

fn with_tables<R>(change: impl FnOnce(&Tables<'static>) -> Result<R, MapError>) -> Result<R, MapError> {
    // Interrupts stay on, since a mapping by pages takes long: handlers move bytes and never map.
    while IS_LOCKED.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        core::hint::spin_loop();
    }
    let result = change(&tables());
    IS_LOCKED.store(false, Ordering::Release);
    result
}
