//! Anyone's instruction data through the command line: prompts, conversations, packing, errors.
//!
//! Longer than 500 lines because all cases share one small folder of questions and conversations.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use ratdata_schemas::{IGNORE_INDEX, Row, RowSet};
use ratdata_tests::files::write;
use ratdata_tests::program::{json, run, write_sample};
use tempfile::TempDir;

/// A folder with the demo's tokenizer and a task over questions and answers.
fn workshop() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_sample(folder.path());
    write(&folder.path().join("task.toml"), TASK);
    folder
}

const TASK: &str = r#"
prompt = "Q: {q}\nA:"
[splits.train]
source = "data/*.jsonl"
answers = ["a"]
"#;

/// Runs a task file and returns the status and what was said.
fn sft(folder: &Path, task: &str, more: &[&str]) -> (Option<i32>, String) {
    let mut arguments =
        vec!["sft", "--task-file", task, "--tokenizer", "demo/tokenizer", "--out", "out"];
    if !more.contains(&"--max-length") {
        arguments.extend(["--max-length", "64"]);
    }
    arguments.extend(more);
    let output = run(folder, &arguments);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

fn rows(folder: &Path) -> Vec<Row> {
    let set = RowSet::open(folder, "train").unwrap();
    let read = |number| {
        let mut row = Row::default();
        set.read(number, &mut row);
        row
    };
    (0..set.num_rows()).map(read).collect()
}

fn num_trained(rows: &[Row]) -> usize {
    rows.iter().flat_map(|row| &row.labels).filter(|&&label| label != IGNORE_INDEX).count()
}

#[test]
fn the_summary_counts_what_took_a_slow_path() {
    let folder = workshop();
    let root = folder.path();
    write(&root.join("data/x.jsonl"), "{\"q\": \"what?\", \"a\": \"that\"}\n");
    let arguments = ["sft", "--task-file", "task.toml", "--out", "out", "--max-length", "64"];
    let fast = json(root, &[&arguments[..], &["--tokenizer", "demo/tokenizer"]].concat());
    let file = root.join("demo/tokenizer/tokenizer.json");
    let mut whole: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    // No form of the engine changes letters.
    whole["normalizer"] = serde_json::json!({"type": "Lowercase"});
    write(&root.join("lower/tokenizer.json"), whole.to_string());
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
        if let Ok(config) = fs::read_to_string(file.with_file_name(name)) {
            write(&root.join("lower").join(name), config);
        }
    }
    let more = ["--tokenizer", "lower", "--force"];
    let slow = json(root, &[&arguments[..], &more].concat());

    for path in ["stages", "unigram", "tokenizers", "long_units"] {
        assert_eq!(fast["slow_paths"][path]["units"], 0, "{path}: {fast}");
        let is_taken = path == "stages";
        assert_eq!(slow["slow_paths"][path]["units"] != 0, is_taken, "{path}: {slow}");
        assert_eq!(slow["slow_paths"][path]["bytes"] != 0, is_taken, "{path}: {slow}");
    }
}

#[test]
fn a_task_of_ones_own_learns_its_answers_packed_or_not() {
    let folder = workshop();
    let root = folder.path();
    let lines: Vec<String> = (0..40)
        .map(|n| format!("{{\"q\": \"what is number {n}?\", \"a\": \"it is {n}, of course\"}}"))
        .collect();
    write(&root.join("data/x.jsonl"), lines.join("\n"));

    let (status, said) = sft(root, "task.toml", &[]);
    assert_eq!(status, Some(0), "{said}");
    let apart = rows(&root.join("out"));
    let mut packed = Vec::new();
    for packing in ["concat", "best-fit"] {
        fs::remove_dir_all(root.join("out")).unwrap();
        let (status, said) = sft(root, "task.toml", &["--packing", packing]);
        assert_eq!(status, Some(0), "{said}");
        packed.push(rows(&root.join("out")));
    }

    assert_eq!(apart.len(), 40);
    for rows in &packed {
        assert!(rows.len() < 40);
        assert_eq!(num_trained(rows), num_trained(&apart));
    }
}

#[test]
fn a_conversation_learns_its_assistant_turns_alone() {
    let folder = workshop();
    let root = folder.path();
    write(
        &root.join("chat.toml"),
        "[chat]\ntemplate = \"{% for m in messages %}[{{ m.role }}]{{ m.content }};{% endfor %}\"\n[splits.train]\nsource = \"chat.jsonl\"\n",
    );
    write(
        &root.join("chat.jsonl"),
        "{\"messages\": [{\"role\": \"user\", \"content\": \"one two\"}, {\"role\": \"assistant\", \"content\": \"three\"}]}\n",
    );

    let (status, said) = sft(root, "chat.toml", &[]);

    assert_eq!(status, Some(0), "{said}");
    let rows = rows(&root.join("out"));
    let tokenizer =
        ratdata_tokenize::tokenizer::Tokenizer::load(root.join("demo/tokenizer")).unwrap();
    let labels = rows[0].labels.iter().filter(|&&label| label != IGNORE_INDEX);
    let ids: Vec<u32> = labels.map(|label| label.cast_unsigned()).collect();
    assert_eq!(tokenizer.decode(&ids), "three;");
}

#[test]
fn each_wrong_input_is_told_in_one_error() {
    let folder = workshop();
    let root = folder.path();
    write(
        &root.join("data/x.jsonl"),
        "{\"q\": \"q\", \"a\": \"a\"}\n{\"q\": \"q\", \"a\": \"  \"}\n",
    );
    write(
        &root.join("long.jsonl"),
        format!("{{\"q\": \"{}\", \"a\": \"a\"}}", "word ".repeat(400)),
    );
    write(&root.join("talk.jsonl"), "{\"messages\": [{\"role\": \"user\", \"content\": \"u\"}]}");
    let task = |name: &str, text: &str| write(&root.join(name), text);
    task("nocolumn.toml", &TASK.replace("{q}", "{question}"));
    task("brace.toml", &TASK.replace("A:", "A {"));
    task("key.toml", &TASK.replace("answers", "answer"));
    task("long.toml", &TASK.replace("data/*.jsonl", "long.jsonl"));
    task("few.toml", &TASK.replace("\"a\"]", "\"q\"]\nsample = { rows = 200, seed = 1 }"));
    task(
        "talk.toml",
        "[chat]\ntemplate = \"{{ messages[0].content }}\"\n[splits.train]\nsource = \"talk.jsonl\"\n",
    );
    task(
        "jinja.toml",
        "[chat]\ntemplate = \"a\\nb {% for %}\"\n[splits.train]\nsource = \"talk.jsonl\"\n",
    );
    for (name, more, status, says) in [
        ("task.toml", &[][..], 1, "data/x.jsonl: line 2: `a` is an empty answer"),
        ("nocolumn.toml", &[], 1, "line 1: `question` holds no text; the columns are: q, a"),
        ("brace.toml", &[], 2, "template, line 2, column 3: `{` is never closed"),
        ("key.toml", &[], 2, "key.toml:5: unknown key `splits.train.answer`"),
        ("long.toml", &["--truncate", "right"], 1, "each prompt fills its row"),
        ("few.toml", &[], 1, "found 2 rows, expected at least 200"),
        ("talk.toml", &[], 1, "line 1: the conversation has no assistant turn"),
        ("jinja.toml", &[], 2, "chat template: line 2, column"),
        ("task.toml", &["--split", "dev"], 2, "no split `dev`, there are: train"),
        ("missing.toml", &[], 2, "missing.toml: cannot read"),
    ] {
        let (found, said) = sft(root, name, more);

        assert_eq!(found, Some(status), "{name}: {said}");
        assert!(said.contains(says), "{name}: {said}");
        assert!(!root.join("out/manifest.json").exists(), "{name}");
    }
    let (status, said) = sft(root, "task.toml", &["--on-bad-row", "skip"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("1 rows left out"), "{said}");
    let unknown = run(root, &["sft", "--task", "qmsun"]);
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        said.contains("the tasks are: narrativeqa_summary") && said.contains("`qmsum`?"),
        "{said}"
    );
}

#[test]
fn what_a_task_cannot_mean_is_refused_before_anything_is_read() {
    let folder = workshop();
    let root = folder.path();
    write(&root.join("data/x.jsonl"), "{\"q\": \"q\", \"a\": \"a\"}");
    let task = |name: &str, text: &str| write(&root.join(name), text);
    let test = TASK.replace("train", "test").replace("answers = [\"a\"]", "references = \"a\"");
    task("limit.toml", &format!("{test}prompt_limit = {{ 64 = 4294967295 }}"));
    task("over.toml", &format!("{test}prompt_limit = {{ 64 = 65 }}"));
    task("outside.toml", &TASK.replace("splits.train", "splits.\"../ev\""));
    task("hidden.toml", &TASK.replace("splits.train", "splits.\".ev\""));
    let train = &TASK[TASK.find("[splits").unwrap()..];
    let [val, validation] =
        ["splits.val", "splits.validation"].map(|s| train.replace("splits.train", s));
    task("twice.toml", &format!("prompt = \"{{q}}\"\n{val}{validation}"));
    task("date.toml", "[chat]\ndate = \"today\"\n[splits.train]\nsource = \"x\"\n");
    let packed = ["--packing", "concat", "--long", "drop"];
    for (name, more, says) in [
        ("limit.toml", &[][..], "leaves prompts 4294967295 tokens, expected at most the row's 64"),
        ("over.toml", &[], "leaves prompts 65 tokens"),
        (
            "outside.toml",
            &[],
            "outside.toml:3: splits.\"../ev\": found the name `../ev`, expected letters",
        ),
        (
            "hidden.toml",
            &[],
            "hidden.toml:3: splits.\".ev\": found the name `.ev`, expected letters",
        ),
        ("twice.toml", &[], "both `splits.val` and `splits.validation`"),
        ("date.toml", &[], "`today`: expected a date such as `2024-07-26`"),
        ("task.toml", &["--align", "8"], "`--align` says how examples share rows"),
        ("task.toml", &["--materialize"], "`--materialize` says how"),
        ("task.toml", &["--long", "split"], "`--long` says how"),
        ("task.toml", &["--seed", "1"], "`--seed` says how"),
        ("task.toml", &packed, "`long` is `drop`, but the packing `concat` cuts every document"),
    ] {
        let (status, said) = sft(root, name, more);

        assert_eq!(status, Some(2), "{name}: {said}");
        assert!(said.contains(says), "{name}: {said}");
        assert!(!root.join("out").exists(), "{name}");
    }
}

#[test]
fn a_split_without_a_label_is_refused_though_another_has_some() {
    let folder = workshop();
    let root = folder.path();
    let long = format!("{{\"q\": \"{}\", \"a\": \"a\"}}\n", "word ".repeat(400));
    write(&root.join("long.jsonl"), &long);
    write(&root.join("data/x.jsonl"), "{\"q\": \"q\", \"a\": \"a\"}\n".repeat(3));
    let train = &TASK[TASK.find("[splits").unwrap()..];
    let bad = train.replace("data/*", "long");
    let dev = |split: &str| split.replace("splits.train", "splits.adev");
    write(&root.join("first.toml"), format!("prompt = \"Q: {{q}}\\nA:\"\n{}{train}", dev(&bad)));
    write(&root.join("last.toml"), format!("prompt = \"Q: {{q}}\\nA:\"\n{}{bad}", dev(train)));

    for (task, split) in [("first.toml", "adev"), ("last.toml", "train")] {
        let (status, said) = sft(root, task, &["--truncate", "right", "--force"]);

        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains(&format!("split `{split}`: no row is left of 1")), "{said}");
    }
}

#[test]
fn a_line_that_is_no_json_is_told_by_its_number_or_left_out() {
    let folder = workshop();
    let root = folder.path();
    let good = "{\"q\": \"q\", \"a\": \"a\"}";
    write(&root.join("data/x.jsonl"), format!("{good}\n\n{{\"q\": \n[1]\n{good}\n"));

    let (status, said) = sft(root, "task.toml", &[]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("data/x.jsonl: line 3: not JSON: EOF"), "{said}");
    assert!(said.contains("--on-bad-row skip"), "{said}");

    let (status, said) = sft(root, "task.toml", &["--on-bad-row", "skip"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("2 rows left out"), "{said}");
    assert!(said.contains("line 4: not a JSON object"), "{said}");
    assert_eq!(rows(&root.join("out")).len(), 2);
}

#[test]
fn a_template_at_fault_is_no_reason_to_leave_rows_out() {
    let folder = workshop();
    let root = folder.path();
    let talk = |said: &str| {
        format!("{{\"messages\": [{{\"role\": \"assistant\", \"content\": \"{said}\"}}]}}\n")
    };
    write(&root.join("talk.jsonl"), &(talk("good") + &talk("bad")));
    let task = |name: &str, template: &str| {
        let head = format!("[chat]\ntemplate = '''{template}'''\n");
        write(&root.join(name), format!("{head}[splits.train]\nsource = \"talk.jsonl\"\n"));
    };
    task("fault.toml", "{{ messages[0].content }}\n {{ messages | nosuch }}");
    task(
        "refuses.toml",
        "{% if messages[0].content == 'bad' %}{{ raise_exception('no bad words') }}{% endif %}A: {{ messages[0].content }}",
    );
    let skip = ["--on-bad-row", "skip"];

    let (status, said) = sft(root, "fault.toml", &skip);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("chat template: line 2, column 16: unknown filter"), "{said}");
    assert!(!said.contains("--on-bad-row"), "{said}");

    let (status, said) = sft(root, "refuses.toml", &[]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("line 2: the chat template refuses it: no bad words"), "{said}");
    let (status, said) = sft(root, "refuses.toml", &skip);
    assert_eq!(status, Some(0), "{said}");
}

#[test]
fn rows_are_shown_with_what_is_trained_on_without_being_asked() {
    let folder = workshop();
    let root = folder.path();
    write(&root.join("data/x.jsonl"), "{\"q\": \"why so?\", \"a\": \"because of that\"}\n");
    for packing in ["none", "best-fit"] {
        drop(fs::remove_dir_all(root.join("out")));
        let (status, said) = sft(root, "task.toml", &["--packing", packing]);
        assert_eq!(status, Some(0), "{said}");

        let shown = run(root, &["inspect", "out"]);

        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(text.contains("why so?") && text.contains('⟦'), "{packing}: {text}");
        let trained = text.split('⟦').nth(1).and_then(|rest| rest.split('⟧').next()).unwrap();
        assert!(trained.contains("because of that") && !trained.contains("why"), "{trained}");
        let json = run(root, &["inspect", "out", "--json"]).stdout;
        assert_eq!(String::from_utf8(json).unwrap().lines().count(), 1);
    }

    // Where the tokenizer is nowhere near, the option that names it is told.
    let far = tempfile::tempdir().unwrap();
    fs::rename(root.join("demo/tokenizer"), far.path().join("elsewhere")).unwrap();
    let told = run(root, &["inspect", "out"]);
    let said = String::from_utf8(told.stderr).unwrap();
    assert_eq!(told.status.code(), Some(0), "{said}");
    assert!(said.contains("`--tokenizer PATH`"), "{said}");
    let tokenizer = far.path().join("elsewhere").display().to_string();
    let shown = run(root, &["inspect", "out", "--tokenizer", &tokenizer]);
    assert!(String::from_utf8(shown.stdout).unwrap().contains("because of that"));
}

#[test]
fn a_pack_never_lies_among_the_bins_that_it_is_made_of() {
    let folder = workshop();
    let root = folder.path();
    let run = |arguments: &[&str]| run(root, arguments);
    let made = run(&[
        "tokenize",
        "--tokenizer",
        "demo/tokenizer",
        "--input",
        "demo/corpus",
        "--out",
        "bins",
    ]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let manifest = fs::read(root.join("bins/manifest.json")).unwrap();
    std::os::unix::fs::symlink(root.join("bins"), root.join("link")).unwrap();

    for out in
        ["bins", "bins/", "./no/../bins", "link", "bins/shards", "bins/packed", "link/shards"]
    {
        let pack = run(&["pack", "--input", "bins", "--out", out, "--seq-len", "64", "--force"]);

        let said = String::from_utf8(pack.stderr).unwrap();
        assert_eq!(pack.status.code(), Some(2), "{out}: {said}");
        assert!(said.contains("lies in the folder of the input"), "{out}: {said}");
        assert_eq!(fs::read(root.join("bins/manifest.json")).unwrap(), manifest, "{out}");
    }
    assert_eq!(run(&["verify", "bins"]).status.code(), Some(0));
}

#[test]
fn a_pack_that_is_there_tells_what_its_making_told() {
    let folder = workshop();
    let root = folder.path();
    write(&root.join("data/x.jsonl"), "{\"q\": \"why?\", \"a\": \"so\"}\n".repeat(9));
    let (status, said) = sft(root, "task.toml", &["--packing", "concat"]);
    assert_eq!(status, Some(0), "{said}");
    let pack = |more: &[&str]| {
        let usual = ["pack", "--input", "out/tokens", "--out", "packed", "--seq-len", "32"];
        let output = run(root, &[&usual[..], more].concat());
        let told = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), told(output.stdout), told(output.stderr))
    };

    let (status, first, said) = pack(&[]);
    assert_eq!(status, Some(0), "{said}");
    let (status, second, said) = pack(&[]);

    assert_eq!(status, Some(0), "{said}");
    assert!(first.contains("train") && said.contains("already done"), "{first}{said}");
    assert_eq!(second, first);

    // What cannot be packed leaves the pack that is there.
    let (status, _, said) = pack(&["--split", "nosuch", "--force"]);
    assert_eq!(status, Some(1), "{said}");
    assert!(root.join("packed/manifest.json").exists());
}

const CHATML: &str =
    "{% for m in messages %}<|im_start|>{{ m.role }}\\n{{ m.content }}<|im_end|>\\n{% endfor %}";

/// Writes a chat task over one file, `talk.jsonl`.
fn chat(root: &Path, template: &str, lines: &str) {
    let text =
        format!("[chat]\ntemplate = \"{template}\"\n[splits.train]\nsource = \"talk.jsonl\"\n");
    write(&root.join("chat.toml"), &text);
    write(&root.join("talk.jsonl"), lines);
}

/// The text of each row that is trained on.
fn trained_text(root: &Path) -> Vec<String> {
    let tokenizer =
        ratdata_tokenize::tokenizer::Tokenizer::load(root.join("demo/tokenizer")).unwrap();
    let text = |row: &Row| {
        let labels = row.labels.iter().filter(|&&label| label != IGNORE_INDEX);
        let ids: Vec<u32> = labels.map(|label| label.cast_unsigned()).collect();
        tokenizer.decode(&ids)
    };
    rows(&root.join("out")).iter().map(text).collect()
}

#[test]
fn a_flagged_turn_is_not_trained_on_and_a_wrong_flag_is_told_by_its_line() {
    let folder = workshop();
    let root = folder.path();
    let talk = |flag: &str| {
        format!(
            "{{\"messages\": [{{\"role\": \"user\", \"content\": \"u\"}}, {{\"role\": \"assistant\", \"content\": \"not this\", {flag}}}, {{\"role\": \"user\", \"content\": \"u\"}}, {{\"role\": \"assistant\", \"content\": \"but this\"}}]}}\n"
        )
    };

    chat(root, CHATML, &(talk("\"weight\": 0") + &talk("\"train\": false")));
    let (status, said) = sft(root, "chat.toml", &["--max-length", "256"]);
    assert_eq!(status, Some(0), "{said}");
    for trained in trained_text(root) {
        assert!(trained.contains("but this") && !trained.contains("not this"), "{trained}");
    }

    for (flag, says) in [
        ("\"weight\": 0.5", "`weight` is 0.5, expected 0 or 1"),
        ("\"weight\": \"0\"", "expected the number 0 or 1"),
        ("\"train\": 1", "`train` is 1, expected true or false"),
        ("\"weight\": 1, \"train\": false", "contradict each other"),
    ] {
        chat(root, CHATML, &(talk("\"weight\": 1") + &talk(flag)));
        let (status, said) = sft(root, "chat.toml", &["--force"]);

        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("talk.jsonl: line 2: message 2 of 4: "), "{said}");
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn the_command_chooses_what_is_trained_on_and_tells_of_flags_that_it_does_not_read() {
    let folder = workshop();
    let root = folder.path();
    let talk = "{\"messages\": [{\"role\": \"user\", \"content\": \"u\", \"trainable\": false}, {\"role\": \"assistant\", \"content\": \"first\"}, {\"role\": \"user\", \"content\": \"v\"}, {\"role\": \"assistant\", \"content\": \"<think>hm</think>second\"}]}\n";
    chat(root, CHATML, &talk.repeat(3));
    let trained = |more: &[&str]| -> String {
        let more = [&["--force", "--max-length", "256"], more].concat();
        let (status, said) = sft(root, "chat.toml", &more);
        assert_eq!(status, Some(0), "{said}");
        let told = "messages have `trainable`, which is not read";
        assert_eq!(said.matches(told).count(), 1, "{said}");
        trained_text(root)[0].clone()
    };

    let (all, last) = (trained(&[]), trained(&["--loss-on", "last"]));
    let bare = trained(&["--loss-on", "last", "--loss-without", "thoughts"]);

    assert!(all.contains("first") && all.contains("hm") && all.contains("second"), "{all}");
    assert!(!last.contains("first") && last.contains("hm"), "{last}");
    assert!(!bare.contains("hm") && bare.contains("second"), "{bare}");
    let family = trained(&["--chat-template", "chatml"]);
    assert_eq!(family, all, "the task's template is of this family");
    let (status, said) = sft(root, "chat.toml", &["--chat-template", "qwen4"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("qwen3"), "{said}");
    let (status, said) = sft(root, "task.toml", &["--loss-on", "last"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("`--loss-on` is about conversations"), "{said}");
    let (status, said) = sft(root, "chat.toml", &["--loss-on", "a b"]);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("expected `all`, `last`, or roles"), "{said}");
}

#[test]
fn answers_that_never_stop_are_told_once_with_their_count() {
    let folder = workshop();
    let root = folder.path();
    let talk = "{\"messages\": [{\"role\": \"user\", \"content\": \"u\"}, {\"role\": \"assistant\", \"content\": \"a\"}]}\n";
    let glm = "{% for m in messages %}<|{{ m.role }}|>\\n{{ m.content }}{% endfor %}";

    chat(root, glm, &talk.repeat(3));
    let (status, said) = sft(root, "chat.toml", &[]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(said.matches("no stop token is trained on").count(), 1, "{said}");
    assert!(said.contains("3 conversations have"), "{said}");

    chat(root, CHATML, talk);
    let (status, said) = sft(root, "chat.toml", &["--force"]);
    assert_eq!(status, Some(0), "{said}");
    assert!(!said.contains("stop token"), "{said}");
}

#[test]
fn a_template_that_every_row_fails_in_has_no_hint_to_skip_rows() {
    let folder = workshop();
    let root = folder.path();
    let talk = "{\"messages\": [{\"role\": \"user\", \"content\": \"u\"}, {\"role\": \"assistant\", \"content\": \"a\"}]}\n";
    for template in [
        "{{ range(10**9) }}",
        "{{ messages[0].content - 1 }}",
        "{{ raise_exception('never') }}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    ] {
        chat(root, template, talk);

        let (status, said) = sft(root, "chat.toml", &[]);

        assert!(matches!(status, Some(1 | 2)), "{said}");
        assert!(!said.contains("--on-bad-row"), "{said}");
    }
}

#[test]
fn a_row_length_beyond_what_packs_have_is_refused() {
    let folder = workshop();
    let root = folder.path();
    for packing in ["none", "concat"] {
        let more = ["--packing", packing, "--max-length", "16777216"];
        let (status, said) = sft(root, "task.toml", &more);

        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains("16777215"), "{said}");
    }
    assert!(!root.join("out").exists());
}

#[test]
fn rows_that_cannot_fit_the_disk_are_refused_before_one_is_written() {
    let folder = workshop();
    let root = folder.path();
    // A thousand billion bytes of rows: more than the disks that tests run on.
    write(&root.join("data/x.jsonl"), "{\"q\": \"q\", \"a\": \"a\"}\n".repeat(150_000));

    let (status, said) = sft(root, "task.toml", &["--max-length", "16777215"]);

    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("150000 rows of 16777215 tokens need"), "{said}");
    let left = fs::read_dir(root.join("out")).unwrap();
    let bytes: u64 = left.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 1 << 20, "{bytes}");
}

#[test]
fn a_mistake_in_a_task_file_has_a_line_and_a_hint() {
    let folder = workshop();
    let root = folder.path();
    write(&root.join("typo.toml"), TASK.replace("answers", "anwsers"));

    let (status, said) = sft(root, "typo.toml", &[]);

    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("typo.toml:5: unknown key `splits.train.anwsers`"), "{said}");
    assert!(said.contains("did you mean `answers`?"), "{said}");
}

#[test]
fn a_signal_is_answered_within_one_long_row() {
    let folder = workshop();
    let root = folder.path();
    // Each turn is written with all before it, so this takes minutes.
    let turn =
        "{\"role\": \"user\", \"content\": \"u\"}, {\"role\": \"assistant\", \"content\": \"a\"}";
    let turns = vec![turn; 8000].join(", ");
    // Of no known family, so that its turns are searched for.
    let template = CHATML.replace("im_start", "turn");
    chat(root, &template, &format!("{{\"messages\": [{turns}]}}\n"));
    let mut running = Command::new(env!("CARGO_BIN_EXE_ratdata"))
        .args(["sft", "--task-file", "chat.toml", "--tokenizer", "demo/tokenizer", "--out", "out"])
        .current_dir(root)
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(running.try_wait().unwrap(), None);

    let begun = std::time::Instant::now();
    let pid = running.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let status = running.wait().unwrap();

    assert_eq!(status.code(), Some(130));
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn what_no_fuel_bounds_ends_with_the_job() {
    let talk = "{\"messages\": [{\"role\": \"user\", \"content\": \"u\"}, {\"role\": \"assistant\", \"content\": \"a\"}]}\n";
    let grown = |step: &str, last: &str| {
        format!(
            "{{% set ns = namespace(x=[1], y=[1]) %}}{{% for i in range(60) %}}{{% set ns.x = {step} %}}{{% set ns.y = {} %}}{{% endfor %}}{last}",
            step.replace(".x", ".y")
        )
    };
    let templates = [
        grown("ns.x + ns.x", "{{ ns.x }}"),
        grown("[ns.x, ns.x]", "{{ ns.x ~ '' }}"),
        grown("[ns.x, ns.x]", "{{ ns.x == ns.y }}"),
    ];
    // At once: each takes the whole time that a template may take.
    std::thread::scope(|scope| {
        for template in &templates {
            scope.spawn(move || {
                let folder = workshop();
                chat(folder.path(), template, talk);
                let begun = std::time::Instant::now();

                let (status, said) = sft(folder.path(), "chat.toml", &[]);

                assert_eq!(status, Some(2), "{said}");
                assert!(said.contains("chat template: "), "{said}");
                assert!(!said.contains("--on-bad-row"), "{said}");
                assert!(
                    begun.elapsed() < std::time::Duration::from_mins(1),
                    "{:?}",
                    begun.elapsed()
                );
            });
        }
    });
}
