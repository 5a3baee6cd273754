//! `ratdata decontaminate`: planted passages are left out with their evidence.

use ratdata_tests::files::content;
use ratdata_tests::program::stderr;
use ratdata_tests::workshop::Workshop;

use crate::support::{lines, made, read_lines, read_rows, read_table, refused, rows, write_table};

const QUESTION: &str = "A farmer has seventeen sheep, and all but nine of them run away through the \
                        gate; how many sheep does the farmer have left in the end?";

/// A corpus of a table and lines, each with the question of a benchmark planted in it.
fn workshop() -> Workshop {
    let workshop = Workshop::empty();
    let mut all = rows(300);
    all[40].text = format!("so it goes: {} and so on", QUESTION.to_lowercase());
    all[200].text = QUESTION.replace(' ', "\n");
    write_table(&workshop.path("d/a.parquet"), &[all[..50].to_vec(), all[50..100].to_vec()]);
    workshop.write("d/b.jsonl", lines(&all[100..]));
    let bench = serde_json::json!({"question": QUESTION, "answer": "nine", "id": 1});
    workshop.write("bench/test.jsonl", format!("{bench}\n"));
    workshop
}

const CLEAN: [&str; 5] = ["decontaminate", "d", "--against", "bench/test.jsonl", "--out"];

#[test]
fn a_row_with_a_planted_passage_is_left_out_with_both_passages() {
    let workshop = workshop();

    let found = made(&workshop, &[&CLEAN[..], &["o"]].concat());

    assert_eq!((&found["rows"], &found["kept"]), (&300.into(), &298.into()));
    assert_eq!(found["reasons"]["contaminated"], 2);
    assert_eq!(read_table(&workshop.path("o/data/a.parquet")).len(), 99);
    assert_eq!(read_rows(&workshop.path("o/data/b.jsonl.zst")).len(), 199);
    let dropped = read_lines(&workshop.path("o/dropped/a.dropped.zst"));
    assert_eq!(dropped[0]["row"], 40);
    let detail = &dropped[0]["detail"];
    assert_eq!((&detail["score"], &detail["passage"]["text"]), (&1.0.into(), &QUESTION.into()));
    assert_eq!(detail["text"], QUESTION.to_lowercase());
    let hits = read_lines(&workshop.path("o/hits/b.hits.zst"));
    assert_eq!((hits.len(), &hits[0]["row"]), (1, &100.into()));
    assert_eq!(hits[0]["passage"]["file"], "test.jsonl");
}

#[test]
fn threads_shares_and_a_moved_threshold_change_no_byte() {
    let workshop = workshop();
    let clean = |out: &str, more: &[&str]| {
        let output = workshop.run(&[&CLEAN[..], &[out, "--quiet"], more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        content(&workshop.path(out))
    };
    let whole = clean("whole", &["--num-proc", "1"]);
    assert!(clean("threads", &["--num-proc", "3"]) == whole);
    clean("shares", &["--shard", "0/2"]);
    clean("shares", &["--shard", "1/2"]);
    assert!(clean("shares", &[]) == whole);
    clean("moved", &["--threshold", "0.9"]);
    assert!(clean("moved", &["--threshold", "0.5"]) == whole);
}

#[test]
fn n_grams_of_tokens_find_what_is_written_alike() {
    let workshop = workshop();
    ratdata_tests::program::write_sample(&workshop.path("."));
    let words = [&CLEAN[..], &["o", "--ngram-unit", "tokens"]].concat();
    let words = [&words[..], &["--tokenizer", ratdata_tests::program::SAMPLE_TOKENIZER]].concat();

    let found = made(&workshop, &words);

    assert_eq!((&found["rows"], &found["kept"]), (&300.into(), &299.into()));
    // A case that differs in the first letter is at the end of the passage; ends of lines are other tokens.
    let dropped = read_lines(&workshop.path("o/dropped/a.dropped.zst"));
    assert_eq!((dropped.len(), &dropped[0]["row"]), (1, &40.into()));
    assert_eq!(read_lines(&workshop.path("o/dropped/b.dropped.zst")).len(), 0);
    let detail = &dropped[0]["detail"];
    assert_eq!((&detail["score"], &detail["passage"]["text"]), (&1.0.into(), &QUESTION.into()));
    let shown = detail["text"].as_str().unwrap();
    assert!(QUESTION.to_lowercase().contains(shown.trim()) && shown.len() > 100, "{shown}");
    let again = workshop.run(&words);
    assert!(stderr(&again).contains("already done"), "{}", stderr(&again));
    // By words, it is another job.
    let (said, _) = refused(&workshop, &[&CLEAN[..], &["o"]].concat());
    assert!(said.contains("own.ngram_unit") || said.contains("own.tokenizer"), "{said}");
}

#[test]
fn what_is_no_benchmark_is_refused() {
    let workshop = workshop();
    workshop.write("none.jsonl", "{\"id\": 1}\n");
    for (words, says) in [
        (&["--against", "none.jsonl"][..], "none.jsonl: no text of at least 8 words"),
        (&["--against", "bench", "--threshold", "0"], "expected a share above 0 and up to 1"),
        (&["--against", "bench", "--against-fields", "answer"], "1 texts have fewer"),
        (&["--against", "nosuch.jsonl"], "no input matched"),
        (&["--against", "bench", "--ngram-unit", "tokens"], "--tokenizer <PATH|HUB_ID|ALIAS>"),
        (&["--against", "bench", "--tokenizer", "gpt2"], "is for n-grams of tokens"),
    ] {
        let words = [&["decontaminate", "d", "--out", "o"][..], words].concat();
        let (said, status) = refused(&workshop, &words);
        assert!(said.contains(says), "{said}");
        assert!(status == Some(2) || says.contains("no input"), "{said}");
    }
}

#[test]
fn a_tokenizer_that_is_not_there_is_told() {
    let workshop = workshop();
    let tokens = ["o", "--ngram-unit", "tokens", "--tokenizer", "none/tokenizer.json"];

    let (said, _) = refused(&workshop, &[&CLEAN[..], &tokens].concat());

    assert!(said.contains("none/tokenizer.json"), "{said}");
    assert!(!workshop.path("o").exists());
}

#[test]
fn another_benchmark_in_the_same_place_is_another_job() {
    let workshop = workshop();
    made(&workshop, &[&CLEAN[..], &["o"]].concat());
    workshop.write("bench/test.jsonl", format!("{{\"q\": \"{QUESTION} Tell me\"}}\n"));

    let (said, _) = refused(&workshop, &[&CLEAN[..], &["o"]].concat());

    assert!(said.contains("own.against[0].blake3"), "{said}");
}

#[test]
fn a_step_gives_the_bytes_of_the_command() {
    let workshop = workshop();
    workshop.write(
        "pipeline.toml",
        "[steps.clean]\nkind = \"decontaminate\"\ninput = \"d\"\nagainst = \"bench/test.jsonl\"\n\
         publish = \"clean\"\n",
    );
    let ran = workshop.run(&["run", "pipeline.toml"]);
    assert!(ran.status.success(), "{}", stderr(&ran));
    made(&workshop, &[&CLEAN[..], &["direct"]].concat());

    assert!(content(&workshop.path("clean")) == content(&workshop.path("direct")));
}

#[test]
fn the_report_shows_both_passages_side_by_side() {
    let workshop = workshop();
    made(&workshop, &[&CLEAN[..], &["o"]].concat());

    let found = made(&workshop, &["report", "o", "-o", "page.html"]);

    assert_eq!(found["samples"], 4, "two hits, and two rows that are left out");
    let page = std::fs::read_to_string(workshop.path("page.html")).unwrap();
    assert!(page.contains("score 1.00, 15 of 15 n-grams"), "{page}");
    assert_eq!(page.matches(QUESTION).count(), 4, "the passage of each");
    assert!(page.contains(&QUESTION.to_lowercase()), "and what the row has");
}
