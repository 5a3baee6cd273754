//! Finds added tokens in a text, in the two passes of Hugging Face `tokenizers`.
//!
//! The first pass finds tokens that are not normalized. The second finds the others, in the text that
//! is left between those. Each takes the leftmost match, and of those the longest.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, MatchKind};

use super::token::AddedToken;

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
        let bytes: usize = tokens.iter().map(|&place| added[place].content.len()).sum();
        let kind = (bytes > TABLED).then_some(AhoCorasickKind::ContiguousNFA);
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind(kind)
            .build(tokens.iter().map(|&place| &added[place].content))?;
        Ok(Some(Self { automaton, tokens }))
    }
}

impl Finder {
    /// Makes the passes for these tokens.
    ///
    /// # Errors
    ///
    /// There are too many to be looked for at once.
    pub(super) fn new(added: &[AddedToken]) -> Result<Self, BuildError> {
        Ok(Self {
            first: Pass::new(added, |token| !token.normalized)?,
            second: Pass::new(added, |token| token.normalized)?,
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
        for found in pass.automaton.find_iter(&text[stretch.clone()]) {
            let (start, end) = (stretch.start + found.start(), stretch.start + found.end());
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
        let ended = Finder::new(&added).unwrap().each(text, |stretch, token| {
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
