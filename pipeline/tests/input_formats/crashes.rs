//! Commands that read these formats, killed and interrupted at random points: the next run ends with the same bytes.
//!
//! The points are drawn from a seed, which is printed; `RATDATA_SEED` gives it again.

use std::time::Instant;

use ratdata_tests::draws::Draws;
use ratdata_tests::files::content;
use ratdata_tests::program::stderr;
use ratdata_tests::stops::{final_files, stopped};
use ratdata_tests::workshop::Workshop;
use serde_json::{Value, json};

use crate::support::{arrow_of, gzip, lines_of, separated, succeed, tar_of};

/// How often each job starts from nothing.
const ROUNDS: u32 = 3;

/// How often each of them is stopped before it may end.
const STOPS: u32 = 3;

/// Rows of all lengths, some of which come twice.
fn rows(first: usize, count: usize) -> Vec<Value> {
    // Numbers are all the same to near duplicates; letters are not.
    let letter = |number: usize| char::from(b"abcdefghijklmnopqrstuvwxyz"[number % 26]);
    let word = |row: usize, at: usize| {
        [row * 7 + at, row / 26 + at * at, row / 676, at].map(letter).iter().collect::<String>()
    };
    let text = |row: usize| {
        let words: Vec<String> = (0..6 + row * 31 % 400).map(|at| word(row, at)).collect();
        format!("\"{row}\", größer,\n{}", words.join(" "))
    };
    let row = |row: usize| json!({"id": row, "q": format!("what is {row}?"), "text": text(row - row % 5 / 4)});
    (first..first + count).map(row).collect()
}

/// An archive of several members, of which one is compressed.
fn archive(rows: &[Value]) -> Vec<u8> {
    let (first, second) = rows.split_at(rows.len() / 3);
    tar_of(&[("x/a.jsonl", &lines_of(first)), ("b.jsonl.gz", &gzip(&lines_of(second)))])
}

/// Stops the jobs over files of a format at points that are drawn, and holds what is left to whole runs' files.
fn survives(ending: &str, written: fn(&[Value]) -> Vec<u8>) {
    let workshop = Workshop::new();
    for (file, count) in [1500_usize, 3, 2600, 700].into_iter().enumerate() {
        let name = format!("in/{file}.{ending}");
        workshop.write(&name, written(&rows(2 + file * 1000, count)));
    }
    let bench = json!({"q": rows(500, 1)[0]["text"]});
    workshop.write("bench.jsonl", format!("{bench}\n"));
    let mut draws = Draws::new();
    let mut stops = 0;

    // No pattern stands for arrays, which are read where they are named.
    let names = [0, 1, 2, 3].map(|file| format!("in/{file}.{ending}"));
    for (job, words) in [
        ("tokens", &["tokenize", "--tokenizer", "demo/tokenizer", "--name", "t", "--input"][..]),
        ("kept", &["filter", "--where", "number(id) % 7 > 0", "--rules", "gopher_repetition"]),
        ("unique", &["dedup", "--method", "minhash", "--memory", "1MB"]),
        ("clean", &["decontaminate", "--against", "bench.jsonl"]),
    ] {
        // Of `tokenize`, the inputs follow their option, and of the others the command.
        let (before, after) = words.split_at(if job == "tokens" { words.len() } else { 1 });
        let inputs: Vec<&str> = names.iter().map(String::as_str).collect();
        let options = ["--num-proc", "2", "--quiet", "--out"];
        let words = [before, &inputs, after, &options].concat();
        let begun = Instant::now();
        let whole = format!("whole-{job}");
        succeed(&workshop, &[&words[..], &[&whole]].concat());
        let took = begun.elapsed();
        let whole = content(&workshop.path(&whole));
        for round in 0..ROUNDS {
            let out = format!("{job}-{round}");
            let arguments = [&words[..], &[&out]].concat();
            for stop in 0..STOPS {
                let place = format!("RATDATA_SEED={}, {out}, stop {stop}", draws.seed());
                let is_kill = draws.below(3) > 0;
                let delay = draws.within(took.mul_f64(1.1));
                let status = stopped(workshop.command(&arguments), is_kill, delay);

                for (name, bytes) in final_files(&workshop.path(&out)) {
                    assert!(
                        whole.get(&name) == Some(&bytes),
                        "{place}: {} is not whole",
                        name.display()
                    );
                }
                if status.success() {
                    break;
                }
                stops += 1;
                assert!(matches!(status.code(), None | Some(130)), "{place}: {status}");
            }
            let ended = workshop.run(&arguments);

            let place = format!("RATDATA_SEED={}, {out}", draws.seed());
            assert!(ended.status.success(), "{place}: {}", stderr(&ended));
            assert!(content(&workshop.path(&out)) == whole, "{place}: other bytes");
        }
    }
    assert!(stops > 0, "RATDATA_SEED={}: no run was stopped while it worked", draws.seed());
}

#[test]
fn archives_give_the_same_bytes_however_often_their_run_was_stopped() {
    survives("tar", archive);
}

#[test]
fn separated_values_give_the_same_bytes_however_often_their_run_was_stopped() {
    survives("csv", |rows| separated(rows, ','));
}

#[test]
fn arrow_gives_the_same_bytes_however_often_its_run_was_stopped() {
    survives("arrow", arrow_of);
}

#[test]
fn arrays_give_the_same_bytes_however_often_their_run_was_stopped() {
    survives("json", |rows| serde_json::to_vec_pretty(rows).unwrap());
}
