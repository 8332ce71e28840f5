//! The kernel's heap: one fixed pool for messages. The engine's memory is elsewhere.

use core::mem::MaybeUninit;

use barellama_arch::pool::Pool;
pub use barellama_arch::pool::Usage;
use static_cell::ConstStaticCell;

/// Size of the pool.
const HEAP_BYTES: usize = 1 << 20;

#[global_allocator]
static HEAP: Pool = Pool::empty();
static MEMORY: ConstStaticCell<[MaybeUninit<u8>; HEAP_BYTES]> =
    ConstStaticCell::new([MaybeUninit::uninit(); HEAP_BYTES]);

/// Gives the pool to the allocator. Called once.
pub fn start() {
    HEAP.start(MEMORY.take());
}

/// How much of it is in use.
#[must_use]
pub fn usage() -> Usage {
    HEAP.usage()
}
