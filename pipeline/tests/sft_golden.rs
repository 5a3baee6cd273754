//! Small goldens of our own: a task and a conversation, made by code, give the bytes they gave.
//!
//! `RATDATA_REGENERATE=1 cargo test --workspace --test sft_golden` writes them again, after a change
//! that is meant to change bytes.

use std::fs;
use std::path::Path;

use ratdata_schemas::Manifest;
use ratdata_tests::files::write;
use ratdata_tests::program::succeed;

const TASK: &str = r#"
prompt = "Story: {story.text}\n\nQuestion: {question}\n\nAnswer:"
max_new_tokens = 16
[splits.train]
source = "rows.jsonl"
answers = ["answers.0", "answers.1"]
shuffle = 1234
[splits.validation]
source = "rows.jsonl"
answers = ["answers.1"]
[splits.test]
source = "rows.jsonl"
references = "answers"
sample = { rows = 20, seed = 1234 }
prompt_limit = { 96 = 80 }
"#;

const CHAT: &str = r#"
[chat]
tools = "tools"
template = """
{{ strftime_now('%d %b %Y') }}
{% if tools %}{{ tools | tojson(indent=2) }}{% endif %}
{% for m in messages %}
<{{ m.role }}>
    {% if m.role == 'assistant' %}
    {% generation %}
{{ m.content }}
    {% endgeneration %}
    {% else %}
{{ m.content }}
    {% endif %}
{% endfor %}
"""
[splits.train]
source = "talks.jsonl"
"#;

/// Writes the inputs: stories of many lengths, and talks of several turns.
fn inputs(root: &Path) {
    let (mut rows, mut talks) = (String::new(), String::new());
    for n in 0..60_usize {
        let story = ["Zoë walked on. ", "It rained 17 times.\\n", "« Non ! »  "].repeat(n % 9 + 1);
        rows.push_str(&format!(
            "{{\"story\": {{\"text\": \"{}\"}}, \"question\": \"who, in {n}?\", \"answers\": [\"Zoë {n}\", \"she\"]}}\n",
            story.concat()
        ));
        let turns: Vec<String> = (0..=n % 3)
            .map(|turn| {
                format!(
                    "{{\"role\": \"user\", \"content\": \"{turn} of {n}?\"}}, {{\"role\": \"assistant\", \"content\": \"yes, {turn} \"}}"
                )
            })
            .collect();
        let tools = if n % 4 == 0 { "[{\"name\": \"look\", \"limit\": 0.5}]" } else { "null" };
        talks.push_str(&format!("{{\"messages\": [{}], \"tools\": {tools}}}\n", turns.join(", ")));
    }
    write(&root.join("rows.jsonl"), &rows);
    write(&root.join("talks.jsonl"), &talks);
    write(&root.join("task.toml"), TASK);
    write(&root.join("chat.toml"), CHAT);
}

#[test]
fn instruction_rows_have_the_bytes_that_they_had() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    succeed(root, &["sample", "--out", "demo", "--quiet"]);
    inputs(root);
    let mut found = String::new();
    for (task, packing) in [
        ("task", "none"),
        ("task", "best-fit"),
        ("task", "concat"),
        ("chat", "none"),
        ("chat", "best-fit"),
    ] {
        let (file, out) = (format!("{task}.toml"), format!("{task}-{packing}"));
        let made = ["sft", "--task-file", &file, "--tokenizer", "demo/tokenizer", "--out", &out];
        succeed(root, &[&made[..], &["--packing", packing, "--max-length", "96"]].concat());
        for part in ["", "tokens"] {
            let artifact = root.join(&out).join(part);
            if !artifact.join("manifest.json").exists() {
                continue;
            }
            for file in Manifest::read(&artifact).unwrap().files() {
                let name = file.place(&Path::new(&out).join(part));
                found.push_str(&format!("{} {} {}\n", name.display(), file.bytes, file.blake3));
            }
        }
    }

    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/sft.txt");
    if std::env::var_os("RATDATA_REGENERATE").is_some() {
        write(&golden, &found);
    }
    assert_eq!(found, fs::read_to_string(&golden).unwrap_or_default());
}
