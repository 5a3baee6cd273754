//! Which files `ratdata tokenize` takes for data, and what it makes of damaged and foreign ones.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, BinaryArray, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use ratdata_tests::program::stderr;
use ratdata_tests::workshop::Workshop;
use serde_json::Value;

/// A line of JSON a text.
fn lines(texts: &[&str]) -> Vec<u8> {
    let line = |text: &&str| format!("{}\n", serde_json::json!({"text": text}));
    texts.iter().map(line).collect::<String>().into_bytes()
}

fn sources(manifest: &Value) -> Vec<&str> {
    let sources = manifest["sources"].as_array().unwrap();
    sources.iter().map(|source| source["name"].as_str().unwrap()).collect()
}

fn documents(manifest: &Value) -> u64 {
    let shards = manifest["splits"]["train"]["shards"].as_array().unwrap();
    shards.iter().map(|shard| shard["documents"].as_u64().unwrap()).sum()
}

/// The ids of the only file's documents, which all are in `train`.
fn ids(workshop: &Workshop, input: &str, more: &[&str]) -> Vec<u8> {
    let arguments = ["--input", input, "--val-fraction", "0", "--name", "x", "--force"];
    let made = workshop.manifest("ids", &[&arguments[..], more].concat());
    let bin = made["splits"]["train"]["shards"][0]["bin"]["path"].as_str().unwrap();
    fs::read(workshop.path("ids").join(bin)).unwrap()
}

#[test]
fn held_out_files_are_left_out_of_a_folder_unless_they_are_asked_for() {
    let workshop = Workshop::new();
    for name in [
        "train-00000-of-00001.jsonl",
        "more/web.jsonl",
        "validation-00000-of-00001.jsonl",
        "test/a.jsonl",
    ] {
        workshop.write(&format!("d/{name}"), lines(&[name]));
    }
    let run = |out: &str, arguments: &[&str]| {
        let more = ["--val-fraction", "0", "--out", out];
        workshop.tokenize(&[&more[..], arguments].concat())
    };
    let made = |out: &str| -> Value {
        serde_json::from_slice(&fs::read(workshop.path(out).join("manifest.json")).unwrap())
            .unwrap()
    };

    let train = run("train", &["--input", "d"]);
    let told = stderr(&train);
    assert!(train.status.success(), "{told}");
    assert_eq!(sources(&made("train")), ["more/web.jsonl", "train-00000-of-00001.jsonl"]);
    assert!(
        told.contains("tell: 2 (`test/a.jsonl`, `validation-00000-of-00001.jsonl`)")
            && told.contains("--split-files all|train|validation|test"),
        "{told}"
    );
    assert!(made("train")["recipe"].get("split_files").is_none());

    for (out, arguments, files) in [
        ("all", &["--input", "d", "--split-files", "all"][..], 4),
        ("val", &["--input", "d", "--split-files", "validation"], 1),
        ("test", &["--input", "d", "--split-files", "test"], 1),
        ("folder", &["--input", "d/test"], 1),
        ("glob", &["--input", "d/*.jsonl"], 2),
        ("named", &["--input", "d/test/a.jsonl", "d/more"], 2),
    ] {
        let output = run(out, arguments);
        assert!(output.status.success(), "{out}: {}", stderr(&output));
        assert_eq!(sources(&made(out)).len(), files, "{out}");
    }
    assert_eq!(made("all")["recipe"]["split_files"], "all");
    let again = run("all", &["--input", "d", "--split-files", "all"]);
    assert!(stderr(&again).contains("already done"), "{}", stderr(&again));
    let other = run("all", &["--input", "d"]);
    assert!(stderr(&other).contains("config.split_files: \"all\" -> null"), "{}", stderr(&other));
    let estimate = run("none", &["--input", "d", "--estimate"]);
    assert!(stderr(&estimate).contains("tell: 2"), "{}", stderr(&estimate));

    for (out, inputs) in
        [("train", &["d"][..]), ("all", &["d"]), ("named", &["d/test/a.jsonl", "d/more"])]
    {
        let arguments = ["verify", out, "--tokenizer", "demo/tokenizer", "--retokenize", "100%"];
        let verified = workshop.run(&[&arguments[..], &["--input"], inputs].concat());
        assert!(verified.status.success(), "{out}: {}", stderr(&verified));
    }
}

#[test]
fn a_folder_without_training_data_is_an_error() {
    let workshop = Workshop::new();
    let one = [vec!["one".to_owned()]];
    workshop.write_parquet("held/test.parquet", &one, WriterProperties::default());
    workshop.write("held/dev/1.txt", b"two");
    workshop.write("none/README.md", b"# card");
    workshop.write("none/a.xlsx", b"text\none\n");
    for (input, says, hint) in [
        ("held", "`held`: no file of it is taken as training data: found 2 files", "--split-files"),
        ("none", "`none`: nothing here is data: found 1 file (`a.xlsx`), and 1 that stand", "name"),
    ] {
        let output = workshop.tokenize(&["--input", input, "--out", "out"]);

        assert_eq!(output.status.code(), Some(1), "{input}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{input}: {}", stderr(&output));
        assert!(stderr(&output).contains(hint), "{input}: {}", stderr(&output));
        assert!(!workshop.path("out").exists());
    }
}

#[test]
fn what_stands_beside_the_data_is_no_document() {
    let workshop = Workshop::new();
    workshop.write("d/a.jsonl", lines(&["real"]));
    for name in [
        "README.md",
        "notes.md",
        "LICENSE",
        "LICENSE.txt",
        "NOTICE",
        "_SUCCESS",
        "_metadata",
        "_committed_1",
        ".git/x.jsonl",
        ".cache/y.txt",
        ".ipynb_checkpoints/a.jsonl",
        "a.jsonl.crc",
        "dataset_infos.json",
        "state.json",
        "load.py",
        "a.idx",
        "manifest.json",
        "sha256sums.txt",
    ] {
        workshop.write(&format!("d/{name}"), b"no data");
    }
    workshop.write("d/b.xlsx", b"text\n");

    let output = workshop.tokenize(&["--input", "d", "--val-fraction", "0", "--out", "out"]);

    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("unknown kind that are not read: 1 (`b.xlsx`)"),
        "{}",
        stderr(&output)
    );
    let named = workshop.manifest("md", &["--input", "d/README.md", "--val-fraction", "0"]);
    assert_eq!(documents(&named), 1, "what is named is read");
    let made = workshop.manifest("out", &["--input", "d", "--val-fraction", "0"]);
    assert_eq!(sources(&made), ["a.jsonl"]);
}

#[test]
fn a_mark_of_utf_8_costs_no_document_and_makes_no_token() {
    let workshop = Workshop::new();
    let plain = b"{\"text\": \"first\"}\r\n\r\n{\"text\": \"second\"}\r\n";
    let marked = [b"\xef\xbb\xbf", &plain[..]].concat();
    workshop.write("plain.jsonl", plain);
    workshop.write("marked.jsonl", &marked);
    workshop.write("marked.jsonl.zst", zstd::encode_all(&marked[..], 1).unwrap());
    workshop.write("plain.txt", b"one text");
    workshop.write("marked.txt", b"\xef\xbb\xbfone text");
    workshop.write("packed.txt.zst", zstd::encode_all(&b"\xef\xbb\xbfone text"[..], 1).unwrap());

    let expected = ids(&workshop, "plain.jsonl", &[]);
    for input in ["marked.jsonl", "marked.jsonl.zst"] {
        assert_eq!(ids(&workshop, input, &[]), expected, "{input}");
        assert_eq!(ids(&workshop, input, &["--on-bad-row", "skip"]), expected, "{input}");
    }
    let expected = ids(&workshop, "plain.txt", &[]);
    for input in ["marked.txt", "packed.txt.zst"] {
        assert_eq!(ids(&workshop, input, &[]), expected, "{input}");
    }
}

#[test]
fn an_empty_text_is_left_out_and_counted() {
    let workshop = Workshop::new();
    workshop.write("d/a.txt", b"one");
    workshop.write("d/b.txt", b"");
    workshop.write("d/c.txt", b"\xef\xbb\xbf");

    let output = workshop.tokenize(&["--input", "d", "--val-fraction", "0", "--out", "out"]);
    let told = stderr(&output);

    assert!(output.status.success(), "{told}");
    assert!(told.contains("2 rows without text were left out"), "{told}");
    assert!(told.contains("row 1, `d/b.txt`: the file is empty"), "{told}");
    let made = workshop.manifest("out", &["--input", "d", "--val-fraction", "0"]);
    assert_eq!((documents(&made), &made["sources"][0]["bad_rows"]), (1, &2.into()));
    let traced = workshop.run(&["trace", "out", "--token", "0", "--input", "d"]);
    assert!(traced.status.success(), "{}", stderr(&traced));
}

#[test]
fn what_is_no_number_matters_only_where_it_is_read() {
    let workshop = Workshop::new();
    workshop.write(
        "nan.jsonl",
        b"{\"score\": NaN, \"text\": \"a\"}\n{\"s\": [-Infinity, 1e999], \"text\": \"b\"}\n",
    );
    workshop.write("read.jsonl", b"{\"text\": NaN}\n");
    workshop.write("plain.jsonl", lines(&["a", "b"]));

    assert_eq!(ids(&workshop, "nan.jsonl", &[]), ids(&workshop, "plain.jsonl", &[]));
    let output = workshop.tokenize(&["--input", "read.jsonl", "--out", "out"]);
    assert!(
        stderr(&output).contains("line 1: field `text` is NaN, no string"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn what_stands_for_no_character_can_be_replaced_and_is_counted() {
    let workshop = Workshop::new();
    workshop.write(
        "wrong.jsonl",
        b"{\"text\": \"left \\ud83d right\"}\n{\"text\": \"fine\"}\n{\"text\": \"caf\xe9\"}\n",
    );
    workshop.write("right.jsonl", lines(&["left \u{fffd} right", "fine", "caf\u{fffd}"]));
    workshop.write("wrong.txt", b"caf\xe9");
    workshop.write("right.txt", "caf\u{fffd}".as_bytes());
    workshop.write("null.jsonl", b"{\"text\": null}\n");
    let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Binary, false)]));
    let texts: ArrayRef = Arc::new(BinaryArray::from(vec![&b"left \xff right"[..], b"fine"]));
    let file = fs::File::create_new(workshop.path("wrong.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, schema.clone(), None).unwrap();
    writer.write(&RecordBatch::try_new(schema, vec![texts]).unwrap()).unwrap();
    writer.close().unwrap();
    workshop.write("table.jsonl", lines(&["left \u{fffd} right", "fine"]));

    for (wrong, right, count) in [
        ("wrong.jsonl", "right.jsonl", 2),
        ("wrong.txt", "right.txt", 1),
        ("wrong.parquet", "table.jsonl", 1),
    ] {
        let refused = workshop.tokenize(&["--input", wrong, "--out", "refused"]);
        assert_eq!(refused.status.code(), Some(1), "{wrong}");
        assert!(
            stderr(&refused).contains("`--on-bad-row replace` puts U+FFFD"),
            "{}",
            stderr(&refused)
        );
        fs::remove_dir_all(workshop.path("refused")).unwrap();

        let replaced = ids(&workshop, wrong, &["--on-bad-row", "replace"]);
        assert_eq!(replaced, ids(&workshop, right, &[]), "{wrong}");
        let output = workshop.tokenize(&[
            "--input",
            wrong,
            "--on-bad-row",
            "replace",
            "--val-fraction",
            "0",
            "--out",
            "out",
            "--force",
        ]);
        let told = stderr(&output);
        assert!(told.contains(&format!("{count} rows have U+FFFD in the place")), "{told}");
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(shown.contains(&format!("{count} rows with U+FFFD put in")), "{shown}");
        let made: Value =
            serde_json::from_slice(&fs::read(workshop.path("out/manifest.json")).unwrap()).unwrap();
        assert_eq!(made["sources"][0]["replaced_rows"], count);
        let verified = workshop.run(&[
            "verify",
            "out",
            "--retokenize",
            "100%",
            "--input",
            wrong,
            "--tokenizer",
            "demo/tokenizer",
        ]);
        assert!(verified.status.success(), "{wrong}: {}", stderr(&verified));
    }
    let null =
        workshop.tokenize(&["--input", "null.jsonl", "--on-bad-row", "replace", "--out", "null"]);
    assert!(stderr(&null).contains("line 1: the text is null"), "{}", stderr(&null));
}

#[test]
fn what_is_no_data_is_named() {
    let workshop = Workshop::new();
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 1\n";
    let names =
        ["a.parquet", "a.jsonl", "a.txt", "a.jsonl.gz", "a.jsonl.zst", "a.arrow", "a.txt.gz"];
    for name in names {
        workshop.write(&format!("lfs/{name}"), pointer);
    }
    workshop.write("page.parquet", b"<!DOCTYPE html>\n<html>");
    workshop.write("page.jsonl", b"\n<html>\n");
    workshop.write("object.json", b"{\n  \"text\": \"a\"\n}\n");
    workshop.write("array.jsonl", b"[{\"text\": \"a\"}, \n");
    let utf16: Vec<u8> =
        "\u{feff}{\"text\": \"a\"}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    workshop.write("utf16.jsonl", &utf16);
    workshop.write("utf16.txt", &utf16);
    let made = Command::new("mkfifo").arg(workshop.path("pipe.jsonl")).status().unwrap();
    assert!(made.success());
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let twice = [texts.clone(), texts];
    let field = || Field::new("text", DataType::Utf8, false);
    let schema = Arc::new(Schema::new(vec![field(), field()]));
    let file = fs::File::create_new(workshop.path("twice.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, schema.clone(), None).unwrap();
    writer.write(&RecordBatch::try_new(schema, twice.to_vec()).unwrap()).unwrap();
    writer.close().unwrap();
    let lfs = names.map(|name| format!("lfs/{name}"));
    let pointers = lfs.iter().map(|name| (name.as_str(), "a pointer of Git LFS", "git lfs pull"));
    let others = [
        ("page.parquet", "an HTML or XML page", "fetch the file again"),
        ("page.jsonl", "an HTML or XML page", "fetch the file again"),
        ("object.json", "one JSON object over several lines", "jq"),
        ("array.jsonl", "row 1, line 2: the file ends before the `]`", "fetch or write it again"),
        ("utf16.jsonl", "text in UTF-16", "iconv"),
        ("utf16.txt", "the text is UTF-16", "--on-bad-row skip"),
        ("pipe.jsonl", "a pipe (FIFO), expected a file", "to a file first"),
        ("/dev/null", "a device, expected a file", "to a file first"),
        ("twice.parquet", "2 columns are called `text`", "rename"),
    ];
    for (input, says, hint) in pointers.chain(others) {
        let output = workshop.tokenize(&["--input", input, "--out", "out"]);
        let told = stderr(&output);

        assert_eq!(output.status.code(), Some(1), "{input}: {told}");
        assert!(told.contains(input) && told.contains(says), "{input}: {told}");
        assert!(told.contains("\nhint: ") && told.contains(hint), "{input}: {told}");
        assert!(!workshop.path("out/manifest.json").exists(), "{input}");
        fs::remove_dir_all(workshop.path("out")).ok();
    }
    for input in ["lfs/a.jsonl", "page.jsonl", "array.jsonl", "utf16.jsonl"] {
        let output = workshop.tokenize(&["--input", input, "--out", "out", "--on-bad-row", "skip"]);
        assert_eq!(output.status.code(), Some(1), "{input} is no row: {}", stderr(&output));
    }
}

#[test]
fn padding_behind_gzip_is_read_over() {
    let workshop = Workshop::new();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &lines(&["one", "two"])).unwrap();
    let member = encoder.finish().unwrap();
    workshop.write("padded.jsonl.gz", [&member[..], &[0; 512]].concat());
    workshop.write("junk.jsonl.gz", [&member[..], b"junk"].concat());
    workshop.write("plain.jsonl", lines(&["one", "two"]));

    assert_eq!(ids(&workshop, "padded.jsonl.gz", &[]), ids(&workshop, "plain.jsonl", &[]));
    let output = workshop.tokenize(&["--input", "junk.jsonl.gz", "--out", "out"]);
    assert!(stderr(&output).contains("begins neither a member nor padding"), "{}", stderr(&output));
}

#[test]
fn numbers_that_make_no_sense_are_told_in_plain_words() {
    let workshop = Workshop::new();
    for (arguments, says) in [
        (["--limit-docs", "0"], "found `0`, expected a whole number from 1 to"),
        (["--limit-docs", "-1"], "found `-1`, expected a whole number from 1 to"),
        (["--num-proc", "-1"], "found `-1`, expected a number of threads from 1 to 4096"),
        (["--num-proc", "99999999999999999999"], "expected a number of threads from 1 to 4096"),
        (["--split-seed", "-1"], "a whole number from 0 to 18446744073709551615"),
        (["--val-fraction", "-0.5"], "found -0.5, expected a share from 0 to 1"),
    ] {
        let output = workshop.tokenize(&arguments);

        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn one_huge_document_does_not_keep_the_program_from_ending() {
    let workshop = Workshop::new();
    // One word of 60 MB, which takes the merge loop long; its line is read, parsed and encoded whole.
    let word = "abcdefghij".repeat(6 << 20);
    workshop.write("huge.jsonl", format!("{{\"text\": \"{word}\"}}\n").as_bytes());
    let start = |out| {
        workshop
            .command(&["tokenize", "--tokenizer", "demo/tokenizer", "--input", "huge.jsonl"])
            .args(["--out", out, "--num-proc", "1"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    // Machines differ in speed: the signals come at shares of the time that the whole job takes on this one.
    let begun = Instant::now();
    assert!(start("whole").wait().unwrap().success());
    let whole = begun.elapsed();
    for share in [0.1, 0.3, 0.6] {
        let wait = whole.mul_f64(share);
        let mut run = start("out");
        std::thread::sleep(wait);
        let asked = Instant::now();
        Command::new("kill").args(["-TERM", &run.id().to_string()]).status().unwrap();
        let status = run.wait().unwrap();
        let took = asked.elapsed();

        assert_eq!(status.code(), Some(130), "after {wait:?} of {whole:?}");
        assert!(took < Duration::from_secs(2), "after {wait:?} of {whole:?}: {took:?}");
        assert!(!workshop.path("out/manifest.json").exists(), "after {wait:?} of {whole:?}");
    }
}
