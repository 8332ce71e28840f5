//! Function pointers that are set once and called from exceptions.

use core::marker::PhantomData;
use core::sync::atomic::{AtomicPtr, Ordering};

/// A place for a function pointer of type `F`; empty at first.
pub(crate) struct Hook<F> {
    address: AtomicPtr<()>,
    function: PhantomData<F>,
}

impl<F: Copy> Hook<F> {
    pub(crate) const fn new() -> Self {
        const { assert!(size_of::<F>() == size_of::<*mut ()>()) };
        Self { address: AtomicPtr::new(core::ptr::null_mut()), function: PhantomData }
    }

    pub(crate) fn get(&self) -> Option<F> {
        let address = self.address.load(Ordering::Acquire);
        if address.is_null() {
            return None;
        }
        // SAFETY: only the typed `set` methods store an address, each one of a function of type F; F has a pointer's size.
        Some(unsafe { core::mem::transmute_copy::<*mut (), F>(&address) })
    }
}

impl Hook<fn(u8)> {
    pub(crate) fn set(&self, function: fn(u8)) {
        self.address.store(function as *mut (), Ordering::Release);
    }
}

impl Hook<fn(usize)> {
    pub(crate) fn set(&self, function: fn(usize)) {
        self.address.store(function as *mut (), Ordering::Release);
    }
}

impl Hook<fn() -> !> {
    pub(crate) fn set(&self, function: fn() -> !) {
        self.address.store(function as *mut (), Ordering::Release);
    }
}

impl Hook<fn(usize) -> !> {
    pub(crate) fn set(&self, function: fn(usize) -> !) {
        self.address.store(function as *mut (), Ordering::Release);
    }
}
