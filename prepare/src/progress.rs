//! What a job counts while it works.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a job counts while it works; read it from any thread.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of input that this run has worked through, in their size on disk.
    pub input_bytes: AtomicU64,
    /// Bytes of input that earlier runs have done.
    pub input_bytes_before: AtomicU64,
    /// Bytes of input of all passes together.
    pub input_bytes_all: AtomicU64,
    /// Rows that this run has seen.
    pub rows: AtomicU64,
    /// Rows that it keeps.
    pub kept: AtomicU64,
    /// What the job does now.
    pub stage: Mutex<&'static str>,
}

impl Progress {
    pub(crate) fn add(&self, input_bytes: u64, rows: u64, kept: u64) {
        self.input_bytes.fetch_add(input_bytes, Ordering::Relaxed);
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.kept.fetch_add(kept, Ordering::Relaxed);
    }

    pub(crate) fn begin(&self, stage: &'static str) {
        if let Ok(mut now) = self.stage.lock() {
            *now = stage;
        }
    }
}
