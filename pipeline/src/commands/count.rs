//! `ratdata count`: how many documents and tokens of an artifact come from each source.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use ratdata_console::grouped;
use ratdata_schemas::{
    BinSet, Checksum, Manifest, ManifestError, ShardRecord, SplitRecord, StagedFile,
    manifest_checksum,
};
use ratdata_tokenize::provenance::{ProvenanceError, SplitProvenance};
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::ui::Ui;

/// Count the documents and tokens of each source
///
/// Writes `counts.json` and `counts.csv`. Both list, for each artifact and split, how many documents
/// and tokens come from each input file. They hold no path and no date, so the same artifacts give the
/// same bytes. Artifacts that `merge` joined are counted by the sources of their inputs.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CountArgs {
    /// The artifacts of token bins
    #[arg(value_name = "ARTIFACT", required = true, value_hint = clap::ValueHint::DirPath)]
    artifacts: Vec<PathBuf>,

    /// The folder to write into
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Replace other counts that are there already
    #[arg(long)]
    force: bool,
}

const EXAMPLES: &str = "\
Examples:
  ratdata count data/tokens --out data/counts
  ratdata count data/web data/books --out data/counts --json";

/// How many documents and tokens something has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Count {
    documents: u64,
    tokens: u64,
}

/// The counts of all artifacts.
#[derive(Debug, Serialize)]
struct Counts {
    artifacts: Vec<ArtifactCounts>,
    #[serde(flatten)]
    total: Count,
}

/// The counts of one artifact.
#[derive(Debug, Serialize)]
struct ArtifactCounts {
    /// Its name, which is not its path.
    name: String,
    /// The checksum of its manifest.
    manifest: Checksum,
    #[serde(flatten)]
    total: Count,
    splits: Vec<SplitCounts>,
}

/// The counts of one split.
#[derive(Debug, Serialize)]
struct SplitCounts {
    name: String,
    #[serde(flatten)]
    total: Count,
    sources: Vec<SourceCounts>,
}

/// The counts of one source in a split.
#[derive(Debug, Serialize)]
struct SourceCounts {
    /// The source's name in the manifest; none where the artifact does not record it.
    source: Option<String>,
    #[serde(flatten)]
    count: Count,
}

/// Runs the command.
pub(crate) fn count(ui: &Ui, args: &CountArgs) -> Result<(), Failure> {
    let artifacts = args.artifacts.iter().map(|root| ArtifactCounts::of(root));
    let artifacts = artifacts.collect::<Result<Vec<_>, _>>()?;
    let total = artifacts.iter().map(|artifact| artifact.total).sum();
    let counts = Counts { artifacts, total };
    let json = serde_json::to_string_pretty(&counts)
        .map_err(|wrong| Failure::message(Kind::Failed, wrong.to_string()))?;
    let files = [("counts.csv", counts.csv()), ("counts.json", format!("{json}\n"))];
    for (name, text) in &files {
        check_place(&args.out.join(name), text, args.force, "counts")?;
    }
    for (name, text) in &files {
        let failed = |wrong| Failure::new(Kind::Failed, &wrong);
        let mut file = StagedFile::create(&args.out.join(name)).map_err(failed)?;
        file.write(text.as_bytes()).map_err(failed)?;
        file.commit().map_err(failed)?;
    }
    ui.emit(&counts)
}

/// Checks that a file with other content is not replaced by accident.
pub(crate) fn check_place(path: &Path, text: &str, force: bool, what: &str) -> Result<(), Failure> {
    if force || !path.exists() || fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    let message = format!("{}: holds other {what}", path.display());
    let hint = "choose another `--out`, or replace it with `--force`";
    Err(Failure::message(Kind::Failed, message).hinted(Some(hint)))
}

impl ArtifactCounts {
    fn of(root: &Path) -> Result<Self, Failure> {
        let unreadable =
            |wrong: ManifestError| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint());
        let manifest = Manifest::read(root).map_err(unreadable)?;
        let checksum = manifest_checksum(root).map_err(unreadable)?;
        let mut splits = Vec::new();
        for (name, split) in &manifest.splits {
            interrupt::check()?;
            let SplitRecord::Shards { shards } = split else {
                let message = format!("{}: split `{name}` has rows, no token bins", root.display());
                let hint = "count the artifact of token bins that it was made from";
                return Err(Failure::message(Kind::Usage, message).hinted(Some(hint)));
            };
            splits.push(SplitCounts::of(root, &manifest, name.as_str(), shards)?);
        }
        let total = splits.iter().map(|split| split.total).sum();
        Ok(Self { name: manifest.name.to_string(), manifest: checksum, total, splits })
    }
}

impl SplitCounts {
    fn of(
        root: &Path,
        manifest: &Manifest,
        name: &str,
        shards: &[ShardRecord],
    ) -> Result<Self, Failure> {
        let own = |shard: &ShardRecord| {
            let count = Count { documents: shard.documents, tokens: shard.tokens };
            Some((usize::try_from(shard.source?).ok()?, count))
        };
        let mut by_source = BySource::new();
        match shards.iter().map(own).collect::<Option<Vec<_>>>() {
            Some(counts) => counts
                .into_iter()
                .for_each(|(source, count)| *by_source.entry(Some(source)).or_default() += count),
            None => count_documents(root, manifest, name, &mut by_source)?,
        }
        let total = by_source.values().copied().sum();
        let named = |(source, count): (Option<usize>, Count)| SourceCounts {
            source: source.and_then(|number| Some(manifest.sources.get(number)?.name.clone())),
            count,
        };
        let sources = by_source.into_iter().filter(|(_, count)| count.documents > 0).map(named);
        Ok(Self { name: name.to_owned(), total, sources: sources.collect() })
    }
}

/// The counts of sources by their places in the manifest; those of unknown sources under none.
type BySource = BTreeMap<Option<usize>, Count>;

/// Counts document by document the sources of a split whose shards do not have one source each.
fn count_documents(
    root: &Path,
    manifest: &Manifest,
    split: &str,
    counts: &mut BySource,
) -> Result<(), Failure> {
    let mismatch = |wrong: ProvenanceError| {
        Failure::message(Kind::Mismatch, format!("{}: {wrong}", root.display()))
    };
    let provenance = match SplitProvenance::of(root, manifest, split) {
        Ok(provenance) => Some(provenance),
        Err(ProvenanceError::Unknown { .. }) => None,
        Err(wrong) => return Err(mismatch(wrong)),
    };
    let bins = BinSet::from_manifest(root, manifest, split)
        .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
    let mut document = 0;
    for index in bins.shards().iter().filter_map(|shard| shard.index()) {
        let mut begin = 0;
        for &end in index.ends() {
            let found = provenance.as_ref().and_then(|provenance| provenance.locate(document));
            let count = Count { documents: 1, tokens: end.saturating_sub(begin) };
            *counts.entry(found.map(|found| found.source)).or_default() += count;
            (begin, document) = (end, document + 1);
        }
    }
    Ok(())
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.documents += other.documents;
        self.tokens += other.tokens;
    }
}

impl std::iter::Sum for Count {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut sum, count| {
            sum += count;
            sum
        })
    }
}

impl Counts {
    /// Returns all counts as a table, a line for each source of a split.
    fn csv(&self) -> String {
        let mut csv = "artifact,split,source,documents,tokens\n".to_owned();
        for artifact in &self.artifacts {
            for split in &artifact.splits {
                for SourceCounts { source, count } in &split.sources {
                    let names =
                        [&artifact.name, &split.name, source.as_ref().unwrap_or(&String::new())]
                            .map(|name| quoted(name));
                    let Count { documents, tokens } = count;
                    csv.push_str(&format!("{},{documents},{tokens}\n", names.join(",")));
                }
            }
        }
        csv
    }
}

/// Quotes a field of a table where it needs that.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.artifacts.iter().map(|artifact| artifact.name.chars().count());
        let width = names.max().unwrap_or(0).max(8);
        writeln!(
            f,
            "{:<width$}  {:<8} {:>8} {:>14} {:>18}",
            "artifact", "split", "sources", "documents", "tokens"
        )?;
        for artifact in &self.artifacts {
            for split in &artifact.splits {
                writeln!(
                    f,
                    "{:<width$}  {:<8} {:>8} {:>14} {:>18}",
                    artifact.name,
                    split.name,
                    grouped(split.sources.len() as u64),
                    grouped(split.total.documents),
                    grouped(split.total.tokens)
                )?;
            }
        }
        let Count { documents, tokens } = self.total;
        write!(f, "{} documents, {} tokens", grouped(documents), grouped(tokens))
    }
}
