//! Exports packed rows as the packed sequences of Megatron-Bridge and `NeMo`, in parquet.
//!
//! The loader leaves out the last token of each sequence as an input and the first as a label, and
//! takes the mask by the input: it says whether the token behind it is a label.

use std::sync::Arc;

use arrow_schema::{DataType, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use ratdata_schemas::{Row, RowSet};

use super::arrow::sequences_of;
use super::error::TranscodeError;
use super::export_files::{Export, ExportedFile};
use super::lists::{FlagLists, Int32Lists, list_field, rows_of};
use super::sink::{Sink, taken};

/// How many rows a row group has: as many as Megatron-Bridge writes, for one is read for each row.
const GROUP: usize = 500;

/// Writes the rows of one split.
pub(super) fn export_megatron_sft(
    export: &Export<'_>,
    split: &str,
    files: &mut Vec<ExportedFile>,
) -> Result<(), TranscodeError> {
    let job = export.job;
    let rows = RowSet::open(job.root, split)?;
    let name = format!("{}-{split}.idx.parquet", job.manifest.name);
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        list_field("input_ids", DataType::Int32),
        list_field("loss_mask", DataType::Int8),
        list_field("seq_start_id", DataType::Int32),
    ]));
    let level = ZstdLevel::try_new(1).map_err(|wrong| table(&wrong))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(GROUP))
        .build();
    let sink = Sink::new(export.create(split, &name)?);
    let failed = sink.failed.clone();
    let failed = |wrong: ParquetError| taken(&failed).unwrap_or_else(|| table(&wrong));
    let mut writer =
        ArrowWriter::try_new(sink, schema.clone(), Some(properties)).map_err(failed)?;
    let (mut ids, mut mask) = (Int32Lists::default(), FlagLists::default());
    let mut starts = Int32Lists::default();
    let mut row = Row::default();
    for number in 0..rows.num_rows() {
        export.check_stop()?;
        rows.read(number, &mut row);
        let sequences = sequences_of(&row, split, number)?;
        ids.push_unsigned(sequences.ids.iter().copied());
        // The first token of a sequence is no label, so the last of the one before it has no mask.
        mask.push(
            sequences.trained.iter().skip(1).copied().chain([false]).take(sequences.ids.len()),
        );
        starts.push_unsigned(sequences.starts());
        let is_last = number + 1 == rows.num_rows();
        if (number + 1) % GROUP as u64 == 0 || is_last {
            let batch = rows_of(&schema, vec![ids.take(), mask.take(), starts.take()])?;
            writer.write(&batch).map_err(failed)?;
        }
    }
    let sink = writer.into_inner().map_err(failed)?;
    sink.file.commit(None, files)
}

fn table(wrong: &ParquetError) -> TranscodeError {
    TranscodeError::Table { reason: wrong.to_string() }
}
