//! Arrow, arrays of JSON, separated values and archives: the same rows as from JSON lines, for every command that
//! reads rows, and one clear error for each that is wrong.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
use ratdata_tests::files::content;
use ratdata_tests::program::stderr;
use ratdata_tests::workshop::Workshop;
use serde_json::{Value, json};

/// Rows with an id, a question and a text; some texts come twice.
fn rows() -> Vec<Value> {
    let text = |row: usize| match row % 5 {
        0 => String::new(),
        1 => "the same text again, and more of it".into(),
        2 => format!("row {row}, \"quoted\", of the table"),
        3 => format!("Zeile {row}: größer, 水 und 河\n\tmit Umbruch"),
        _ => "a longer one, ".repeat(row % 90),
    };
    (0..700)
        .map(|row| json!({"id": row, "q": format!("what is {row}?"), "text": text(row)}))
        .collect()
}

fn lines_of(rows: &[Value]) -> Vec<u8> {
    let lines = rows.iter().flat_map(|row| [row.to_string(), "\n".to_owned()]);
    lines.collect::<String>().into_bytes()
}

fn arrow_of(rows: &[Value]) -> Vec<u8> {
    let texts = |name: &str| -> ArrayRef {
        Arc::new(rows.iter().map(|row| row[name].as_str()).collect::<StringArray>())
    };
    let ids: ArrayRef = Arc::new(rows.iter().map(|row| row["id"].as_i64()).collect::<Int64Array>());
    let columns = [("id", ids), ("q", texts("q")), ("text", texts("text"))];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    for start in (0..rows.len()).step_by(300) {
        writer.write(&batch.slice(start, 300.min(rows.len() - start))).unwrap();
    }
    writer.into_inner().unwrap()
}

fn separated(rows: &[Value], separator: char) -> Vec<u8> {
    let mut file = format!("id{separator}q{separator}text\r\n");
    for row in rows {
        let quoted = row["text"].as_str().unwrap().replace('"', "\"\"");
        let (id, question) = (&row["id"], row["q"].as_str().unwrap());
        file.push_str(&format!("{id}{separator}{question}{separator}\"{quoted}\"\r\n"));
    }
    file.into_bytes()
}

fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// The rows in every format, by the ending of its files.
fn formats(rows: &[Value]) -> Vec<(String, Vec<u8>)> {
    let (first, second) = (lines_of(&rows[..300]), gzip(&lines_of(&rows[300..])));
    let pretty = serde_json::to_vec_pretty(rows).unwrap();
    let plain = [
        ("arrow", arrow_of(rows)),
        ("json", pretty),
        ("csv", separated(rows, ',')),
        ("tsv", separated(rows, '\t')),
        (
            "tar",
            tar_of(&[("x/b.jsonl", &first), ("x/README.md", b"about"), ("a.jsonl.gz", &second)]),
        ),
    ];
    let mut all = Vec::new();
    for (ending, bytes) in plain {
        all.push((format!("{ending}.gz"), gzip(&bytes)));
        all.push((format!("{ending}.zst"), zstd::encode_all(&bytes[..], 1).unwrap()));
        all.push((ending.to_owned(), bytes));
    }
    all
}

/// Writes the rows as lines at `lines/a.jsonl`, and returns where each format has them.
fn workshop() -> (Workshop, Vec<String>) {
    let workshop = Workshop::new();
    let rows = rows();
    workshop.write("lines/a.jsonl", lines_of(&rows));
    let mut places = Vec::new();
    for (ending, bytes) in formats(&rows) {
        let place = format!("{ending}/a.{ending}");
        workshop.write(&place, bytes);
        places.push(place);
    }
    (workshop, places)
}

fn succeed(workshop: &Workshop, arguments: &[&str]) -> String {
    let output = workshop.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    stderr(&output)
}

/// Returns the bins, indexes, masks and rows of an artifact.
fn bins(workshop: &Workshop, out: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let is_data = |(name, _): &(PathBuf, Vec<u8>)| {
        let ending = name.extension().map(|ending| ending.to_string_lossy().into_owned());
        matches!(ending.as_deref(), Some("bin" | "idx"))
    };
    content(&workshop.path(out)).into_iter().filter(is_data).collect()
}

const TOKENIZE: [&str; 6] = ["tokenize", "--tokenizer", "demo/tokenizer", "--name", "x", "--quiet"];

#[test]
fn tokenize_gives_the_bins_of_lines_and_the_estimate_counts_the_rows() {
    let (workshop, places) = workshop();
    succeed(
        &workshop,
        &[&TOKENIZE[..], &["--input", "lines/a.jsonl", "--out", "o/lines"]].concat(),
    );
    let expected = bins(&workshop, "o/lines");
    assert!(!expected.is_empty());

    for place in &places {
        let out = format!("o/{place}");
        succeed(&workshop, &[&TOKENIZE[..], &["--input", place, "--out", &out]].concat());
        assert!(bins(&workshop, &out) == expected, "{place} gives other bytes");
        let estimate = ["--input", place, "--estimate", "--json"];
        let told = workshop.run(&[&TOKENIZE[..5], &estimate].concat());
        let told: Value = serde_json::from_slice(&told.stdout).unwrap();
        assert_eq!(told["documents"], 700, "{place}: {told}");
        let again = workshop.run(&[&TOKENIZE[..5], &["--input", place, "--out", &out]].concat());
        assert!(stderr(&again).contains("already done"), "{place}: {}", stderr(&again));
    }
    // As standard input, by the first bytes. Of an archive in an archive's place nothing else says so.
    for place in places.iter().filter(|place| place.strip_suffix(".gz").is_none()) {
        let mut piped =
            workshop.command(&[&TOKENIZE[..], &["--input", "-", "--out", "o/piped"]].concat());
        let piped = piped.stdin(fs::File::open(workshop.path(place)).unwrap()).output().unwrap();
        assert!(piped.status.success(), "{place}: {}", stderr(&piped));
        let found: Vec<Vec<u8>> = bins(&workshop, "o/piped").into_iter().map(|(_, b)| b).collect();
        let wanted: Vec<Vec<u8>> = expected.iter().map(|(_, bytes)| bytes.clone()).collect();
        assert!(found == wanted, "{place} gives other bytes as standard input");
        fs::remove_dir_all(workshop.path("o/piped")).unwrap();
    }
}

/// The rows that are kept of each format are tokenized, and compared with those of lines.
#[test]
fn prepared_rows_are_those_of_lines() {
    let (workshop, places) = workshop();
    workshop.write(
        "bench/b.jsonl",
        "{\"q\": \"a longer one, a longer one, a longer one, a longer one, a\"}\n",
    );
    let jobs: [(&str, &[&str]); 4] = [
        ("filter", &["--where", "len(text) > 20 and number(id) % 3 != 1"]),
        ("dedup", &["--method", "exact"]),
        ("decontaminate", &["--against", "bench/b.jsonl"]),
        ("rules", &["--rules", "c4"]),
    ];
    for (job, more) in jobs {
        let command = if job == "rules" { "filter" } else { job };
        let kept = |place: &str, out: &str| {
            let arguments = [&[command, place, "--out", out, "--quiet"][..], more].concat();
            succeed(&workshop, &arguments);
            let bins_of = format!("{out}-bins");
            succeed(&workshop, &[&TOKENIZE[..], &["--input", out, "--out", &bins_of]].concat());
            let prepared = fs::read(workshop.path(out).join("prepared.json")).unwrap();
            let prepared: Value = serde_json::from_slice(&prepared).unwrap();
            let counts = json!([prepared["counts"], prepared["files"][0]["counts"]]);
            (bins(&workshop, &bins_of), counts)
        };
        let expected = kept("lines/a.jsonl", &format!("p/{job}/lines"));
        for place in places.iter().filter(|place| place.strip_suffix(".zst").is_none()) {
            let found = kept(place, &format!("p/{job}/{place}"));
            assert!(found.0 == expected.0, "{job} of {place} keeps other rows");
            assert_eq!(found.1, expected.1, "{job} of {place}");
        }
    }
    let names: Vec<PathBuf> =
        content(&workshop.path("p/filter/arrow/a.arrow")).into_keys().collect();
    assert!(names.contains(&PathBuf::from("data/a.parquet")), "{names:?}");
}

#[test]
fn instruction_data_is_that_of_lines_and_shares_join_to_it() {
    let (workshop, places) = workshop();
    let task = |source: &str| {
        format!(
            "prompt = \"Q: {{q}}\\nA:\"\n[splits.train]\nsource = \"{source}\"\nanswers = [\"text\"]\n"
        )
    };
    let made = |place: &str, out: &str, more: &[&str]| {
        workshop.write("task.toml", task(place));
        let words = [
            "sft",
            "--task-file",
            "task.toml",
            "--tokenizer",
            "demo/tokenizer",
            "--max-length",
            "64",
            "--on-bad-row",
            "skip",
        ];
        succeed(&workshop, &[&words[..], &["--out", out, "--quiet"], more].concat());
    };
    made("lines/a.jsonl", "s/lines", &[]);
    let expected = bins(&workshop, "s/lines");
    assert!(!expected.is_empty());

    for place in &places {
        let out = format!("s/{place}");
        made(place, &out, &[]);
        assert!(bins(&workshop, &out) == expected, "{place} gives other rows");
    }
    for place in ["arrow/a.arrow", "csv/a.csv", "json/a.json", "tar/a.tar"] {
        let out = format!("shared/{place}");
        made(place, &out, &["--shard", "0/2"]);
        made(place, &out, &["--shard", "1/2"]);
        made(place, &out, &[]);
        assert!(bins(&workshop, &out) == expected, "shares of {place} give other rows");
    }
}

#[test]
fn a_folder_that_datasets_saved_is_its_training_data() {
    let workshop = Workshop::new();
    let rows = rows();
    let shard = "data-00000-of-00001.arrow";
    let state = json!({
        "_data_files": [{"filename": shard}], "_fingerprint": "0123456789abcdef", "_format_columns": null,
        "_format_kwargs": {}, "_format_type": null, "_output_all_columns": false, "_split": "train",
    });
    for (split, rows) in [("train", &rows[..500]), ("test", &rows[500..])] {
        workshop.write(&format!("saved/{split}/{shard}"), arrow_of(rows));
        workshop.write(&format!("saved/{split}/state.json"), state.to_string());
        workshop.write(&format!("saved/{split}/dataset_info.json"), "{}");
    }
    workshop.write("saved/dataset_dict.json", json!({"splits": ["train", "test"]}).to_string());
    workshop.write("saved/train/tmp0a1b2c3d.arrow", b"a result of map()");
    workshop.write("train.jsonl", lines_of(&rows[..500]));
    workshop.write("test.jsonl", lines_of(&rows[500..]));

    let made = |input: &str, out: &str, more: &[&str]| {
        let words = [&TOKENIZE[..5], &["--input", input, "--out", out], more].concat();
        let told = succeed(&workshop, &words);
        let bytes: Vec<Vec<u8>> =
            bins(&workshop, out).into_iter().map(|(_, bytes)| bytes).collect();
        (told, bytes)
    };
    let (told, train) = made("saved", "train", &[]);
    assert!(told.contains("test/data-00000-of-00001.arrow"), "{told}");
    assert!(!told.contains("tmp0a1b2c3d"), "{told}");
    assert!(train == made("train.jsonl", "train-lines", &[]).1);
    let test = made("saved", "test", &["--split-files", "test"]).1;
    assert!(test == made("test.jsonl", "test-lines", &[]).1);

    fs::remove_file(workshop.path(&format!("saved/train/{shard}"))).unwrap();
    let output = workshop.tokenize(&["--input", "saved", "--out", "cut"]);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("state.json: names `data-00000-of-00001.arrow`, which is not there"),
        "{told}"
    );
}

#[test]
fn a_member_of_an_archive_is_told_in_traces_and_logs() {
    let workshop = Workshop::new();
    let rows = rows();
    let (first, second) = (lines_of(&rows[..10]), lines_of(&rows[10..30]));
    workshop.write("a.tar", tar_of(&[("one.jsonl", &first), ("two.jsonl", &second)]));
    succeed(
        &workshop,
        &[
            &TOKENIZE[..],
            &["--input", "a.tar", "--out", "o", "--order", "file", "--val-fraction", "0"],
        ]
        .concat(),
    );

    let trace = |token: &str| {
        let words = ["trace", "o", "--token", token, "--input", "a.tar", "--json"];
        let output = workshop.run(&words);
        let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert!(output.status.success(), "{}", stderr(&output));
        told
    };
    assert_eq!((&trace("3")["row"], &trace("3")["member"]), (&1.into(), &"one.jsonl".into()));
    let last = Value::from("two.jsonl");
    let manifest: Value =
        serde_json::from_slice(&fs::read(workshop.path("o/manifest.json")).unwrap()).unwrap();
    let tokens = manifest["splits"]["train"]["shards"][0]["tokens"].as_u64().unwrap();
    assert_eq!(trace(&(tokens - 1).to_string())["member"], last);

    succeed(&workshop, &["filter", "a.tar", "--where", "id != 12", "--out", "f", "--quiet"]);
    let log = fs::read(workshop.path("f/dropped/a.dropped.zst")).unwrap();
    let log = zstd::decode_all(&log[..]).unwrap();
    let line: Value = serde_json::from_slice(log.trim_ascii_end()).unwrap();
    assert_eq!(line["member"], last);
    assert_eq!((&line["row"], &line["line"]), (&12.into(), &3.into()));
}

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
