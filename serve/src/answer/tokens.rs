//! Tokens with log-probabilities, as texts.

use ratdata_schemas::{TokenId, TokenLogprob};
use ratdata_tokenize::tokenizer::{TokenStream, Tokenizer};

/// A token of an answer with log-probabilities.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TokenEntry {
    /// Its text.
    pub(super) text: String,
    /// None for the first token of a prompt, which nothing is before.
    pub(super) logprob: Option<f64>,
    /// The most likely tokens of the position and the token itself, by texts that differ.
    pub(super) top: Vec<(String, f64)>,
    /// Where its text begins in the answer, in characters.
    pub(super) offset: usize,
    /// Whether it ends the text, and is no part of it.
    pub(super) is_end: bool,
}

/// Makes entries of the tokens of one answer, in their order.
#[derive(Clone, Debug)]
pub(super) struct TokenEntries {
    tokenizer: Tokenizer,
    stream: TokenStream,
    /// How many bytes of the stream's text `chars` counts.
    counted: usize,
    chars: usize,
}

impl TokenEntries {
    /// Begins with the first token of a text.
    pub(super) fn new(tokenizer: &Tokenizer, stream: TokenStream) -> Self {
        Self { tokenizer: tokenizer.clone(), stream, counted: 0, chars: 0 }
    }

    /// Continues behind a prompt, whose text has `chars` characters in the answer.
    pub(super) fn continued(&mut self, prompt: &[TokenId], chars: usize) {
        (self.stream, self.counted, self.chars) = (self.tokenizer.stream_after(prompt), 0, chars);
    }

    /// Makes the entry of the first token of a prompt.
    pub(super) fn first(&mut self, token: TokenId) -> TokenEntry {
        let text = self.tokenizer.token_text(token);
        let offset = self.chars;
        self.stream.push(token);
        self.count();
        TokenEntry { text, logprob: None, top: Vec::new(), offset, is_end: false }
    }

    /// Makes an entry. A special token of a prompt is written, one of an answer has no text.
    pub(super) fn next(&mut self, told: &TokenLogprob, of_prompt: bool) -> TokenEntry {
        let TokenLogprob { token, logprob, ref top } = *told;
        let text = self.tokenizer.token_text(token);
        let offset = self.chars;
        if of_prompt {
            self.stream.push(token);
        } else {
            self.stream.push_text(token);
        }
        self.count();
        let top = named(&self.tokenizer, (token, &text, logprob), top);
        TokenEntry { text, logprob: Some(logprob), top, offset, is_end: false }
    }

    fn count(&mut self) {
        let text = self.stream.settled();
        // A decoder may take back what it has written; then nothing is counted twice.
        self.chars += text.get(self.counted..).unwrap_or("").chars().count();
        self.counted = text.len();
    }
}

/// Names the most likely tokens and the token itself.
///
/// Several ids may have one text, such as the bytes of letters. A reader finds a token by its text, and
/// counts on the best one to be there: so the token itself has its text, and another with the same text
/// is named after its id.
fn named(
    tokenizer: &Tokenizer,
    (token, text, logprob): (TokenId, &str, f64),
    top: &[(TokenId, f64)],
) -> Vec<(String, f64)> {
    let mut names: Vec<(String, f64)> = Vec::with_capacity(top.len() + 1);
    for &(id, value) in top {
        let name = if id == token { text.to_owned() } else { tokenizer.token_text(id) };
        let is_taken =
            id != token && (name == text || names.iter().any(|(other, _)| *other == name));
        names.push((if is_taken { format!("token_id:{id}") } else { name }, value));
    }
    if top.iter().all(|&(id, _)| id != token) {
        names.push((text.to_owned(), logprob));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer() -> Tokenizer {
        let tiny = ratdata_tests::root().join("tokenize/examples/tiny/tokenizer.json");
        Tokenizer::load(tiny).unwrap()
    }

    /// Ids whose texts are the same: those that the vocabulary does not have.
    const MISSING: [TokenId; 3] = [500, 501, 502];

    #[test]
    fn tokens_with_one_text_do_not_hide_the_best_one() {
        let tokenizer = tokenizer();
        let [token, best, second] = MISSING;
        let top = [(best, -0.1), (second, -0.2)];

        let names = named(&tokenizer, (token, "", -3.0), &top);

        let expected = [("token_id:501", -0.1), ("token_id:502", -0.2), ("", -3.0)];
        assert_eq!(names, expected.map(|(name, value)| (name.to_owned(), value)));
        // Where the token is the best one, it has the text.
        let names = named(&tokenizer, (best, "", -0.1), &top);
        assert_eq!(names, [(String::new(), -0.1), ("token_id:502".to_owned(), -0.2)]);
    }

    #[test]
    fn a_token_of_half_a_letter_has_a_text_of_its_own() {
        let tokenizer = tokenizer();
        let ids = tokenizer.encode("日").unwrap();
        assert!(ids.len() > 1, "{ids:?}");

        let texts: Vec<String> = ids.iter().map(|&id| tokenizer.token_text(id)).collect();

        assert!(texts.iter().all(|text| text.starts_with("bytes:\\x")), "{texts:?}");
        let mut entries = TokenEntries::new(&tokenizer, tokenizer.stream());
        let told = |token| TokenLogprob { token, logprob: -1.0, top: vec![] };
        let mut offsets = vec![entries.first(ids[0]).offset];
        offsets.extend(ids[1..].iter().map(|&id| entries.next(&told(id), true).offset));
        assert!(offsets.iter().all(|&offset| offset == 0), "the letter begins at 0: {offsets:?}");
        let behind = entries.next(&told(ids[0]), true);
        assert_eq!(behind.offset, 1);
    }
}
