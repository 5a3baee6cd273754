//! The quality rules of Gopher.

use std::sync::OnceLock;

use regex::Regex;

use super::settings::GopherQuality;
use super::{Counted, share};
use crate::words::{WordReader, is_space, lines_of};

/// What counts as punctuation, with the control characters that are added below.
const PUNCTUATION: &str = include_str!("punctuation.txt");

/// Returns whether a character is punctuation for these rules.
fn is_punctuation(sign: char) -> bool {
    static OTHERS: OnceLock<std::collections::HashSet<char>> = OnceLock::new();
    if sign.is_ascii_alphanumeric() {
        return false;
    }
    // Tabs and line feeds are not in the list that datatrove makes; no word has them.
    let code = u32::from(sign);
    let is_control = code < 9 || (11..13).contains(&code) || (13..32).contains(&code);
    is_control
        || (127..160).contains(&code)
        || OTHERS
            .get_or_init(|| PUNCTUATION.chars().filter(|sign| *sign != '\n').collect())
            .contains(&sign)
}

/// Returns whether a word has a letter, as `str.isalpha` says.
fn has_letter(word: &str) -> bool {
    static LETTER: OnceLock<Option<Regex>> = OnceLock::new();
    if word.bytes().any(|byte| byte.is_ascii_alphabetic()) {
        return true;
    }
    let regex = LETTER.get_or_init(|| Regex::new(r"\p{L}").ok());
    !word.is_ascii() && regex.as_ref().is_some_and(|regex| regex.is_match(word))
}

impl GopherQuality {
    /// Returns why a text is left out.
    pub(super) fn reason(
        &self,
        counted: &mut Counted<'_>,
        reader: &mut WordReader,
    ) -> Option<&'static str> {
        let text = counted.text;
        let words = counted.words(reader);
        let (mut wordy, mut chars, mut with_letter) = (0_u64, 0_u64, 0);
        let mut stop_words = vec![false; self.stop_words.len()];
        for word in words {
            let word = &text[word.clone()];
            if word.chars().any(|sign| !is_punctuation(sign)) {
                wordy += 1;
                chars += word.chars().count() as u64;
            }
            with_letter += usize::from(has_letter(word));
            if let Some(at) = self.stop_words.iter().position(|stop| stop == word) {
                stop_words[at] = true;
            }
        }
        if self.min_doc_words > 0 && wordy < self.min_doc_words {
            return Some("gopher_short_doc");
        }
        if self.max_doc_words > 0 && wordy > self.max_doc_words {
            return Some("gopher_long_doc");
        }
        if wordy > 0 {
            let mean = chars as f64 / wordy as f64;
            if self.min_avg_word_length > 0.0 && mean < self.min_avg_word_length {
                return Some("gopher_below_avg_threshold");
            }
            if self.max_avg_word_length > 0.0 && mean > self.max_avg_word_length {
                return Some("gopher_above_avg_threshold");
            }
        }
        let of_words = |count| share(count, words.len());
        if self.max_symbol_word_ratio > 0.0 {
            if of_words(text.matches('#').count()) > self.max_symbol_word_ratio {
                return Some("gopher_too_many_hashes");
            }
            let ellipses = text.matches("...").count() + text.matches('…').count();
            if of_words(ellipses) > self.max_symbol_word_ratio {
                return Some("gopher_too_many_ellipsis");
            }
        }
        let (mut lines, mut bullets, mut ellipses) = (0, 0, 0);
        for line in lines_of(text) {
            lines += 1;
            let begin = line.trim_start_matches(is_space);
            bullets += usize::from(begin.starts_with('•') || begin.starts_with('-'));
            let end = line.trim_end_matches(is_space);
            ellipses += usize::from(end.ends_with("...") || end.ends_with('…'));
        }
        if self.max_bullet_lines_ratio > 0.0 && share(bullets, lines) > self.max_bullet_lines_ratio
        {
            return Some("gopher_too_many_bullets");
        }
        if self.max_ellipsis_lines_ratio > 0.0
            && share(ellipses, lines) > self.max_ellipsis_lines_ratio
        {
            return Some("gopher_too_many_end_ellipsis");
        }
        if self.max_non_alpha_words_ratio > 0.0
            && of_words(with_letter) < self.max_non_alpha_words_ratio
        {
            return Some("gopher_below_alpha_threshold");
        }
        let stop_words = stop_words.into_iter().filter(|there| *there).count();
        (stop_words < self.min_stop_words).then_some("gopher_enough_stop_words")
    }
}
