//! The kernel's heap: one fixed pool for messages. The engine's memory is elsewhere.

use core::mem::MaybeUninit;

use linked_list_allocator::LockedHeap;
use static_cell::ConstStaticCell;

/// Size of the pool.
const HEAP_BYTES: usize = 1 << 20;

#[global_allocator]
static HEAP: LockedHeap = LockedHeap::empty();
static MEMORY: ConstStaticCell<[MaybeUninit<u8>; HEAP_BYTES]> =
    ConstStaticCell::new([MaybeUninit::uninit(); HEAP_BYTES]);

/// Gives the pool to the allocator. Called once.
pub fn start() {
    HEAP.lock().init_from_slice(MEMORY.take());
}

/// Bytes in use and bytes in all.
#[must_use]
pub fn usage() -> (usize, usize) {
    let heap = HEAP.lock();
    (heap.used(), heap.size())
}
