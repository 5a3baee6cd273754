//! Token F1 and exact match, as SQuAD and LongBench define them.

use std::sync::LazyLock;

use regex::Regex;
use rustc_hash::FxHashMap;

use crate::python::words;

/// Words, as `\b` of Python's `re` bounds them.
///
/// The pattern is constant, and a test uses it, so there is always one.
static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"[\p{L}\p{N}_]+").ok());

/// Computes the F1 of the words of two texts, as multisets; it is 0 where no word is in both.
pub(crate) fn f1(prediction: &str, answer: &str) -> f64 {
    let (prediction, answer) = (normalized(prediction), normalized(answer));
    let mut counts: FxHashMap<&str, usize> = FxHashMap::default();
    let mut answer_words = 0_usize;
    for word in words(&answer) {
        *counts.entry(word).or_default() += 1;
        answer_words += 1;
    }
    let (mut shared, mut prediction_words) = (0_usize, 0_usize);
    for word in words(&prediction) {
        prediction_words += 1;
        if let Some(count) = counts.get_mut(word).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    if shared == 0 {
        return 0.0;
    }
    let precision = shared as f64 / prediction_words as f64;
    let recall = shared as f64 / answer_words as f64;
    2.0 * precision * recall / (precision + recall)
}

/// Returns 1 where the words of two texts are the same in the same order, and 0 elsewhere.
pub(crate) fn exact_match(prediction: &str, answer: &str) -> f64 {
    let (prediction, answer) = (normalized(prediction), normalized(answer));
    if words(&prediction).eq(words(&answer)) { 1.0 } else { 0.0 }
}

/// Lower-cases a text, deletes ASCII punctuation, and replaces the articles by spaces.
fn normalized(text: &str) -> String {
    let mut text = text.to_lowercase();
    text.retain(|char| !char.is_ascii_punctuation());
    let Some(pattern) = WORDS.as_ref() else { return text };
    let article = |word: &regex::Captures<'_>| match &word[0] {
        "a" | "an" | "the" => " ".to_owned(),
        other => other.to_owned(),
    };
    pattern.replace_all(&text, article).into_owned()
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these scores are exact")]
mod tests {
    use super::*;

    #[test]
    fn punctuation_is_deleted_and_articles_become_spaces() {
        assert_eq!(normalized("The-cat, an U.S. “thé” a"), "thecat   us “thé”  ");
    }

    #[test]
    fn an_article_within_a_word_stays() {
        // A combining accent ends a word for `\b`, an underscore is deleted before.
        assert_eq!(normalized("a\u{301} tha_the é́the"), " \u{301} thathe é́ ");
        assert_eq!(f1("²a", "²a"), 1.0);
    }

    #[test]
    fn words_count_as_often_as_they_are_in_both() {
        assert!((f1("red red red blue", "red blue blue") - 4.0 / 7.0).abs() < 1e-12);
        assert_eq!(f1("the", "the"), 0.0);
        assert_eq!(exact_match("The Paris!", "paris"), 1.0);
        assert_eq!(exact_match("Paris, France", "paris"), 0.0);
    }
}
