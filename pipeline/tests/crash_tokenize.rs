//! `tokenize`, killed and interrupted at random points, merged or not: the next run ends with the same bytes.
//!
//! The points are drawn from a seed, which is printed; `RATDATA_SEED` gives it again.

use std::time::Instant;

use parquet::file::properties::WriterProperties;
use ratdata_tests::draws::Draws;
use ratdata_tests::files::content;
use ratdata_tests::program::stderr;
use ratdata_tests::stops::{final_files, stopped};
use ratdata_tests::workshop::Workshop;

/// How often each job starts from nothing.
const ROUNDS: u32 = 6;

/// How often each of them is stopped before it may end.
const STOPS: u32 = 4;

/// Input of every size: parquet of several row groups, JSON lines, and files that are done at once.
fn inputs(workshop: &Workshop) {
    let text =
        |n: usize| format!("{n} times the cat sat, naïvely, on  the mat. ").repeat(n % 23 + 1);
    for (file, texts) in [900_usize, 5, 2400, 300].into_iter().enumerate() {
        let all: Vec<String> = (0..texts).map(text).collect();
        let groups: Vec<Vec<String>> = all.chunks(400).map(<[String]>::to_vec).collect();
        let name = format!("in/{file}.parquet");
        workshop.write_parquet(&name, &groups, WriterProperties::default());
    }
    let line = |n: usize| format!("{}\n", serde_json::json!({"text": text(n)}));
    workshop.write("in/4.jsonl", (0..1500).map(line).collect::<String>().as_bytes());
    workshop.write("in/5.jsonl", line(1).as_bytes());
}

/// Stops runs at points that are drawn, and holds what is left to whole runs' files.
fn survives(more: &[&str]) {
    let workshop = Workshop::new();
    inputs(&workshop);
    let job = [&["--input", "in", "--name", "t", "--num-proc", "2"], more].concat();
    let shards = ["--input", "in", "--name", "t"];
    // Every file that may bear a final name: the artifact's, and the shards that a merge gives up.
    workshop.manifest("shards", &shards);
    let apart = content(&workshop.path("shards"));
    let begun = Instant::now();
    workshop.manifest("whole", &job);
    let took = begun.elapsed();
    let whole = content(&workshop.path("whole"));
    let mut draws = Draws::new();
    let mut stops = 0;

    for round in 0..ROUNDS {
        let out = format!("out-{round}");
        let start = ["tokenize", "--tokenizer", "demo/tokenizer", "--quiet", "--out", &out];
        let arguments = [&start[..], &job].concat();
        for stop in 0..STOPS {
            let place = format!("RATDATA_SEED={}, round {round}, stop {stop}", draws.seed());
            let delay = draws.within(took.mul_f64(1.1));
            let is_kill = draws.below(3) > 0;
            let status = stopped(workshop.command(&arguments), is_kill, delay);

            for (name, bytes) in final_files(&workshop.path(&out)) {
                let known = whole.get(&name).or_else(|| apart.get(&name));
                assert!(known == Some(&bytes), "{place}: {} is not whole", name.display());
            }
            if status.success() {
                break;
            }
            stops += 1;
            assert!(matches!(status.code(), None | Some(130)), "{place}: {status}");
        }

        let ended = workshop.run(&arguments);

        let place = format!("RATDATA_SEED={}, round {round}", draws.seed());
        assert!(ended.status.success(), "{place}: {}", stderr(&ended));
        assert!(content(&workshop.path(&out)) == whole, "{place}: other bytes");
    }
    assert!(stops > 0, "RATDATA_SEED={}: no run was stopped while it worked", draws.seed());
}

#[test]
fn shards_are_the_same_however_often_their_run_was_stopped() {
    survives(&[]);
}

#[test]
fn merged_files_are_the_same_however_often_their_run_was_stopped() {
    survives(&["--merge"]);
}
