//! The text of one request, as its tokens come.

use ratdata_schemas::TokenId;
use ratdata_tokenize::tokenizer::Tokenizer;

/// What replaces bytes that are not UTF-8, such as the first ones of a character.
const REPLACED: char = '\u{fffd}';

/// The tokens of a request so far, and their text.
#[derive(Clone, Debug, Default)]
pub(super) struct Completion {
    ids: Vec<TokenId>,
    text: String,
    /// How much of the text was returned by [`Completion::push`].
    shown: usize,
    stopped: bool,
}

impl Completion {
    /// Adds a token, and returns what can be shown: text that no later token changes, before any of
    /// the stops.
    pub(super) fn push(&mut self, id: TokenId, tokenizer: &Tokenizer, stops: &[String]) -> &str {
        if self.stopped {
            return "";
        }
        self.ids.push(id);
        self.decode(tokenizer);
        if let Some(at) = stops.iter().filter_map(|stop| self.text.find(stop.as_str())).min() {
            self.text.truncate(at);
            self.stopped = true;
            return self.show(at);
        }
        let settled = self.text.trim_end_matches(REPLACED).len();
        let end = settled.min(self.text.len() - begun(&self.text, stops));
        self.show(end)
    }

    /// Adds a token of a text that is shown when it is whole.
    pub(super) fn add(&mut self, id: TokenId, tokenizer: &Tokenizer, stops: &[String]) {
        if stops.is_empty() {
            self.ids.push(id);
        } else {
            self.push(id, tokenizer, stops);
        }
    }

    /// Returns what is left to show of a text that has ended.
    pub(super) fn rest(&mut self, tokenizer: &Tokenizer) -> &str {
        let len = self.text(tokenizer).len();
        self.show(len)
    }

    /// Returns whether a stop was generated.
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Returns how many tokens there are.
    pub(super) fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Returns the whole text.
    pub(super) fn text(&mut self, tokenizer: &Tokenizer) -> &str {
        if !self.stopped {
            self.decode(tokenizer);
        }
        &self.text
    }

    /// Special tokens have no text.
    fn decode(&mut self, tokenizer: &Tokenizer) {
        let is_text = |id: &TokenId| !tokenizer.is_special(*id);
        let ids: Vec<TokenId> = self.ids.iter().copied().filter(is_text).collect();
        self.text = tokenizer.decode(&ids);
    }

    fn show(&mut self, end: usize) -> &str {
        // Where a decoder changes what was shown, as one that trims does, nothing is shown twice.
        let start = self.shown.min(self.text.len());
        let end = end.max(start);
        self.shown = end;
        self.text.get(start..end).unwrap_or("")
    }
}

/// Returns how many bytes at the end of a text may be the beginning of a stop.
fn begun(text: &str, stops: &[String]) -> usize {
    let longest = |stop: &String| {
        let ends = (1..stop.len()).rev().filter(|&len| stop.is_char_boundary(len));
        ends.into_iter().find(|&len| text.ends_with(&stop[..len])).unwrap_or(0)
    };
    stops.iter().map(longest).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_the_beginning_of_a_stop_is_kept_back() {
        let stops = ["\nQ:", "é!"].map(str::to_owned);

        for (text, kept) in [("a\nQ", 2), ("a\n", 1), ("a\nQx", 0), ("é", 2), ("", 0)] {
            assert_eq!(begun(text, &stops), kept, "{text}");
        }
    }
}
