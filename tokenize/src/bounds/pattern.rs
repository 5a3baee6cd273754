//! Regular expressions as Hugging Face `tokenizers` runs them, with a bound on their steps.
//!
//! Both use Oniguruma. There, a search that tries too much panics, and one that tries a little less at
//! every place of a text takes hours. Here a search that is not done after a few steps looks at one
//! place after the other, and at the time; both are errors that name the pattern.

use std::fmt;
use std::sync::Arc;

use onig::{MatchParam, Regex, Region, SearchOptions};
use tokenizers::pattern::Pattern;

use super::shown::shown;
use crate::bounds::boundary::{self, Bound};
use crate::bounds::limits::most_pattern_steps;

/// Texts up to this length are searched at all their places at once, with a few steps at each.
const SHORT: usize = 1 << 16;

/// A few steps.
const FEW_STEPS: u32 = 256;

/// What a text is split by, or what is replaced in it.
#[derive(Clone)]
pub(crate) struct BoundedPattern {
    regex: Arc<Regex>,
    text: Arc<str>,
    part: &'static str,
    /// Whether it is found as it stands.
    is_literal: bool,
    /// Whether what it finds depends on where a search began or has been.
    is_of_search: bool,
}

impl fmt::Debug for BoundedPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BoundedPattern").field(&self.text).finish()
    }
}

/// A stretch of a text, as its first byte and its end, and whether it is a match.
pub(crate) type Stretch = ((usize, usize), bool);

impl BoundedPattern {
    /// Compiles a regular expression of a part of the tokenizer.
    ///
    /// # Errors
    ///
    /// Oniguruma refuses it.
    pub(crate) fn regex(part: &'static str, text: &str) -> Result<Self, String> {
        let mut pattern = Self::compile(part, text, text)?;
        pattern.is_of_search = text.contains("\\G") || text.contains("(*");
        Ok(pattern)
    }

    /// Makes a pattern that finds a text as it stands.
    ///
    /// # Errors
    ///
    /// Oniguruma refuses it.
    pub(crate) fn literal(part: &'static str, text: &str) -> Result<Self, String> {
        let mut pattern = Self::compile(part, text, &regex_syntax::escape(text))?;
        pattern.is_literal = !text.is_empty();
        Ok(pattern)
    }

    fn compile(part: &'static str, text: &str, regex: &str) -> Result<Self, String> {
        let regex = Regex::new(regex)
            .map_err(|wrong| format!("the pattern `{}` of its {part}: {wrong}", shown(text)))?;
        let (regex, text) = (Arc::new(regex), text.into());
        Ok(Self { regex, text, part, is_literal: false, is_of_search: false })
    }

    /// Returns the stretches of a text, in order, and whether each is a match.
    pub(crate) fn stretches(&self, text: &str) -> Result<Vec<Stretch>, Bound> {
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
        if self.is_literal {
            let found = text[from..].find(&*self.text).map(|place| from + place);
            return Ok(found.map(|start| (start, start + self.text.len())));
        }
        let mut region = Region::new();
        let most = most_pattern_steps(text.len());
        if self.is_of_search {
            return self
                .search(text, from, most, &mut region)
                .map_err(|wrong| self.bound(&wrong, text, from));
        }
        // Most patterns match wherever the last match ended.
        let mut places = text[from..].char_indices().map(|(place, _)| from + place);
        let first = places.next().unwrap_or(text.len());
        if let Some(found) = self.match_at(text, first, &mut region)? {
            return Ok(Some(found));
        }
        if text.len() <= SHORT
            && let Some(next) = places.clone().next()
            && let Ok(found) = self.search(text, next, FEW_STEPS, &mut region)
        {
            return Ok(found);
        }
        for place in places.chain((first < text.len()).then_some(text.len())) {
            if let Some(found) = self.match_at(text, place, &mut region)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Returns the match that begins at a place.
    fn match_at(
        &self,
        text: &str,
        at: usize,
        region: &mut Region,
    ) -> Result<Option<(usize, usize)>, Bound> {
        if let Some((seconds, bytes)) = boundary::is_late() {
            let (part, pattern) = (self.part, shown(&self.text));
            return Err(Bound::Seconds { part, pattern, seconds, bytes });
        }
        region.clear();
        let bounds = bounds(most_pattern_steps(text.len()));
        let options = SearchOptions::SEARCH_OPTION_NONE;
        let found = self.regex.match_with_param(text, at, options, Some(region), bounds);
        match found {
            Ok(found) => Ok(found.and_then(|_| region.pos(0))),
            Err(wrong) => Err(self.bound(&wrong, text, at)),
        }
    }

    /// Searches a text from a place on, with so many steps at each.
    fn search(
        &self,
        text: &str,
        from: usize,
        steps: u32,
        region: &mut Region,
    ) -> Result<Option<(usize, usize)>, onig::Error> {
        region.clear();
        let options = SearchOptions::SEARCH_OPTION_NONE;
        let (end, bounds) = (text.len(), bounds(steps));
        let found = self.regex.search_with_param(text, from, end, options, Some(region), bounds)?;
        Ok(found.and_then(|_| region.pos(0)))
    }

    fn bound(&self, wrong: &onig::Error, text: &str, at: usize) -> Bound {
        let (part, pattern) = (self.part, shown(&self.text));
        if wrong.description().contains("limit") {
            let steps = most_pattern_steps(text.len());
            return Bound::Steps { part, pattern, steps, at, bytes: text.len() };
        }
        Bound::Pattern { part, pattern, reason: wrong.description().to_owned() }
    }
}

fn bounds(steps: u32) -> MatchParam {
    let mut bounds = MatchParam::default();
    bounds.set_retry_limit_in_match(steps);
    bounds
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
                // An empty match right after the last one: the search continues behind it.
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
            r"\bé+\K.",
            r"(?<=\s)\p{L}",
            r"[0-9]{1,3}",
            r"(?>.*)y|b",
            r"b +(?=a)",
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

            assert!(matches!(refused, Bound::Steps { .. }), "{refused}");
            assert!(refused.to_string().contains(&format!("the pattern `{pattern}`")), "{refused}");
            assert!(begun.elapsed().as_secs() < 5, "{pattern}");
        }
    }
}
