//! `ratdata trace`: from a token back to its document, file, row and characters.

use std::fmt;
use std::path::PathBuf;

use ratdata_schemas::{BinSet, Manifest, PairsRecord, Row, RowSet, SplitRecord, TokenId, narrow};
use ratdata_tokenize::corpus::{FimPiece, FimPlan, Tokenize, is_document};
use ratdata_tokenize::provenance::SplitProvenance;
use ratdata_tokenize::source::{RowText, Source, SourceFile, Table, Undecodable, text_at};
use ratdata_tokenize::tokenizer::Tokenizer;
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::inspect::{find_sources, find_tokenizer, open_bins, rows_failure};
use crate::interrupt;
use crate::number::{column, length, whole};
use crate::stored_artifact::folder_of;
use crate::trainer::{Drawn, draws};
use crate::ui::Ui;

/// Trace a token to its document, file, row and characters
///
/// Computes everything from the manifest, the index and the recorded order. With `--input`, it also
/// reads the source, for the row's URL and the character span.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TraceArgs {
    /// The artifact folder or its address such as `s3://BUCKET/tokens`: token bins, rows or a pack; with
    /// `--iteration`, a training run's
    path: PathBuf,

    /// The place of a token in the split's stream
    #[arg(long, allow_negative_numbers = true, value_name = "OFFSET", value_parser = whole, conflicts_with_all = ["row", "column", "iteration"], required_unless_present_any = ["row", "iteration"])]
    token: Option<u64>,

    /// A row of a pack or of pairs, or one of the reference's rows over token bins
    #[arg(long, allow_negative_numbers = true, value_name = "R", value_parser = whole)]
    row: Option<u64>,

    /// A column of the row
    #[arg(long, allow_negative_numbers = true, value_name = "C", default_value_t = 0, value_parser = column)]
    column: u32,

    /// An iteration of a training run, from 1: traces the same column of each of its sequences
    #[arg(long, allow_negative_numbers = true, value_name = "I", value_parser = whole, conflicts_with = "row")]
    iteration: Option<u64>,

    /// The number of inputs of a row, where `--row` counts rows of token bins
    #[arg(long, allow_negative_numbers = true, value_name = "N", default_value_t = 4096, value_parser = length)]
    seq_len: u32,

    /// The split
    #[arg(long, default_value = "train", value_name = "SPLIT")]
    split: String,

    /// Where the source files are
    #[arg(long, value_name = "PATH", num_args = 1..)]
    input: Vec<String>,

    /// The tokenizer that made the ids [default: found by the manifest]
    #[arg(long, value_name = "PATH|HUB_ID|ALIAS")]
    tokenizer: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  ratdata trace data/tokens --token 123456 --input corpus/
  ratdata trace data/packed --row 17 --column 80
  ratdata trace runs/tiny-rat --iteration 120";

/// What a token was led back to.
#[derive(Debug, Default, Serialize)]
struct Traced {
    split: String,
    token: u64,
    id: u32,
    piece: Option<String>,
    document: u64,
    /// The token's place in its document.
    position: u64,
    document_tokens: u64,
    shard: String,
    source: Option<String>,
    /// The document's place among the source's documents.
    source_document: Option<u32>,
    /// Of instruction data, which of the task's answer columns the example was made with.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<usize>,
    row: Option<u64>,
    /// The file of an archive that has the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<String>,
    url: Option<String>,
    /// The bytes of the document's text that the token stands for.
    span: Option<(usize, usize)>,
    context: Option<String>,
}

/// Where a token is said to be.
struct Spot {
    /// The artifact.
    path: PathBuf,
    split: String,
    at: At,
}

/// A place in an artifact.
#[derive(Clone, Copy)]
enum At {
    /// In the stream of tokens.
    Token(u64),
    /// In a row of a pack, or a window over the stream.
    Row(u64),
}

/// What the tokens of an iteration were led back to, a sequence each.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Iteration(Vec<Traced>);

/// Runs the command.
pub(crate) fn trace(ui: &Ui, args: &TraceArgs) -> Result<(), Failure> {
    let args = &TraceArgs { path: folder_of(ui, &args.path)?, ..args.clone() };
    if let Some(iteration) = args.iteration {
        let drawn = draws(ui, &args.path, iteration)?.into_iter();
        let spots = drawn.map(|Drawn { path, split, row, first_token }| {
            let column = u64::from(args.column);
            let at =
                first_token.map_or(At::Row(row), |first| At::Token(first.saturating_add(column)));
            Spot { path, split, at }
        });
        let traced = spots.map(|spot| trace_one(ui, args, &spot)).collect::<Result<_, _>>()?;
        return ui.emit(&Iteration(traced));
    }
    let at = args.row.map_or(At::Token(args.token.unwrap_or(0)), At::Row);
    let spot = Spot { path: args.path.clone(), split: args.split.clone(), at };
    ui.emit(&trace_one(ui, args, &spot)?)
}

fn trace_one(ui: &Ui, args: &TraceArgs, spot: &Spot) -> Result<Traced, Failure> {
    let (root, manifest, mut traced) = found_at(args, spot)?;
    let of_split = match SplitProvenance::of(&root, &manifest, &spot.split) {
        Ok(of_split) => Some(of_split),
        Err(wrong) => {
            ui.note(&format!("the document is as far as it goes: {wrong}"));
            None
        }
    };
    let provenance = of_split.as_ref().and_then(|of_split| of_split.locate(traced.document));
    let source = provenance
        .and_then(|provenance| Some((provenance, manifest.sources.get(provenance.source)?)));
    if let Some((provenance, source)) = source {
        traced.source = Some(source.name.clone());
        traced.source_document = Some(provenance.document);
        traced.answer = provenance.answer;
        // Where no row was left out, documents are rows.
        traced.row = (source.bad_rows == 0).then_some(provenance.document.into());
    }
    let tokenizer =
        find_tokenizer(ui, args.tokenizer.as_deref(), Some(&manifest.tokenizer), &root)?;
    traced.piece = tokenizer.as_ref().and_then(|t| t.piece(traced.id)).map(ToOwned::to_owned);
    if let (Some((provenance, source)), false) = (source, args.input.is_empty()) {
        let files = find_sources(ui, &args.input, &manifest)?;
        let name = &source.name;
        let file = files.iter().find(|file| file.name == *name).ok_or_else(|| {
            Failure::message(Kind::Usage, format!("source `{name}` is not among the files given"))
        })?;
        match of_split.as_ref().and_then(|of_split| of_split.job(provenance.source)) {
            Some(job) => {
                read_source(&mut traced, job, file, provenance.document, tokenizer.as_ref())?;
            }
            None => traced.url = traced.row.and_then(|row| url_of(file, row)),
        }
    }
    Ok(traced)
}

/// Returns the artifact that holds the document, its folder, and the token in it.
fn found_at(args: &TraceArgs, spot: &Spot) -> Result<(PathBuf, Manifest, Traced), Failure> {
    let manifest = Manifest::read(&spot.path)
        .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
    if let Some(SplitRecord::Pairs(pairs)) = manifest.splits.get(spot.split.as_str()) {
        let traced = in_pairs(args, spot, pairs)?;
        return Ok((spot.path.clone(), manifest, traced));
    }
    let (root, manifest, token) = stream_of(args, spot, manifest)?;
    let set = open_bins(&root, &manifest, &spot.split)?;
    let traced = locate(&spot.split, &manifest, &set, token)?;
    Ok((root, manifest, traced))
}

/// Finds a token in rows of inputs and labels: each row is a document of its own.
fn in_pairs(args: &TraceArgs, spot: &Spot, pairs: &PairsRecord) -> Result<Traced, Failure> {
    let refused = |message: String| Failure::message(Kind::Usage, message);
    let At::Row(number) = spot.at else {
        return Err(refused(format!("split `{}` holds rows: name one with `--row`", spot.split)));
    };
    let set = RowSet::open(&spot.path, &spot.split).map_err(|wrong| rows_failure(&wrong))?;
    check_row(number, &set)?;
    let mut row = Row::default();
    set.read(number, &mut row);
    let (column, end) = (args.column, row.document_ends.last().copied().unwrap_or(0));
    check_column(column, set.seq_len() as u64)?;
    if column >= end {
        return Err(refused(format!("row {number}, column {column}: padding")));
    }
    Ok(Traced {
        split: spot.split.clone(),
        token: number * set.seq_len() as u64 + u64::from(column),
        id: row.inputs[column as usize],
        document: number,
        position: column.into(),
        document_tokens: end.into(),
        shard: pairs.inputs.path.to_string(),
        ..Traced::default()
    })
}

fn check_row(row: u64, set: &RowSet) -> Result<(), Failure> {
    if row < set.num_rows() {
        return Ok(());
    }
    let message = format!("row {row}: the split has {} rows", set.num_rows());
    Err(Failure::message(Kind::Usage, message))
}

fn check_column(column: u32, columns: u64) -> Result<(), Failure> {
    if u64::from(column) < columns {
        return Ok(());
    }
    let message = format!("column {column}: a row has {columns}");
    Err(Failure::message(Kind::Usage, message))
}

/// Returns the artifact of token bins, its folder, and the token's place in its stream.
fn stream_of(
    args: &TraceArgs,
    spot: &Spot,
    manifest: Manifest,
) -> Result<(PathBuf, Manifest, u64), Failure> {
    let based = match manifest.splits.get(spot.split.as_str()) {
        Some(SplitRecord::Pack(pack)) => Some(pack.row_len),
        Some(SplitRecord::Rows(rows)) => Some(rows.pack.row_len),
        _ => None,
    };
    let Some(row_len) = based else {
        let token = match spot.at {
            At::Token(token) => token,
            At::Row(row) => {
                check_column(args.column, args.seq_len.into())?;
                row.saturating_mul(args.seq_len.into()).saturating_add(args.column.into())
            }
        };
        return Ok((spot.path.clone(), manifest, token));
    };
    let Some(base) = &manifest.base else {
        let message = format!("{}: a pack whose manifest names no base", spot.path.display());
        return Err(Failure::message(Kind::Failed, message));
    };
    let root = spot.path.join(&base.path);
    let token = match spot.at {
        At::Token(token) => token,
        At::Row(row) => {
            check_column(args.column, row_len.into())?;
            in_row(args, spot, row)?
        }
    };
    let base = Manifest::read(&root)
        .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
    Ok((root, base, token))
}

/// Returns the token of the base's stream that stands in a row of a pack.
fn in_row(args: &TraceArgs, spot: &Spot, row: u64) -> Result<u64, Failure> {
    let set = RowSet::open(&spot.path, &spot.split).map_err(|wrong| rows_failure(&wrong))?;
    check_row(row, &set)?;
    let span = set
        .spans(row)
        .find(|span| (span.column..span.column + span.len).contains(&args.column))
        .ok_or_else(|| {
            let message = format!("row {row}, column {}: padding", args.column);
            Failure::message(Kind::Usage, message)
        })?;
    Ok(span.start + u64::from(args.column - span.column))
}

fn locate(split: &str, manifest: &Manifest, set: &BinSet, token: u64) -> Result<Traced, Failure> {
    let beyond = || {
        let message = format!("token {token}: the split has {} tokens", set.num_tokens());
        Failure::message(Kind::Usage, message)
    };
    let (number, within) = set.locate(token).ok_or_else(beyond)?;
    let shard = &set.shards()[number];
    let index = shard.index().ok_or_else(beyond)?;
    let here = index.document_of(within as u64).ok_or_else(beyond)?;
    let range = index.range(here).ok_or_else(beyond)?;
    let before: u64 =
        set.shards()[..number].iter().filter_map(|s| s.index()).map(|i| i.len() as u64).sum();
    let shard_name = match &manifest.splits[split] {
        SplitRecord::Shards { shards } => shards[number].bin.path.to_string(),
        _ => String::new(),
    };
    Ok(Traced {
        split: split.to_owned(),
        token,
        id: shard.bin().tokens().get(within).ok_or_else(beyond)?,
        document: before + here as u64,
        position: within as u64 - range.start,
        document_tokens: range.end - range.start,
        shard: shard_name,
        ..Traced::default()
    })
}

/// Finds the document in its file: its row, its url, and the bytes that the token stands for.
fn read_source(
    traced: &mut Traced,
    config: &Tokenize,
    file: &SourceFile,
    document: u32,
    tokenizer: Option<&Tokenizer>,
) -> Result<(), Failure> {
    let failed = |wrong: &dyn std::error::Error| Failure::new(Kind::Failed, wrong);
    let source = Source::open(file, &config.text_column).map_err(|wrong| failed(&wrong))?;
    let fim = tokenizer.map(|tokenizer| FimPlan::of(config, tokenizer)).transpose();
    let fim = fim.map_err(|wrong| failed(&wrong))?.flatten();
    let mut kept = 0;
    let mut found: Option<(u64, Option<String>, String)> = None;
    for part in 0..source.num_parts() {
        let read = source.read_part(part, &interrupt::asked, &mut |rows| {
            for (row, cell) in (rows.first..).zip(&rows.cells) {
                let undecodable = Undecodable::from(config.on_bad_row);
                let Ok(RowText { text, .. }) = source.text(cell, undecodable) else { continue };
                let checked = tokenizer.map(|tokenizer| (tokenizer, fim.as_ref()));
                if checked.is_some_and(|with| !is_document(config, with, &text)) {
                    continue;
                }
                if kept == document {
                    let member = cell.place().and_then(|place| place.member.as_deref());
                    found = Some((row, member.map(ToOwned::to_owned), text.into_owned()));
                    return false;
                }
                kept += 1;
            }
            true
        });
        read.map_err(|wrong| failed(&wrong))?;
        interrupt::check()?;
        if found.is_some() {
            break;
        }
    }
    let another = |what: String| {
        let path = file.path.display();
        Failure::message(
            Kind::Failed,
            format!("{path}: another file than the one that was tokenized: {what}"),
        )
        .hinted(Some("name the file as it was then with `--input`, or tokenize it again"))
    };
    let Some((row, member, text)) = found else {
        return Err(another(format!("it has no document {document}")));
    };
    (traced.row, traced.member) = (Some(row), member);
    traced.url = url_of(file, row);
    if let Some(tokenizer) = tokenizer {
        let pieces = match &fim {
            Some(fim) => fim.encode_slowly((fim.key(&file.name), row), &text),
            None => tokenizer
                .oracle()
                .encode(&text, config.special_in_text)
                .map(|ids| vec![(FimPiece::Text(0..text.len(), false), ids)]),
        };
        let pieces = pieces.map_err(|wrong| failed(&wrong))?;
        let skipped = usize::from(config.bos.is_on());
        let place = usize::try_from(traced.position).ok().and_then(|p| p.checked_sub(skipped));
        let found = place.and_then(|place| piece_at(&pieces, place));
        let Some((piece, ids, place)) = found else { return Ok(()) };
        if let Some(id) = ids.get(place).filter(|id| **id != traced.id) {
            return Err(another(format!("row {row} gives id {id} here, found {}", traced.id)));
        }
        // A token between the parts of a document stands for no text.
        let FimPiece::Text(part, _) = piece else { return Ok(()) };
        let spans = tokenizer.align(&text[part.clone()], ids);
        if let Some(span) = spans.as_ref().and_then(|spans| spans.get(place)) {
            let span = part.start + span.start..part.start + span.end;
            traced.span = Some((span.start, span.end));
            let from = text.floor_char_boundary(span.start.saturating_sub(60));
            let to = text.ceil_char_boundary((span.end + 60).min(text.len()));
            let (start, end) =
                (text.floor_char_boundary(span.start), text.ceil_char_boundary(span.end));
            traced.context =
                Some(format!("{}⟦{}⟧{}", &text[from..start], &text[start..end], &text[end..to]));
        }
    }
    Ok(())
}

/// Returns the piece that has a token of a document, its ids, and the token's place among them.
fn piece_at(
    pieces: &[(FimPiece, Vec<TokenId>)],
    mut place: usize,
) -> Option<(&FimPiece, &[TokenId], usize)> {
    for (piece, ids) in pieces {
        if place < ids.len() {
            return Some((piece, ids, place));
        }
        place -= ids.len();
    }
    None
}

/// Returns what the row's `url` column holds, where it has one.
fn url_of(file: &SourceFile, row: u64) -> Option<String> {
    let table = Table::open(file, &["url"]).ok()?;
    let mut url = None;
    let mut before = 0;
    table
        .read(&mut |rows| {
            let place: usize = narrow(row - before);
            let Some(found) = rows.get(place) else {
                before += rows.len() as u64;
                return true;
            };
            let columns = found.columns.as_ref().ok();
            url = columns.and_then(|columns| text_at(columns, "url")).map(ToOwned::to_owned);
            false
        })
        .ok()?;
    url
}

impl fmt::Display for Iteration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, traced) in self.0.iter().enumerate() {
            let before = if number == 0 { "" } else { "\n\n" };
            write!(f, "{before}sequence {number}: {traced}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token {} of `{}`: id {}", self.token, self.split, self.id)?;
        if let Some(piece) = &self.piece {
            write!(f, " {piece:?}")?;
        }
        write!(
            f,
            "\ndocument {}, token {} of {}, in {}",
            self.document, self.position, self.document_tokens, self.shard
        )?;
        if let (Some(source), Some(document)) = (&self.source, self.source_document) {
            write!(f, "\nsource {source}, document {document}")?;
        }
        if let Some(row) = self.row {
            write!(f, ", row {row}")?;
        }
        if let Some(member) = &self.member {
            write!(f, " in `{member}`")?;
        }
        if let Some(answer) = self.answer.filter(|&answer| answer > 0) {
            write!(f, ", answer {answer}")?;
        }
        if let Some(url) = &self.url {
            write!(f, "\n{url}")?;
        }
        if let Some((start, end)) = self.span {
            write!(f, "\nbytes {start} to {end} of its text")?;
        }
        if let Some(context) = &self.context {
            write!(f, "\n{context}")?;
        }
        Ok(())
    }
}
