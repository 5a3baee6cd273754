//! `sft`, `pack`, `merge`, `import` and shares of `verify`, and what they are made from.

use std::fs;

use crate::hand::{edit, ends, flip, reads, touch, write};
use ratdata_tests::files::content;
use ratdata_tests::workshop::Workshop;

const TASK: &str = r#"
prompt = "Q: {q}\nA:"
[splits.train]
source = "data.jsonl"
answers = ["a"]
[splits.validation]
source = "more.jsonl"
answers = ["a"]
"#;

fn questions() -> Workshop {
    let workshop = Workshop::new();
    let line = |n: usize| format!("{{\"q\": \"{n:06}: where sat the cat?\", \"a\": \"a mat\"}}\n");
    let text: String = (0..24_000).map(line).collect();
    assert!(text.len() > 1 << 20);
    workshop.write("data.jsonl", text.as_bytes());
    workshop.write("more.jsonl", line(1).as_bytes());
    workshop.write("task.toml", TASK.as_bytes());
    workshop
}

fn sft<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let usual = ["sft", "--task-file", "task.toml", "--tokenizer", "demo/tokenizer"];
    [&usual[..], &["--max-length", "64", "--out", out], more].concat()
}

#[test]
fn an_edit_of_instruction_data_is_seen_and_named() {
    let workshop = questions();
    for (out, more) in [("out", &[][..]), ("packed", &["--packing", "concat"])] {
        ends(&workshop, &sft(out, more), 0);
        assert!(ends(&workshop, &sft(out, more), 0).contains("already done"));
    }

    edit(&workshop.path("data.jsonl"));

    for (out, more) in [("out", &[][..]), ("packed", &["--packing", "concat"])] {
        let told = ends(&workshop, &sft(out, more), 2);
        assert!(told.contains("splits.train: `data.jsonl`: content: "), "{told}");
        let told = ends(&workshop, &sft(out, &[more, &["--force"]].concat()), 0);
        assert!(!told.contains("already done"), "{told}");
        ends(&workshop, &sft("fresh", &[more, &["--force"]].concat()), 0);
        assert!(content(&workshop.path(out)) == content(&workshop.path("fresh")), "{out}");
        fs::remove_dir_all(workshop.path("fresh")).unwrap();
    }
}

#[test]
fn instruction_data_is_read_again_only_where_it_was_touched() {
    let workshop = questions();
    let input = workshop.path("data.jsonl");
    let len = input.metadata().unwrap().len();
    ends(&workshop, &sft("out", &[]), 0);

    let left = reads(&workshop, &sft("out", &[]));
    touch(&input);
    let touched = reads(&workshop, &sft("out", &[]));
    let after = reads(&workshop, &sft("out", &[]));

    assert!(left < len && touched >= len && after < len, "{left}, {touched}, {after} of {len}");
}

#[test]
fn a_share_of_instruction_data_counts_for_the_data_that_it_read() {
    let workshop = questions();
    ends(&workshop, &sft("out", &["--shard", "0/2"]), 0);

    edit(&workshop.path("data.jsonl"));
    ends(&workshop, &sft("out", &["--shard", "1/2"]), 0);
    ends(&workshop, &sft("out", &[]), 0);

    ends(&workshop, &sft("fresh", &[]), 0);
    assert!(content(&workshop.path("out")) == content(&workshop.path("fresh")));
}

#[test]
fn rows_that_were_lost_are_not_called_done() {
    let workshop = questions();
    ends(&workshop, &sft("out", &[]), 0);
    let lost = fs::read_dir(workshop.path("out")).unwrap().map(|entry| entry.unwrap().path());
    let lost = lost.filter(|path| path.extension().is_some_and(|e| e != "json")).min().unwrap();

    fs::remove_file(&lost).unwrap();

    let told = ends(&workshop, &sft("out", &[]), 1);
    assert!(told.contains(&*lost.file_name().unwrap().to_string_lossy()), "{told}");
    ends(&workshop, &sft("out", &["--force"]), 0);
}

const CHAT: &str = r#"
[chat]
messages = "messages"
[splits.train]
source = "chat.jsonl"
"#;

/// The template and the names of its tokens are in files next to the tokenizer.
#[test]
fn files_next_to_a_tokenizer_decide_conversations_too() {
    let workshop = Workshop::new();
    let turns = r#"[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]"#;
    workshop.write("chat.jsonl", format!("{{\"messages\": {turns}}}\n").as_bytes());
    workshop.write("task.toml", CHAT.as_bytes());
    let config = |mark: &str| {
        let template = format!(
            "{{% for m in messages %}}{mark}{{% generation %}}{{{{ m.content }}}}{{% endgeneration %}}{{% endfor %}}"
        );
        let config = serde_json::json!({"eos_token": "</s>", "chat_template": template});
        workshop.write("demo/tokenizer/tokenizer_config.json", config.to_string().as_bytes());
    };
    config("one");
    ends(&workshop, &sft("out", &[]), 0);
    assert!(ends(&workshop, &sft("out", &[]), 0).contains("already done"));

    config("two");

    let told = ends(&workshop, &sft("out", &[]), 2);
    assert!(told.contains("config.template: "), "{told}");
}

/// An artifact of token bins at `tokens`.
fn tokens() -> Workshop {
    let workshop = Workshop::new();
    let usual = ["tokenize", "--tokenizer", "demo/tokenizer", "--input", "demo/corpus"];
    ends(&workshop, &[&usual[..], &["--name", "t", "--out", "tokens"]].concat(), 0);
    workshop
}

const BIN: &str = "tokens/shards/t-train-000_00000.bin";
const IDX: &str = "tokens/shards/t-train-000_00000.idx";

#[test]
fn rows_of_bins_that_were_edited_are_not_called_done() {
    let workshop = tokens();
    let spans = ["pack", "--input", "tokens", "--out", "spans", "--seq-len", "64"];
    let rows = ["pack", "--input", "tokens", "--out", "rows", "--seq-len", "64", "--materialize"];
    for words in [&spans[..], &rows] {
        ends(&workshop, words, 0);
        assert!(ends(&workshop, words, 0).contains("already done"));
    }

    let bin = workshop.path(BIN);
    let whole = fs::read(&bin).unwrap();
    flip(&bin);
    let told = ends(&workshop, &rows, 3);
    assert!(
        told.contains("t-train-000_00000.bin: not what its manifest records: BLAKE3"),
        "{told}"
    );
    assert!(ends(&workshop, &spans, 0).contains("already done"), "spans are the same for any ids");
    ends(&workshop, &[&rows[..], &["--force"]].concat(), 3);

    write(&bin, &whole);
    ends(&workshop, &[&rows[..], &["--force"]].concat(), 0);
    touch(&bin);
    assert!(ends(&workshop, &rows, 0).contains("already done"));

    flip(&workshop.path(IDX));
    ends(&workshop, &spans, 3);
}

#[test]
fn a_pack_that_was_lost_in_part_is_made_again() {
    let workshop = tokens();
    let words = ["pack", "--input", "tokens", "--out", "spans", "--seq-len", "64"];
    ends(&workshop, &words, 0);
    let whole = content(&workshop.path("spans"));

    fs::remove_file(workshop.path("spans/t-train-64.spans")).unwrap();

    assert!(!ends(&workshop, &words, 0).contains("already done"));
    assert!(content(&workshop.path("spans")) == whole);
}

#[test]
fn joined_bins_are_made_of_the_bins_that_the_manifest_records() {
    let workshop = tokens();
    let merge = ["merge", "--input", "tokens", "--out", "joined"];
    ends(&workshop, &merge, 0);
    let bin = workshop.path(BIN);
    touch(&bin);
    assert!(ends(&workshop, &merge, 0).contains("already done"));

    flip(&bin);

    let told = ends(&workshop, &merge, 3);
    assert!(told.contains("t-train-000_00000.bin: not what its manifest records"), "{told}");
    ends(&workshop, &["merge", "--input", "tokens", "--out", "other"], 3);
    assert!(!workshop.path("other/manifest.json").exists());
}

#[test]
fn what_a_share_of_a_check_found_counts_while_nothing_is_touched() {
    let workshop = tokens();
    let verify = |more: &[&'static str]| -> Vec<&'static str> {
        [&["verify", "tokens", "--out", "checked"], more].concat()
    };
    for share in ["0/2", "1/2"] {
        ends(&workshop, &verify(&["--shard", share]), 0);
    }

    flip(&workshop.path(BIN));

    let told = ends(&workshop, &verify(&[]), 3);
    assert!(told.contains("t-train-000_00000.bin"), "{told}");
}

#[test]
fn an_import_names_the_content_that_it_carried() {
    let workshop = Workshop::new();
    let ids: Vec<u8> = (0..3_u32 << 19).flat_map(|n| ((n % 300) as u16).to_le_bytes()).collect();
    workshop.write("ids.bin", &ids);
    let import = ["import", "ids.bin", "--from", "raw", "--eos", "2", "--out"];
    ends(&workshop, &[&import[..], &["one"]].concat(), 0);
    flip(&workshop.path("ids.bin"));
    ends(&workshop, &[&import[..], &["two"]].concat(), 0);
    let sources = |out: &str| {
        let manifest = fs::read(workshop.path(out).join("manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        manifest["sources"][0]["fingerprint"].clone()
    };

    assert_ne!(sources("one"), sources("two"));
    // Another name of the file is no change of it.
    ends(&workshop, &[&import[..], &["three", "--link"]].concat(), 0);
    assert_eq!(sources("two"), sources("three"));
}
