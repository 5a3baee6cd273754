//! The same rows as from JSON lines, for every command that reads rows.

use std::fs;
use std::path::PathBuf;

use ratdata_tests::files::content;
use ratdata_tests::program::stderr;
use ratdata_tests::workshop::Workshop;
use serde_json::{Value, json};

use crate::support::{TOKENIZE, arrow_of, bins, lines_of, rows, succeed, tar_of, workshop};

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
