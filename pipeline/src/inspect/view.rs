//! What there is to see of an artifact: the numbers, before they are written anywhere.

use std::path::{Path, PathBuf};

use ratdata_schemas::{BinSet, Dtype, Manifest, RowSet, RowSetError, SplitRecord, TokenId};
use ratdata_tokenize::tokenizer::Tokenizer;
use serde::Serialize;

use super::lengths::Lengths;
use super::rows::{RowsView, share};
use super::scan::{Scan, scan};
use crate::failure::{Failure, Kind};

/// How many ids are listed at each end.
const LISTED: usize = 10;

/// A run of one id longer than this is odd.
const ODD_RUN: u64 = 512;

/// Everything that was seen.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Inspection {
    pub(crate) path: PathBuf,
    /// The name of the tokenizer and its semantics, where a manifest says them.
    pub(crate) tokenizer: Option<String>,
    pub(crate) vocab_size: Option<u32>,
    pub(crate) dtype: String,
    pub(crate) splits: Vec<SplitView>,
    pub(crate) warnings: Vec<String>,
}

/// What was seen of one split.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SplitView {
    pub(crate) name: String,
    pub(crate) layout: &'static str,
    pub(crate) bytes: u64,
    pub(crate) tokens: u64,
    pub(crate) documents: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) shards: Vec<ShardView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes_per_token: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lengths: Option<LengthsView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<RowsView>,
    pub(crate) ids: IdsView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stream: Option<StreamView>,
}

/// One shard of a split.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ShardView {
    pub(crate) name: String,
    pub(crate) tokens: u64,
    pub(crate) documents: u64,
}

/// The lengths of documents, in tokens.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LengthsView {
    pub(crate) mean: f64,
    /// `(share, length)`: so many of the documents are no longer.
    pub(crate) percentiles: Vec<(f64, u64)>,
    /// `(from, below, documents)` for each power of two.
    pub(crate) powers: Vec<(u64, u64, u64)>,
}

/// How ids are used.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct IdsView {
    /// Different ids that occur.
    pub(crate) used: u64,
    /// Ids at or beyond the vocabulary's size.
    pub(crate) beyond: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) byte_share: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unk_share: Option<f64>,
    pub(crate) most: Vec<IdCount>,
    pub(crate) least: Vec<IdCount>,
    /// The counts from the most frequent id down, for a curve: at ranks 1, 2, 4, 8 and so on.
    pub(crate) curve: Vec<(u64, u64)>,
}

/// An id and how often it occurs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct IdCount {
    pub(crate) id: TokenId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) piece: Option<String>,
    pub(crate) count: u64,
}

/// What a stream of documents shows beside lengths and ids.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StreamView {
    pub(crate) empty: u64,
    /// Documents that end with EOS.
    pub(crate) ended: u64,
    /// EOS within documents.
    pub(crate) inner_eos: u64,
    pub(crate) masked_share: f64,
    pub(crate) longest_run: (u64, TokenId),
    pub(crate) duplicate_documents: u64,
    pub(crate) repeated_blocks: u64,
    /// Whether the last two are estimates from a sample.
    pub(crate) sampled: bool,
}

/// Looks at an artifact folder.
pub(crate) fn inspect_artifact(
    root: &Path,
    tokenizer: Option<&Tokenizer>,
) -> Result<Inspection, Failure> {
    let manifest = Manifest::read(root)
        .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
    let record = &manifest.tokenizer;
    let mut inspection = Inspection {
        path: root.to_owned(),
        tokenizer: Some(format!("{} ({})", record.name, record.semantics)),
        vocab_size: Some(record.vocab_size),
        dtype: manifest.dtype.to_string(),
        splits: Vec::new(),
        warnings: Vec::new(),
    };
    let text_bytes: u64 = manifest.sources.iter().map(|source| source.text_bytes).sum();
    let mut scans: Vec<(&String, Scan)> = Vec::new();
    for (name, split) in &manifest.splits {
        let bytes = split.files().iter().map(|file| file.bytes).sum();
        let view = match split {
            SplitRecord::Shards { shards } => {
                let set = open_bins(root, &manifest, name)?;
                let scan = scan(&set, record.vocab_size as usize, record.eos);
                let mut view = SplitView::of_scan(
                    name,
                    bytes,
                    &scan,
                    record.vocab_size,
                    record.eos,
                    tokenizer,
                );
                view.shards = shards
                    .iter()
                    .map(|shard| ShardView {
                        name: shard.bin.path.clone(),
                        tokens: shard.tokens,
                        documents: shard.documents,
                    })
                    .collect();
                scans.push((name, scan));
                view
            }
            SplitRecord::Pairs(_) => {
                SplitView::of_rows(root, name, "pairs", bytes, &manifest, tokenizer)?
            }
            SplitRecord::Pack(_) => {
                SplitView::of_rows(root, name, "pack", bytes, &manifest, tokenizer)?
            }
            SplitRecord::Rows(_) => {
                SplitView::of_rows(root, name, "rows", bytes, &manifest, tokenizer)?
            }
        };
        inspection.warn(&view, record.eos);
        inspection.splits.push(view);
    }
    let tokens: u64 = inspection.splits.iter().map(|split| split.tokens).sum();
    if text_bytes > 0 && tokens > 0 {
        for split in &mut inspection.splits {
            split.bytes_per_token = Some(text_bytes as f64 / tokens as f64);
        }
    }
    for (at, (left, first)) in scans.iter().enumerate() {
        for (right, second) in &scans[at + 1..] {
            let shared = first.documents.shared_with(&second.documents);
            if shared > 0 {
                inspection.warnings.push(format!(
                    "{shared} different documents are in both `{left}` and `{right}`: what is learnt there is validated on"
                ));
            }
        }
    }
    Ok(inspection)
}

/// Looks at one headerless bin, whoever wrote it.
pub(crate) fn inspect_bin(
    path: &Path,
    dtype: Dtype,
    tokenizer: Option<&Tokenizer>,
) -> Result<Inspection, Failure> {
    let set = BinSet::open_bin(path, dtype)
        .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
    let vocab_size = tokenizer.map(Tokenizer::vocab_size);
    let eos = tokenizer.and_then(Tokenizer::eos);
    let scan = scan(&set, vocab_size.unwrap_or(1 << 16) as usize, eos);
    let bytes = path.metadata().map_or(0, |metadata| metadata.len());
    let view =
        SplitView::of_scan("bin", bytes, &scan, vocab_size.unwrap_or(u32::MAX), eos, tokenizer);
    let mut inspection = Inspection {
        path: path.to_owned(),
        tokenizer: tokenizer.map(|tokenizer| tokenizer.path().display().to_string()),
        vocab_size,
        dtype: dtype.to_string(),
        splits: Vec::new(),
        warnings: Vec::new(),
    };
    inspection.warn(&view, eos);
    inspection.splits.push(view);
    Ok(inspection)
}

/// Opens the bins of a split and makes sure that their indexes lead nowhere else.
pub(crate) fn open_bins(root: &Path, manifest: &Manifest, split: &str) -> Result<BinSet, Failure> {
    let set = BinSet::from_manifest(root, manifest, split)
        .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
    for shard in set.shards() {
        if let Some(index) = shard.index() {
            index
                .check(shard.bin().len())
                .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
        }
    }
    Ok(set)
}

pub(crate) fn rows_failure(wrong: &RowSetError) -> Failure {
    Failure::new(Kind::Failed, wrong).hinted(wrong.hint())
}

impl Inspection {
    /// Adds what a practitioner would want to be told of a split.
    fn warn(&mut self, view: &SplitView, eos: Option<TokenId>) {
        let mut warn = |text: String| self.warnings.push(format!("{}: {text}", view.name));
        if view.ids.beyond > 0 {
            warn(format!("{} tokens are at or beyond the vocabulary's size", view.ids.beyond));
        }
        let unlearnt = view.rows.as_ref().map_or(0, |rows| rows.unlearnt_rows);
        if unlearnt > 0 && view.name != "test" {
            warn(format!("{unlearnt} rows have nothing to learn"));
        }
        let Some(stream) = &view.stream else { return };
        if stream.empty > 0 {
            warn(format!("{} documents are empty", stream.empty));
        }
        if eos.is_some() && stream.ended == 0 && view.tokens > 0 {
            warn("no document ends with EOS: nothing tells a model where one ends".into());
        }
        let (run, id) = stream.longest_run;
        if run > ODD_RUN {
            warn(format!("id {id} stands {run} times in a row"));
        }
        if stream.duplicate_documents > 0 {
            let about = if stream.sampled { "about " } else { "" };
            warn(format!("{about}{} documents repeat an earlier one", stream.duplicate_documents));
        }
        if stream.repeated_blocks > 0 {
            let about = if stream.sampled { "about " } else { "" };
            warn(format!(
                "{about}{} blocks of 512 tokens repeat an earlier one",
                stream.repeated_blocks
            ));
        }
    }
}

impl SplitView {
    fn of_scan(
        name: &str,
        bytes: u64,
        scan: &Scan,
        vocab_size: u32,
        eos: Option<TokenId>,
        tokenizer: Option<&Tokenizer>,
    ) -> Self {
        let tokens = scan.counts.iter().sum::<u64>() + scan.beyond_table;
        let eos_count = eos.map_or(0, |eos| scan.counts.get(eos as usize).copied().unwrap_or(0));
        Self {
            name: name.to_owned(),
            layout: "token bins",
            bytes,
            tokens,
            documents: scan.lengths.count(),
            shards: Vec::new(),
            bytes_per_token: None,
            lengths: Some(LengthsView::of(&scan.lengths)),
            rows: None,
            ids: IdsView::of(&scan.counts, scan.beyond_table, vocab_size, tokenizer),
            stream: Some(StreamView {
                empty: scan.empty,
                ended: scan.ended,
                inner_eos: eos_count.saturating_sub(scan.ended),
                masked_share: share(scan.masked, tokens),
                longest_run: scan.longest_run,
                duplicate_documents: scan.documents.repeated(),
                repeated_blocks: scan.blocks.repeated(),
                sampled: scan.documents.scale().max(scan.blocks.scale()) > 1,
            }),
        }
    }

    fn of_rows(
        root: &Path,
        name: &str,
        layout: &'static str,
        bytes: u64,
        manifest: &Manifest,
        tokenizer: Option<&Tokenizer>,
    ) -> Result<Self, Failure> {
        let set = RowSet::open(root, name).map_err(|wrong| rows_failure(&wrong))?;
        let rows = RowsView::of(&set);
        Ok(Self {
            name: name.to_owned(),
            layout,
            bytes,
            tokens: rows.tokens,
            documents: rows.documents,
            shards: Vec::new(),
            bytes_per_token: None,
            lengths: None,
            ids: IdsView::of(
                &rows.counts,
                rows.beyond_table,
                manifest.tokenizer.vocab_size,
                tokenizer,
            ),
            rows: Some(rows),
            stream: None,
        })
    }
}

impl LengthsView {
    fn of(lengths: &Lengths) -> Self {
        let shares = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0];
        Self {
            mean: lengths.mean(),
            percentiles: shares.map(|share| (share, lengths.percentile(share))).to_vec(),
            powers: lengths.by_powers(),
        }
    }
}

impl IdsView {
    fn of(
        counts: &[u64],
        beyond_table: u64,
        vocab_size: u32,
        tokenizer: Option<&Tokenizer>,
    ) -> Self {
        let mut used: Vec<(u64, TokenId)> = counts
            .iter()
            .zip(0..)
            .filter(|(count, _)| **count > 0)
            .map(|(&c, id)| (c, id))
            .collect();
        used.sort_by_key(|&(count, id)| (std::cmp::Reverse(count), id));
        let total = counts.iter().sum::<u64>() + beyond_table;
        let listed = |&(count, id): &(u64, TokenId)| IdCount {
            id,
            piece: tokenizer.and_then(|tokenizer| tokenizer.piece(id)).map(ToOwned::to_owned),
            count,
        };
        let of_bytes = |tokenizer: &Tokenizer| {
            used.iter().filter(|(_, id)| tokenizer.is_byte_piece(*id)).map(|(count, _)| count).sum()
        };
        let unk = |tokenizer: &Tokenizer| {
            tokenizer.unk().and_then(|id| counts.get(id as usize)).copied().unwrap_or(0)
        };
        let ranks = (0..).map(|power| 1_usize << power).take_while(|&rank| rank <= used.len());
        Self {
            used: used.len() as u64,
            beyond: counts.get(vocab_size as usize..).unwrap_or(&[]).iter().sum::<u64>()
                + beyond_table,
            byte_share: tokenizer.map(|tokenizer| share(of_bytes(tokenizer), total)),
            unk_share: tokenizer.map(|tokenizer| share(unk(tokenizer), total)),
            most: used.iter().take(LISTED).map(listed).collect(),
            least: used.iter().rev().take(LISTED).map(listed).collect(),
            curve: ranks.map(|rank| (rank as u64, used[rank - 1].0)).collect(),
        }
    }
}
