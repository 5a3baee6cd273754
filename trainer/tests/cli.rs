//! What the program `ratdata-train` says, and with which exit status.
#![expect(clippy::unwrap_used, reason = "a test stops where a value is missing")]
#![expect(clippy::disallowed_methods, reason = "what a test reads need not be staged")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const SMALL: [&str; 14] = [
    "model.vocab_size=61",
    "model.d_model=32",
    "model.layers=2",
    "model.head_dim=8",
    "model.seq_len=32",
    "model.chunk_len=8",
    "model.window=6",
    "training.iterations=8",
    "training.global_batch=4",
    "training.micro_batch=2",
    "training.log_every=2",
    "training.validations=2",
    "training.checkpoints=2",
    "schedule.peak=0.001",
];

fn trainer(folder: &Path, args: &[&str], sets: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ratdata-train"));
    command.current_dir(folder).args(args);
    if !args.is_empty() {
        command.args(SMALL.iter().chain(sets).flat_map(|set| ["--set", set]));
    }
    command
}

fn train(folder: &Path, args: &[&str], sets: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = trainer(folder, args, sets).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// Runs a command that reads no experiment.
fn train_without_sets(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ratdata-train"));
    let Output { status, stdout, stderr } =
        command.current_dir(folder).args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn bin(folder: &Path, tokens: u64) -> PathBuf {
    let bytes: Vec<u8> =
        (0..tokens).flat_map(|i| u16::try_from(i * i % 61).unwrap().to_le_bytes()).collect();
    let path = folder.join("x.bin");
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn the_last_line_of_stdout_is_the_result_as_json() {
    let folder = tempfile::tempdir().unwrap();
    bin(folder.path(), 4_000);

    let (status, stdout, stderr) =
        train(folder.path(), &["tiny-rat", "--data", "x.bin", "--out", "run", "--json"], &[]);

    assert_eq!(status, 0, "{stderr}");
    let result: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&result["iterations"], &result["tokens"]), (&8.into(), &1024.into()));
    assert!(result["train_loss"].as_f64().unwrap() > 0.0 && result["val_loss"].is_null());
    assert!(result["tokens_per_second"].as_f64().unwrap() > 0.0);
    let checkpoint = folder.path().join(result["checkpoint"].as_str().unwrap());
    assert!(checkpoint.join("model.safetensors").is_file());
    assert!(stderr.contains("8/8  loss ") && stderr.contains("  lr "), "{stderr}");
}

#[test]
fn a_dry_run_counts_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    bin(folder.path(), 4_000);

    let (status, stdout, stderr) =
        train(folder.path(), &["tiny-attention", "--data", "x.bin", "--dry-run", "--json"], &[]);

    assert_eq!(status, 0, "{stderr}");
    let plan: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    // 61·32 + 2·(4·32² + 8·32² + 2·32) + 32
    assert_eq!(plan["parameters"], 26_688);
    assert_eq!((&plan["iterations"], &plan["train_sequences"]), (&8.into(), &124.into()));
    assert!(plan["flops"].as_f64().unwrap() > 1e6);
    let of = |key: &str| plan[key].as_u64().unwrap();
    // Weights, gradients twice, two moments, all in f32; two micro-batches are added up.
    assert_eq!(of("state_bytes"), 20 * 26_688);
    assert_eq!(of("memory_bytes"), of("state_bytes") + of("activation_bytes"));
    assert!(of("free_bytes") > of("memory_bytes"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_dry_run_predicts_the_speed_on_a_gpu_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    bin(folder.path(), 4_000);
    let plan = |more: &[&str]| {
        let args = [&["tiny-attention", "--data", "x.bin", "--dry-run"], more].concat();
        let (status, stdout, stderr) = train(folder.path(), &args, &[]);
        assert_eq!(status, 0, "{stderr}");
        stdout
    };

    let predicted: serde_json::Value =
        serde_json::from_str(&plan(&["--gpu", "h100", "--json"])).unwrap();
    let here: serde_json::Value = serde_json::from_str(&plan(&["--json"])).unwrap();

    assert_eq!(predicted["free_bytes"], 80_000_000_000_u64);
    assert_eq!(predicted["predicted"]["gpu"], "h100");
    assert!(predicted["predicted"]["tokens_per_second"].as_f64().unwrap() > 1000.0);
    assert!(here.get("predicted").is_none());
    // A GPU computes in bf16, and each layer copies its weights.
    let bytes = |plan: &serde_json::Value| plan["state_bytes"].as_u64().unwrap();
    assert_eq!(bytes(&predicted), bytes(&here) + 2 * 26_688);
    let text = plan(&["--gpu", "4090"]);
    assert!(text.contains("on one 4090") && text.contains("not measured"), "{text}");
    let (status, _, stderr) = train(folder.path(), &["tiny-rat", "--gpu", "h100"], &[]);
    assert!(status == 2 && stderr.contains("--dry-run"), "{stderr}");
}

#[test]
fn without_a_config_the_experiments_are_listed_or_the_projects_is_trained() {
    let folder = tempfile::tempdir().unwrap();

    let (status, stdout, _) = train(folder.path(), &[], &[]);
    assert_eq!(status, 0);
    assert!(stdout.contains("tiny-rat\n") && stdout.contains("sft/rat-xl\n"), "{stdout}");

    std::fs::write(folder.path().join("ratdata.toml"), "experiment = 'tiny-rnn'").unwrap();
    bin(folder.path(), 4_000);
    let (status, _, stderr) = train(folder.path(), &["--data", "x.bin"], &[]);
    assert_eq!(status, 0, "{stderr}");
    assert!(folder.path().join("runs/tiny-rnn/model.safetensors").is_file());
}

#[test]
fn each_mistake_has_its_own_message_and_status() {
    let folder = tempfile::tempdir().unwrap();
    bin(folder.path(), 4_000);
    std::fs::write(folder.path().join("empty.bin"), "").unwrap();
    std::fs::write(folder.path().join("short.bin"), [1, 0, 2, 0]).unwrap();
    std::fs::write(folder.path().join("odd.bin"), [1, 0, 2]).unwrap();
    let data = ["tiny-rat", "--data", "x.bin"];

    for (args, set, status, message, hint) in [
        (&["tiny-rta"][..], "", 2, "no experiment of this name", "did you mean `tiny-rat`?"),
        (&["tiny-rat"], "", 2, "no data was named", "--data DIR"),
        (&["tiny-rat", "--data", "nowhere"], "", 2, "nowhere: there is no such file", ""),
        (&["tiny-rat", "--data", "empty.bin"], "", 1, "split `train` is empty", "tokenize"),
        (&["tiny-rat", "--data", "odd.bin"], "", 1, "not a multiple of 2", "--set data.dtype=u32"),
        (&["tiny-rat", "--data", "short.bin"], "", 1, "has 2 tokens, a sequence takes 33", ""),
        (&data, "training.global_batch=500", 1, "fewer than a batch of 500", "global_batch"),
        (&data, "model.seq_len=36", 2, "`seq_len` is 36, expected a multiple", "chunk_len"),
        (&data, "model.vocab_size=60", 1, "found the id 60", "model.vocab_size=N"),
        (&data, "model.vocabsize=60", 2, "expected `model.vocab_size` perhaps", "docs/"),
        (&data, "model.vocabsize=60", 2, "error: --set model.vocabsize=60: unknown key", "docs/"),
        (&["/dev/zero"], "", 2, "/dev/zero: cannot read: not a regular file", ""),
        (&data, "nonsense", 2, "expected `key=value`", ""),
        (&data, "optimizer.beta_1=1", 2, "`optimizer.beta_1` is 1, expected", ""),
        (&data, "training.init_from=gone", 1, "gone: no run, checkpoint or weights", "train the"),
        (
            &["tiny-rat", "--data", "x.bin", "--dry-run"],
            "training.init_from=gone",
            1,
            "gone: no run, checkpoint or weights",
            "train the",
        ),
        #[cfg(not(feature = "cuda"))]
        (
            &["tiny-rat", "--data", "x.bin", "--device", "cuda"],
            "",
            2,
            "this build has no CUDA",
            "--features cuda",
        ),
        #[cfg(not(feature = "wgpu"))]
        (
            &["tiny-rat", "--data", "x.bin", "--device", "wgpu:1"],
            "",
            2,
            "`wgpu:1` was asked for, and this build has no wgpu",
            "--features wgpu",
        ),
        (&["tiny-rat", "--device", "gpu"], "", 2, "expected `auto`, `cpu`, `cuda`", ""),
    ] {
        let sets: Vec<&str> = [set].into_iter().filter(|set| !set.is_empty()).collect();
        let (found, _, stderr) = train(folder.path(), args, &sets);

        assert_eq!(found, status, "{args:?} {set}: {stderr}");
        assert!(stderr.contains(message), "{args:?} {set}: {stderr}");
        assert!(stderr.contains(hint), "{args:?} {set}: {stderr}");
    }
}

#[test]
fn a_mistake_in_a_file_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    bin(folder.path(), 4_000);
    std::fs::write(folder.path().join("base.toml"), "extends = 'tiny-rat'\n\n[model]\nlayer = 2\n")
        .unwrap();
    std::fs::write(folder.path().join("mine.toml"), "extends = 'base.toml'\n").unwrap();

    let (status, _, stderr) = train(folder.path(), &["mine.toml", "--data", "x.bin"], &[]);

    assert_eq!(status, 2);
    let expected = "base.toml:4: unknown key `model.layer`, expected `model.layers` perhaps";
    assert!(stderr.contains(expected), "{stderr}");
}

/// A checkpoint that finds no room leaves the last one whole, and `--resume` takes it up.
#[test]
fn a_limit_on_files_is_reported_and_the_run_resumes_from_its_last_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    bin(folder.path(), 4_000);
    let args = |out| ["tiny-rat", "--data", "x.bin", "--out", out];
    let (whole, _, stderr) = train(folder.path(), &args("whole"), &[]);
    assert_eq!(whole, 0, "{stderr}");

    // The weights fit below the limit, the optimizer's moments do not.
    let script = "ulimit -f 150; exec \"$0\" \"$@\"";
    let refused = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_ratdata-train")])
        .args(args("run"))
        .args(SMALL.iter().flat_map(|set| ["--set", set]))
        .current_dir(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8(refused.stderr).unwrap();
    let names: Vec<_> = std::fs::read_dir(folder.path().join("run/checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    let mut resumed = args("run").to_vec();
    resumed.push("--resume");
    let (again, _, stderr) = train(folder.path(), &resumed, &[]);

    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("cannot write the optimizer's state"), "{told}");
    assert!(told.contains("`ulimit -f`") && told.contains("`--resume`"), "{told}");
    assert!(names.is_empty(), "what was not finished takes no room: {names:?}");
    assert_eq!(again, 0, "{stderr}");
    let weights =
        |run: &str| std::fs::read(folder.path().join(run).join("model.safetensors")).unwrap();
    assert!(weights("run") == weights("whole"));
}

#[test]
fn what_a_killed_run_left_of_a_checkpoint_is_removed_and_a_folder_has_one_run() {
    let folder = tempfile::tempdir().unwrap();
    bin(folder.path(), 4_000);
    let unfinished = folder.path().join("run/checkpoints/iteration-000000003.partial");
    std::fs::create_dir_all(&unfinished).unwrap();
    std::fs::write(unfinished.join("model.safetensors"), "half").unwrap();
    let args = ["tiny-rat", "--data", "x.bin", "--out", "run", "--resume"];

    let mut first = trainer(folder.path(), &args, &["training.iterations=2000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !folder.path().join("run/metrics.jsonl").exists() {
        assert!(begun.elapsed() < Duration::from_mins(1), "the run begins");
        std::thread::sleep(Duration::from_millis(5));
    }
    let (second, _, stderr) = train(folder.path(), &args, &[]);
    first.kill().unwrap();
    first.wait().unwrap();

    assert_eq!(second, 1);
    assert!(stderr.contains("another run is writing into this folder"), "{stderr}");
    assert!(!unfinished.exists());
}

/// SIGTERM keeps a checkpoint, and the run resumes from it to the same weights.
#[test]
fn a_run_that_is_terminated_resumes() {
    let folder = tempfile::tempdir().unwrap();
    bin(folder.path(), 4_000);
    let args = |out| ["tiny-rat", "--data", "x.bin", "--out", out];
    let sets = ["training.iterations=60", "training.log_every=1"];
    let mut stopped = trainer(folder.path(), &args("run"), &sets)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();

    let metrics = folder.path().join("run/metrics.jsonl");
    let begun = Instant::now();
    let lines = || std::fs::read_to_string(&metrics).map_or(0, |text| text.lines().count());
    while lines() < 3 && begun.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let killed = Command::new("kill").args(["-TERM", &stopped.id().to_string()]).status().unwrap();
    let status = stopped.wait().unwrap();
    let mut resumed = args("run").to_vec();
    resumed.push("--resume");
    let (again, _, stderr) = train(folder.path(), &resumed, &sets);
    let (whole, _, _) = train(folder.path(), &args("whole"), &sets);

    assert!(killed.success());
    assert_eq!((status.code(), again, whole), (Some(130), 0, 0), "{stderr}");
    assert!(stderr.contains("resuming from "), "{stderr}");
    let weights =
        |run: &str| std::fs::read(folder.path().join(run).join("model.safetensors")).unwrap();
    assert!(weights("run") == weights("whole"));
}

/// Writes an artifact of one bin with its index, and returns its manifest.
fn artifact(root: &Path) -> serde_json::Value {
    use ratdata_schemas::recipe::{Import, ImportLayout, Recipe};
    use ratdata_schemas::{
        Checksum, Dtype, FORMAT_VERSION, Manifest, PlainName, Semantics, ShardFiles, ShardWriter,
        SplitRecord, TokenizerRecord,
    };
    let mut writer = ShardWriter::create(ShardFiles { root, stem: "shards/x-train" }).unwrap();
    let ids: Vec<u16> = (0..4_000_u32).map(|i| u16::try_from(i * i % 61).unwrap()).collect();
    writer.append_u16(&ids, &[4_000]).unwrap();
    let shards = vec![writer.finish(None).unwrap()];
    let tokenizer = TokenizerRecord {
        name: "x".into(),
        semantics: Semantics::Tokenizers,
        fingerprint: Checksum::of(b"x"),
        vocab_size: 61,
        bos: None,
        eos: Some(2),
        unk: None,
        pad: None,
    };
    let manifest = Manifest {
        format_version: FORMAT_VERSION,
        name: PlainName::near("x"),
        dtype: Dtype::U16,
        tokenizer,
        splits: [(PlainName::near("train"), SplitRecord::Shards { shards })].into(),
        sources: Vec::new(),
        base: None,
        recipe: Recipe::Import(Import {
            from: ImportLayout::Raw,
            split: PlainName::near("train"),
            eos: None,
        }),
    };
    manifest.write(root).unwrap();
    serde_json::to_value(manifest).unwrap()
}

#[test]
fn an_artifact_that_leads_out_or_does_not_add_up_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a");
    let whole = artifact(&root);
    let dry_run = || train(folder.path(), &["tiny-rat", "--data", "a", "--dry-run"], &[]);
    assert_eq!(dry_run().0, 0);

    for (at, value, says) in [
        ("/name", serde_json::json!("../../x"), "`name`: found the name"),
        ("/tokenizer/eos", serde_json::json!(4_000_000_000_u32), "`eos` is id 4000000000"),
        ("/splits/train/shards/0/bin/path", serde_json::json!("../x.bin"), "bin.path`: found"),
        ("/splits/train/shards/0/tokens", serde_json::json!(1_u64 << 62), "recorded"),
    ] {
        let mut manifest = whole.clone();
        *manifest.pointer_mut(at).unwrap() = value;
        std::fs::write(root.join("manifest.json"), manifest.to_string()).unwrap();

        let (status, _, stderr) = dry_run();

        assert!(status == 1 && stderr.contains(says), "{at}: {status}: {stderr}");
    }
    std::fs::write(root.join("manifest.json"), whole.to_string()).unwrap();
    let (bin, outside) = (root.join("shards/x-train.bin"), folder.path().join("x.bin"));
    std::fs::rename(&bin, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &bin).unwrap();

    let (status, _, stderr) = dry_run();

    assert!(status == 1 && stderr.contains("which is not inside the artifact"), "{stderr}");
}

#[test]
fn layers_and_models_are_measured_into_a_table_json_and_a_plot() {
    let folder = tempfile::tempdir().unwrap();
    let small = ["--width", "32", "--heads", "4", "--window", "8", "--device", "cpu", "--out", "b"];
    let layer = ["bench", "layer", "--layers", "rat:8,attention", "--lengths", "16,32"];
    let layer_more = ["--tokens", "32", "--batches", "2,3000000", "--memory", "64", "--json"];
    let model = ["bench", "model", "--layers", "rat:8+local_attention,rnn", "--context", "32"];
    let model_more = ["--new", "4", "--blocks", "2", "--vocabulary", "61", "--most", "5"];

    let (status, stdout, stderr) =
        train_without_sets(folder.path(), &[&layer[..], &layer_more, &small].concat());
    assert_eq!(status, 0, "{stderr}");
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    assert_eq!((&rows[0]["layer"], &rows[0]["batch"]), (&"rat:8".into(), &2.into()));
    for time in ["train_ms", "prefill_ms", "step_ms"] {
        assert!(rows.iter().all(|row| row[time].as_f64().unwrap() > 0.0), "{stdout}");
    }
    let steps = &rows[3]["steps"];
    assert!(steps[0]["ms"].is_number() && steps[1]["ms"].is_null(), "{steps}");

    let (status, stdout, stderr) =
        train_without_sets(folder.path(), &[&model[..], &model_more, &small].concat());
    assert_eq!(status, 0, "{stderr}");
    assert!(
        stdout.starts_with("model ") && stdout.contains("\nrat:8+local_attention "),
        "{stdout}"
    );
    assert!(stdout.contains(" 5   --most "), "{stdout}");
    for file in ["layer.json", "layer.svg", "model.json", "model.svg"] {
        assert!(folder.path().join("b").join(file).is_file(), "{file}");
    }
}

#[test]
fn a_bench_that_cannot_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (args, says) in [
        (&["bench", "model", "--context", "64", "--new", "64"][..], "`--new` is 64, expected less"),
        (&["bench", "model", "--memory", "1"], "one sequence takes "),
        (&["bench", "layer", "--layers", "rta"], "found `rta`, expected layers"),
        (&["bench", "layer", "--layers", "rat:7", "--lengths", "64"], "`seq_len` is 64"),
    ] {
        let (status, _, stderr) = train_without_sets(folder.path(), args);

        assert!(status == 2 && stderr.contains(says), "{args:?}: {stderr}");
    }
}
