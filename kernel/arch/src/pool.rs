//! The kernel's heap: an allocator over one piece of memory that remembers the most that was ever in use.

use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::ptr::{NonNull, null_mut};

use linked_list_allocator::Heap;
use spin::Mutex;

/// How much is in use, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// All of it.
    pub bytes: usize,
    /// In use now.
    pub used_bytes: usize,
    /// Most that was ever in use.
    pub peak_bytes: usize,
}

/// The allocator.
pub struct Pool(Mutex<State>);

struct State {
    heap: Heap,
    peak_bytes: usize,
}

impl Pool {
    /// A pool without memory: every allocation fails.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Mutex::new(State { heap: Heap::empty(), peak_bytes: 0 }))
    }

    /// Gives it its memory. Called once.
    pub fn start(&self, memory: &'static mut [MaybeUninit<u8>]) {
        self.0.lock().heap.init_from_slice(memory);
    }

    /// How much is in use.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let state = self.0.lock();
        Usage { bytes: state.heap.size(), used_bytes: state.heap.used(), peak_bytes: state.peak_bytes }
    }
}

// SAFETY: `Heap` hands out disjoint blocks of its memory, each as large and as aligned as its layout says, and the lock lets one
// caller at a time change it. Nothing here unwinds or allocates.
unsafe impl GlobalAlloc for Pool {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut state = self.0.lock();
        let block = state.heap.allocate_first_fit(layout).map_or(null_mut(), NonNull::as_ptr);
        state.peak_bytes = state.peak_bytes.max(state.heap.used());
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(block) = NonNull::new(block) else { return };
        // SAFETY: the caller got the block from `alloc` with this layout and does not use it any more.
        unsafe { self.0.lock().heap.deallocate(block, layout) }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::boxed::Box;

    #[test]
    fn the_peak_is_remembered_and_exhaustion_is_an_error() {
        let pool = Pool::empty();
        let layout = Layout::from_size_align(1024, 16).unwrap();
        // SAFETY: blocks are freed once, with the layout they were allocated with.
        unsafe {
            assert!(pool.alloc(layout).is_null());
            pool.start(Box::leak(Box::new([const { MaybeUninit::uninit() }; 4096])));
            let blocks = [pool.alloc(layout), pool.alloc(layout), pool.alloc(layout)];
            assert!(blocks.iter().all(|block| !block.is_null() && block.addr().is_multiple_of(16)));
            assert!(pool.alloc(Layout::from_size_align(2048, 16).unwrap()).is_null());
            blocks.into_iter().for_each(|block| pool.dealloc(block, layout));
        }
        let usage = pool.usage();
        assert_eq!((usage.used_bytes, usage.peak_bytes), (0, 3 * 1024));
        assert!(usage.bytes >= 4000);
    }
}
