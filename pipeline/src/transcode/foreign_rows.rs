//! Reads packed rows in the layouts of trainers as sequences: each token, and whether it is trained on.
//!
//! ```text
//! arrow          input_ids, labels at their tokens, seq_lengths or position_ids
//! megatron-sft   input_ids, loss_mask by the token before, seq_start_id
//! npz, safetensors   inputs, labels by the token before, cu_seqlens, row_sequences
//! ```

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use ratdata_schemas::layouts::LayoutError;
use ratdata_schemas::recipe::ImportLayout;
use ratdata_schemas::{IGNORE_INDEX, Row, TokenId, open_regular};
use ratdata_tokenize::source::{ArrowTable, Compression};

use super::error::TranscodeError;
use super::sequences::Sequences;
use super::stored_array::{Numbers, StoredArray};

/// Finds an array of a file by its name.
type Find = fn(&Path, &'static str) -> Result<Option<StoredArray>, TranscodeError>;

/// The arrays of packed rows in one file.
pub(super) struct RowFile {
    pub(super) inputs: StoredArray,
    labels: StoredArray,
    cu_seqlens: StoredArray,
    row_sequences: StoredArray,
}

impl RowFile {
    /// Finds the arrays.
    ///
    /// # Errors
    ///
    /// One of them is not there, or has not the shape of packed rows.
    pub(super) fn open(path: &Path, find: Find) -> Result<Self, TranscodeError> {
        let array = |name: &'static str| {
            let missing = LayoutError::Field {
                what: name,
                found: "not there".into(),
                expected: "the arrays of packed rows".into(),
            };
            find(path, name)?.ok_or_else(|| TranscodeError::layout(path)(missing))
        };
        let (inputs, labels) = (array("inputs")?, array("labels")?);
        let (cu_seqlens, row_sequences) = (array("cu_seqlens")?, array("row_sequences")?);
        let rows = row_sequences.shape.first().and_then(|ends| ends.checked_sub(1));
        let is_packed = inputs.shape.len() == 2
            && inputs.shape == labels.shape
            && row_sequences.shape.len() == 1
            && rows == inputs.shape.first().copied();
        if !is_packed {
            return Err(TranscodeError::layout(path)(LayoutError::Field {
                what: "the shape of `inputs`",
                found: format!("{:?}", inputs.shape),
                expected: "that of `labels`, and a row for each in `row_sequences`".into(),
            }));
        }
        Ok(Self { inputs, labels, cu_seqlens, row_sequences })
    }
}

/// Gives each row's sequences to `each`.
///
/// # Errors
///
/// The file cannot be read, has other columns or arrays, or they do not fit each other; or `stop` was set.
pub(super) fn each_row(
    path: &Path,
    from: ImportLayout,
    stop: &AtomicBool,
    each: &mut dyn FnMut(&Sequences) -> Result<(), TranscodeError>,
) -> Result<(), TranscodeError> {
    let mut number = 0;
    let mut take = |sequences: Result<Sequences, LayoutError>| {
        if stop.load(Ordering::Relaxed) {
            return Err(TranscodeError::Interrupted);
        }
        let wrong =
            |wrong| TranscodeError::Row { path: path.to_owned(), row: number, source: wrong };
        let sequences = sequences.map_err(wrong)?;
        number += 1;
        each(&sequences)
    };
    match from {
        ImportLayout::Arrow => {
            let table = ArrowTable::open(path, Compression::None)?;
            let mut done = Ok(());
            let stopped = || stop.load(Ordering::Relaxed);
            table.read(&stopped, &mut |batch, _| {
                done = (0..batch.num_rows()).try_for_each(|row| take(of_arrow(&batch, row)));
                done.is_ok()
            })?;
            done
        }
        ImportLayout::MegatronSft => {
            let file = open_regular(path).map_err(TranscodeError::io(path))?;
            let table = |reason: String| {
                TranscodeError::layout(path)(LayoutError::Field {
                    what: "the table",
                    found: reason,
                    expected: "a parquet file".into(),
                })
            };
            let reader = ParquetRecordBatchReaderBuilder::try_new(file)
                .and_then(ParquetRecordBatchReaderBuilder::build);
            for batch in reader.map_err(|wrong| table(wrong.to_string()))? {
                let batch = batch.map_err(|wrong| table(wrong.to_string()))?;
                (0..batch.num_rows()).try_for_each(|row| take(of_megatron(&batch, row)))?;
            }
            Ok(())
        }
        ImportLayout::Npz => arrays(&RowFile::open(path, StoredArray::in_npz)?, &mut take),
        _ => arrays(&RowFile::open(path, StoredArray::in_safetensors)?, &mut take),
    }
}

/// Reads rows of arrays, each at its place.
fn arrays(
    file: &RowFile,
    take: &mut dyn FnMut(Result<Sequences, LayoutError>) -> Result<(), TranscodeError>,
) -> Result<(), TranscodeError> {
    let (mut inputs, mut labels) = (file.inputs.numbers()?, file.labels.numbers()?);
    let (mut lengths, mut counts) = (file.cu_seqlens.numbers()?, file.row_sequences.numbers()?);
    let &[rows, len] = &file.inputs.shape[..] else { return Ok(()) };
    let next = |numbers: &mut Numbers| Ok::<_, TranscodeError>(numbers.take(1)?[0]);
    let mut before = next(&mut counts)?;
    for _ in 0..rows {
        let after = next(&mut counts)?;
        let sequences = u64::try_from(after - before).unwrap_or(u64::MAX - 1);
        before = after;
        let ends = lengths.take(sequences + 1)?;
        take(of_arrays(&inputs.take(len)?, &labels.take(len)?, &ends))?;
    }
    Ok(())
}

fn of_arrays(inputs: &[i64], labels: &[i64], ends: &[i64]) -> Result<Sequences, LayoutError> {
    let document_ends = ends_of(ends, inputs.len())?;
    let label = |&label: &i64| i32::try_from(label).map_err(|_| no_label(label));
    let row = Row {
        inputs: ids_of(inputs)?,
        labels: labels.iter().map(label).collect::<Result<_, _>>()?,
        document_ends,
    };
    Sequences::of(&row).map_err(|other| no_label(other.label.into()))
}

fn of_arrow(batch: &RecordBatch, row: usize) -> Result<Sequences, LayoutError> {
    let ids = ids_of(&required(batch, "input_ids", row)?)?;
    let ends = match (list(batch, "seq_lengths", row)?, list(batch, "position_ids", row)?) {
        (Some(lengths), _) => {
            let mut end: i64 = 0;
            let ends = lengths.iter().map(|length| {
                end = end.saturating_add(*length);
                end
            });
            std::iter::once(0).chain(ends).collect()
        }
        (None, Some(positions)) => {
            let starts = (0_i64..).zip(&positions).filter(|(_, position)| **position == 0);
            starts.map(|(at, _)| at).chain([number(positions.len())]).collect()
        }
        (None, None) => vec![0, number(ids.len())],
    };
    let ends = ends_of(&ends, ids.len())?;
    let mut trained = match list(batch, "labels", row)? {
        None => vec![true; ids.len()],
        Some(labels) if labels.len() != ids.len() => {
            return Err(wrong_len("labels", labels.len(), ids.len()));
        }
        Some(labels) => labels
            .iter()
            .zip(&ids)
            .map(|(&label, &id)| match label {
                label if label == i64::from(IGNORE_INDEX) => Ok(false),
                label if label == i64::from(id) => Ok(true),
                label => Err(no_label(label)),
            })
            .collect::<Result<_, _>>()?,
    };
    clear_first(&mut trained, &ends);
    checked(Sequences { ids, trained, ends })
}

fn of_megatron(batch: &RecordBatch, row: usize) -> Result<Sequences, LayoutError> {
    let ids = ids_of(&required(batch, "input_ids", row)?)?;
    let mask = required(batch, "loss_mask", row)?;
    if mask.len() != ids.len() {
        return Err(wrong_len("loss_mask", mask.len(), ids.len()));
    }
    let mut ends = required(batch, "seq_start_id", row)?;
    ends.push(number(ids.len()));
    let ends = ends_of(&ends, ids.len())?;
    // The mask stands at the token before the label.
    let shifted = std::iter::once(false).chain(mask.iter().map(|&mask| mask != 0));
    let mut trained: Vec<bool> = shifted.take(ids.len()).collect();
    clear_first(&mut trained, &ends);
    checked(Sequences { ids, trained, ends })
}

/// Of a row without padding, all tokens are of a sequence.
fn checked(sequences: Sequences) -> Result<Sequences, LayoutError> {
    let covered = sequences.ends.last().copied().unwrap_or(0) as usize;
    if covered == sequences.ids.len() {
        return Ok(sequences);
    }
    Err(wrong_len("the sequences", covered, sequences.ids.len()))
}

/// Nothing predicts the first token of a sequence.
fn clear_first(trained: &mut [bool], ends: &[u32]) {
    for start in std::iter::once(0).chain(ends.iter().map(|&end| end as usize)) {
        if let Some(first) = trained.get_mut(start) {
            *first = false;
        }
    }
}

/// Returns where sequences end, of 0 and their ends.
fn ends_of(cu_seqlens: &[i64], len: usize) -> Result<Vec<u32>, LayoutError> {
    let wrong = |found: i64| LayoutError::Field {
        what: "the end of a sequence",
        found: found.to_string(),
        expected: format!("ends from 0 on, in order, up to {len}"),
    };
    let mut before = 0;
    for &end in cu_seqlens {
        if end < before || end > number(len) {
            return Err(wrong(end));
        }
        before = end;
    }
    match cu_seqlens.split_first() {
        Some((0, ends)) => {
            ends.iter().map(|&end| u32::try_from(end).map_err(|_| wrong(end))).collect()
        }
        first => Err(wrong(first.map_or(0, |(first, _)| *first))),
    }
}

fn number(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

fn ids_of(numbers: &[i64]) -> Result<Vec<TokenId>, LayoutError> {
    let id = |&number: &i64| {
        TokenId::try_from(number).map_err(|_| LayoutError::Field {
            what: "an id",
            found: number.to_string(),
            expected: "a number from 0 on".into(),
        })
    };
    numbers.iter().map(id).collect()
}

fn no_label(label: i64) -> LayoutError {
    LayoutError::Field {
        what: "a label",
        found: label.to_string(),
        expected: format!("the token itself, or {IGNORE_INDEX}"),
    }
}

fn wrong_len(what: &'static str, found: usize, expected: usize) -> LayoutError {
    LayoutError::Field {
        what,
        found: format!("of {found} tokens"),
        expected: format!("the {expected} of `input_ids`"),
    }
}

fn required(batch: &RecordBatch, name: &'static str, row: usize) -> Result<Vec<i64>, LayoutError> {
    list(batch, name, row)?.ok_or_else(|| LayoutError::Field {
        what: name,
        found: "not among the columns".into(),
        expected: "a column of lists of numbers".into(),
    })
}

/// Returns the list of a row; none where there is no such column.
fn list(
    batch: &RecordBatch,
    name: &'static str,
    row: usize,
) -> Result<Option<Vec<i64>>, LayoutError> {
    let Some(column) = batch.column_by_name(name) else { return Ok(None) };
    let items: Option<ArrayRef> = match column.data_type() {
        _ if column.is_null(row) => None,
        DataType::List(_) => Some(column.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(column.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => Some(column.as_fixed_size_list().value(row)),
        _ => None,
    };
    let numbers = items.as_ref().and_then(|items| numbers_of(items.as_ref()));
    let wrong = || LayoutError::Field {
        what: name,
        found: if column.is_null(row) { "null".into() } else { column.data_type().to_string() },
        expected: "a list of whole numbers".into(),
    };
    numbers.map(Some).ok_or_else(wrong)
}

fn numbers_of(items: &dyn Array) -> Option<Vec<i64>> {
    macro_rules! widened {
        ($kind:ty) => {
            items.as_primitive::<$kind>().values().iter().map(|&item| i64::from(item)).collect()
        };
    }
    if items.null_count() > 0 {
        return None;
    }
    Some(match items.data_type() {
        DataType::Boolean => items.as_boolean().values().iter().map(i64::from).collect(),
        DataType::Int8 => widened!(Int8Type),
        DataType::Int16 => widened!(Int16Type),
        DataType::Int32 => widened!(Int32Type),
        DataType::Int64 => widened!(Int64Type),
        DataType::UInt8 => widened!(UInt8Type),
        DataType::UInt16 => widened!(UInt16Type),
        DataType::UInt32 => widened!(UInt32Type),
        _ => return None,
    })
}
