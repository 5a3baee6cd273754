//! NumPy's `default_rng(seed).permutation(n)`.
//!
//! Three parts, each as NumPy has had it from 1.22 to 2.4: `SeedSequence` spreads the seed over a
//! pool of four words, PCG64 (XSL-RR, 128 bits of state) makes random words from the pool, and a
//! Fisher–Yates shuffle from the top draws each place by masked rejection on halves of them.

/// Returns the numbers `0..n` in the order of `numpy.random.default_rng(seed).permutation(n)`.
///
/// # Source
///
/// Equal to NumPy's for every `n` below 2³².
pub fn permutation(seed: u64, n: u32) -> Vec<u32> {
    let mut random = Pcg64::new(seed);
    let mut order: Vec<u32> = (0..n).collect();
    for last in (1..n).rev() {
        let place = random.up_to(last);
        order.swap(last as usize, place as usize);
    }
    order
}

/// Spreads a seed over four 64-bit words, as `SeedSequence(seed).generate_state(4)`.
fn seed_words(seed: u64) -> [u64; 4] {
    const ROUNDS_A: (u32, u32) = (0x43b0_d7e5, 0x931e_8875);
    const ROUNDS_B: (u32, u32) = (0x8b51_f9dd, 0x58f3_8ded);
    const MIX_LEFT: u32 = 0xca01_f9dd;
    const MIX_RIGHT: u32 = 0x4973_f715;

    let scramble = |value: u32, constant: &mut u32, factor: u32| {
        let mut value = value ^ *constant;
        *constant = constant.wrapping_mul(factor);
        value = value.wrapping_mul(*constant);
        value ^ value >> 16
    };
    let mix = |x: u32, y: u32| {
        let mixed = MIX_LEFT.wrapping_mul(x).wrapping_sub(MIX_RIGHT.wrapping_mul(y));
        mixed ^ mixed >> 16
    };
    let mut constant = ROUNDS_A.0;
    let mut pool = [low_half(seed), low_half(seed >> 32), 0, 0]
        .map(|word| scramble(word, &mut constant, ROUNDS_A.1));
    for source in 0..4 {
        for target in (0..4).filter(|&target| target != source) {
            let scrambled = scramble(pool[source], &mut constant, ROUNDS_A.1);
            pool[target] = mix(pool[target], scrambled);
        }
    }
    let mut constant = ROUNDS_B.0;
    let mut words = [0; 8];
    for (at, word) in words.iter_mut().enumerate() {
        *word = scramble(pool[at % 4], &mut constant, ROUNDS_B.1);
    }
    std::array::from_fn(|at| u64::from(words[2 * at]) | u64::from(words[2 * at + 1]) << 32)
}

/// NumPy's PCG64, with the spare half of the last word drawn.
struct Pcg64 {
    state: u128,
    increment: u128,
    spare: Option<u32>,
}

impl Pcg64 {
    const FACTOR: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;

    fn new(seed: u64) -> Self {
        let [state_high, state_low, stream_high, stream_low] = seed_words(seed).map(u128::from);
        let increment = (stream_high << 64 | stream_low) << 1 | 1;
        let mut random = Self { state: 0, increment, spare: None };
        random.step();
        random.state = random.state.wrapping_add(state_high << 64 | state_low);
        random.step();
        random
    }

    fn step(&mut self) {
        self.state = self.state.wrapping_mul(Self::FACTOR).wrapping_add(self.increment);
    }

    #[expect(clippy::cast_possible_truncation, reason = "the output is the state, folded")]
    fn next_u64(&mut self) -> u64 {
        self.step();
        let folded = (self.state >> 64) as u64 ^ self.state as u64;
        folded.rotate_right((self.state >> 122) as u32)
    }

    /// The lower half of a word first, then the upper.
    fn next_u32(&mut self) -> u32 {
        if let Some(upper) = self.spare.take() {
            return upper;
        }
        let word = self.next_u64();
        self.spare = Some(low_half(word >> 32));
        low_half(word)
    }

    /// Draws a number of `0..=most`: random bits under a mask until they are not too large.
    fn up_to(&mut self, most: u32) -> u32 {
        let mask = u32::MAX >> most.leading_zeros();
        loop {
            let drawn = self.next_u32() & mask;
            if drawn <= most {
                return drawn;
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
fn low_half(word: u64) -> u32 {
    word as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_permutations_are_reproduced() {
        // numpy.random.default_rng(seed).permutation(n)[:6], recorded with NumPy 2.4.
        for (seed, n, first) in [
            (1005, 1000, [999, 74, 473, 106, 717, 311]),
            (1005, 20_000, [5103, 10_385, 14_781, 8229, 15_719, 8365]),
            (1234, 65_494, [16_470, 10_779, 51_576, 38_291, 55_182, 35_635]),
            (1005, 726_000, [666_991, 74_448, 289_146, 440_006, 714_856, 211_130]),
        ] {
            assert_eq!(permutation(seed, n)[..6], first, "seed {seed}, n {n}");
        }
        assert_eq!(permutation(1005, 10)[..6], [1, 8, 0, 4, 9, 7]);
    }

    #[test]
    fn every_number_stands_once() {
        for n in [0, 1, 2, 3, 100] {
            let mut order = permutation(7, n);
            order.sort_unstable();
            assert_eq!(order, (0..n).collect::<Vec<_>>());
        }
    }
}
