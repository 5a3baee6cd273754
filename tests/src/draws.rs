//! Random points whose seed is printed, so that `RATDATA_SEED` repeats a failure.

use std::time::{Duration, SystemTime};

/// Pseudorandom numbers: xorshift by Marsaglia.
#[derive(Debug)]
pub struct Draws {
    seed: u64,
    state: u64,
}

impl Draws {
    /// Begins with `RATDATA_SEED`, or with the clock where that is not set.
    ///
    /// # Panics
    ///
    /// The clock is before 1970.
    #[expect(clippy::print_stderr, clippy::new_without_default, reason = "it prints the seed")]
    pub fn new() -> Self {
        let given = std::env::var("RATDATA_SEED").ok().and_then(|seed| seed.parse().ok());
        let clock =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
        let seed = given.unwrap_or_else(|| u64::from(clock.subsec_nanos())) | 1;
        eprintln!("RATDATA_SEED={seed}");
        Self { seed, state: seed }
    }

    /// Returns the seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Draws a number below `most`.
    pub fn below(&mut self, most: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % most.max(1)
    }

    /// Draws a time below `most`.
    pub fn within(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(most.as_micros()).unwrap_or(u64::MAX)))
    }
}
