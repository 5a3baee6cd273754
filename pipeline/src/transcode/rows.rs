//! Exports rows: pairs as stored, packs as arrays of inputs, labels and sequences.

use std::io;

use ratdata_schemas::layouts::npy;
use ratdata_schemas::layouts::safetensors::{self, Tensor};
use ratdata_schemas::{
    Carried, FileRecord, IGNORE_INDEX, PairsRecord, Row, RowSet, TokenId, Tokens, narrow,
    open_regular,
};
use serde::Serialize;

use super::bins::metadata;
use super::error::TranscodeError;
use super::export_files::{Export, ExportedFile, NewFile};
use super::export_job::{ExportJob, ExportLayout};
use super::npz::NpzFile;
use super::row_arrays::{RowArray, RowArrays};
use super::text::{Lines, decode, write_lines};

/// Writes the pairs of one split: the same arrays, with headers that say their shapes.
pub(super) fn export_pairs(
    export: &Export<'_>,
    split: &str,
    pairs: &PairsRecord,
    files: &mut Vec<ExportedFile>,
) -> Result<(), TranscodeError> {
    let rows = [pairs.rows, pairs.row_len.into()];
    let arrays = [
        Array { name: "inputs", file: &pairs.inputs, types: ("<i2", "I16"), shape: rows },
        Array { name: "labels", file: &pairs.labels, types: ("<i2", "I16"), shape: rows },
        Array {
            name: "lengths",
            file: &pairs.lengths,
            types: ("<u4", "U32"),
            shape: [pairs.rows, 2],
        },
    ];
    let job = export.job;
    // Opening holds every size to the manifest.
    drop(RowSet::open(job.root, split)?);
    let stem = format!("{}-{split}", job.manifest.name);
    match job.to {
        ExportLayout::Npy => {
            for array in &arrays {
                let mut file = export.create(split, &format!("{stem}-{}.npy", array.name))?;
                file.write(&npy::header(array.types.0, &array.shape))?;
                array.copy(job, &mut file)?;
                file.commit(Some(Carried::Copied), files)?;
            }
            Ok(())
        }
        ExportLayout::Safetensors => {
            let tensors: Vec<Tensor> = arrays.iter().map(Array::tensor).collect();
            let mut file = export.create(split, &format!("{stem}.safetensors"))?;
            file.write(&safetensors::header(&tensors, &metadata(job, split)))?;
            for array in &arrays {
                array.copy(job, &mut file)?;
            }
            file.commit(Some(Carried::Copied), files)
        }
        ExportLayout::Npz => {
            let mut npz = NpzFile::new(export.create(split, &format!("{stem}.npz"))?);
            for array in &arrays {
                npz.begin(array.name, array.types.0, &array.shape, array.file.bytes)?;
                let path = array.file.resolve(job.root)?;
                let mut file = open_regular(&path).map_err(TranscodeError::io(&path))?;
                npz.write_with(|zip| io::copy(&mut file, zip).map(drop))?;
            }
            npz.finish(files)
        }
        ExportLayout::Jsonl => export_row_text(export, split, files),
        other => Err(TranscodeError::RowsInStreams { split: split.into(), layout: other.name() }),
    }
}

/// One file of pairs.
struct Array<'a> {
    name: &'static str,
    file: &'a FileRecord,
    types: (&'static str, &'static str),
    shape: [u64; 2],
}

impl Array<'_> {
    fn tensor(&self) -> Tensor {
        let (name, dtype) = (self.name, self.types.1);
        Tensor { name, dtype, shape: self.shape.to_vec(), bytes: self.file.bytes }
    }

    fn copy(&self, job: &ExportJob<'_>, file: &mut NewFile) -> Result<(), TranscodeError> {
        file.copy_from(&self.file.resolve(job.root)?, 0, self.file.bytes)
    }
}

/// Writes the rows of a pack: inputs, labels already shifted, and the sequences of each row.
pub(super) fn export_rows(
    export: &Export<'_>,
    split: &str,
    files: &mut Vec<ExportedFile>,
) -> Result<(), TranscodeError> {
    let job = export.job;
    if job.to == ExportLayout::Jsonl {
        return export_row_text(export, split, files);
    }
    let rows = RowSet::open(job.root, split)?;
    let arrays = RowArrays::of(export, &rows)?;
    let stem = format!("{}-{split}", job.manifest.name);
    match job.to {
        ExportLayout::Npy => {
            for array in RowArray::of_positions() {
                let mut file = export.create(split, &format!("{stem}-{}.npy", array.name()))?;
                file.write(&npy::header(arrays.types(array).0, &arrays.shape(array)))?;
                arrays.write(array, &mut |bytes| file.write(bytes))?;
                file.commit(None, files)?;
            }
            Ok(())
        }
        ExportLayout::Npz => {
            let mut npz = NpzFile::new(export.create(split, &format!("{stem}.npz"))?);
            for array in RowArray::all() {
                let (descr, shape) = (arrays.types(array).0, arrays.shape(array));
                npz.begin(array.name(), descr, &shape, arrays.bytes(array))?;
                arrays.write(array, &mut |bytes| npz.write(bytes))?;
            }
            npz.finish(files)
        }
        ExportLayout::Safetensors => {
            let tensors: Vec<Tensor> = RowArray::all()
                .map(|array| Tensor {
                    name: array.name(),
                    dtype: arrays.types(array).1,
                    shape: arrays.shape(array),
                    bytes: arrays.bytes(array),
                })
                .collect();
            let mut file = export.create(split, &format!("{stem}.safetensors"))?;
            file.write(&safetensors::header(&tensors, &metadata(job, split)))?;
            for array in RowArray::all() {
                arrays.write(array, &mut |bytes| file.write(bytes))?;
            }
            file.commit(None, files)
        }
        other => Err(TranscodeError::RowsInStreams { split: split.into(), layout: other.name() }),
    }
}

/// A row as a line.
#[derive(Serialize)]
struct RowText {
    text: String,
    /// The text that is trained on, under the name that the format has.
    #[serde(rename = "learnt")]
    trained: String,
}

/// Writes each row as its text without padding, and the text of the labels that count.
fn export_row_text(
    export: &Export<'_>,
    split: &str,
    files: &mut Vec<ExportedFile>,
) -> Result<(), TranscodeError> {
    let job = export.job;
    let rows = RowSet::open(job.root, split)?;
    let name = format!("{}-{split}.jsonl", job.manifest.name);
    let line = |number: usize| {
        let mut row = Row::default();
        rows.read(number as u64, &mut row);
        let trained: Vec<TokenId> = row
            .labels
            .iter()
            .filter(|&&label| label != IGNORE_INDEX)
            .filter_map(|&label| TokenId::try_from(label).ok())
            .collect();
        RowText {
            text: decode(job.tokenizer, Tokens::U32(row.text())),
            trained: decode(job.tokenizer, Tokens::U32(&trained)),
        }
    };
    let count = narrow(rows.num_rows());
    let lines = Lines { count, tokens: &|_| rows.seq_len() as u64 };
    write_lines(export, (split, &name), &lines, line, files)
}
