//! Exports rows: pairs as stored, packs as `inputs`, `labels` and `segments`.

use ratdata_schemas::layouts::npy;
use ratdata_schemas::layouts::safetensors::{self, Tensor};
use ratdata_schemas::{
    Carried, Dtype, FileRecord, IGNORE_INDEX, PairsRecord, Row, RowSet, TokenId, Tokens, narrow,
};
use serde::Serialize;

use super::bins::{descr, metadata};
use super::error::TranscodeError;
use super::export_files::{Export, ExportedFile, NewFile};
use super::export_job::{ExportJob, ExportLayout};
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

/// Writes the rows of a pack: inputs, labels already shifted, and each column's document.
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
    let shape = [rows.num_rows(), rows.seq_len() as u64];
    let cells = shape[0] * shape[1];
    let stem = format!("{}-{split}", job.manifest.name);
    let dtype = job.manifest.dtype;
    match job.to {
        ExportLayout::Npy => {
            for field in Field::ALL {
                let mut file = export.create(split, &format!("{stem}-{}.npy", field.name()))?;
                file.write(&npy::header(field.types(dtype).0, &shape))?;
                field.write(export, &rows, &mut file)?;
                file.commit(None, files)?;
            }
            Ok(())
        }
        ExportLayout::Safetensors => {
            let tensors = Field::ALL.map(|field| Tensor {
                name: field.name(),
                dtype: field.types(dtype).1,
                shape: shape.to_vec(),
                bytes: cells * field.width(dtype),
            });
            let mut file = export.create(split, &format!("{stem}.safetensors"))?;
            file.write(&safetensors::header(&tensors, &metadata(job, split)))?;
            for field in Field::ALL {
                field.write(export, &rows, &mut file)?;
            }
            file.commit(None, files)
        }
        other => Err(TranscodeError::RowsInStreams { split: split.into(), layout: other.name() }),
    }
}

/// The arrays of a pack's export; the wider ones first, so that each is aligned.
#[derive(Clone, Copy)]
enum Field {
    Labels,
    Segments,
    Inputs,
}

impl Field {
    const ALL: [Self; 3] = [Self::Labels, Self::Segments, Self::Inputs];

    fn name(self) -> &'static str {
        match self {
            Self::Labels => "labels",
            Self::Segments => "segments",
            Self::Inputs => "inputs",
        }
    }

    fn types(self, dtype: Dtype) -> (&'static str, &'static str) {
        match (self, dtype) {
            (Self::Labels, _) => ("<i4", "I32"),
            (Self::Segments, _) | (Self::Inputs, Dtype::U32) => ("<u4", "U32"),
            (Self::Inputs, Dtype::U16) => (descr(Dtype::U16), "U16"),
        }
    }

    fn width(self, dtype: Dtype) -> u64 {
        match self {
            Self::Labels | Self::Segments => 4,
            Self::Inputs => dtype.width() as u64,
        }
    }

    fn write(
        self,
        export: &Export<'_>,
        rows: &RowSet,
        file: &mut NewFile,
    ) -> Result<(), TranscodeError> {
        let mut row = Row::default();
        let mut bytes = Vec::new();
        let width = export.job.manifest.dtype.width();
        for number in 0..rows.num_rows() {
            export.check_stop()?;
            rows.read(number, &mut row);
            bytes.clear();
            match self {
                Self::Labels => bytes.extend(row.labels.iter().flat_map(|id| id.to_le_bytes())),
                Self::Inputs => {
                    for id in &row.inputs {
                        bytes.extend_from_slice(&id.to_le_bytes()[..width]);
                    }
                }
                Self::Segments => {
                    bytes.extend(segments(&row).flat_map(u32::to_le_bytes));
                }
            }
            file.write(&bytes)?;
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
