//! What `ratdata tokenize` does with the files that it finds, makes and leaves alone.

use std::fs;

use parquet::file::properties::WriterProperties;
use ratdata_tests::files::content;
use ratdata_tests::program::stderr;
use ratdata_tests::workshop::Workshop;

/// A line of JSON a text.
fn lines(texts: &[&str]) -> Vec<u8> {
    let line = |text: &&str| format!("{}\n", serde_json::json!({"text": text}));
    texts.iter().map(line).collect::<String>().into_bytes()
}

#[test]
fn force_and_merge_leave_alone_what_is_not_theirs() {
    let workshop = Workshop::new();
    workshop.write("a.jsonl", lines(&["one", "two"]));
    workshop.write("out/shards/mine.txt", b"mine");
    workshop.write("out/shards/llama-train-mine.bin", b"mine");
    workshop.write("out/notes.txt", b"mine");

    workshop.manifest("out", &["--input", "a.jsonl", "--name", "llama"]);
    workshop.manifest("out", &["--input", "a.jsonl", "--name", "other", "--force"]);
    workshop.manifest("out", &["--input", "a.jsonl", "--name", "merged", "--merge", "--force"]);

    let names: Vec<String> =
        content(&workshop.path("out")).keys().map(|name| name.display().to_string()).collect();
    let expected = [
        "manifest.json",
        "merged-train.bin",
        "merged-train.idx",
        "merged-val.bin",
        "merged-val.idx",
        "notes.txt",
        "shards/llama-train-mine.bin",
        "shards/mine.txt",
    ];
    assert_eq!(names, expected);
}

#[test]
fn an_input_among_the_jobs_own_files_is_refused() {
    let workshop = Workshop::new();
    workshop.write("out/shards/in/a.jsonl", lines(&["one"]));

    let output = workshop.tokenize(&["--input", "out/shards/in", "--out", "out"]);

    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("out/shards/in/a.jsonl: this input lies in"),
        "{}",
        stderr(&output)
    );
    assert!(workshop.path("out/shards/in/a.jsonl").exists());
}

#[test]
fn force_clears_what_a_killed_merge_has_left() {
    let workshop = Workshop::new();
    workshop.write("a.jsonl", lines(&["one", "two"]));
    let arguments = ["--input", "a.jsonl", "--name", "first", "--merge"];
    workshop.manifest("out", &arguments);
    let bin = fs::read(workshop.path("out/first-val.bin")).unwrap();
    // As a kill leaves it: `train` has its name, `val` is half way.
    fs::remove_file(workshop.path("out/manifest.json")).unwrap();
    fs::rename(workshop.path("out/first-val.bin"), workshop.path("out/first-val.bin.partial"))
        .unwrap();
    workshop.write("out/.job/job.json", b"{\"config\": {\"name\": \"first\"}}");
    for split in ["train", "val"] {
        let marker = serde_json::json!({"shards": 1, "bin_bytes": bin.len(), "idx_bytes": 8});
        workshop
            .write(&format!("out/.job/merging/first-{split}.json"), marker.to_string().as_bytes());
    }

    workshop.manifest("out", &["--input", "a.jsonl", "--name", "second", "--force"]);

    let names = content(&workshop.path("out")).into_keys();
    let left: Vec<_> = names.filter(|name| name.display().to_string().contains("first")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn files_of_an_artifact_that_were_lost_are_made_again() {
    let workshop = Workshop::new();
    let arguments = ["--input", "demo/corpus", "--name", "demo"];
    workshop.manifest("out", &arguments);
    let whole = content(&workshop.path("out"));
    let shards = workshop.path("out/shards");
    let untouched = shards.join("demo-train-000_00000.bin");
    let made = untouched.metadata().unwrap().modified().unwrap();

    fs::remove_file(shards.join("demo-val-000_00001.idx")).unwrap();
    fs::File::options()
        .write(true)
        .open(shards.join("demo-train-000_00002.bin"))
        .unwrap()
        .set_len(10)
        .unwrap();
    let output = workshop.tokenize(&[&arguments[..], &["--out", "out"]].concat());

    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("2 files of this artifact are missing or of another size"));
    assert!(content(&workshop.path("out")) == whole);
    assert_eq!(untouched.metadata().unwrap().modified().unwrap(), made, "it is not made again");
}

#[test]
fn a_merged_file_that_was_lost_is_made_again() {
    let workshop = Workshop::new();
    let arguments = ["--input", "demo/corpus", "--name", "demo", "--merge"];
    workshop.manifest("out", &arguments);
    let whole = content(&workshop.path("out"));

    fs::remove_file(workshop.path("out/demo-train.bin")).unwrap();
    workshop.manifest("out", &arguments);

    assert!(content(&workshop.path("out")) == whole);
}

#[test]
fn a_parquet_file_without_row_groups_has_no_documents() {
    let workshop = Workshop::new();
    workshop.write_parquet("in/a.parquet", &[], WriterProperties::default());
    workshop.write_parquet("in/b.parquet", &[vec!["one".into()]], WriterProperties::default());

    let manifest = workshop.manifest("out", &["--input", "in", "--val-fraction", "0"]);
    let estimated = workshop.tokenize(&["--input", "in/a.parquet", "--estimate"]);
    let empty = workshop.tokenize(&["--input", "in/a.parquet", "--out", "empty"]);

    assert_eq!(manifest["sources"][0]["rows"], 0);
    assert_eq!(manifest["splits"]["train"]["shards"][1]["documents"], 1);
    assert!(estimated.status.success(), "{}", stderr(&estimated));
    assert!(empty.status.success());
    assert!(stderr(&empty).contains("the input has no document"), "{}", stderr(&empty));
}

#[test]
fn a_split_that_ends_up_empty_is_told() {
    let workshop = Workshop::new();
    workshop.write("in/a.jsonl", lines(&["one"]));
    workshop.write("in/b.jsonl", lines(&["two"]));

    let output = workshop.tokenize(&["--input", "in", "--out", "out"]);

    assert!(output.status.success());
    assert!(stderr(&output).contains("split `train` is empty"), "{}", stderr(&output));
}

#[test]
fn a_token_can_be_named_to_end_or_begin_documents() {
    let workshop = Workshop::new();
    workshop.write("a.jsonl", lines(&["one"]));
    let ids = |out: &str, arguments: &[&str]| -> (Vec<u16>, serde_json::Value) {
        let more = ["--input", "a.jsonl", "--val-fraction", "0", "--name", "x"];
        let manifest = workshop.manifest(out, &[&more[..], arguments].concat());
        let bin = fs::read(workshop.path(out).join("shards/x-train-a.bin")).unwrap();
        let ids = bin.as_chunks().0.iter().map(|two| u16::from_le_bytes(*two)).collect();
        (ids, manifest["tokenizer"].clone())
    };

    let (plain, record) = ids("plain", &[]);
    let (named, named_record) = ids("named", &["--eos", "<unk>", "--bos", "</s>"]);
    let (bare, _) = ids("bare", &["--eos", "off"]);
    let unknown = workshop.tokenize(&["--input", "a.jsonl", "--eos", "<|nowhere|>"]);
    let other = workshop.tokenize(&[
        "--input",
        "a.jsonl",
        "--val-fraction",
        "0",
        "--name",
        "x",
        "--out",
        "plain",
        "--eos",
        "<unk>",
    ]);

    assert_eq!((plain.last(), &record["eos"]), (Some(&2), &2.into()));
    assert_eq!(named, [&[2], &bare[..], &[0]].concat());
    assert_eq!((&named_record["eos"], &named_record["bos"]), (&0.into(), &2.into()));
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr(&unknown).contains("no token `<|nowhere|>`"), "{}", stderr(&unknown));
    assert!(stderr(&other).contains("config.eos: true -> \"<unk>\""), "{}", stderr(&other));
}

#[test]
fn a_config_beside_the_tokenizer_says_what_ends_a_document() {
    let workshop = Workshop::new();
    workshop.write("a.jsonl", lines(&["one"]));
    let arguments = ["--input", "a.jsonl"];
    assert_eq!(workshop.manifest("before", &arguments)["tokenizer"]["eos"], 2);

    workshop.write("demo/tokenizer/tokenizer_config.json", b"{\"eos_token\": \"<s>\"}");

    assert_eq!(workshop.manifest("after", &arguments)["tokenizer"]["eos"], 1);
    let changed = workshop.tokenize(&[&arguments[..], &["--out", "before"]].concat());
    assert!(stderr(&changed).contains("eos: 2 -> 1"), "{}", stderr(&changed));
}

#[test]
fn a_limit_counts_what_it_keeps() {
    let workshop = Workshop::new();
    workshop
        .write("in/a.jsonl", [&lines(&["one"])[..], b"{}\n", &lines(&["three", "four"])].concat());
    workshop.write("in/b.jsonl", lines(&["five", "six"]));
    let arguments = ["--input", "in", "--val-fraction", "0", "--on-bad-row", "skip", "--name", "x"];

    let two = workshop.manifest("two", &[&arguments[..], &["--limit-docs", "2"]].concat());
    let four = workshop.manifest("four", &[&arguments[..], &["--limit-docs", "4"]].concat());

    assert_eq!(two["sources"].as_array().unwrap().len(), 1);
    assert_eq!(two["sources"][0]["rows"], 3);
    assert_eq!(two["sources"][0]["bad_rows"], 1);
    assert_eq!(two["sources"][0]["text_bytes"], "onethree".len());
    assert_eq!(four["sources"][1]["rows"], 1);
    assert_eq!(four["sources"][1]["text_bytes"], "five".len());
    let traced = workshop.run(&["trace", "four", "--token", "0", "--input", "in"]);
    assert!(traced.status.success(), "{}", stderr(&traced));
}

#[test]
fn limits_and_shares_that_contradict_are_refused() {
    let workshop = Workshop::new();
    workshop.write("a.jsonl", lines(&["one"]));
    for (arguments, says) in [
        (&["--limit-docs", "2", "--shard", "0/2"][..], "cannot be used with"),
        (&["--limit-docs", "0"], "invalid value '0' for '--limit-docs <N>'"),
        (&["--name", "../../evil"], "invalid value '../../evil' for '--name <NAME>'"),
        (&["--name", "a/b"], "expected letters, digits"),
        (&["--name", ""], "--name <NAME>"),
        (&["--num-proc", "0"], "a number of threads from 1 to 4096"),
        (&["--eos", ""], "--eos"),
    ] {
        let output =
            workshop.tokenize(&[&["--input", "a.jsonl", "--out", "out"], arguments].concat());

        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{arguments:?}: {}", stderr(&output));
    }
    assert!(!workshop.path("out").exists());
}

#[test]
fn an_input_that_is_given_twice_is_read_once() {
    let workshop = Workshop::new();
    workshop.write("d/a.jsonl", lines(&["one", "two"]));

    let manifest = workshop.manifest("out", &["--input", "d/a.jsonl", "d", "./d/*.jsonl"]);

    assert_eq!(manifest["sources"].as_array().unwrap().len(), 1);
}

#[test]
fn rows_with_special_tokens_can_be_skipped_and_verified() {
    let workshop = Workshop::new();
    let texts: Vec<String> = (0..40)
        .map(|row| if row % 7 == 3 { format!("a </s> {row}") } else { format!("row {row}") })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    workshop.write("in/a.jsonl", lines(&texts));
    let arguments = ["--input", "in", "--special-in-text", "error"];

    let failed = workshop.tokenize(&[&arguments[..], &["--out", "out"]].concat());
    let manifest =
        workshop.manifest("out", &[&arguments[..], &["--on-bad-row", "skip", "--force"]].concat());
    let verified = workshop.run(&[
        "verify",
        "out",
        "--retokenize",
        "100%",
        "--input",
        "in",
        "--tokenizer",
        "demo/tokenizer",
    ]);

    assert!(stderr(&failed).contains("a.jsonl: line 4: byte 2: the text has the special token"));
    assert_eq!(manifest["sources"][0]["bad_rows"], 6);
    assert!(verified.status.success(), "{}", stderr(&verified));
}

#[test]
fn the_first_bad_row_is_told_for_any_number_of_threads() {
    let workshop = Workshop::new();
    // A slow batch with the first bad row at its end, then quick ones that are bad at once.
    let slow = "a long text of many words ".repeat(4000);
    let mut text = String::new();
    for row in 0..3000 {
        match row {
            255 | 256.. if row % 256 == 255 || row >= 512 => text.push_str("{\"text\": null}\n"),
            0..256 => text.push_str(&format!("{{\"text\": \"{slow}\"}}\n")),
            _ => text.push_str("{\"text\": \"x\"}\n"),
        }
    }
    workshop.write("in/a.jsonl", text.as_bytes());

    for threads in ["1", "2", "4", "8"] {
        let output =
            workshop.tokenize(&["--input", "in", "--out", "out", "--num-proc", threads, "--force"]);

        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).contains("in/a.jsonl: line 256: "),
            "{threads}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn each_misuse_has_a_message_and_a_hint() {
    let workshop = Workshop::new();
    workshop.write("a.jsonl", lines(&["one"]));
    workshop.write("a.unknown", b"x");
    workshop.write("file", b"x");
    workshop.write("t/tokenizer.json", b"{\"model\": 3}");
    workshop.write("surrogate.jsonl", b"{\"text\": \"a\\ud800b\"}\n");
    workshop.write("number.jsonl", b"{\"text\": 1}\n");
    workshop.write("cut.jsonl", b"{\"text\": \"a\"}\n{\"text\": \n");
    for (arguments, says, hint) in [
        (&["--input", "a.unknown"][..], "unknown kind of file", "rename it"),
        (&["--input", "a.jsonl", "--out", "file"], "file", "a file stands where a folder"),
        (&["--input", "a[.jsonl"], "not a pattern", "quote patterns"),
        (&["--input", "a.jsonl", "--tokenizer", "t"], "not a tokenizer", "fetch the file again"),
        (&["--input", "surrogate.jsonl"], "is a string that is no text: ", "--on-bad-row skip"),
        (&["--input", "number.jsonl"], "field `text` is no string", "--on-bad-row skip"),
        (&["--input", "cut.jsonl"], "line 2: the line is not a JSON object: ", "--on-bad-row skip"),
    ] {
        let demo: &[&str] = if arguments.contains(&"--tokenizer") {
            &[]
        } else {
            &["--tokenizer", "demo/tokenizer"]
        };
        let output = workshop.run(&[&["tokenize", "--quiet"], arguments, demo].concat());
        fs::remove_dir_all(workshop.path("data")).ok();
        let told = stderr(&output);

        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {told}");
        assert!(told.contains(says), "{arguments:?}: {told}");
        assert!(told.contains("\nhint: ") && told.contains(hint), "{arguments:?}: {told}");
        let is_input = !arguments.contains(&"--tokenizer");
        assert!(!is_input || !told.contains("at line"), "the line is told once: {told}");
    }
}
