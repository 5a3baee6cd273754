//! How far the rows of an input are, in numbers and in words.

use std::time::Instant;

use ratdata_console::grouped;

use crate::progress_line::Reached;

/// How many rows and tokens there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) all: usize,
    /// Rows that an earlier attempt has done.
    pub(super) before: usize,
    /// Rows that this attempt has done.
    pub(super) done: usize,
    pub(super) tokens: u64,
    /// When the model was ready.
    pub(super) begun: Instant,
}

impl Counts {
    /// Returns how fast this attempt is.
    pub(super) fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.begun.elapsed().as_secs_f64().max(1e-9)
    }

    /// Returns how many rows are done, of how many.
    pub(super) fn reached(&self) -> Reached {
        Reached { done: (self.before + self.done) as u64, all: self.all as u64 }
    }

    /// Says how many rows and tokens there are, how fast they come, and when the rest is done.
    pub(super) fn words(&self) -> String {
        let done = self.before + self.done;
        let (tokens, rate) = (grouped(self.tokens), self.tokens_per_second());
        let mut line = format!("{done}/{} rows, {tokens} tokens, {rate:.0} tokens/s", self.all);
        if self.done > 0 {
            let seconds = self.begun.elapsed().as_secs_f64();
            let left = seconds * (self.all - done) as f64 / self.done as f64;
            line.push_str(&format!(", {left:.0} s left"));
        }
        line
    }
}
