//! Exports rows and documents as a data set of Hugging Face `datasets`, which `load_from_disk` reads.
//!
//! A row has `input_ids`, `labels` and `position_ids`, and of packed rows `seq_lengths`. Labels
//! stand at their tokens, not at the ones before: `transformers` shifts them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use ratdata_schemas::{
    BinSet, Checksum, Row, RowSet, SplitRecord, TokenId, manifest_checksum, narrow,
};
use serde_json::{Value, json};

use super::error::TranscodeError;
use super::export_files::{Export, ExportedFile, NewFile};
use super::lists::{Int32Lists, list_field, rows_of};
use super::sequences::Sequences;

/// The one file of a split's rows.
const DATA: &str = "data-00000-of-00001.arrow";

/// How many rows a batch has, and about how many tokens.
const BATCH: (usize, usize) = (1000, 1 << 20);

/// Writes one split as a data set.
pub(super) fn export_arrow(
    export: &Export<'_>,
    split: &str,
    files: &mut Vec<ExportedFile>,
) -> Result<(), TranscodeError> {
    let job = export.job;
    let is_packed =
        matches!(job.manifest.splits.get(split), Some(SplitRecord::Pack(_) | SplitRecord::Rows(_)));
    let columns = if is_packed { &COLUMNS[..] } else { &COLUMNS[..3] };
    let mut writer = RowsWriter::create(export.create(split, DATA)?, columns)?;
    if let Some(SplitRecord::Shards { .. }) = job.manifest.splits.get(split) {
        let bins = BinSet::from_manifest(job.root, job.manifest, split)?;
        each_document(&bins, &mut |sequences| {
            export.check_stop()?;
            writer.push(sequences)
        })?;
    } else {
        let rows = RowSet::open(job.root, split)?;
        let mut row = Row::default();
        for number in 0..rows.num_rows() {
            export.check_stop()?;
            rows.read(number, &mut row);
            writer.push(&sequences_of(&row, split, number)?)?;
        }
    }
    writer.finish(files)?;
    let checksum = manifest_checksum(job.root)?;
    let fingerprint = Checksum::of(format!("{checksum} {split}").as_bytes());
    write_json(export, split, "dataset_info.json", &info(columns), files)?;
    let state = json!({
        "_data_files": [{ "filename": DATA }],
        "_fingerprint": format!("{:.16}", fingerprint.as_str()),
        "_format_columns": null,
        "_format_kwargs": {},
        "_format_type": null,
        "_output_all_columns": false,
        "_split": split,
    });
    write_json(export, split, "state.json", &state, files)
}

/// Writes the list of the splits, which makes one data set of them.
pub(super) fn export_splits(
    export: &Export<'_>,
    splits: &[String],
    files: &mut Vec<ExportedFile>,
) -> Result<(), TranscodeError> {
    let mut file = export.create_at_root("dataset_dict.json")?;
    file.write(json!({ "splits": splits }).to_string().as_bytes())?;
    file.commit(None, files)
}

/// Returns the sequences of a row.
pub(super) fn sequences_of(
    row: &Row,
    split: &str,
    number: u64,
) -> Result<Sequences, TranscodeError> {
    Sequences::of(row).map_err(|other| TranscodeError::OtherLabel {
        split: split.to_owned(),
        row: number,
        column: other.column,
        label: other.label,
    })
}

/// Gives each document of bins as one sequence.
fn each_document(
    bins: &BinSet,
    each: &mut dyn FnMut(&Sequences) -> Result<(), TranscodeError>,
) -> Result<(), TranscodeError> {
    let mut first = 0;
    for shard in bins.shards() {
        let ends = shard.index().map_or(&[][..], |index| index.ends());
        if let Some(index) = shard.index() {
            index.check(shard.bin().len())?;
        }
        let mut begin = 0;
        for &end in ends {
            let len: usize = narrow(end - begin);
            let (mut ids, mut trained) = (vec![0 as TokenId; len], vec![false; len]);
            bins.copy_tokens(first + begin, &mut ids);
            bins.copy_mask(first + begin, &mut trained);
            // Nothing predicts the first token.
            if let Some(first) = trained.first_mut() {
                *first = false;
            }
            each(&Sequences { ids, trained, ends: vec![narrow(len)] })?;
            begin = end;
        }
        first += shard.bin().len();
    }
    Ok(())
}

/// The columns, of which the last is that of packed rows.
const COLUMNS: [&str; 4] = ["input_ids", "labels", "position_ids", "seq_lengths"];

/// Returns the columns as `datasets` describes them; `Sequence` is read by all its versions.
fn features(columns: &[&str]) -> Value {
    let feature = json!({"feature": {"dtype": "int32", "_type": "Value"}, "_type": "Sequence"});
    columns.iter().map(|name| ((*name).to_owned(), feature.clone())).collect()
}

fn info(columns: &[&str]) -> Value {
    json!({
        "citation": "",
        "description": "",
        "features": features(columns),
        "homepage": "",
        "license": "",
    })
}

fn write_json(
    export: &Export<'_>,
    split: &str,
    name: &str,
    content: &Value,
    files: &mut Vec<ExportedFile>,
) -> Result<(), TranscodeError> {
    let mut file = export.create(split, name)?;
    file.write(content.to_string().as_bytes())?;
    file.commit(None, files)
}

/// Writes rows as a stream of Arrow, batch by batch.
struct RowsWriter {
    file: NewFile,
    /// Has what is not in the file yet.
    stream: StreamWriter<Vec<u8>>,
    schema: SchemaRef,
    columns: [Int32Lists; 4],
    rows: usize,
    tokens: usize,
}

impl RowsWriter {
    fn create(file: NewFile, columns: &[&str]) -> Result<Self, TranscodeError> {
        let fields: Vec<Field> =
            columns.iter().map(|name| list_field(name, DataType::Int32)).collect();
        let described = json!({ "info": { "features": features(columns) } }).to_string();
        let metadata = HashMap::from([("huggingface".to_owned(), described)]);
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        let stream = StreamWriter::try_new(Vec::new(), &schema).map_err(|wrong| table(&wrong))?;
        let columns = std::array::from_fn(|_| Int32Lists::default());
        Ok(Self { file, stream, schema, columns, rows: 0, tokens: 0 })
    }

    fn push(&mut self, sequences: &Sequences) -> Result<(), TranscodeError> {
        let [ids, labels, positions, lengths] = &mut self.columns;
        ids.push_unsigned(sequences.ids.iter().copied());
        labels.push(sequences.labels());
        positions.push_unsigned(sequences.positions());
        lengths.push_unsigned(sequences.lengths());
        self.rows += 1;
        self.tokens += sequences.ids.len();
        if self.rows >= BATCH.0 || self.tokens >= BATCH.1 { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), TranscodeError> {
        if self.rows > 0 {
            let mut columns: Vec<_> = self.columns.iter_mut().map(Int32Lists::take).collect();
            columns.truncate(self.schema.fields().len());
            let batch = rows_of(&self.schema, columns)?;
            self.stream.write(&batch).map_err(|wrong| table(&wrong))?;
            (self.rows, self.tokens) = (0, 0);
        }
        self.file.write(self.stream.get_ref())?;
        self.stream.get_mut().clear();
        Ok(())
    }

    fn finish(mut self, files: &mut Vec<ExportedFile>) -> Result<(), TranscodeError> {
        self.write()?;
        self.stream.finish().map_err(|wrong| table(&wrong))?;
        self.file.write(self.stream.get_ref())?;
        self.file.commit(None, files)
    }
}

fn table(wrong: &ArrowError) -> TranscodeError {
    TranscodeError::Table { reason: wrong.to_string() }
}
