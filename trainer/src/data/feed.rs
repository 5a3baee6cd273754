//! Draws batches from one source or a mixture of them.

use std::ops::Range;
use std::sync::Arc;

use super::batch::{Batch, Draw};
use super::config::DataConfig;
use super::cursor::Cursor;
use super::error::DataError;
use super::location::SequenceLocation;
use super::sampler::Sampler;
use super::source::Source;
use super::split::Scratch;
use crate::model::ModelConfig;
use ratdata_schemas::draw::mix;

/// Draws batches from sources.
#[derive(Debug)]
pub struct Feed {
    sources: Arc<Vec<Source>>,
    samplers: Vec<Sampler>,
    seed: u64,
    seq_len: usize,
    size: usize,
    cursor: Cursor,
    scratch: Scratch,
}

impl Feed {
    /// Makes a feed that draws batches of `size` sequences from a cursor on.
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
        let mut samplers = Vec::with_capacity(sources.len());
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
            samplers.push(Sampler::new(data.order, found, data.seed, data.shares));
        }
        let scratch = Scratch::default();
        Ok(Self { sources, samplers, seed: data.seed, seq_len, size, cursor, scratch })
    }

    /// Returns how many draws an epoch has: the rows of all sources.
    pub fn epoch_len(&self) -> u64 {
        self.samplers.iter().map(Sampler::epoch_len).sum()
    }

    /// Draws the next batch.
    ///
    /// # Errors
    /// Returns [`DataError::Id`] where a sequence has an id outside the vocabulary.
    pub fn draw_batch(&mut self) -> Result<Batch, DataError> {
        let mut batch = Batch::sized(self.size, self.seq_len);
        for at in 0..self.size {
            let draw = self.draw();
            batch.fill(at, &self.sources[draw.source].train, draw, &mut self.scratch)?;
        }
        batch.after = self.cursor.clone();
        Ok(batch)
    }

    /// Moves the cursor past sequences as if they had been drawn, and reads none of them.
    pub fn skip(&mut self, sequences: u64) {
        if let [source] = self.sources.as_slice() {
            self.cursor.advance(&source.name, sequences);
            return;
        }
        for _ in 0..sequences {
            let source = self.choose();
            self.cursor.advance(&self.sources[source].name, 1);
        }
    }

    /// Draws the next batch and returns where its sequences are on disk, without reading them.
    pub fn draw_locations(&mut self) -> Vec<SequenceLocation> {
        let drawn: Vec<Draw> = (0..self.size).map(|_| self.draw()).collect();
        drawn.into_iter().map(|draw| self.sources[draw.source].train.locate(draw.row)).collect()
    }

    /// Chooses the source of the next sequence, and its row in the order of that source.
    fn draw(&mut self) -> Draw {
        let source = self.choose();
        let drawn = self.cursor.advance(&self.sources[source].name, 1);
        Draw { source, row: self.samplers[source].row(drawn) }
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

/// Returns where some sequences of a batch are on disk.
pub fn locations(
    sources: &[Source],
    batch: &Batch,
    sequences: Range<usize>,
) -> Vec<SequenceLocation> {
    batch.drawn[sequences].iter().map(|draw| sources[draw.source].train.locate(draw.row)).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use super::super::{Order, SourceConfig, open_sources, validation_batches};
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
            let found = jumped.draw_locations();

            assert_eq!(found, locations(&whole.sources, &last, 0..8));
            assert_eq!(jumped.cursor, last.after);
        }
    }

    #[test]
    fn a_feed_from_a_cursor_draws_what_the_first_feed_would_have_drawn() {
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

        let mut drawn: Vec<Draw> = Vec::new();
        for _ in 0..4 {
            drawn.extend(feed.draw_batch().unwrap().drawn);
        }

        let web = drawn.iter().filter(|draw| draw.source == 1).count();
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
            let renamed = folder.path().join(format!("{name}-train.bin"));
            std::fs::copy(&source.path, folder.path().join(format!("{name}-val.bin"))).unwrap();
            std::fs::rename(&source.path, &renamed).unwrap();
            source.path = renamed;
        }
        let sources = open_sources(&data, &model()).unwrap();

        let batches: Vec<Batch> =
            validation_batches(&sources, 4, 64, 150).map(Result::unwrap).collect();

        assert_eq!(batches.iter().map(Batch::len).collect::<Vec<_>>(), [64, 64, 64, 64, 44]);
        let rows: Vec<_> = batches.iter().flat_map(|batch| batch.drawn.clone()).collect();
        let expected = (0..2).flat_map(|source| (0..150).map(move |row| Draw { source, row }));
        assert!(rows.into_iter().eq(expected));
        assert_eq!(batches[4].inputs[43 * 4..], [596, 597, 598, 599]);
    }
}
