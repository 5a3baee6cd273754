//! Pipelines: what is stale and why, what a kill leaves, and one clear error for each mistake.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crashes;
mod inputs;
mod ray;
mod scale;
mod shares;
mod small_ray;
mod support;
mod telling;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use ratdata_tests::files::write;
use ratdata_tests::program::{run, succeed};
use support::{BRANCHES, made, results, workshop};

fn states(folder: &Path, more: &[&str]) -> BTreeMap<String, (String, String)> {
    let arguments = [&["plan", "pipeline.toml", "--json"], more].concat();
    let plan: Value = serde_json::from_str(&succeed(folder, &arguments)).unwrap();
    let step = |step: &Value| {
        let text = |key: &str| step[key].as_str().unwrap().to_owned();
        let why: Vec<&str> =
            step["why"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        (text("name"), (text("state"), why.join("; ")))
    };
    plan["steps"].as_array().unwrap().iter().map(step).collect()
}

#[test]
fn a_changed_template_makes_its_branch_again_and_nothing_else() {
    let folder = workshop(BRANCHES);
    let root = folder.path();
    let task = fs::read_to_string(root.join("sample/questions/task.toml")).unwrap();
    write(&root.join("task.toml"), &task);
    let first = succeed(root, &["run", "pipeline.toml", "--json"]);
    let again = succeed(root, &["run", "pipeline.toml", "--json"]);

    write(&root.join("task.toml"), task.replace("Answer:", "Reply:"));
    let plan = states(root, &[]);
    let check = run(root, &["plan", "pipeline.toml", "--check"]);
    let changed = succeed(root, &["run", "pipeline.toml", "--json"]);

    assert_eq!(made(&first), ["merged", "packed", "questions", "tokens"]);
    assert_eq!(made(&again), Vec::<String>::new());
    assert_eq!(plan["tokens"].0, "fresh");
    assert_eq!(plan["packed"].0, "fresh");
    assert_eq!(plan["questions"].0, "stale");
    assert!(plan["questions"].1.contains("task.toml"), "{}", plan["questions"].1);
    assert_eq!(check.status.code(), Some(4));
    assert_eq!(made(&changed), ["questions"]);
}

#[test]
fn a_changed_value_is_told_with_the_old_and_the_new() {
    let folder = workshop(BRANCHES);
    let root = folder.path();
    succeed(root, &["run", "pipeline.toml", "packed", "merged", "--quiet"]);

    let other = states(root, &["packed", "--set", "steps.packed.seq_len=64"]);
    let knob = states(root, &["packed", "--set", "steps.tokens.num_proc=1"]);
    let source = states(root, &["merged", "--set", "steps.tokens.val_fraction=0.1"]);

    assert!(other["packed"].1.contains("128 -> 64"), "{}", other["packed"].1);
    assert_eq!(other["tokens"].0, "fresh");
    assert_eq!((knob["packed"].0.as_str(), knob["tokens"].0.as_str()), ("fresh", "fresh"));
    assert!(source["merged"].1.contains("tokens"), "{}", source["merged"].1);
}

/// A task file may name its data by itself, and that decides the rows as much as the task.
#[test]
fn changed_data_of_a_task_file_is_an_input_like_any_other() {
    let step = "[steps.rows]\nkind = \"sft\"\ntask_file = \"task.toml\"\nmax_length = 64\n";
    let folder = workshop(&format!("{step}tokenizer = \"sample/tokenizer\"\n"));
    let root = folder.path();
    let splits = "[splits.train]\nsource = \"data.jsonl\"\nanswers = [\"a\"]\n";
    write(&root.join("task.toml"), format!("prompt = \"{{q}}\"\n{splits}"));
    let missing = run(root, &["plan"]);
    write(&root.join("data.jsonl"), "{\"q\": \"why?\", \"a\": \"so\"}\n");
    succeed(root, &["run", "--quiet"]);
    let before = states(root, &[]);

    write(&root.join("data.jsonl"), "{\"q\": \"why?\", \"a\": \"not so\"}\n");
    let after = states(root, &[]);

    let text = String::from_utf8(missing.stderr).unwrap();
    assert!(text.contains("pipeline.toml:3: step `rows` takes `data.jsonl`"), "{text}");
    assert_eq!(before["rows"].0, "fresh");
    assert!(after["rows"].1.contains("input task.toml: train: "), "{}", after["rows"].1);
}

/// An experiment by its name is not a folder that happens to have it.
#[test]
fn a_name_is_no_folder_of_that_name() {
    let folder = workshop("[steps.m]\nkind = \"train\"\nconfig = \"demo\"\ndata = \"sample\"\n");
    let root = folder.path();
    let fingerprint = || {
        let plan: Value =
            serde_json::from_str(&succeed(root, &["plan", "pipeline.toml", "--json"])).unwrap();
        plan["steps"][0]["fingerprint"].clone()
    };
    let before = fingerprint();

    write(&root.join("demo/anything"), "");

    assert_eq!(fingerprint(), before);
}

/// A pipeline of one step.
const A: &str = "[steps.a]\nkind = \"command\"\nprogram = [\"true\"]\n";

/// A pipeline, the line that is named, what is said, and the hint.
type Mistake = (String, &'static str, &'static str, &'static str);

fn mistakes() -> Vec<Mistake> {
    let a = A;
    vec![
        // The pipeline, the line that is named, what is said, and the hint.
        ("[step.a]\n".to_owned(), ":1", "unknown key `step`", "steps"),
        (format!("{a}outputz = [\"x\"]\n"), ":4", "unknown key `outputz`", "`outputs`"),
        ("[steps.a]\nkind = \"tokenise\"\n".into(), ":2", "unknown kind `tokenise`", "`tokenize`"),
        (
            format!(
                "{a}inputs = [\"@b\"]\n[steps.b]\nkind = \"command\"\nprogram = [\"true\"]\ninputs = [\"@a\"]\n"
            ),
            ":1",
            "steps need each other: a -> b -> a",
            "take one",
        ),
        (format!("{a}inputs = [\"nowhere.txt\"]\n"), ":4", "takes `", "relative to"),
        (format!("{a}inputs = [\"@aa\"]\n"), ":4", "`@aa`", "`a`"),
        (
            format!(
                "{a}publish = \"out\"\n[steps.b]\nkind = \"command\"\nprogram = [\"true\"]\npublish = \"./out\"\n"
            ),
            ":8",
            "steps `a` and `b` both write",
            "another path",
        ),
        (
            "[steps.a]\nkind = \"pack\"\ninput = \"sample\"\nseq_len = \"many\"\n".into(),
            ":4",
            "`seq_len`",
            "",
        ),
        ("[steps.a]\nkind = \"pack\"\nseq_len = 8\n".into(), "", "input", ""),
    ]
}

fn more_mistakes(root: &Path) -> Vec<Mistake> {
    let a = A;
    let b = || a.replace("steps.a", "steps.b");
    let train = |keys: &str| format!("[steps.a]\nkind = \"train\"\n{keys}\n");
    vec![
        (format!("{a}publish = \"p\"\n{}publish = \"p/x\"\n", b()), ":8", "inside `p`", "outside"),
        (format!("{a}publish = \"{}/../{}/p\"\n{}publish = \"p\"\n", root.display(), root.file_name().unwrap().display(), b()), ":8", "steps `a` and `b` both write", "another path"),
        (format!("{a}outputs = [\"/etc/passwd\"]\n"), ":4", "own folder", ""),
        (format!("{a}outputs = [\"../x\"]\n"), ":4", "own folder", ""),
        (format!("{a}outputs = \"x\"\n"), ":4", "expected a list", ""),
        (format!("{a}{}inputs = [\"@a/../x\"]\n", b()), ":7", "own folder", ""),
        ("[executor.slurm.kinds.trian]\ncpus = 1\n".into(), ":1", "unknown key `trian`", "`train`"),
        ("[executor.slurm]\ncpus = 1\npartitio = \"x\"\n".into(), ":3", "unknown key `partitio`", "`partition`"),
        ("[executor.slurm.kinds.train]\ncpu = 1\n".into(), ":2", "unknown key `cpu`", "`cpus`"),
        ("[executor.slurm]\n\narray = 0\n".into(), ":3", "`array`", ""),
        ("[executor.ray]\ngpus = 0\n".into(), ":2", "`gpus`", ""),
        ("[executor.ray]\nmem = \"much\"\n".into(), ":2", "such as 8GB", ""),
        ("[executor.ray]\nresources = { nvme = \"x\" }\n".into(), ":2", "nvme = 1", ""),
        ("[executor.ray.kinds.pack]\naddress = \"x\"\n".into(), ":2", "unknown key `address`", ""),
        ("[resources]\nmemory_gb = 1\nthread = 2\n".into(), ":3", "unknown key `thread`", "`threads`"),
        ("[resources]\nthreads = 0\n".into(), ":2", "`threads`", ""),
        ("[resources]\nmemory_gb = -1\n".into(), ":2", "`memory_gb`", ""),
        (format!("{a}threads = 0\n"), ":4", "`threads`", ""),
        (format!("{a}memory_gb = -1.5\n"), ":4", "`memory_gb`", ""),
        ("[steps.a]\n".into(), ":1", "step `a` has no `kind`", "tokenize"),
        ("[steps.a]\nkind = 5\n".into(), ":2", "found 5, expected a text", ""),
        (train("data = \"nowhere\"\nconfig = \"demo\""), ":3", "takes `nowhere`", "relative to"),
        (train("data = \"sample\"\nconfig = \"tiny-rta\""), ":4", "takes `tiny-rta`", "`tiny-rat`"),
        ("[steps.a]\nkind = \"tokenize\"\ninput = \"sample\"\ntokenizer = \"/no/tokenizer.json\"\n".into(), ":4", "/no/tokenizer.json", "relative to"),
        ("[steps.a]\nkind = \"sft\"\ntask = \"qmsun\"\n".into(), ":3", "`qmsun`", "`qmsum`"),
        ("[steps.a\n".into(), "", "line 1", "unclosed"),
        ("[executor.slrm]\n".into(), ":1", "unknown key `slrm`", "`slurm`"),
    ]
}

#[test]
fn each_mistake_is_one_error_that_names_its_line() {
    let folder = workshop("");
    let root = folder.path();
    let cases = [mistakes(), more_mistakes(root)].concat();

    for (text, line, what, hint) in cases {
        write(&root.join("pipeline.toml"), &text);
        let output = run(root, &["run", "pipeline.toml"]);
        let said = String::from_utf8(output.stderr).unwrap();

        assert_eq!(output.status.code(), Some(2), "{text}\n{said}");
        let first = said.lines().next().unwrap();
        assert!(first.contains(&format!("pipeline.toml{line}")), "{text}\n{said}");
        assert!(first.contains(what), "{text}\n{said}");
        assert!(said.contains(hint), "{text}\n{said}");
        assert_eq!(
            said.lines().filter(|line| line.starts_with("error:")).count(),
            1,
            "{text}\n{said}"
        );
    }
    write(&root.join("pipeline.toml"), A);
    for (arguments, nearest) in [
        (["plan", "pipeline.toml", "--set", "steps.ab.program=x"], "`a`"),
        (["plan", "pipeline.toml", "nostep", "--quiet"], "known are a"),
    ] {
        let output = run(root, &arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("no step is called") && said.contains(nearest), "{said}");
    }
    let nowhere = run(root, &["run", "nowhere.toml"]);
    assert_eq!(nowhere.status.code(), Some(2));
    assert!(String::from_utf8(nowhere.stderr).unwrap().contains("tiny"));
}

#[test]
fn clean_shows_what_no_pipeline_refers_to_and_removes_it_when_told() {
    let step = |text: &str| {
        format!(
            "[steps.a]\nkind = \"command\"\nprogram = [\"sh\", \"-c\", \"echo {text} > $RATDATA_OUT/f\"]\n"
        )
    };
    let folder = workshop(&step("one"));
    let root = folder.path();
    succeed(root, &["run", "--quiet"]);
    write(&root.join("pipeline.toml"), step("two"));
    succeed(root, &["run", "--quiet"]);

    let shown = succeed(root, &["clean"]);
    let kept = results(&root.join(".ratdata/store")).len();
    let runs = || fs::read_dir(root.join(".ratdata/store/runs")).unwrap().count();
    let runs_before = runs();
    let removed = succeed(root, &["clean", "--yes"]);
    let left = results(&root.join(".ratdata/store"));
    let again = succeed(root, &["clean", "--yes"]);

    assert!(shown.contains("command-a-") && shown.contains("`--yes`"), "{shown}");
    assert!(shown.contains("/runs/"), "{shown}");
    assert_eq!((runs_before, runs()), (2, 1));
    assert_eq!(kept, 2);
    assert!(removed.contains("removed"), "{removed}");
    assert_eq!(left.into_values().collect::<Vec<_>>(), [b"two\n".to_vec()]);
    assert!(again.contains("nothing to remove"), "{again}");
}

#[test]
fn merged_bins_are_the_shards_one_after_the_other() {
    let folder = workshop(BRANCHES);
    let root = folder.path();
    let tokenize = ["tokenize", "--tokenizer", "sample/tokenizer", "--name", "t", "--quiet"];
    let with = |more: &[&str]| succeed(root, &[&tokenize[..], more].concat());
    with(&["--input", "sample/corpus", "--out", "shards"]);
    with(&["--input", "sample/corpus", "--out", "merged", "--merge"]);
    with(&["--input", "sample/corpus/000_00001.parquet", "--out", "one"]);

    succeed(root, &["merge", "--input", "shards", "--out", "joined", "--quiet"]);
    succeed(root, &["merge", "--input", "shards", "one", "--out", "both", "--name", "both"]);
    succeed(root, &["verify", "joined"]);
    succeed(root, &["verify", "both"]);
    let refused = run(root, &["merge", "--input", "sample", "--out", "x"]);

    for file in ["t-train.bin", "t-train.idx", "t-val.bin", "t-val.idx"] {
        let read = |folder: &str| fs::read(root.join(folder).join(file)).unwrap();
        assert!(read("joined") == read("merged"), "{file} differs");
    }
    let bytes = |path: &str| fs::metadata(root.join(path)).unwrap().len();
    let one = bytes("one/shards/t-train-000_00001.bin");
    assert_eq!(bytes("both/both-train.bin"), bytes("joined/t-train.bin") + one);
    assert_eq!(refused.status.code(), Some(1));
}

#[test]
fn a_merge_finds_its_own_result_and_makes_again_what_was_lost_of_it() {
    let folder = workshop(BRANCHES);
    let root = folder.path();
    let tokenize = ["tokenize", "--tokenizer", "sample/tokenizer", "--input", "sample/corpus"];
    succeed(root, &[&tokenize[..], &["--name", "t", "--out", "shards", "--quiet"]].concat());
    let merge = ["merge", "--input", "shards", "--out", "joined"];
    let bin = root.join("joined/t-val.bin");
    succeed(root, &merge);
    let (whole, made) = (fs::read(&bin).unwrap(), bin.metadata().unwrap().modified().unwrap());

    let again = run(root, &merge);
    let left = bin.metadata().unwrap().modified().unwrap();
    let other = run(root, &[&merge[..], &["--name", "other"]].concat());
    fs::remove_file(&bin).unwrap();
    let mended = run(root, &merge);

    let told = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(again.status.success() && told(&again).contains("joined: already done"));
    assert_eq!(left, made, "nothing is written again");
    assert_eq!(other.status.code(), Some(1), "{}", told(&other));
    assert!(mended.status.success() && !told(&mended).contains("already done"));
    assert!(fs::read(&bin).unwrap() == whole);
}

#[test]
fn a_pipeline_extends_another_and_keeps_its_record() {
    let folder = workshop(BRANCHES);
    let root = folder.path();
    write(&root.join("short.toml"), "extends = \"pipeline.toml\"\n[steps.packed]\nseq_len = 64\n");
    write(&root.join("task.toml"), "");

    succeed(root, &["run", "short.toml", "packed", "--quiet"]);

    let run = fs::read_dir(root.join(".ratdata/store/runs")).unwrap().next().unwrap().unwrap();
    let resolved = fs::read_to_string(run.path().join("resolved.toml")).unwrap();
    let record = fs::read_to_string(run.path().join("events.jsonl")).unwrap();
    assert!(resolved.contains("seq_len = 64"), "{resolved}");
    assert_eq!(made(&record), ["packed", "tokens"]);
}

#[test]
fn a_plan_is_drawn_in_three_languages() {
    let folder = workshop(BRANCHES);
    let root = folder.path();
    write(&root.join("task.toml"), "");
    let graph = |form: &str| succeed(root, &["plan", "--graph", form]);

    let (mermaid, dot, svg) = (graph("mermaid"), graph("dot"), graph("svg"));
    let large = succeed(root, &["plan", "fineweb_edu", "--graph", "svg"]);

    assert!(mermaid.starts_with("flowchart") && mermaid.contains("tokens"), "{mermaid}");
    assert!(dot.starts_with("digraph") && dot.contains("->"), "{dot}");
    assert!(svg.starts_with("<svg") && svg.contains("packed"), "{svg}");
    // A letter is 7.5 units wide, more or less.
    let longest = "rat_localattention_interleave-xl".len() as f64 * 7.5;
    let wide =
        large.split("width=\"").skip(2).filter_map(|text| text.split('"').next()?.parse().ok());
    assert!(wide.fold(0.0, f64::max) > longest, "{large}");
}
