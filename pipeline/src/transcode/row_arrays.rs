//! The arrays of packed rows: what stands at each position, and which sequences a row has.

use ratdata_schemas::{Dtype, Row, RowSet};

use super::bins::descr;
use super::error::TranscodeError;
use super::export_files::Export;

/// One array. The wider ones come first, so that each is aligned in a file of all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowArray {
    /// `[rows + 1]`: how many sequences the rows before each have.
    RowSequences,
    /// `[rows, seq_len]`: the next token, and -100 where the loss ignores it.
    Labels,
    /// `[rows, seq_len]`: the sequences of a row, counted from 1; 0 in the padding.
    Segments,
    /// `[sequences + rows]`: 0 and the ends of the sequences, for each row.
    CuSeqlens,
    /// `[sequences]`: how many positions each sequence has.
    SeqLengths,
    /// `[rows, seq_len]`: the tokens.
    Inputs,
}

impl RowArray {
    const ALL: [Self; 6] = [
        Self::RowSequences,
        Self::Labels,
        Self::Segments,
        Self::CuSeqlens,
        Self::SeqLengths,
        Self::Inputs,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::RowSequences => "row_sequences",
            Self::Labels => "labels",
            Self::Segments => "segments",
            Self::CuSeqlens => "cu_seqlens",
            Self::SeqLengths => "seq_lengths",
            Self::Inputs => "inputs",
        }
    }

    /// Returns all arrays, in the order in which a file of all of them has them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter()
    }

    /// Returns the arrays with an element for each position.
    pub(super) fn of_positions() -> impl Iterator<Item = Self> {
        [Self::Labels, Self::Segments, Self::Inputs].into_iter()
    }
}

/// The arrays of the rows of a split.
pub(super) struct RowArrays<'a> {
    export: &'a Export<'a>,
    rows: &'a RowSet,
    /// How many sequences all rows have.
    sequences: u64,
}

impl<'a> RowArrays<'a> {
    /// Looks at rows: how many sequences they have decides how long arrays are.
    pub(super) fn of(export: &'a Export<'a>, rows: &'a RowSet) -> Result<Self, TranscodeError> {
        let mut arrays = Self { export, rows, sequences: 0 };
        let mut sequences = 0;
        arrays.each_row(&mut |row| {
            sequences += row.document_ends.len() as u64;
            Ok(())
        })?;
        arrays.sequences = sequences;
        Ok(arrays)
    }

    /// Returns the type of an array's elements as `NumPy` and as safetensors call it.
    pub(super) fn types(&self, array: RowArray) -> (&'static str, &'static str) {
        match (array, self.dtype()) {
            (RowArray::RowSequences, _) => ("<i8", "I64"),
            (RowArray::Labels | RowArray::CuSeqlens | RowArray::SeqLengths, _) => ("<i4", "I32"),
            (RowArray::Segments, _) | (RowArray::Inputs, Dtype::U32) => ("<u4", "U32"),
            (RowArray::Inputs, Dtype::U16) => (descr(Dtype::U16), "U16"),
        }
    }

    pub(super) fn shape(&self, array: RowArray) -> Vec<u64> {
        let rows = self.rows.num_rows();
        match array {
            RowArray::RowSequences => vec![rows + 1],
            RowArray::CuSeqlens => vec![self.sequences + rows],
            RowArray::SeqLengths => vec![self.sequences],
            RowArray::Labels | RowArray::Segments | RowArray::Inputs => {
                vec![rows, self.rows.seq_len() as u64]
            }
        }
    }

    /// Returns how many bytes an array has.
    pub(super) fn bytes(&self, array: RowArray) -> u64 {
        let width = match array {
            RowArray::RowSequences => 8,
            RowArray::Inputs => self.dtype().width() as u64,
            _ => 4,
        };
        self.shape(array).iter().product::<u64>() * width
    }

    /// Gives the bytes of an array to `write`, row by row.
    pub(super) fn write(
        &self,
        array: RowArray,
        write: &mut dyn FnMut(&[u8]) -> Result<(), TranscodeError>,
    ) -> Result<(), TranscodeError> {
        let width = self.dtype().width();
        let mut bytes = Vec::new();
        let mut sequences: u64 = 0;
        if array == RowArray::RowSequences {
            write(&sequences.to_le_bytes())?;
        }
        self.each_row(&mut |row| {
            bytes.clear();
            let ends = row.document_ends.iter().copied();
            match array {
                RowArray::RowSequences => {
                    sequences += row.document_ends.len() as u64;
                    bytes.extend(sequences.to_le_bytes());
                }
                RowArray::Labels => bytes.extend(row.labels.iter().flat_map(|id| id.to_le_bytes())),
                RowArray::Segments => bytes.extend(segments(row).flat_map(u32::to_le_bytes)),
                RowArray::CuSeqlens => {
                    bytes.extend(std::iter::once(0).chain(ends).flat_map(u32::to_le_bytes));
                }
                RowArray::SeqLengths => {
                    let starts = std::iter::once(0).chain(ends.clone());
                    let lengths = starts.zip(ends).map(|(start, end)| end - start);
                    bytes.extend(lengths.flat_map(u32::to_le_bytes));
                }
                RowArray::Inputs => {
                    for id in &row.inputs {
                        bytes.extend_from_slice(&id.to_le_bytes()[..width]);
                    }
                }
            }
            write(&bytes)
        })
    }

    fn dtype(&self) -> Dtype {
        self.export.job.manifest.dtype
    }

    fn each_row(
        &self,
        each: &mut dyn FnMut(&Row) -> Result<(), TranscodeError>,
    ) -> Result<(), TranscodeError> {
        let mut row = Row::default();
        for number in 0..self.rows.num_rows() {
            self.export.check_stop()?;
            self.rows.read(number, &mut row);
            each(&row)?;
        }
        Ok(())
    }
}

/// Numbers the documents of a row from 1; padding is 0.
fn segments(row: &Row) -> impl Iterator<Item = u32> + '_ {
    let (mut number, mut ends) = (1, row.document_ends.iter().peekable());
    (0..row.inputs.len()).map(move |column| {
        while ends.next_if(|&&end| end as usize <= column).is_some() {
            number += 1;
        }
        if ends.peek().is_some() { number } else { 0 }
    })
}
