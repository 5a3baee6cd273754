//! The metrics by name, and the score of a row and of a file.

use crate::classification::classification;
use crate::code_similarity::code_similarity;
use crate::f1::{exact_match, f1};
use crate::matches::{contains, set_overlap};
use crate::rouge_google::rouge_l_google;
use crate::rouge_l::rouge_l;

/// How a prediction is compared with its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// F1 of the words without case, punctuation and articles: LongBench's `qa_f1_score`.
    F1,
    /// ROUGE-L of the package `rouge` 1.0.1: LongBench's `rouge_score`.
    RougeL,
    /// Whether the words that F1 compares are the same in the same order.
    ExactMatch,
    /// The similarity of the first line of code: LongBench's `code_sim_score`.
    CodeSim,
    /// Whether the right class is named, and how many others are: LongBench's `classification_score`.
    Classification,
    /// ROUGE-L of the package `rouge-score`, without stemming.
    RougeLGoogle,
    /// The share of the answers that are in the prediction: RULER's `string_match_all`.
    StringMatchAll,
    /// Whether an answer is in the prediction: RULER's `string_match_part`.
    StringMatchPart,
    /// The share of the answers that are parts of the prediction between commas: RAT's, for RULER.
    SetOverlap,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 9] = [
        Self::F1,
        Self::RougeL,
        Self::ExactMatch,
        Self::CodeSim,
        Self::Classification,
        Self::RougeLGoogle,
        Self::StringMatchAll,
        Self::StringMatchPart,
        Self::SetOverlap,
    ];

    /// Returns the metric's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::F1 => "f1",
            Self::RougeL => "rouge-l",
            Self::ExactMatch => "exact-match",
            Self::CodeSim => "code-sim",
            Self::Classification => "classification",
            Self::RougeLGoogle => "rouge-l-google",
            Self::StringMatchAll => "string-match-all",
            Self::StringMatchPart => "string-match-part",
            Self::SetOverlap => "set-overlap",
        }
    }

    /// Returns what the metric measures, in a few words.
    pub fn about(self) -> &'static str {
        match self {
            Self::F1 => "words in common, without case, punctuation and articles (LongBench)",
            Self::RougeL => "longest common subsequences of sentences (LongBench)",
            Self::ExactMatch => "the same words as in `f1`, in the same order",
            Self::CodeSim => "similarity of the first line of code (LongBench)",
            Self::Classification => "the right class, and no other (LongBench)",
            Self::RougeLGoogle => "ROUGE-L of the package `rouge-score`",
            Self::StringMatchAll => "the share of the answers that are in the prediction (RULER)",
            Self::StringMatchPart => "one of the answers is in the prediction (RULER)",
            Self::SetOverlap => "the share of the answers between the prediction's commas (RAT)",
        }
    }

    /// Scores a prediction from 0 to 1: the best over the answers, or all of them together.
    ///
    /// Without answers it is 0; [`read_predictions`](crate::read_predictions) refuses such a row.
    pub fn score(self, prediction: &str, answers: &[String], classes: &[String]) -> f64 {
        let best = |score: &dyn Fn(&str) -> f64| {
            answers.iter().map(|answer| score(answer)).fold(0.0, f64::max)
        };
        match self {
            _ if answers.is_empty() => 0.0,
            Self::F1 => best(&|answer| f1(prediction, answer)),
            Self::RougeL => best(&|answer| rouge_l(prediction, answer)),
            Self::ExactMatch => best(&|answer| exact_match(prediction, answer)),
            Self::CodeSim => best(&|answer| code_similarity(prediction, answer)),
            Self::Classification => best(&|answer| classification(prediction, answer, classes)),
            Self::RougeLGoogle => best(&|answer| rouge_l_google(prediction, answer)),
            Self::StringMatchAll => {
                let found: f64 = answers.iter().map(|answer| contains(prediction, answer)).sum();
                found / answers.len() as f64
            }
            Self::StringMatchPart => best(&|answer| contains(prediction, answer)),
            Self::SetOverlap => set_overlap(prediction, answers),
        }
    }
}

/// Returns the mean of scores from 0 to 1 as the scorers print it: in percent, with two decimals.
pub fn mean_percent(scores: &[f64]) -> f64 {
    let percent = 100.0 * scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    // Both print the decimal that is nearest to the exact value, and of two the even one.
    format!("{percent:.2}").parse().unwrap_or(percent)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these scores are exact")]
mod tests {
    use super::*;

    #[test]
    fn a_mean_has_two_decimals_and_a_half_goes_to_the_even_one() {
        assert_eq!(mean_percent(&[1.0, 0.0, 0.0]), 33.33);
        assert_eq!(mean_percent(&[0.001_25]), 0.12);
        assert_eq!(mean_percent(&[0.003_75]), 0.38);
        assert_eq!(mean_percent(&[]), 0.0);
    }

    #[test]
    fn the_best_answer_counts_and_ruler_takes_the_mean() {
        let answers = ["Rome", "Paris"].map(str::to_owned);

        assert_eq!(Metric::F1.score("paris", &answers, &[]), 1.0);
        assert_eq!(Metric::StringMatchAll.score("in paris", &answers, &[]), 0.5);
        assert_eq!(Metric::StringMatchPart.score("in paris", &answers, &[]), 1.0);
    }
}
