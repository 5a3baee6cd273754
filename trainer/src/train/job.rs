//! A run that is ready to train: its data is open, checked and planned.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ratdata_schemas::Checksum;

use super::error::TrainError;
use super::plan::Plan;
use super::weights::check_weights;
use crate::cost::{GpuModel, Prediction};
use crate::data::{Cursor, Feed, SequenceLocation, Source, open_sources};
use crate::device::Hardware;
use crate::experiment::Experiment;
use crate::model::Precision;

/// How many tokens of each part are checked against the model, at most. It takes seconds.
pub const CHECKED_TOKENS: u64 = 2_000_000_000;

/// A run that is ready to train: its data is open and fits its model.
#[derive(Debug)]
pub struct Job {
    name: String,
    experiment: Experiment,
    sources: Arc<Vec<Source>>,
    plan: Plan,
    precision: Precision,
    hardware: Hardware,
}

impl Job {
    /// Opens the data and plans the run on the CPU or on GPUs; nothing is written.
    ///
    /// # Errors
    /// Returns [`TrainError`] where the data does not fit the experiment, or where the experiment asks
    /// for a type in which the hardware does not compute.
    pub fn open(
        name: &str,
        experiment: Experiment,
        hardware: Hardware,
    ) -> Result<Self, TrainError> {
        let precision = hardware.precision(experiment.training.precision)?;
        let sources = Arc::new(open_sources(&experiment.data, &experiment.model)?);
        let feed = Self::feed(&sources, &experiment, Cursor::default())?;
        let plan = Plan::new(&experiment, &sources, feed.epoch_len(), precision)?;
        Ok(Self { name: name.to_owned(), experiment, sources, plan, precision, hardware })
    }

    /// Returns the plan of the run.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Predicts the speed of the run on a GPU.
    pub fn predict(&self, gpu: GpuModel) -> Prediction {
        Prediction::new(&self.experiment, self.precision, gpu)
    }

    /// Returns the sources that are read.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Reads the sequences of every part, or `most` of each spread evenly, and returns how many.
    ///
    /// # Errors
    /// Returns [`TrainError::Data`] where a sequence does not fit the model.
    pub fn check(&self, most: u64) -> Result<u64, TrainError> {
        let never = AtomicBool::new(false);
        let splits = self
            .sources
            .iter()
            .flat_map(|source| [Some(&source.train), source.validation.as_ref()]);
        let mut checked = 0;
        for split in splits.flatten() {
            checked += split.check(most, &never)?;
        }
        Ok(checked)
    }

    /// Checks what a run begins with and a resumed one no longer needs: that headerless bins, whose
    /// vocabulary nobody wrote down, have no id above the model's, and that the weights to begin
    /// with are there. It ends early when `stop` is set.
    ///
    /// # Errors
    /// Returns [`TrainError::Data`], [`TrainError::NoWeights`] or [`TrainError::Weights`].
    pub fn check_start(&self, stop: &AtomicBool) -> Result<(), TrainError> {
        let Experiment { model, training, .. } = &self.experiment;
        if let Some(path) = &training.init_from {
            check_weights(model, path)?;
        }
        let most = CHECKED_TOKENS / self.plan.seq_len.max(1);
        for source in self.sources.iter().filter(|source| source.bare) {
            for split in std::iter::once(&source.train).chain(&source.validation) {
                split.check(most, stop)?;
            }
        }
        Ok(())
    }

    /// Returns where the sequences of an iteration are on disk; the first iteration is 1.
    ///
    /// They are computed from the experiment alone. A run that was resumed with other weights of
    /// sources drew other sequences after that.
    ///
    /// # Errors
    /// Returns [`TrainError::Iteration`] where the run has no such iteration.
    pub fn drawn_at(&self, iteration: u64) -> Result<Vec<SequenceLocation>, TrainError> {
        let iterations = self.plan.iterations;
        if iteration == 0 || iteration > iterations {
            return Err(TrainError::Iteration { found: iteration, iterations });
        }
        let mut feed = self.feed_from(Cursor::default())?;
        feed.skip((iteration - 1) * self.experiment.training.global_batch.get() as u64);
        Ok(feed.draw_locations())
    }

    /// Returns the feed of the run from a cursor on.
    pub(super) fn feed_from(&self, cursor: Cursor) -> Result<Feed, TrainError> {
        Self::feed(&self.sources, &self.experiment, cursor)
    }

    /// Returns the name of the run.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the experiment.
    pub(super) fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// Returns whether the run is on GPUs.
    pub(super) fn on_gpu(&self) -> bool {
        self.hardware.is_gpu()
    }

    /// Returns the type in which the layers compute.
    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    fn feed(
        sources: &Arc<Vec<Source>>,
        experiment: &Experiment,
        cursor: Cursor,
    ) -> Result<Feed, TrainError> {
        let size = experiment.training.global_batch.get();
        Ok(Feed::new(Arc::clone(sources), &experiment.data, &experiment.model, size, cursor)?)
    }

    /// Returns what identifies each source, by its name.
    pub(super) fn checksums(&self) -> BTreeMap<String, Checksum> {
        let pairs = |source: &Source| (source.name.clone(), source.fingerprint.clone());
        self.sources.iter().map(pairs).collect()
    }
}
