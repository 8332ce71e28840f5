//! The regions that the kernel maps, as slices. Each is taken once.

use core::ptr::NonNull;
use core::slice;
use core::sync::atomic::{AtomicU32, Ordering};

use barellama_abi::boot_info::BootInfo;
use barellama_abi::layout::{ARENA_BASE, ARRIVED_ADDRESS, ARRIVED_ALL, DESCRIPTOR_BYTES, MODEL_BASE, PAGE_BYTES};
use barellama_engine::interleave::ArrivingFile;
use barellama_engine::kernel_calls::Kernel;

use crate::calls::Syscalls;

/// The memory of the engine. There is one, on core 0.
pub struct Memory {
    boot: BootInfo,
}

impl Memory {
    /// Reads what the kernel says about the memory. Called once, on core 0.
    pub fn take() -> Self {
        Self { boot: barellama_el0::boot_info() }
    }

    /// What the kernel says.
    pub fn boot(&self) -> &BootInfo {
        &self.boot
    }

    /// The model file.
    pub fn model_file(&self) -> &[u8] {
        // SAFETY: the kernel maps the model region readable at this address and the file is that long; nobody writes it: the
        // descriptor lies behind the file.
        unsafe { slice::from_raw_parts(MODEL_BASE as *const u8, self.boot.model_file_bytes as usize) }
    }

    /// Lends the model file for rewriting, before it is sealed, while it arrives. All of it has arrived when this returns.
    pub fn with_arriving_file<R>(&self, body: impl FnOnce(&mut Arriving) -> R) -> R {
        // Called before `model_file`, so nobody else refers to the region, and what is lent does not outlive this call.
        let mut file = Arriving { bytes: self.boot.model_file_bytes as usize };
        let result = body(&mut file);
        file.first(file.bytes);
        result
    }

    /// The end of a sealed model region.
    pub fn sealed_descriptor(&self) -> &[u8] {
        // SAFETY: the region is mapped readable, ends with the descriptor, and is read-only once it is sealed.
        unsafe { slice::from_raw_parts(self.descriptor_address() as *const u8, DESCRIPTOR_BYTES as usize) }
    }

    /// Lends the end of the model region, which is writable until the region is sealed.
    pub fn with_descriptor<R>(&self, body: impl FnOnce(&mut [u8]) -> R) -> R {
        // SAFETY: the region is mapped read-write while the model is prepared, and its last block belongs to the descriptor alone:
        // the file ends before it. The slice does not outlive this call.
        body(unsafe { slice::from_raw_parts_mut(self.descriptor_address() as *mut u8, DESCRIPTOR_BYTES as usize) })
    }

    fn descriptor_address(&self) -> u64 {
        MODEL_BASE + self.boot.model_region_bytes.saturating_sub(DESCRIPTOR_BYTES)
    }

    /// The start of the arena, which is the heap's.
    pub fn arena_start(&self) -> NonNull<u8> {
        NonNull::new(ARENA_BASE as *mut u8).unwrap_or(NonNull::dangling())
    }

    /// The arena behind the heap's area. Called once.
    #[allow(clippy::mut_from_ref)]
    pub fn arena_behind(&self, heap_bytes: u64) -> &mut [u8] {
        let length = self.boot.arena_bytes.saturating_sub(heap_bytes) as usize;
        // SAFETY: the kernel maps the arena read-write at this address; the heap ends where this slice starts, and this function
        // is called once, so nobody else refers to it.
        unsafe { slice::from_raw_parts_mut((ARENA_BASE + heap_bytes) as *mut u8, length) }
    }
}

/// The model file while the kernel reads it from the card.
pub struct Arriving {
    bytes: usize,
}

impl Arriving {
    /// Bytes that are there if the kernel's word says `pages`.
    fn bytes_of(&self, pages: u32) -> usize {
        if pages == ARRIVED_ALL {
            return self.bytes;
        }
        // The last page may be there before the file was verified.
        let bytes = usize::try_from(u64::from(pages) * PAGE_BYTES).unwrap_or(usize::MAX);
        bytes.min(self.bytes.saturating_sub(1))
    }

    /// The word that the kernel writes.
    fn word() -> &'static AtomicU32 {
        // SAFETY: the word is mapped as long as the engine runs, aligned, and only ever accessed as an atomic on this side.
        unsafe { AtomicU32::from_ptr(ARRIVED_ADDRESS as *mut u32) }
    }
}

impl ArrivingFile for Arriving {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn first(&mut self, end: usize) -> &mut [u8] {
        let end = end.min(self.bytes);
        loop {
            // Acquire: what the kernel wrote before the word is seen by this core, and by those that it gives tasks to.
            let arrived = Self::word().load(Ordering::Acquire);
            if end <= self.bytes_of(arrived) {
                break;
            }
            Syscalls.park(Self::word(), arrived);
        }
        // SAFETY: the kernel maps the region read-write while the model is prepared, and writes no byte that it said is there.
        // `&mut self` allows one such slice at a time, and `Memory::with_arriving_file` nothing else that refers to the region.
        unsafe { slice::from_raw_parts_mut(MODEL_BASE as *mut u8, end) }
    }

    fn arrived(&self) -> usize {
        // Relaxed: `first` orders the bytes.
        self.bytes_of(Self::word().load(Ordering::Relaxed))
    }
}
