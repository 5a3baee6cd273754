//! Joins artifacts of token bins into one, with one file for each split.
//!
//! A stream is the shards one after the other, so joined files hold the same tokens in the same
//! order: bytes are appended, ends of documents move by what lies before them, and masks are
//! appended bit by bit, since a shard need not end at a byte of its mask.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::recipe::{Merge, MergedInput, Recipe};
use ratdata_schemas::{
    ArtifactInput, ArtifactInputError, ArtifactJob, BinSet, FORMAT_VERSION, FileRecord, Finished,
    Manifest, Opened, PayloadFile, PlainName, Shard, ShardRecord, SplitRecord, Workspace,
    difference, merged_input,
};

use serde_json::json;

use super::error::TranscodeError;
use super::export_job::check_apart;
use crate::interrupt;

/// One merge: what is joined, and where to.
pub(crate) struct MergeJob<'a> {
    /// The artifacts, in the order of their tokens in the result.
    pub(crate) inputs: &'a [PathBuf],
    /// The folder that becomes the artifact.
    pub(crate) out: &'a Path,
    /// What the result's files begin with; the first input's name where none is given.
    pub(crate) name: Option<&'a PlainName>,
    /// Whether an artifact that is there already is replaced.
    pub(crate) force: bool,
    /// Set when the user wants to stop.
    pub(crate) stop: &'a AtomicBool,
}

/// Joins the splits of all inputs, unless the same merge is there.
///
/// Each becomes one bin with its index and, where they have them, its loss mask. A split that only
/// some inputs have is joined from those.
///
/// # Errors
///
/// An input is no artifact of token bins, inputs differ in their tokenizer or the width of their
/// ids, only some shards of a split have masks, or the result cannot be written.
pub(crate) fn merge(job: &MergeJob<'_>) -> Result<Finished, TranscodeError> {
    job.inputs.iter().try_for_each(|root| check_apart(job.out, root))?;
    let manifests =
        job.inputs.iter().map(|root| Manifest::read(root)).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = manifests.first() else {
        return Err(TranscodeError::NoFiles { path: job.out.to_owned(), expected: "an artifact" });
    };
    for (root, manifest) in job.inputs.iter().zip(&manifests) {
        check_alike((&job.inputs[0], first), (root, manifest))?;
    }
    let mut splits: BTreeMap<&PlainName, Vec<BinSet>> = BTreeMap::new();
    for (root, manifest) in job.inputs.iter().zip(&manifests) {
        for split in manifest.splits.keys() {
            let bins = BinSet::from_manifest(root, manifest, split.as_str())?;
            splits.entry(split).or_default().push(bins);
        }
    }
    let name = job.name.unwrap_or(&first.name);
    let recipe = Recipe::Merge(Merge { inputs: inputs_of(job.inputs, &manifests)? });
    let workspace = Workspace::lock(job.out)?;
    let held = held(job.inputs, &manifests)?;
    let compared = Compared { job, name, recipe: &recipe, held: &held };
    let mut workspace = match workspace.look(&compared, job.force)? {
        Opened::Done(manifest, _) => return Ok(Finished::found(*manifest)),
        Opened::Open(workspace) => workspace,
    };
    // What is this job's own and was lost in part is made again.
    if job.force || workspace.take_lost().is_some() {
        workspace.remove_artifact()?;
    }
    let mut records = BTreeMap::new();
    for (split, sets) in splits {
        let shards: Vec<&Shard> = sets.iter().flat_map(BinSet::shards).collect();
        let stem = format!("{name}-{split}");
        let record = job.join(&stem, &shards)?;
        records.insert(split.clone(), SplitRecord::Shards { shards: vec![record] });
    }
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        name: name.clone(),
        dtype: first.dtype,
        tokenizer: first.tokenizer.clone(),
        splits: records,
        sources: manifests.iter().flat_map(|manifest| manifest.sources.clone()).collect(),
        base: None,
        recipe: recipe.clone(),
    };
    // Only now, since what was just read need not be fetched from the disk again.
    compared.check_held(&workspace)?;
    workspace.finish(&manifest)?;
    Ok(Finished::made(manifest))
}

/// A merge as it is compared with what is in its folder.
struct Compared<'a> {
    job: &'a MergeJob<'a>,
    name: &'a PlainName,
    recipe: &'a Recipe,
    held: &'a [ArtifactInput],
}

impl Compared<'_> {
    fn check_held(&self, workspace: &Workspace) -> Result<(), TranscodeError> {
        let known = workspace.known();
        self.held.iter().try_for_each(|held| held.check(known, self.job.stop))?;
        workspace.keep_known();
        Ok(())
    }
}

impl ArtifactJob for Compared<'_> {
    type Error = TranscodeError;

    fn difference(&self, there: &Manifest) -> Option<String> {
        let described = |name, recipe| json!({ "name": name, "recipe": recipe });
        difference(&described(&there.name, &there.recipe), &described(self.name, self.recipe))
    }

    fn check_inputs(&self, _: &Manifest, workspace: &Workspace) -> Result<(), TranscodeError> {
        self.check_held(workspace)
    }
}

/// Looks at the files of all inputs, which decide the result's bytes.
fn held(
    roots: &[PathBuf],
    manifests: &[Manifest],
) -> Result<Vec<ArtifactInput>, ArtifactInputError> {
    let of_one = |(root, manifest): (&PathBuf, &Manifest)| -> Vec<Result<ArtifactInput, ArtifactInputError>> {
        manifest.files().into_iter().map(|record| ArtifactInput::of(root, record)).collect()
    };
    roots.iter().zip(manifests).flat_map(of_one).collect()
}

/// Describes what is joined, to the byte: the result follows from this and its name alone.
fn inputs_of(
    roots: &[PathBuf],
    manifests: &[Manifest],
) -> Result<Vec<MergedInput>, TranscodeError> {
    let inputs = roots.iter().zip(manifests).map(|(root, manifest)| merged_input(root, manifest));
    Ok(inputs.collect::<Result<_, _>>()?)
}

fn check_alike(
    (first_root, first): (&Path, &Manifest),
    (root, other): (&Path, &Manifest),
) -> Result<(), TranscodeError> {
    if other.dtype != first.dtype {
        let (path, found) = (root.to_owned(), other.dtype);
        return Err(TranscodeError::Dtype { path, found, expected: first.dtype });
    }
    if other.tokenizer.fingerprint != first.tokenizer.fingerprint {
        return Err(TranscodeError::Tokenizers {
            path: root.to_owned(),
            found: other.tokenizer.name.clone(),
            first: first_root.to_owned(),
            expected: first.tokenizer.name.clone(),
        });
    }
    Ok(())
}

impl MergeJob<'_> {
    /// Joins the shards of one split.
    fn join(&self, stem: &str, shards: &[&Shard]) -> Result<ShardRecord, TranscodeError> {
        let with_mask = shards.iter().filter(|shard| shard.mask().is_some()).count();
        if with_mask > 0 && with_mask < shards.len() {
            let bare = shards.iter().find(|shard| shard.mask().is_none());
            let path = bare.map_or_else(PathBuf::new, |shard| shard.bin().path().to_owned());
            return Err(TranscodeError::NoMask { path });
        }
        let mut bin = self.create(stem, "bin")?;
        let mut idx = self.create(stem, "idx")?;
        let mut mask = if with_mask > 0 { Some(self.create(stem, "mask")?) } else { None };
        let mut bits = Bits::default();
        let (mut tokens, mut documents) = (0, 0);
        for shard in shards {
            let path = shard.bin().path();
            bin.copy_from(path, 0, shard.bin().bytes().len() as u64)?;
            let index = shard.index().ok_or(TranscodeError::NoDocuments { path: path.into() })?;
            index.check(shard.bin().len())?;
            for ends in index.ends().chunks(1 << 13) {
                self.check_stop()?;
                let moved = ends.iter().flat_map(|end| (end + tokens).to_le_bytes());
                idx.write(&moved.collect::<Vec<u8>>())?;
            }
            if let (Some(file), Some(trained)) = (&mut mask, shard.mask()) {
                let mut left = shard.bin().len();
                for piece in trained.chunks(1 << 20) {
                    self.check_stop()?;
                    let here = left.min(piece.len() as u64 * 8);
                    file.write(&bits.append(piece, here))?;
                    left -= here;
                }
            }
            documents += index.len() as u64;
            tokens += shard.bin().len();
        }
        if let Some(file) = &mut mask {
            file.write(&bits.rest())?;
        }
        Ok(ShardRecord {
            source: None,
            documents,
            tokens,
            bin: self.commit(bin, stem, "bin")?,
            idx: self.commit(idx, stem, "idx")?,
            mask: mask.map(|mask| self.commit(mask, stem, "mask")).transpose()?,
        })
    }

    fn check_stop(&self) -> Result<(), TranscodeError> {
        if self.stop.load(Ordering::Relaxed) { Err(TranscodeError::Interrupted) } else { Ok(()) }
    }

    fn create(&self, stem: &str, ending: &str) -> Result<PayloadFile, TranscodeError> {
        let file = PayloadFile::create(&self.out.join(format!("{stem}.{ending}")))?;
        Ok(file.unless(interrupt::asked))
    }

    fn commit(
        &self,
        file: PayloadFile,
        stem: &str,
        ending: &str,
    ) -> Result<FileRecord, TranscodeError> {
        file.commit()?;
        let path = self.out.join(format!("{stem}.{ending}"));
        Ok(FileRecord::of_file(self.out, &path, self.stop)?)
    }
}

/// Bits that are appended to, lowest first.
#[derive(Debug, Default)]
struct Bits {
    /// Bits that do not fill a byte yet, and how many.
    held: u16,
    count: u32,
}

impl Bits {
    /// Appends the first `len` bits of `more`, and returns the bytes that are full.
    fn append(&mut self, more: &[u8], len: u64) -> Vec<u8> {
        let mut full = Vec::with_capacity(more.len());
        let mut left = len;
        for &byte in more {
            let here = left.min(8) as u32;
            left -= u64::from(here);
            let kept = u16::from(byte) & ((1 << here) - 1);
            self.held |= kept << self.count;
            self.count += here;
            if self.count >= 8 {
                full.push(self.held.to_le_bytes()[0]);
                self.held >>= 8;
                self.count -= 8;
            }
        }
        full
    }

    /// Returns the last byte, filled up with zeros.
    fn rest(&self) -> Vec<u8> {
        if self.count == 0 { Vec::new() } else { vec![self.held.to_le_bytes()[0]] }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Bits;

    fn packed(bits: &[bool]) -> Vec<u8> {
        let byte =
            |few: &[bool]| few.iter().rev().fold(0, |byte: u8, &bit| byte << 1 | u8::from(bit));
        bits.chunks(8).map(byte).collect()
    }

    proptest! {
        #[test]
        fn appended_bits_are_the_bits_of_all(
            parts in prop::collection::vec(prop::collection::vec(any::<bool>(), 0..40), 0..6),
        ) {
            let mut bits = Bits::default();
            let mut found = Vec::new();
            for part in &parts {
                found.extend(bits.append(&packed(part), part.len() as u64));
            }
            found.extend(bits.rest());

            prop_assert_eq!(found, packed(&parts.concat()));
        }
    }
}
