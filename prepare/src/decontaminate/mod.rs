//! `decontaminate`: leaves out rows that have passages of benchmarks in them, with evidence for each.
//!
//! ```text
//! benchmarks -> Passages     passages.rs   every n-gram, and where it is
//! text -> units              units.rs      words, or the ids of a tokenizer
//!      -> n-grams            words.rs      those that are in some passage
//!      -> Hit                here          a row, a passage, and the share of its n-grams that are there
//!      -> hits/NAME.hits.zst here          all hits, however low their score
//! rows -> Verdict            here          whether the best score reaches the threshold
//! ```
//!
//! The hits do not depend on the threshold: another one reads them and looks for nothing again.

mod found;
mod passages;
#[cfg(test)]
mod tests;
mod units;
mod words;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use ratdata_schemas::{ArtifactError, FileRecord};
use ratdata_tokenize::tokenizer::EncodeError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::decide::Decide;
use crate::error::PrepareError;
use crate::job::{HITS_FOLDER, Job};
use crate::progress::Progress;
use crate::rows::{LogWriter, OpenFile, Reason, RowView, Verdict, frame_of};
use crate::scan::{FileSink, Scan};
use crate::text_sizes::TextSizes;
pub use found::{FoundHits, ShownHit};
pub use passages::{OverlapSettings, Passages};
pub use units::GramUnit;
use units::UnitReader;
use words::Grams;

/// The setting that may change without looking again.
pub const THRESHOLD: &str = "threshold";

/// How many passages of a row are recorded: those with the highest scores.
const MOST_HITS: usize = 5;

/// How many characters of a passage and of a row are shown.
const SHOWN: usize = 600;

/// Finds passages of benchmarks in rows.
#[derive(Debug)]
pub struct Decontaminate {
    /// What is looked for.
    pub passages: Passages,
    /// A row is left out where so large a share of a passage's n-grams is in it.
    pub threshold: f64,
}

/// A passage that is, in part, in a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hit {
    row: u64,
    /// The share of the passage's n-grams that the row has.
    score: f64,
    /// How many of the passage's n-grams the row has, and how many there are.
    matched: u32,
    of: u32,
    passage: Value,
    /// What the row has there.
    text: String,
}

/// What is recorded of a file's hits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HitsRecord {
    hits: u64,
    rows: u64,
    file: FileRecord,
}

impl Decontaminate {
    /// Runs both passes: looks at the wanted files, and then, unless only a share is wanted, writes the
    /// rows that stay. Returns what is recorded.
    ///
    /// # Errors
    ///
    /// An input cannot be read, the system refuses a write, or `stop` was set.
    pub fn run(
        &self,
        job: &Job,
        wanted: impl Fn(usize) -> bool,
        is_share: bool,
        threads: usize,
        progress: &Progress,
        stop: &AtomicBool,
    ) -> Result<Value, PrepareError> {
        let sink = |number: usize| HitSink::new(job, number);
        job.scan(self, sink, wanted, threads, progress, stop)?;
        if is_share {
            return Ok(Value::Null);
        }
        job.write(&Leave { job, threshold: self.threshold }, |_| true, threads, progress, stop)?;
        let (mut records, mut hits, mut rows) = (Vec::new(), 0, 0);
        for number in 0..job.files().len() {
            let scanned = job.scanned::<HitsRecord>(number, stop)?;
            let changed = || PrepareError::Changed { path: job.files()[number].path.clone() };
            let scanned = scanned.ok_or_else(changed)?;
            hits += scanned.record.hits;
            rows += scanned.record.rows;
            records.push(json!({"rows": scanned.rows, "record": scanned.record}));
        }
        let (passages, too_short) = self.passages.counts();
        Ok(json!({
            "passages": passages,
            "passages_too_short": too_short,
            "hits": hits,
            "rows_with_hits": rows,
            "passes": records,
        }))
    }

    /// Returns the decision of a row by itself, for an estimate.
    pub fn judge(&self) -> impl Decide + '_ {
        ByLooking(self)
    }

    /// Finds the passages that are in a text, the best first.
    fn hits(&self, looking: &mut Looking, row: u64, text: &str) -> Result<Vec<Hit>, EncodeError> {
        let units = looking.units.read(text)?;
        looking.found.clear();
        for &length in &self.passages.lengths {
            for (place, gram) in Grams::new(units, length).enumerate() {
                for posting in self.passages.find(gram) {
                    looking.found.push((posting.passage, posting.gram, place, length));
                }
            }
        }
        if looking.found.is_empty() {
            return Ok(Vec::new());
        }
        // An n-gram that a row has twice is still one of the passage.
        looking.found.sort_unstable();
        looking.found.dedup_by_key(|(passage, gram, _, _)| (*passage, *gram));
        let mut hits: Vec<Hit> = looking
            .found
            .chunk_by(|one, two| one.0 == two.0)
            .map(|grams| self.hit(grams, &mut looking.units, row, text))
            .collect();
        hits.sort_by(|one, two| two.score.total_cmp(&one.score));
        hits.truncate(MOST_HITS);
        Ok(hits)
    }

    fn hit(
        &self,
        grams: &[(u32, u32, usize, usize)],
        units: &mut UnitReader,
        row: u64,
        text: &str,
    ) -> Hit {
        let passage = grams[0].0;
        let of = self.passages.list[passage as usize].grams;
        let matched = u32::try_from(grams.len()).unwrap_or(u32::MAX);
        let first = grams.iter().map(|(_, _, place, _)| *place).min().unwrap_or(0);
        let end = grams.iter().map(|(_, _, place, length)| place + length).max().unwrap_or(0);
        Hit {
            row,
            score: f64::from(matched) / f64::from(of.max(1)),
            matched,
            of,
            passage: self.passages.shown(passage, SHOWN),
            text: units.shown(text, first..end).chars().take(SHOWN).collect(),
        }
    }
}

/// What a thread needs for itself.
#[derive(Debug)]
pub(crate) struct Looking {
    units: UnitReader,
    /// The passage, its n-gram, the place in the row, and how many units the n-gram has.
    found: Vec<(u32, u32, usize, usize)>,
}

impl Looking {
    fn of(work: &Decontaminate) -> Self {
        Self { units: work.passages.unit.reader(), found: Vec::new() }
    }
}

/// The hits of some rows, as lines.
#[derive(Debug, Default)]
pub(crate) struct RowHits {
    lines: Vec<u8>,
    hits: u64,
    rows: u64,
}

impl Scan for Decontaminate {
    type Worker = Looking;
    type Found = RowHits;

    fn worker(&self) -> Looking {
        Looking::of(self)
    }

    fn look(
        &self,
        worker: &mut Looking,
        row: u64,
        text: &str,
        found: &mut RowHits,
    ) -> Result<(), EncodeError> {
        let hits = self.hits(worker, row, text)?;
        found.rows += u64::from(!hits.is_empty());
        for hit in hits {
            found.hits += 1;
            found.lines.extend_from_slice(json!(hit).to_string().as_bytes());
            found.lines.push(b'\n');
        }
        Ok(())
    }
}

/// Writes the hits of a file.
struct HitSink<'a> {
    job: &'a Job,
    number: usize,
    writer: Option<LogWriter>,
    hits: u64,
    rows: u64,
}

impl<'a> HitSink<'a> {
    fn new(job: &'a Job, number: usize) -> Self {
        Self { job, number, writer: None, hits: 0, rows: 0 }
    }

    fn writer(&mut self) -> Result<&mut LogWriter, PrepareError> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => LogWriter::create(&self.job.hits_path(self.number))?,
        };
        Ok(self.writer.insert(writer))
    }
}

impl FileSink for HitSink<'_> {
    type Found = RowHits;
    type Record = HitsRecord;

    fn take(&mut self, found: RowHits) -> Result<(), PrepareError> {
        self.hits += found.hits;
        self.rows += found.rows;
        let path = self.job.hits_path(self.number);
        let frame = frame_of(&found.lines, &path)?;
        self.writer()?.write(&frame)
    }

    fn finish(mut self) -> Result<HitsRecord, PrepareError> {
        self.writer()?;
        let path = self.job.hits_path(self.number);
        let writer = self.writer.take();
        let file = writer.map(|writer| writer.finish(&self.job.out, &path)).transpose()?;
        let missing = || PrepareError::Changed { path: path.clone() };
        Ok(HitsRecord { hits: self.hits, rows: self.rows, file: file.ok_or_else(missing)? })
    }
}

/// Leaves out the rows whose best hit reaches the threshold.
struct Leave<'a> {
    job: &'a Job,
    threshold: f64,
}

/// What is known of a file's rows.
struct Looked {
    /// The best hit of each row that reaches the threshold.
    best: BTreeMap<u64, Value>,
    sizes: Option<TextSizes>,
}

impl Decide for Leave<'_> {
    type Worker = ();
    type File = Looked;

    fn worker(&self) {}

    fn open(&self, number: usize, _: &OpenFile) -> Result<Looked, PrepareError> {
        let best = read_best(&self.job.hits_path(number), self.threshold)?;
        Ok(Looked { best, sizes: self.job.text_sizes(number)? })
    }

    fn sizes(&self, file: &Looked, first: u64, count: usize) -> Option<Vec<Option<u32>>> {
        file.sizes.as_ref()?.of_rows(first, count)
    }

    fn decide(&self, (): &mut (), file: &Looked, row: &RowView<'_>) -> Result<Verdict, String> {
        Ok(file.best.get(&row.row).map_or(Verdict::Keep, |hit| verdict(hit.clone())))
    }
}

fn verdict(hit: Value) -> Verdict {
    Verdict::Drop(Reason::with("contaminated", hit))
}

fn read_best(path: &Path, threshold: f64) -> Result<BTreeMap<u64, Value>, PrepareError> {
    let file = File::open(path).map_err(ArtifactError::io(path))?;
    let lines = zstd::stream::read::Decoder::new(file).map_err(ArtifactError::io(path))?;
    let mut best = BTreeMap::new();
    for line in BufReader::new(lines).lines() {
        let line = line.map_err(ArtifactError::io(path))?;
        let hit: Hit =
            serde_json::from_str(&line).map_err(|wrong| ArtifactError::io(path)(wrong.into()))?;
        if hit.score >= threshold {
            // The first of a row is its best.
            best.entry(hit.row).or_insert_with(|| shown(&hit));
        }
    }
    Ok(best)
}

/// Returns a hit as the reason of a row.
fn shown(hit: &Hit) -> Value {
    json!({
        "score": hit.score,
        "matched": hit.matched,
        "of": hit.of,
        "passage": hit.passage,
        "text": hit.text,
    })
}

/// Decides by looking at the row, and keeps no hits.
struct ByLooking<'a>(&'a Decontaminate);

impl Decide for ByLooking<'_> {
    type Worker = Looking;
    type File = ();

    fn worker(&self) -> Looking {
        Looking::of(self.0)
    }

    fn open(&self, _: usize, _: &OpenFile) -> Result<(), PrepareError> {
        Ok(())
    }

    fn decide(&self, worker: &mut Looking, (): &(), row: &RowView<'_>) -> Result<Verdict, String> {
        let hits = self.0.hits(worker, row.row, row.text).map_err(|wrong| wrong.to_string())?;
        let best = hits.first().filter(|hit| hit.score >= self.0.threshold);
        Ok(best.map_or(Verdict::Keep, |hit| verdict(shown(hit))))
    }
}

impl Job {
    /// Returns the place of a file's hits.
    fn hits_path(&self, number: usize) -> std::path::PathBuf {
        self.out.join(HITS_FOLDER).join(format!("{}.hits.zst", self.stem(number)))
    }
}
