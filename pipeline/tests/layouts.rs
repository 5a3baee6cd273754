//! Exports and imports: what goes out comes back the same, and others' readers read it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use ratdata_schemas::layouts::npy::NpyHeader;
use ratdata_schemas::{
    BaseRecord, BinSet, Checksum, FileRecord, Manifest, PackRecord, PairsRecord, PlainName,
    RelativePath, Row, RowSet, Span, SplitRecord,
};
use ratdata_tests::program::{run, succeed, write_sample_with_bins};
use tempfile::TempDir;

/// The layouts that are both written and read, and whether they hold loss masks.
const BOTH_WAYS: [(&str, bool); 6] = [
    ("megatron", false),
    ("llmc", false),
    ("datatrove", true),
    ("olmo", true),
    ("npy", true),
    ("safetensors", true),
];

fn write(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // Some files are links to others: those are replaced, not edited.
    fs::remove_file(path).ok();
    fs::File::create(path).unwrap().write_all(content).unwrap();
}

/// The demo's artifact at `demo/tokens`, and the same with loss masks at `masked`.
fn workshop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_sample_with_bins(folder.path());
    succeed(
        folder.path(),
        &["export", "demo/tokens", "--to", "datatrove", "--out", "with-loss", "--split", "train"],
    );
    for (number, path) in files(&folder.path().join("with-loss/train"), ".ds").iter().enumerate() {
        let tokens = fs::metadata(path).unwrap().len() / 2;
        let loss: Vec<u8> = (0..tokens).map(|at| u8::from(at % (3 + number as u64) == 0)).collect();
        write(&PathBuf::from(format!("{}.loss", path.display())), &loss);
    }
    import(folder.path(), "with-loss/train", "datatrove", "masked");
    folder
}

fn import(folder: &Path, input: &str, from: &str, out: &str) {
    succeed(
        folder,
        &["import", input, "--from", from, "--out", out, "--tokenizer", "demo/tokenizer"],
    );
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect();
    found.sort();
    found
}

/// The checksums of the bins, indexes and masks of the train split, in order.
fn content(root: &Path) -> Vec<(String, String, Option<String>)> {
    let manifest = Manifest::read(root).unwrap();
    let set = BinSet::from_manifest(root, &manifest, "train").unwrap();
    set.shards().iter().for_each(|shard| shard.index().unwrap().check(shard.bin().len()).unwrap());
    let SplitRecord::Shards { shards } = &manifest.splits["train"] else { return Vec::new() };
    shards
        .iter()
        .map(|shard| {
            let mask = shard.mask.as_ref().map(|mask| mask.blake3.to_string());
            (shard.bin.blake3.to_string(), shard.idx.blake3.to_string(), mask)
        })
        .collect()
}

#[test]
fn every_layout_comes_back_as_it_was() {
    let folder = workshop();
    let root = folder.path();

    for (artifact, masked) in [("demo/tokens", false), ("masked", true)] {
        let expected = content(&root.join(artifact));
        assert_eq!(expected[0].2.is_some(), masked);
        for (layout, holds_masks) in BOTH_WAYS {
            let there = format!("out/{artifact}/{layout}");
            let back = format!("back/{artifact}/{layout}");
            succeed(root, &["export", artifact, "--to", layout, "--out", &there]);
            import(root, &format!("{there}/train"), layout, &back);

            let mut found = content(&root.join(&back));

            if masked && !holds_masks {
                assert!(found.iter().all(|shard| shard.2.is_none()));
                found.iter_mut().zip(&expected).for_each(|(one, other)| one.2.clone_from(&other.2));
            }
            assert_eq!(found, expected, "{layout} of {artifact}");
        }
    }
    succeed(
        root,
        &[
            "import",
            "demo/tokens/shards/demo-train-000_00000.bin",
            "--from",
            "raw",
            "--eos",
            "2",
            "--out",
            "raw",
        ],
    );
    assert_eq!(content(&root.join("raw"))[0], content(&root.join("demo/tokens"))[0]);
    let manifest = Manifest::read(&root.join("raw")).unwrap();
    assert_eq!(
        (manifest.tokenizer.semantics.to_string().as_str(), manifest.tokenizer.eos),
        ("unknown", Some(2))
    );
}

#[test]
fn payloads_are_linked_or_copied_as_asked() {
    use std::os::unix::fs::MetadataExt;
    let folder = workshop();
    let root = folder.path();
    let ours = fs::metadata(root.join("demo/tokens/shards/demo-train-000_00000.bin")).unwrap();
    let place = |out: &str| root.join(out).join("train/demo-train-000_00000.ds");

    let told = succeed(root, &["export", "demo/tokens", "--to", "datatrove", "--out", "a"]);
    let report = succeed(
        root,
        &["export", "demo/tokens", "--to", "datatrove", "--out", "b", "--copy", "--json"],
    );

    assert!(told.contains("linked to the artifact's own"), "{told}");
    assert_eq!(fs::metadata(place("a")).unwrap().ino(), ours.ino());
    assert_ne!(fs::metadata(place("b")).unwrap().ino(), ours.ino());
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["files"][0]["carried"], "copied");
    let again = run(root, &["export", "demo/tokens", "--to", "datatrove", "--out", "a"]);
    assert_eq!(again.status.code(), Some(1));
    succeed(root, &["export", "demo/tokens", "--to", "datatrove", "--out", "a", "--force"]);
    assert!(files(&root.join("a/train"), ".partial").is_empty());
}

#[test]
fn files_cut_within_a_document_are_joined_there_again() {
    let folder = workshop();
    let root = folder.path();
    let header = |tokens: u32| {
        let mut bytes = vec![0; 1024];
        for (at, word) in [20_240_520_u32, 1, tokens].into_iter().enumerate() {
            bytes[at * 4..at * 4 + 4].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    };
    let bin = |ids: &[u16]| {
        let mut bytes = header(u32::try_from(ids.len()).unwrap());
        bytes.extend(ids.iter().flat_map(|id| id.to_le_bytes()));
        bytes
    };
    write(&root.join("cut/1.bin"), &bin(&[2, 10, 11, 2, 12]));
    write(&root.join("cut/2.bin"), &bin(&[13, 2, 14]));
    write(&root.join("cut/3.bin"), &bin(&[2, 15]));

    succeed(root, &["import", "cut", "--from", "llmc", "--eos", "2", "--out", "joined"]);

    let set = BinSet::open(&root.join("joined"), "train").unwrap();
    let read: Vec<(Vec<u32>, Vec<u64>)> = set
        .shards()
        .iter()
        .map(|shard| (shard.bin().tokens().to_vec(), shard.index().unwrap().ends().to_vec()))
        .collect();
    assert_eq!(read[0], (vec![10, 11, 2, 12], vec![3, 4]));
    assert_eq!(read[1], (vec![13, 2, 14, 2], vec![2, 4]));
    assert_eq!(read[2], (vec![15, 2], vec![2]));
}

#[test]
fn each_wrong_file_is_told_in_one_error() {
    let folder = workshop();
    let root = folder.path();
    for layout in ["megatron", "npy", "datatrove", "olmo", "llmc"] {
        succeed(root, &["export", "demo/tokens", "--to", layout, "--out", layout, "--copy"]);
    }
    let stem = "train/demo-train-000_00000";
    let damage = |path: String, change: &dyn Fn(&mut Vec<u8>)| {
        let path = root.join(path);
        let mut bytes = fs::read(&path).unwrap();
        change(&mut bytes);
        write(&path, &bytes);
    };
    damage(format!("megatron/{stem}.idx"), &|bytes| bytes.truncate(bytes.len() - 5));
    damage(format!("npy/{stem}.npy"), &|bytes| bytes[6] = 9);
    damage(format!("datatrove/{stem}.ds.index"), &|bytes| bytes[7] = 0xff);
    damage(format!("olmo/{stem}.csv.gz"), &|bytes| bytes.truncate(bytes.len() / 2));
    damage(format!("llmc/{stem}.bin"), &|bytes| bytes[8] ^= 1);
    write(&root.join("large.bin"), &[0xff, 0xff, 2, 0]);
    write(&root.join("odd.bin"), &[1, 2, 3]);
    write(&root.join("deep.npy"), &ratdata_schemas::layouts::npy::header("<i8", &[0]));
    let cases: BTreeMap<&str, (&str, String, &str)> = BTreeMap::from([
        ("1", ("megatron", "megatron/train".into(), "demo-train-000_00000.idx: ")),
        ("2", ("npy", "npy/train".into(), "the version is 9.0, expected 1.0, 2.0 or 3.0")),
        ("3", ("datatrove", "datatrove/train".into(), ".ds.index: document end 0 is ")),
        ("4", ("olmo", "olmo/train".into(), "demo-train-000_00000.csv.gz: ")),
        ("5", ("llmc", "llmc/train".into(), "the bin takes")),
        ("6", ("raw", "large.bin".into(), "id 65535, the vocabulary has")),
        ("7", ("raw", "odd.bin".into(), "3 bytes, not a multiple of 2")),
        ("8", ("npy", "deep.npy".into(), "the element type is `<i8`")),
        ("9", ("raw", "missing.bin".into(), "missing.bin: ")),
        ("a", ("megatron", "demo/corpus".into(), "no file of this layout, expected .bin")),
    ]);
    for (layout, input, says) in cases.values() {
        let output = run(
            root,
            &["import", input, "--from", layout, "--out", "bad", "--tokenizer", "demo/tokenizer"],
        );

        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{layout}: {said}");
        assert!(said.contains(says), "{layout}: {said}");
        assert!(!root.join("bad/manifest.json").exists());
        assert!(
            !root.join("bad/shards").exists() || files(&root.join("bad/shards"), "").is_empty()
        );
    }
    let unsaid = run(root, &["import", "large.bin", "--from", "raw", "--out", "bad"]);
    assert_eq!(unsaid.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unsaid.stderr).contains("--eos none"));
}

#[test]
fn text_comes_back_from_json_lines() {
    let folder = workshop();
    let root = folder.path();
    succeed(
        root,
        &[
            "export",
            "demo/tokens",
            "--to",
            "jsonl",
            "--out",
            "text",
            "--tokenizer",
            "demo/tokenizer",
        ],
    );

    succeed(
        root,
        &[
            "tokenize",
            "--tokenizer",
            "demo/tokenizer",
            "--input",
            "text/train",
            "--out",
            "again",
            "--val-fraction",
            "0",
            "--order",
            "file",
            "--name",
            "demo",
            "--quiet",
        ],
    );

    let expected = BinSet::open(&root.join("demo/tokens"), "train").unwrap();
    let found = BinSet::open(&root.join("again"), "train").unwrap();
    assert_eq!(found.num_documents(), expected.num_documents());
    let tokens = |set: &BinSet| -> Vec<u32> {
        set.shards().iter().flat_map(|shard| shard.bin().tokens().to_vec()).collect()
    };
    assert!(tokens(&found) == tokens(&expected), "the ids differ");
    // Away from its tokenizer, which is found where it lies near.
    fs::create_dir(root.join("far")).unwrap();
    fs::rename(root.join("demo/tokens"), root.join("far/tokens")).unwrap();
    fs::create_dir_all(root.join("quite/elsewhere")).unwrap();
    fs::rename(root.join("demo"), root.join("quite/elsewhere/demo")).unwrap();
    let other = run(root, &["export", "far/tokens", "--to", "jsonl", "--out", "x"]);
    assert!(String::from_utf8_lossy(&other.stderr).contains("with `--tokenizer`"));
}

/// Writes an artifact of one split, `pairs` or `pack`, over the given bytes.
fn rows_artifact(root: &Path, split: &str, part: SplitRecord, base: Option<BaseRecord>) {
    let of = Manifest::read(&root.join("../demo/tokens")).unwrap();
    let splits = BTreeMap::from([(PlainName::near(split), part)]);
    Manifest { name: PlainName::near("t"), splits, sources: Vec::new(), base, ..of }
        .write(root)
        .unwrap();
}

fn record(root: &Path, name: &str, bytes: &[u8]) -> FileRecord {
    write(&root.join(name), bytes);
    let (bytes, blake3) = (bytes.len() as u64, Checksum::of(bytes));
    FileRecord { path: RelativePath::new(name).unwrap(), bytes, blake3 }
}

/// The shape and the elements' bytes of a `.npy` file.
fn array(path: &Path) -> (String, Vec<u64>, Vec<u8>) {
    let bytes = fs::read(path).unwrap();
    let header = NpyHeader::parse(&bytes).unwrap();
    let content = bytes[header.data_offset..].to_vec();
    (header.descr, header.shape, content)
}

#[test]
fn rows_are_exported_with_labels_and_segments() {
    let folder = workshop();
    let root = folder.path();
    let pairs = root.join("pairs");
    let inputs: Vec<u8> =
        [5_i16, 6, 7, 2, 8, 2, 2, 2].iter().flat_map(|id| id.to_le_bytes()).collect();
    let labels: Vec<u8> = [-100_i16, 7, 2, -100, 2, -100, -100, -100]
        .iter()
        .flat_map(|id| id.to_le_bytes())
        .collect();
    let lengths: Vec<u8> = [2_u32, 3, 1, 1].iter().flat_map(|n| n.to_le_bytes()).collect();
    let part = SplitRecord::Pairs(PairsRecord {
        rows: 2,
        row_len: 4,
        inputs: record(&pairs, "i.bin", &inputs),
        labels: record(&pairs, "l.bin", &labels),
        lengths: record(&pairs, "n.bin", &lengths),
        answers: None,
    });
    rows_artifact(&pairs, "test", part, None);
    let pack = root.join("pack");
    let spans = [
        Span { start: 0, len: 3, column: 0 },
        Span { start: 7, len: 2, column: 3 },
        Span { start: 9, len: 6, column: 0 },
    ];
    let spans: Vec<u8> = spans.into_iter().flat_map(Span::to_bytes).collect();
    let ends: Vec<u8> = [2_u64, 3].iter().flat_map(|end| end.to_le_bytes()).collect();
    let part = SplitRecord::Pack(PackRecord {
        rows: 2,
        row_len: 6,
        tokens: 11,
        row_ends: record(&pack, "r.bin", &ends),
        spans: record(&pack, "s.bin", &spans),
        counts: None,
    });
    let manifest = ratdata_schemas::manifest_checksum(&root.join("demo/tokens")).unwrap();
    let base = BaseRecord { path: "../demo/tokens".into(), manifest };
    rows_artifact(&pack, "train", part, Some(base));

    for input in ["pairs", "pack"] {
        for layout in ["npy", "safetensors", "jsonl"] {
            let out = format!("rows/{input}/{layout}");
            succeed(
                root,
                &["export", input, "--to", layout, "--out", &out, "--tokenizer", "demo/tokenizer"],
            );
        }
    }

    let npy = |name: &str| array(&root.join("rows").join(name));
    assert_eq!(npy("pairs/npy/test/t-test-inputs.npy"), ("<i2".into(), vec![2, 4], inputs));
    assert_eq!(npy("pairs/npy/test/t-test-labels.npy").2, labels);
    let set = RowSet::open(&pack, "train").unwrap();
    let mut row = Row::default();
    set.read(0, &mut row);
    let (descr, shape, labels) = npy("pack/npy/train/t-train-labels.npy");
    assert_eq!((descr.as_str(), &shape[..]), ("<i4", &[2, 5][..]));
    let expected: Vec<u8> = row.labels.iter().flat_map(|label| label.to_le_bytes()).collect();
    assert_eq!(labels[..20], expected);
    let segments = npy("pack/npy/train/t-train-segments.npy").2;
    assert_eq!(segments[..20].iter().step_by(4).copied().collect::<Vec<_>>(), [1, 1, 1, 2, 2]);
    let lines = fs::read_to_string(root.join("rows/pack/jsonl/train/t-train.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 2);
    let refused = run(root, &["export", "pack", "--to", "megatron", "--out", "no"]);
    assert_eq!(refused.status.code(), Some(2));
}

/// Returns a Python that has NumPy, or says why a test does not run.
#[expect(clippy::print_stderr, reason = "a skipped test says so where its runner shows it")]
fn python() -> Option<String> {
    let named = std::env::var("RATDATA_PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&named).args(["-c", "import numpy"]).output();
    if has.is_ok_and(|output| output.status.success()) {
        return Some(named);
    }
    eprintln!("skipped: no `{named}` with numpy; RATDATA_PYTHON names another");
    None
}

#[test]
fn the_readers_of_others_read_the_exports() {
    let Some(python) = python() else { return };
    let folder = workshop();
    let root = folder.path();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read_exports.py");
    for artifact in ["demo/tokens", "masked"] {
        for layout in ["megatron", "llmc", "datatrove", "olmo", "npy", "safetensors"] {
            let out = format!("read/{artifact}/{layout}");
            succeed(root, &["export", artifact, "--to", layout, "--out", &out]);

            let output = Command::new(&python)
                .arg(&script)
                .args([layout, artifact, &format!("{out}/train")])
                .current_dir(root)
                .output()
                .unwrap();

            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{layout} of {artifact}: {said}");
            let missing = String::from_utf8_lossy(&output.stdout).into_owned();
            if !missing.is_empty() {
                eprintln!("skipped: {layout}: {missing}");
            }
        }
    }
}

#[test]
fn the_reader_in_the_docs_reads_the_bins() {
    let Some(python) = python() else { return };
    let folder = workshop();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts");
    let program = "
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from ratdata_reader import Tokens, Sequences
tokens, sequences = Tokens('demo/tokens'), Sequences('demo/tokens', seq_len=1000)
stream = np.concatenate([np.array(shard) for shard in tokens.shards]).astype(np.int64)
assert np.array_equal(tokens.read(0, len(tokens)), stream)
assert np.array_equal(np.concatenate(list(tokens.documents())), stream)
assert len(sequences) == (len(stream) - 1) // 1000
for row in range(len(sequences)):
    inputs, labels = sequences[row]
    at = row * 1000
    assert np.array_equal(inputs, stream[at:at + 1000])
    assert np.array_equal(labels, np.where(inputs == 2, -100, stream[at + 1:at + 1001]))
for wrong in (-1, len(sequences)):
    try:
        sequences[wrong]
    except IndexError:
        continue
    raise AssertionError(wrong)
";

    let output = Command::new(python)
        .args(["-c", program])
        .arg(scripts)
        .current_dir(folder.path())
        .output()
        .unwrap();

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
