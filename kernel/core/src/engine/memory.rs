//! What EL0 may see: the engine's segments, its stacks, the rings, and, once there is a model, model and arena.

use barellama_abi::boot_info::BootInfo;
use barellama_abi::layout::{
    ARENA_BASE, ARRIVED_ADDRESS, BOOT_INFO_ADDRESS, CONTROL_ADDRESS, CORES_MAX, MODEL_BASE, PAGE_BYTES, RINGS_BASE,
    RINGS_BYTES, STACK_BYTES, request_slot_address, stack_top,
};
use barellama_arch::mmu::{self, MapError, UserAccess};
use barellama_arch::{cache, user_memory};
use heapless::Vec;

use crate::memory_plan::{Extents, FreeMemory, ModelMemory, PlanError};
use crate::payload::{EngineImage, SEGMENTS_MAX, Segment, SegmentAccess};
use crate::platform::PhysicalRange;

/// Why the engine's memory could not be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryError {
    /// There is not enough of it.
    Plan(PlanError),
    /// It could not be mapped.
    Map(MapError),
}

impl From<PlanError> for MemoryError {
    fn from(error: PlanError) -> Self {
        Self::Plan(error)
    }
}

impl From<MapError> for MemoryError {
    fn from(error: MapError) -> Self {
        Self::Map(error)
    }
}

impl core::fmt::Display for MemoryError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Plan(error) => error.fmt(f),
            Self::Map(error) => write!(f, "memory could not be mapped: {error}"),
        }
    }
}

/// The engine's own memory, mapped once and restored at each start.
pub struct EngineMemory {
    image: EngineImage<'static>,
    segments: Vec<PhysicalRange, SEGMENTS_MAX>,
    stacks: PhysicalRange,
    rings: PhysicalRange,
}

impl EngineMemory {
    /// Takes memory for the engine, fills in code and constants and maps everything.
    ///
    /// # Errors
    /// [`MemoryError`] if RAM or table pages are too few.
    pub fn map(image: EngineImage<'static>, free: &mut FreeMemory) -> Result<Self, MemoryError> {
        let rings = free.take_contiguous(RINGS_BYTES, PAGE_BYTES)?;
        let stacks = free.take_contiguous(STACK_BYTES * CORES_MAX as u64, PAGE_BYTES)?;
        let mut segments = Vec::new();
        for segment in &image.segments {
            let range = free.take_contiguous(segment.memory_bytes, PAGE_BYTES)?;
            map_segment(segment, range)?;
            // Cannot fail: as many as the image's own list holds.
            let _ = segments.push(range);
        }
        for core in 0..CORES_MAX {
            let physical = stacks.start + STACK_BYTES * core as u64;
            mmu::map_user(stack_top(core) - STACK_BYTES, physical, STACK_BYTES, UserAccess::ReadWrite)?;
        }
        mmu::map_user(RINGS_BASE, rings.start, rings.bytes, UserAccess::ReadWrite)?;
        Ok(Self { image, segments, stacks, rings })
    }

    /// First instruction.
    #[must_use]
    pub fn entry(&self) -> u64 {
        self.image.entry
    }

    /// The segments with their physical ranges.
    pub fn segments(&self) -> impl Iterator<Item = (&Segment<'static>, PhysicalRange)> {
        self.image.segments.iter().zip(self.segments.iter().copied())
    }

    /// The parts that never change, with their sizes in bytes.
    pub fn constant_parts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.segments().filter_map(|(segment, range)| Some((constant_name(segment.access)?, range.bytes)))
    }

    /// The part that is not what the image holds; `None` if all are. Each is looked at through the one window.
    #[must_use]
    pub fn changed_part(&self) -> Option<&'static str> {
        self.segments().find_map(|(segment, range)| {
            let name = constant_name(segment.access)?;
            let mut at = range.start;
            let is_unchanged = segment.contents.chunks(mmu::WINDOW_SLICE_BYTES).all(|chunk| {
                let is_same = mmu::with_physical(at, chunk.len(), |bytes| bytes == chunk).unwrap_or(false);
                at += chunk.len() as u64;
                is_same
            });
            (!is_unchanged).then_some(name)
        })
    }

    /// Physical range of the stacks.
    #[must_use]
    pub fn stacks(&self) -> PhysicalRange {
        self.stacks
    }

    /// Physical range of the rings.
    #[must_use]
    pub fn rings(&self) -> PhysicalRange {
        self.rings
    }

    /// Gives data, zeroed data, stacks and rings their first contents and writes the boot information. All cores must be out of
    /// the engine.
    ///
    /// # Errors
    /// [`MapError`] if a window could not be mapped.
    pub fn restore(&self, info: &BootInfo) -> Result<(), MapError> {
        for (segment, range) in self.segments().filter(|(segment, _)| segment.access == SegmentAccess::ReadWrite) {
            fill(segment, range)?;
        }
        mmu::zero_physical(self.stacks.start, self.stacks.bytes)?;
        mmu::zero_physical(self.rings.start, self.rings.bytes)?;
        mmu::copy_to_physical(self.in_rings(BOOT_INFO_ADDRESS), &info.to_bytes())
    }

    /// Copies a request into its slot, with the control word [`barellama_abi::request::control::RUN`].
    ///
    /// # Errors
    /// [`MapError`] if a window could not be mapped.
    pub fn write_request(&self, slot: usize, request: &[u8]) -> Result<(), MapError> {
        self.write_control(slot, barellama_abi::request::control::RUN);
        mmu::copy_to_physical(self.in_rings(request_slot_address(slot)), request)
    }

    /// Sets the control word of a slot.
    pub fn write_control(&self, slot: usize, value: u32) {
        // The rings are mapped for the engine as long as the kernel runs, so this cannot fault.
        let _ = user_memory::store_u32(CONTROL_ADDRESS + 4 * slot as u64, value);
    }

    /// Tells the engine how much of the model file is there: pages, or [`barellama_abi::layout::ARRIVED_ALL`]. Bytes that were
    /// written before are seen by whoever sees the word.
    pub fn write_arrived(&self, arrived: u32) {
        // As above.
        let _ = user_memory::store_u32(ARRIVED_ADDRESS, arrived);
    }

    fn in_rings(&self, address: u64) -> u64 {
        self.rings.start + (address - RINGS_BASE)
    }
}

/// The model and its arena, mapped for EL0.
pub struct ModelMapping {
    memory: ModelMemory,
    file_bytes: u64,
    is_sealed: bool,
}

impl ModelMapping {
    /// Maps a model that lies in memory, or will, so that the engine may prepare it.
    ///
    /// # Errors
    /// [`MapError`] if table pages are too few.
    pub fn map(memory: ModelMemory, file_bytes: u64) -> Result<Self, MapError> {
        map_extents(MODEL_BASE, &memory.model, UserAccess::ReadWrite)?;
        map_extents(ARENA_BASE, &memory.arena, UserAccess::ReadWrite)?;
        Ok(Self { memory, file_bytes, is_sealed: false })
    }

    /// Takes the mappings away; the physical memory is free again.
    pub fn unmap(self) {
        // They were mapped with these very ranges, so this cannot fail.
        let _ = mmu::unmap_user(MODEL_BASE, self.memory.model_bytes());
        let _ = mmu::unmap_user(ARENA_BASE, self.memory.arena_bytes());
    }

    /// Makes the model read-only for EL0 and EL1, for good.
    ///
    /// # Errors
    /// [`MapError`] if the region is not mapped in whole blocks.
    pub fn seal(&mut self) -> Result<(), MapError> {
        mmu::protect_user(MODEL_BASE, self.memory.model_bytes(), UserAccess::ReadOnly)?;
        self.is_sealed = true;
        Ok(())
    }

    /// Whether the engine has sealed it.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.is_sealed
    }

    /// Bytes of the model file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Where model and arena lie.
    #[must_use]
    pub fn memory(&self) -> &ModelMemory {
        &self.memory
    }
}

/// What a part is called that the engine cannot write.
const fn constant_name(access: SegmentAccess) -> Option<&'static str> {
    match access {
        SegmentAccess::ReadExecute => Some("engine code"),
        SegmentAccess::ReadOnly => Some("engine constants"),
        SegmentAccess::ReadWrite => None,
    }
}

fn map_segment(segment: &Segment<'_>, range: PhysicalRange) -> Result<(), MapError> {
    fill(segment, range)?;
    let access = match segment.access {
        SegmentAccess::ReadExecute => UserAccess::ReadExecute,
        SegmentAccess::ReadOnly => UserAccess::ReadOnly,
        SegmentAccess::ReadWrite => UserAccess::ReadWrite,
    };
    mmu::map_user(segment.address, range.start, range.bytes, access)?;
    if segment.access == SegmentAccess::ReadExecute {
        // Code was written as data: it has to reach the point of unification before any core fetches it.
        cache::sync_instructions(segment.address as usize, range.bytes as usize);
    }
    Ok(())
}

fn fill(segment: &Segment<'_>, range: PhysicalRange) -> Result<(), MapError> {
    mmu::zero_physical(range.start, range.bytes)?;
    mmu::copy_to_physical(range.start, segment.contents)
}

fn map_extents(base: u64, extents: &Extents, access: UserAccess) -> Result<(), MapError> {
    let mut at = base;
    for extent in extents {
        mmu::map_user(at, extent.start, extent.bytes, access)?;
        at += extent.bytes;
    }
    Ok(())
}
