//! Encodes a random share of the source documents with the slow twin and compares.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::{BinSet, Checksum, Manifest, TokenId};
use ratdata_tokenize::corpus::{JobConfig, Origins, is_document};
use ratdata_tokenize::source::{Source, SourceFile, fingerprint};
use ratdata_tokenize::tokenizer::{SpecialInText, Tokenizer};
use rayon::prelude::*;

use super::Offence;
use crate::failure::{Failure, Kind};

/// A check of a share of an artifact's documents.
pub(crate) struct Retokenize<'a> {
    pub(crate) root: &'a Path,
    pub(crate) manifest: &'a Manifest,
    pub(crate) tokenizer: &'a Tokenizer,
    /// The source files, found by name.
    pub(crate) files: &'a [SourceFile],
    /// The share of the documents, and the seed with which they are drawn.
    pub(crate) share: f64,
    pub(crate) seed: u64,
    pub(crate) interrupted: &'a AtomicBool,
}

/// Why the check ended early: a document differs, or the check itself failed.
pub(crate) enum Ended {
    Differs(Offence),
    Failed(Failure),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Returns whether a document is drawn: by its place and the seed, so the same ones every time.
pub(crate) fn share_of_documents(share: f64, seed: u64, source: usize, document: u32) -> bool {
    let key = format!("{seed} {source} {document}");
    let checksum = blake3::hash(key.as_bytes());
    let word = u64::from_le_bytes(*checksum.as_bytes().first_chunk().unwrap_or(&[0; 8]));
    (word >> 11) as f64 / (1_u64 << 53) as f64 <= share
}

/// Compares; returns how many documents were compared.
pub(crate) fn retokenize(check: &Retokenize<'_>) -> Result<u64, Ended> {
    let failed = |wrong: &dyn std::error::Error| Failure::new(Kind::Failed, wrong);
    let config: JobConfig = serde_json::from_value(check.manifest.config.clone())
        .map_err(|wrong| failed(&wrong).hinted(Some("only what `tokenize` made has sources")))?;
    let mut compared = 0;
    for split in check.manifest.splits.keys() {
        let origins = Origins::of(check.manifest, split).map_err(|wrong| failed(&wrong))?;
        let set = BinSet::from_manifest(check.root, check.manifest, split)
            .map_err(|wrong| failed(&wrong))?;
        for (number, record) in check.manifest.sources.iter().enumerate() {
            let file =
                check.files.iter().find(|file| file.name == record.name).ok_or_else(|| {
                    let message = format!("source `{}` is not among the files given", record.name);
                    let hint = "name the folder of the sources with `--input`";
                    Failure::message(Kind::Usage, message).hinted(Some(hint))
                })?;
            same_file(file, &record.fingerprint)?;
            compared += compare_source(check, &config, &origins, &set, (split, number), file)?;
        }
    }
    Ok(compared)
}

fn same_file(file: &SourceFile, recorded: &Checksum) -> Result<(), Ended> {
    let found = fingerprint(file).map_err(|wrong| Failure::new(Kind::Failed, &wrong))?;
    if found == *recorded {
        return Ok(());
    }
    Err(Ended::Differs(Offence {
        path: file.path.clone(),
        what: "another file than the one that was tokenized: its fingerprint differs".into(),
    }))
}

/// Compares the drawn documents of one source with what one split has of them.
fn compare_source(
    check: &Retokenize<'_>,
    config: &JobConfig,
    origins: &Origins,
    set: &BinSet,
    (split, number): (&str, usize),
    file: &SourceFile,
) -> Result<u64, Ended> {
    let failed = |wrong: &dyn std::error::Error| Failure::new(Kind::Failed, wrong);
    // Where each drawn document of the file stands in the split.
    let mut wanted: Vec<Option<u64>> = vec![None; origins.documents(number) as usize];
    for (place, document) in origins.of_source(number) {
        if share_of_documents(check.share, check.seed, number, document) {
            wanted[document as usize] = Some(place);
        }
    }
    let source = Source::open(file, &config.text_column).map_err(|wrong| failed(&wrong))?;
    let mut kept = 0_usize;
    let mut compared = 0;
    let mut wrong: Option<Ended> = None;
    for part in 0..source.num_parts() {
        source
            .read_part(part, &mut |rows| {
                let mut drawn = Vec::new();
                for (row, cell) in (rows.first..).zip(&rows.cells) {
                    // A row without text was left out, and is no document.
                    let Ok(text) = source.text(cell) else { continue };
                    if !is_document(config, check.tokenizer, &text) {
                        continue;
                    }
                    if let Some(place) = wanted.get(kept).copied().flatten() {
                        drawn.push((row, place, text));
                    }
                    kept += 1;
                }
                let found = drawn.par_iter().find_map_first(|(row, place, text)| {
                    compare(check, config, set, *place, text).map(|what| (*row, *place, what))
                });
                compared += drawn.len() as u64;
                if let Some((row, place, what)) = found {
                    wrong = Some(Ended::Differs(Offence {
                        path: file.path.clone(),
                        what: format!("row {row}, document {place} of `{split}`: {what}"),
                    }));
                }
                wrong.is_none() && !check.interrupted.load(Ordering::Relaxed)
            })
            .map_err(|error| failed(&error))?;
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        if check.interrupted.load(Ordering::Relaxed) {
            return Err(Failure::message(Kind::Interrupted, "interrupted").into());
        }
    }
    Ok(compared)
}

/// Returns what differs between a document and the slow twin's ids of its text.
fn compare(
    check: &Retokenize<'_>,
    config: &JobConfig,
    set: &BinSet,
    document: u64,
    text: &str,
) -> Option<String> {
    let specials = SpecialInText::from(config.special_in_text);
    let mut expected: Vec<TokenId> = Vec::new();
    let record = &check.manifest.tokenizer;
    expected.extend(record.bos.filter(|_| config.bos.is_on()));
    match check.tokenizer.oracle().encode(text, specials) {
        Ok(ids) => expected.extend(ids),
        Err(wrong) => return Some(format!("cannot be encoded: {wrong}")),
    }
    expected.extend(record.eos.filter(|_| config.eos.is_on()));
    let (start, len) = crate::inspect::range_of(set, document)?;
    let mut found = vec![0; len];
    if !set.copy_tokens(start, &mut found) {
        return Some("lies beyond the bin".into());
    }
    if found == expected {
        return None;
    }
    let same =
        found.iter().zip(&expected).take_while(|(found, expected)| found == expected).count();
    let told = |ids: &[TokenId]| ids.get(same).map_or("nothing".into(), ToString::to_string);
    Some(format!("token {same}: id {}, the slow twin has {}", told(&found), told(&expected)))
}
