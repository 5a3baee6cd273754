//! Planted duplicates are found at any place, and nothing else is left out.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use proptest::prelude::*;
use ratdata_schemas::recipe::OnBadRow;
use ratdata_tokenize::source::find_inputs;
use serde_json::json;

use super::*;
use crate::decide::RowSettings;
use crate::job::{JobSettings, Outcome};
use crate::prepared::Prepared;

/// Writes each list of texts as a file, runs the job, and returns the kept texts of each file and the
/// record.
fn kept(
    files: &[Vec<String>],
    dedup: Dedup,
    memory: u64,
    threads: usize,
) -> (Vec<Vec<String>>, Prepared) {
    let folder = tempfile::tempdir().unwrap();
    for (number, texts) in files.iter().enumerate() {
        let path = folder.path().join(format!("in/{number:03}.jsonl"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = File::create(path).unwrap();
        for text in texts {
            writeln!(file, "{}", json!({"text": text, "more": 1})).unwrap();
        }
        if texts.is_empty() {
            writeln!(file).unwrap();
        }
    }
    let out = folder.path().join("out");
    let stop = AtomicBool::new(false);
    let inputs = find_inputs(&[folder.path().join("in").display().to_string()]).unwrap();
    let settings = JobSettings {
        kind: "dedup",
        settings: json!({"own": dedup}),
        movable: None,
        rows: RowSettings { text_column: "text".into(), on_bad_row: OnBadRow::Fail },
    };
    let Outcome::Open(job) = Job::open(settings, inputs, &out, false, &stop).unwrap() else {
        panic!("nothing is done there");
    };
    let progress = Progress::default();
    let more = dedup.run(&job, |_| true, false, (threads, memory), &progress, &stop).unwrap();
    let prepared = job.commit(more, &stop).unwrap();
    let texts = (0..files.len()).map(|number| texts(&out, number)).collect();
    (texts, prepared)
}

fn texts(out: &Path, number: usize) -> Vec<String> {
    let file = File::open(out.join(format!("data/{number:03}.jsonl.zst"))).unwrap();
    let lines = String::from_utf8(zstd::decode_all(file).unwrap()).unwrap();
    let text = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        assert_eq!(row["more"], 1);
        row["text"].as_str().unwrap().to_owned()
    };
    lines.lines().map(text).collect()
}

fn exact(unit: Unit) -> Dedup {
    Dedup::Exact { unit, normalize: Normalize::Space, min_words: 1 }
}

fn owned(files: &[&[&str]]) -> Vec<Vec<String>> {
    files.iter().map(|texts| texts.iter().map(|text| (*text).to_owned()).collect()).collect()
}

#[test]
fn the_first_of_equal_texts_stays_whichever_file_it_is_in() {
    let files = owned(&[&["a b", "c"], &[], &["c ", "d", "a  b"], &["d", "e", "c"]]);

    let (texts, prepared) = kept(&files, exact(Unit::Document), 1 << 20, 2);

    assert_eq!(texts, owned(&[&["a b", "c"], &[], &["d"], &["e"]]));
    assert_eq!(prepared.totals.reasons["duplicate"], 4);
    let of = &prepared.samples[0];
    assert_eq!((of.file.as_str(), of.row), ("002.jsonl", 0));
    assert_eq!(of.detail, Some(json!({"of": {"file": "000.jsonl", "row": 1}})));
}

#[test]
fn lines_and_paragraphs_are_taken_out_of_texts() {
    let files =
        owned(&[&["menu\nfirst\n\nend", "menu\nsecond\n"], &["menu\nfirst\n\nnew", "menu\n"]]);

    let (lines, of_lines) = kept(&files, exact(Unit::Line), 1 << 20, 1);
    let (paragraphs, _) = kept(&files, exact(Unit::Paragraph), 1 << 20, 3);

    assert_eq!(lines, owned(&[&["menu\nfirst\n\nend", "second\n"], &["\nnew"]]));
    assert_eq!(of_lines.totals.reasons["duplicate_lines"], 2);
    assert_eq!(of_lines.totals.reasons["only_duplicate_lines"], 1);
    assert_eq!(paragraphs, owned(&[&["menu\nfirst\n\nend", "menu\nsecond\n"], &["new", "menu\n"]]));
}

#[test]
fn short_parts_are_kept() {
    let files = owned(&[&["one\ntwo words here\n", "one\ntwo words here\nthree"]]);
    let dedup = Dedup::Exact { unit: Unit::Line, normalize: Normalize::Words, min_words: 2 };

    assert_eq!(kept(&files, dedup, 0, 1).0, owned(&[&["one\ntwo words here\n", "one\nthree"]]));
}

/// A text of so many different words; `seed` says which.
fn words(seed: u64, count: u64) -> Vec<String> {
    let word = |place| {
        let hash = mix(seed << 20 | place);
        (0..5).map(|at| char::from(b'a' + u8::try_from(hash >> (5 * at) & 15).unwrap())).collect()
    };
    (0..count).map(word).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the files, the memory and the threads: what is kept is what a set in memory keeps.
    #[test]
    fn exact_duplicates_are_those_of_a_set(
        files in prop::collection::vec(prop::collection::vec("[ab]{0,2}( [a]{1,2})?", 0..12), 1..5),
        threads in 1_usize..4,
    ) {
        let mut seen = std::collections::HashSet::new();
        let expected: Vec<Vec<String>> = files.iter().map(|texts| {
            texts.iter().filter(|text| {
                let normal = text.split_whitespace().collect::<Vec<_>>().join(" ");
                normal.is_empty() || seen.insert(normal)
            }).cloned().collect()
        }).collect();
        let (found, prepared) = kept(&files, exact(Unit::Document), 0, threads);
        prop_assert_eq!(&found, &expected);
        let rows: usize = files.iter().map(Vec::len).sum();
        let left: usize = expected.iter().map(Vec::len).sum();
        prop_assert_eq!(prepared.totals.reasons.values().sum::<u64>(), (rows - left) as u64);
    }

    /// A near duplicate is found wherever it is planted; texts that share nothing are all kept.
    #[test]
    fn a_planted_near_duplicate_is_found_at_any_place(
        of in 0_usize..20, at in 0_usize..20, change in 0_usize..300, seed in 0_u64..1000,
    ) {
        let mut all: Vec<Vec<String>> =
            (0..20).map(|number| words(seed * 100 + number, 300)).collect();
        let mut planted = all[of].clone();
        planted[change] = "changed".into();
        all.insert(at, planted);
        let texts: Vec<String> = all.iter().map(|words| words.join(" ")).collect();
        let files = [texts[..7].to_vec(), texts[7..].to_vec()];

        let (found, prepared) = kept(&files, Dedup::Near(MinHash::default()), 0, 2);

        // The planted text moves what is behind it.
        let original = of + usize::from(at <= of);
        let later = original.max(at);
        let mut expected = texts.clone();
        expected.remove(later);
        prop_assert_eq!(found.concat(), expected);
        prop_assert_eq!(prepared.totals.reasons["near_duplicate"], 1);
    }
}
