//! An allocator that counts what it hands out.

// A global allocator is an unsafe trait; this one only counts and hands on.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

/// To be made a test's `#[global_allocator]`.
pub struct Counting;

thread_local! {
    /// Allocations, reallocations included, of this thread. `const` and without a destructor, so that counting does
    /// not itself allocate.
    pub static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Bytes in use, of all threads.
pub static IN_USE: AtomicI64 = AtomicI64::new(0);

fn count(more: usize, less: usize) {
    if more > 0 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
    }
    IN_USE.fetch_add(more as i64 - less as i64, Ordering::Relaxed);
}

// SAFETY: every call goes to `System` as it came, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the caller keeps the contract of `realloc`, and `block` came from `System`.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`, and `block` came from `System`.
        unsafe { System.dealloc(block, layout) }
    }
}
