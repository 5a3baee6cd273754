//! A vocabulary's added tokens, and how they split a text.

use aho_corasick::BuildError;
use ratdata_schemas::TokenId;
use ratdata_schemas::recipe::SpecialInText;
use rustc_hash::FxHashMap as HashMap;

use super::finder::Finder;
use super::token::AddedToken;
use crate::engine::MAX_UNIT;
use crate::tokenizer::error::EncodeError;

/// A stretch of text between added tokens, or an added token.
pub(crate) enum Stretch<'a> {
    /// Text, and whether it is at the start of the document.
    Text { text: &'a str, at_start: bool },
    /// An added token.
    Token(TokenId),
}

/// The added tokens of a vocabulary.
#[derive(Debug)]
pub(crate) struct AddedTokens {
    tokens: Vec<AddedToken>,
    /// Whether each is special, by its id.
    is_special: HashMap<TokenId, bool>,
    finder: Finder,
}

impl AddedTokens {
    /// Makes the tables that find these tokens, but for those of the characters in `alone`, a bit each, which the
    /// engine finds itself.
    ///
    /// # Errors
    ///
    /// There are too many to be found at once.
    pub(crate) fn new(tokens: Vec<AddedToken>, alone: u128) -> Result<Self, BuildError> {
        let finder = Finder::new(&tokens, alone)?;
        let is_special = tokens.iter().map(|token| (token.id, token.special)).collect();
        Ok(Self { tokens, is_special, finder })
    }

    /// Returns the tokens in the order of the vocabulary file.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &AddedToken> {
        self.tokens.iter()
    }

    /// Returns whether an id is an added token's.
    pub(crate) fn has(&self, id: TokenId) -> bool {
        self.is_special.contains_key(&id)
    }

    /// Returns whether an id is a special token's.
    pub(crate) fn is_special(&self, id: TokenId) -> bool {
        self.is_special.get(&id) == Some(&true)
    }

    /// Returns whether all tokens are special.
    pub(crate) fn are_special(&self) -> bool {
        self.iter().all(|token| token.special)
    }

    /// Returns the id of the first of `names` that is a special token.
    pub(crate) fn first_special(&self, names: &[&str]) -> Option<TokenId> {
        names.iter().find_map(|name| {
            let named = |token: &&AddedToken| token.special && token.content == *name;
            self.iter().find(named).map(|token| token.id)
        })
    }

    /// Returns whether some token has these characters side by side.
    pub(crate) fn span(&self, before: char, after: char) -> bool {
        self.iter().any(|token| {
            let next = token.content.chars().skip(1);
            token.content.chars().zip(next).any(|pair| pair == (before, after))
        })
    }

    /// Returns the first of these tokens in a text, and the byte where it begins.
    ///
    /// # Errors
    ///
    /// As of [`AddedTokens::split`].
    pub(crate) fn first_of(
        &self,
        text: &str,
        specials: SpecialInText,
        wanted: &[TokenId],
    ) -> Result<Option<(usize, TokenId)>, EncodeError> {
        self.split(text, specials, |_| {})?;
        let mut found = None;
        if specials != SpecialInText::Plain {
            self.finder.each(text, |range, token| {
                let id = token.map(|place| self.tokens[place].id);
                if let Some(id) = id.filter(|id| wanted.contains(id)) {
                    found.get_or_insert((range.start, id));
                }
                Ok::<(), EncodeError>(())
            })?;
        }
        Ok(found)
    }

    /// Calls `each` for every stretch of text and every added token in it, in order.
    ///
    /// # Errors
    ///
    /// The text is too long, or has a special token where [`SpecialInText::Error`] was asked for.
    pub(crate) fn split<'a>(
        &self,
        text: &'a str,
        specials: SpecialInText,
        mut each: impl FnMut(Stretch<'a>),
    ) -> Result<(), EncodeError> {
        if text.len() >= MAX_UNIT {
            return Err(EncodeError::TooLong { bytes: text.len(), most: MAX_UNIT - 1 });
        }
        if specials == SpecialInText::Plain {
            if !text.is_empty() {
                each(Stretch::Text { text, at_start: true });
            }
            return Ok(());
        }
        self.finder.each(text, |range, token| {
            let Some(token) = token.map(|place| &self.tokens[place]) else {
                each(Stretch::Text { at_start: range.start == 0, text: &text[range] });
                return Ok(());
            };
            if specials == SpecialInText::Error && token.special {
                return Err(EncodeError::Special { at: range.start, token: token.content.clone() });
            }
            each(Stretch::Token(token.id));
            Ok(())
        })
    }
}
