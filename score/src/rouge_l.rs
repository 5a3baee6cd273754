//! ROUGE-L as LongBench computes it: summary level, by the package `rouge` 1.0.1.
//!
//! A text is cut at every `.` into sentences. Case and punctuation count. Of every pair of sentences,
//! one longest common subsequence is taken, and the score counts the distinct words of their union.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::python::words;

/// The most steps of a walk through the table of a pair of sentences.
///
/// The package walks by recursion, and Python ends it after about a thousand calls. LongBench takes
/// the exception for a score of 0.
const MOST_STEPS: usize = 990;

/// Computes the F-measure; it is 0 where a text has no sentence or a pair of sentences is too long.
pub(crate) fn rouge_l(prediction: &str, answer: &str) -> f64 {
    let mut vocabulary = FxHashMap::default();
    let [hypothesis, reference] = [prediction, answer].map(|text| sentences(text, &mut vocabulary));
    if hypothesis.is_empty() || reference.is_empty() {
        return 0.0;
    }
    let mut union = FxHashSet::default();
    for x in &reference {
        for y in &hypothesis {
            let Some(common) = common_subsequence(x, y) else { return 0.0 };
            union.extend(common);
        }
    }
    let recall = union.len() as f64 / distinct(&reference);
    let precision = union.len() as f64 / distinct(&hypothesis);
    2.0 * ((precision * recall) / (precision + recall + 1e-8))
}

/// A word by its number.
type Word = usize;

/// Splits a text into sentences of words. A sentence of blanks is one empty word.
fn sentences<'a>(text: &'a str, vocabulary: &mut FxHashMap<&'a str, Word>) -> Vec<Vec<Word>> {
    text.split('.')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let mut number = |word| {
                let next = vocabulary.len();
                *vocabulary.entry(word).or_insert(next)
            };
            let numbers: Vec<Word> = words(part).map(&mut number).collect();
            if numbers.is_empty() { vec![number("")] } else { numbers }
        })
        .collect()
}

fn distinct(sentences: &[Vec<Word>]) -> f64 {
    sentences.iter().flatten().collect::<FxHashSet<_>>().len() as f64
}

/// Returns the words of a longest common subsequence, from the last to the first: where several are
/// as long, the one that the package finds. None where the walk is too long for Python.
fn common_subsequence(x: &[Word], y: &[Word]) -> Option<Vec<Word>> {
    if x.len().min(y.len()) > MOST_STEPS {
        return None;
    }
    let width = y.len() + 1;
    // A length is at most that of the shorter sentence.
    let mut table = vec![0_u16; (x.len() + 1) * width];
    for i in 1..=x.len() {
        let (above, row) = table[(i - 1) * width..(i + 1) * width].split_at_mut(width);
        for j in 1..=y.len() {
            row[j] = if x[i - 1] == y[j - 1] { above[j - 1] + 1 } else { above[j].max(row[j - 1]) };
        }
    }
    let (mut i, mut j, mut steps) = (x.len(), y.len(), 0);
    let mut common = Vec::new();
    while i > 0 && j > 0 {
        steps += 1;
        if steps > MOST_STEPS {
            return None;
        }
        if x[i - 1] == y[j - 1] {
            common.push(x[i - 1]);
            (i, j) = (i - 1, j - 1);
        } else if table[(i - 1) * width + j] > table[i * width + j - 1] {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    Some(common)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these scores are exact")]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_of_blanks_is_an_empty_word() {
        assert!((rouge_l("x. ", "x") - 0.666_666_662).abs() < 1e-9);
        for nothing in ["", "..."] {
            assert_eq!(rouge_l(nothing, "x"), 0.0);
            assert_eq!(rouge_l("x", nothing), 0.0);
        }
        assert!((rouge_l(" ", " ") - 0.999_999_995).abs() < 1e-12);
    }

    #[test]
    fn a_sentence_that_python_cannot_walk_scores_nothing() {
        let text = |words: usize| (0..words).map(|i| format!("w{i}")).collect::<Vec<_>>().join(" ");

        assert!((rouge_l(&text(990), &text(990)) - 0.999_999_995).abs() < 1e-12);
        assert_eq!(rouge_l(&text(1000), &text(1000)), 0.0);
        // A step may be along one side alone.
        assert!(rouge_l("w0", &text(900)) > 0.0);
        assert_eq!(rouge_l("w0", &text(1200)), 0.0);
    }
}
