//! The job of a mix: its sources, its plan, and the shards that it writes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ratdata_schemas::draw::MixOrder;
use ratdata_schemas::recipe::{Amount, MergedInput, Mix, MixedSource, Recipe, Take};
use ratdata_schemas::{
    ArtifactError, ArtifactInput, ArtifactJob, BinSet, FORMAT_VERSION, FileRecord, Finished,
    JOB_FOLDER, Manifest, Opened, OtherJob, PlainName, Receipts, ShardFiles, ShardRecord,
    ShardWriter, SplitRecord, Workspace, difference, merged_input, narrow, read_json,
    resting_place, write_json,
};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::documents::Documents;
use super::error::MixError;
use super::plan::{Budget, Counted, Given, MixPlan, PlannedSource};
use crate::share::Share;

/// How many documents are written between two looks at the interrupt flag.
const BETWEEN_LOOKS: u64 = 1 << 12;

/// The folder of shards within an artifact.
const SHARDS: &str = "shards";

/// A mix: what is taken of which artifacts, and where it goes.
#[derive(Clone, Debug)]
pub struct MixJob {
    /// The artifacts.
    pub inputs: Vec<PathBuf>,
    /// How much of each; if there are none, every document once.
    pub takes: Vec<Take>,
    /// How much all of them give together.
    pub total: Option<Amount>,
    /// How often a document may come where its source is not asked for epochs.
    pub max_epochs: f64,
    /// The seed of the order.
    pub seed: u64,
    /// The split that the amounts are about.
    pub split: PlainName,
    /// What the files' names begin with.
    pub name: PlainName,
    /// About how many tokens a shard has.
    pub shard_tokens: u64,
    /// How many threads write.
    pub threads: usize,
    /// The folder that becomes the artifact.
    pub out: PathBuf,
    /// Whether what another job left there is replaced.
    pub force: bool,
    /// Which of the shards are written, where it is not all of them.
    pub share: Option<Share>,
}

/// A mix whose sources are open and counted.
#[derive(Debug)]
pub struct Planned {
    /// What each source gives.
    pub plan: MixPlan,
    given: Vec<Given>,
    sources: Vec<OpenSource>,
}

/// What a mix counts while it works; read it from any thread.
#[derive(Debug, Default)]
pub struct MixProgress {
    /// Tokens that are written, by this run and earlier ones.
    pub tokens: AtomicU64,
    /// Tokens that there will be.
    pub all: AtomicU64,
}

/// One artifact, open.
#[derive(Debug)]
struct OpenSource {
    root: PathBuf,
    take: Take,
    manifest: Manifest,
    merged: MergedInput,
    bins: BTreeMap<PlainName, BinSet>,
}

impl OpenSource {
    fn open(root: &Path, take: Take, split: &PlainName) -> Result<Self, MixError> {
        let manifest = Manifest::read(root)?;
        let merged = merged_input(root, &manifest)?;
        // Where it is missing, this says which splits there are.
        let wanted = BinSet::from_manifest(root, &manifest, split.as_str())?;
        if wanted.num_tokens() == 0 {
            return Err(MixError::Empty { path: root.to_owned(), split: split.to_string() });
        }
        let mut bins = BTreeMap::from([(split.clone(), wanted)]);
        for name in manifest.splits.keys().filter(|name| *name != split) {
            bins.insert(name.clone(), BinSet::from_manifest(root, &manifest, name.as_str())?);
        }
        Ok(Self { root: root.to_owned(), take, manifest, merged, bins })
    }

    /// Returns how many documents a split has.
    fn documents(&self, split: &PlainName) -> u64 {
        self.bins.get(split).map_or(0, BinSet::num_documents)
    }

    /// Looks at the files of all splits, which decide the result's bytes.
    fn held(&self) -> Result<Vec<ArtifactInput>, MixError> {
        let files = self.manifest.files().into_iter();
        Ok(files.map(|record| ArtifactInput::of(&self.root, record)).collect::<Result<_, _>>()?)
    }
}

impl MixJob {
    /// Opens the sources and counts what each of them gives. Nothing is written.
    ///
    /// # Errors
    ///
    /// A source is no artifact of token bins, sources differ in their tokenizer, or the amounts make no
    /// sense. A source that is too small is no error yet: [`MixPlan::check`] reports it.
    pub fn plan(&self, stop: &AtomicBool) -> Result<Planned, MixError> {
        if !self.takes.is_empty() && self.takes.len() != self.inputs.len() {
            let (inputs, takes) = (self.inputs.len(), self.takes.len());
            return Err(MixError::Takes { inputs, takes });
        }
        let take = |number: usize| self.takes.get(number).copied().unwrap_or(Take::Epochs(1.0));
        let open =
            |(number, root): (usize, &PathBuf)| OpenSource::open(root, take(number), &self.split);
        let sources = self.inputs.iter().enumerate().map(open).collect::<Result<Vec<_>, _>>()?;
        check_alike(&sources)?;
        let documents = sources.iter().map(|source| Documents::of(&source.bins[&self.split]));
        let documents = documents.collect::<Result<Vec<_>, _>>()?;
        let counted: Vec<Counted<'_>> = sources
            .iter()
            .zip(&documents)
            .map(|(source, documents)| Counted {
                path: &source.root,
                take: source.take,
                manifest: &source.manifest,
                documents,
                all_tokens: source.bins.values().map(BinSet::num_tokens).sum(),
            })
            .collect();
        let sizes: Vec<(u64, u64)> =
            documents.iter().map(|documents| (documents.len(), 0)).collect();
        let order = MixOrder::new(&sizes, self.seed).ok_or(MixError::TooMany)?;
        let (total, max_epochs) = (self.total, self.max_epochs);
        let budget = Budget { sources: &counted, order: &order, total, max_epochs, stop };
        let given = budget.given()?;
        let plan = self.told(&counted, &given)?;
        drop(counted);
        drop(documents);
        Ok(Planned { plan, given, sources })
    }

    /// Says what is given.
    fn told(&self, counted: &[Counted<'_>], given: &[Given]) -> Result<MixPlan, MixError> {
        let documents = sum(given.iter().map(|given| given.documents))?;
        let tokens = sum(given.iter().map(|given| given.tokens))?;
        let source = |(counted, given): (&Counted<'_>, &Given)| {
            let there = counted.documents;
            let bins = counted.documents.bins().map(|bin| bin.path().to_owned());
            PlannedSource {
                path: counted.path.clone(),
                take: counted.take.to_string(),
                there_documents: there.len(),
                there_tokens: there.tokens(),
                documents: given.documents,
                tokens: given.tokens,
                weight: given.tokens as f64 / tokens.max(1) as f64,
                epochs: given.tokens as f64 / there.tokens().max(1) as f64,
                missing: given.missing,
                bins: bins.collect(),
            }
        };
        Ok(MixPlan {
            split: self.split.clone(),
            seed: self.seed,
            documents,
            tokens,
            max_epochs: self.max_epochs,
            total: self.total,
            sources: counted.iter().zip(given).map(source).collect(),
        })
    }

    /// Writes the mix, unless the same one is there, and continues one that was stopped. Of a share, only
    /// its shards are written, and none is returned.
    ///
    /// # Errors
    ///
    /// See [`MixError`]; the manifest is written last, so what was stopped is no artifact.
    pub fn run(
        &self,
        planned: &Planned,
        progress: &MixProgress,
        stop: &AtomicBool,
    ) -> Result<Option<Finished>, MixError> {
        planned.plan.check()?;
        self.check_apart()?;
        let first = &planned.sources[0].manifest;
        let splits: BTreeSet<&PlainName> =
            planned.sources.iter().flat_map(|source| source.bins.keys()).collect();
        let recipe = Recipe::Mix(self.recipe(planned, &splits));
        let workspace = Workspace::lock(&self.out)?;
        let held = planned.sources.iter().map(OpenSource::held).collect::<Result<Vec<_>, _>>()?;
        let held = held.concat();
        let compared = Compared { name: &self.name, recipe: &recipe, held: &held, stop };
        let mut workspace = match workspace.look(&compared, self.force)? {
            Opened::Done(there, workspace) => {
                workspace.end_job()?;
                return Ok(Some(Finished::found(*there)));
            }
            Opened::Open(workspace) => workspace,
        };
        if self.force || workspace.take_lost().is_some() {
            workspace.remove_artifact()?;
        }
        let receipts = self.begin(&workspace, &recipe)?;
        let Some(records) = self.write(planned, &splits, &receipts, progress, stop)? else {
            return Ok(None);
        };
        // Only now, since what was just read need not be fetched from the disk again.
        compared.check_held(&workspace)?;
        let manifest = Manifest {
            format_version: FORMAT_VERSION,
            name: self.name.clone(),
            dtype: first.dtype,
            tokenizer: first.tokenizer.clone(),
            splits: records,
            sources: planned
                .sources
                .iter()
                .flat_map(|source| source.manifest.sources.clone())
                .collect(),
            base: None,
            recipe,
        };
        workspace.finish(&manifest)?;
        workspace.end_job()?;
        Ok(Some(Finished::made(manifest)))
    }

    fn recipe(&self, planned: &Planned, splits: &BTreeSet<&PlainName>) -> Mix {
        let source = |(source, given): (&OpenSource, &Given)| {
            let given = |split: &PlainName| {
                let all = source.documents(split);
                (split.to_string(), if *split == self.split { given.documents } else { all })
            };
            MixedSource {
                input: source.merged.clone(),
                take: source.take,
                given: splits.iter().map(|&split| given(split)).collect(),
            }
        };
        Mix {
            split: self.split.clone(),
            seed: self.seed,
            total: self.total,
            max_epochs: self.max_epochs,
            shard_tokens: self.shard_tokens,
            sources: planned.sources.iter().zip(&planned.given).map(source).collect(),
        }
    }

    /// Checks that the result is in the folder of no source.
    fn check_apart(&self) -> Result<(), MixError> {
        let real = |path: &Path| {
            let io = |source| ArtifactError::Io { path: path.to_owned(), source };
            resting_place(path).map_err(io)
        };
        let out = real(&self.out)?;
        for input in &self.inputs {
            if out.starts_with(real(input)?) {
                return Err(MixError::InInput { out: self.out.clone(), input: input.clone() });
            }
        }
        Ok(())
    }

    /// Begins the job or continues the same one; another one that has nothing done makes room.
    fn begin(&self, workspace: &Workspace, recipe: &Recipe) -> Result<Receipts, MixError> {
        let receipts = Receipts::of(&self.out);
        let path = self.out.join(JOB_FOLDER).join("job.json");
        let ours = json!({ "name": self.name, "recipe": recipe });
        if let Some(theirs) = read_json::<Value>(&path)? {
            let has_done = !receipts.names()?.is_empty();
            match difference(&theirs, &ours) {
                None => return Ok(receipts),
                Some(difference) if has_done && !self.force => {
                    return Err(OtherJob { out: self.out.clone(), difference }.into());
                }
                Some(_) => {
                    self.remove_begun(&receipts)?;
                    workspace.end_job()?;
                }
            }
        }
        write_json(&path, &ours)?;
        Ok(receipts)
    }

    /// Removes the shards that another mix has made and not finished.
    fn remove_begun(&self, receipts: &Receipts) -> Result<(), MixError> {
        for name in receipts.names()? {
            let Some(shard) = receipts.read::<ShardRecord>(&name)? else { continue };
            for record in [Some(&shard.bin), Some(&shard.idx), shard.mask.as_ref()] {
                record.map_or(Ok(()), |record| record.remove(&self.out))?;
            }
        }
        Ok(())
    }

    /// Writes the shards of all splits that are not done. Of a share, only its shards are written, and
    /// none is returned.
    fn write(
        &self,
        planned: &Planned,
        splits: &BTreeSet<&PlainName>,
        receipts: &Receipts,
        progress: &MixProgress,
        stop: &AtomicBool,
    ) -> Result<Option<BTreeMap<PlainName, SplitRecord>>, MixError> {
        let mut parts = Vec::new();
        for split in splits {
            parts.push(SplitPart::of(self, planned, split)?);
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads.max(1)).build();
        let pool = pool.map_err(|wrong| MixError::Thread { reason: wrong.to_string() })?;
        let shards = parts.iter().flat_map(|part| (0..part.shards).map(move |shard| (part, shard)));
        let share = self.share.unwrap_or(Share::WHOLE);
        let of_share = shards.enumerate().filter(|(number, _)| share.has(*number));
        let tasks: Vec<(&SplitPart<'_>, u64)> = of_share.map(|(_, task)| task).collect();
        let all = parts.iter().map(|part| part.tokens).fold(0, u64::saturating_add);
        progress.all.store(all / share.count as u64, Ordering::Relaxed);
        let made = pool.install(|| {
            let make = |&(part, shard): &(&SplitPart<'_>, u64)| {
                self.shard(part, shard, receipts, progress, stop)
            };
            tasks.par_iter().map(make).collect::<Result<Vec<ShardRecord>, MixError>>()
        })?;
        if self.share.is_some() {
            return Ok(None);
        }
        let mut made = made.into_iter();
        let record = |part: &SplitPart<'_>| {
            let shards = made.by_ref().take(narrow(part.shards)).collect();
            (part.split.clone(), SplitRecord::Shards { shards })
        };
        Ok(Some(parts.iter().map(record).collect()))
    }

    /// Returns a shard of a split; it is written where it is not there.
    fn shard(
        &self,
        part: &SplitPart<'_>,
        number: u64,
        receipts: &Receipts,
        progress: &MixProgress,
        stop: &AtomicBool,
    ) -> Result<ShardRecord, MixError> {
        let receipt = format!("{}-{number:05}", part.split);
        if let Some(record) = receipts.read::<ShardRecord>(&receipt)? {
            let is_whole = |file: &FileRecord| file.is_whole(&self.out);
            if is_whole(&record.bin) && is_whole(&record.idx) && record.mask.iter().all(is_whole) {
                progress.tokens.fetch_add(record.tokens, Ordering::Relaxed);
                return Ok(record);
            }
        }
        let stem = format!("{SHARDS}/{}-{}-{number:05}", self.name, part.split);
        let files = ShardFiles { root: &self.out, stem: &stem };
        let mut writer = if part.masked {
            ShardWriter::create_masked(files)?
        } else {
            ShardWriter::create(files)?
        };
        let mut trained = Vec::new();
        for place in part.places(number) {
            if place.is_multiple_of(BETWEEN_LOOKS) && stop.load(Ordering::Relaxed) {
                return Err(MixError::Interrupted);
            }
            let draw = part.order.at(place);
            let (shard, range) = part.sources[draw.source].locate(draw.row);
            let len = u32::try_from(range.len()).map_err(|_| MixError::TooMany)?;
            // The index was checked against the bin when the documents were found.
            let tokens = shard.bin().tokens().slice(range.clone()).ok_or(MixError::TooMany)?;
            writer.append(tokens, &[len])?;
            if part.masked {
                trained.clear();
                trained.extend(range.map(|position| shard.is_trained_on(position)));
                writer.append_mask(&trained)?;
            }
            progress.tokens.fetch_add(u64::from(len), Ordering::Relaxed);
        }
        let record = writer.finish(None)?;
        receipts.record(&receipt, &record)?;
        Ok(record)
    }
}

/// One split of the result.
struct SplitPart<'a> {
    split: &'a PlainName,
    sources: Vec<Documents<'a>>,
    order: MixOrder,
    tokens: u64,
    shards: u64,
    masked: bool,
}

impl<'a> SplitPart<'a> {
    fn of(job: &MixJob, planned: &'a Planned, split: &'a PlainName) -> Result<Self, MixError> {
        let is_mixed = *split == job.split;
        let (mut sources, mut sizes, mut tokens) = (Vec::new(), Vec::new(), 0_u64);
        for (source, given) in planned.sources.iter().zip(&planned.given) {
            let documents = match source.bins.get(split) {
                Some(bins) => Documents::of(bins)?,
                None => Documents::default(),
            };
            let given = if is_mixed { given.documents } else { documents.len() };
            sizes.push((documents.len(), given));
            tokens = tokens.saturating_add(documents.tokens());
            sources.push(documents);
        }
        let tokens = if is_mixed { planned.plan.tokens } else { tokens };
        let order = MixOrder::new(&sizes, job.seed).ok_or(MixError::TooMany)?;
        let masked = sources.iter().any(Documents::is_masked);
        let shards = tokens.div_ceil(job.shard_tokens.max(1)).clamp(1, order.len().max(1));
        Ok(Self { split, sources, order, tokens, shards, masked })
    }

    /// Returns the places of a shard: all shards have equally many, or one more.
    fn places(&self, shard: u64) -> Range<u64> {
        let at = |shard: u64| {
            let place = u128::from(self.order.len()) * u128::from(shard) / u128::from(self.shards);
            // A part of the number of places.
            u64::try_from(place).unwrap_or(u64::MAX)
        };
        at(shard)..at(shard + 1)
    }
}

/// A mix as it is compared with what is in its folder.
struct Compared<'a> {
    name: &'a PlainName,
    recipe: &'a Recipe,
    held: &'a [ArtifactInput],
    stop: &'a AtomicBool,
}

impl Compared<'_> {
    fn check_held(&self, workspace: &Workspace) -> Result<(), MixError> {
        let known = workspace.known();
        self.held.iter().try_for_each(|held| held.check(known, self.stop))?;
        workspace.keep_known();
        Ok(())
    }
}

impl ArtifactJob for Compared<'_> {
    type Error = MixError;

    fn difference(&self, there: &Manifest) -> Option<String> {
        let described = |name, recipe| json!({ "name": name, "recipe": recipe });
        difference(&described(&there.name, &there.recipe), &described(self.name, self.recipe))
    }

    fn check_inputs(&self, _: &Manifest, workspace: &Workspace) -> Result<(), MixError> {
        self.check_held(workspace)
    }
}

fn sum(mut counts: impl Iterator<Item = u64>) -> Result<u64, MixError> {
    counts.try_fold(0_u64, u64::checked_add).ok_or(MixError::TooMany)
}

fn check_alike(sources: &[OpenSource]) -> Result<(), MixError> {
    let Some(first) = sources.first() else { return Err(MixError::Takes { inputs: 0, takes: 0 }) };
    for source in sources {
        if source.manifest.dtype != first.manifest.dtype {
            let (found, expected) = (source.manifest.dtype, first.manifest.dtype);
            return Err(MixError::Dtype { path: source.root.clone(), found, expected });
        }
        if source.manifest.tokenizer.fingerprint != first.manifest.tokenizer.fingerprint {
            return Err(MixError::Tokenizers {
                path: source.root.clone(),
                found: source.manifest.tokenizer.name.clone(),
                first: first.root.clone(),
                expected: first.manifest.tokenizer.name.clone(),
            });
        }
    }
    Ok(())
}
