//! The rules of C4: they take lines out, and leave out texts of which too little is left.

use std::borrow::Cow;
use std::sync::OnceLock;

use regex::Regex;

use super::settings::C4;
use crate::words::{WordReader, is_space, lines_of, strip};

/// What a line about policies has.
const POLICIES: [&str; 6] = [
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
];

/// What the last character of a line is.
const ENDS: [char; 5] = ['.', '?', '!', '"', '\''];

/// Takes the marks of citations out of a line.
fn without_citations(line: &str) -> Cow<'_, str> {
    static CITATION: OnceLock<Option<Regex>> = OnceLock::new();
    if !line.contains('[') {
        return Cow::Borrowed(line);
    }
    let regex = CITATION.get_or_init(|| Regex::new(r"\[\d*\]|\[edit\]|\[citation needed\]").ok());
    regex.as_ref().map_or(Cow::Borrowed(line), |regex| regex.replace_all(line, ""))
}

impl C4 {
    /// Returns the lines that are kept, or why the text is left out.
    pub(super) fn lines(
        &self,
        text: &str,
        reader: &mut WordReader,
    ) -> Result<String, &'static str> {
        let mut sentences: i64 = 0;
        let mut kept = String::with_capacity(text.len());
        let mut any = false;
        for line in lines_of(text) {
            let line = strip(line);
            let words = line.split(is_space).filter(|word| !word.is_empty());
            let (mut count, mut longest) = (0_i64, 0);
            for word in words {
                count += 1;
                longest = longest.max(word.chars().count());
            }
            if self.max_word_length != -1
                && i64::try_from(longest).unwrap_or(i64::MAX) > self.max_word_length
            {
                continue;
            }
            let line =
                if self.remove_citations { without_citations(line) } else { Cow::Borrowed(line) };
            if self.filter_no_terminal_punct && (!line.ends_with(ENDS) || line.ends_with("...")) {
                continue;
            }
            if count < self.min_words_per_line {
                continue;
            }
            let lower = line.to_lowercase();
            if self.filter_lorem_ipsum && lower.contains("lorem ipsum") {
                return Err("lorem_ipsum");
            }
            if self.filter_javascript && lower.contains("javascript") {
                continue;
            }
            if self.filter_curly_bracket && line.contains('{') {
                return Err("curly_bracket");
            }
            if self.filter_policy && POLICIES.iter().any(|policy| lower.contains(policy)) {
                continue;
            }
            if self.min_num_sentences != -1 {
                sentences += i64::try_from(reader.sentences(&line)).unwrap_or(i64::MAX);
            }
            if any {
                kept.push('\n');
            }
            any = true;
            kept.push_str(&line);
        }
        if sentences < self.min_num_sentences {
            return Err("too_few_sentences");
        }
        let stripped = strip(&kept);
        Ok(if stripped.len() == kept.len() { kept } else { stripped.to_owned() })
    }
}
