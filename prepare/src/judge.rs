//! Decides about the rows of one part: they become a piece, with those that are kept as they are written.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, LargeStringArray, RecordBatch, StringArray, StringViewArray,
};
use arrow_schema::DataType;
use arrow_select::filter::filter_record_batch;
use ratdata_schemas::recipe::OnBadRow;
use ratdata_tokenize::source::{BadText, Cell, Rows, Source, TextPlace};
use serde_json::{Value as Json, json};

use crate::decide::{Decide, RowSettings};
use crate::error::PrepareError;
use crate::predicate::Columns;
use crate::rows::{
    DroppedSample, JsonColumns, MOST_SAMPLES, OpenFile, Part, Piece, Reason, RowView, TableColumns,
    Task, TextColumn, Verdict, arrays_of, frame_of, text_of,
};

/// How many characters of a row are shown.
const EXCERPT: usize = 400;

/// A piece while its rows are judged.
struct Judged<'a> {
    piece: Piece,
    log: Vec<u8>,
    lines: Vec<u8>,
    settings: &'a RowSettings,
    open: &'a OpenFile,
}

/// Where a row is, for messages and the log.
#[derive(Clone, Copy)]
struct Spot<'a> {
    row: u64,
    place: Option<&'a TextPlace>,
}

/// What becomes of a row, after it was counted.
enum Kept {
    No,
    AsItIs,
    With(String),
}

/// Judges the rows of a part.
///
/// # Errors
///
/// A row cannot be read or judged, and bad rows are not left out.
pub(crate) fn judge<D: Decide>(
    decide: &D,
    worker: &mut D::Worker,
    task: &Task<D::File>,
    settings: &RowSettings,
) -> Result<Piece, PrepareError> {
    let open = task.open.as_ref();
    let mut judged = Judged {
        piece: Piece { file: task.file, ..Piece::default() },
        log: Vec::new(),
        lines: Vec::new(),
        settings,
        open,
    };
    match &task.part {
        Part::End => judged.piece.ends_file = true,
        Part::Rows(rows) => judged.rows(decide, worker, &task.state, rows)?,
        Part::Batch(batch) => {
            judged.table(decide, worker, &task.state, &batch.rows, batch.first)?;
            judged.piece.input_bytes = batch.input_bytes;
        }
        Part::Group(group, first) => match decide.skips(&task.state, open, *group) {
            Some(reason) => judged.skip(&reason, *first, open.group_rows(*group)),
            None => judged.group(decide, worker, &task.state, *group, *first)?,
        },
    }
    judged.finish()
}

impl Judged<'_> {
    fn finish(self) -> Result<Piece, PrepareError> {
        let mut piece = self.piece;
        piece.lines = frame_of(&self.lines, self.open.path())?;
        piece.log = frame_of(&self.log, self.open.path())?;
        Ok(piece)
    }

    /// Leaves out a whole group, of which no row was read.
    fn skip(&mut self, reason: &Reason, first: u64, rows: u64) {
        self.piece.counts.rows += rows;
        *self.piece.counts.reasons.entry(reason.name.to_string()).or_default() += rows;
        self.note(&json!({"rows": [first, first + rows], "reason": reason.name, "pruned": true}));
        self.piece.input_bytes = self.share(rows);
    }

    fn group<D: Decide>(
        &mut self,
        decide: &D,
        worker: &mut D::Worker,
        state: &D::File,
        group: usize,
        first: u64,
    ) -> Result<(), PrepareError> {
        let wrong = |reason: String| PrepareError::Table {
            path: self.open.file.path.clone(),
            place: format!("row group {group}"),
            reason,
        };
        let mut row = first;
        for batch in self.open.read_group(group)? {
            let batch = batch.map_err(|reason| wrong(reason.to_string()))?;
            self.table(decide, worker, state, &batch, row)?;
            row += batch.num_rows() as u64;
        }
        self.piece.input_bytes = self.share(row - first);
        Ok(())
    }

    /// Judges rows of a table, of which the first is row `first` of the file.
    fn table<D: Decide>(
        &mut self,
        decide: &D,
        worker: &mut D::Worker,
        state: &D::File,
        batch: &RecordBatch,
        first: u64,
    ) -> Result<(), PrepareError> {
        let wrong = |reason: String| PrepareError::Table {
            path: self.open.file.path.clone(),
            place: format!("row {first}"),
            reason,
        };
        let arrays = arrays_of(batch, decide.columns());
        let texts = arrays_of(batch, std::slice::from_ref(&self.settings.text_column));
        let texts = texts.first();
        let mut kept = Vec::with_capacity(batch.num_rows());
        let mut changed: Vec<(usize, String)> = Vec::new();
        for at in 0..batch.num_rows() {
            let spot = Spot { row: first + at as u64, place: None };
            let text = texts.and_then(|texts| text_of(texts.as_ref(), at));
            if text.is_none() && decide.needs_text() {
                kept.push(false);
                self.bad(spot, "the text is null")?;
                continue;
            }
            let columns = TableColumns { arrays: &arrays, row: at };
            let text = text.unwrap_or_default();
            let view = RowView { row: spot.row, text, columns: &columns };
            let verdict = decide.decide(worker, state, &view);
            match self.count(spot, text, verdict)? {
                Kept::No => kept.push(false),
                Kept::AsItIs => kept.push(true),
                Kept::With(text) => {
                    kept.push(true);
                    changed.push((at, text));
                }
            }
        }
        let batch = if changed.is_empty() {
            batch.clone()
        } else {
            with_texts(batch, &self.settings.text_column, &changed).map_err(wrong)?
        };
        if kept.iter().all(|&is| is) {
            self.piece.tables.push(batch);
        } else if kept.iter().any(|&is| is) {
            let mask = BooleanArray::from(kept);
            let kept = filter_record_batch(&batch, &mask);
            self.piece.tables.push(kept.map_err(|reason| wrong(reason.to_string()))?);
        }
        Ok(())
    }

    fn rows<D: Decide>(
        &mut self,
        decide: &D,
        worker: &mut D::Worker,
        state: &D::File,
        rows: &Rows,
    ) -> Result<(), PrepareError> {
        let Some(source) = &self.open.source else { return Ok(()) };
        self.piece.input_bytes = rows.input_bytes;
        let sizes = decide.sizes(state, rows.first, rows.cells.len()).unwrap_or_default();
        for ((row, cell), at) in (rows.first..).zip(&rows.cells).zip(0..) {
            let spot = Spot { row, place: cell.place() };
            // A text alone becomes a line with the text.
            if let (Some(&Some(size)), Some(_)) = (sizes.get(at), spot.place) {
                let view = RowView { row, text: "", columns: &TextColumn("") };
                if decide.decide(worker, state, &view) == Ok(Verdict::Keep) {
                    self.piece.counts.add_kept(size.into());
                    self.keep(source, spot, cell, "", None)?;
                    continue;
                }
            }
            let read = source.text(cell, self.settings.on_bad_row.into());
            let text = match read {
                Ok(read) => read.text,
                Err(_) if !decide.needs_text() => Cow::Borrowed(""),
                Err(bad) => {
                    self.bad_text(spot, &bad)?;
                    continue;
                }
            };
            let wanted = !decide.columns().is_empty();
            let object = match wanted.then(|| source.object(cell)).flatten() {
                Some(Ok(object)) => Some(object),
                Some(Err(bad)) => {
                    self.bad(spot, &bad)?;
                    continue;
                }
                None => None,
            };
            let of_text = TextColumn(&text);
            let of_json;
            let columns: &dyn Columns = match &object {
                Some(object) => {
                    of_json = JsonColumns { names: decide.columns(), object };
                    &of_json
                }
                None => &of_text,
            };
            let view = RowView { row, text: &text, columns };
            let verdict = decide.decide(worker, state, &view);
            match self.count(spot, &text, verdict)? {
                Kept::No => {}
                Kept::AsItIs => self.keep(source, spot, cell, &text, None)?,
                Kept::With(other) => self.keep(source, spot, cell, &text, Some(&other))?,
            }
        }
        Ok(())
    }

    /// Writes a row as a line, with another text where there is one.
    fn keep(
        &mut self,
        source: &Source,
        spot: Spot<'_>,
        cell: &Cell,
        text: &str,
        other: Option<&str>,
    ) -> Result<(), PrepareError> {
        match source.line(cell, other) {
            Some(Ok(line)) => self.lines.extend_from_slice(&line),
            Some(Err(bad)) => return Err(self.row_error(spot, &bad.to_string())),
            None => {
                let text = other.unwrap_or(text);
                let line = json!({ self.settings.text_column.as_str(): text }).to_string();
                self.lines.extend_from_slice(line.as_bytes());
            }
        }
        self.lines.push(b'\n');
        Ok(())
    }

    /// Counts a row by what was decided of it.
    fn count(
        &mut self,
        spot: Spot<'_>,
        text: &str,
        verdict: Result<Verdict, String>,
    ) -> Result<Kept, PrepareError> {
        let counts = &mut self.piece.counts;
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(wrong) => {
                self.bad(spot, &wrong)?;
                return Ok(Kept::No);
            }
        };
        counts.rows += 1;
        counts.text_bytes += text.len() as u64;
        Ok(match verdict {
            Verdict::Keep => {
                counts.kept += 1;
                counts.kept_text_bytes += text.len() as u64;
                Kept::AsItIs
            }
            Verdict::Drop(reason) => {
                self.log_row(spot, text, &reason, false);
                Kept::No
            }
            Verdict::Rewrite(other, reason) => {
                counts.kept += 1;
                counts.rewritten += 1;
                counts.kept_text_bytes += other.len() as u64;
                self.log_row(spot, text, &reason, true);
                Kept::With(other)
            }
        })
    }

    /// Writes to the log what became of a row, and keeps the first rows of a reason as samples.
    fn log_row(&mut self, spot: Spot<'_>, text: &str, reason: &Reason, rewritten: bool) {
        let count = self.piece.counts.reasons.entry(reason.name.to_string()).or_default();
        *count += 1;
        if *count <= MOST_SAMPLES as u64 {
            self.piece.samples.push(DroppedSample {
                reason: reason.name.to_string(),
                file: self.open.file.name.clone(),
                row: spot.row,
                detail: reason.detail.clone(),
                excerpt: text.chars().take(EXCERPT).collect(),
            });
        }
        let mut line = serde_json::Map::new();
        line.insert("row".into(), spot.row.into());
        if let Some(place) = spot.place {
            line.insert("line".into(), place.line.into());
            if let Some(member) = &place.member {
                line.insert("member".into(), member.as_ref().into());
            }
        }
        line.insert("reason".into(), reason.name.as_ref().into());
        if rewritten {
            line.insert("rewritten".into(), true.into());
        }
        if let Some(detail) = &reason.detail {
            line.insert("detail".into(), detail.clone());
        }
        self.note(&Json::Object(line));
    }

    fn note(&mut self, line: &Json) {
        self.log.extend_from_slice(line.to_string().as_bytes());
        self.log.push(b'\n');
    }

    fn bad_text(&mut self, spot: Spot<'_>, bad: &BadText) -> Result<(), PrepareError> {
        // A file without a byte is no document of any job.
        if bad.is_empty() {
            self.leave_out(spot, &bad.to_string());
            return Ok(());
        }
        self.bad(spot, &bad.to_string())
    }

    /// Leaves out a row that cannot be judged, or fails.
    fn bad(&mut self, spot: Spot<'_>, reason: &str) -> Result<(), PrepareError> {
        if self.settings.on_bad_row != OnBadRow::Skip {
            return Err(self.row_error(spot, reason));
        }
        self.leave_out(spot, reason);
        Ok(())
    }

    fn leave_out(&mut self, spot: Spot<'_>, reason: &str) {
        self.piece.counts.rows += 1;
        self.log_row(spot, "", &Reason::with("bad_row", reason.into()), false);
    }

    fn row_error(&self, spot: Spot<'_>, reason: &str) -> PrepareError {
        let place = match spot.place {
            Some(place) => place.to_string(),
            None => format!("row {}", spot.row),
        };
        PrepareError::Row { path: self.open.file.path.clone(), place, reason: reason.to_owned() }
    }

    /// Returns the share of the file's bytes that so many rows have, were all alike.
    fn share(&self, rows: u64) -> u64 {
        let all = self.open.source.as_ref().and_then(Source::num_rows).unwrap_or(0);
        let all = if all > 0 { all } else { self.open.num_rows() };
        let share = u128::from(self.open.file.bytes) * u128::from(rows) / u128::from(all.max(1));
        ratdata_schemas::narrow(share)
    }
}

/// Returns a batch with other texts in some rows.
fn with_texts(
    batch: &RecordBatch,
    column: &str,
    changed: &[(usize, String)],
) -> Result<RecordBatch, String> {
    let place = batch.schema().index_of(column).map_err(|_| {
        format!("the text of `{column}` is nested, and can be left out but not changed")
    })?;
    let old = batch.column(place);
    let mut others = changed.iter().peekable();
    let mut texts: Vec<Option<&str>> = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let other = others.next_if(|(at, _)| *at == row);
        texts.push(other.map_or_else(|| text_of(old.as_ref(), row), |(_, text)| Some(text)));
    }
    let new: ArrayRef = match old.data_type() {
        DataType::Utf8 => Arc::new(StringArray::from(texts)),
        DataType::LargeUtf8 => Arc::new(LargeStringArray::from(texts)),
        DataType::Utf8View => Arc::new(StringViewArray::from(texts)),
        kind => return Err(format!("texts stored as {kind} can be left out, but not changed")),
    };
    let mut columns = batch.columns().to_vec();
    columns[place] = new;
    RecordBatch::try_new(batch.schema(), columns).map_err(|wrong| wrong.to_string())
}
