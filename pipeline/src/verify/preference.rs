//! Checks of preference pairs: both sides of a split have as many rows, and each pair one prompt.

use std::path::Path;

use ratdata_schemas::recipe::{Recipe, Side, artifact_split};
use ratdata_schemas::{BinSet, Manifest, TokenId};
use rayon::prelude::*;

use super::finding::Ended;
use crate::inspect::preference_row;
use crate::interrupt;

/// Checks the preference pairs of an artifact, if it has any.
pub(super) fn check_preference(root: &Path, manifest: &Manifest) -> Result<(), Ended> {
    let Recipe::Sft(sft) = &manifest.recipe else { return Ok(()) };
    for made in sft.splits.iter().filter(|made| made.preference.is_some()) {
        let split = artifact_split(&made.name);
        let [chosen, rejected] = Side::ALL.map(|side| {
            BinSet::from_manifest(root, manifest, &side.split(split))
                .map_err(|wrong| Ended::at(root, wrong))
        });
        let sides = [chosen?, rejected?];
        let [one, other] = sides.each_ref().map(BinSet::num_documents);
        let kept = made.preference.map_or(0, |counts| counts.kept);
        if one != other || one != kept {
            let what = format!(
                "split `{split}` has {one} chosen and {other} rejected answers, expected {kept} of each"
            );
            return Err(Ended::at(root, what));
        }
        let wrong = (0..one).into_par_iter().find_map_first(|number| {
            if interrupt::asked() {
                return None;
            }
            differs(&sides, number).map(|what| format!("split `{split}`, pair {number}: {what}"))
        });
        interrupt::check()?;
        if let Some(what) = wrong {
            return Err(Ended::at(root, what));
        }
    }
    Ok(())
}

/// Says what is wrong with a pair, if something is.
fn differs(sides: &[BinSet; 2], number: u64) -> Option<String> {
    let mut prompts: Vec<Vec<TokenId>> = Vec::new();
    for (side, set) in Side::ALL.into_iter().zip(sides) {
        let Some(mut row) = preference_row(set, number) else {
            return Some(format!("the {side} answer is beyond the bin"));
        };
        if row.prompt == row.ids.len() {
            return Some(format!("no token of the {side} answer is trained on"));
        }
        row.ids.truncate(row.prompt);
        prompts.push(row.ids);
    }
    let same = prompts[0].iter().zip(&prompts[1]).take_while(|(one, other)| one == other).count();
    (prompts[0] != prompts[1]).then(|| {
        let told = |ids: &[TokenId]| ids.get(same).map_or("an answer".into(), |id| format!("id {id}"));
        format!(
            "the prompts differ at token {same}: {} before the chosen answer, {} before the rejected one",
            told(&prompts[0]),
            told(&prompts[1])
        )
    })
}
