//! Preference pairs: a prompt and both answers, from the two splits that have them.

use ratdata_schemas::recipe::{Recipe, Side, artifact_split};
use ratdata_schemas::{BinSet, Manifest, TokenId};
use ratdata_tokenize::tokenizer::Tokenizer;

use super::decode::{SHOWN, Shown};
use super::excerpts::{numbers, range_of};
use super::subject::{SplitTokens, Subject};
use crate::failure::Failure;

/// Returns the splits of which an artifact has preference pairs, as pairs of names: `train-chosen` and
/// `train-rejected`.
pub(super) fn preference_splits(manifest: &Manifest) -> Vec<[String; 2]> {
    let Recipe::Sft(sft) = &manifest.recipe else { return Vec::new() };
    let made = sft.splits.iter().filter(|made| made.preference.is_some());
    let names = made.map(|made| Side::ALL.map(|side| side.split(artifact_split(&made.name))));
    // A subject may be one file of an artifact.
    names
        .filter(|names| names.iter().all(|name| manifest.splits.contains_key(name.as_str())))
        .collect()
}

/// One side of a preference pair.
pub(crate) struct PreferenceRow {
    pub(crate) ids: Vec<TokenId>,
    /// Which of the ids are trained on.
    trained: Vec<bool>,
    /// How many ids are the prompt's: those before the first one that is trained on.
    pub(crate) prompt: usize,
}

/// Returns one side of a pair; none past the last one.
pub(crate) fn preference_row(set: &BinSet, number: u64) -> Option<PreferenceRow> {
    let (start, len) = range_of(set, number)?;
    let (mut ids, mut trained) = (vec![0; len], vec![false; len]);
    let there = set.copy_tokens(start, &mut ids) && set.copy_mask(start, &mut trained);
    let prompt = trained.iter().take_while(|&&trained| !trained).count();
    there.then_some(PreferenceRow { ids, trained, prompt })
}

/// Shows `count` preference pairs drawn with `seed`: the prompt once, then both answers.
pub(super) fn show_pairs(
    subject: &Subject,
    names: &[String; 2],
    tokenizer: &Tokenizer,
    (count, seed): (usize, u64),
) -> Result<Vec<Shown>, Failure> {
    let mut sets = Vec::new();
    for name in names {
        if let SplitTokens::Bins(set) = subject.open(name)? {
            sets.push(set);
        }
    }
    let [chosen, rejected] = sets.as_slice() else { return Ok(Vec::new()) };
    let mut shown = Vec::new();
    let split = names[0].trim_end_matches(&format!("-{}", Side::Chosen));
    for number in numbers(chosen.num_documents(), count, seed) {
        for (side, set) in Side::ALL.into_iter().zip([chosen, rejected]) {
            let Some(PreferenceRow { ids, trained, prompt }) = preference_row(set, number) else {
                continue;
            };
            if side == Side::Chosen {
                // Of a long prompt the end is shown, which the answers follow.
                let from = prompt.saturating_sub(2 * SHOWN);
                let last = prompt - from;
                let place =
                    format!("{split} pair {number}, prompt of {prompt} tokens, the last {last}");
                let of_prompt = from..prompt;
                let (ids, trained) = (&ids[of_prompt.clone()], &trained[of_prompt]);
                shown.push(Shown::of(place, tokenizer, ids, trained, false));
            }
            let len = ids.len() - prompt;
            let place = format!("{split} pair {number}, {side} answer of {len} tokens");
            let of_answer = prompt..prompt + len.min(SHOWN);
            let (ids, trained) = (&ids[of_answer.clone()], &trained[of_answer]);
            shown.push(Shown::of(place, tokenizer, ids, trained, SHOWN < len));
        }
    }
    Ok(shown)
}
