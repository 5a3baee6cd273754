//! The text of a continuation as its tokens come, up to a text that stops it.

use std::sync::Arc;

use ratdata_schemas::TokenId;

use super::token_stream::TokenStream;

/// The text of tokens so far, which ends before the first of some stops.
///
/// A token costs the same at any length of the text: neither the decoding nor the search for stops begins
/// at the first token again.
#[derive(Clone, Debug)]
pub struct StoppingText {
    stream: TokenStream,
    stops: Arc<[String]>,
    /// The length of the longest stop, in bytes.
    longest: usize,
    /// The whole text, once a stop has ended it.
    stopped: Option<String>,
    /// How many bytes of the text were returned by [`StoppingText::push`].
    shown: usize,
    tokens: usize,
}

impl StoppingText {
    /// Begins a text. An empty stop stops nothing.
    pub fn new(stream: TokenStream, stops: Arc<[String]>) -> Self {
        let longest = stops.iter().map(String::len).max().unwrap_or(0);
        Self { stream, stops, longest, stopped: None, shown: 0, tokens: 0 }
    }

    /// Adds a token, and returns what can be shown: text that no later token changes, before any of
    /// the stops. Special tokens have no text, and after a stop no token has.
    pub fn push(&mut self, id: TokenId) -> &str {
        if self.stopped.is_some() {
            return "";
        }
        self.tokens += 1;
        let before = self.stream.settled().len();
        self.stream.push_text(id);
        if let Some(at) = self.stop_behind(before) {
            let mut text = self.stream.settled().to_owned() + &self.stream.unsettled();
            text.truncate(at);
            self.stopped = Some(text);
            return self.show(at);
        }
        let settled = self.stream.settled();
        let end = settled.len() - begun(settled, &self.stops);
        self.show(end)
    }

    /// Returns where the first stop begins that is not whole in the first `before` bytes.
    fn stop_behind(&self, before: usize) -> Option<usize> {
        if self.longest == 0 {
            return None;
        }
        let settled = self.stream.settled();
        let mut from = before.min(settled.len()).saturating_sub(self.longest.saturating_sub(1));
        while !settled.is_char_boundary(from) {
            from -= 1;
        }
        let window = settled[from..].to_owned() + &self.stream.unsettled();
        let stops = self.stops.iter().filter(|stop| !stop.is_empty());
        let first = stops.filter_map(|stop| window.find(stop.as_str())).min()?;
        Some(from + first)
    }

    /// Returns what is left to show of a text that has ended.
    pub fn rest(&mut self) -> String {
        let text = self.text();
        let start = self.shown.min(text.len());
        self.shown = text.len();
        text.get(start..).unwrap_or("").to_owned()
    }

    /// Returns whether a stop has ended the text.
    pub fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// Returns how many tokens the text has, up to the one that stopped it.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Returns the whole text so far.
    pub fn text(&self) -> String {
        match &self.stopped {
            Some(text) => text.clone(),
            None => self.stream.settled().to_owned() + &self.stream.unsettled(),
        }
    }

    fn show(&mut self, end: usize) -> &str {
        // Where a decoder changes what was shown, as one that trims does, nothing is shown twice.
        let text = self.stopped.as_deref().unwrap_or(self.stream.settled());
        let start = self.shown.min(text.len());
        let end = end.max(start);
        self.shown = end;
        text.get(start..end).unwrap_or("")
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
    use proptest::prelude::*;

    use super::super::Tokenizer;
    use super::*;

    #[test]
    fn what_may_be_the_beginning_of_a_stop_is_kept_back() {
        let stops = ["\nQ:", "é!"].map(str::to_owned);

        for (text, kept) in [("a\nQ", 2), ("a\n", 1), ("a\nQx", 0), ("é", 2), ("", 0)] {
            assert_eq!(begun(text, &stops), kept, "{text}");
        }
    }

    fn tokenizer() -> Tokenizer {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        Tokenizer::load(folder.join("examples/tiny/tokenizer.json")).unwrap()
    }

    /// The slow twin: decodes all tokens for each, and searches the whole text.
    fn plainly(tokenizer: &Tokenizer, ids: &[TokenId], stops: &[String]) -> (String, bool) {
        for count in 1..=ids.len() {
            let texts: Vec<TokenId> =
                ids[..count].iter().copied().filter(|&id| !tokenizer.is_special(id)).collect();
            let text = tokenizer.decode(&texts);
            if let Some(at) = stops.iter().filter_map(|stop| text.find(stop.as_str())).min() {
                return (text[..at].to_owned(), true);
            }
            if count == ids.len() {
                return (text, false);
            }
        }
        (String::new(), false)
    }

    proptest! {
        /// Token by token gives the text that the slow twin gives, what is shown is that text, and
        /// the text ends at the same token.
        #[test]
        fn token_by_token_is_the_slow_twin(
            text in "[ab é日\n]{0,12}",
            extra in prop::collection::vec(0..256_u32, 0..12),
            stops in prop::collection::vec("[ab é日\n]{1,3}", 0..3),
        ) {
            let tokenizer = tokenizer();
            let mut ids = tokenizer.encode(&text).unwrap();
            ids.extend(extra.into_iter().filter(|&id| id < tokenizer.vocab_size()));
            let mut found = StoppingText::new(tokenizer.stream(), stops.clone().into());
            let mut shown = String::new();
            for (count, &id) in (1..).zip(&ids) {
                shown.push_str(found.push(id));

                let (expected, stopped) = plainly(&tokenizer, &ids[..count], &stops);
                prop_assert_eq!((found.text(), found.is_stopped()), (expected, stopped));
            }
            shown.push_str(&found.rest());
            prop_assert_eq!(shown, found.text());
        }
    }
}
