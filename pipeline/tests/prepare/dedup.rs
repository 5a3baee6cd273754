//! `ratdata dedup`: the first of equal rows stays, across files and formats.

use std::time::Duration;

use ratdata_tests::files::content;
use ratdata_tests::program::stderr;
use ratdata_tests::workshop::Workshop;

use crate::support::{
    kill_until_done, lines, made, read_lines, read_rows, read_table, refused, row, rows,
    write_table,
};

/// Two corpora with the same rows in part, of different formats.
fn workshop() -> Workshop {
    let workshop = Workshop::empty();
    let all = rows(400);
    write_table(&workshop.path("web/a.parquet"), &[all[..100].to_vec(), all[50..150].to_vec()]);
    workshop.write("books/b.jsonl", lines(&all[100..400]));
    workshop.write("books/c.jsonl", lines(&all[..20]));
    workshop
}

#[test]
fn the_first_row_stays_across_corpora_and_formats() {
    let workshop = workshop();

    let found = made(&workshop, &["dedup", "web", "books", "--out", "o"]);

    let all = rows(400);
    // Files are read in the order of their names.
    assert_eq!(read_table(&workshop.path("o/data/a.parquet")), all[..150]);
    assert_eq!(read_rows(&workshop.path("o/data/b.jsonl.zst")), all[150..]);
    assert_eq!(read_rows(&workshop.path("o/data/c.jsonl.zst")), []);
    assert_eq!((&found["rows"], &found["kept"]), (&520.into(), &400.into()));
    assert_eq!(found["reasons"]["duplicate"], 120);
    let dropped = read_lines(&workshop.path("o/dropped/a.dropped.zst"));
    assert_eq!(dropped.len(), 50);
    let of = |row: u64| serde_json::json!({"of": {"file": "a.parquet", "row": row}});
    assert_eq!((&dropped[0]["row"], &dropped[0]["detail"]), (&100.into(), &of(50)));
    assert_eq!(read_lines(&workshop.path("o/dropped/c.dropped.zst"))[19]["detail"], of(19));
}

#[test]
fn threads_memory_shares_and_kills_change_no_byte() {
    let workshop = Workshop::empty();
    for copy in 0..5 {
        workshop.write(&format!("d/{copy}.jsonl"), lines(&rows(8000 + copy * 500)));
    }
    for method in ["exact", "minhash"] {
        let dedup = |out: &str, more: &[&str]| {
            let words = ["dedup", "d", "--method", method, "--quiet", "--out", out];
            let output = workshop.run(&[&words[..], more].concat());
            assert!(output.status.success(), "{}", stderr(&output));
            content(&workshop.path(out))
        };
        let name = |name: &str| format!("{method}-{name}");
        let whole = dedup(&name("whole"), &["--num-proc", "1"]);
        assert!(dedup(&name("small"), &["--num-proc", "4", "--memory", "1MB"]) == whole);
        dedup(&name("shares"), &["--shard", "1/2"]);
        dedup(&name("shares"), &["--shard", "0/2"]);
        assert!(dedup(&name("shares"), &[]) == whole);
        let killed = name("killed");
        let arguments = ["dedup", "d", "--method", method, "--quiet", "--out", &killed];
        let (first, later_by) = (Duration::from_millis(8), Duration::from_millis(19));
        let kills = kill_until_done(&workshop, &arguments, first, later_by);
        assert!(kills > 0 && content(&workshop.path(&killed)) == whole, "{method}");
    }
}

#[test]
fn near_duplicates_are_found_across_files_and_shown_with_their_first() {
    let workshop = Workshop::empty();
    let letter = |number: u8| char::from(b'a' + number % 26);
    let long = |first: &str| {
        let word = |number: u8| format!("{first}{}{}", letter(number / 26), letter(number));
        (0..200).map(word).collect::<Vec<_>>().join(" ")
    };
    let (one, two) = (long("one"), long("two"));
    workshop.write("d/a.jsonl", lines(&[row(&one, 0), row(&two, 0)]));
    let changed = two.replacen("twocc", "another", 1);
    workshop.write("d/b.jsonl", lines(&[row(&changed, 0), row("short", 0)]));

    let found = made(&workshop, &["dedup", "d", "--method", "minhash", "--out", "o"]);

    assert_eq!(found["reasons"]["near_duplicate"], 1, "{found}");
    let dropped = read_lines(&workshop.path("o/dropped/b.dropped.zst"));
    assert_eq!(dropped[0]["detail"]["of"], serde_json::json!({"file": "a.jsonl", "row": 1}));
}

#[test]
fn lines_are_taken_out_of_tables_and_of_lines_alike() {
    let workshop = Workshop::empty();
    let both = [row("menu\nfirst", 1), row("menu\nsecond", 2)];
    write_table(&workshop.path("a.parquet"), &[both.to_vec()]);
    workshop.write("b.jsonl", lines(&both));

    for (input, data) in [("a.parquet", "a.parquet"), ("b.jsonl", "b.jsonl.zst")] {
        let out = format!("o-{input}");
        made(&workshop, &["dedup", input, "--unit", "line", "--out", &out]);
        let path = workshop.path(&format!("{out}/data/{data}"));
        let found = if input == "a.parquet" { read_table(&path) } else { read_rows(&path) };
        assert_eq!(found, [row("menu\nfirst", 1), row("second", 2)]);
    }
}

#[test]
fn an_option_of_the_other_method_is_refused() {
    let workshop = workshop();
    for (words, says) in [
        (
            &["--method", "minhash", "--unit", "line"][..],
            "`--unit` is an option of `--method exact`",
        ),
        (&["--bands", "20"], "`--bands` is an option of `--method minhash`"),
        (&["--method", "minhash", "--bands", "0"], "from 1 to 256"),
        (&["--memory", "10"], "such as 8GB"),
    ] {
        let words = [&["dedup", "web", "--out", "o"][..], words].concat();
        let (said, status) = refused(&workshop, &words);
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn a_step_gives_the_bytes_of_the_command() {
    let workshop = workshop();
    workshop.write(
        "pipeline.toml",
        "[steps.unique]\nkind = \"dedup\"\ninput = [\"web\", \"books\"]\nmethod = \"minhash\"\n\
         ngram = 3\nmemory = \"2MB\"\npublish = \"unique\"\n",
    );
    let ran = workshop.run(&["run", "pipeline.toml"]);
    assert!(ran.status.success(), "{}", stderr(&ran));

    let words = ["dedup", "web", "books", "--method", "minhash", "--ngram", "3", "--out", "direct"];
    made(&workshop, &words);

    assert!(content(&workshop.path("unique")) == content(&workshop.path("direct")));
}
