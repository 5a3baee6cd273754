//! `SplitMix64`: a generator of random numbers whose state is one word.

/// What the state grows by for each number.
pub(super) const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// Begins a stream.
    pub fn new(state: u64) -> Self {
        Self { state }
    }

    /// Draws a word.
    pub fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        finalize(self.state)
    }

    /// Draws from [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Mixes all bits of a word into all others.
pub fn finalize(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Mixes all bits of a word into all others, as a generator with this state does.
pub fn mix(word: u64) -> u64 {
    finalize(word.wrapping_add(STEP))
}
