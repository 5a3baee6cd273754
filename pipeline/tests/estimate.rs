//! The estimate against the run, on inputs of which a part is not like the whole.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use ratdata_tests::program::stderr;
use ratdata_tests::workshop::Workshop;
use serde_json::Value;

/// Runs an estimate and the job, and returns the estimate and the tokens of both.
fn compared(workshop: &Workshop, input: &str) -> (Value, f64) {
    let arguments = ["--input", input, "--out", "out", "--json", "--force"];
    let json = |more: &[&str]| -> Value {
        let output = workshop.tokenize(&[&arguments[..], more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let estimated = json(&["--estimate"]);
    let run = json(&[]);
    let share = estimated["tokens"].as_f64().unwrap() / run["tokens"].as_f64().unwrap();
    (estimated, share)
}

fn assert_close(workshop: &Workshop, input: &str) {
    let (estimated, share) = compared(workshop, input);
    assert!((0.98..=1.02).contains(&share), "{input}: {share}, {estimated}");
}

const WORDS: [&str; 8] = ["water", "river", "the", "of", "mountain", "reading", "and", "language"];

const CHARACTERS: [&str; 8] = ["水", "河", "的", "山", "讀", "語", "言", "和"];

/// A text of `bytes` bytes or a little more, another for each number.
fn text(words: &[&str], between: &str, number: usize, bytes: usize) -> String {
    let mut text = String::new();
    let mut state = number as u64 + 1;
    while text.len() < bytes {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(words[usize::try_from(state >> 61).unwrap()]);
        text.push_str(between);
    }
    text
}

/// Texts of which the first half is English and the second Chinese, of many lengths.
fn mixed(documents: usize) -> Vec<String> {
    let size = |number: usize| 200 + (number * 7919) % 9000;
    (0..documents)
        .map(|number| {
            if number < documents / 2 {
                text(&WORDS, " ", number, size(number))
            } else {
                text(&CHARACTERS, "", number, size(number))
            }
        })
        .collect()
}

fn json_lines(texts: &[String]) -> Vec<u8> {
    let line = |(number, text): (usize, &String)| {
        // Fields of other sizes, which are no text.
        let tags = "tag ".repeat(number % 40);
        format!("{}\n", serde_json::json!({"id": number, "tags": tags, "text": text}))
    };
    texts.iter().enumerate().map(line).collect::<String>().into_bytes()
}

#[test]
fn half_of_a_file_in_another_language_is_seen() {
    let workshop = Workshop::new();
    // More than what is encoded for an estimate, so that it has to draw.
    let texts = mixed(16_000);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let groups: Vec<Vec<String>> = texts.chunks(1000).map(<[String]>::to_vec).collect();
    workshop.write_parquet("groups.parquet", &groups, properties.clone());
    workshop.write_parquet("one.parquet", &[texts], properties);

    assert_close(&workshop, "groups.parquet");
    assert_close(&workshop, "one.parquet");
}

#[test]
fn lines_are_scaled_by_the_bytes_that_were_read() {
    let workshop = Workshop::new();
    let lines = json_lines(&mixed(16_000));
    workshop.write("plain.jsonl", &lines);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&lines).unwrap();
    workshop.write("packed.jsonl.gz", gzip.finish().unwrap());

    assert_close(&workshop, "plain.jsonl");
    assert_close(&workshop, "packed.jsonl.gz");
}

#[test]
fn a_small_input_is_counted_exactly() {
    let workshop = Workshop::new();
    let texts: Vec<String> = (0..60).map(|number| text(&WORDS, " ", number, 300)).collect();
    for (number, three) in texts.chunks(3).enumerate() {
        workshop.write(&format!("in/{number}.jsonl"), json_lines(three));
        workshop.write(&format!("in/{number}.txt"), three.concat().as_bytes());
    }

    let (estimated, share) = compared(&workshop, "in");

    assert!((share - 1.0).abs() < 1e-9, "{share}");
    assert_eq!(estimated["sampled"], 1.0);
    assert_eq!(estimated["documents"], 80);
    assert!(estimated["seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn ctrl_c_stops_an_estimate() {
    let workshop = Workshop::new();
    workshop.write("in.jsonl", json_lines(&mixed(16_000)));
    let mut interrupted = false;
    for delay in [100, 200, 400, 800] {
        let mut run = workshop
            .command(&[
                "tokenize",
                "--tokenizer",
                "demo/tokenizer",
                "--input",
                "in.jsonl",
                "--estimate",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        let asked = Instant::now();
        std::process::Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
        interrupted |= run.wait().unwrap().code() == Some(130);
        assert!(asked.elapsed() < Duration::from_secs(5));
    }
    assert!(interrupted, "no estimate was interrupted while it worked");
}
