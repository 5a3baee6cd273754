//! The similarity of a line of code, as LongBench and `fuzzywuzzy` compute it.

use crate::python::rounded;
use crate::sequence_matcher::ratio;

/// Compares the first line of code of a prediction with the answer, in whole percents of 1.
pub(crate) fn code_similarity(prediction: &str, answer: &str) -> f64 {
    let is_code = |line: &&str| !(line.contains(['`', '#']) || line.contains("//"));
    let lines = prediction.trim_start_matches('\n').split('\n');
    let line = lines.into_iter().find(is_code).unwrap_or(prediction);
    if line == answer {
        1.0
    } else if line.is_empty() || answer.is_empty() {
        0.0
    } else {
        rounded(100.0 * ratio(line, answer)) / 100.0
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these scores are exact")]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_without_comment_or_fence_is_compared() {
        let prediction = "\n```python\n# a call\nfoo(a, b)\nfoo(b, a)";

        assert_eq!(code_similarity(prediction, "foo(b, a)"), 0.78);
        assert_eq!(code_similarity("\n# x", "\n# x"), 1.0);
        assert_eq!(code_similarity("", "x"), 0.0);
        assert_eq!(code_similarity("b a ", "ac b"), 0.25);
    }
}
