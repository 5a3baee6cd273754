//! Times packing over the document lengths of an artifact, repeated to a million documents.
//!
//! `cargo run --release --workspace --example pack_bench -- ARTIFACT [SEQ_LEN] [DOCUMENTS]` prints
//! one JSON object; `scripts/bench_pack.py` compares it with what Python trainers do.

use std::convert::Infallible;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use ratdata_schemas::{BinSet, Span};
use ratdata_tokenize::pack::{
    Algorithm, BestFit, Concat, Counts, Document, Long, PackConfig, RowSink,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let artifact = arguments.first().ok_or("usage: pack_bench ARTIFACT [SEQ_LEN] [DOCUMENTS]")?;
    let seq_len = arguments.get(1).map_or(Ok(4096), |text| text.parse())?;
    let wanted = arguments.get(2).map_or(Ok(1_000_000), |text| text.parse::<usize>())?;
    let set = BinSet::open(Path::new(artifact), "train")?;
    let mut lens = Vec::new();
    for shard in set.shards() {
        let index = shard.index().ok_or("the artifact has no index")?;
        lens.extend((0..index.len()).filter_map(|d| index.range(d)).map(|r| r.end - r.start));
    }
    let mut start = 0;
    let documents: Vec<Document> = lens
        .iter()
        .cycle()
        .take(wanted)
        .map(|&len| {
            start += len;
            Document { start: start - len, len }
        })
        .collect();
    let config =
        PackConfig { seq_len, packing: Algorithm::Concat, long: Long::Split, align: 1, seed: None };

    let (concat, concat_seconds) = timed(|sink| {
        let mut packer = Concat::new(config);
        documents.iter().try_for_each(|&document| packer.push(document, sink))?;
        packer.finish(sink)
    });
    let (best, best_seconds) = timed(|sink| {
        let mut packer = BestFit::new(config);
        documents.iter().try_for_each(|&document| packer.push(document, sink))?;
        packer.finish(sink)
    });

    let fill =
        |counts: Counts| counts.tokens as f64 / (counts.rows * u64::from(config.row_len())) as f64;
    let report = serde_json::json!({
        "documents": documents.len(), "tokens": start, "seq_len": seq_len,
        "concat_seconds": concat_seconds, "concat_tokens_per_second": start as f64 / concat_seconds,
        "concat_fill": fill(concat),
        "best_fit_seconds": best_seconds, "best_fit_fill": fill(best), "best_fit_rows": best.rows,
    });
    writeln(&report.to_string())
}

/// Sums up the rows that it is given, so that nothing is optimized away.
struct Sum(u64);

impl RowSink for Sum {
    type Error = Infallible;

    fn row(&mut self, spans: &[Span]) -> Result<(), Infallible> {
        for span in spans {
            self.0 = self.0.wrapping_add(span.start ^ u64::from(span.column));
        }
        Ok(())
    }
}

fn timed(pack: impl FnOnce(&mut Sum) -> Result<Counts, Infallible>) -> (Counts, f64) {
    let begun = Instant::now();
    let mut sum = Sum(0);
    let Ok(counts) = pack(&mut sum);
    let seconds = begun.elapsed().as_secs_f64();
    std::hint::black_box(sum.0);
    (counts, seconds)
}

fn writeln(text: &str) -> Result<(), Box<dyn Error>> {
    use std::io::Write;
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
