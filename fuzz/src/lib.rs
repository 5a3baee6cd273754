//! What is run on hostile bytes: every parser of ours, and the engine with its slow twin.
//!
//! A target takes any bytes and must neither panic nor take long: what is wrong is a typed error,
//! and what is read is what was promised. `cargo test -p ratdata-fuzz` runs all of them for a
//! moment on any compiler; `cargo fuzz` runs one for as long as it is let.

mod artifacts;
mod input_files;
mod vocabularies;

use std::path::{Component, Path};

use ratdata_schemas::layouts::{datatrove, llmc, megatron, npy, olmo, parse_ends, safetensors};
use ratdata_schemas::recipe::{Task, Template};
use ratdata_schemas::{BinSet, Dtype, Manifest, Row, RowSet};
use ratdata_tokenize::source::{ArrowTable, InputKind, Source, Table, Undecodable, find_inputs};
use ratdata_tokenize::tokenizer::{SpecialInText, Tokenizer};

use artifacts::in_folder;

/// A target's name, what it does with bytes, and bytes to begin with.
pub struct Target {
    /// What `cargo fuzz run` calls it.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
    /// Well-formed bytes, which mutations begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: [Target; 9] = [
    Target { name: "manifest", run: manifest, seeds: artifacts::manifests },
    Target { name: "bins", run: bins, seeds: artifacts::bins },
    Target { name: "rows", run: rows, seeds: artifacts::row_files },
    Target { name: "layouts", run: layouts, seeds: artifacts::layouts },
    Target { name: "tokenizer_json", run: tokenizer_json, seeds: vocabularies::tokenizer_files },
    Target { name: "sentencepiece", run: sentencepiece, seeds: vocabularies::models },
    Target { name: "task", run: task, seeds: vocabularies::tasks },
    Target { name: "records", run: records, seeds: input_files::records },
    Target { name: "engine", run: engine, seeds: vocabularies::texts },
];

/// Reads a manifest; paths that it names stay inside its folder.
///
/// # Panics
///
/// Where what is read is not what was promised; that is what fuzzing looks for.
pub fn manifest(bytes: &[u8]) {
    let Ok(manifest) = Manifest::parse(Path::new("manifest.json"), bytes) else { return };
    for record in manifest.files() {
        let path = record.place(Path::new("/artifact"));
        let leads_up = path.components().any(|part| part == Component::ParentDir);
        assert!(path.starts_with("/artifact") && !leads_up, "{}", path.display());
    }
    for name in manifest.splits.keys().chain([&manifest.name]) {
        let file = Path::new("/artifact").join(format!("{name}-x"));
        let folder = Path::new("/artifact").join(name.as_str());
        for path in [file, folder] {
            assert_eq!(path.parent(), Some(Path::new("/artifact")), "{}", path.display());
        }
    }
}

/// Reads a bin of ids and its index, and the same bytes as a pair of inputs and labels: the first
/// byte says where one ends and the other begins.
///
/// # Panics
///
/// Where what is read is not what was promised; that is what fuzzing looks for.
pub fn bins(bytes: &[u8]) {
    let Some((&at, rest)) = bytes.split_first() else { return };
    let (bin, idx) = rest.split_at(rest.len() * usize::from(at) / 256);
    in_folder(&[("x.bin", bin), ("x.idx", idx)], |folder| {
        for dtype in [Dtype::U16, Dtype::U32] {
            let Ok(set) = BinSet::open_bin(&folder.join("x.bin"), dtype) else { continue };
            let shard = &set.shards()[0];
            let Some(index) = shard.index() else { continue };
            let documents = (0..index.len()).filter_map(|number| index.range(number));
            let tokens: u64 = documents.map(|range| range.end - range.start).sum();
            assert!(tokens <= shard.bin().len());
            let found = (0..shard.bin().len()).filter_map(|token| index.document_of(token));
            assert!(found.max().is_none_or(|last| last < index.len()));
        }
    });
    let lengths = &rest[..rest.len().min(16)];
    let files = [("x-inputs.bin", bin), ("x-labels.bin", idx), ("x-lengths.bin", lengths)];
    for files in [&files[..], &files[..2]] {
        in_folder(files, |folder| {
            let [inputs, labels] =
                ["inputs", "labels"].map(|ending| folder.join(format!("x-{ending}.bin")));
            for row_len in [1, 3] {
                let Ok(set) = RowSet::open_pair(&inputs, &labels, row_len) else { continue };
                let mut row = Row::default();
                for number in 0..set.num_rows().min(1000) {
                    set.read(number, &mut row);
                    assert_eq!(row.inputs.len(), row.labels.len());
                }
            }
        });
    }
}

/// Reads an artifact of packed rows in which one file has other bytes: the first says which.
///
/// # Panics
///
/// Where what is read is not what was promised; that is what fuzzing looks for.
pub fn rows(bytes: &[u8]) {
    let Some((&which, rest)) = bytes.split_first() else { return };
    let mut files = artifacts::pack();
    let which = usize::from(which) % files.len();
    rest.clone_into(&mut files[which].1);
    let files: Vec<(&str, &[u8])> =
        files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    in_folder(&files, |folder| {
        let Ok(set) = RowSet::open(&folder.join("pack"), "train") else { return };
        let mut row = Row::default();
        for number in 0..set.num_rows().min(1000) {
            set.read(number, &mut row);
            assert_eq!(row.inputs.len(), set.seq_len());
        }
    });
}

/// Reads the headers and indexes of other tools' layouts.
pub fn layouts(bytes: &[u8]) {
    let len = bytes.len() as u64;
    if let Ok(header) = npy::NpyHeader::parse(bytes) {
        drop((header.len(), header.flat_len(2, len)));
    }
    if let Ok(index) = megatron::MegatronIndex::parse(bytes) {
        drop(index.ends(len));
    }
    drop(llmc::LlmcHeader::parse(bytes, len));
    drop(datatrove::DatatroveMetadata::parse(bytes));
    drop(olmo::parse_ends(bytes));
    drop(parse_ends(bytes, len));
    if let Some((first, header)) = bytes.split_at_checked(8) {
        drop(safetensors::header_len(first, len));
        drop(safetensors::find(header, "tokens", len));
    }
}

/// Loads a `tokenizer.json`, and encodes with it what it can.
///
/// # Panics
///
/// Where what is read is not what was promised; that is what fuzzing looks for.
pub fn tokenizer_json(bytes: &[u8]) {
    in_folder(&[("tokenizer.json", bytes)], |folder| load(&folder.join("tokenizer.json")));
}

/// Loads a SentencePiece model, and encodes with it what it can.
///
/// # Panics
///
/// Where what is read is not what was promised; that is what fuzzing looks for.
pub fn sentencepiece(bytes: &[u8]) {
    in_folder(&[("tokenizer.model", bytes)], |folder| load(&folder.join("tokenizer.model")));
}

fn load(path: &Path) {
    let Ok(tokenizer) = Tokenizer::load(path) else { return };
    agree(&tokenizer, "The cafe\u{301} costs 12 €,\n\n  or  ▁ so. <s> 🙂\u{0}");
}

/// Holds the engine to its plain twin, where there is an engine.
fn agree(tokenizer: &Tokenizer, text: &str) {
    let mut ids: Vec<u32> = Vec::new();
    let encoded = tokenizer.encoder(SpecialInText::Plain).encode_into(text, &mut ids);
    if encoded.is_err() {
        return;
    }
    drop(tokenizer.decode(&ids));
    if let Ok(Some(plain)) = tokenizer.oracle().encode_plainly(text, SpecialInText::Plain) {
        assert_eq!(ids, plain, "{text:?}");
    }
}

/// Reads a task file and a template.
pub fn task(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        drop(Template::parse(text));
    }
    in_folder(&[("task.toml", bytes)], |folder| drop(Task::read(&folder.join("task.toml"))));
}

/// Reads documents from every kind of file that has them, plain and compressed, and whole rows as tables.
pub fn records(bytes: &[u8]) {
    for name in [
        "x.jsonl",
        "x.jsonl.gz",
        "x.jsonl.zst",
        "x.json",
        "x.parquet",
        "x.arrow",
        "x.arrow.zst",
        "x.csv",
        "x.tsv.gz",
        "x.tar",
        "x.tar.gz",
        "x.txt",
    ] {
        in_folder(&[(name, bytes)], |folder| {
            let path = folder.join(name).display().to_string();
            let Ok(files) = find_inputs(&[path]) else { return };
            if let Ok(table) = Table::open(&files[0], &["text"]) {
                drop(table.read(&mut |_| true));
            }
            if let InputKind::Arrow(compression) = files[0].kind
                && let Ok(table) = ArrowTable::open(&files[0].path, compression)
            {
                drop(table.read(&|| false, &mut |_, _| true));
            }
            let Ok(source) = Source::open(&files[0], "text") else { return };
            for part in 0..source.num_parts().min(8) {
                drop(source.read_part(part, &|| false, &mut |rows| {
                    for cell in &rows.cells {
                        drop(source.text(cell, Undecodable::Refuse));
                        drop(source.text(cell, Undecodable::Replace));
                        drop((source.object(cell), source.line(cell, Some("other"))));
                    }
                    true
                }));
            }
        });
    }
}

/// Holds the engine to its plain twin on any text.
///
/// # Panics
///
/// Where what is read is not what was promised; that is what fuzzing looks for.
pub fn engine(bytes: &[u8]) {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]);
    vocabularies::with_small(|tokenizer| agree(tokenizer, &text));
}
