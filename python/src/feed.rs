//! Batches of one source or a mixture, by the numbers of samples.

use std::sync::{Mutex, PoisonError};

use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use ratdata_schemas::draw::{Draw, RowOrder};
use ratdata_schemas::fits_in_memory;
use ratdata_tokenize::next_tokens::fetch;

use crate::failure::Failure;
use crate::sequences::{Arrays, Filled, Sequences};

/// An endless stream of samples of one source or a mixture.
#[pyclass(frozen, module = "ratdata._ratdata")]
pub(crate) struct Feed {
    sources: Vec<Py<Sequences>>,
    seq_len: usize,
    order: Mutex<RowOrder>,
    /// Whether whole windows of bins are mapped as soon as one of their rows is read.
    mapped_ahead: bool,
}

/// The sources and rows of samples.
type Draws<'py> = (Bound<'py, PyArray1<u64>>, Bound<'py, PyArray1<u64>>);

#[pymethods]
impl Feed {
    /// Makes the stream of sources with these weights.
    #[new]
    fn new(
        sources: Vec<Py<Sequences>>,
        weights: Vec<f64>,
        seed: u64,
        shuffle: bool,
    ) -> PyResult<Self> {
        let all: Vec<&Sequences> = sources.iter().map(Py::get).collect();
        let Some(first) = all.first() else {
            return Err(Failure::new("no source, expected at least one", None).into());
        };
        if all.len() != weights.len() {
            let what = format!("{} sources and {} weights", all.len(), weights.len());
            return Err(Failure::new(what, None).into());
        }
        let seq_len = first.len_of_one();
        if let Some(other) = all.iter().find(|source| source.len_of_one() != seq_len) {
            let what = format!(
                "{}: sequences of {} inputs, and those of {} have {seq_len}",
                other.place(),
                other.len_of_one(),
                first.place(),
            );
            return Err(Failure::new(what, Some("give sources of one length of rows")).into());
        }
        let rows: Vec<u64> = all.iter().map(|source| source.num_sequences()).collect();
        let order = RowOrder::new(&rows, &weights, seed, shuffle).map_err(Failure::from)?;
        let mapped_ahead = fits_in_memory(all.iter().map(|source| source.num_bytes()).sum());
        Ok(Self { sources, seq_len, order: Mutex::new(order), mapped_ahead })
    }

    /// How many inputs a sequence has.
    #[getter]
    fn seq_len(&self) -> usize {
        self.seq_len
    }

    /// How many rows all sources have together.
    #[getter]
    fn num_rows(&self) -> u64 {
        self.locked().num_rows()
    }

    /// Reads `count` samples from `first` on.
    fn batch<'py>(
        &self,
        py: Python<'py>,
        first: u64,
        count: usize,
        documents: bool,
    ) -> PyResult<Arrays<'py>> {
        let filled = py.detach(|| -> Result<Filled, Failure> {
            let draws = self.draws_from(first, count);
            let bytes_of =
                |draw: &Draw| self.sources[draw.source].get().bytes_of(draw.row, self.mapped_ahead);
            if let Some(first) = draws.first() {
                fetch(bytes_of(first));
            }
            let mut filled = Filled::new(count, self.seq_len, documents);
            for (at, draw) in draws.iter().enumerate() {
                let soon = draws.get(at + 1).map_or(&[][..], bytes_of);
                self.sources[draw.source].get().read_into(draw.row, soon, &mut filled)?;
            }
            Ok(filled)
        });
        filled?.into_arrays(py)
    }

    /// Returns which source and row `count` samples from `first` on are, without reading them.
    fn draws<'py>(&self, py: Python<'py>, first: u64, count: usize) -> Draws<'py> {
        let (sources, rows): (Vec<u64>, Vec<u64>) = py.detach(|| {
            let draws = self.draws_from(first, count);
            draws.iter().map(|draw| (draw.source as u64, draw.row)).unzip()
        });
        (sources.into_pyarray(py), rows.into_pyarray(py))
    }
}

impl Feed {
    /// Draws `count` samples at once: the processor then computes several at a time.
    fn draws_from(&self, first: u64, count: usize) -> Vec<Draw> {
        let mut order = self.locked();
        (first..).take(count).map(|sample| order.at(sample)).collect()
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, RowOrder> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
