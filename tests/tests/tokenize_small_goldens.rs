//! Small goldens of our own: a corpus and tokenizers, made by code, give the bins they gave.
//!
//! `scripts/golden_reference.py` makes the same table by other means: `NumPy`, `tokenizers` and `SentencePiece`.
//! `RATDATA_KEEP=DIR` leaves the inputs there for it, and `RATDATA_REGENERATE=1` writes the table again, after a
//! change that is meant to change bytes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "texts and records for fuzzing are of no use here")]
#[path = "../../fuzz/src/vocabularies.rs"]
mod vocabularies;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use ratdata_schemas::{Manifest, PlainName};
use ratdata_tokenize::corpus::{Edge, Job, Order, Outcome, Progress, SpecialInText, Tokenize};
use ratdata_tokenize::source::find_inputs;
use ratdata_tokenize::tokenizer::Tokenizer;
use serde_json::json;
use sha2::{Digest, Sha256};

/// The tokenizers, in the order in which `vocabularies` makes them.
const JSON: [&str; 5] = ["llama.json", "gpt2.json", "llama3.json", "qwen2.json", "gpt4o.json"];
const MODEL: &str = "llama.model";

/// What a variant changes of the reference's settings.
type Change = fn(&mut Tokenize);

/// The variants by name.
const VARIANTS: [(&str, Change); 9] = [
    ("default", |_| {}),
    ("file", |config| config.order = Order::File),
    ("seed-7", |config| config.split_seed = 7),
    ("bos", |config| (config.bos, config.eos) = (Edge::Switch(true), Edge::Switch(false))),
    ("bos-eos", |config| config.bos = Edge::Switch(true)),
    ("bare", |config| config.eos = Edge::Switch(false)),
    ("plain", |config| config.special_in_text = SpecialInText::Plain),
    ("merged", |config| config.merge = true),
    ("merged-file", |config| (config.merge, config.order) = (true, Order::File)),
];

/// Documents that went wrong somewhere, in this program or in others.
const ODD: [&str; 18] = [
    "",
    " ",
    "the cat sat on the cat",
    "  the  cat   sat    on     ",
    "</s>the cat<s> sat",
    "the cat</s>",
    "<unk></s></s> <s>  the cat ",
    "<|endoftext|>the cat <|endoftext|> sat",
    "caf\u{e9} cafe\u{301} \u{20ac}\u{1f642} \u{65e5}\u{672c}\u{8a9e}",
    "the cat\r\nsat\r\n\r\non\n\n\tthe cat\r",
    "\u{2581}the\u{2581}cat \u{2581}\u{2581} sat",
    "\u{feff}the\u{0}cat\u{a0}sat\u{200b}on\u{3000}the",
    "it's 12345 times, they'LL say: (the) cat!?\n",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{645}\u{631}\u{62d}\u{628}\u{627} \u{5d0}",
    "<s",
    "</ s> <s >&lt;s&gt; <0x0A> <0xE2>",
    "\n",
    "thethethethethe catcatcat  ",
];

/// Returns `count` documents: the odd ones, then sentences of words that repeat.
fn documents(first: usize, count: usize) -> Vec<String> {
    const WORDS: [&str; 11] =
        ["the", "cat", "sat", "on", "times", "theme", "\u{e9}t\u{e9}", " ", "mat.", "\n", "12"];
    let sentence = |n: usize| {
        let word = |place: usize| WORDS[(n * n + place * place * 7 + n * place) % WORDS.len()];
        (0..n * 5 % 37).map(word).collect::<Vec<_>>().join(" ")
    };
    let odd = ODD.iter().skip(first).map(|text| (*text).to_owned());
    odd.chain((first..).map(sentence)).take(count).collect()
}

/// Writes documents in FineWeb-Edu's schema, in row groups of seven.
fn write_parquet(path: &Path, texts: &[String]) {
    let strings = |column: &str| -> ArrayRef {
        let value = |(row, text)| if column == "text" { text } else { format!("{column}-{row}") };
        let values = texts.iter().cloned().enumerate().map(value);
        Arc::new(StringArray::from_iter_values(values))
    };
    let integers =
        |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value; texts.len()])) };
    let doubles =
        |value: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![value; texts.len()])) };
    let rows = RecordBatch::try_from_iter([
        ("text", strings("text")),
        ("id", strings("id")),
        ("dump", strings("dump")),
        ("url", strings("url")),
        ("file_path", strings("file_path")),
        ("language", strings("language")),
        ("language_score", doubles(0.97)),
        ("token_count", integers(9)),
        ("score", doubles(3.25)),
        ("int_score", integers(3)),
    ])
    .unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), rows.schema(), None).unwrap();
    for first in (0..texts.len()).step_by(7) {
        writer.write(&rows.slice(first, 7.min(texts.len() - first))).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
}

/// Writes the corpus and the tokenizers.
fn inputs(root: &Path) {
    let corpus = root.join("corpus");
    fs::create_dir_all(&corpus).unwrap();
    write_parquet(&corpus.join("a.parquet"), &documents(0, 60));
    write_parquet(&corpus.join("b.parquet"), &documents(30, 33));
    let line = |text: &String| format!("{}\n", json!({"id": text.len(), "text": text}));
    let lines: String = documents(4, 25).iter().map(line).collect();
    File::create(corpus.join("c.jsonl")).unwrap().write_all(lines.as_bytes()).unwrap();
    write_parquet(&corpus.join("d.parquet"), &documents(3, 1));
    let models = vocabularies::models();
    let names = JSON.iter().chain([&MODEL]);
    for (name, file) in names.zip(vocabularies::json_files().iter().chain(&models)) {
        File::create(root.join(name)).unwrap().write_all(file).unwrap();
    }
}

fn run(root: &Path, tokenizer: &str, change: Change, out: &Path) -> Manifest {
    let files = find_inputs(&[root.join("corpus").display().to_string()]).unwrap();
    let mut config =
        Tokenize { name: PlainName::near("t"), val_fraction: 0.1, ..Tokenize::default() };
    change(&mut config);
    let tokenizer = Tokenizer::load(root.join(tokenizer)).unwrap();
    let Outcome::Open(job) = Job::open(config, tokenizer, "t", files, out, false).unwrap() else {
        unreachable!("the folder is new")
    };
    job.run(|_| true, 2, &Progress::default(), &AtomicBool::new(false)).unwrap();
    job.commit(&AtomicBool::new(false)).unwrap()
}

/// Returns the names of the bins below a folder, sorted.
fn bins(folder: &Path) -> Vec<PathBuf> {
    let entries = [folder.to_owned(), folder.join("shards")];
    let entries = entries.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|ending| ending == "bin"));
    found.sort();
    found
}

/// Runs every variant with the tokenizers in Llama's manner and the plain job with the others, and
/// returns a line a bin: tokenizer, variant, name, tokens, SHA-256.
fn table(root: &Path) -> String {
    let mut table = String::new();
    for tokenizer in JSON.into_iter().chain([MODEL]) {
        let variants = if tokenizer.starts_with("llama.") { &VARIANTS[..] } else { &VARIANTS[..1] };
        for (variant, change) in variants {
            let folder = tempfile::tempdir().unwrap();
            run(root, tokenizer, *change, folder.path());
            for bin in bins(folder.path()) {
                let name = bin.file_name().unwrap().display();
                let bytes = fs::read(&bin).unwrap();
                write!(table, "{tokenizer} {variant} {name} {} ", bytes.len() / 2).unwrap();
                for byte in Sha256::digest(&bytes) {
                    write!(table, "{byte:02x}").unwrap();
                }
                table.push('\n');
            }
        }
    }
    table
}

#[test]
fn the_small_corpus_gives_the_recorded_bins() {
    let folder = tempfile::tempdir().unwrap();
    inputs(folder.path());
    if let Some(keep) = std::env::var_os("RATDATA_KEEP") {
        inputs(Path::new(&keep));
    }
    let recorded = ratdata_tests::root().join("tests/tests/golden/tokenize.txt");

    let table = table(folder.path());

    if std::env::var_os("RATDATA_REGENERATE").is_some() {
        File::create(&recorded).unwrap().write_all(table.as_bytes()).unwrap();
    }
    let expected = fs::read_to_string(&recorded).unwrap();
    let wrong: Vec<_> =
        table.lines().zip(expected.lines()).filter(|(now, was)| now != was).collect();
    assert!(table == expected, "now and recorded:\n{wrong:#?}");
}
