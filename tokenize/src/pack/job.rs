//! Packs the splits of an artifact of token bins.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ratdata_schemas::recipe::{Pack, Recipe};
use ratdata_schemas::{
    ArtifactInput, ArtifactInputError, ArtifactJob, BaseRecord, BinSet, DocIndex, FORMAT_VERSION,
    FileRecord, Finished, Manifest, ManifestError, Opened, PackCounts, PlainName, SplitRecord,
    Workspace, difference, manifest_checksum, resting_place,
};
use serde::Serialize;
use serde_json::json;

use super::writer::PackWriter;
use super::{Algorithm, BestFit, Concat, Counts, Document, PackConfig, PackError, check_config};
use crate::order::permutation;

/// How many documents are packed between two looks at the interrupt flag.
const BETWEEN_LOOKS: u64 = 1 << 16;

/// A packing job.
#[derive(Clone, Debug)]
pub struct PackJob {
    /// The artifact of token bins.
    pub input: PathBuf,
    /// The folder that becomes the pack.
    pub out: PathBuf,
    /// The part to pack; every part of token bins where none is named.
    pub split: Option<String>,
    /// What decides the rows.
    pub config: PackConfig,
    /// Whether the rows are written out.
    pub materialize: bool,
    /// Whether what another job left is replaced.
    pub force: bool,
}

/// What packing one split did.
#[derive(Clone, Debug, Serialize)]
pub struct SplitPacked {
    /// The split.
    pub split: String,
    /// The number of tokens of a row.
    pub row_len: u32,
    /// The counts.
    #[serde(flatten)]
    pub counts: Counts,
}

impl SplitPacked {
    /// Returns what was done for each split of a pack, as far as its writer recorded it.
    pub fn all(manifest: &Manifest) -> Vec<Self> {
        manifest.splits.iter().filter_map(Self::of).collect()
    }

    /// Reads what was done from a manifest; none where its writer did not say.
    fn of((split, record): (&PlainName, &SplitRecord)) -> Option<Self> {
        let pack = match record {
            SplitRecord::Pack(pack) => pack,
            SplitRecord::Rows(rows) => &rows.pack,
            _ => return None,
        };
        let PackCounts { documents, cut, dropped, empty } = pack.counts?;
        let (rows, tokens) = (pack.rows, pack.tokens);
        let counts = Counts { documents, cut, dropped, empty, rows, tokens };
        Some(Self { split: split.to_string(), row_len: pack.row_len, counts })
    }

    /// Returns the share of the rows' places that hold a token.
    pub fn fill(&self) -> f64 {
        let places = self.counts.rows * u64::from(self.row_len);
        if places == 0 { 0.0 } else { self.counts.tokens as f64 / places as f64 }
    }
}

/// A packing as it is compared with what is in its folder.
struct Compared<'a> {
    job: &'a PackJob,
    base: &'a Manifest,
    /// What the pack's manifest will be, without its splits.
    ours: &'a Manifest,
    interrupted: &'a AtomicBool,
}

impl ArtifactJob for Compared<'_> {
    type Error = PackError;

    fn difference(&self, there: &Manifest) -> Option<String> {
        let described = |manifest: &Manifest| {
            let config = match &manifest.recipe {
                Recipe::Pack(pack) => json!(pack),
                other => json!(other),
            };
            json!({"config": config, "base": manifest.base})
        };
        difference(&described(there), &described(self.ours))
    }

    fn check_inputs(&self, there: &Manifest, workspace: &Workspace) -> Result<(), PackError> {
        let splits: Vec<PlainName> = there.splits.keys().cloned().collect();
        let held = self.job.held(self.base, &splits)?;
        held.iter().try_for_each(|held| held.check(workspace.known(), self.interrupted))?;
        self.job.keep_known(workspace);
        Ok(())
    }
}

impl PackJob {
    /// Packs, unless the same pack is there.
    ///
    /// # Errors
    ///
    /// See [`PackError`]; the manifest is written last, so what was stopped is no artifact.
    pub fn run(&self, interrupted: &AtomicBool) -> Result<Finished, PackError> {
        check_config(self.config)?;
        let base = Manifest::read(&self.input)?;
        self.check_folders(&base)?;
        let checksum = manifest_checksum(&self.input)?;
        let workspace = Workspace::lock(&self.out)?;
        let recipe = Recipe::Pack(Pack {
            pack: self.config,
            materialize: self.materialize,
            split: self.split.clone(),
        });
        let mut manifest = Manifest {
            format_version: FORMAT_VERSION,
            name: base.name.clone(),
            dtype: base.dtype,
            tokenizer: base.tokenizer.clone(),
            splits: BTreeMap::new(),
            sources: Vec::new(),
            base: Some(BaseRecord { path: relative(&self.out, &self.input)?, manifest: checksum }),
            recipe,
        };
        let compared = Compared { job: self, base: &base, ours: &manifest, interrupted };
        let workspace = match workspace.look(&compared, self.force)? {
            Opened::Done(there, _) => return Ok(Finished::found(*there)),
            Opened::Open(workspace) => workspace,
        };
        // What cannot be packed is told before what is there is removed.
        let wanted = self.open(&base)?;
        let splits: Vec<PlainName> = wanted.iter().map(|(split, _)| split.clone()).collect();
        let held = self.held(&base, &splits)?;
        workspace.remove_manifest()?;
        for (split, bins) in &wanted {
            let record = self.pack_split(&base, split.as_str(), bins, interrupted)?;
            manifest.splits.insert(split.clone(), record);
        }
        // Only now, since what was just read need not be fetched from the disk again.
        held.iter().try_for_each(|held| held.check(workspace.known(), interrupted))?;
        self.keep_known(&workspace);
        workspace.finish(&manifest)?;
        Ok(Finished::made(manifest))
    }

    /// Keeps what is known of the bins, where rows were written out of them. Indexes are small, so they
    /// are read again, and a pack of spans has nothing of this machine in its folder.
    fn keep_known(&self, workspace: &Workspace) {
        if self.materialize {
            workspace.keep_known();
        }
    }

    /// Returns the files of the bins that decide the pack's bytes: the indexes, and the ids and masks
    /// too where rows are written out. Spans are the same whatever ids they cover.
    fn held(
        &self,
        base: &Manifest,
        splits: &[PlainName],
    ) -> Result<Vec<ArtifactInput>, ArtifactInputError> {
        let mut records: Vec<&FileRecord> = Vec::new();
        for split in splits {
            let Some(SplitRecord::Shards { shards }) = base.splits.get(split) else { continue };
            for shard in shards {
                records.push(&shard.idx);
                if self.materialize {
                    records.push(&shard.bin);
                    records.extend(&shard.mask);
                }
            }
        }
        records.into_iter().map(|record| ArtifactInput::of(&self.input, record)).collect()
    }

    /// Opens the bins of the parts that are packed: all that are token bins, or the one named.
    fn open(&self, base: &Manifest) -> Result<Vec<(PlainName, BinSet)>, PackError> {
        let is_bins = |split: &SplitRecord| matches!(split, SplitRecord::Shards { .. });
        let splits: Vec<&str> = match &self.split {
            Some(split) => vec![split],
            None => base
                .splits
                .iter()
                .filter(|(_, record)| is_bins(record))
                .map(|(split, _)| split.as_str())
                .collect(),
        };
        // Where there is none, opening the usual one says what is there instead.
        let splits = if splits.is_empty() { vec!["train"] } else { splits };
        let mut wanted = Vec::new();
        for split in splits {
            let bins = BinSet::from_manifest(&self.input, base, split)?;
            // The manifest has a split of this name, since it was opened.
            wanted.push((PlainName::near(split), bins));
        }
        Ok(wanted)
    }

    /// Checks that writing the pack touches no file of the input.
    ///
    /// A pack may lie above its bins, as `sft` has it, but not where their files are.
    fn check_folders(&self, base: &Manifest) -> Result<(), PackError> {
        let real = |path: &Path| {
            resting_place(path).map_err(|source| {
                PackError::Manifest(ManifestError::Io { path: path.to_owned(), source })
            })
        };
        let (input, out) = (real(&self.input)?, real(&self.out)?);
        let mut taken = out.starts_with(&input);
        for file in base.files() {
            let path = real(&file.place(&self.input))?;
            taken |= path.parent() == Some(&out);
        }
        if taken {
            return Err(PackError::InInput { out: self.out.clone(), input: self.input.clone() });
        }
        Ok(())
    }

    fn pack_split(
        &self,
        base: &Manifest,
        split: &str,
        bins: &BinSet,
        interrupted: &AtomicBool,
    ) -> Result<SplitRecord, PackError> {
        let nothing = || PackError::Nothing { root: self.input.clone(), split: split.to_owned() };
        let fill = base.tokenizer.pad.or(base.tokenizer.eos).unwrap_or(0);
        let stem = format!("{}-{split}-{}", base.name, self.config.seq_len);
        let plain = self.materialize.then_some((bins, fill));
        let place = (self.out.as_path(), stem.as_str());
        let mut writer = PackWriter::create(place, self.config, plain, interrupted)?;
        let counts = match self.config.packing {
            Algorithm::Concat => {
                let mut packer = Concat::new(self.config);
                self.each_document(bins, interrupted, |document| {
                    packer.push(document, &mut writer)
                })?;
                packer.finish(&mut writer)?
            }
            Algorithm::BestFit => {
                let mut packer = BestFit::new(self.config);
                self.each_document(bins, interrupted, |document| {
                    packer.push(document, &mut writer)
                })?;
                packer.finish(&mut writer)?
            }
        };
        if counts.rows == 0 {
            return Err(nothing());
        }
        Ok(writer.finish(counts)?)
    }

    /// Calls `each` for every document of the stream, in the order of the pack.
    fn each_document(
        &self,
        bins: &BinSet,
        interrupted: &AtomicBool,
        mut each: impl FnMut(Document) -> Result<(), PackError>,
    ) -> Result<(), PackError> {
        let mut seen = 0_u64;
        let mut look = |document| {
            seen += 1;
            if seen.is_multiple_of(BETWEEN_LOOKS) && interrupted.load(Ordering::Relaxed) {
                return Err(PackError::Interrupted);
            }
            each(document)
        };
        for shard in bins.shards() {
            if let Some(index) = shard.index() {
                index.check(shard.bin().len())?;
            }
        }
        let Some(seed) = self.config.seed else {
            return documents(bins).try_for_each(look);
        };
        let count = bins.num_documents();
        let count = u32::try_from(count).map_err(|_| PackError::TooMany { documents: count })?;
        let all: Vec<Document> = documents(bins).collect();
        permutation(seed, count).into_iter().try_for_each(|place| look(all[place as usize]))
    }
}

/// Returns the documents of a set of bins in the order of its stream.
fn documents(bins: &BinSet) -> impl Iterator<Item = Document> + '_ {
    bins.shards().iter().flat_map(|shard| {
        let mut start = shard.first_token();
        shard.index().into_iter().flat_map(DocIndex::ends).map(move |end| {
            let end = shard.first_token() + end;
            let document = Document { start, len: end - start };
            start = end;
            document
        })
    })
}

/// Returns the path of `to` as seen from the folder `from`, so that both can be moved together.
fn relative(from: &Path, to: &Path) -> Result<String, PackError> {
    let real = |path: &Path| {
        path.canonicalize().map_err(|source| {
            PackError::Manifest(ManifestError::Io { path: path.to_owned(), source })
        })
    };
    let (from, to) = (real(from)?, real(to)?);
    let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n(Component::ParentDir, from.components().count() - shared);
    let path: PathBuf = up.chain(to.components().skip(shared)).collect();
    match path.to_str() {
        Some("") => Ok(".".into()),
        Some(path) => Ok(path.to_owned()),
        // Written otherwise it would name another folder.
        None => Err(PackError::NotUtf8 { input: to }),
    }
}
