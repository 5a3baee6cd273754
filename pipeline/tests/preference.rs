//! Preference pairs through the command line: forms of rows, lengths, both sides together, errors.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use ratdata_schemas::{BinSet, Manifest, narrow};
use ratdata_tests::files::{content, write};
use ratdata_tests::program::{json, stderr, succeed};
use ratdata_tests::workshop::Workshop;
use ratdata_tokenize::tokenizer::Tokenizer;
use serde_json::{Value, json};

const SFT: [&str; 3] = ["sft", "--tokenizer", "demo/tokenizer"];
const NAMED: [&str; 4] = ["--task", "preference", "--input", "pairs.jsonl"];

const CHATML: [&str; 4] = ["--chat-template", "chatml", "--max-length", "256"];

fn lines(rows: &[Value]) -> String {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    lines.join("\n") + "\n"
}

/// A folder with the sample, and `pairs.jsonl` of these rows.
fn workshop(rows: &[Value]) -> Workshop {
    let workshop = Workshop::new();
    workshop.write("pairs.jsonl", lines(rows));
    workshop
}

/// The command with these arguments, for rows of 64 tokens where they say nothing else.
fn sft<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let length: &[&str] =
        if more.contains(&"--max-length") { &[] } else { &["--max-length", "64"] };
    [&SFT[..], length, more].concat()
}

fn made(workshop: &Workshop, more: &[&str]) -> Value {
    json(&workshop.path("."), &sft(more))
}

fn refused(workshop: &Workshop, more: &[&str]) -> (Option<i32>, String) {
    let output = workshop.run(&sft(more));
    (output.status.code(), stderr(&output))
}

/// One row of a side: all its ids, and how many of them are not trained on before the first that is.
#[derive(Debug, PartialEq, Eq)]
struct SideRow {
    ids: Vec<u32>,
    prompt: usize,
    trained: Vec<bool>,
}

fn side(out: &Path, split: &str) -> Vec<SideRow> {
    let set = BinSet::open(out, split).unwrap();
    let index = set.shards()[0].index().unwrap();
    let row = |number| {
        let range = index.range(number).unwrap();
        let len: usize = narrow(range.end - range.start);
        let (mut ids, mut trained) = (vec![0; len], vec![false; len]);
        assert!(set.copy_tokens(range.start, &mut ids));
        assert!(set.copy_mask(range.start, &mut trained));
        let prompt = trained.iter().take_while(|&&trained| !trained).count();
        SideRow { ids, prompt, trained }
    };
    (0..index.len()).map(row).collect()
}

/// The prompt, the chosen and the rejected answer of each pair of `train`, as text.
fn pairs(workshop: &Workshop, out: &str) -> Vec<[String; 3]> {
    let tokenizer = Tokenizer::load(workshop.path("demo/tokenizer")).unwrap();
    let out = workshop.path(out);
    let (chosen, rejected) = (side(&out, "train-chosen"), side(&out, "train-rejected"));
    assert_eq!(chosen.len(), rejected.len());
    let pair = |(one, other): (SideRow, SideRow)| {
        assert_eq!(one.ids[..one.prompt], other.ids[..other.prompt]);
        let trained = |row: &SideRow| {
            let ids = row.ids.iter().zip(&row.trained).filter(|(_, trained)| **trained);
            tokenizer.decode(&ids.map(|(id, _)| *id).collect::<Vec<_>>())
        };
        [tokenizer.decode(&one.ids[..one.prompt]), trained(&one), trained(&other)]
    };
    chosen.into_iter().zip(rejected).map(pair).collect()
}

fn verified(workshop: &Workshop, out: &str) {
    let output = workshop.run(&["verify", out]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

fn text(number: usize) -> Value {
    json!({
        "prompt": format!("What is number {number}?"),
        "chosen": format!("it is {number}, of course"),
        "rejected": "who knows",
    })
}

fn user(said: &str) -> Value {
    json!({"role": "user", "content": said})
}

fn assistant(said: &str) -> Value {
    json!({"role": "assistant", "content": said})
}

#[test]
fn texts_become_two_splits_of_which_row_i_has_the_same_prompt() {
    let workshop = workshop(&(0..40).map(text).collect::<Vec<_>>());

    let summary = made(&workshop, &[&NAMED[..], &["--out", "out"]].concat());

    let split = &summary["splits"][0];
    assert_eq!((&split["name"], &split["kept"]), (&json!("train"), &json!(40)), "{summary}");
    let found = pairs(&workshop, "out");
    let tokenizer = Tokenizer::load(workshop.path("demo/tokenizer")).unwrap();
    let eos = tokenizer.piece(tokenizer.eos().unwrap()).unwrap();
    for (number, [prompt, chosen, rejected]) in found.into_iter().enumerate() {
        let row = text(number);
        assert_eq!(prompt, row["prompt"].as_str().unwrap());
        assert_eq!(chosen, format!("{}{eos}", row["chosen"].as_str().unwrap()));
        assert_eq!(rejected, format!("who knows{eos}"));
    }
    verified(&workshop, "out");

    let shown = succeed(&workshop.path("."), &["inspect", "out"]);
    assert!(shown.contains("train pair") && shown.contains("What is number"), "{shown}");
    assert!(shown.contains("chosen answer of") && shown.contains("rejected answer of"), "{shown}");
    assert!(!shown.contains("validated on what it is trained on"), "{shown}");
    let traced = workshop.run(&["trace", "out", "--token", "0", "--split", "train-rejected"]);
    let said = String::from_utf8(traced.stdout).unwrap();
    assert!(said.contains("pairs.jsonl") && said.contains("row 0"), "{said}");

    let output = workshop.run(&sft(&[&NAMED[..], &["--out", "out"]].concat()));
    let again = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(stderr(&output).contains("already done") && again.contains("train"), "{again}");
}

#[test]
fn each_form_of_a_conversation_gives_the_same_rows() {
    let asked = [user("one two"), assistant("three"), user("and then?")];
    let (good, bad) = (assistant("four five"), assistant("six"));
    let with = |answer: &Value| [&asked[..], std::slice::from_ref(answer)].concat();
    let forms = [
        json!({"prompt": asked, "chosen": [good], "rejected": [bad]}),
        json!({"chosen": with(&good), "rejected": with(&bad)}),
        json!({"prompt": asked, "chosen": with(&good), "rejected": with(&bad)}),
        json!({"prompt": "and then?", "chosen": with(&good), "rejected": with(&bad)}),
        json!({"prompt": null, "chosen": with(&good), "rejected": with(&bad)}),
    ];
    let workshop = Workshop::new();
    let mut bytes = Vec::new();
    for (number, form) in forms.iter().enumerate() {
        let (input, out) = (format!("{number}.jsonl"), format!("out-{number}"));
        workshop.write(&input, lines(std::slice::from_ref(form)));
        let job = ["--task", "preference", "--input", &input, "--out", &out];

        made(&workshop, &[&job[..], &CHATML].concat());

        verified(&workshop, &out);
        let files = content(&workshop.path(&out));
        let bins =
            files.into_iter().filter(|(path, _)| path.extension().is_some_and(|e| e != "json"));
        bytes.push(bins.collect::<Vec<_>>());
        let [prompt, chosen, rejected] = pairs(&workshop, &out).remove(0);
        assert!(prompt.contains("three") && prompt.contains("and then?"), "{form}: {prompt}");
        assert_eq!((chosen.as_str(), rejected.as_str()), ("four five<|im_end|>", "six<|im_end|>"));
    }
    assert!(bytes.iter().all(|other| *other == bytes[0]));

    // A question as a text, and answers that are the assistant's alone.
    workshop.write(
        "asked.jsonl",
        lines(&[json!({"prompt": "why?", "chosen": [good], "rejected": [bad]})]),
    );
    let job = ["--task", "preference", "--input", "asked.jsonl", "--out", "asked"];
    made(&workshop, &[&job[..], &CHATML].concat());
    assert!(pairs(&workshop, "asked")[0][0].contains("user\nwhy?<|im_end|>"));
}

#[test]
fn a_task_file_names_columns_and_texts_may_begin_alike() {
    let workshop = Workshop::new();
    let row = json!({"q": "why so?", "good": "because", "bad": "no", "chosen": 1});
    workshop.write("x/train.jsonl", lines(&[row]));
    workshop.write(
        "task.toml",
        "prompt = 'Q: {q}\\nA:'\n[preference]\nchosen = 'good'\nrejected = 'bad'\n[splits.train]\nsource = 'x/train.jsonl'\n",
    );
    made(&workshop, &["--task-file", "task.toml", "--out", "named"]);
    assert!(pairs(&workshop, "named")[0][0].starts_with("Q: why so?"));

    let texts = |answer: &str| format!("Human: why?\n\nAssistant: well, {answer}");
    let names = ["chosen", "rejected"];
    let columns = [vec![texts("because")], vec![texts("no")]];
    workshop.write_texts("hh.parquet", &names, &columns);
    let job = ["--task", "preference", "--input", "hh.parquet", "--out", "hh"];
    made(&workshop, &job);
    let [prompt, chosen, _] = pairs(&workshop, "hh").remove(0);
    assert_eq!(prompt, "Human: why?\n\nAssistant: well,");
    assert!(chosen.trim_start().starts_with("because"), "{chosen}");
}

#[test]
fn a_token_never_joins_a_prompt_and_an_answer() {
    let row = json!({"prompt": [user("why?")], "chosen": [assistant(" so")], "rejected": [assistant("no")]});
    let workshop = workshop(&[row]);
    // A space is before each answer; `▁so` is one piece, as `▁no` is.
    workshop.write(
        "task.toml",
        "[preference]\n[chat]\ntemplate = \"{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}\"\n[splits.train]\nsource = 'pairs.jsonl'\n",
    );

    made(&workshop, &["--task-file", "task.toml", "--out", "out"]);

    verified(&workshop, "out");
    let [prompt, chosen, rejected] = pairs(&workshop, "out").remove(0);
    assert!(prompt.trim_end().ends_with("assistant:"), "{prompt:?}");
    assert!(
        chosen.trim_start().starts_with("so") && rejected.starts_with("no"),
        "{chosen:?} {rejected:?}"
    );
}

#[test]
fn a_pair_that_is_too_long_is_cut_as_one_and_counted_by_reason() {
    let long = "word ".repeat(80);
    let row =
        |prompt: &str, chosen: &str| json!({"prompt": prompt, "chosen": chosen, "rejected": "no"});
    let rows = [row("short", "yes"), row(&long, "yes"), row("short", &long), row(&long, &long)];
    let workshop = workshop(&rows);

    for (truncate, kept, reasons) in [
        ("middle", 2, json!({"cut_prompts": 1, "too_long_answers": 2})),
        ("left", 2, json!({"cut_prompts": 1, "too_long_answers": 2})),
        ("right", 2, json!({"cut_answers": 1, "too_long_prompts": 2})),
        ("drop", 1, json!({"too_long": 3})),
    ] {
        let summary =
            made(&workshop, &[&NAMED[..], &["--truncate", truncate, "--out", truncate]].concat());

        let split = &summary["splits"][0];
        assert_eq!(split["kept"], kept, "{truncate}: {summary}");
        for reason in
            ["cut_prompts", "cut_answers", "too_long", "too_long_answers", "too_long_prompts"]
        {
            let expected = reasons.get(reason).cloned().unwrap_or(json!(0));
            assert_eq!(split[reason], expected, "{truncate}: {reason}: {summary}");
        }
        verified(&workshop, truncate);
        assert_eq!(pairs(&workshop, truncate).len(), kept, "{truncate}");
        for side in ["chosen", "rejected"] {
            let rows = self::side(&workshop.path(truncate), &format!("train-{side}"));
            assert!(rows.iter().all(|row| row.ids.len() <= 64), "{truncate}");
        }
        let recorded = Manifest::read(&workshop.path(truncate)).unwrap();
        let recorded = serde_json::to_value(&recorded.recipe).unwrap();
        assert_eq!(recorded["splits"][0]["preference"]["kept"], kept, "{recorded}");
    }
    let job = [&NAMED[..], &["--out", "middle"]].concat();
    let said = succeed(&workshop.path("."), &sft(&job));
    assert!(said.contains("2 pairs left out: an answer fills the row"), "{said}");
}

#[test]
fn any_thread_count_and_any_shares_give_the_same_bytes_in_a_drawn_order() {
    let workshop = workshop(&(0..700).map(text).collect::<Vec<_>>());
    workshop.write(
        "task.toml",
        "[preference]\n[splits.train]\nsource = 'pairs.jsonl'\nshuffle = 3\nsample = { rows = 300, seed = 4 }\n",
    );
    let job = |out: &str, more: &[&str]| {
        let usual = ["--task-file", "task.toml", "--out", out, "--quiet"];
        succeed(&workshop.path("."), &sft(&[&usual[..], more].concat()));
    };

    job("one", &["--num-proc", "1"]);
    job("many", &["--num-proc", "5"]);
    for share in ["1/3", "0/3", "2/3"] {
        job("shares", &["--shard", share]);
    }
    job("shares", &[]);

    let one = content(&workshop.path("one"));
    assert_eq!(one, content(&workshop.path("many")));
    assert_eq!(one, content(&workshop.path("shares")));
    let found = pairs(&workshop, "one");
    assert_eq!(found.len(), 300);
    for [prompt, chosen, _] in &found {
        let number = prompt.trim_start_matches("What is number ").trim_end_matches('?');
        assert!(chosen.starts_with(&format!("it is {number}, of course")), "{prompt} {chosen}");
    }
    let traced = workshop.run(&["trace", "one", "--token", "0", "--split", "train-chosen"]);
    let said = String::from_utf8(traced.stdout).unwrap();
    let number = found[0][0].trim_start_matches("What is number ").trim_end_matches('?');
    assert!(said.contains(&format!("row {number}")), "{said}");
}

/// Puts the rejected side of another artifact into one, as its manifest says it.
fn swap_rejected(workshop: &Workshop, out: &str, other: &str) {
    let read = |out: &str| -> Value {
        let text = fs::read(workshop.path(out).join("manifest.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    let (mut manifest, theirs) = (read(out), read(other));
    let record = &theirs["splits"]["train-rejected"]["shards"][0];
    for file in ["bin", "idx", "mask"] {
        let name = record[file]["path"].as_str().unwrap();
        fs::copy(workshop.path(other).join(name), workshop.path(out).join(name)).unwrap();
    }
    manifest["splits"]["train-rejected"]["shards"][0] = record.clone();
    write(&workshop.path(out).join("manifest.json"), manifest.to_string());
}

#[test]
fn sides_that_do_not_belong_together_are_found() {
    let workshop = workshop(&(0..9).map(text).collect::<Vec<_>>());
    workshop.write("fewer.jsonl", lines(&(0..8).map(text).collect::<Vec<_>>()));
    workshop.write("others.jsonl", lines(&(1..10).map(text).collect::<Vec<_>>()));
    for name in ["pairs", "fewer", "others"] {
        let input = format!("{name}.jsonl");
        made(&workshop, &["--task", "preference", "--input", &input, "--out", name]);
    }
    made(&workshop, &[&NAMED[..], &["--out", "counted"]].concat());
    swap_rejected(&workshop, "counted", "fewer");
    swap_rejected(&workshop, "pairs", "others");

    for (out, says) in [
        ("counted", "split `train` has 9 chosen and 8 rejected answers, expected 9 of each"),
        ("pairs", "split `train`, pair 0: the prompts differ at token"),
    ] {
        let output = workshop.run(&["verify", out]);

        let said = stderr(&output);
        assert_ne!(output.status.code(), Some(0), "{said}");
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn what_is_no_pair_is_told_with_its_row_or_left_out() {
    let chosen = [user("a"), assistant("b")];
    for (row, says) in [
        (
            json!({"prompt": "p", "chosen": "a", "rejected": "a"}),
            "`chosen` and `rejected` are the same",
        ),
        (
            json!({"prompt": "p", "chosen": "a"}),
            "`rejected` holds neither a text nor a list of messages; the columns are",
        ),
        (json!({"prompt": "p", "chosen": " ", "rejected": "a"}), "`chosen` is an empty answer"),
        (json!({"prompt": " ", "chosen": "b", "rejected": "a"}), "the prompt is empty"),
        (json!({"chosen": "yes", "rejected": "no"}), "there is no prompt"),
        (
            json!({"prompt": "p", "chosen": "a", "rejected": chosen}),
            "`chosen` holds a text, and `rejected` a list",
        ),
        (json!({"prompt": 7, "chosen": "a", "rejected": "b"}), "the prompt is a number"),
        (json!({"chosen": chosen, "rejected": [user("x"), assistant("b")]}), "do not begin alike"),
        (
            json!({"prompt": [user("a")], "chosen": [user("b")], "rejected": chosen}),
            "`chosen` has no assistant turn after the prompt",
        ),
        (
            json!({"prompt": "z", "chosen": chosen, "rejected": [user("a"), assistant("c")]}),
            "the prompt is a text that no message has",
        ),
    ] {
        let workshop = workshop(&[text(1), row.clone()]);
        let job = [&NAMED[..], &["--chat-template", "chatml", "--out", "out"]].concat();

        let (status, said) = refused(&workshop, &job);
        assert_eq!(status, Some(1), "{row}: {said}");
        assert!(said.contains("pairs.jsonl: line 2: ") && said.contains(says), "{row}: {said}");

        let (status, said) = refused(&workshop, &[&job[..], &["--on-bad-row", "skip"]].concat());
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("1 rows left out"), "{said}");
        assert_eq!(pairs(&workshop, "out").len(), 1);
    }
}

#[test]
fn what_a_job_of_pairs_cannot_mean_is_refused() {
    let workshop = workshop(&[text(1)]);
    let train = "[splits.train]\nsource = 'pairs.jsonl'\n";
    workshop.write("answers.toml", format!("[preference]\n{train}answers = ['a']\n"));
    workshop
        .write("prompts.toml", format!("prompt = '{{q}}'\n[preference]\nprompt = 'q'\n{train}"));
    workshop.write("messages.toml", format!("[preference]\n[chat]\nmessages = 'm'\n{train}"));
    workshop.write("key.toml", format!("[preference]\nchoosen = 'm'\n{train}"));
    let packed = [&NAMED[..], &["--packing", "best-fit"]].concat();
    for (job, says) in [
        (
            &["--task-file", "answers.toml"][..],
            "answers.toml:2: splits.train: the answers of preference pairs",
        ),
        (
            &["--task-file", "prompts.toml"],
            "prompts.toml:3: has both `prompt` and `preference.prompt`",
        ),
        (&["--task-file", "messages.toml"], "messages.toml:3: `chat.messages` is not read"),
        (&["--task-file", "key.toml"], "key.toml:2: unknown key `preference.choosen`"),
        (&packed, "`--packing` puts several examples into a row"),
    ] {
        let (status, said) = refused(&workshop, &[job, &["--out", "out"]].concat());

        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains(says), "{said}");
        assert!(!workshop.path("out").exists());
    }
    // Conversations need a template, which this tokenizer has none of.
    let row =
        json!({"prompt": [user("a")], "chosen": [assistant("b")], "rejected": [assistant("c")]});
    workshop.write("talk.jsonl", lines(&[row]));
    fs::remove_file(workshop.path("demo/tokenizer/tokenizer_config.json")).ok();
    let job = ["--task", "preference", "--input", "talk.jsonl", "--out", "out"];
    let (status, said) = refused(&workshop, &job);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("chat template:") && said.contains("--chat-template"), "{said}");
}

#[test]
fn an_estimate_has_the_numbers_of_the_job_and_writes_nothing() {
    let long = json!({"prompt": "short", "chosen": "word ".repeat(80), "rejected": "no"});
    let workshop = workshop(&[(0..40).map(text).collect::<Vec<_>>(), vec![long]].concat());

    let estimate = made(&workshop, &[&NAMED[..], &["--estimate", "--out", "none"]].concat());

    assert!(!workshop.path("none").exists());
    let summary = made(&workshop, &[&NAMED[..], &["--out", "out"]].concat());
    let (found, expected) = (&estimate["splits"][0], &summary["splits"][0]);
    let tokens = |side: &str| expected[format!("{side}_tokens")].as_u64().unwrap();
    assert_eq!(found["rows"], 41, "{found}");
    assert_eq!(found["examples"], 80, "{found}");
    assert_eq!(found["dropped"], 1, "{found}");
    assert_eq!(found["tokens"], tokens("chosen") + tokens("rejected"), "{found} {expected}");
    let bytes = expected["bytes"].as_u64().unwrap();
    assert!(found["output_bytes"].as_u64().unwrap().abs_diff(bytes) < 16, "{found} {expected}");
}
