//! The ratio of Python's `difflib.SequenceMatcher`, with its rule for frequent characters.

use rustc_hash::FxHashMap;

/// From this length on, characters of the second text that are frequent begin no match.
const LONG: usize = 200;

/// Computes twice the number of matching characters, divided by the length of both texts.
pub(crate) fn ratio(first: &str, second: &str) -> f64 {
    let (a, b): (Vec<char>, Vec<char>) = (first.chars().collect(), second.chars().collect());
    if a.is_empty() && b.is_empty() {
        return 1.0;
    }
    2.0 * Matcher::new(&a, &b).matches() as f64 / (a.len() + b.len()) as f64
}

struct Matcher<'a> {
    a: &'a [char],
    b: &'a [char],
    /// Where each character is in `b`, in ascending order.
    places: FxHashMap<char, Vec<usize>>,
}

/// A stretch that both texts have: where it begins in each, and its length.
struct MatchingBlock {
    a: usize,
    b: usize,
    len: usize,
}

impl<'a> Matcher<'a> {
    fn new(a: &'a [char], b: &'a [char]) -> Self {
        let mut places: FxHashMap<char, Vec<usize>> = FxHashMap::default();
        for (place, &char) in b.iter().enumerate() {
            places.entry(char).or_default().push(place);
        }
        if b.len() >= LONG {
            places.retain(|_, places| places.len() <= b.len() / 100 + 1);
        }
        Self { a, b, places }
    }

    /// Counts the characters of all blocks: the longest one, then those before and after it.
    fn matches(&self) -> usize {
        let (mut matches, mut left) = (0, vec![(0, self.a.len(), 0, self.b.len())]);
        while let Some((a_from, a_to, b_from, b_to)) = left.pop() {
            let block = self.longest(a_from, a_to, b_from, b_to);
            if block.len == 0 {
                continue;
            }
            matches += block.len;
            if a_from < block.a && b_from < block.b {
                left.push((a_from, block.a, b_from, block.b));
            }
            let (a_end, b_end) = (block.a + block.len, block.b + block.len);
            if a_end < a_to && b_end < b_to {
                left.push((a_end, a_to, b_end, b_to));
            }
        }
        matches
    }

    /// Finds the longest block within bounds, and of several the first one.
    fn longest(&self, a_from: usize, a_to: usize, b_from: usize, b_to: usize) -> MatchingBlock {
        let mut best = MatchingBlock { a: a_from, b: b_from, len: 0 };
        // The lengths of the blocks that end at each place of `b` and at the last place of `a`.
        let mut ending: FxHashMap<usize, usize> = FxHashMap::default();
        for i in a_from..a_to {
            let mut next = FxHashMap::default();
            let places = self.places.get(&self.a[i]).map_or(&[][..], Vec::as_slice);
            let first = places.partition_point(|&place| place < b_from);
            for &j in places[first..].iter().take_while(|&&place| place < b_to) {
                let before = j.checked_sub(1).and_then(|j| ending.get(&j)).copied();
                let len = before.unwrap_or(0) + 1;
                next.insert(j, len);
                if len > best.len {
                    best = MatchingBlock { a: i + 1 - len, b: j + 1 - len, len };
                }
            }
            ending = next;
        }
        // Frequent characters begin no block, and extend one.
        while best.a > a_from && best.b > b_from && self.a[best.a - 1] == self.b[best.b - 1] {
            best = MatchingBlock { a: best.a - 1, b: best.b - 1, len: best.len + 1 };
        }
        while best.a + best.len < a_to
            && best.b + best.len < b_to
            && self.a[best.a + best.len] == self.b[best.b + best.len]
        {
            best.len += 1;
        }
        best
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these scores are exact")]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_has_frequent_characters_that_begin_no_match() {
        let text = |first: char| format!("{first}{}", "abc".repeat(100));

        assert_eq!(ratio("abcd", "bcde"), 0.75);
        assert_eq!(ratio("", ""), 1.0);
        assert!(ratio(&text('x'), &text('y')) < 0.1);
        assert!(ratio(&text('x')[..150], &text('y')[..150]) > 0.9);
    }
}
