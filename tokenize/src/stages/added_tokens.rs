//! Finds added tokens in a text, as the `AddedVocabulary` of Hugging Face `tokenizers` does.
//!
//! There are two passes: over the text for tokens that stand for themselves, and over what lies between those,
//! normalized, for the others, whose texts are normalized too. Each takes the leftmost token and of those the
//! longest. A token may want to be no part of a word, and may take in the white space next to it.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::stop::Stop;
use super::traits::Traits;

/// An added token.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the file has five flags")]
pub(crate) struct Token {
    pub(crate) id: u32,
    pub(crate) content: String,
    pub(crate) single_word: bool,
    pub(crate) lstrip: bool,
    pub(crate) rstrip: bool,
    pub(crate) normalized: bool,
    pub(crate) special: bool,
    /// The texts of the normalized tokens that had its id before it.
    pub(crate) replaced: Vec<String>,
}

/// The tokens of one pass.
#[derive(Debug)]
pub(super) struct Pass {
    automaton: AhoCorasick,
    tokens: Vec<Token>,
}

/// Up to this many bytes of tokens are looked for with a full table, which is the fastest.
const TABLED: usize = 1 << 14;

impl Pass {
    /// Makes a pass for tokens and the texts that are looked for; none where there is no token.
    ///
    /// # Errors
    ///
    /// A text is empty or there twice, or there are too many.
    pub(super) fn new(tokens: Vec<(Token, String)>) -> Result<Option<Self>, String> {
        if tokens.is_empty() {
            return Ok(None);
        }
        let (tokens, texts): (Vec<_>, Vec<_>) = tokens.into_iter().unzip();
        let mut sorted: Vec<&String> = texts.iter().collect();
        sorted.sort_unstable();
        if sorted[0].is_empty() || sorted.windows(2).any(|two| two[0] == two[1]) {
            return Err("two of its added tokens are the same text, or one is empty".into());
        }
        let bytes: usize = texts.iter().map(String::len).sum();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .kind((bytes > TABLED).then_some(AhoCorasickKind::ContiguousNFA))
            .build(&texts)
            .map_err(|wrong| wrong.to_string())?;
        Ok(Some(Self { automaton, tokens }))
    }

    /// Calls `each` for every stretch of a text that is not empty, in order, with the id of the token that
    /// it is. Special tokens are read as text where `plain`.
    ///
    /// # Errors
    ///
    /// Those of `each`; or a token begins within white space that another one has taken in, and takes in
    /// white space itself.
    pub(super) fn split(
        &self,
        text: &str,
        plain: bool,
        mut each: impl FnMut(Range<usize>, Option<u32>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let mut done = 0;
        for found in self.automaton.find_iter(text) {
            let (mut start, mut end) = (found.start(), found.end());
            let token = &self.tokens[found.pattern().as_usize()];
            if plain && token.special || token.single_word && !is_apart(text, start, end) {
                continue;
            }
            if token.lstrip {
                let spaces = text[done.min(start)..start]
                    .chars()
                    .rev()
                    .take_while(|character| is_space(*character));
                start = (start - spaces.map(char::len_utf8).sum::<usize>()).max(done);
            }
            if token.rstrip {
                let spaces = text[end..].chars().take_while(|character| is_space(*character));
                end += spaces.map(char::len_utf8).sum::<usize>();
            }
            if start > end {
                return Err(Stop::Oracle);
            }
            if done < start {
                each(done..start, None)?;
            }
            each(start..end, Some(token.id))?;
            done = end;
        }
        if done == text.len() { Ok(()) } else { each(done..text.len(), None) }
    }
}

/// Returns whether a stretch has no part of a word next to it.
fn is_apart(text: &str, start: usize, end: usize) -> bool {
    let is_word = |character: char| Traits::of(character).has(Traits::WORD);
    !text[..start].chars().next_back().is_some_and(is_word)
        && !text[end..].chars().next().is_some_and(is_word)
}

fn is_space(character: char) -> bool {
    Traits::of(character).has(Traits::SPACE)
}
