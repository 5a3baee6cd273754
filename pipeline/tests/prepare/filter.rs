//! `ratdata filter`: what is kept, what is said of the rest, and what stays the same.

use std::fs;
use std::time::Duration;

use ratdata_tests::files::content;
use ratdata_tests::workshop::Workshop;

use crate::support::{
    Row, kill_until_done, lines, made, read_lines, read_rows, read_table, refused, row, rows,
    write_table,
};

/// A folder with a table, lines and a held-out file.
fn workshop() -> (Workshop, Vec<Row>) {
    let workshop = Workshop::empty();
    let all = rows(900);
    let groups: Vec<Vec<Row>> = all[..500].chunks(100).map(<[Row]>::to_vec).collect();
    write_table(&workshop.path("d/a/table.parquet"), &groups);
    workshop.write("d/lines.jsonl", lines(&all[500..]));
    workshop.write("d/test.jsonl", lines(&rows(3)));
    (workshop, all)
}

#[test]
fn kept_rows_have_all_columns_and_every_other_row_has_its_reason() {
    let (workshop, all) = workshop();

    let found =
        made(&workshop, &["filter", "d", "--where", "score >= 7 and len(text) > 5", "--out", "o"]);

    let kept = |rows: &[Row]| rows.iter().filter(|row| row.score >= 7).cloned().collect::<Vec<_>>();
    assert_eq!(read_table(&workshop.path("o/data/a/table.parquet")), kept(&all[..500]));
    assert_eq!(read_rows(&workshop.path("o/data/lines.jsonl.zst")), kept(&all[500..]));
    assert_eq!(read_lines(&workshop.path("o/data/lines.jsonl.zst"))[0]["more"][0], 1);
    assert_eq!((&found["rows"], &found["kept"]), (&900.into(), &270.into()));
    assert_eq!(found["reasons"]["where"], 630);
    let dropped = read_lines(&workshop.path("o/dropped/lines.dropped.zst"));
    let told: Vec<u64> = dropped.iter().map(|line| line["row"].as_u64().unwrap()).collect();
    let expected: Vec<u64> =
        (0..400).filter(|row| all[500 + usize::try_from(*row).unwrap()].score < 7).collect();
    assert_eq!(told, expected);
    assert_eq!(dropped[1]["line"], 2);
    // The held-out file was left out.
    assert!(!workshop.path("o/data/test.jsonl.zst").exists());
}

#[test]
fn a_row_group_without_such_rows_is_not_read() {
    let workshop = Workshop::empty();
    let low = (0..50).map(|number| row(&format!("low {number}"), number % 3)).collect();
    let high: Vec<Row> = (0..50).map(|number| row(&format!("high {number}"), 5)).collect();
    write_table(&workshop.path("t.parquet"), &[low, high.clone()]);
    let mut bytes = fs::read(workshop.path("t.parquet")).unwrap();
    bytes[4..60].fill(0xff);
    workshop.write("damaged.parquet", bytes);

    let found =
        made(&workshop, &["filter", "damaged.parquet", "--where", "score > 4", "--out", "o"]);

    assert_eq!(read_table(&workshop.path("o/data/damaged.parquet")), high);
    assert_eq!(found["reasons"]["where"], 50);
    let dropped = read_lines(&workshop.path("o/dropped/damaged.dropped.zst"));
    assert_eq!(dropped[0]["rows"], serde_json::json!([0, 50]));
    let (said, _) =
        refused(&workshop, &["filter", "damaged.parquet", "--where", "score > 1", "--out", "p"]);
    assert!(said.contains("damaged.parquet: row group 0"), "{said}");
}

#[test]
fn threads_shares_and_kills_change_no_byte() {
    let (workshop, _) = workshop();
    for copy in 0..6 {
        workshop.write(&format!("d/more{copy}.jsonl"), lines(&rows(3000)));
    }
    let run = |out: &str, more: &[&str]| {
        let filter = ["filter", "d", "--where", "score in [1, 4]", "--quiet", "--out", out];
        let output = workshop.run(&[&filter[..], more].concat());
        assert!(output.status.success(), "{}", ratdata_tests::program::stderr(&output));
        content(&workshop.path(out))
    };
    let whole = run("whole", &["--num-proc", "1"]);
    assert!(run("threads", &["--num-proc", "5"]) == whole);
    assert!(run("whole", &[]) == whole, "a second run finds the first one's result");
    run("shares", &["--shard", "1/3"]);
    assert!(!workshop.path("shares/prepared.json").exists());
    run("shares", &["--shard", "0/3"]);
    assert!(run("shares", &[]) == whole);
    let arguments = ["filter", "d", "--where", "score in [1, 4]", "--quiet", "--out", "killed"];
    let (first, later_by) = (Duration::from_millis(5), Duration::from_millis(7));
    let kills = kill_until_done(&workshop, &arguments, first, later_by);
    assert!(kills > 0 && content(&workshop.path("killed")) == whole);
}

#[test]
fn a_wrong_predicate_is_shown_with_a_caret() {
    let (workshop, _) = workshop();
    for (predicate, says, caret) in [
        ("score >= and x", "found `and`", "           ^^^"),
        ("scoer >= 3", "no column `scoer`", "  ^^^^^"),
        ("score >= 'x'", "a number is compared with a text", "  ^^^^^^^^^^^^"),
    ] {
        let (said, status) =
            refused(&workshop, &["filter", "d", "--where", predicate, "--out", "o"]);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains(says) && said.contains(&format!("\n{caret}\n")), "{said}");
    }
    let (said, _) = refused(&workshop, &["filter", "d", "--where", "scoer > 1", "--out", "o"]);
    assert!(said.contains("the columns are: score, text"), "{said}");
    let (said, _) = refused(
        &workshop,
        &["filter", "d/lines.jsonl", "--where", "langauge == 'en'", "--out", "o"],
    );
    assert!(said.contains("the columns are: text, score, more"), "{said}");
    let (said, _) =
        refused(&workshop, &["filter", "d/lines.jsonl", "--where", "more == 'en'", "--out", "o"]);
    assert!(said.contains("line 1: `more` is a list"), "{said}");
}

#[test]
fn another_filter_is_refused_and_replaced_by_force() {
    let (workshop, _) = workshop();
    let run = |predicate: &str, more: &[&str]| {
        workshop.run(&[&["filter", "d", "--where", predicate, "--out", "o"], more].concat())
    };
    assert!(run("score > 3", &[]).status.success());
    let (said, status) = refused(&workshop, &["filter", "d", "--where", "score > 4", "--out", "o"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("own.where: \"score > 3\" -> \"score > 4\""), "{said}");
    assert!(run("score > 4", &["--force"]).status.success());
    workshop.write("d/lines.jsonl", lines(&rows(7)));
    let (said, _) = refused(&workshop, &["filter", "d", "--where", "score > 4", "--out", "o"]);
    assert!(said.contains("`lines.jsonl`: size"), "{said}");
}

#[test]
fn bad_rows_and_nulls_are_told_or_left_out() {
    let workshop = Workshop::empty();
    workshop.write("x.jsonl", "{\"text\": \"a\", \"n\": 1}\n{\"text\": \"b\"}\nno json\n{\"text\": \"c\", \"n\": \"x\"}\n");
    let filter = ["filter", "x.jsonl", "--where", "n > 0", "--out", "o"];

    let (said, _) = refused(&workshop, &filter);
    assert!(said.contains("x.jsonl: line 3: not JSON"), "{said}");
    let found = made(&workshop, &[&filter[..], &["--on-bad-row", "skip"]].concat());

    assert_eq!(found["reasons"], serde_json::json!({"bad_row": 2, "where_null": 1}));
    assert_eq!(read_lines(&workshop.path("o/data/x.jsonl.zst")).len(), 1);
}

#[test]
fn a_step_gives_the_bytes_of_the_command_and_tokenize_reads_its_result() {
    let (workshop, _) = workshop();
    let sample = workshop.run(&["sample", "--out", "demo", "--quiet"]);
    assert!(sample.status.success());
    workshop.write(
        "pipeline.toml",
        "[steps.kept]\nkind = \"filter\"\ninput = [\"d\"]\nwhere = \"score > 5\"\npublish = \"kept\"\n\
         [steps.tokens]\nkind = \"tokenize\"\ninput = \"@kept\"\ntokenizer = \"demo/tokenizer\"\n\
         val_fraction = 0\npublish = \"tokens\"\n",
    );
    let ran = workshop.run(&["run", "pipeline.toml"]);
    assert!(ran.status.success(), "{}", ratdata_tests::program::stderr(&ran));
    made(&workshop, &["filter", "d", "--where", "score > 5", "--out", "direct"]);

    assert!(content(&workshop.path("kept")) == content(&workshop.path("direct")));
    let found = made(&workshop, &["inspect", "tokens"]);
    assert_eq!(found["splits"][0]["documents"], 360, "{found}");
}

#[test]
fn an_estimate_writes_nothing() {
    let (workshop, _) = workshop();

    let found =
        made(&workshop, &["filter", "d", "--where", "score < 5", "--out", "o", "--estimate"]);

    assert!(!workshop.path("o").exists());
    assert_eq!((&found["rows"], &found["kept"]), (&900.into(), &450.into()));
}

#[test]
fn rules_leave_out_texts_by_their_reason_and_take_out_lines() {
    let workshop = Workshop::empty();
    let good = "The rat that lives in the house has to be quick, and it runs with the others of its kind. ";
    let menu = format!("Menu | Home\n{}{}", good.repeat(6), "One. Two. Three. Four.");
    let long: Vec<String> = (0..60).map(|number| format!("{good}Row {number}.")).collect();
    workshop.write("x.jsonl", lines(&[row("short", 1), row(&menu, 2), row(&long[0], 3)]));

    let quality = ["filter", "x.jsonl", "--rules", "gopher_quality", "--out", "q"];
    let found = made(&workshop, &quality);
    let c4 = made(&workshop, &["filter", "x.jsonl", "--rules", "c4", "--out", "c"]);
    let set =
        ["--set", "gopher_quality.min_doc_words=1", "--set", "gopher_quality.min_stop_words=0"];
    let set = made(&workshop, &[&quality[..4], &set, &["--out", "s"]].concat());

    assert_eq!(found["reasons"], serde_json::json!({"gopher_short_doc": 2}));
    assert_eq!(c4["reasons"], serde_json::json!({"c4_lines": 1, "too_few_sentences": 2}));
    assert_eq!(c4["rewritten"], 1);
    let kept = read_rows(&workshop.path("c/data/x.jsonl.zst"));
    assert_eq!(kept, [row(&menu.replace("Menu | Home\n", ""), 2)]);
    assert_eq!(set["reasons"], serde_json::json!({}));
    let (said, status) = refused(
        &workshop,
        &[
            "filter",
            "x.jsonl",
            "--rules",
            "fineweb",
            "--set",
            "fineweb.short_line_thr=2",
            "--out",
            "e",
        ],
    );
    assert_eq!(status, Some(2));
    assert!(
        said.contains("fineweb.short_line_thr: found 2, expected a share from 0 to 1"),
        "{said}"
    );
}
