//! One clear error for each file that is wrong.

use std::fs;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, ListArray, RecordBatch};
use arrow_ipc::writer::StreamWriter;
use ratdata_tests::program::stderr;
use ratdata_tests::workshop::Workshop;

use crate::support::{arrow_of, formats, lines_of, rows, tar_of};

#[test]
fn each_wrong_file_is_told_in_one_error_with_its_place() {
    let workshop = Workshop::new();
    let rows = rows();
    let array = serde_json::to_vec_pretty(&rows).unwrap();
    workshop.write("cut.json", &array[..array.len() / 2]);
    workshop.write("object.json", "{\n \"data\": [{\"text\": \"a\"}]\n}\n");
    workshop.write("rows.csv", "id,text\n1,a\n2,b, and more\n");
    workshop.write("open.csv", "id,text\n1,a\n2,\"b\n3,c\n");
    workshop.write("body.csv", "id,body\n1,a\n");
    workshop.write("latin.csv", b"id,text\n1,a\n2,caf\xe9\n");
    let tar = tar_of(&[("a.jsonl", &lines_of(&rows[..50])), ("b.jsonl", &lines_of(&rows[50..]))]);
    workshop.write("cut.tar", &tar[..tar.len() - 20_000]);
    workshop.write("end.tar", &tar[..tar.len() - 1024]);
    workshop.write("image.tar", tar_of(&[("a.jsonl", &lines_of(&rows)), ("b.png", b"x")]));
    workshop.write("split.tar", tar_of(&[("test.jsonl", &lines_of(&rows))]));
    let mut bad = lines_of(&rows[..3]);
    bad.extend(b"{\"text\": 7}\n");
    workshop.write("bad.tar", tar_of(&[("a.jsonl", &bad)]));
    let arrow = arrow_of(&rows);
    workshop.write("cut.arrow", &arrow[..arrow.len() / 2]);
    let lists: ArrayRef =
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]));
    let lists = RecordBatch::try_from_iter([("text", lists)]).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &lists.schema()).unwrap();
    writer.write(&lists).unwrap();
    workshop.write("lists.arrow", writer.into_inner().unwrap());
    workshop.write("text.arrow", "not Arrow");

    for (input, says, hint) in [
        ("cut.json", "the file ends within this element of the array", "fetch"),
        ("object.json", "one JSON object over several lines, expected an object a line", "jq"),
        ("rows.csv", "row 1, line 3: found 3 fields, expected 2 as in the header", "--on-bad-row"),
        ("open.csv", "damaged at line 3: the file ends within quotes", "fetch"),
        ("body.csv", "no column `text`; the columns are: id, body", "--text-column"),
        ("latin.csv", "row 1, line 3: `text` is not UTF-8: byte 3 of it is wrong", "replace"),
        ("cut.tar", "`b.jsonl`, line ", "fetch"),
        ("end.tar", "what follows member `b.jsonl`: the archive ends without", "fetch"),
        ("image.tar", "member `b.png`: a kind of file that is not read in archives", "pack"),
        ("split.tar", "member `test.jsonl` is test data by its name", "--split-files"),
        ("bad.tar", "`a.jsonl`, line 4: field `text` is no string", "--on-bad-row"),
        ("cut.arrow", "the file ends within a batch of rows", "fetch"),
        ("lists.arrow", "column `text` holds List(", "--text-column"),
        ("text.arrow", "found `not Arro`, expected the mark of an Arrow file", "fetch"),
    ] {
        let output = workshop.tokenize(&["--input", input, "--out", "out"]);

        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{input}: {told}");
        assert!(told.contains(&format!("error: {input}: ")), "{input}: {told}");
        assert!(told.contains(says), "{input}: {told}");
        let hints = told.split_once("hint: ").map_or("", |(_, hint)| hint);
        assert!(hints.contains(hint), "{input}: {told}");
        assert!(!workshop.path("out/manifest.json").exists(), "{input}");
    }
    // What is asked for is read; and bad rows are left out, or mended.
    for (input, more, documents) in [
        ("split.tar", &["--split-files", "all"][..], 700),
        ("rows.csv", &["--on-bad-row", "skip"], 1),
        ("latin.csv", &["--on-bad-row", "replace"], 2),
        ("bad.tar", &["--on-bad-row", "skip"], 3),
    ] {
        let out = format!("read/{input}");
        let manifest = workshop.manifest(&out, &[&["--input", input][..], more].concat());
        let source = &manifest["sources"][0];
        let kept = source["rows"].as_u64().unwrap() - source["bad_rows"].as_u64().unwrap_or(0);
        assert_eq!(kept, documents, "{input}: {source}");
    }
}

/// Each damage is told in one error with a hint, or changes letters alone; nothing panics.
#[test]
fn whatever_is_cut_or_flipped_is_told() {
    let workshop = Workshop::new();
    let mut refused = 0;
    for (ending, whole) in formats(&rows()) {
        let cut = |share: usize| whole[..whole.len() * share / 100].to_vec();
        let flipped = |share: usize| {
            let mut bytes = whole.clone();
            let at = bytes.len() * share / 100;
            bytes[at] ^= 0x10;
            bytes
        };
        let damages = [
            (cut(10), true),
            (cut(50), true),
            (cut(97), true),
            (flipped(1), false),
            (flipped(40), false),
            (flipped(90), false),
        ];
        for (number, (bytes, is_cut)) in damages.into_iter().enumerate() {
            let name = format!("damaged/a.{ending}");
            workshop.write(&name, bytes);
            let output = workshop.tokenize(&["--input", &name, "--out", "out", "--quiet"]);
            let told = stderr(&output);

            assert!(!told.contains("panicked"), "{name}, damage {number}: {told}");
            if output.status.success() {
                // Of a table of text, nothing says where its last row ends.
                let is_seen = is_cut && !matches!(ending.as_str(), "csv" | "tsv");
                assert!(!is_seen, "{name}, damage {number}: nothing was told");
            } else {
                refused += usize::from(is_cut);
                assert_eq!(output.status.code(), Some(1), "{name}, damage {number}: {told}");
                let is_whole = told.starts_with(&format!("error: {name}: "));
                assert!(is_whole && told.contains("\nhint: "), "{name}, damage {number}: {told}");
            }
            fs::remove_dir_all(workshop.path("out")).ok();
        }
    }
    assert!(refused >= 3 * 13, "{refused}");
}
