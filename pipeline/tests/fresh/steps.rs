//! Pipelines: `plan`, `run` and their inputs.

use std::fs;

use serde_json::Value;

use crate::hand::{edit, ends, flip, large, reads, set_modified, touch, write};
use ratdata_tests::workshop::Workshop;

const PIPELINE: &str = r#"
[steps.tokens]
kind = "tokenize"
tokenizer = "demo/tokenizer"
input = "in"
name = "t"

[steps.packed]
kind = "pack"
input = "@tokens"
seq_len = 64

[steps.counted]
kind = "command"
program = ["sh", "-c", "cat in/a.jsonl | tr -d x | wc -c > $RATDATA_OUT/f"]
inputs = ["in/a.jsonl"]
"#;

fn workshop(pipeline: &str) -> Workshop {
    let workshop = Workshop::new();
    workshop.write("in/a.jsonl", large());
    workshop.write("in/b.jsonl", b"{\"text\": \"the cat\"}\n{\"text\": \"a small file\"}\n");
    workshop.write("pipeline.toml", pipeline.as_bytes());
    workshop
}

/// Returns the state of each step and why.
fn states(workshop: &Workshop, more: &[&str]) -> Vec<(String, String)> {
    let plan = ends(workshop, &[&["plan", "--json"], more].concat(), 0);
    let plan: Value = serde_json::from_str(plan.lines().next().unwrap()).unwrap();
    let step = |step: &Value| (step["state"].as_str().unwrap().into(), step["why"].to_string());
    plan["steps"].as_array().unwrap().iter().map(step).collect()
}

#[test]
fn an_edit_anywhere_makes_what_depends_on_it_stale() {
    let workshop = workshop(PIPELINE);
    let path = workshop.path("in/a.jsonl");
    ends(&workshop, &["run", "--quiet"], 0);
    ends(&workshop, &["plan", "--check"], 0);
    let written = path.metadata().unwrap().modified().unwrap();

    edit(&path);
    set_modified(&path, written);

    let told = ends(&workshop, &["plan", "--check"], 4);
    assert!(told.contains("3 steps are stale"), "{told}");
    let states = states(&workshop, &[]);
    let whys: String = states.iter().map(|(_, why)| why.as_str()).collect();
    assert!(whys.contains("input in: ") && whys.contains("(a.jsonl: content)"), "{whys}");
    ends(&workshop, &["run", "--quiet"], 0);
    ends(&workshop, &["plan", "--check"], 0);
    let bytes = |out: &str| fs::read(workshop.path(out).join("shards/t-train-a.bin")).unwrap();
    let plan: Value = serde_json::from_str(&ends(&workshop, &["plan", "--json"], 0)).unwrap();
    let steps = plan["steps"].as_array().unwrap();
    let tokens = steps.iter().find(|step| step["name"] == "tokens").unwrap();
    let object = tokens["object"].as_str().unwrap();
    let usual = ["tokenize", "--tokenizer", "demo/tokenizer", "--name", "t", "--input", "in"];
    ends(&workshop, &[&usual[..], &["--out", "fresh"]].concat(), 0);
    assert!(bytes(&format!(".ratdata/store/{object}")) == bytes("fresh"));
}

#[test]
fn inputs_are_read_once_and_again_where_they_were_touched() {
    let workshop = workshop(PIPELINE);
    let path = workshop.path("in/a.jsonl");
    let len = path.metadata().unwrap().len();
    let is_read = |words: &[&str], expected: bool| {
        let count = reads(&workshop, words);
        assert_eq!(count >= len, expected, "{words:?}: {count} bytes were read");
    };
    is_read(&["plan"], true);
    is_read(&["plan"], false);
    ends(&workshop, &["run", "--quiet"], 0);
    is_read(&["plan", "--check"], false);
    is_read(&["run"], false);

    touch(&path);
    is_read(&["plan", "--check"], true);
    is_read(&["plan", "--check"], false);

    // It always reads, and what it finds holds for later runs.
    is_read(&["plan", "--check", "--full-hash"], true);
    is_read(&["plan", "--check", "--full-hash"], true);
    is_read(&["plan", "--check"], false);

    fs::remove_file(workshop.path(".ratdata/store/.known.json")).unwrap();
    is_read(&["run"], true);
    is_read(&["run"], false);
}

/// An edit that leaves size, both times and inode as they are cannot be made here; the store is told
/// that the file had another content, which is the same.
#[test]
fn full_hash_finds_what_the_system_does_not_tell() {
    let workshop = workshop(PIPELINE);
    ends(&workshop, &["run", "--quiet"], 0);
    let known = workshop.path(".ratdata/store/.known.json");
    let mut note: Value = serde_json::from_slice(&fs::read(&known).unwrap()).unwrap();
    let files = note["files"].as_object_mut().unwrap();
    let file = files.iter_mut().find(|(path, _)| path.ends_with("in/a.jsonl")).unwrap().1;
    file["blake3"] = "0".repeat(64).into();
    write(&known, &serde_json::to_vec(&note).unwrap());

    let believed = states(&workshop, &[]);
    let read = states(&workshop, &["--full-hash"]);
    let after = states(&workshop, &[]);

    assert_eq!(believed[0].0, "stale");
    assert!(read.iter().all(|(state, _)| state == "fresh"), "{read:?}");
    assert_eq!(after, read);
}

#[test]
fn two_pipelines_do_not_take_each_others_results_for_theirs() {
    let workshop = workshop("");
    for (name, edited) in [("one", false), ("two", true)] {
        workshop.write(&format!("{name}/in/a.jsonl"), large());
        if edited {
            edit(&workshop.path(&format!("{name}/in/a.jsonl")));
        }
        let text = format!("store = \"../store\"\n{}", PIPELINE.replace("demo/", "../demo/"));
        workshop.write(&format!("{name}/p.toml"), text.as_bytes());
    }
    ends(&workshop, &["run", "one/p.toml", "--quiet"], 0);

    let told = ends(&workshop, &["plan", "two/p.toml", "--check"], 4);

    assert!(told.contains("3 steps are stale"), "{told}");
}

#[test]
fn an_input_that_changes_while_its_step_is_made_gives_no_result() {
    let step = |what: &str| {
        format!(
            "[steps.a]\nkind = \"command\"\nprogram = [\"sh\", \"-c\", \"{what}; cp in/b.jsonl $RATDATA_OUT\"]\ninputs = [\"in\"]\n"
        )
    };
    let workshop = workshop(&step("touch in/b.jsonl"));
    ends(&workshop, &["run", "--quiet"], 0);
    for what in ["echo >> in/b.jsonl", "cp in/b.jsonl in/c.jsonl", "rm in/a.jsonl"] {
        write(&workshop.path("pipeline.toml"), step(what).as_bytes());

        let told = ends(&workshop, &["run", "--json"], 1);

        assert!(told.contains("changed while the step was made"), "{what}: {told}");
        ends(&workshop, &["plan", "--check"], 4);
    }
}

#[test]
fn files_that_are_read_with_a_named_one_count_too() {
    let workshop = workshop("");
    let ids: Vec<u8> = (0..4000_u16).flat_map(|n| (n % 300).to_le_bytes()).collect();
    workshop.write("ids.ds", &ids);
    workshop.write("ids.ds.index", [2000_u64.to_le_bytes(), 4000_u64.to_le_bytes()].concat());
    let pipeline = r#"
[steps.tokens]
kind = "tokenize"
tokenizer = "demo/tokenizer/tokenizer.json"
input = "in/b.jsonl"

[steps.foreign]
kind = "import"
inputs = "ids.ds"
from = "datatrove"

[steps.plain]
kind = "export"
artifact = "spans"
to = "npy"
"#;
    let usual = ["tokenize", "--tokenizer", "demo/tokenizer", "--input", "demo/corpus"];
    ends(&workshop, &[&usual[..], &["--name", "t", "--out", "bins"]].concat(), 0);
    ends(&workshop, &["pack", "--input", "bins", "--out", "spans", "--seq-len", "64"], 0);
    write(&workshop.path("pipeline.toml"), pipeline.as_bytes());
    ends(&workshop, &["run", "--quiet"], 0);
    ends(&workshop, &["plan", "--check"], 0);

    workshop.write("demo/tokenizer/tokenizer_config.json", b"{\"eos_token\": \"<s>\"}");
    workshop.write("ids.ds.index", [1000_u64.to_le_bytes(), 4000_u64.to_le_bytes()].concat());
    flip(&workshop.path("bins/shards/t-train-000_00000.bin"));

    let states = states(&workshop, &[]);
    assert!(states.iter().all(|(state, _)| state == "stale"), "{states:?}");
}

/// What an older version kept of its samples says nothing of a large file.
#[test]
fn a_recipe_of_samples_makes_stale_and_says_why() {
    let workshop = workshop(PIPELINE);
    ends(&workshop, &["run", "--quiet"], 0);
    let recipes = workshop.path(".ratdata/store/.recipes");
    let folder = fs::read_dir(recipes).unwrap().next().unwrap().unwrap().path();
    let path = folder.join("counted.json");
    let mut recipe: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    recipe.as_object_mut().unwrap().remove("files");
    recipe["inputs"]["in/a.jsonl"] = "0123456789abcdef".into();
    write(&path, &serde_json::to_vec(&recipe).unwrap());
    let plan: Value = serde_json::from_str(&ends(&workshop, &["plan", "--json"], 0)).unwrap();
    let steps = plan["steps"].as_array().unwrap();
    let object = steps.iter().find(|step| step["name"] == "counted").unwrap()["object"].clone();
    fs::remove_dir_all(workshop.path(".ratdata/store").join(object.as_str().unwrap())).unwrap();

    let told = ends(&workshop, &["plan", "--check"], 4);

    assert!(told.contains("an older version looked at samples"), "{told}");
}

#[test]
fn a_result_says_nothing_of_the_machine() {
    let workshop = workshop(&format!(
        "{PIPELINE}\n[steps.rows]\nkind = \"sft\"\ntask_file = \"demo/questions/task.toml\"\ninput = \"demo/questions\"\ntokenizer = \"demo/tokenizer\"\nmax_length = 128\npacking = \"concat\"\n"
    ));
    ends(&workshop, &["run", "--quiet"], 0);
    let mut folders = vec![workshop.path(".ratdata/store")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            assert!(name != ".ratdata-lock", "{}", path.display());
            if path.is_dir() && !name.starts_with('.') && name != "runs" {
                folders.push(path);
            } else {
                seen += 1;
            }
        }
    }
    assert!(seen > 5);
}
