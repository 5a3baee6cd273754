//! The numbers of an inspection, independent of how they are shown.

use std::path::{Path, PathBuf};

use ratdata_schemas::{BinSet, Manifest, ShardRecord, SplitRecord, TokenId};
use ratdata_tokenize::tokenizer::Tokenizer;
use serde::Serialize;

use super::documents::{Contents, DocumentCounts, Marks};
use super::lengths::Lengths;
use super::preference::preference_splits;
use super::rows::{RowsScan, RowsView, scan_rows, share};
use super::scan::{Scan, scan};
use super::subject::{SplitTokens, Subject};
use crate::failure::Failure;

/// How many ids are listed at each end.
const LISTED: usize = 10;

/// The result of an inspection.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Inspection {
    pub(crate) path: PathBuf,
    /// The name of the tokenizer and its semantics, if a manifest records them.
    pub(crate) tokenizer: Option<String>,
    pub(crate) vocab_size: Option<u32>,
    pub(crate) dtype: String,
    pub(crate) splits: Vec<SplitView>,
    pub(crate) warnings: Vec<String>,
}

/// The numbers of one split.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SplitView {
    pub(crate) name: String,
    pub(crate) layout: &'static str,
    pub(crate) bytes: u64,
    pub(crate) tokens: u64,
    /// How many documents there are; `None` if nothing says where they end.
    pub(crate) documents: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) shards: Vec<ShardView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes_per_token: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lengths: Option<LengthsView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rows: Option<RowsView>,
    pub(crate) ids: IdsView,
    pub(crate) stream: StreamView,
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
    /// `(share, length)`: this share of the documents is at most this long.
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
    /// The counts from the most frequent id down, for a curve: at ranks 1, 2, 4, 8 and so on
    /// to the last.
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

/// Numbers about documents, apart from lengths and ids; unknown numbers are left out.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StreamView {
    /// Documents without a token other than BOS and EOS.
    pub(crate) empty: u64,
    /// Documents that end with EOS.
    pub(crate) ended: Option<u64>,
    /// EOS within documents.
    pub(crate) inner_eos: Option<u64>,
    /// The most tokens that follow each other without EOS, in a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) longest_without_eos: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) masked_share: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) longest_run: Option<(u64, TokenId)>,
    pub(crate) duplicate_documents: u64,
    pub(crate) repeated_blocks: u64,
    /// Whether the last two are estimates from a sample.
    pub(crate) sampled: bool,
}

/// Inspects an artifact, a bin or a pair.
///
/// # Errors
///
/// A file is missing or incomplete, or the user asked to stop.
pub(crate) fn inspect(
    subject: &Subject,
    tokenizer: Option<&Tokenizer>,
) -> Result<Inspection, Failure> {
    let manifest = subject.manifest();
    let record = subject.tokenizer();
    let known = Known {
        vocab_size: record
            .map(|record| record.vocab_size)
            .or_else(|| tokenizer.map(Tokenizer::vocab_size)),
        marks: record.map_or_else(
            || Marks {
                bos: tokenizer.and_then(Tokenizer::bos),
                eos: tokenizer.and_then(Tokenizer::eos),
            },
            |record| Marks { bos: record.bos, eos: record.eos },
        ),
        tokenizer,
    };
    let mut inspection = Inspection {
        path: subject.path().to_owned(),
        tokenizer: record
            .map(|record| format!("{} ({})", record.name, record.semantics))
            .or_else(|| tokenizer.map(|tokenizer| tokenizer.path().display().to_string())),
        vocab_size: known.vocab_size,
        dtype: match (manifest, subject) {
            (Some(manifest), _) => manifest.dtype.to_string(),
            (None, Subject::Bin { dtype, .. }) => dtype.to_string(),
            (None, _) => "i16".into(),
        },
        splits: Vec::new(),
        warnings: Vec::new(),
    };
    let mut seen: Vec<(String, Contents)> = Vec::new();
    for name in subject.parts() {
        let split = manifest.and_then(|manifest| manifest.splits.get(name.as_str()));
        let (mut view, contents) = match subject.open(&name)? {
            SplitTokens::Bins(set) => {
                let ids = known.vocab_size.map_or(1 << 16, |size| size as usize);
                let scan = scan(&set, ids, known.marks)?;
                (SplitView::of_scan(&name, &scan, &set, &known), scan.contents)
            }
            SplitTokens::Rows(set) => {
                let scan = scan_rows(&set, known.marks)?;
                (SplitView::of_rows(&name, &scan, split, &known), scan.contents)
            }
        };
        view.bytes = match split {
            Some(split) => split.files().iter().map(|file| file.bytes).sum(),
            None => subject.path().metadata().map_or(0, |metadata| metadata.len()),
        };
        if let Some(SplitRecord::Shards { shards }) = split {
            view.shards = shards.iter().map(ShardView::of).collect();
        }
        inspection.warn(&view);
        inspection.splits.push(view);
        seen.push((name, contents));
    }
    inspection.warn_of_leaks(&seen, &manifest.map(preference_splits).unwrap_or_default());
    let ratio = manifest.and_then(|manifest| {
        bytes_per_token(subject.path(), manifest, inspection.splits.iter().map(|s| s.tokens).sum())
    });
    for split in &mut inspection.splits {
        split.bytes_per_token = ratio;
    }
    Ok(inspection)
}

/// What is known about the ids.
struct Known<'a> {
    vocab_size: Option<u32>,
    marks: Marks,
    tokenizer: Option<&'a Tokenizer>,
}

/// Returns how many bytes of text a token has; for a pack, in the bins that it was made from.
fn bytes_per_token(root: &Path, manifest: &Manifest, tokens: u64) -> Option<f64> {
    if let Some(base) = &manifest.base {
        let folder = root.join(&base.path);
        let base = Manifest::read(&folder).ok()?;
        let tokens = base.splits.values().flat_map(|split| match split {
            SplitRecord::Shards { shards } => shards.as_slice(),
            _ => &[],
        });
        let tokens = tokens.map(|shard| shard.tokens).fold(0, u64::saturating_add);
        return bytes_per_token(&folder, &Manifest { base: None, ..base }, tokens);
    }
    let text = manifest.text_bytes()?;
    (tokens > 0).then(|| text as f64 / tokens as f64)
}

impl ShardView {
    fn of(shard: &ShardRecord) -> Self {
        let (tokens, documents) = (shard.tokens, shard.documents);
        Self { name: shard.bin.path.to_string(), tokens, documents }
    }
}

impl SplitView {
    fn of_scan(name: &str, scan: &Scan, set: &BinSet, known: &Known<'_>) -> Self {
        let tokens = scan.counts.iter().sum::<u64>() + scan.beyond_table;
        let eos = known.marks.eos;
        let eos_count = eos.map_or(0, |eos| scan.counts.get(eos as usize).copied().unwrap_or(0));
        let parted = eos.is_some() || set.shards().iter().all(|shard| shard.index().is_some());
        let mut stream = StreamView::of(&scan.document_counts, &scan.contents, eos);
        stream.inner_eos = eos.map(|_| eos_count.saturating_sub(scan.document_counts.ended));
        stream.longest_without_eos = eos.map(|_| scan.longest_gap);
        stream.masked_share = Some(share(scan.masked, tokens));
        stream.longest_run = Some(scan.longest_run);
        Self {
            name: name.to_owned(),
            layout: "token bins",
            bytes: 0,
            tokens,
            documents: parted.then(|| scan.document_counts.lengths.count()),
            shards: Vec::new(),
            bytes_per_token: None,
            lengths: parted.then(|| LengthsView::of(&scan.document_counts.lengths)),
            rows: None,
            ids: IdsView::of(&scan.counts, scan.beyond_table, known),
            stream,
        }
    }

    fn of_rows(
        name: &str,
        scan: &RowsScan,
        split: Option<&SplitRecord>,
        known: &Known<'_>,
    ) -> Self {
        let mut stream = StreamView::of(&scan.document_counts, &scan.contents, known.marks.eos);
        stream.inner_eos = known.marks.eos.map(|_| scan.inner_eos);
        Self {
            name: name.to_owned(),
            layout: match split {
                Some(SplitRecord::Pack(_)) => "pack",
                Some(SplitRecord::Rows(_)) => "rows",
                _ => "pairs",
            },
            bytes: 0,
            tokens: scan.view.tokens,
            documents: Some(scan.view.documents),
            shards: Vec::new(),
            bytes_per_token: None,
            lengths: Some(LengthsView::of(&scan.document_counts.lengths)),
            ids: IdsView::of(&scan.counts, scan.beyond_table, known),
            rows: Some(scan.view.clone()),
            stream,
        }
    }
}

impl StreamView {
    fn of(document_counts: &DocumentCounts, contents: &Contents, eos: Option<TokenId>) -> Self {
        Self {
            empty: document_counts.empty,
            ended: eos.map(|_| document_counts.ended),
            inner_eos: None,
            longest_without_eos: None,
            masked_share: None,
            longest_run: None,
            duplicate_documents: contents.documents.repeated(),
            repeated_blocks: contents.blocks.repeated(),
            sampled: contents.documents.is_sampled() || contents.blocks.is_sampled(),
        }
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
    fn of(counts: &[u64], beyond_table: u64, known: &Known<'_>) -> Self {
        let tokenizer = known.tokenizer;
        let vocab_size = known.vocab_size.unwrap_or(u32::MAX);
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
        let powers = (0..).map(|power| 1_usize << power).take_while(|&rank| rank < used.len());
        let ranks = powers.chain((!used.is_empty()).then_some(used.len()));
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
