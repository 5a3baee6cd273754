//! Cuts a preference pair to its row: both answers keep the same prompt, or the pair is left out.

use ratdata_schemas::recipe::{PreferenceCounts, Truncate};
use ratdata_schemas::{IGNORE_INDEX, TokenId};

use super::clip::{Clip, Example};

/// An answer of a pair: its tokens, and which of them are trained on. The first one is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) ids: Vec<TokenId>,
    pub(super) trained: Vec<bool>,
}

/// What became of a preference pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PreferenceFate {
    Whole,
    /// Its prompt is cut, the same way for both answers.
    CutPrompt,
    /// The end of an answer is cut.
    CutAnswer,
    /// It is left out, since it is longer than a row.
    TooLong,
    /// It is left out, since an answer alone fills a row.
    TooLongAnswer,
    /// It is left out, since the prompt alone fills a row.
    TooLongPrompt,
}

impl PreferenceFate {
    /// Returns the number that stands for it in a portion.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Whole => 0,
            Self::CutPrompt => 1,
            Self::CutAnswer => 2,
            Self::TooLong => 3,
            Self::TooLongAnswer => 4,
            Self::TooLongPrompt => 5,
        }
    }

    /// Returns what a number stands for.
    pub(super) fn of(number: u32) -> Option<Self> {
        let all = [
            Self::Whole,
            Self::CutPrompt,
            Self::CutAnswer,
            Self::TooLong,
            Self::TooLongAnswer,
            Self::TooLongPrompt,
        ];
        all.into_iter().find(|fate| fate.number() == number)
    }

    /// Counts a pair.
    pub(super) fn count(self, counts: &mut PreferenceCounts) {
        match self {
            Self::Whole => {}
            Self::CutPrompt => counts.cut_prompts += 1,
            Self::CutAnswer => counts.cut_answers += 1,
            Self::TooLong => counts.too_long += 1,
            Self::TooLongAnswer => counts.too_long_answers += 1,
            Self::TooLongPrompt => counts.too_long_prompts += 1,
        }
        counts.kept += u64::from(matches!(self, Self::Whole | Self::CutPrompt | Self::CutAnswer));
    }
}

/// Cuts a pair to rows of at most `most` tokens; returns no example where it is left out.
pub(super) fn cut_pair(
    prompt: &Clip,
    answers: &[Answer; 2],
    most: usize,
    truncate: Truncate,
) -> (Vec<Example>, PreferenceFate) {
    let longest = answers.iter().map(|answer| answer.ids.len()).max().unwrap_or(0);
    let total = prompt.total();
    let left_out = |fate| (Vec::new(), fate);
    let (first, last, fate) = if total + longest <= most {
        (total, 0, PreferenceFate::Whole)
    } else {
        let room = most.saturating_sub(longest);
        match truncate {
            Truncate::Drop => return left_out(PreferenceFate::TooLong),
            Truncate::Right if total >= most => return left_out(PreferenceFate::TooLongPrompt),
            Truncate::Right => (total, 0, PreferenceFate::CutAnswer),
            // At least one token of the prompt is kept, so that the answer's first one is trained on.
            Truncate::Middle | Truncate::Left if room == 0 => {
                return left_out(PreferenceFate::TooLongAnswer);
            }
            Truncate::Middle => (room / 2, room - room / 2, PreferenceFate::CutPrompt),
            Truncate::Left => (0, room, PreferenceFate::CutPrompt),
        }
    };
    let kept = prompt.ends(first, last);
    let examples = answers.iter().map(|answer| {
        let len = answer.ids.len().min(most - kept.len());
        let trained = std::iter::repeat_n(false, kept.len());
        Example {
            ids: [&kept, &answer.ids[..len]].concat(),
            trained: trained.chain(answer.trained[..len].iter().copied()).collect(),
            prompt_len: kept.len(),
            cut: None,
            last_label: IGNORE_INDEX,
        }
    });
    (examples.collect(), fate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(first: u32, len: usize) -> Answer {
        let ids: Vec<u32> = (first..).take(len).collect();
        Answer { trained: vec![true; len], ids }
    }

    fn truncate() -> impl Strategy<Value = Truncate> {
        prop_oneof![
            Just(Truncate::Middle),
            Just(Truncate::Left),
            Just(Truncate::Right),
            Just(Truncate::Drop)
        ]
    }

    proptest! {
        #[test]
        fn a_pair_shares_what_is_kept_of_its_prompt(
            total in 1..40_usize, lens in [1..30_usize, 1..30_usize], most in 8..40_usize,
            truncate in truncate(),
        ) {
            let prompt: Vec<u32> = (0..).take(total).collect();
            let clip = Clip::of(&prompt, most + 1);
            let answers = [answer(100, lens[0]), answer(200, lens[1])];
            let longest = lens[0].max(lens[1]);

            let (made, fate) = cut_pair(&clip, &answers, most, truncate);

            let mut counts = PreferenceCounts::default();
            fate.count(&mut counts);
            prop_assert_eq!(counts.kept + counts.left_out(), 1);
            prop_assert_eq!(made.len() as u64, 2 * counts.kept);
            let fits = total + longest <= most;
            let expected = match truncate {
                _ if fits => PreferenceFate::Whole,
                Truncate::Drop => PreferenceFate::TooLong,
                Truncate::Right if total >= most => PreferenceFate::TooLongPrompt,
                Truncate::Right => PreferenceFate::CutAnswer,
                _ if longest >= most => PreferenceFate::TooLongAnswer,
                _ => PreferenceFate::CutPrompt,
            };
            prop_assert_eq!(fate, expected);
            for (example, answer) in made.iter().zip(&answers) {
                let kept = &example.ids[..example.prompt_len];
                prop_assert_eq!(kept, &made[0].ids[..made[0].prompt_len]);
                prop_assert!(!kept.is_empty() && example.ids.len() <= most);
                let said = &example.ids[example.prompt_len..];
                prop_assert!(!said.is_empty() && answer.ids.starts_with(said));
                prop_assert!(fate == PreferenceFate::CutAnswer || said == answer.ids.as_slice());
                prop_assert!(!example.trained[..example.prompt_len].contains(&true));
                prop_assert!(!example.trained[example.prompt_len..].contains(&false));
                if fate == PreferenceFate::CutPrompt {
                    prop_assert_eq!(kept.len(), most - longest);
                } else {
                    prop_assert_eq!(kept, prompt.as_slice());
                }
                if truncate == Truncate::Left {
                    prop_assert!(prompt.ends_with(kept));
                }
            }
        }
    }

    #[test]
    fn a_fate_comes_back_from_its_number() {
        for number in 0..6 {
            assert_eq!(PreferenceFate::of(number).unwrap().number(), number);
        }
        assert_eq!(PreferenceFate::of(6), None);
    }
}
