//! The heap: the first area of the arena. It grows while the model is prepared and has a fixed limit afterwards.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use linked_list_allocator::Heap;
use spin::Mutex;

/// The heap grows by whole multiples of this, in bytes.
const GROWTH_BYTES: usize = 256 << 10;

/// The engine's heap.
#[global_allocator]
pub static HEAP: ArenaHeap = ArenaHeap(Mutex::new(State { heap: Heap::empty(), limit_bytes: 0 }));

/// A heap at the start of the arena.
pub struct ArenaHeap(Mutex<State>);

struct State {
    heap: Heap,
    limit_bytes: usize,
}

impl ArenaHeap {
    /// Starts the heap at `arena`; it may grow to `limit_bytes`. Before that there is no heap.
    pub fn start(&self, arena: NonNull<u8>, limit_bytes: u64) {
        let mut state = self.0.lock();
        let limit_bytes = usize::try_from(limit_bytes).unwrap_or(0);
        if limit_bytes >= GROWTH_BYTES && state.limit_bytes == 0 {
            // SAFETY: the arena is mapped read-write, `limit_bytes` long, and its start belongs to the heap alone: the other
            // areas begin behind the limit that the plan sets.
            unsafe { state.heap.init(arena.as_ptr(), GROWTH_BYTES) };
            state.limit_bytes = limit_bytes;
        }
    }

    /// Bytes from the start of the arena that the heap has taken.
    pub fn extent(&self) -> u64 {
        self.0.lock().heap.size() as u64
    }

    /// Bytes that can still be taken, in pieces.
    pub fn left(&self) -> usize {
        let state = self.0.lock();
        state.limit_bytes.saturating_sub(state.heap.used())
    }

    /// From now on the heap ends at `bytes` from the start of the arena.
    pub fn limit_to(&self, bytes: u64) {
        self.0.lock().limit_bytes = usize::try_from(bytes).unwrap_or(0);
    }
}

impl State {
    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        if let Ok(block) = self.heap.allocate_first_fit(layout) {
            return Some(block);
        }
        let wanted = layout.size().checked_add(layout.align())?.checked_next_multiple_of(GROWTH_BYTES)?;
        let room = self.limit_bytes.saturating_sub(self.heap.size());
        // A little room is better than none: the end of the heap may already be free.
        let growth = wanted.min(room / GROWTH_BYTES * GROWTH_BYTES);
        if growth == 0 {
            return None;
        }
        // SAFETY: the heap stays within its limit, and the arena up to there belongs to it alone.
        unsafe { self.heap.extend(growth) };
        self.heap.allocate_first_fit(layout).ok()
    }
}

// SAFETY: the allocator hands out disjoint blocks of the heap, which nobody else uses, under a lock.
unsafe impl GlobalAlloc for ArenaHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0.lock().allocate(layout).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller promises that the block came from `alloc` with this layout.
            unsafe { self.0.lock().heap.deallocate(block, layout) };
        }
    }
}
