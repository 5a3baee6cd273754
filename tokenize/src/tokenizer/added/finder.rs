//! Finds added tokens in a text, in the two passes of Hugging Face `tokenizers`.
//!
//! The first pass finds tokens that are not normalized. The second finds the others, in the text that
//! is left between those. Each takes the leftmost match, and of those the longest.

use std::ops::Range;

use aho_corasick::{
    AhoCorasick, AhoCorasickKind, Anchored, BuildError, Input, Match, MatchKind, StartKind,
};

use super::token::AddedToken;

/// With up to so many first bytes, tokens are looked for where these are.
const MOST_FIRST: usize = 3;

/// Up to this many bytes of tokens are looked for with a full table, which is the fastest.
const TABLED: usize = 1 << 14;

/// The two passes; one that would find nothing is not there.
#[derive(Debug)]
pub(super) struct Finder {
    first: Option<Pass>,
    second: Option<Pass>,
}

#[derive(Debug)]
struct Pass {
    automaton: AhoCorasick,
    beginnings: Option<Beginnings>,
    /// The places of its patterns among the added tokens.
    tokens: Vec<usize>,
}

impl Pass {
    fn new(
        added: &[AddedToken],
        wanted: impl Fn(&AddedToken) -> bool,
    ) -> Result<Option<Self>, BuildError> {
        let tokens: Vec<usize> = (0..added.len()).filter(|&place| wanted(&added[place])).collect();
        if tokens.is_empty() {
            return Ok(None);
        }
        let contents = || tokens.iter().map(|&place| added[place].content.as_bytes());
        let beginnings = Beginnings::of(contents());
        let bytes: usize = tokens.iter().map(|&place| added[place].content.len()).sum();
        let is_large = bytes > TABLED || beginnings.is_some();
        let kind = is_large.then_some(AhoCorasickKind::ContiguousNFA);
        let start = if beginnings.is_some() { StartKind::Anchored } else { StartKind::Unanchored };
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(kind)
            .start_kind(start)
            .prefilter(beginnings.is_none())
            .build(contents())?;
        Ok(Some(Self { automaton, beginnings, tokens }))
    }

    /// Finds the first token at `from` or later.
    fn find(&self, text: &str, from: usize) -> Option<Match> {
        let Some(beginnings) = &self.beginnings else {
            return self.automaton.find(Input::new(text).range(from..));
        };
        let mut at = from;
        loop {
            at = beginnings.find(text.as_bytes(), at)?;
            let input = Input::new(text).range(at..).anchored(Anchored::Yes);
            if let Some(found) = self.automaton.find(input) {
                return Some(found);
            }
            at += 1;
        }
    }
}

/// The first two bytes of tokens that begin with few different ones.
#[derive(Debug)]
struct Beginnings {
    /// The first bytes; one of them again where there are fewer.
    first: [u8; MOST_FIRST],
    /// For each of them, the second bytes, a bit each.
    second: [[u64; 4]; MOST_FIRST],
}

impl Beginnings {
    fn of<'a>(contents: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut found: Vec<(u8, [u64; 4])> = Vec::new();
        for content in contents {
            let first = *content.first()?;
            let at = found.iter().position(|(other, _)| *other == first).unwrap_or_else(|| {
                found.push((first, [0; 4]));
                found.len() - 1
            });
            if found.len() > MOST_FIRST {
                return None;
            }
            let set = &mut found[at].1;
            match content.get(1) {
                Some(&second) => set[usize::from(second / 64)] |= 1 << (second % 64),
                None => *set = [u64::MAX; 4],
            }
        }
        let last = *found.last()?;
        found.resize(MOST_FIRST, last);
        let [one, two, three] = found.try_into().ok()?;
        Some(Self { first: [one.0, two.0, three.0], second: [one.1, two.1, three.1] })
    }

    /// Returns the first place at `from` or later where a token may begin.
    fn find(&self, bytes: &[u8], mut from: usize) -> Option<usize> {
        let [one, two, three] = self.first;
        loop {
            let rest = &bytes[from..];
            let at = from
                + if one == three {
                    memchr::memchr(one, rest)
                } else {
                    memchr::memchr3(one, two, three, rest)
                }?;
            let which = self.first.iter().position(|first| *first == bytes[at])?;
            let set = &self.second[which];
            // A token of one byte takes any second, or none.
            let second = bytes.get(at + 1).copied().unwrap_or(0);
            let is_last = at + 1 == bytes.len();
            if set[usize::from(second / 64)] >> (second % 64) & 1 == 1 || is_last {
                return Some(at);
            }
            from = at + 1;
        }
    }
}

impl Finder {
    /// Makes the passes for these tokens, but for those of the characters in `alone`, a bit each.
    ///
    /// # Errors
    ///
    /// There are too many to be looked for at once.
    pub(super) fn new(added: &[AddedToken], alone: u128) -> Result<Self, BuildError> {
        let is_left = |token: &AddedToken| {
            token
                .content
                .bytes()
                .next()
                .is_none_or(|first| !first.is_ascii() || alone >> first & 1 == 0)
        };
        Ok(Self {
            first: Pass::new(added, |token| !token.normalized && is_left(token))?,
            second: Pass::new(added, |token| token.normalized && is_left(token))?,
        })
    }

    /// Calls `each` for every stretch of a text, in order: its bytes, and the place of the token that
    /// it is, if it is one. It ends where `each` returns an error.
    pub(super) fn each<E>(
        &self,
        text: &str,
        mut each: impl FnMut(Range<usize>, Option<usize>) -> Result<(), E>,
    ) -> Result<(), E> {
        pass(self.first.as_ref(), text, 0..text.len(), &mut |stretch, token| match token {
            Some(_) => each(stretch, token),
            None => pass(self.second.as_ref(), text, stretch, &mut each),
        })
    }
}

/// Makes one pass over a stretch of a text.
fn pass<E>(
    pass: Option<&Pass>,
    text: &str,
    stretch: Range<usize>,
    each: &mut impl FnMut(Range<usize>, Option<usize>) -> Result<(), E>,
) -> Result<(), E> {
    let mut done = stretch.start;
    if let Some(pass) = pass {
        let text = &text[..stretch.end];
        while let Some(found) = pass.find(text, done) {
            let (start, end) = (found.start(), found.end());
            if start > done {
                each(done..start, None)?;
            }
            each(start..end, Some(pass.tokens[found.pattern().as_usize()]))?;
            done = end;
        }
    }
    if done < stretch.end { each(done..stretch.end, None) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn found(tokens: &[(&str, bool)], text: &str) -> Vec<(String, Option<usize>)> {
        let added: Vec<AddedToken> = (0..)
            .zip(tokens)
            .map(|(id, &(content, normalized))| AddedToken {
                id,
                content: content.to_owned(),
                special: false,
                normalized,
                replaced: Vec::new(),
            })
            .collect();
        let mut stretches = Vec::new();
        let ended = Finder::new(&added, 0).unwrap().each(text, |stretch, token| {
            stretches.push((text[stretch].to_owned(), token));
            Ok::<_, Infallible>(())
        });
        ended.unwrap();
        stretches
    }

    #[test]
    fn tokens_of_the_first_pass_win_over_longer_ones_of_the_second() {
        let one_pass = found(&[("bc", false), ("abc", false)], "xabc");
        let two_passes = found(&[("bc", false), ("abc", true), ("a", true)], "xabcab");

        assert_eq!(one_pass, [("x".into(), None), ("abc".into(), Some(1))]);
        let expected = [("x", None), ("a", Some(2)), ("bc", Some(0)), ("a", Some(2)), ("b", None)];
        assert_eq!(two_passes, expected.map(|(text, token)| (text.to_owned(), token)));
    }
}
