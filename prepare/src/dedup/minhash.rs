//! MinHash signatures: short lists of numbers that agree as often as the n-grams of two texts do.
//!
//! A signature has `bands * rows` numbers. Number `i` is the least value of permutation `i` over the
//! hashes of a text's n-grams, so that two texts agree in it with a probability that is the Jaccard
//! similarity of their n-grams. Texts that agree in all rows of some band are taken for near duplicates.

use serde::{Deserialize, Serialize};

/// The settings of near duplicates. The defaults are those of the field: two texts whose 5-grams have
/// a similarity of 0.8 meet with a probability of 0.92, and 0.6 with 0.21.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MinHash {
    /// How many words an n-gram has.
    pub ngram: usize,
    /// How many bands a signature has.
    pub bands: usize,
    /// How many numbers a band has.
    pub rows: usize,
    /// The seed of the permutations.
    pub seed: u64,
}

impl Default for MinHash {
    fn default() -> Self {
        Self { ngram: 5, bands: 14, rows: 8, seed: 1 }
    }
}

/// The permutations, and room for a text's signature.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    settings: MinHash,
    flips: Vec<u32>,
    factors: Vec<u32>,
    least: Vec<i32>,
    words: Vec<u64>,
}

impl Signer {
    pub(crate) fn new(settings: MinHash) -> Self {
        let count = settings.bands * settings.rows;
        let mut state = settings.seed;
        let mut draw = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            low(mix(state))
        };
        let flips = (0..count).map(|_| draw()).collect();
        // Odd factors make permutations.
        let factors = (0..count).map(|_| draw() | 1).collect();
        Self { settings, flips, factors, least: vec![i32::MAX; count], words: Vec::new() }
    }

    /// Calls `each` with the key of every band of a text; a text without words has none.
    pub(crate) fn bands(&mut self, text: &str, mut each: impl FnMut(u128)) {
        self.words.clear();
        word_hashes(text, &mut self.words);
        if self.words.is_empty() {
            return;
        }
        self.least.fill(i32::MAX);
        // A text with fewer words is one n-gram.
        for words in self.words.windows(self.settings.ngram.min(self.words.len())) {
            let gram = words.iter().fold(0, |gram: u64, word| mix(gram.rotate_left(7) ^ word));
            let gram = low(gram);
            let permutations = self.flips.iter().zip(&self.factors);
            for (least, (flip, factor)) in self.least.iter_mut().zip(permutations) {
                // Signed numbers have a fast minimum everywhere, and one order is as good as another.
                let value = (gram ^ flip).wrapping_mul(*factor).cast_signed();
                *least = (*least).min(value);
            }
        }
        for (band, rows) in self.least.chunks(self.settings.rows).enumerate() {
            let mut hasher = [0x51ed_270b_u64 ^ band as u64, 0x2545_f491 ^ band as u64];
            for row in rows {
                let row = u64::from(row.cast_unsigned());
                hasher[0] = mix(hasher[0] ^ row);
                hasher[1] = mix(hasher[1].wrapping_add(row));
            }
            let [high, low] = hasher;
            each(u128::from(high) << 64 | u128::from(low));
        }
    }
}

/// A hash of 64 bits: every bit of the result depends on every bit of the number.
pub(crate) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The low half of a number.
fn low(number: u64) -> u32 {
    ratdata_schemas::narrow(number & u64::from(u32::MAX))
}

const BEGIN: u64 = 0xcbf2_9ce4_8422_2325;
const STEP: u64 = 0x0000_0100_0000_01b3;

/// Appends a hash of each word of a text: letters in lower case, and any number as one.
pub(crate) fn word_hashes(text: &str, words: &mut Vec<u64>) {
    let feed = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(STEP);
    let bytes = text.as_bytes();
    let (mut at, mut hash, mut inside, mut in_number) = (0, BEGIN, false, false);
    while at < bytes.len() {
        let byte = bytes[at];
        if byte.is_ascii() {
            at += 1;
            if byte.is_ascii_digit() {
                if !in_number {
                    hash = feed(hash, b'0');
                }
                (inside, in_number) = (true, true);
                continue;
            }
            in_number = false;
            if byte.is_ascii_alphabetic() {
                hash = feed(hash, byte.to_ascii_lowercase());
                inside = true;
                continue;
            }
        } else {
            let Some(sign) = text[at..].chars().next() else { break };
            at += sign.len_utf8();
            in_number = false;
            if sign.is_alphanumeric() {
                for lower in sign.to_lowercase() {
                    let mut buffer = [0; 4];
                    for byte in lower.encode_utf8(&mut buffer).bytes() {
                        hash = feed(hash, byte);
                    }
                }
                inside = true;
                continue;
            }
        }
        if inside {
            words.push(mix(hash));
            (hash, inside) = (BEGIN, false);
        }
    }
    if inside {
        words.push(mix(hash));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn bands(text: &str) -> Vec<u128> {
        let mut found = Vec::new();
        Signer::new(MinHash::default()).bands(text, |band| found.push(band));
        found
    }

    #[test]
    fn case_numbers_and_signs_do_not_count() {
        assert_eq!(bands("One rat, 12 TAILS: été!"), bands("one  rat 7 tails (ÉTÉ)"));
        assert_ne!(bands("one rat"), bands("two rats"));
        assert_eq!(bands(" .,- "), [0; 0]);
        assert_eq!(bands("x").len(), 14);
    }

    /// A word of letters for each number.
    fn spelled(word: u64) -> String {
        let letter = |place: u64| {
            char::from_digit(u32::try_from(word >> (4 * place) & 15).unwrap() + 10, 36)
        };
        (0..4).filter_map(letter).collect()
    }

    /// Over many permutations, the share of numbers that agree is the similarity of the n-grams.
    #[test]
    fn signatures_agree_as_often_as_ngrams_do() {
        let settings = MinHash { ngram: 1, bands: 4000, rows: 1, seed: 3 };
        let text = |words: std::ops::Range<u64>| words.map(spelled).collect::<Vec<_>>().join(" ");
        for (shared, similarity) in [(20, 1.0 / 9.0), (50, 1.0 / 3.0), (80, 2.0 / 3.0), (100, 1.0)]
        {
            let sign = |words| {
                let mut found = HashSet::new();
                let mut signer = Signer::new(settings);
                let mut number = 0;
                signer.bands(&text(words), |band| {
                    found.insert((number, band));
                    number += 1;
                });
                found
            };
            let (one, two) = (sign(0..100), sign(100 - shared..200 - shared));
            let agree = one.intersection(&two).count() as f64 / 4000.0;
            assert!((agree - similarity).abs() < 0.03, "{shared}: {agree}, not {similarity}");
        }
    }
}
