//! Whole runs of tiny models, over bins that the tests write.
//!
//! Longer than 500 lines because every test is a whole run, and all share the data, the experiment and the watch.
#![expect(clippy::unwrap_used, reason = "a test stops where a value is missing")]
#![expect(clippy::disallowed_methods, reason = "what a test reads need not be staged")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use ratdata_train::data::DataError;
use ratdata_train::device::Hardware;
use ratdata_train::experiment::{Experiment, find};
use ratdata_train::model::Model;
use ratdata_train::train::{
    BAD_BATCH_FILE, CURVE_FILE, CheckpointRecord, Job, MetricsLine, Progress, RESOLVED_FILE,
    Report, RunOptions, Summary, TrainError, Validated, WEIGHTS_FILE, read_metrics,
};

/// Counts iterations, and asks for a stop after one of them.
#[derive(Default)]
struct Watch<'a> {
    stop_after: Option<(u64, &'a AtomicBool)>,
    notes: Vec<String>,
}

impl Report for Watch<'_> {
    fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }

    fn progress(&mut self, progress: &Progress) {
        if let Some((last, stop)) = self.stop_after
            && progress.line.iteration == last
        {
            stop.store(true, Ordering::Relaxed);
        }
    }

    fn validated(&mut self, _iteration: u64, _found: &Validated) {}
}

/// A text of ids below 61 with something to learn: each follows from the one before, mostly.
fn bin(folder: &Path, name: &str, tokens: usize) -> PathBuf {
    let mut state = 7_u64;
    let mut id = 3_u64;
    let bytes: Vec<u8> = (0..tokens)
        .flat_map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            id = if state >> 61 == 0 { (state >> 40) % 61 } else { (id * 7 + 3) % 61 };
            u16::try_from(id).unwrap().to_le_bytes()
        })
        .collect();
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

const SMALL: &str = "model.vocab_size=61 model.d_model=32 model.layers=2 model.head_dim=8 \
    model.seq_len=32 model.chunk_len=8 model.window=6 training.iterations=20 \
    training.global_batch=4 training.micro_batch=2 training.log_every=5 training.validations=2 \
    training.checkpoints=4 data.eos=2";

fn experiment(name: &str, data: &Path, sets: &str) -> Experiment {
    let sets: Vec<String> =
        SMALL.split_whitespace().chain(sets.split_whitespace()).map(str::to_owned).collect();
    let mut experiment = find(name, &sets).unwrap().experiment;
    experiment.data.path = Some(data.to_owned());
    experiment
}

fn run(experiment: Experiment, out: &Path, resume: bool) -> Result<Summary, TrainError> {
    watched(experiment, out, resume, &mut Watch::default(), &AtomicBool::new(false))
}

fn watched(
    experiment: Experiment,
    out: &Path,
    resume: bool,
    watch: &mut Watch<'_>,
    stop: &AtomicBool,
) -> Result<Summary, TrainError> {
    let options = RunOptions { out, devices: &[Device::flex()], resume };
    Job::open("test", experiment, Hardware::Cpu)?.run(options, watch, stop)
}

/// Runs on several copies of the CPU, and stops after the iteration that `stop_after` names.
fn on_devices(
    experiment: Experiment,
    out: &Path,
    devices: usize,
    resume: bool,
    stop_after: Option<u64>,
) -> Result<Summary, TrainError> {
    let stop = AtomicBool::new(false);
    let stop_after = stop_after.map(|iteration| (iteration, &stop));
    let watch = &mut Watch { stop_after, ..Watch::default() };
    let devices = vec![Device::flex(); devices];
    let options = RunOptions { out, devices: &devices, resume };
    Job::open("test", experiment, Hardware::Cpu)?.run(options, watch, &stop)
}

fn weights(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join(WEIGHTS_FILE)).unwrap()
}

#[test]
fn a_run_validates_every_so_many_iterations_and_at_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let data = bin(folder.path(), "x-train.bin", 4_000);
    bin(folder.path(), "x-val.bin", 500);
    let out = folder.path().join("run");

    let every = experiment("tiny-rat", &data, "training.iterations=10 training.validate_every=4");
    let summary = run(every, &out, false).unwrap();

    let lines = read_metrics(&out).unwrap();
    let validated: Vec<u64> =
        lines.iter().filter(|line| line.val_loss.is_some()).map(|line| line.iteration).collect();
    assert_eq!(validated, [4, 8]);
    assert!(summary.val_loss.is_some());
}

/// A program in place of a Python with `wandb`: it keeps what it is told.
#[cfg(unix)]
fn fake_python(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;

    let path = folder.join("python");
    let script = "#!/bin/sh\nshift 2\necho \"$@\" > \"$1/words\"\necho ready\ncat > \"$1/told\"\n";
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_run_feeds_wandb() {
    let folder = tempfile::tempdir().unwrap();
    let data = bin(folder.path(), "x-train.bin", 4_000);
    bin(folder.path(), "x-val.bin", 500);
    let out = folder.path().join("run");
    let sets = |python: &Path| {
        format!("training.wandb=offline training.wandb_python={}", python.display())
    };

    let python = fake_python(folder.path());
    run(experiment("tiny-rat", &data, &sets(&python)), &out, false).unwrap();

    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    assert!(
        read("words").ends_with("run --mode offline --follow --offset 0\n"),
        "{}",
        read("words")
    );
    let told: serde_json::Value = serde_json::from_str(&read("told")).unwrap();
    assert!(told["val_loss"].is_f64() && told["val_perplexity"].is_f64(), "{told}");

    for (python, says) in
        [("nosuch-python", "No such file"), ("/bin/false", "ended without a word")]
    {
        let out = folder.path().join(says);
        let refused = run(experiment("tiny-rat", &data, &sets(Path::new(python))), &out, false);
        let message = refused.unwrap_err().to_string();
        assert!(message.contains(says) && message.starts_with(python), "{message}");
        assert!(!out.exists(), "a run that is refused leaves no folder");
    }
}

/// With a Python that has `wandb` in the variable `RATDATA_WANDB_PYTHON`.
#[test]
fn the_real_wandb_takes_a_run() {
    let Some(python) = std::env::var_os("RATDATA_WANDB_PYTHON").map(PathBuf::from) else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = bin(folder.path(), "x-train.bin", 4_000);
    bin(folder.path(), "x-val.bin", 500);
    let out = folder.path().join("run");
    let sets = format!("training.wandb=offline training.wandb_python={}", python.display());

    run(experiment("tiny-rat", &data, &sets), &out, false).unwrap();

    let offline = std::fs::read_dir(out.join("wandb"))
        .unwrap()
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().starts_with("offline-run-"));
    let files = std::fs::read_dir(offline.unwrap().path()).unwrap().flatten();
    let file =
        files.map(|file| file.path()).find(|path| path.extension() == Some("wandb".as_ref()));
    let bytes = std::fs::read(file.unwrap()).unwrap();
    for name in
        ["train_loss", "val_loss", "val_ppl", "lr", "fwd+bwd", "result_loss", "result_metric"]
    {
        let found = bytes.windows(name.len()).any(|window| window == name.as_bytes());
        assert!(found, "{name}");
    }
}

#[test]
fn a_run_leaves_all_that_was_promised() {
    let folder = tempfile::tempdir().unwrap();
    let data = bin(folder.path(), "x-train.bin", 4_000);
    bin(folder.path(), "x-val.bin", 500);
    let out = folder.path().join("run");

    let summary = run(experiment("tiny-rat", &data, ""), &out, false).unwrap();

    assert_eq!((summary.iterations, summary.tokens), (20, 20 * 4 * 32));
    assert!(summary.train_loss.unwrap() < 4.1, "{summary:?}");
    let (loss, perplexity) = (summary.val_loss.unwrap(), summary.val_perplexity.unwrap());
    assert!((loss.exp() / perplexity - 1.0).abs() < 1e-9);
    assert_eq!(weights(&out), weights(&summary.checkpoint));
    assert!(out.join(CURVE_FILE).is_file());
    let resolved = std::fs::read_to_string(out.join(RESOLVED_FILE)).unwrap();
    assert_eq!(toml::from_str::<Experiment>(&resolved).unwrap(), experiment("tiny-rat", &data, ""));
    let lines = read_metrics(&out).unwrap();
    let of = |kind: fn(&MetricsLine) -> bool| {
        lines.iter().filter(|line| kind(line)).map(|line| line.iteration).collect::<Vec<_>>()
    };
    assert_eq!(of(|line| line.loss.is_some()), [5, 10, 15, 20]);
    assert_eq!(of(|line| line.val_loss.is_some()), [10, 20]);
    let kept: Vec<_> = std::fs::read_dir(out.join("checkpoints")).unwrap().collect();
    assert_eq!(kept.len(), 2, "only the newest two stay");
}

/// Twenty iterations are ten, a stop, and ten more; for every mixer and every order.
#[test]
fn a_resumed_run_is_the_run_that_never_stopped() {
    for (name, sets) in [
        ("tiny-rat", ""),
        ("tiny-rnn", "data.order=random"),
        ("tiny-attention", "data.order=ordered data.shares=4"),
        ("tiny-rat_localattention_interleave", "training.checkpoints=1"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let data = bin(folder.path(), "x.bin", 4_000);
        let (whole, halves) = (folder.path().join("whole"), folder.path().join("halves"));

        run(experiment(name, &data, sets), &whole, false).unwrap();
        let stop = AtomicBool::new(false);
        let mut watch = Watch { stop_after: Some((10, &stop)), ..Watch::default() };
        let stopped =
            watched(experiment(name, &data, sets), &halves, false, &mut watch, &stop).unwrap_err();
        assert!(matches!(stopped, TrainError::Interrupted { iteration: 10, .. }), "{stopped}");
        run(experiment(name, &data, sets), &halves, true).unwrap();

        assert!(weights(&whole) == weights(&halves), "{name}: the weights differ");
        let losses = |out| read_metrics(out).unwrap().last().unwrap().loss;
        assert_eq!(losses(&whole), losses(&halves));
    }
}

#[test]
fn micro_batches_change_memory_and_not_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let data = bin(folder.path(), "x.bin", 4_000);
    let loss = |micro: usize| {
        let sets = format!("training.micro_batch={micro}");
        let out = folder.path().join(micro.to_string());
        run(experiment("tiny-rat", &data, &sets), &out, false).unwrap().train_loss.unwrap()
    };

    let (one, four) = (loss(1), loss(4));

    assert!((one - four).abs() < 1e-4, "{one} and {four}");
}

#[test]
fn several_devices_share_a_batch_and_change_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let data = bin(folder.path(), "x.bin", 4_000);
    let loss = |devices: usize| {
        let sets = "training.micro_batch=1 training.global_batch=6";
        let out = folder.path().join(devices.to_string());
        let experiment = experiment("tiny-rat", &data, sets);
        on_devices(experiment, &out, devices, false, None).unwrap().train_loss.unwrap()
    };

    let alone = loss(1);

    for devices in [2, 4, 7] {
        let together = loss(devices);
        assert!((alone - together).abs() < 1e-4, "{alone} and {together}");
    }
}

/// The cursor counts sequences, not batches of a device, so a run may resume with more or fewer.
#[test]
fn a_run_resumes_with_another_number_of_devices() {
    let folder = tempfile::tempdir().unwrap();
    let data = bin(folder.path(), "x.bin", 4_000);
    let tiny = || experiment("tiny-rat", &data, "training.micro_batch=1 training.global_batch=6");
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));

    let whole = on_devices(tiny(), &whole, 1, false, None).unwrap();
    let stopped = on_devices(tiny(), &parts, 3, false, Some(10)).unwrap_err();
    let resumed = on_devices(tiny(), &parts, 2, true, None).unwrap();

    assert!(matches!(stopped, TrainError::Interrupted { iteration: 10, .. }), "{stopped}");
    let cursor = |summary: &Summary| CheckpointRecord::read(&summary.checkpoint).unwrap().cursor;
    assert_eq!(cursor(&whole), cursor(&resumed));
    let (whole, resumed) = (whole.train_loss.unwrap(), resumed.train_loss.unwrap());
    assert!((whole - resumed).abs() < 1e-4, "{whole} and {resumed}");
}

#[test]
fn blocks_that_are_computed_again_change_memory_and_not_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let data = bin(folder.path(), "x.bin", 4_000);
    let loss = |how: bool| {
        let sets = format!("training.recompute={how}");
        let out = folder.path().join(how.to_string());
        let experiment = experiment("tiny-rat_localattention_interleave", &data, &sets);
        run(experiment, &out, false).unwrap().train_loss.unwrap()
    };

    let (kept, computed_again) = (loss(false), loss(true));

    assert!((kept - computed_again).abs() < 1e-5, "{kept} and {computed_again}");
}

#[test]
fn a_mixture_whose_weights_change_continues_in_every_source() {
    let folder = tempfile::tempdir().unwrap();
    let (web, books) = (bin(folder.path(), "w.bin", 4_000), bin(folder.path(), "b.bin", 3_000));
    let out = folder.path().join("run");
    let mixture = |weight: f64, iterations: u64| {
        let sets = format!(
            "data.sources.web.path='{}' data.sources.web.weight={weight} \
             data.sources.books.path='{}' data.sources.books.weight=1 \
             training.iterations={iterations}",
            web.display(),
            books.display()
        );
        let mut experiment = experiment("tiny-rnn", &web, &sets);
        experiment.data.path = None;
        experiment
    };

    let first = run(mixture(3.0, 10), &out, false).unwrap();
    let before = CheckpointRecord::read(&first.checkpoint).unwrap().cursor;
    let second = run(mixture(0.5, 20), &out, true).unwrap();
    let after = CheckpointRecord::read(&second.checkpoint).unwrap().cursor;

    assert_eq!((before.sequences, after.sequences), (40, 80));
    assert!(before.drawn["web"] > 2 * before.drawn["books"], "{before:?}");
    let more = |name: &str| after.drawn[name] - before.drawn[name];
    assert!(more("books") > more("web") && more("web") > 0, "{after:?}");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_names_its_batch() {
    let folder = tempfile::tempdir().unwrap();
    let data = bin(folder.path(), "x.bin", 4_000);
    let out = folder.path().join("run");

    let stopped = run(experiment("tiny-rat", &data, "schedule.peak=1e30"), &out, false);

    let wrong = stopped.unwrap_err();
    assert!(matches!(wrong, TrainError::NotFinite { .. }), "{wrong}");
    let text = std::fs::read_to_string(out.join(BAD_BATCH_FILE)).unwrap();
    let bad: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(bad["sequences"].as_array().unwrap().len(), 4);
    let first = bad["sequences"][0]["first_token"].as_u64().unwrap();
    assert!(first.is_multiple_of(32), "{bad}");
}

#[test]
fn a_checkpoint_of_another_model_or_of_other_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = bin(folder.path(), "x.bin", 4_000);
    let out = folder.path().join("run");
    run(experiment("tiny-rat", &data, ""), &out, false).unwrap();

    let again = run(experiment("tiny-rat", &data, ""), &out, false).unwrap_err();
    assert!(matches!(again, TrainError::Exists { iterations: 20, .. }), "{again}");
    let model = run(experiment("tiny-rat", &data, "model.d_model=16"), &out, true).unwrap_err();
    assert!(model.to_string().contains("`model.d_model` is 32"), "{model}");
    bin(folder.path(), "x.bin", 4_001);
    let other = run(experiment("tiny-rat", &data, ""), &out, true).unwrap_err();
    assert!(matches!(other, TrainError::OtherData { .. }), "{other}");
}

#[test]
fn a_run_does_not_resume_over_data_in_another_order() {
    let folder = tempfile::tempdir().unwrap();
    let data = bin(folder.path(), "x.bin", 4_000);
    let begun = |name: &str, sets: &str| {
        let out = folder.path().join(name);
        let sets = format!("training.iterations=2 {sets}");
        run(experiment("tiny-rnn", &data, &sets), &out, false).unwrap();
        out
    };
    let (shuffled, ordered) = (begun("s", ""), begun("o", "data.order=ordered data.shares=4"));

    for (out, sets, said) in [
        (&shuffled, "data.seed=7", "`data.seed` 1005, the experiment's is 7"),
        (
            &shuffled,
            "data.order=random",
            "`data.order` \"shuffled\", the experiment's is \"random\"",
        ),
        (&ordered, "data.order=ordered data.shares=2", "`data.shares` 4, the experiment's is 2"),
    ] {
        let refused = run(experiment("tiny-rnn", &data, sets), out, true).unwrap_err();

        assert!(matches!(refused, TrainError::OtherOrder { .. }), "{refused}");
        assert!(refused.to_string().contains(said), "{refused}");
        assert!(refused.hint().unwrap().contains("training.init_from"));
    }
    // Shares are of `ordered` alone, and `ordered` has no seed.
    run(experiment("tiny-rnn", &data, "data.shares=2"), &shuffled, true).unwrap();
    let sets = "data.order=ordered data.shares=4 data.seed=7";
    run(experiment("tiny-rnn", &data, sets), &ordered, true).unwrap();
}

#[test]
fn a_bad_batch_is_removed_when_the_run_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let data = bin(folder.path(), "x.bin", 4_000);
    let out = folder.path().join("run");
    run(experiment("tiny-rat", &data, "schedule.peak=1e30"), &out, false).unwrap_err();
    assert!(out.join(BAD_BATCH_FILE).is_file());

    run(experiment("tiny-rat", &data, ""), &out, true).unwrap();

    assert!(!out.join(BAD_BATCH_FILE).exists());
}

/// A stop right after a checkpoint was kept must not take that one away to write it again.
#[test]
fn a_checkpoint_that_is_there_is_left_alone() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let data = bin(folder.path(), "x.bin", 4_000);
    let out = folder.path().join("run");
    let first = run(experiment("tiny-rnn", &data, "training.iterations=10"), &out, false).unwrap();
    let inode = || std::fs::metadata(first.checkpoint.join(WEIGHTS_FILE)).unwrap().ino();
    let before = inode();

    let stop = AtomicBool::new(true);
    let longer = experiment("tiny-rnn", &data, "training.iterations=12");
    let stopped = watched(longer, &out, true, &mut Watch::default(), &stop).unwrap_err();

    assert!(matches!(stopped, TrainError::Interrupted { iteration: 10, .. }), "{stopped}");
    assert_eq!(inode(), before);
}

#[test]
fn a_run_that_cannot_begin_leaves_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = bin(folder.path(), "x.bin", 4_000);
    let out = folder.path().join("run");
    let refused = |sets: &str| {
        let wrong = run(experiment("tiny-rat", &data, sets), &out, false).unwrap_err();
        assert!(!out.exists(), "{sets}");
        wrong.to_string()
    };

    let high = refused("model.vocab_size=60");
    assert!(high.contains("found the id 60, the model's `vocab_size` is 60"), "{high}");
    let nowhere = refused("training.init_from=nowhere");
    assert!(nowhere.contains("nowhere: no run, checkpoint or weights"), "{nowhere}");
    let model = experiment("tiny-attention", &data, "").model.init(&Device::flex(), 1);
    let other = folder.path().join("other.safetensors");
    model.save_safetensors(&other).unwrap();
    let other = refused(&format!("training.init_from='{}'", other.display()));
    assert!(other.contains("weights of another model"), "{other}");
}

/// The run trains without validation, as over an artifact without one, and the program says so.
#[test]
fn a_validation_bin_without_a_sequence_is_no_validation_part() {
    let folder = tempfile::tempdir().unwrap();
    let data = bin(folder.path(), "x-train.bin", 4_000);
    for tokens in [0, 20] {
        bin(folder.path(), "x-val.bin", tokens);

        let job = Job::open("test", experiment("tiny-rat", &data, ""), Hardware::Cpu).unwrap();

        assert!(job.sources()[0].validation.is_none(), "{tokens} tokens");
    }
}

#[test]
fn a_run_can_begin_with_the_weights_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let data = bin(folder.path(), "x.bin", 4_000);
    let first = folder.path().join("first");
    run(experiment("tiny-rat", &data, ""), &first, false).unwrap();
    let begun = |from: &Path, out: &str| {
        let sets = format!("training.init_from='{}' training.iterations=1", from.display());
        let mut watch = Watch::default();
        let out = folder.path().join(out);
        let never = AtomicBool::new(false);
        watched(experiment("tiny-rat", &data, &sets), &out, false, &mut watch, &never)
    };

    let of_run = begun(&first, "a").unwrap();
    let of_file = begun(&first.join(WEIGHTS_FILE), "b").unwrap();

    assert_eq!(of_run.train_loss, of_file.train_loss);
    assert!(of_run.train_loss.unwrap() < 3.9, "{of_run:?}");
    let nowhere = begun(&folder.path().join("nowhere"), "c").unwrap_err();
    assert!(matches!(nowhere, TrainError::NoWeights { .. }), "{nowhere}");
    let mut model: Model = experiment("tiny-attention", &data, "").model.init(&Device::flex(), 1);
    let other = model.load_safetensors(&first.join(WEIGHTS_FILE)).unwrap_err();
    assert!(other.to_string().contains("weights of another model"), "{other}");
}

#[test]
fn data_that_does_not_fit_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |tokens: usize, sets: &str| {
        let data = bin(folder.path(), "x.bin", tokens);
        match Job::open("test", experiment("tiny-rat", &data, sets), Hardware::Cpu).unwrap_err() {
            TrainError::Data(wrong) => wrong,
            other => panic!("{other}"),
        }
    };

    assert!(matches!(refused(0, ""), DataError::Empty { .. }));
    assert!(matches!(refused(20, ""), DataError::Short { found: 20, expected: 33, .. }));
    let small = refused(100, "");
    assert!(matches!(small, DataError::SmallerThanBatch { found: 3, expected: 4, .. }));
    let data = bin(folder.path(), "x.bin", 4_000);
    let job =
        Job::open("test", experiment("tiny-rat", &data, "model.vocab_size=50"), Hardware::Cpu)
            .unwrap();
    let high = job.check(1_000).unwrap_err();
    assert!(high.to_string().contains("`vocab_size` is 50"), "{high}");
}
