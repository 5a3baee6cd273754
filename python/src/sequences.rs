//! The sequences of one split, by number: cut from token bins, or rows.

use std::ops::Range;
use std::path::{Path, PathBuf};

use numpy::ndarray::Array2;
use numpy::{PyArray2, PyReadonlyArray1};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use ratdata_schemas::{
    BinSet, Dtype, IGNORE_INDEX, Manifest, Row, RowSet, SplitRecord, TokenId, Tokens, Windows,
    narrow,
};
use ratdata_tokenize::next_tokens::push_next_tokens;

use crate::columns::Columns;
use crate::failure::Failure;

/// Inputs, labels and, where they were asked for, documents and positions: `[sequences, seq_len]`.
pub(crate) type Arrays<'py> = (
    Bound<'py, PyArray2<i64>>,
    Bound<'py, PyArray2<i64>>,
    Option<(Bound<'py, PyArray2<i64>>, Bound<'py, PyArray2<i64>>)>,
);

/// The sequences of one split, all of one length.
#[pyclass(frozen, module = "ratdata._ratdata")]
pub(crate) struct Sequences {
    place: String,
    seq_len: usize,
    /// The largest id plus one; none for a bin without a manifest.
    vocab_size: Option<u32>,
    store: Store,
}

enum Store {
    /// Sequence i begins at token i · `seq_len`, and its last label is the next one's first input.
    Stream { bins: BinSet, windows: Windows, eos: Option<TokenId>, masked: bool },
    /// Sequence i is row i.
    Rows(RowSet),
}

/// What sequences are read into, and memory for reading one.
pub(crate) struct Filled {
    seq_len: usize,
    inputs: Vec<i64>,
    labels: Vec<i64>,
    columns: Option<Columns>,
    tokens: Vec<TokenId>,
    trained: Vec<bool>,
    row: Row,
}

#[pymethods]
impl Sequences {
    /// Opens a split of an artifact, or a headerless bin.
    #[new]
    #[pyo3(signature = (path, split, seq_len=None, dtype=None, eos=None))]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        split: &str,
        seq_len: Option<usize>,
        dtype: Option<&str>,
        eos: Option<TokenId>,
    ) -> PyResult<Self> {
        let opened = py.detach(|| {
            if path.is_file() {
                open_bin(&path, seq_len, dtype, eos)
            } else {
                open_split(&path, split, seq_len)
            }
        });
        Ok(opened?)
    }

    fn __len__(&self) -> usize {
        narrow(self.num_sequences())
    }

    /// How many inputs a sequence has.
    #[getter]
    fn seq_len(&self) -> usize {
        self.seq_len
    }

    /// The largest id plus one, if a manifest says it.
    #[getter]
    fn vocab_size(&self) -> Option<u32> {
        self.vocab_size
    }

    /// Reads sequences by number.
    fn read<'py>(
        &self,
        py: Python<'py>,
        numbers: PyReadonlyArray1<'py, u64>,
        documents: bool,
    ) -> PyResult<Arrays<'py>> {
        let numbers = numbers.as_slice()?;
        let len = self.num_sequences();
        if let Some(beyond) = numbers.iter().find(|&&number| number >= len) {
            return Err(PyIndexError::new_err(format!(
                "{}: sequence {beyond}, there are {len}",
                self.place
            )));
        }
        let filled = py.detach(|| -> Result<Filled, Failure> {
            let mut filled = Filled::new(numbers.len(), self.seq_len, documents);
            for &number in numbers {
                self.read_into(number, &[], &mut filled)?;
            }
            Ok(filled)
        });
        filled?.into_arrays(py)
    }
}

impl Sequences {
    /// Returns how many sequences there are.
    pub(crate) fn num_sequences(&self) -> u64 {
        match &self.store {
            Store::Stream { bins, .. } => (bins.num_tokens() - 1) / self.seq_len as u64,
            Store::Rows(rows) => rows.num_rows(),
        }
    }

    /// Returns how many inputs a sequence has.
    pub(crate) fn len_of_one(&self) -> usize {
        self.seq_len
    }

    /// Returns where the sequences come from, for messages.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Returns the bytes of the ids, those of all sequences together; none of rows, which have maps of other forms.
    pub(crate) fn num_bytes(&self) -> u64 {
        let Store::Stream { bins, .. } = &self.store else { return 0 };
        bins.num_tokens() * bins.dtype().width() as u64
    }

    /// Returns the bytes of a sequence of token bins that is read soon, up to the end of their bin. Where `mapped`
    /// is true, they are mapped then.
    pub(crate) fn bytes_of(&self, number: u64, mapped: bool) -> &[u8] {
        let Store::Stream { bins, windows, .. } = &self.store else { return &[] };
        let Some((shard, first)) = bins.locate(number * self.seq_len as u64) else { return &[] };
        let (bytes, width) = (bins.shards()[shard].bin().bytes(), bins.dtype().width());
        let range = first * width..bytes.len().min((first + self.seq_len + 1) * width);
        if mapped {
            windows.touch(bins, shard, range.clone());
        }
        &bytes[range]
    }

    /// Appends a sequence; `soon` is what is read next.
    pub(crate) fn read_into(
        &self,
        number: u64,
        soon: &[u8],
        filled: &mut Filled,
    ) -> Result<(), Failure> {
        let highest = match &self.store {
            Store::Stream { bins, eos, masked, .. } => {
                let first = number * self.seq_len as u64;
                let highest = filled.push_stream(bins, first, *eos, soon);
                if *masked {
                    filled.mask_labels(bins, first);
                }
                if let Some(columns) = &mut filled.columns {
                    columns.push(self.seq_len, documents_of(bins, first, self.seq_len));
                }
                highest
            }
            Store::Rows(rows) => filled.push_row(rows, number),
        };
        match self.vocab_size {
            Some(expected) if highest >= expected => Err(Failure::new(
                format!(
                    "{}: sequence {number} has the id {highest}, expected ids below {expected}",
                    self.place
                ),
                Some("`ratdata verify` says which file has changed"),
            )),
            _ => Ok(()),
        }
    }
}

impl Filled {
    /// Makes room for `count` sequences.
    pub(crate) fn new(count: usize, seq_len: usize, documents: bool) -> Self {
        let columns = count * seq_len;
        Self {
            seq_len,
            inputs: Vec::with_capacity(columns),
            labels: Vec::with_capacity(columns),
            columns: documents.then(|| Columns::with_capacity(columns)),
            tokens: Vec::new(),
            trained: Vec::new(),
            row: Row::default(),
        }
    }

    /// Gives the sequences to Python, without a copy.
    pub(crate) fn into_arrays(self, py: Python<'_>) -> PyResult<Arrays<'_>> {
        let rows = self.inputs.len() / self.seq_len;
        let array = |cells: Vec<i64>| {
            let shaped = Array2::from_shape_vec((rows, self.seq_len), cells);
            let shaped = shaped.map_err(|wrong| Failure::new(wrong, None))?;
            Ok::<_, PyErr>(PyArray2::from_owned_array(py, shaped))
        };
        let documents = match self.columns {
            Some(columns) => Some((array(columns.documents)?, array(columns.positions)?)),
            None => None,
        };
        Ok((array(self.inputs)?, array(self.labels)?, documents))
    }

    /// Appends a sequence of a stream, and returns its highest id.
    fn push_stream(
        &mut self,
        bins: &BinSet,
        first: u64,
        eos: Option<TokenId>,
        soon: &[u8],
    ) -> TokenId {
        let count = self.seq_len + 1;
        match in_place(bins, first, count) {
            Some(Tokens::U16(ids)) => {
                // An EOS that the width does not hold ends no document.
                let eos = eos.and_then(|eos| u16::try_from(eos).ok());
                push_next_tokens(ids, eos, soon, &mut self.inputs, &mut self.labels).into()
            }
            Some(Tokens::U32(ids)) => {
                push_next_tokens(ids, eos, soon, &mut self.inputs, &mut self.labels)
            }
            None => {
                self.tokens.resize(count, 0);
                let there = bins.copy_tokens(first, &mut self.tokens);
                debug_assert!(there, "the sequences were counted from the length of the stream");
                push_next_tokens(&self.tokens, eos, soon, &mut self.inputs, &mut self.labels)
            }
        }
    }

    /// Removes the labels of the last sequence that the loss mask of a stream leaves out.
    fn mask_labels(&mut self, bins: &BinSet, first: u64) {
        self.trained.resize(self.seq_len, true);
        bins.copy_mask(first + 1, &mut self.trained);
        let from = self.labels.len() - self.seq_len;
        for (label, trained) in self.labels[from..].iter_mut().zip(&self.trained) {
            *label = if *trained { *label } else { IGNORE_INDEX.into() };
        }
    }

    /// Appends a row, and returns its highest id.
    fn push_row(&mut self, rows: &RowSet, number: u64) -> TokenId {
        let row = &mut self.row;
        rows.read(number, row);
        self.inputs.extend(row.inputs.iter().map(|&id| i64::from(id)));
        self.labels.extend(row.labels.iter().map(|&label| i64::from(label)));
        if let Some(columns) = &mut self.columns {
            let mut spans = rows.spans(number).map(|span| {
                let column = span.column as usize;
                column..column + span.len as usize
            });
            match spans.next() {
                Some(first) => {
                    columns.push(self.seq_len, std::iter::once(first).chain(spans));
                }
                // Pairs have one document a row.
                None => columns.push(self.seq_len, std::iter::once(0..row.text().len())),
            }
        }
        let labels = row.labels.iter().copied().max().unwrap_or(0).max(0).cast_unsigned();
        row.inputs.iter().copied().max().unwrap_or(0).max(labels)
    }
}

/// Returns tokens of a stream where they lie in one file, and `None` where they are in several.
fn in_place(bins: &BinSet, first: u64, count: usize) -> Option<Tokens<'_>> {
    let (shard, from) = bins.locate(first)?;
    bins.shards()[shard].bin().tokens().slice(from..from + count)
}

/// Returns the columns that each document of a sequence has, by the indexes of the bins.
fn documents_of(
    bins: &BinSet,
    first: u64,
    seq_len: usize,
) -> impl Iterator<Item = Range<usize>> + '_ {
    let end = first + seq_len as u64;
    let (mut shard, mut document) = bins.locate(first).map_or((bins.shards().len(), 0), |at| {
        let index = bins.shards()[at.0].index();
        (at.0, index.and_then(|index| index.document_of(at.1 as u64)).unwrap_or(0))
    });
    std::iter::from_fn(move || {
        loop {
            let part = bins.shards().get(shard)?;
            if part.first_token() >= end {
                return None;
            }
            // A bin without an index is one document.
            let range = match part.index() {
                Some(index) => index.range(document),
                None => (document == 0).then(|| 0..part.bin().len()),
            };
            let Some(range) = range else {
                (shard, document) = (shard + 1, 0);
                continue;
            };
            document += 1;
            let begin = (part.first_token() + range.start).max(first);
            let until = (part.first_token() + range.end).min(end);
            if begin >= end {
                return None;
            }
            if begin < until {
                return Some(narrow(begin - first)..narrow(until - first));
            }
        }
    })
}

fn open_split(root: &Path, split: &str, seq_len: Option<usize>) -> Result<Sequences, Failure> {
    let manifest = Manifest::read(root)?;
    let place = format!("{}: split `{split}`", root.display());
    let vocab_size = Some(manifest.tokenizer.vocab_size);
    let record = manifest.splits.get(split);
    if let Some(SplitRecord::Pairs(_) | SplitRecord::Pack(_) | SplitRecord::Rows(_)) = record {
        let rows = RowSet::open(root, split)?;
        let found = rows.seq_len();
        if let Some(expected) = seq_len.filter(|&expected| expected != found) {
            return Err(Failure::new(
                format!("{place}: rows have {found} inputs, expected {expected}"),
                Some("leave `seq_len` out, or pack again with `--seq-len`"),
            ));
        }
        if rows.num_rows() == 0 {
            return Err(Failure::new(format!("{place}: no rows"), None));
        }
        return Ok(Sequences { place, seq_len: found, vocab_size, store: Store::Rows(rows) });
    }
    let bins = BinSet::from_manifest(root, &manifest, split)?;
    of_stream(place, bins, seq_len, manifest.tokenizer.eos, vocab_size)
}

fn open_bin(
    path: &Path,
    seq_len: Option<usize>,
    dtype: Option<&str>,
    eos: Option<TokenId>,
) -> Result<Sequences, Failure> {
    let dtype = match dtype {
        None | Some("uint16") => Dtype::U16,
        Some("uint32") => Dtype::U32,
        Some(found) => {
            let what = format!("dtype is `{found}`, expected `uint16` or `uint32`");
            return Err(Failure::new(what, None));
        }
    };
    let bins = BinSet::open_bin(path, dtype)?;
    of_stream(path.display().to_string(), bins, seq_len, eos, None)
}

/// Cuts a stream into sequences.
fn of_stream(
    place: String,
    bins: BinSet,
    seq_len: Option<usize>,
    eos: Option<TokenId>,
    vocab_size: Option<u32>,
) -> Result<Sequences, Failure> {
    let Some(seq_len) = seq_len.filter(|&len| len > 0) else {
        return Err(Failure::new(
            format!("{place}: token bins are cut into sequences, and no `seq_len` says how long"),
            Some("give `seq_len`, such as 1024"),
        ));
    };
    let (found, expected) = (bins.num_tokens(), seq_len as u64 + 1);
    if found < expected {
        return Err(Failure::new(
            format!("{place}: {found} tokens, expected at least {expected} for one sequence"),
            Some("give a shorter `seq_len`"),
        ));
    }
    for index in bins.shards().iter().filter_map(|shard| Some((shard.index()?, shard.bin()))) {
        index.0.check(index.1.len()).map_err(|wrong| Failure::new(&wrong, wrong.hint()))?;
    }
    let masked = bins.shards().iter().any(|shard| shard.mask().is_some());
    let windows = Windows::of(&bins);
    let store = Store::Stream { bins, windows, eos, masked };
    Ok(Sequences { place, seq_len, vocab_size, store })
}
