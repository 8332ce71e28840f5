//! How much heap a piece of work takes at its worst moment.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static USED: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; only counters of this thread, without destructors, are kept beside.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.get().wrapping_add(layout.size());
        USED.set(used);
        PEAK.set(PEAK.get().max(used));
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.set(USED.get().wrapping_sub(layout.size()));
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }
    // `realloc` is the default one: allocate, copy, free. Both blocks count, as in the pools of kernel and engine.
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Where the counter of [`peak_of`] begins: what other threads free here makes it wrap, so it starts from a middle.
const BEFORE: usize = usize::MAX / 2;

/// What the work of [`peak_of`] has taken on this thread until now, in bytes.
#[must_use]
pub fn used() -> usize {
    USED.get().saturating_sub(BEFORE)
}

/// Does the work on this thread and tells the heap that it took at its worst moment, in bytes.
pub fn peak_of<R>(work: impl FnOnce() -> R) -> (R, usize) {
    USED.set(BEFORE);
    PEAK.set(BEFORE);
    let result = work();
    (result, PEAK.get() - BEFORE)
}
