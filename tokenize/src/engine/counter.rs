//! Counts units and their bytes, on any thread.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many units took some path, and how many bytes they have.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    units: AtomicU64,
    bytes: AtomicU64,
}

impl Counter {
    /// Counts one more unit.
    pub(crate) fn add(&self, bytes: usize) {
        self.units.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Returns the numbers of units and of their bytes.
    pub(crate) fn get(&self) -> (u64, u64) {
        (self.units.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}
