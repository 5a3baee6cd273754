//! Added tokens that are runs of one character, such as Gemma's line ends.
//!
//! # Why the engine may find them
//!
//! *Definition.* A character is *alone* if it is an added token, and all added tokens that have it are runs of it. They
//! are found in the text as it stands, and are not special.
//!
//! *Corollary 1.* Every place of such a character is within an added token, so the text between added tokens never has
//! it, and no merge ever sees it next to another character.
//!
//! *Corollary 2.* So a text may be cut between it and any other character. A unit of such characters has the ids of the
//! longest tokens, from its beginning on, as the leftmost longest match takes them; all other units have the ids that
//! they have without it.
//!
//! That needs that nothing depends on where added tokens are but their ids, so a text that gets a `▁` in front of it,
//! after each token or at the start, has no such characters.

use ratdata_schemas::TokenId;

use super::id_width::IdWidth;

/// An added token, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) id: TokenId,
    pub(crate) content: &'a str,
    /// Whether it is found in the text as it stands, and is not special.
    pub(crate) is_plain: bool,
}

/// The tokens of one character.
#[derive(Clone, Debug)]
struct Runs {
    character: u8,
    /// How long each token is, the longest first, and its id.
    tokens: Vec<(usize, TokenId)>,
}

/// The characters that are alone, and the tokens that are runs of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunTokens(Vec<Runs>);

impl RunTokens {
    /// Finds the characters of ASCII that are alone.
    pub(crate) fn of(added: &[Token<'_>]) -> Self {
        let ones = added.iter().filter(|token| token.content.len() == 1);
        let characters = ones.filter_map(|token| token.content.bytes().next().filter(u8::is_ascii));
        let runs = characters.filter_map(|character| {
            let with = |token: &&Token<'_>| token.content.as_bytes().contains(&character);
            let is_run = |token: &Token<'_>| {
                token.is_plain && token.content.bytes().all(|byte| byte == character)
            };
            let mut tokens: Vec<(usize, TokenId)> = Vec::new();
            for token in added.iter().filter(with) {
                if !is_run(token) {
                    return None;
                }
                tokens.push((token.content.len(), token.id));
            }
            tokens.sort_unstable_by_key(|&(len, _)| std::cmp::Reverse(len));
            let distinct = tokens.windows(2).all(|pair| pair[0].0 != pair[1].0);
            (distinct && character != b' ').then_some(Runs { character, tokens })
        });
        Self(runs.collect())
    }

    /// Returns the characters, a bit each.
    pub(crate) fn alone(&self) -> u128 {
        self.0.iter().fold(0, |set, runs| set | 1 << runs.character)
    }

    /// Returns whether a text begins with such a character.
    #[inline]
    pub(crate) fn begin(&self, text: &str) -> bool {
        let first = text.as_bytes().first();
        first.is_some_and(|first| self.0.iter().any(|runs| runs.character == *first))
    }

    /// Appends the ids of a text of such characters alone.
    pub(crate) fn encode<W: IdWidth>(&self, text: &str, out: &mut Vec<W>) {
        for run in text.as_bytes().chunk_by(|one, other| one == other) {
            let Some(runs) = self.0.iter().find(|runs| runs.character == run[0]) else { continue };
            let mut rest = run.len();
            for &(len, id) in &runs.tokens {
                out.extend(std::iter::repeat_n(W::of(id), rest / len));
                rest %= len;
            }
        }
    }

    /// Returns the stretches of a text, of such characters and of others in turn.
    pub(crate) fn stretches<'a>(&self, text: &'a str) -> Vec<&'a str> {
        if self.0.is_empty() {
            return vec![text];
        }
        let is_alone = |byte: u8| self.0.iter().any(|runs| runs.character == byte);
        let mut stretches = Vec::new();
        let mut at = 0;
        for stretch in text.as_bytes().chunk_by(|one, other| is_alone(*one) == is_alone(*other)) {
            stretches.push(&text[at..at + stretch.len()]);
            at += stretch.len();
        }
        stretches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: TokenId, content: &str) -> Token<'_> {
        Token { id, content, is_plain: true }
    }

    #[test]
    fn a_character_is_alone_where_tokens_have_it_in_runs_of_its_own() {
        let added =
            [token(1, "\n"), token(2, "\n\n\n"), token(3, "\t\t"), token(4, "a"), token(5, "ab")];
        let runs = RunTokens::of(&added);

        assert_eq!(runs.alone(), 1 << b'\n');
        assert!(runs.begin("\nx") && !runs.begin("a") && !runs.begin(""));
        assert_eq!(runs.stretches("\n\nab\n"), ["\n\n", "ab", "\n"]);
        let mut ids: Vec<TokenId> = Vec::new();
        runs.encode("\n\n\n\n\n", &mut ids);
        assert_eq!(ids, [2, 1, 1]);
    }

    #[test]
    fn special_tokens_and_normalized_ones_are_left_to_the_finder() {
        for wrong in [Token { is_plain: false, ..token(1, "\n") }, token(1, " ")] {
            assert_eq!(RunTokens::of(&[wrong]).alone(), 0);
        }
    }
}
