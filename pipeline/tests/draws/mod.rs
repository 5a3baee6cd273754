//! Random points whose seed is printed, so that a failure can be had again with `RATDATA_SEED`.
#![expect(clippy::print_stderr, reason = "a seed that cannot be seen cannot be given again")]

use std::time::{Duration, SystemTime};

/// Numbers that look drawn: xorshift by Marsaglia.
pub(crate) struct Draws {
    seed: u64,
    state: u64,
}

impl Draws {
    /// Begins with `RATDATA_SEED`, or with the clock where that is not set.
    pub(crate) fn new() -> Self {
        let given = std::env::var("RATDATA_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let seed = given.unwrap_or_else(|| u64::from(clock.subsec_nanos())) | 1;
        eprintln!("RATDATA_SEED={seed}");
        Self { seed, state: seed }
    }

    /// Returns what the next draws follow from.
    pub(crate) fn seed(&self) -> u64 {
        self.seed
    }

    /// Draws a number below `most`.
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % most.max(1)
    }

    /// Draws a time below `most`.
    pub(crate) fn within(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(most.as_micros()).unwrap_or(u64::MAX)))
    }
}
