//! Where each region lies in the one address space (39-bit virtual addresses, 4 KiB granule).
//!
//! The lower half (TTBR0_EL1) is the engine's, the upper half (TTBR1_EL1) the kernel's. The tables are never switched.

/// Size of a page, in bytes.
pub const PAGE_BYTES: u64 = 4096;
/// Size of a level-2 block, in bytes: model and arena are mapped with these.
pub const BLOCK_BYTES: u64 = 2 << 20;
/// The most cores that any supported board has.
pub const CORES_MAX: usize = 4;

/// Link address of the engine: code, then constants, then data and zeroed data, each on pages of its own.
pub const ENGINE_BASE: u64 = 0x0040_0000;
/// End (exclusive) of the window that the engine's segments must fit in.
pub const ENGINE_END: u64 = 0x0240_0000;

/// Lowest address of the stack area: one slot per core, each with an unmapped guard below the stack.
pub const STACKS_BASE: u64 = 0x4000_0000;
/// Distance between two stack slots, in bytes. The stack fills the upper part, the rest is never mapped.
pub const STACK_SLOT_BYTES: u64 = 0x0010_0000;
/// Mapped bytes of each core's EL0 stack.
pub const STACK_BYTES: u64 = 0x0003_0000;

/// The pages that kernel and engine share: [`BOOT_INFO_ADDRESS`], [`CONTROL_ADDRESS`], [`ARRIVED_ADDRESS`], request slots.
pub const RINGS_BASE: u64 = 0x8000_0000;
/// Size of the shared pages, in bytes.
pub const RINGS_BYTES: u64 = REQUEST_SLOTS_ADDRESS - RINGS_BASE + REQUEST_SLOT_BYTES * REQUEST_SLOTS as u64;
/// Where the kernel writes the [`crate::boot_info::BootInfo`] before each start of the engine.
pub const BOOT_INFO_ADDRESS: u64 = RINGS_BASE;
/// Where the kernel writes the control words, one `u32` per request slot: see [`crate::request::control`].
pub const CONTROL_ADDRESS: u64 = RINGS_BASE + PAGE_BYTES;
/// Where the kernel writes how much of the model file is there, as one `u32` in a cache line of its own: pages ([`PAGE_BYTES`]) from
/// its start, or [`ARRIVED_ALL`]. The engine touches no other part of the file.
pub const ARRIVED_ADDRESS: u64 = CONTROL_ADDRESS + 64;
/// Value at [`ARRIVED_ADDRESS`]: the whole file is there and is what its checksum file says, if it has one.
pub const ARRIVED_ALL: u32 = u32::MAX;
/// Address of request slot 0.
pub const REQUEST_SLOTS_ADDRESS: u64 = RINGS_BASE + 0x1_0000;
/// How many requests may be in the hands of the engine at once: four calls of clients, and one that is left to the console.
pub const REQUEST_SLOTS: usize = 5;
/// Size of one request slot, in bytes: more than a line of 64 KiB can say, be it token ids of four bytes or a text behind a conversation.
pub const REQUEST_SLOT_BYTES: u64 = 0x3_0000;

/// The model file, as the bytes of the file, followed by zeros up to a block and by the descriptor block.
pub const MODEL_BASE: u64 = 0x10_0000_0000;
/// The tensor arena.
pub const ARENA_BASE: u64 = 0x20_0000_0000;
/// The most bytes that the model region or the arena can have.
pub const REGION_BYTES_MAX: u64 = 0x10_0000_0000;

/// Bytes at the end of the model region, behind the file, where the engine leaves its sealed descriptor.
pub const DESCRIPTOR_BYTES: u64 = BLOCK_BYTES;

/// A region of the engine's half of the address space, as fault reports name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Region {
    /// Nothing is ever mapped there.
    Unmapped = 0,
    /// The engine's code, constants and data.
    Engine = 1,
    /// The engine's stacks and their guards.
    Stacks = 2,
    /// The pages shared with the kernel.
    Rings = 3,
    /// The model file and its descriptor.
    Model = 4,
    /// The tensor arena.
    Arena = 5,
    /// The kernel's half.
    Kernel = 6,
}

impl Region {
    /// The region that an address belongs to, mapped or not.
    #[must_use]
    pub const fn of(address: u64) -> Self {
        match address {
            ENGINE_BASE..ENGINE_END => Self::Engine,
            STACKS_BASE..STACKS_END => Self::Stacks,
            RINGS_BASE..RINGS_END => Self::Rings,
            MODEL_BASE..MODEL_END => Self::Model,
            ARENA_BASE..ARENA_END => Self::Arena,
            KERNEL_HALF_START.. => Self::Kernel,
            _ => Self::Unmapped,
        }
    }

    /// The region's name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unmapped => "unmapped",
            Self::Engine => "engine",
            Self::Stacks => "stacks",
            Self::Rings => "rings",
            Self::Model => "model",
            Self::Arena => "arena",
            Self::Kernel => "kernel",
        }
    }
}

const STACKS_END: u64 = STACKS_BASE + STACK_SLOT_BYTES * CORES_MAX as u64;
const RINGS_END: u64 = RINGS_BASE + RINGS_BYTES;
const MODEL_END: u64 = MODEL_BASE + REGION_BYTES_MAX;
const ARENA_END: u64 = ARENA_BASE + REGION_BYTES_MAX;
/// First address of the kernel's half (bit 63 set; 39-bit addresses sign-extended).
pub const KERNEL_HALF_START: u64 = 0xFFFF_FF80_0000_0000;

/// Top of a core's EL0 stack: the first stack pointer.
#[must_use]
pub const fn stack_top(core: usize) -> u64 {
    STACKS_BASE + STACK_SLOT_BYTES * (core as u64 + 1)
}

/// Address of a request slot. `slot` is below [`REQUEST_SLOTS`].
#[must_use]
pub const fn request_slot_address(slot: usize) -> u64 {
    REQUEST_SLOTS_ADDRESS + REQUEST_SLOT_BYTES * slot as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_belong_to_their_regions() {
        assert_eq!(Region::of(ENGINE_BASE), Region::Engine);
        assert_eq!(Region::of(stack_top(3) - 16), Region::Stacks);
        assert_eq!(Region::of(request_slot_address(3)), Region::Rings);
        assert_eq!(Region::of(MODEL_BASE), Region::Model);
        assert_eq!(Region::of(ARENA_BASE), Region::Arena);
        assert_eq!(Region::of(0), Region::Unmapped);
        assert_eq!(Region::of(u64::MAX), Region::Kernel);
    }
}
