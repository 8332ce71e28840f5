//! Translation tables: descriptors, and the walk that writes them. No hardware access, so it is tested on the host.
//!
//! Three levels, 4 KiB granule, 39-bit addresses: level 1 entries cover 1 GiB, level 2 entries 2 MiB, level 3 entries a page
//! (Arm ARM D8.3). Tables come from a fixed pool and are never given back.

mod descriptor;

use core::fmt;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use self::descriptor::{ADDRESS_BITS, BLOCK, TABLE_OR_PAGE, VALID};
pub use self::descriptor::{Attributes, Scan, UserAccess};

/// Entries of a table.
pub const ENTRIES: usize = 512;
const PAGE: u64 = 4096;
const HALF_BYTES: u64 = 1 << 39;
const PHYSICAL_END: u64 = 1 << 39;

/// Why a mapping was refused. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// An address or length is not a multiple of a page.
    Unaligned,
    /// An address is outside the half, or the physical address has more than 39 bits.
    OutOfRange,
    /// Something is mapped there.
    AlreadyMapped,
    /// Nothing is mapped there.
    NotMapped,
    /// The range begins or ends inside a 2 MiB block.
    SplitsBlock,
    /// The pool of tables is used up.
    OutOfTables,
    /// The physical range belongs to the kernel's image.
    KernelMemory,
    /// The window on physical memory is in use (calls cannot be nested) or smaller than the range.
    Window,
}

impl fmt::Display for MapError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unaligned => "address or length is not a multiple of 4096",
            Self::OutOfRange => "address outside the address space",
            Self::AlreadyMapped => "already mapped",
            Self::NotMapped => "not mapped",
            Self::SplitsBlock => "range begins or ends inside a 2 MiB block",
            Self::OutOfTables => "no translation table left",
            Self::KernelMemory => "physical range belongs to the kernel",
            Self::Window => "window on physical memory in use or too small",
        })
    }
}

/// One translation table.
#[repr(C, align(4096))]
pub struct Table([AtomicU64; ENTRIES]);

impl Table {
    /// A table without a valid entry.
    #[must_use]
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; ENTRIES])
    }

    /// The entry of a slot; the slot is taken modulo the number of entries.
    #[must_use]
    pub fn entry(&self, slot: usize) -> &AtomicU64 {
        &self.0[slot % ENTRIES]
    }
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

/// A run of pages or one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaf {
    Page,
    Block,
}

impl Leaf {
    const fn bytes(self) -> u64 {
        match self {
            Self::Page => PAGE,
            Self::Block => BLOCK,
        }
    }
}

/// The pool of tables, at a known physical address.
pub struct Tables<'a> {
    pool: &'a [Table],
    physical: u64,
    next_free: &'a AtomicUsize,
}

impl<'a> Tables<'a> {
    /// The pool whose first table lies at `physical`, of which the first `next_free` tables are in use. Callers see to it that
    /// one core at a time changes tables.
    #[must_use]
    pub const fn new(pool: &'a [Table], physical: u64, next_free: &'a AtomicUsize) -> Self {
        Self { pool, physical, next_free }
    }

    /// Maps `bytes` at `address` (relative to its half) to `physical`, by blocks where both are aligned to them.
    ///
    /// # Errors
    /// `Unaligned`, `OutOfRange`, `AlreadyMapped`, `OutOfTables`.
    pub fn map(
        &self,
        root: usize,
        address: u64,
        physical: u64,
        bytes: u64,
        attributes: Attributes,
    ) -> Result<(), MapError> {
        check(address, bytes)?;
        check_physical(physical, bytes)?;
        self.plan(root, address, physical, bytes)?;
        let mut done = 0;
        while done < bytes {
            let (at, to) = (address + done, physical + done);
            let leaf = self.leaf_for(root, at, to, bytes - done);
            let entry = self.make_leaf(root, at, leaf)?;
            let descriptor = match leaf {
                Leaf::Block => attributes.block_descriptor(to),
                Leaf::Page => attributes.page_descriptor(to),
            };
            entry.store(descriptor, Ordering::Release);
            done += leaf.bytes();
        }
        Ok(())
    }

    /// Gives what is mapped in the range other permissions; the addresses stay.
    ///
    /// # Errors
    /// `Unaligned`, `OutOfRange`, `NotMapped`, `SplitsBlock`.
    pub fn protect(&self, root: usize, address: u64, bytes: u64, attributes: Attributes) -> Result<(), MapError> {
        self.change(root, address, bytes, |physical, leaf| match leaf {
            Leaf::Block => attributes.block_descriptor(physical),
            Leaf::Page => attributes.page_descriptor(physical),
        })
    }

    /// Removes what is mapped in the range.
    ///
    /// # Errors
    /// `Unaligned`, `OutOfRange`, `NotMapped`, `SplitsBlock`.
    pub fn unmap(&self, root: usize, address: u64, bytes: u64) -> Result<(), MapError> {
        self.change(root, address, bytes, |_, _| 0)
    }

    /// The physical address behind a mapped address.
    #[must_use]
    pub fn translate(&self, root: usize, address: u64) -> Option<u64> {
        let (entry, leaf) = self.find(root, address)?;
        Some((entry.load(Ordering::Acquire) & ADDRESS_BITS) + (address & (leaf.bytes() - 1)))
    }

    /// Looks at every valid leaf below a table of level 1.
    pub fn scan(&self, root: usize) -> Scan {
        let mut scan = Scan::default();
        self.scan_level(root, 1, &mut scan);
        scan
    }

    fn scan_level(&self, table: usize, level: u32, scan: &mut Scan) {
        for slot in 0..ENTRIES {
            let Some(entry) = self.entry(table, slot) else { return };
            let descriptor = entry.load(Ordering::Acquire);
            let is_table = level < 3 && descriptor & TABLE_OR_PAGE != 0;
            match (descriptor & VALID != 0, is_table.then(|| self.next(table, slot)).flatten()) {
                (false, _) => {}
                (true, Some(next)) => self.scan_level(next, level + 1, scan),
                (true, None) => scan.note(descriptor),
            }
        }
    }

    /// How many tables are in use.
    #[must_use]
    pub fn used(&self) -> usize {
        self.next_free.load(Ordering::Relaxed)
    }

    /// Applies `descriptor` to each leaf of the range, after all of them were found.
    fn change(
        &self,
        root: usize,
        address: u64,
        bytes: u64,
        descriptor: impl Fn(u64, Leaf) -> u64,
    ) -> Result<(), MapError> {
        check(address, bytes)?;
        self.each_leaf(root, address, bytes, |_, _| ())?;
        self.each_leaf(root, address, bytes, |entry, leaf| {
            let physical = entry.load(Ordering::Relaxed) & ADDRESS_BITS;
            entry.store(descriptor(physical, leaf), Ordering::Release);
        })
    }

    fn each_leaf(
        &self,
        root: usize,
        address: u64,
        bytes: u64,
        visit: impl Fn(&AtomicU64, Leaf),
    ) -> Result<(), MapError> {
        let mut done = 0;
        while done < bytes {
            let at = address + done;
            let (entry, leaf) = self.find(root, at).ok_or(MapError::NotMapped)?;
            if !at.is_multiple_of(leaf.bytes()) || bytes - done < leaf.bytes() {
                return Err(MapError::SplitsBlock);
            }
            visit(entry, leaf);
            done += leaf.bytes();
        }
        Ok(())
    }

    /// Sees that nothing is mapped in the range and that the pool has the tables that it needs.
    fn plan(&self, root: usize, address: u64, physical: u64, bytes: u64) -> Result<(), MapError> {
        let mut needed = 0;
        let mut last = (u64::MAX, u64::MAX);
        let mut done = 0;
        while done < bytes {
            let at = address + done;
            if self.find(root, at).is_some() {
                return Err(MapError::AlreadyMapped);
            }
            let leaf = self.leaf_for(root, at, physical + done, bytes - done);
            let level_2 = self.next(root, slot(at, 1));
            if level_2.is_none() && last.0 != at >> 30 {
                needed += 1;
                last.0 = at >> 30;
            }
            let has_level_3 = level_2.is_some_and(|table| self.next(table, slot(at, 2)).is_some());
            if leaf == Leaf::Page && !has_level_3 && last.1 != at >> 21 {
                needed += 1;
                last.1 = at >> 21;
            }
            done += leaf.bytes();
        }
        if self.used() + needed > self.pool.len() { Err(MapError::OutOfTables) } else { Ok(()) }
    }

    /// A block where addresses and length allow it and no level-3 table stands in its place, else a page.
    fn leaf_for(&self, root: usize, address: u64, physical: u64, bytes: u64) -> Leaf {
        let is_aligned = (address | physical).is_multiple_of(BLOCK) && bytes >= BLOCK;
        let has_table =
            self.next(root, slot(address, 1)).is_some_and(|table| self.next(table, slot(address, 2)).is_some());
        if is_aligned && !has_table { Leaf::Block } else { Leaf::Page }
    }

    /// The entry where a leaf goes, with the tables above it.
    fn make_leaf(&self, root: usize, address: u64, leaf: Leaf) -> Result<&'a AtomicU64, MapError> {
        let level_2 = self.next_or_new(root, slot(address, 1))?;
        if leaf == Leaf::Block {
            return self.entry(level_2, slot(address, 2)).ok_or(MapError::OutOfTables);
        }
        let level_3 = self.next_or_new(level_2, slot(address, 2))?;
        self.entry(level_3, slot(address, 3)).ok_or(MapError::OutOfTables)
    }

    /// The valid leaf that maps an address.
    fn find(&self, root: usize, address: u64) -> Option<(&'a AtomicU64, Leaf)> {
        let level_2 = self.next(root, slot(address, 1))?;
        let entry = self.entry(level_2, slot(address, 2))?;
        match entry.load(Ordering::Acquire) & (VALID | TABLE_OR_PAGE) {
            VALID => return Some((entry, Leaf::Block)),
            0 | TABLE_OR_PAGE => return None,
            _ => {}
        }
        let level_3 = self.next(level_2, slot(address, 2))?;
        let entry = self.entry(level_3, slot(address, 3))?;
        (entry.load(Ordering::Acquire) & VALID != 0).then_some((entry, Leaf::Page))
    }

    /// The table that an entry points to.
    fn next(&self, table: usize, slot: usize) -> Option<usize> {
        let descriptor = self.entry(table, slot)?.load(Ordering::Acquire);
        let is_table = descriptor & (VALID | TABLE_OR_PAGE) == VALID | TABLE_OR_PAGE;
        let offset = (descriptor & ADDRESS_BITS).checked_sub(self.physical)?;
        is_table.then_some((offset / PAGE) as usize)
    }

    fn next_or_new(&self, table: usize, slot: usize) -> Result<usize, MapError> {
        if let Some(next) = self.next(table, slot) {
            return Ok(next);
        }
        let new = self.used();
        if new >= self.pool.len() {
            return Err(MapError::OutOfTables);
        }
        self.next_free.store(new + 1, Ordering::Relaxed);
        let descriptor = (self.physical + PAGE * new as u64) | TABLE_OR_PAGE | VALID;
        self.entry(table, slot).ok_or(MapError::OutOfTables)?.store(descriptor, Ordering::Release);
        Ok(new)
    }

    fn entry(&self, table: usize, slot: usize) -> Option<&'a AtomicU64> {
        Some(self.pool.get(table)?.entry(slot))
    }
}

const fn slot(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * (3 - level))) as usize % ENTRIES
}

const fn check(address: u64, bytes: u64) -> Result<(), MapError> {
    if !(address | bytes).is_multiple_of(PAGE) {
        return Err(MapError::Unaligned);
    }
    match address.checked_add(bytes) {
        Some(end) if end <= HALF_BYTES => Ok(()),
        _ => Err(MapError::OutOfRange),
    }
}

const fn check_physical(physical: u64, bytes: u64) -> Result<(), MapError> {
    if !physical.is_multiple_of(PAGE) {
        return Err(MapError::Unaligned);
    }
    match physical.checked_add(bytes) {
        Some(end) if end <= PHYSICAL_END => Ok(()),
        _ => Err(MapError::OutOfRange),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL_PHYSICAL: u64 = 0x0070_0000;
    const GIB: u64 = 1 << 30;

    fn with_tables(count: usize, test: impl FnOnce(&Tables<'_>)) {
        let pool: [Table; 8] = [const { Table::new() }; 8];
        let next_free = AtomicUsize::new(1);
        test(&Tables::new(&pool[..count], POOL_PHYSICAL, &next_free));
    }

    #[test]
    fn aligned_ranges_become_blocks_and_the_rest_pages() {
        with_tables(8, |tables| {
            let access = Attributes::USER_DATA;
            tables.map(0, GIB, 0x4000_0000, BLOCK + PAGE, access).unwrap();
            assert_eq!(tables.used(), 3, "one level 2 for the block, one level 3 for the page behind it");
            assert_eq!(tables.translate(0, GIB + 0x12345), Some(0x4001_2345));
            assert_eq!(tables.translate(0, GIB + BLOCK + 5), Some(0x4020_0005));
            assert_eq!(tables.translate(0, GIB + BLOCK + PAGE), None);
        });
    }

    #[test]
    fn unlike_alignment_of_both_addresses_means_pages() {
        with_tables(8, |tables| {
            tables.map(0, 0, 0x1000, BLOCK, Attributes::USER_DATA).unwrap();
            assert_eq!(tables.used(), 3);
            assert_eq!(tables.translate(0, BLOCK - 1), Some(BLOCK + 0xFFF));
        });
    }

    #[test]
    fn a_refused_mapping_changes_nothing() {
        with_tables(3, |tables| {
            assert_eq!(tables.map(0, 0, 0x1000, 2 * BLOCK, Attributes::USER_DATA), Err(MapError::OutOfTables));
            assert_eq!(tables.used(), 1);
            assert_eq!(tables.translate(0, 0), None);
            tables.map(0, BLOCK, 0x1000, PAGE, Attributes::USER_DATA).unwrap();
            assert_eq!(tables.map(0, 0, 0, 2 * BLOCK, Attributes::USER_DATA), Err(MapError::AlreadyMapped));
            assert_eq!(tables.translate(0, 0), None);
        });
    }

    #[test]
    fn bad_addresses_are_refused() {
        with_tables(8, |tables| {
            let access = Attributes::USER_DATA;
            assert_eq!(tables.map(0, 1, 0, PAGE, access), Err(MapError::Unaligned));
            assert_eq!(tables.map(0, 0, 0, 5, access), Err(MapError::Unaligned));
            assert_eq!(tables.map(0, 0, 8, PAGE, access), Err(MapError::Unaligned));
            assert_eq!(tables.map(0, HALF_BYTES - PAGE, 0, 2 * PAGE, access), Err(MapError::OutOfRange));
            assert_eq!(tables.map(0, 0, u64::MAX - PAGE + 1, PAGE, access), Err(MapError::OutOfRange));
        });
    }

    #[test]
    fn permissions_change_in_place() {
        with_tables(8, |tables| {
            tables.map(0, 0, 0x20_0000, 2 * BLOCK, Attributes::USER_DATA).unwrap();
            tables.protect(0, 0, BLOCK, Attributes::USER_CONSTANTS).unwrap();
            let sealed = tables.find(0, 0).unwrap().0.load(Ordering::Relaxed);
            assert_eq!(sealed, Attributes::USER_CONSTANTS.block_descriptor(0x20_0000));
            let open = tables.find(0, BLOCK).unwrap().0.load(Ordering::Relaxed);
            assert_eq!(open, Attributes::USER_DATA.block_descriptor(0x40_0000));
        });
    }

    #[test]
    fn blocks_are_not_split_and_holes_are_seen() {
        with_tables(8, |tables| {
            tables.map(0, 0, 0, BLOCK, Attributes::USER_DATA).unwrap();
            assert_eq!(tables.unmap(0, 0, PAGE), Err(MapError::SplitsBlock));
            assert_eq!(tables.protect(0, PAGE, PAGE, Attributes::USER_DATA), Err(MapError::SplitsBlock));
            assert_eq!(tables.unmap(0, 0, 2 * BLOCK), Err(MapError::NotMapped));
            assert!(tables.translate(0, 0).is_some(), "the failed calls changed nothing");
            tables.unmap(0, 0, BLOCK).unwrap();
            assert_eq!(tables.translate(0, 0), None);
        });
    }

    #[test]
    fn a_scan_counts_what_leaves_allow() {
        with_tables(8, |tables| {
            tables.map(0, 0, 0, 2 * PAGE, Attributes::USER_TEXT).unwrap();
            tables.map(0, 4 * PAGE, 0, PAGE, Attributes::KERNEL_TEXT).unwrap();
            tables.map(0, GIB, 0, BLOCK, Attributes::USER_DATA).unwrap();
            let scan = tables.scan(0);
            let expected =
                Scan { leaves: 4, for_user: 3, user_executable: 2, kernel_executable: 1, writable_and_executable: 0 };
            assert_eq!(scan, expected);
            let wrong = Attributes::USER_DATA.page_descriptor(0) & !Attributes::NO_USER_EXECUTION;
            tables.find(0, 0).unwrap().0.store(wrong, Ordering::Relaxed);
            assert_eq!(tables.scan(0).writable_and_executable, 1);
        });
    }

    #[test]
    fn a_place_that_had_pages_is_mapped_by_pages_again() {
        with_tables(8, |tables| {
            tables.map(0, 0, 0x1000, BLOCK, Attributes::USER_DATA).unwrap();
            tables.unmap(0, 0, BLOCK).unwrap();
            tables.map(0, 0, BLOCK, BLOCK, Attributes::USER_DATA).unwrap();
            assert_eq!(tables.translate(0, 0x5000), Some(BLOCK + 0x5000));
            assert_eq!(tables.used(), 3);
        });
    }
}
