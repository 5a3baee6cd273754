//! Regular expressions as Hugging Face `tokenizers` runs them, with a bound on their steps.
//!
//! Both use Oniguruma. There, a search that tries too much panics, and one that tries a little less at
//! every place of a text takes hours. Here a search looks at few places at once, so that both are
//! errors that name the pattern.

use std::fmt;
use std::sync::Arc;

use onig::{MatchParam, Regex, Region, SearchOptions};
use tokenizers::pattern::Pattern;

use super::boundary::{self, Bound};
use super::limits::most_pattern_steps;

/// At how many places a search looks at first before it looks at the time.
const FEW_PLACES: usize = 64;

/// How much of a pattern is shown.
const SHOWN: usize = 120;

/// What a text is split by, or what is replaced in it.
#[derive(Clone)]
pub(super) struct BoundedPattern {
    regex: Arc<Regex>,
    text: Arc<str>,
    part: &'static str,
}

impl fmt::Debug for BoundedPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BoundedPattern").field(&self.text).finish()
    }
}

impl BoundedPattern {
    /// Compiles a regular expression of a part of the tokenizer.
    ///
    /// # Errors
    ///
    /// Oniguruma refuses it.
    pub(super) fn regex(part: &'static str, text: &str) -> Result<Self, String> {
        Self::compile(part, text, text)
    }

    /// Makes a pattern that finds a text as it stands.
    ///
    /// # Errors
    ///
    /// Oniguruma refuses it.
    pub(super) fn literal(part: &'static str, text: &str) -> Result<Self, String> {
        Self::compile(part, text, &regex_syntax::escape(text))
    }

    fn compile(part: &'static str, text: &str, regex: &str) -> Result<Self, String> {
        let regex = Regex::new(regex)
            .map_err(|wrong| format!("the pattern `{}` of its {part}: {wrong}", shown(text)))?;
        Ok(Self { regex: Arc::new(regex), text: text.into(), part })
    }

    /// Returns the stretches of a text, in order, and whether each is a match.
    pub(super) fn stretches(&self, text: &str) -> Result<Vec<((usize, usize), bool)>, Bound> {
        if text.is_empty() {
            return Ok(vec![((0, 0), false)]);
        }
        let mut stretches = Vec::new();
        let mut done = 0;
        let mut search = Search { pattern: self, text, from: 0, matched_to: None };
        while let Some((start, end)) = search.next_match()? {
            if done != start {
                stretches.push(((done, start), false));
            }
            stretches.push(((start, end), true));
            done = end;
        }
        if done != text.len() {
            stretches.push(((done, text.len()), false));
        }
        Ok(stretches)
    }

    /// Returns the first match that begins at `from` or later.
    fn find(&self, text: &str, from: usize) -> Result<Option<(usize, usize)>, Bound> {
        // `\G` is where a search begins, so one search has to look everywhere.
        let mut places = if self.text.contains("\\G") { text.len() } else { FEW_PLACES };
        let mut region = Region::new();
        let mut start = from;
        loop {
            if let Some((seconds, bytes)) = boundary::is_late() {
                let (part, pattern) = (self.part, shown(&self.text));
                return Err(Bound::Seconds { part, pattern, seconds, bytes });
            }
            let end = text.ceil_char_boundary(text.len().min(start.saturating_add(places)));
            region.clear();
            let found = self.search(text, (start, end), &mut region)?;
            if found {
                return Ok(region.pos(0));
            }
            if end == text.len() {
                return Ok(None);
            }
            (start, places) = (end, places.saturating_mul(2).min(1 << 14));
        }
    }

    /// Looks for a match that begins within a range, its end included.
    fn search(
        &self,
        text: &str,
        (start, end): (usize, usize),
        region: &mut Region,
    ) -> Result<bool, Bound> {
        let steps = most_pattern_steps(text.len());
        let mut bounds = MatchParam::default();
        bounds.set_retry_limit_in_match(steps);
        let options = SearchOptions::SEARCH_OPTION_NONE;
        let found = self.regex.search_with_param(text, start, end, options, Some(region), bounds);
        found.map(|place| place.is_some()).map_err(|wrong| {
            let (part, pattern) = (self.part, shown(&self.text));
            if wrong.description().contains("limit") {
                return Bound::Steps { part, pattern, steps, at: start, bytes: text.len() };
            }
            Bound::Pattern { part, pattern, reason: wrong.description().to_owned() }
        })
    }
}

/// Walks over the matches of a text as the `onig` crate's own iterator does.
struct Search<'a> {
    pattern: &'a BoundedPattern,
    text: &'a str,
    from: usize,
    matched_to: Option<usize>,
}

impl Search<'_> {
    fn next_match(&mut self) -> Result<Option<(usize, usize)>, Bound> {
        while self.from <= self.text.len() {
            let Some((start, end)) = self.pattern.find(self.text, self.from)? else { break };
            if start == end && self.matched_to == Some(end) {
                // An empty match right after the last one: the search goes on behind it.
                let next = self.text[self.from..].chars().next();
                self.from += next.map_or(1, char::len_utf8);
                continue;
            }
            (self.from, self.matched_to) = (end, Some(end));
            return Ok(Some((start, end)));
        }
        Ok(None)
    }
}

impl Pattern for &BoundedPattern {
    fn find_matches(&self, inside: &str) -> tokenizers::Result<Vec<((usize, usize), bool)>> {
        Ok(self.stretches(inside)?)
    }
}

/// Returns a pattern as a message shows it.
pub(super) fn shown(text: &str) -> String {
    let end = text.floor_char_boundary(SHOWN);
    if end == text.len() { text.to_owned() } else { format!("{}…", &text[..end]) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokenizers::utils::SysRegex;

    use super::*;

    fn oracle(regex: &str, text: &str) -> Vec<((usize, usize), bool)> {
        (&SysRegex::new(regex).unwrap()).find_matches(text).unwrap()
    }

    #[test]
    fn matches_are_those_of_the_oracle_over_long_stretches_and_at_edges() {
        let long =
            format!("{}x{}y\n{}", "ab ".repeat(3000), "é".repeat(5000), "\u{3000}".repeat(99));
        let patterns = [
            r"x",
            r"x|y$",
            r"",
            r"\b",
            r"$",
            r"^",
            r"\Ax|\z",
            r"(?=y)",
            r"(?<=é)y",
            r".*y",
            r"é+\G",
            r"\Gab ",
            r"y\n",
            r"[^\s\p{L}]?\p{L}+|\s+(?!\S)|\s+",
            r"(?m).*",
            r"(?<!b )x|\Z",
        ];
        for pattern in patterns {
            let bounded = BoundedPattern::regex("pre-tokenizer", pattern).unwrap();
            for text in [&long[..], "", "y", "xy\n", "aé", "\n\n"] {
                assert_eq!(bounded.stretches(text).unwrap(), oracle(pattern, text), "{pattern}");
            }
        }
    }

    proptest! {
        /// Any pattern finds in any text what it finds in `tokenizers`.
        #[test]
        fn matches_are_those_of_the_oracle(
            pattern in r"([ab.é$^]|\\b|\\s|\[ab\]|\(a\||\)|[*+?]|\(\?=|\(\?!|\(\?<=){0,8}",
            words in proptest::collection::vec("[abé \n]{0,40}", 0..12),
        ) {
            let text = words.concat();
            let Ok(bounded) = BoundedPattern::regex("pre-tokenizer", &pattern) else { return Ok(()) };

            // A pattern such as `a*a*a*$` may try too much, and then the oracle panics.
            let Ok(found) = bounded.stretches(&text) else { return Ok(()) };

            prop_assert_eq!(found, oracle(&pattern, &text));
        }
    }

    #[test]
    fn a_pattern_that_tries_everything_is_an_error_at_once() {
        for pattern in [r"(a+)+$", r"(a|a)*$", r"(a|aa)+[cd]", r"(?:a*a*)*\d"] {
            let bounded = BoundedPattern::regex("pre-tokenizer", pattern).unwrap();
            let begun = std::time::Instant::now();

            let refused = bounded.stretches(&format!("{}!", "a".repeat(40))).unwrap_err();

            assert!(matches!(refused, Bound::Steps { at: 0, .. }), "{refused}");
            assert!(refused.to_string().contains(&format!("the pattern `{pattern}`")), "{refused}");
            assert!(begun.elapsed().as_secs() < 5, "{pattern}");
        }
    }
}
