//! The stages of tokenizing, one by one: `cargo bench -p ratdata-tokenize`.
//!
//! `RATDATA_BENCH_TOKENIZER` names a tokenizer file and `RATDATA_BENCH_TEXT` a file of text; without
//! them a small byte-level tokenizer is trained and text is made up, which shows changes and says
//! little of real speed.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use ratdata_schemas::{ShardFiles, ShardWriter};
use ratdata_tokenize::source::{Source, Undecodable, find_inputs};
use ratdata_tokenize::tokenizer::{SpecialInText, Tokenizer};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, TokenizerBuilder};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Bytes of text that each stage is given.
const BYTES: usize = 8 << 20;

/// Inputs of the stages.
struct Inputs {
    folder: tempfile::TempDir,
    tokenizer: PathBuf,
    documents: Vec<String>,
}

impl Inputs {
    fn make() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let text = match std::env::var_os("RATDATA_BENCH_TEXT") {
            Some(path) => std::fs::read_to_string(path)?,
            None => made_up(BYTES),
        };
        let documents: Vec<String> = documents(&text);
        let tokenizer = match std::env::var_os("RATDATA_BENCH_TOKENIZER") {
            Some(path) => path.into(),
            None => train(folder.path(), &documents)?,
        };
        Ok(Self { folder, tokenizer, documents })
    }

    fn bytes(&self) -> u64 {
        self.documents.iter().map(|text| text.len() as u64).sum()
    }
}

/// Makes up text of words whose frequencies fall as those of a language do.
fn made_up(bytes: usize) -> String {
    let mut state = 1_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut text = String::with_capacity(bytes);
    while text.len() < bytes {
        let mut word = 1 + next() % 50_000 / (1 + next() % 5_000);
        text.push(' ');
        while word > 0 {
            text.push_str(
                ["ta", "ko", "s", "rin", "el", "mo", "na"][usize::try_from(word % 7).unwrap_or(0)],
            );
            word /= 7;
        }
        text.push_str(
            ["", "", "", "", "", ",", ".", "\n"][usize::try_from(next() % 8).unwrap_or(0)],
        );
    }
    text
}

/// Cuts a text at line ends into documents of 8 KB or more, up to [`BYTES`] in all.
fn documents(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text[..text.floor_char_boundary(BYTES)].split_inclusive('\n') {
        if let Some(last) = documents.last_mut().filter(|last| last.len() < 8192) {
            last.push_str(line);
        } else {
            documents.push(line.to_owned());
        }
    }
    documents
}

fn train(folder: &Path, documents: &[String]) -> Result<PathBuf, Failure> {
    let mut tokenizer = TokenizerBuilder::<
        BPE,
        NormalizerWrapper,
        ByteLevel,
        PostProcessorWrapper,
        DecoderWrapper,
    >::new()
    .with_model(BPE::default())
    .with_normalizer(None)
    .with_pre_tokenizer(Some(ByteLevel::new(false, true, true)))
    .with_post_processor(None)
    .with_decoder(None)
    .build()?;
    let mut trainer = BpeTrainer::builder()
        .vocab_size(8_000)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    tokenizer.train(&mut trainer, documents.iter().take(64).map(String::as_str))?;
    let path = folder.join("tokenizer.json");
    tokenizer.save(&path, false)?;
    Ok(path)
}

/// Writes the documents as a parquet file.
fn parquet(inputs: &Inputs) -> Result<PathBuf, Failure> {
    let path = inputs.folder.path().join("documents.parquet");
    let column: ArrayRef = Arc::new(StringArray::from_iter_values(&inputs.documents));
    let batch = RecordBatch::try_from_iter([("text", column)])?;
    let zstd = Compression::ZSTD(ZstdLevel::try_new(3)?);
    let properties = WriterProperties::builder().set_compression(zstd).build();
    let mut writer = ArrowWriter::try_new(File::create(&path)?, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.into_inner()?.flush()?;
    Ok(path)
}

fn stages(criterion: &mut Criterion) -> Result<(), Failure> {
    let inputs = Inputs::make()?;
    let mut group = criterion.benchmark_group("stages");
    group.sample_size(10).throughput(Throughput::Bytes(inputs.bytes()));

    let path = parquet(&inputs)?;
    let file = find_inputs(&[path.display().to_string()])?.remove(0);
    let source = Source::open(&file, "text")?;
    group.bench_function("read parquet (zstd) and check UTF-8", |bencher| {
        bencher.iter(|| {
            let mut bytes = 0;
            for part in 0..source.num_parts() {
                let read = source.read_part(part, &|| false, &mut |rows| {
                    bytes += rows
                        .cells
                        .iter()
                        .filter_map(|cell| source.text(cell, Undecodable::Refuse).ok())
                        .map(|read| read.text.len())
                        .sum::<usize>();
                    true
                });
                read.unwrap_or_default();
            }
            bytes
        });
    });

    let tokenizer = Tokenizer::load(&inputs.tokenizer)?;
    let mut encoder = tokenizer.encoder(SpecialInText::Parse);
    let mut ids: Vec<u32> = Vec::new();
    let mut encode = |documents: &[String]| {
        ids.clear();
        let encoded = documents.iter().try_for_each(|text| encoder.encode_into(text, &mut ids));
        encoded.map(|()| ids.len())
    };
    group.bench_function("cut and look up (all units known)", |bencher| {
        bencher.iter(|| encode(black_box(&inputs.documents)));
    });

    let mut number = 0_u64;
    let mut unseen = || {
        let words = (0..BYTES / 16).map(|_| {
            number += 1;
            format!(" {:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 4)
        });
        vec![words.collect::<String>()]
    };
    group.throughput(Throughput::Bytes(unseen()[0].len() as u64));
    group.bench_function("merge (no unit known)", |bencher| {
        bencher.iter_batched(
            &mut unseen,
            |documents| encode(&documents),
            criterion::BatchSize::LargeInput,
        );
    });

    let ids: Vec<u16> = (0..BYTES / 2).map(|at| u16::try_from(at % 32_000).unwrap_or(0)).collect();
    let lens = vec![1024; ids.len() / 1024];
    group.throughput(Throughput::Bytes(BYTES as u64));
    group.bench_function("write a shard, checksum and sync", |bencher| {
        bencher.iter(|| {
            let files = ShardFiles { root: inputs.folder.path(), stem: "bench" };
            let mut writer = ShardWriter::create(files)?;
            writer.append_u16(&ids, &lens)?;
            writer.finish(None)
        });
    });
    group.bench_function("load the vocabulary", |bencher| {
        bencher.iter(|| Tokenizer::load(&inputs.tokenizer).map(|tokenizer| tokenizer.vocab_size()));
    });
    group.finish();
    Ok(())
}

#[expect(clippy::panic, reason = "a benchmark without inputs has nothing to time")]
fn benches(criterion: &mut Criterion) {
    if let Err(wrong) = stages(criterion) {
        panic!("{wrong}");
    }
}

criterion_group!(group, benches);
criterion_main!(group);
