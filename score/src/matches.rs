//! The metrics of RULER: which answers are in the prediction; and that of RAT for RULER's tasks.

use std::collections::BTreeSet;

use crate::python::is_space;

/// Returns 1 where the answer is in the prediction in any case, and 0 elsewhere.
pub(crate) fn contains(prediction: &str, answer: &str) -> f64 {
    if prediction.to_lowercase().contains(&answer.to_lowercase()) { 1.0 } else { 0.0 }
}

/// Returns which share of the answers is a part of the prediction between commas.
pub(crate) fn set_overlap(prediction: &str, answers: &[String]) -> f64 {
    let parts: BTreeSet<&str> =
        prediction.split(',').map(|part| part.trim_matches(is_space)).collect();
    let distinct: BTreeSet<&str> = answers.iter().map(String::as_str).collect();
    parts.intersection(&distinct).count() as f64 / answers.len() as f64
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these scores are exact")]
mod tests {
    use super::*;

    #[test]
    fn the_parts_between_commas_are_compared() {
        let answers = ["123", "456", "789"].map(str::to_owned);

        assert!((set_overlap("456, 123,000", &answers) - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(contains("It is PARIS.", "paris"), 1.0);
    }
}
