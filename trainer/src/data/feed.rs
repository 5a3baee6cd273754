//! Batches from one source or a mixture, and the cursor from which the next batch follows.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use ratdata_schemas::IGNORE_INDEX;
use serde::{Deserialize, Serialize};

use super::config::DataConfig;
use super::error::DataError;
use super::order::Course;
use super::permutation::mix;
use super::source::Source;
use super::split::{Place, Scratch};
use crate::model::ModelConfig;

/// Where a run is in its data: how many sequences were drawn, together and of each source.
///
/// The next batch follows from this and the configuration. Other weights, another source and
/// another number of devices leave what was drawn as it was, and each source goes on where it
/// stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Sequences drawn from all sources together.
    pub sequences: u64,
    /// Sequences drawn from each source, by its name.
    pub drawn: BTreeMap<String, u64>,
}

/// The sequences of one iteration, on the host.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Ids: [sequences, `seq_len`], row by row.
    pub inputs: Vec<i32>,
    /// Labels of the same shape, [`IGNORE_INDEX`] where the loss does not count.
    pub labels: Vec<i32>,
    /// The columns where documents begin, one list a sequence.
    pub starts: Vec<Vec<usize>>,
    /// Source and row of each sequence.
    pub drawn: Vec<(usize, u64)>,
    /// The cursor after this batch.
    pub after: Cursor,
    seq_len: usize,
}

impl Batch {
    /// Makes room for `size` sequences.
    pub fn sized(size: usize, seq_len: usize) -> Self {
        Self {
            inputs: vec![0; size * seq_len],
            labels: vec![0; size * seq_len],
            starts: vec![Vec::new(); size],
            drawn: vec![(0, 0); size],
            after: Cursor::default(),
            seq_len,
        }
    }

    /// Returns how many sequences there are.
    pub fn len(&self) -> usize {
        self.drawn.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.drawn.is_empty()
    }

    /// Returns how many tokens a sequence has.
    pub fn seq_len(&self) -> usize {
        self.seq_len
    }

    /// Counts the labels that the loss is taken at.
    pub fn counted(&self, sequences: Range<usize>) -> u64 {
        let labels = &self.labels[sequences.start * self.seq_len..sequences.end * self.seq_len];
        labels.iter().filter(|&&label| label != IGNORE_INDEX).count() as u64
    }

    /// Reads one sequence into its place.
    fn fill(
        &mut self,
        at: usize,
        split: &super::Split,
        row: u64,
        scratch: &mut Scratch,
    ) -> Result<(), DataError> {
        let range = at * self.seq_len..(at + 1) * self.seq_len;
        let slices = (&mut self.inputs[range.clone()], &mut self.labels[range]);
        split.read(row, scratch, slices, &mut self.starts[at])
    }
}

/// Opens the sources that a configuration names, in the order of their names.
///
/// # Errors
/// Returns [`DataError`] where none is named or one of them does not fit the model.
pub fn open_sources(data: &DataConfig, model: &ModelConfig) -> Result<Vec<Source>, DataError> {
    match (&data.path, data.sources.is_empty()) {
        (Some(_), false) => Err(DataError::Both),
        (None, true) => Err(DataError::None),
        (Some(path), true) => Ok(vec![Source::open("data", path, 1.0, data, model)?]),
        (None, false) => data
            .sources
            .iter()
            .map(|(name, source)| Source::open(name, &source.path, source.weight, data, model))
            .collect(),
    }
}

/// Draws batches from sources.
#[derive(Debug)]
pub struct Feed {
    sources: Arc<Vec<Source>>,
    courses: Vec<Course>,
    seed: u64,
    seq_len: usize,
    size: usize,
    cursor: Cursor,
    scratch: Scratch,
}

impl Feed {
    /// Begins to draw batches of `size` sequences at a cursor.
    ///
    /// # Errors
    /// Returns [`DataError`] where there are fewer sequences than a batch or the shares take.
    pub fn new(
        sources: Arc<Vec<Source>>,
        data: &DataConfig,
        model: &ModelConfig,
        size: usize,
        cursor: Cursor,
    ) -> Result<Self, DataError> {
        let seq_len = model.seq_len.get();
        let mut courses = Vec::with_capacity(sources.len());
        let all: u64 = sources.iter().map(|source| source.train.len()).sum();
        for source in &*sources {
            let (path, found) = (source.train.path().to_owned(), source.train.len());
            let (expected, shares) = (size as u64, data.shares.get());
            if all < expected {
                return Err(DataError::SmallerThanBatch { path, found: all, seq_len, expected });
            }
            if found < shares {
                return Err(DataError::SmallerThanShares { path, found, expected: shares });
            }
            courses.push(Course::new(data.order, found, data.seed, data.shares));
        }
        let scratch = Scratch::default();
        Ok(Self { sources, courses, seed: data.seed, seq_len, size, cursor, scratch })
    }

    /// Returns how many draws pass before every source's rows were drawn once, at these weights.
    pub fn epoch_len(&self) -> u64 {
        let lens = self.courses.iter().map(Course::epoch_len);
        if self.sources.len() == 1 { lens.max().unwrap_or(0) } else { lens.sum() }
    }

    /// Draws the next batch.
    ///
    /// # Errors
    /// Returns [`DataError::Id`] where a sequence has an id outside the vocabulary.
    pub fn draw_batch(&mut self) -> Result<Batch, DataError> {
        let mut batch = Batch::sized(self.size, self.seq_len);
        for at in 0..self.size {
            let (number, row) = self.draw();
            batch.drawn[at] = (number, row);
            batch.fill(at, &self.sources[number].train, row, &mut self.scratch)?;
        }
        batch.after = self.cursor.clone();
        Ok(batch)
    }

    /// Passes over sequences as if they had been drawn, and reads none of them.
    pub fn skip(&mut self, sequences: u64) {
        if let [source] = self.sources.as_slice() {
            *self.cursor.drawn.entry(source.name.clone()).or_default() += sequences;
            self.cursor.sequences += sequences;
            return;
        }
        for _ in 0..sequences {
            let number = self.choose();
            *self.cursor.drawn.entry(self.sources[number].name.clone()).or_default() += 1;
            self.cursor.sequences += 1;
        }
    }

    /// Draws the next batch and says where its sequences lie on disk, without reading them.
    pub fn draw_places(&mut self) -> Vec<Place> {
        let drawn: Vec<(usize, u64)> = (0..self.size).map(|_| self.draw()).collect();
        drawn.into_iter().map(|(number, row)| self.sources[number].train.place(row)).collect()
    }

    /// Chooses the source of the next sequence, and its row in that source's own order.
    fn draw(&mut self) -> (usize, u64) {
        let number = self.choose();
        let name = &self.sources[number].name;
        let drawn = match self.cursor.drawn.get_mut(name) {
            Some(drawn) => drawn,
            None => self.cursor.drawn.entry(name.clone()).or_default(),
        };
        let row = self.courses[number].row(*drawn);
        *drawn += 1;
        self.cursor.sequences += 1;
        (number, row)
    }

    fn choose(&self) -> usize {
        let last = self.sources.len() - 1;
        if last == 0 {
            return 0;
        }
        let word = mix(mix(self.seed ^ 0x6d69_7874_7572_6500) ^ self.cursor.sequences);
        let total: f64 = self.sources.iter().map(|source| source.weight).sum();
        let mut left = (word >> 11) as f64 / (1_u64 << 53) as f64 * total;
        for (number, source) in self.sources.iter().enumerate() {
            left -= source.weight;
            if left < 0.0 {
                return number;
            }
        }
        last
    }
}

/// Reads the validation parts in order, in batches of at most `size`, the last of them smaller.
///
/// # Errors
/// Each batch is a [`DataError::Id`] where a sequence has an id outside the vocabulary.
pub fn validation_batches(
    sources: &[Source],
    seq_len: usize,
    size: usize,
    limit: u64,
) -> impl Iterator<Item = Result<Batch, DataError>> + '_ {
    let rows = sources.iter().enumerate().filter_map(move |(number, source)| {
        source.validation.as_ref().map(|split| (number, split.len().min(limit)))
    });
    let mut rows = rows.flat_map(|(number, rows)| (0..rows).map(move |row| (number, row)));
    let mut scratch = Scratch::default();
    std::iter::from_fn(move || {
        let drawn: Vec<(usize, u64)> = rows.by_ref().take(size).collect();
        if drawn.is_empty() {
            return None;
        }
        let mut batch = Batch::sized(drawn.len(), seq_len);
        for (at, &(number, row)) in drawn.iter().enumerate() {
            if let Some(split) = &sources[number].validation
                && let Err(wrong) = batch.fill(at, split, row, &mut scratch)
            {
                return Some(Err(wrong));
            }
        }
        batch.drawn = drawn;
        Some(Ok(batch))
    })
}

/// Says where the sequences of a batch lie on disk.
pub fn places(sources: &[Source], batch: &Batch, sequences: Range<usize>) -> Vec<Place> {
    batch.drawn[sequences].iter().map(|&(number, row)| sources[number].train.place(row)).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use super::super::{Order, SourceConfig};
    use super::*;

    /// Two bins of 400 and 200 sequences, drawn three to one.
    fn mixture(folder: &Path, order: Order) -> DataConfig {
        let source = |name: &str, sequences: u64, weight: f64| {
            let path = folder.join(name);
            let mut file = std::fs::File::create(&path).unwrap();
            for number in 0..=sequences * 4 {
                file.write_all(&u16::try_from(number).unwrap().to_le_bytes()).unwrap();
            }
            (name.to_owned(), SourceConfig { path, weight })
        };
        let sources = [source("books", 200, 1.0), source("web", 400, 3.0)].into();
        DataConfig { sources, order, ..DataConfig::default() }
    }

    fn model() -> ModelConfig {
        let text = "vocab_size = 60000\nd_model = 8\nlayers = 1\nhead_dim = 4\nseq_len = 4\n\
                    mixers = [\"rnn\"]";
        toml::from_str(text).unwrap()
    }

    fn feed(data: &DataConfig, size: usize, cursor: Cursor) -> Feed {
        let sources = Arc::new(open_sources(data, &model()).unwrap());
        Feed::new(sources, data, &model(), size, cursor).unwrap()
    }

    #[test]
    fn what_is_skipped_is_what_would_have_been_drawn() {
        let folder = tempfile::tempdir().unwrap();
        for order in [Order::Ordered, Order::Random, Order::Shuffled] {
            let data = mixture(folder.path(), order);
            let (mut whole, mut jumped) =
                (feed(&data, 8, Cursor::default()), feed(&data, 8, Cursor::default()));
            let mut last = whole.draw_batch().unwrap();
            for _ in 0..5 {
                last = whole.draw_batch().unwrap();
            }

            jumped.skip(5 * 8);
            let found = jumped.draw_places();

            assert_eq!(found, places(&whole.sources, &last, 0..8));
            assert_eq!(jumped.cursor, last.after);
        }
    }

    #[test]
    fn a_feed_that_begins_at_a_cursor_goes_on_as_the_first_would_have() {
        let folder = tempfile::tempdir().unwrap();
        for order in [Order::Ordered, Order::Random, Order::Shuffled] {
            let data = mixture(folder.path(), order);
            let mut first = feed(&data, 8, Cursor::default());
            let batches: Vec<Batch> = (0..40).map(|_| first.draw_batch().unwrap()).collect();

            // Another size of batch, as after a change of the number of devices.
            let mut second = feed(&data, 16, batches[19].after.clone());

            for pair in batches[20..].chunks(2) {
                let found = second.draw_batch().unwrap();
                let expected: Vec<_> = pair.iter().flat_map(|batch| batch.drawn.clone()).collect();
                assert_eq!(found.drawn, expected);
                assert_eq!(found.after, pair[1].after);
            }
        }
    }

    #[test]
    fn sources_are_drawn_by_their_weights_and_no_row_twice_in_an_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let data = mixture(folder.path(), Order::Shuffled);
        let mut feed = feed(&data, 100, Cursor::default());

        let mut drawn: Vec<(usize, u64)> = Vec::new();
        for _ in 0..4 {
            drawn.extend(feed.draw_batch().unwrap().drawn);
        }

        let web = drawn.iter().filter(|(source, _)| *source == 1).count();
        assert!((260..340).contains(&web), "{web} of 400 at three quarters");
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 400);
    }

    #[test]
    fn validation_reads_every_row_once_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut data = mixture(folder.path(), Order::Shuffled);
        for (name, source) in &mut data.sources {
            let beside = folder.path().join(format!("{name}-train.bin"));
            std::fs::copy(&source.path, folder.path().join(format!("{name}-val.bin"))).unwrap();
            std::fs::rename(&source.path, &beside).unwrap();
            source.path = beside;
        }
        let sources = open_sources(&data, &model()).unwrap();

        let batches: Vec<Batch> =
            validation_batches(&sources, 4, 64, 150).map(Result::unwrap).collect();

        assert_eq!(batches.iter().map(Batch::len).collect::<Vec<_>>(), [64, 64, 64, 64, 44]);
        let rows: Vec<_> = batches.iter().flat_map(|batch| batch.drawn.clone()).collect();
        let expected = (0..2).flat_map(|source| (0..150).map(move |row| (source, row)));
        assert!(rows.into_iter().eq(expected));
        assert_eq!(batches[4].inputs[43 * 4..], [596, 597, 598, 599]);
    }
}
