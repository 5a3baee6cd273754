//! Traces a document of an artifact to its file and row, by the recorded order alone.

use std::collections::BTreeMap;
use std::path::Path;

use ratdata_schemas::draw::MixOrder;
use ratdata_schemas::recipe::{MergedInput, Mix, Recipe, Sft, Tokenize};
use ratdata_schemas::{Manifest, ShardRecord, SourceRecord, SplitRecord, narrow};
use thiserror::Error;

use super::examples::Examples;
use super::mixed::Mixed;
use crate::corpus::{split_rows, val_count};

/// The most documents of an artifact whose order is drawn again, where the artifact itself is not there:
/// a gigabyte of it, whatever a manifest says.
const MOST_DRAWN: u64 = 1 << 28;

/// Where a document came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The place of its file in the manifest's sources.
    pub source: usize,
    /// Its place among the documents of that file; rows that were left out are not counted.
    pub document: u32,
    /// Of instruction data, which of the task's answer columns it was made with.
    pub answer: Option<usize>,
}

/// Why documents cannot be traced.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProvenanceError {
    /// The artifact does not say how its documents follow from its sources.
    #[error("its documents cannot be traced to rows: {reason}")]
    Unknown {
        /// Why not.
        reason: String,
    },
    /// The split holds another number of documents than its sources give.
    #[error("split `{split}` holds {found} documents, its sources give {expected}")]
    Count {
        /// The split.
        split: String,
        /// How many the sources give.
        expected: u64,
        /// How many the shards have.
        found: u64,
    },
    /// The sources give more documents than there are.
    #[error("the sources give {expected} documents, all splits together hold {found}")]
    Rows {
        /// How many the sources give.
        expected: u64,
        /// How many the indexes of all splits have on disk.
        found: u64,
    },
}

/// The documents of one split, by where they came from.
#[derive(Debug, Default)]
pub struct SplitProvenance {
    runs: Vec<DocumentRun>,
    /// How many documents the runs have together.
    total: u64,
    sources: Vec<SourceDocuments>,
    jobs: Vec<Tokenize>,
    /// How many documents the sources have together, and how many all splits have on disk.
    counted: u64,
    most: u64,
}

/// What is known of one source.
#[derive(Clone, Copy, Debug, Default)]
struct SourceDocuments {
    /// How many documents it has in all splits.
    documents: u32,
    /// Of a tokenized source, its run and its job.
    run: Option<usize>,
    job: Option<usize>,
}

/// Documents that follow each other in a split.
#[derive(Debug)]
struct DocumentRun {
    /// The split's documents before it.
    first: u64,
    /// The sources before its own.
    sources: usize,
    order: RunOrder,
}

#[derive(Debug)]
enum RunOrder {
    /// Documents of one source, in the split's order.
    Rows(Vec<u32>),
    /// Examples of instruction data.
    Examples(Examples),
    /// Documents of several artifacts.
    Mixed(Mixed<SplitProvenance>),
}

impl SplitProvenance {
    /// Draws the order of a split of the artifact in `root` again.
    ///
    /// # Errors
    ///
    /// The artifact does not say how it was made, or its counts contradict each other.
    pub fn of(root: &Path, manifest: &Manifest, split: &str) -> Result<Self, ProvenanceError> {
        let found = match manifest.splits.get(split) {
            Some(SplitRecord::Shards { shards }) => {
                shards.iter().map(|shard| shard.documents).fold(0, u64::saturating_add)
            }
            Some(SplitRecord::Pairs(pairs)) => pairs.rows,
            _ => return Err(unknown(format!("split `{split}` holds no documents of its own"))),
        };
        let mut provenance = Self { most: documents_on_disk(root, manifest), ..Self::default() };
        provenance.append(&manifest.recipe, &manifest.sources, split, found)?;
        Ok(provenance)
    }

    /// Appends the documents of one artifact, or of those that it was joined from.
    fn append(
        &mut self,
        recipe: &Recipe,
        sources: &[SourceRecord],
        split: &str,
        found: u64,
    ) -> Result<(), ProvenanceError> {
        match recipe {
            Recipe::Tokenize(config) => self.append_tokenized(config, sources, split, found),
            Recipe::Sft(sft) => self.append_examples(sft, sources, split, found),
            Recipe::Merge(merge) => self.append_merged(&merge.inputs, sources, split, found),
            Recipe::Mix(mix) => self.append_mixed(mix, sources, split, found),
            Recipe::Pack(_) | Recipe::Import(_) => {
                Err(unknown("`tokenize`, `sft`, `merge` or `mix` did not make them".into()))
            }
        }
    }

    fn append_examples(
        &mut self,
        sft: &Sft,
        sources: &[SourceRecord],
        split: &str,
        found: u64,
    ) -> Result<(), ProvenanceError> {
        let before = self.sources.len();
        let examples = Examples::of(sft, sources, split, found).map_err(unknown)?;
        let rows = examples.rows();
        for number in 0..sources.len() {
            let documents = narrow(rows.get(&number).copied().unwrap_or(0));
            self.sources.push(SourceDocuments { documents, ..SourceDocuments::default() });
        }
        self.push(before, found, RunOrder::Examples(examples));
        Ok(())
    }

    fn append_tokenized(
        &mut self,
        config: &Tokenize,
        sources: &[SourceRecord],
        split: &str,
        found: u64,
    ) -> Result<(), ProvenanceError> {
        let mut left = config.limit_docs.unwrap_or(u64::MAX);
        let mut counts = Vec::with_capacity(sources.len());
        for source in sources {
            let kept = source.rows.saturating_sub(source.bad_rows).min(left);
            left -= kept;
            counts.push(u32::try_from(kept).map_err(|_| {
                unknown(format!("{}: more than 4,294,967,295 documents", source.name))
            })?);
        }
        // Counted before anything is drawn: a damaged manifest must not ask for gigabytes.
        let in_split = |kept: u32| {
            let val = val_count(kept, config.val_fraction);
            u64::from(if split == "val" { val } else { kept - val })
        };
        let expected = counts.iter().map(|&kept| in_split(kept)).fold(0, u64::saturating_add);
        if expected != found {
            return Err(ProvenanceError::Count { split: split.to_owned(), expected, found });
        }
        // Few documents of one split can be of any number of rows; those of all splits cannot.
        let kept = counts.iter().map(|&kept| u64::from(kept)).fold(0, u64::saturating_add);
        self.counted = self.counted.saturating_add(kept);
        if self.counted > self.most {
            return Err(ProvenanceError::Rows { expected: self.counted, found: self.most });
        }
        for kept in counts {
            let rows = split_rows(kept, config.val_fraction, config.split_seed, config.order);
            let rows = if split == "val" { rows.val } else { rows.train };
            let number = self.sources.len();
            let (run, job) = (Some(self.runs.len()), Some(self.jobs.len()));
            self.sources.push(SourceDocuments { documents: kept, run, job });
            self.push(number, rows.len() as u64, RunOrder::Rows(rows));
        }
        self.jobs.push(config.clone());
        Ok(())
    }

    fn append_merged(
        &mut self,
        inputs: &[MergedInput],
        mut sources: &[SourceRecord],
        split: &str,
        found: u64,
    ) -> Result<(), ProvenanceError> {
        let documents = |input: &MergedInput| input.documents.get(split).copied().unwrap_or(0);
        let expected = inputs.iter().map(documents).fold(0, u64::saturating_add);
        if expected != found {
            return Err(ProvenanceError::Count { split: split.to_owned(), expected, found });
        }
        for input in inputs {
            let (own, others) = sources
                .split_at_checked(input.sources)
                .ok_or_else(|| unknown("the manifest has fewer sources than were joined".into()))?;
            sources = others;
            if input.documents.contains_key(split) {
                self.append(&input.recipe, own, split, documents(input))?;
            } else {
                self.sources.extend(own.iter().map(|_| SourceDocuments::default()));
            }
        }
        Ok(())
    }

    /// Appends the documents of a mix: those of each artifact first, then which of them is where.
    fn append_mixed(
        &mut self,
        mix: &Mix,
        mut sources: &[SourceRecord],
        split: &str,
        found: u64,
    ) -> Result<(), ProvenanceError> {
        let of = |counts: &BTreeMap<String, u64>| counts.get(split).copied().unwrap_or(0);
        let sizes =
            mix.sources.iter().map(|source| (of(&source.input.documents), of(&source.given)));
        let sizes: Vec<(u64, u64)> = sizes.collect();
        let order = MixOrder::new(&sizes, mix.seed)
            .ok_or_else(|| unknown("the mix takes documents of artifacts that have none".into()))?;
        if order.len() != found {
            let (split, expected) = (split.to_owned(), order.len());
            return Err(ProvenanceError::Count { split, expected, found });
        }
        let (before, run) = (self.sources.len(), self.runs.len());
        let mut parts = Vec::with_capacity(mix.sources.len());
        let mut files = 0;
        for (source, (documents, _)) in mix.sources.iter().zip(sizes) {
            let (own, others) = sources
                .split_at_checked(source.input.sources)
                .ok_or_else(|| unknown("the manifest has fewer sources than were mixed".into()))?;
            sources = others;
            // The artifact may have many more documents than the mix takes of it.
            let mut part = Self { most: self.most.max(MOST_DRAWN), ..Self::default() };
            if source.input.documents.contains_key(split) {
                let appended = part.append(&source.input.recipe, own, split, documents);
                appended.map_err(|wrong| match wrong {
                    ProvenanceError::Rows { .. } => {
                        unknown("it was mixed of too many documents".into())
                    }
                    wrong => wrong,
                })?;
            } else {
                part.sources.extend(own.iter().map(|_| SourceDocuments::default()));
            }
            for of_part in &part.sources {
                let job = of_part.job.map(|job| self.jobs.len() + job);
                let run = of_part.run.map(|_| run);
                self.sources.push(SourceDocuments { documents: of_part.documents, run, job });
            }
            self.jobs.extend(part.jobs.iter().cloned());
            files += part.sources.len();
            parts.push((files - part.sources.len(), part));
        }
        self.push(before, found, RunOrder::Mixed(Mixed::new(order, parts)));
        Ok(())
    }

    fn push(&mut self, sources: usize, documents: u64, order: RunOrder) {
        self.runs.push(DocumentRun { first: self.total, sources, order });
        self.total = self.total.saturating_add(documents);
    }

    /// Returns where document `document` of the split came from; none past the last.
    pub fn locate(&self, document: u64) -> Option<Provenance> {
        // Runs without a document in this split begin where the next one does.
        let run = self.runs.partition_point(|run| run.first <= document).checked_sub(1)?;
        let DocumentRun { first, sources, order } = &self.runs[run];
        let within = document - first;
        match order {
            RunOrder::Rows(rows) => {
                let document = *rows.get(usize::try_from(within).ok()?)?;
                Some(Provenance { source: *sources, document, answer: None })
            }
            RunOrder::Examples(examples) => {
                let found = examples.locate(within)?;
                let source = sources + found.source;
                Some(Provenance { source, document: found.row, answer: found.answer })
            }
            RunOrder::Mixed(mixed) => {
                let (files, part, row) = mixed.find(within)?;
                let found = part.locate(row)?;
                Some(Provenance { source: sources + files + found.source, ..found })
            }
        }
    }

    /// Returns the documents of a tokenized source as `(document of the split, document of the
    /// file)`.
    pub fn of_source(&self, source: usize) -> Box<dyn Iterator<Item = (u64, u32)> + '_> {
        let Some(run) = self.sources[source].run.map(|run| &self.runs[run]) else {
            return Box::new(std::iter::empty());
        };
        match &run.order {
            RunOrder::Rows(rows) => Box::new((run.first..).zip(rows.iter().copied())),
            RunOrder::Examples(_) => Box::new(std::iter::empty()),
            RunOrder::Mixed(mixed) => {
                let places = run.first..run.first + mixed.len();
                Box::new(places.filter_map(move |place| {
                    let found = self.locate(place).filter(|found| found.source == source)?;
                    Some((place, found.document))
                }))
            }
        }
    }

    /// Returns how many documents a source has in all splits.
    pub fn documents(&self, source: usize) -> u32 {
        self.sources[source].documents
    }

    /// Returns the job that tokenized a source; none of instruction data.
    pub fn job(&self, source: usize) -> Option<&Tokenize> {
        self.sources[source].job.map(|job| &self.jobs[job])
    }
}

/// Returns how many documents the indexes of all splits have, by their sizes on disk.
fn documents_on_disk(root: &Path, manifest: &Manifest) -> u64 {
    let shards = manifest.splits.values().flat_map(|split| match split {
        SplitRecord::Shards { shards } => shards.as_slice(),
        _ => &[],
    });
    let bytes = |shard: &ShardRecord| {
        shard.idx.resolve(root).ok().and_then(|path| path.metadata().ok()).map_or(0, |m| m.len())
    };
    shards.map(|shard| bytes(shard) / 8).fold(0, u64::saturating_add)
}

fn unknown(reason: String) -> ProvenanceError {
    ProvenanceError::Unknown { reason }
}

#[cfg(test)]
mod tests {
    use ratdata_schemas::recipe::{Merge, MixedSource, Take};
    use ratdata_schemas::{Checksum, PlainName};

    use super::*;

    fn source(rows: u64) -> SourceRecord {
        SourceRecord {
            name: "x.jsonl".into(),
            bytes: 1,
            rows,
            bad_rows: 0,
            replaced_rows: 0,
            text_bytes: 1,
            fingerprint: Checksum::of(b"x"),
        }
    }

    fn recipe() -> Recipe {
        let order = crate::corpus::Order::File;
        Recipe::Tokenize(Tokenize { val_fraction: 0.0, order, ..Tokenize::default() })
    }

    fn input(documents: u64, sources: usize, recipe: Recipe) -> MergedInput {
        MergedInput {
            manifest: Checksum::of(b"m"),
            name: "x".into(),
            sources,
            documents: [("train".into(), documents)].into(),
            recipe,
        }
    }

    fn merge(inputs: Vec<MergedInput>) -> Recipe {
        Recipe::Merge(Merge { inputs })
    }

    fn at(source: usize, document: u32) -> Provenance {
        Provenance { source, document, answer: None }
    }

    #[test]
    fn a_document_is_found_in_its_source() {
        let mut provenance = SplitProvenance { most: 9, ..SplitProvenance::default() };

        provenance.append(&recipe(), &[source(3), source(0), source(6)], "train", 9).unwrap();

        assert_eq!(provenance.locate(1), Some(at(0, 1)));
        assert_eq!(provenance.locate(3), Some(at(2, 0)));
        assert_eq!(provenance.locate(9), None);
        assert_eq!(provenance.of_source(2).last(), Some((8, 5)));
    }

    #[test]
    fn a_document_is_found_through_artifacts_that_were_joined() {
        let inner = merge(vec![input(2, 1, recipe()), input(1, 1, recipe())]);
        let outer = merge(vec![input(4, 1, recipe()), input(3, 2, inner)]);
        let mut provenance = SplitProvenance { most: 7, ..SplitProvenance::default() };

        provenance.append(&outer, &[source(4), source(2), source(1)], "train", 7).unwrap();

        assert_eq!(provenance.locate(3), Some(at(0, 3)));
        assert_eq!(provenance.locate(5), Some(at(1, 1)));
        assert_eq!(provenance.locate(6), Some(at(2, 0)));
    }

    fn mixed(documents: u64, given: u64, sources: usize, recipe: Recipe) -> MixedSource {
        let given = [("train".into(), given)].into();
        MixedSource { input: input(documents, sources, recipe), take: Take::Epochs(1.0), given }
    }

    fn mix(sources: Vec<MixedSource>) -> Recipe {
        Recipe::Mix(Mix {
            split: PlainName::near("train"),
            seed: 7,
            total: None,
            max_epochs: 1.0,
            shard_tokens: 1,
            sources,
        })
    }

    #[test]
    fn a_document_is_found_through_a_mix_and_one_that_comes_twice_is_found_twice() {
        let inner = merge(vec![input(2, 1, recipe()), input(1, 1, recipe())]);
        let outer = mix(vec![mixed(4, 8, 1, recipe()), mixed(3, 2, 2, inner)]);
        let mut provenance = SplitProvenance { most: 10, ..SplitProvenance::default() };

        provenance.append(&outer, &[source(4), source(2), source(1)], "train", 10).unwrap();

        let found: Vec<Provenance> = (0..10).map(|at| provenance.locate(at).unwrap()).collect();
        for document in 0..4 {
            let times = found.iter().filter(|&&found| found == at(0, document)).count();
            assert_eq!(times, 2, "{document}: {found:?}");
        }
        let of_merged: Vec<_> = found.iter().filter(|found| found.source > 0).collect();
        assert_eq!(of_merged.len(), 2);
        assert_ne!(of_merged[0], of_merged[1]);
        for number in 0..3 {
            for (place, document) in provenance.of_source(number) {
                assert_eq!(provenance.locate(place), Some(at(number, document)));
            }
        }
        let all: usize = (0..3).map(|number| provenance.of_source(number).count()).sum();
        assert_eq!((all, provenance.locate(10)), (10, None));
        assert!((0..3).all(|number| provenance.job(number).is_some()));
    }

    #[test]
    fn counts_that_contradict_each_other_are_told() {
        let mut provenance = SplitProvenance::default();

        let refused = provenance.append(&recipe(), &[source(3)], "train", 4).unwrap_err();

        assert_eq!(refused.to_string(), "split `train` holds 4 documents, its sources give 3");
    }

    #[test]
    fn rows_that_no_split_holds_are_refused_before_their_order_is_drawn() {
        let config = Tokenize { val_fraction: 1e-9, ..Tokenize::default() };
        let mut provenance = SplitProvenance { most: 1000, ..SplitProvenance::default() };

        let refused = provenance
            .append(&Recipe::Tokenize(config), &[source(4_000_000_000)], "val", 4)
            .unwrap_err();

        let said = refused.to_string();
        assert_eq!(said, "the sources give 4000000000 documents, all splits together hold 1000");
    }
}
