//! Warnings: what a practitioner would check.

use ratdata_console::grouped;

use super::documents::Contents;
use super::view::{Inspection, SplitView};

/// A longer run of one id gives a warning.
const ODD_RUN: u64 = 512;

/// A longer run without EOS gives a warning, even if only EOS ends documents.
const ODD_GAP: u64 = 1 << 20;

impl Inspection {
    /// Adds the warnings about a split.
    pub(super) fn warn(&mut self, view: &SplitView) {
        let warnings = odd(view).into_iter();
        self.warnings.extend(warnings.map(|text| format!("{}: {text}", view.name)));
    }

    /// Adds the warnings about documents that are in two splits, unless these are the two sides of
    /// preference pairs.
    pub(super) fn warn_of_leaks(&mut self, seen: &[(String, Contents)], pairs: &[[String; 2]]) {
        for (at, (left, first)) in seen.iter().enumerate() {
            for (right, second) in &seen[at + 1..] {
                if pairs.iter().any(|pair| pair.contains(left) && pair.contains(right)) {
                    continue;
                }
                let shared = first.documents.shared_with(&second.documents);
                let sampled = first.documents.is_sampled() || second.documents.is_sampled();
                if shared > 0 {
                    self.warnings.push(format!(
                        "{}{} different documents are in both `{left}` and `{right}`: a model is validated on what it is trained on",
                        about(sampled),
                        grouped(shared)
                    ));
                }
            }
        }
    }
}

fn about(sampled: bool) -> &'static str {
    if sampled { "about " } else { "" }
}

fn odd(view: &SplitView) -> Vec<String> {
    let mut warnings = Vec::new();
    if view.ids.beyond > 0 {
        let beyond = grouped(view.ids.beyond);
        warnings.push(format!("{beyond} tokens are at or beyond the vocabulary's size"));
    }
    let untrained = view.rows.as_ref().map_or(0, |rows| rows.untrained_rows);
    if untrained > 0 && view.name != "test" {
        warnings.push(format!("{} rows have no label to train on", grouped(untrained)));
    }
    let stream = &view.stream;
    if stream.empty > 0 {
        warnings.push(format!("{} documents are empty", grouped(stream.empty)));
    }
    // Rows are cut where they are full, but a document of a stream should end with EOS.
    if view.rows.is_none() {
        warnings.extend(without_eos(view));
    }
    if let Some((run, id)) = stream.longest_run.filter(|&(run, _)| run > ODD_RUN) {
        warnings.push(format!("id {id} stands {} times in a row", grouped(run)));
    }
    let about = about(stream.sampled);
    if stream.duplicate_documents > 0 {
        let times = grouped(stream.duplicate_documents);
        warnings.push(format!("{about}{times} documents repeat an earlier one"));
    }
    if stream.repeated_blocks > 0 {
        let times = grouped(stream.repeated_blocks);
        warnings.push(format!("{about}{times} blocks of 512 tokens repeat an earlier one"));
    }
    warnings
}

/// Returns the warning about documents of a stream without EOS, or about an unknown EOS.
fn without_eos(view: &SplitView) -> Option<String> {
    let Some(ended) = view.stream.ended else {
        return Some(match view.documents {
            None => "EOS is not known, so documents are not told apart; name the tokenizer with `--tokenizer`".into(),
            Some(_) => "EOS is not known, so whether documents end with it is not, either".into(),
        });
    };
    let documents = view.documents.unwrap_or(0);
    if documents == 0 {
        return None;
    }
    let gap = view.stream.longest_without_eos.unwrap_or(0);
    if ended == 0 {
        return Some("no document ends with EOS: nothing tells a model where one ends".into());
    }
    if ended < documents {
        let (without, share) = (documents - ended, 1.0 - ended as f64 / documents as f64);
        return Some(format!(
            "{} of {} documents ({:.2}%) do not end with EOS; the longest stretch without one has {} tokens",
            grouped(without),
            grouped(documents),
            share * 100.0,
            grouped(gap)
        ));
    }
    (gap > ODD_GAP).then(|| format!("the longest stretch without EOS has {} tokens", grouped(gap)))
}
