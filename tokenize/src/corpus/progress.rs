//! What a job counts while it works.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::block::EncodedBatch;
use crate::source::SourceFile;
use crate::tokenizer::IdWidth;

/// What a job counts while it works; read it from any thread.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes of text encoded.
    pub text_bytes: AtomicU64,
    /// Tokens made, those around documents included.
    pub tokens: AtomicU64,
    /// Documents encoded.
    pub documents: AtomicU64,
    /// Files done, by this run and earlier ones.
    pub files_done: AtomicU64,
    /// Bytes of input encoded by this run, in their size on disk; files in work count by their part.
    pub input_bytes_done: AtomicU64,
    /// Bytes of the files that earlier runs have done.
    pub input_bytes_before: AtomicU64,
    /// Files that were done, and are made again since they changed: which and how.
    pub changed: Mutex<Vec<String>>,
    /// Rows left out, and what was wrong with them.
    pub bad: RowCounter,
    /// Rows in whose text U+FFFD took the place of something.
    pub replaced: RowCounter,
}

/// How many rows something was found in, and the first of them.
#[derive(Debug, Default)]
pub struct RowCounter {
    count: AtomicU64,
    first: Mutex<Vec<String>>,
}

impl RowCounter {
    /// Returns how many there are.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns where the first of them are, and what was found.
    pub fn first(&self) -> Vec<String> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn add(&self, file: &SourceFile, rows: &[(u64, String)]) {
        if rows.is_empty() {
            return;
        }
        self.count.fetch_add(rows.len() as u64, Ordering::Relaxed);
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = 3_usize.saturating_sub(first.len());
        let told = |(_, found): &(u64, String)| format!("{}: {found}", file.path.display());
        first.extend(rows.iter().take(missing).map(told));
    }
}

impl Progress {
    pub(super) fn add<W: IdWidth>(&self, block: &EncodedBatch<W>, input_bytes: u64) {
        self.input_bytes_done.fetch_add(input_bytes, Ordering::Relaxed);
        self.text_bytes.fetch_add(block.text_bytes(), Ordering::Relaxed);
        self.tokens.fetch_add(block.ids.len() as u64, Ordering::Relaxed);
        self.documents.fetch_add(block.lens.len() as u64, Ordering::Relaxed);
    }
}
