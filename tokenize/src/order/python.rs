//! Python's `random.seed(seed); random.sample(range(n), k)`.

use std::collections::HashSet;

use ratdata_schemas::narrow;

/// Returns what Python's `random.seed(seed)` and `random.sample(range(n), k)` return.
///
/// `None` where fewer than `k` numbers are there to draw from.
///
/// # Source
///
/// Equal to `CPython` 3.2 and later: MT19937 seeded by key, `_randbelow` by rejection on
/// `getrandbits`, and a pool or a set of drawn numbers, whichever `sample` chooses for `n` and `k`.
pub fn sample(seed: u32, n: u32, k: u32) -> Option<Vec<u32>> {
    if k > n {
        return None;
    }
    let mut random = MersenneTwister::new(seed);
    // Beyond this size the list of all numbers would cost more than a set of the drawn ones.
    let mut pool_limit = 21_u64;
    if k > 5 {
        let mut power = 1_u64;
        while power < u64::from(k) * 3 {
            power *= 4;
        }
        pool_limit += power;
    }
    if u64::from(n) <= pool_limit {
        let mut pool: Vec<u32> = (0..n).collect();
        return Some(
            (0..k)
                .map(|drawn| {
                    let left = n - drawn;
                    pool.swap_remove_at(random.below(left), left)
                })
                .collect(),
        );
    }
    let mut seen = HashSet::new();
    Some(
        (0..k)
            .map(|_| {
                loop {
                    let drawn = random.below(n);
                    if seen.insert(drawn) {
                        return drawn;
                    }
                }
            })
            .collect(),
    )
}

/// Taking from the first `left` numbers of a pool.
trait Pool {
    /// Returns the number at `place` and puts the last of the first `left` there.
    fn swap_remove_at(&mut self, place: u32, left: u32) -> u32;
}

impl Pool for Vec<u32> {
    fn swap_remove_at(&mut self, place: u32, left: u32) -> u32 {
        let taken = self[place as usize];
        self[place as usize] = self[left as usize - 1];
        taken
    }
}

const WORDS: usize = 624;
const MIDDLE: usize = 397;

/// The generator of Python's `random`.
struct MersenneTwister {
    state: [u32; WORDS],
    next: usize,
}

impl MersenneTwister {
    /// Seeds by a key of one word.
    fn new(seed: u32) -> Self {
        let mut state = [0_u32; WORDS];
        state[0] = 19_650_218;
        for at in 1..WORDS {
            state[at] = spread(state[at - 1], 1_812_433_253).wrapping_add(word(at));
        }
        let mut at = 1;
        for _ in 0..WORDS {
            state[at] = (state[at] ^ spread(state[at - 1], 1_664_525)).wrapping_add(seed);
            at = advance(&mut state, at);
        }
        for _ in 1..WORDS {
            state[at] = (state[at] ^ spread(state[at - 1], 1_566_083_941)).wrapping_sub(word(at));
            at = advance(&mut state, at);
        }
        state[0] = 0x8000_0000;
        Self { state, next: WORDS }
    }

    fn next_u32(&mut self) -> u32 {
        if self.next == WORDS {
            self.refill();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= word << 7 & 0x9d2c_5680;
        word ^= word << 15 & 0xefc6_0000;
        word ^ word >> 18
    }

    fn refill(&mut self) {
        for at in 0..WORDS {
            let joined = self.state[at] & 0x8000_0000 | self.state[(at + 1) % WORDS] & 0x7fff_ffff;
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[at] = self.state[(at + MIDDLE) % WORDS] ^ joined >> 1 ^ odd;
        }
        self.next = 0;
    }

    /// Draws a number below `n`, which is not zero: as many random bits as `n` has, again and
    /// again until they are below it.
    fn below(&mut self, n: u32) -> u32 {
        loop {
            let drawn = self.next_u32() >> n.leading_zeros();
            if drawn < n {
                return drawn;
            }
        }
    }
}

fn spread(word: u32, factor: u32) -> u32 {
    (word ^ word >> 30).wrapping_mul(factor)
}

fn word(at: usize) -> u32 {
    narrow(at)
}

/// Steps to the next word of a state that is being seeded, by way of the first.
fn advance(state: &mut [u32; WORDS], at: usize) -> usize {
    if at + 1 < WORDS {
        return at + 1;
    }
    state[0] = state[WORDS - 1];
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_samples_are_reproduced() {
        // random.seed(1234); random.sample(range(n), 200)[:8]: the first by a set, as is the second.
        for (n, first) in [
            (10_557, [7220, 1914, 122, 1485, 9539, 572, 1375, 1612]),
            (2000, [1979, 1593, 902, 239, 15, 185, 1865, 1930]),
        ] {
            assert_eq!(sample(1234, n, 200).unwrap()[..8], first, "n {n}");
        }
        // By a pool: random.seed(1234); random.sample(range(300), 200)[:8].
        assert_eq!(sample(1234, 300, 200).unwrap()[..8], RECORDED_300);
        assert_eq!(sample(1234, 199, 200), None);
    }

    const RECORDED_300: [u32; 8] = [225, 59, 3, 46, 17, 42, 50, 181];
}
