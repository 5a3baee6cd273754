//! Planted passages are found at any place, and the threshold moves without looking again.

use std::io::Write;

use proptest::prelude::*;
use ratdata_schemas::recipe::OnBadRow;
use ratdata_tokenize::source::find_inputs;

use super::*;
use crate::decide::RowSettings;
use crate::job::{JobSettings, Outcome};
use crate::prepared::Prepared;

fn write(path: &Path, rows: &[Value]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = File::create(path).unwrap();
    for row in rows {
        writeln!(file, "{row}").unwrap();
    }
}

fn passages_of(path: &Path, fields: &[&str], unit: GramUnit) -> Result<Passages, PrepareError> {
    let files = find_inputs(&[path.display().to_string()]).unwrap();
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    let settings = OverlapSettings { unit, ngram: 13, shortest: 8, fields };
    Passages::read(&files, &settings, &AtomicBool::new(false))
}

fn passages(path: &Path, fields: &[&str]) -> Result<Passages, PrepareError> {
    passages_of(path, fields, GramUnit::Words)
}

/// The ids of a tokenizer of bytes, in which a word with a space before it has other ids than without.
fn tokens() -> GramUnit {
    let tokenizer =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../tokenize/examples/tiny/tokenizer.json");
    GramUnit::Tokens(ratdata_tokenize::Tokenizer::load(tokenizer).unwrap())
}

/// Runs the job by words in a folder with `in/*.jsonl` and `bench.jsonl`.
fn run(folder: &Path, threshold: f64, threads: usize) -> Prepared {
    run_of(folder, GramUnit::Words, threshold, threads)
}

fn run_of(folder: &Path, unit: GramUnit, threshold: f64, threads: usize) -> Prepared {
    let passages = passages_of(&folder.join("bench.jsonl"), &[], unit).unwrap();
    let stop = AtomicBool::new(false);
    let inputs = find_inputs(&[folder.join("in").display().to_string()]).unwrap();
    let settings = JobSettings {
        kind: "decontaminate",
        settings: json!({"own": {"threshold": threshold}}),
        movable: Some(THRESHOLD),
        rows: RowSettings { text_column: "text".into(), on_bad_row: OnBadRow::Fail },
    };
    let opened = Job::open(settings, inputs, &folder.join("out"), false, &stop).unwrap();
    let Outcome::Open(job) = opened else { panic!("it is done") };
    let progress = Progress::default();
    let work = Decontaminate { passages, threshold };
    let more = work.run(&job, |_| true, false, threads, &progress, &stop).unwrap();
    job.commit(more, &stop).unwrap()
}

fn sentence(name: &str, count: u32) -> String {
    (0..count).map(|word| format!("{name}{word}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_passage_is_found_whatever_its_case_and_punctuation_and_with_its_share() {
    let folder = tempfile::tempdir().unwrap();
    let question = sentence("q", 22);
    write(
        &folder.path().join("bench.jsonl"),
        &[json!({"question": question, "answers": ["too short", sentence("a", 9)]})],
    );
    let words: Vec<&str> = question.split(' ').collect();
    let half = format!("Before it. {}! And after it.", words[..17].join(", ").to_uppercase());
    let all = format!("x {} y", words.join("  "));
    let short = format!("here is {}", sentence("a", 9));
    write(
        &folder.path().join("in/a.jsonl"),
        &[
            json!({"text": "nothing here"}),
            json!({"text": half}),
            json!({"text": words[..12].join(" ")}),
            json!({"text": all}),
            json!({"text": short}),
        ],
    );

    let prepared = run(folder.path(), 0.5, 2);

    assert_eq!((prepared.totals.rows, prepared.totals.kept), (5, 2));
    let samples: Vec<(u64, &Value)> =
        prepared.samples.iter().map(|one| (one.row, one.detail.as_ref().unwrap())).collect();
    assert_eq!(samples.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1, 3, 4]);
    let [(_, of_half), (_, of_all), (_, of_short)] = samples[..] else { panic!() };
    assert_eq!(
        (&of_half["matched"], &of_half["of"], &of_half["score"]),
        (&json!(5), &json!(10), &json!(0.5))
    );
    assert_eq!(of_half["text"], words[..17].join(", ").to_uppercase() + "!");
    assert_eq!(of_half["passage"]["field"], "question");
    assert_eq!(of_half["passage"]["place"], "line 1");
    assert_eq!((&of_all["score"], &of_short["score"]), (&json!(1.0), &json!(1.0)));
    assert_eq!(of_short["passage"]["field"], "answers");
    assert_eq!(prepared.more["passages"], 2);
    assert_eq!(prepared.more["passages_too_short"], 1);
    assert_eq!(prepared.more["hits"], 3);
}

#[test]
fn another_threshold_reads_the_hits_and_looks_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let question = sentence("q", 22);
    write(&folder.path().join("bench.jsonl"), &[json!({"q": question})]);
    let part = |count| question.split(' ').take(count).collect::<Vec<_>>().join(" ");
    let rows: Vec<Value> = (12..23).map(|count| json!({"text": part(count)})).collect();
    write(&folder.path().join("in/a.jsonl"), &rows);
    // Row n has n of the ten n-grams.
    assert_eq!(run(folder.path(), 0.5, 1).totals.kept, 5);
    let hits = folder.path().join("out/hits/a.hits.zst");
    let before = std::fs::metadata(&hits).unwrap().modified().unwrap();

    assert_eq!(run(folder.path(), 0.9, 1).totals.kept, 9);
    assert_eq!(run(folder.path(), 0.1, 1).totals.kept, 1);

    assert_eq!(std::fs::metadata(&hits).unwrap().modified().unwrap(), before);
    let moved = std::fs::read(folder.path().join("out/prepared.json")).unwrap();
    std::fs::remove_dir_all(folder.path().join("out")).unwrap();
    run(folder.path(), 0.1, 2);
    assert!(moved == std::fs::read(folder.path().join("out/prepared.json")).unwrap());
}

#[test]
fn a_passage_of_tokens_is_found_by_its_ids_and_shown_as_the_row_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let question = "Where does the small rat live, and who feeds it?";
    write(&folder.path().join("bench.jsonl"), &[json!({"q": question, "short": "a rat"})]);
    let half = &question[..question.len() / 2];
    let texts = [
        format!("x \u{1f400}{question}"),
        question.to_uppercase(),
        format!("said: \u{201c}{half}\u{201d}"),
        "nothing".to_owned(),
    ];
    let rows: Vec<Value> = texts.iter().map(|text| json!({"text": text})).collect();
    write(&folder.path().join("in/a.jsonl"), &rows);

    let prepared = run_of(folder.path(), tokens(), 0.2, 2);

    let found: Vec<_> = prepared.samples.iter().map(|one| (one.row, &one.detail)).collect();
    let [(0, Some(whole)), (2, Some(part))] = found[..] else { panic!("{found:?}") };
    assert_eq!(whole["score"], 1.0);
    let shown = whole["text"].as_str().unwrap();
    assert!(question.contains(shown) && shown.len() + 8 > question.len(), "{shown}");
    assert_eq!(whole["passage"]["text"], question);
    assert!(part["score"].as_f64().unwrap() < 0.6, "{part}");
    assert!(half.contains(part["text"].as_str().unwrap()), "{part}");
    assert_eq!(prepared.more["passages_too_short"], 1);
}

#[test]
fn a_benchmark_without_text_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bench.jsonl");
    write(&path, &[json!({"id": 7}), json!({"id": 8})]);
    let told = passages(&path, &[]).unwrap_err().to_string();
    assert!(told.ends_with("no text of at least 8 words; no field of it holds text"), "{told}");

    write(&path, &[json!({"q": "what is it", "x": {"a": "a rat"}, "long": sentence("w", 30)})]);
    let told = passages(&path, &["q", "x"]).unwrap_err().to_string();
    assert!(told.ends_with("; 2 texts have fewer, in the fields q, x.a"), "{told}");
    write(&folder.path().join("short.jsonl"), &[json!({"q": "rat"})]);
    let told = passages_of(&folder.path().join("short.jsonl"), &[], tokens()).unwrap_err();
    assert!(told.to_string().contains("no text of at least 8 tokens; 1 texts"), "{told}");
    assert_eq!(passages(&path, &["long"]).unwrap().counts(), (1, 0));
    assert_eq!(passages(&path, &[]).unwrap().counts(), (1, 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A passage is found at any place of any row, and no other row is left out.
    #[test]
    fn a_planted_passage_is_found_at_any_place(
        row in 0_usize..30, at in 0_usize..100, length in 13_u32..60,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let passage = sentence("p", length);
        write(&folder.path().join("bench.jsonl"), &[json!({"q": passage})]);
        let mut texts: Vec<String> =
            (0..30).map(|number| sentence(&format!("r{number}x"), 100)).collect();
        let mut words: Vec<&str> = texts[row].split(' ').collect();
        words.insert(at, &passage);
        texts[row] = words.join(" ");
        let rows: Vec<Value> = texts.iter().map(|text| json!({"text": text})).collect();
        write(&folder.path().join("in/a.jsonl"), &rows[..17]);
        write(&folder.path().join("in/b.jsonl"), &rows[17..]);

        let prepared = run(folder.path(), 1.0, 2);

        prop_assert_eq!(prepared.totals.kept, 29);
        let found = (prepared.samples[0].file.as_str(), prepared.samples[0].row);
        let expected = if row < 17 { ("a.jsonl", row as u64) } else { ("b.jsonl", row as u64 - 17) };
        prop_assert_eq!(found, expected);
    }

    /// A passage of tokens is found whatever is around it, in either split of the input's files, and no
    /// other row is left out.
    #[test]
    fn a_planted_passage_of_tokens_is_found_at_any_place(
        row in 0_usize..12,
        at in 0_usize..40,
        passage in "[A-Za-z]{1,6}( [a-z0-9,.é]{1,7}){12,30}[.?!)a-z]",
        before in prop::sample::select(&[" ", "\n", "\n\n", ": ", " \"", " ("][..]),
        after in prop::sample::select(&["", " ", "\n", "\n\n", ". ", ", ", "\" ", ") ", ".\n"][..]),
    ) {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("bench.jsonl"), &[json!({"q": passage})]);
        let mut texts: Vec<String> =
            (0..12).map(|number| sentence(&format!("R{number}x"), 40)).collect();
        let words: Vec<&str> = texts[row].split(' ').collect();
        let (first, last) = words.split_at(at);
        let joined = [first.join(" ").as_str(), before, &passage, after, &last.join(" ")].concat();
        texts[row] = joined;
        let rows: Vec<Value> = texts.iter().map(|text| json!({"text": text})).collect();
        write(&folder.path().join("in/train.jsonl"), &rows[..7]);
        write(&folder.path().join("in/validation.jsonl"), &rows[7..]);

        let prepared = run_of(folder.path(), tokens(), 1.0, 2);

        prop_assert_eq!(prepared.totals.kept, 11);
        prop_assert_eq!(prepared.samples[0].row, if row < 7 { row as u64 } else { row as u64 - 7 });
    }
}
