//! Encodes randomly drawn source documents with the oracle, and compares the ids.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::{BinSet, Known, Manifest, PlainName, SourceRecord, TokenId, narrow};
use ratdata_tokenize::Share;
use ratdata_tokenize::corpus::{FimKey, FimPlan, Tokenize, is_document};
use ratdata_tokenize::provenance::SplitProvenance;
use ratdata_tokenize::source::{
    Recorded, RowText, Source, SourceError, SourceFile, Undecodable, changed, sampled,
};
use ratdata_tokenize::tokenizer::{EncodeError, Tokenizer};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Cause, Ended};
use crate::failure::{Failure, Kind};

/// A check of randomly drawn documents of an artifact.
pub(crate) struct Retokenize<'a> {
    pub(crate) root: &'a Path,
    pub(crate) manifest: &'a Manifest,
    pub(crate) tokenizer: &'a Tokenizer,
    /// The source files, found by name.
    pub(crate) files: &'a [SourceFile],
    /// The share of the documents that are drawn, from 0 to 1, and the seed of the draw.
    pub(crate) drawn: f64,
    pub(crate) seed: u64,
    /// Which of the drawn documents are compared: by source if there are enough sources, otherwise by
    /// document.
    pub(crate) share: Share,
    /// The known checksums of files: each file is hashed for the first split and not again.
    pub(crate) known: &'a Known,
    pub(crate) interrupted: &'a AtomicBool,
}

/// Returns whether a document is drawn. Its position and the seed decide, so the draw is always the same.
pub(crate) fn is_drawn(drawn: f64, seed: u64, source: usize, document: u32) -> bool {
    let key = format!("{seed} {source} {document}");
    let checksum = blake3::hash(key.as_bytes());
    let word = u64::from_le_bytes(*checksum.as_bytes().first_chunk().unwrap_or(&[0; 8]));
    (word >> 11) as f64 / (1_u64 << 53) as f64 <= drawn
}

/// What became of the drawn documents, none of which differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compared {
    /// How many have the oracle's ids.
    pub(crate) same: u64,
    /// How many the oracle refuses. These have the ids that the engine gives them now.
    pub(crate) unjudged: u64,
    /// The place of one that the oracle refuses, and why.
    pub(crate) refusal: Option<String>,
}

impl Compared {
    /// Joins what became of two parts of the documents.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            same: self.same + other.same,
            unjudged: self.unjudged + other.unjudged,
            refusal: self.refusal.or(other.refusal),
        }
    }
}

/// Compares the drawn documents, and returns what became of them.
pub(crate) fn retokenize(check: &Retokenize<'_>) -> Result<Compared, Ended> {
    let failed = |wrong: &dyn std::error::Error| Failure::new(Kind::Failed, wrong);
    let mut compared = Compared::default();
    for (place, split) in check.manifest.splits.keys().map(PlainName::as_str).enumerate() {
        let provenance = SplitProvenance::of(check.root, check.manifest, split)
            .map_err(|wrong| failed(&wrong))?;
        let set = BinSet::from_manifest(check.root, check.manifest, split)
            .map_err(|wrong| failed(&wrong))?;
        for (number, record) in check.manifest.sources.iter().enumerate() {
            if check.by_source() && !check.share.has(number) {
                continue;
            }
            let file =
                check.files.iter().find(|file| file.name == record.name).ok_or_else(|| {
                    let message = format!("source `{}` is not among the files given", record.name);
                    let hint = "name the folder of the sources with `--input`";
                    Failure::message(Kind::Usage, message).hinted(Some(hint))
                })?;
            let part = SplitSource { place, split, number };
            check.same_file(file, record, &part)?;
            let config = provenance.job(number).ok_or_else(|| {
                let message = format!("source `{}`: not encoded by `tokenize`", record.name);
                Failure::message(Kind::Usage, message)
            })?;
            let found = compare_source(check, config, &provenance, &set, &part, file)?;
            compared = compared.and(found);
        }
    }
    Ok(compared)
}

/// One source's documents in one split.
struct SplitSource<'a> {
    /// The number of the split.
    place: usize,
    split: &'a str,
    /// The number of the source in the manifest.
    number: usize,
}

impl SplitSource<'_> {
    /// Returns an offence at a row of the source.
    fn differs(&self, row: u64, file: &SourceFile, what: String, cause: Cause) -> Ended {
        let row = narrow(row);
        // After all checks that do not need the sources.
        let place = [usize::MAX, self.place, self.number, row];
        let ended = Ended::differs(&file.path, what, cause);
        place.into_iter().rev().fold(ended, Ended::within)
    }
}

impl Retokenize<'_> {
    fn by_source(&self) -> bool {
        self.manifest.sources.len() >= self.share.count
    }

    /// Checks that a file is the one that was tokenized.
    fn same_file(
        &self,
        file: &SourceFile,
        source: &SourceRecord,
        part: &SplitSource<'_>,
    ) -> Result<(), Ended> {
        let failed = |wrong: SourceError| {
            let kind = if wrong.is_stop() { Kind::Interrupted } else { Kind::Failed };
            Failure::new(kind, &wrong).hinted(wrong.hint())
        };
        let recorded = Recorded { bytes: Some(source.bytes), fingerprint: &source.fingerprint };
        let Some(what) = changed(file, recorded, self.known, self.interrupted).map_err(failed)?
        else {
            return Ok(());
        };
        // Older versions recorded samples: if they match, the file is accepted, and its documents are compared.
        if sampled(file).map_err(failed)? == source.fingerprint {
            return Ok(());
        }
        let what = format!("another file than the one that was tokenized: {what}");
        Err(part.differs(0, file, what, Cause::Source))
    }

    fn has(&self, source: usize, document: u32) -> bool {
        (self.by_source() || self.share.has(document as usize))
            && is_drawn(self.drawn, self.seed, source, document)
    }
}

/// Compares the drawn documents of one source with those of one split.
fn compare_source(
    check: &Retokenize<'_>,
    config: &Tokenize,
    provenance: &SplitProvenance,
    set: &BinSet,
    part: &SplitSource<'_>,
    file: &SourceFile,
) -> Result<Compared, Ended> {
    let number = part.number;
    let failed = |wrong: &dyn std::error::Error| Failure::new(Kind::Failed, wrong);
    // The position of each drawn document of the file in the split.
    let mut wanted: Vec<Option<u64>> = vec![None; provenance.documents(number) as usize];
    for (place, document) in provenance.of_source(number) {
        if check.has(number, document) {
            wanted[document as usize] = Some(place);
        }
    }
    let source = Source::open(file, &config.text_column).map_err(|wrong| failed(&wrong))?;
    let fim = FimPlan::of(config, check.tokenizer).map_err(|wrong| failed(&wrong))?;
    let fim = fim.as_ref().map(|plan| (plan, plan.key(&file.name)));
    let plan = fim.map(|(plan, _)| plan);
    let mut kept = 0_usize;
    let mut all = Compared::default();
    let mut wrong: Option<Ended> = None;
    let stopped = || check.interrupted.load(Ordering::Relaxed);
    for group in 0..source.num_parts() {
        source
            .read_part(group, &stopped, &mut |rows| {
                let mut drawn = Vec::new();
                for (row, cell) in (rows.first..).zip(&rows.cells) {
                    // A row without text was left out, so it is not a document.
                    let undecodable = Undecodable::from(config.on_bad_row);
                    let Ok(RowText { text, .. }) = source.text(cell, undecodable) else { continue };
                    if !is_document(config, (check.tokenizer, plan), &text) {
                        continue;
                    }
                    if let Some(place) = wanted.get(kept).copied().flatten() {
                        drawn.push((row, place, text));
                    }
                    kept += 1;
                }
                let judged: Vec<Judged> = drawn
                    .par_iter()
                    .map(|(row, place, text)| {
                        let encoding =
                            Encoding { tokenizer: check.tokenizer, config, fim, row: *row };
                        compare(check, &encoding, set, *place, text)
                    })
                    .collect();
                for ((row, place, _), judged) in drawn.iter().zip(judged) {
                    let here = format!("row {row}, document {place} of `{}`", part.split);
                    match judged {
                        Judged::Same => all.same += 1,
                        Judged::Unjudged(why) => {
                            all.unjudged += 1;
                            all.refusal.get_or_insert_with(|| {
                                format!("{}: {here}: {why}", file.path.display())
                            });
                        }
                        Judged::Differs(what) => {
                            let what = format!("{here}: {what}");
                            wrong = Some(part.differs(*row, file, what, Cause::Encoding));
                            break;
                        }
                    }
                }
                wrong.is_none() && !stopped()
            })
            .or_else(|error| match error {
                SourceError::Stopped => Ok(()),
                error => Err(failed(&error)),
            })?;
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        if stopped() {
            return Err(Failure::message(Kind::Interrupted, "interrupted").into());
        }
    }
    Ok(all)
}

/// What the oracle's encoding says of a document.
enum Judged {
    Same,
    /// The oracle refuses the text, for this reason, and the engine has the same ids as before.
    Unjudged(String),
    Differs(String),
}

/// How the text of one row is encoded.
struct Encoding<'a> {
    tokenizer: &'a Tokenizer,
    config: &'a Tokenize,
    /// How documents are parted to fill in the middle, if they are.
    fim: Option<(&'a FimPlan, FimKey)>,
    row: u64,
}

impl Encoding<'_> {
    fn by_oracle(&self, text: &str) -> Result<Vec<TokenId>, EncodeError> {
        let Some((plan, key)) = self.fim else {
            return self.tokenizer.oracle().encode(text, self.config.special_in_text);
        };
        let pieces = plan.encode_slowly((key, self.row), text)?;
        Ok(pieces.into_iter().flat_map(|(_, ids)| ids).collect())
    }

    fn by_engine(&self, text: &str) -> Result<Vec<TokenId>, EncodeError> {
        let mut encoder = self.tokenizer.encoder(self.config.special_in_text);
        let mut ids = Vec::new();
        match self.fim {
            Some((plan, key)) => plan.encode((key, self.row), text, &mut encoder, &mut ids)?,
            None => encoder.encode_into(text, &mut ids)?,
        }
        Ok(ids)
    }
}

/// Compares a document with the oracle's ids of its text.
fn compare(
    check: &Retokenize<'_>,
    encoding: &Encoding<'_>,
    set: &BinSet,
    document: u64,
    text: &str,
) -> Judged {
    let record = &check.manifest.tokenizer;
    let config = encoding.config;
    let (ids, refusal) = match encoding.by_oracle(text) {
        Ok(ids) => (ids, None),
        // What the engine encodes may be too much for the oracle, such as `(a+)+$` for a long text.
        Err(refusal) => match encoding.by_engine(text) {
            Ok(ids) => (ids, Some(refusal)),
            Err(also) => return Judged::Differs(format!("has no ids: {also}")),
        },
    };
    let mut expected: Vec<TokenId> = Vec::new();
    expected.extend(record.bos.filter(|_| config.bos.is_on()));
    expected.extend(ids);
    expected.extend(record.eos.filter(|_| config.eos.is_on()));
    let beyond = || Judged::Differs("lies beyond the bin".into());
    let Some((start, len)) = crate::inspect::range_of(set, document) else { return beyond() };
    let mut found = vec![0; len];
    if !set.copy_tokens(start, &mut found) {
        return beyond();
    }
    if found == expected {
        return refusal.map_or(Judged::Same, |refusal| Judged::Unjudged(refusal.to_string()));
    }
    let same =
        found.iter().zip(&expected).take_while(|(found, expected)| found == expected).count();
    let told = |ids: &[TokenId]| ids.get(same).map_or("nothing".into(), ToString::to_string);
    let who = if refusal.is_some() { "engine" } else { "oracle" };
    Judged::Differs(format!("token {same}: id {}, the {who} has {}", told(&found), told(&expected)))
}
