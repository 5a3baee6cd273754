//! Measures the trainer on one GPU: agreement with the reference and the CPU, layer times, the
//! speed of 1.3B.
//!
//! `gpu_check RESULTS` runs every case in a process of its own, appends what each found to a file
//! of JSON Lines, and ends with status 1 where one failed or disagreed, or where there is no GPU.
//! `scripts/gpu_check.sh` runs it, and the same layers and model in PyTorch.

#[path = "../tests/golden/mod.rs"]
mod golden;

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use burn::tensor::{Device, Distribution, FloatDType, Int, Tensor, TensorData};
use golden::{BF16_TOLERANCE, Comparison, Goldens, KINDS, MODELS, Setup};
use ratdata_train::device::DeviceChoice;
use ratdata_train::documents::Documents;
use ratdata_train::model::{BackwardOptions, Geometry, Gradients, Model, ModelConfig, Precision};
use ratdata_train::optim::OptimizerConfig;
use serde_json::{Value, json};

type Failure = Box<dyn Error>;

/// Dense bf16 operations of an H100 SXM in a second, which MFU is counted against.
const PEAK_FLOPS: f64 = 989e12;

/// The tolerance of f32 on a GPU, whose tensor cores may round products to TF32's ten bits.
const F32_TOLERANCE: f64 = 2e-3;

/// Tokens of a layer's batch, whatever the length of its rows.
const LAYER_TOKENS: usize = 131_072;

/// The cases, and the seconds that each may take: all of them together take five minutes.
const CASES: [(&str, u64); 8] = [
    ("golden", 40),
    ("agreement", 40),
    ("layer attention", 50),
    ("layer rat", 25),
    ("layer rnn", 25),
    ("layer local_attention", 25),
    ("model rat", 50),
    ("model attention", 50),
];

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let path = PathBuf::from(args.next().unwrap_or_else(|| "gpu_check.jsonl".to_owned()));
    let done = match args.next() {
        None => run_all(&path),
        Some(case) => run(&case, &path).map(|()| true),
    };
    let failed = |wrong: Failure| {
        drop(writeln!(std::io::stderr(), "gpu_check: {wrong}"));
        false
    };
    if done.unwrap_or_else(failed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs every case in a process of its own, and returns whether all is well.
fn run_all(path: &Path) -> Result<bool, Failure> {
    DeviceChoice::Cuda(0).resolve()?;
    File::create(path)?;
    for (case, seconds) in CASES {
        let mut child = Command::new(std::env::current_exe()?).arg(path).arg(case).spawn()?;
        let begun = Instant::now();
        let ended = loop {
            if let Some(status) = child.try_wait()? {
                break (!status.success()).then(|| status.to_string());
            }
            if begun.elapsed() > Duration::from_secs(seconds) {
                child.kill()?;
                child.wait()?;
                break Some(format!("stopped after {seconds} s"));
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        if let Some(ended) = ended {
            write(path, &json!({ "check": case, "error": ended }))?;
        }
    }
    let text = std::fs::read_to_string(path)?;
    let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    Ok(lines.iter().all(|line| line["agrees"] != false && line["error"].is_null()))
}

fn run(case: &str, path: &Path) -> Result<(), Failure> {
    let gpu = DeviceChoice::Cuda(0).resolve()?.autodiff();
    match case.split_once(' ').unwrap_or((case, "")) {
        ("golden", _) => against_goldens(&gpu, path),
        ("agreement", _) => against_cpu(&gpu, path),
        ("layer", mixer) => {
            [4_096, 8_192, 16_384, 32_768, 65_536, 131_072].iter().try_for_each(|&seq_len| {
                let what = json!({ "check": "layer", "mixer": mixer, "seq_len": seq_len });
                measure(path, what, || layer_time(mixer, seq_len, &gpu))
            })
        }
        ("model", mixer) => [(2, 4, false), (8, 2, true)].iter().try_for_each(
            |&(micro_batch, micro_batches, recompute)| {
                let what = json!({
                    "check": "model", "mixer": mixer, "micro_batch": micro_batch,
                    "micro_batches": micro_batches, "recompute": recompute,
                });
                let size = BatchSize { micro_batch, micro_batches, recompute };
                measure(path, what, || whole_model(mixer, size, &gpu))
            },
        ),
        _ => Err(format!("no case is named `{case}`").into()),
    }
}

/// Appends a result, whole or not at all.
fn write(path: &Path, result: &Value) -> Result<(), Failure> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(format!("{result}\n").as_bytes())?;
    Ok(())
}

/// Runs one measurement, and writes `what` with the result or the failure.
fn measure(
    path: &Path,
    mut what: Value,
    run: impl FnOnce() -> Result<Value, Failure>,
) -> Result<(), Failure> {
    let found = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(found)) => found,
        Ok(Err(wrong)) => json!({ "error": wrong.to_string() }),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|&said| said.to_owned()));
            json!({ "error": said.unwrap_or_else(|| "a panic without words".to_owned()) })
        }
    };
    if let (Some(what), Value::Object(found)) = (what.as_object_mut(), found) {
        what.extend(found);
    }
    write(path, &what)
}

const PRECISIONS: [(&str, Precision, f64); 2] =
    [("f32", Precision::F32, F32_TOLERANCE), ("bf16", Precision::Bf16, BF16_TOLERANCE)];

/// Compares every layer and model with the reference's outputs and gradients.
fn against_goldens(gpu: &Device, path: &Path) -> Result<(), Failure> {
    let goldens = Goldens::open()?;
    for (name, precision, tolerance) in PRECISIONS {
        let on = Setup { device: gpu, precision };
        let compare = |what: &str, found: &dyn Fn() -> Vec<Comparison>| {
            let line = json!({ "check": "golden", "what": what, "precision": name });
            measure(path, line, || {
                let all = found();
                let worst = all.iter().max_by(|a, b| a.error.total_cmp(&b.error));
                let worst = worst.ok_or("nothing was compared")?;
                Ok(json!({
                    "compared": all.len(), "worst": worst.what, "difference": worst.error,
                    "tolerance": tolerance, "agrees": worst.error <= tolerance,
                }))
            })
        };
        for kind in KINDS {
            compare(kind.0, &|| golden::sequence_layer(&goldens, kind, on))?;
        }
        compare("ffn", &|| golden::feed_forward(&goldens, on))?;
        for model in MODELS {
            compare(&format!("model {}", model.0), &|| golden::model(&goldens, model, on, false))?;
        }
    }
    Ok(())
}

/// The sizes of a model other than its lengths.
#[derive(Clone, Copy)]
struct Width {
    d_model: usize,
    layers: usize,
    head_dim: usize,
}

fn config(
    mixer: &str,
    Width { d_model, layers, head_dim }: Width,
    seq_len: usize,
    vocab_size: usize,
) -> Result<ModelConfig, toml::de::Error> {
    toml::from_str(&format!(
        "vocab_size = {vocab_size}\nd_model = {d_model}\nlayers = {layers}\n\
         head_dim = {head_dim}\nseq_len = {seq_len}\nmixers = [\"{mixer}\"]\nwindow = 1024"
    ))
}

/// Compares loss and gradient norm of larger models with the CPU's: several blocks of attention,
/// whole rows and packed ones, in one graph and block by block.
fn against_cpu(gpu: &Device, path: &Path) -> Result<(), Failure> {
    for mixer in ["attention", "local_attention", "rnn", "rat"] {
        for packed in [false, true] {
            let documents = if packed {
                Documents::Packed(vec![vec![0, 37, 700], vec![0, 1_000]])
            } else {
                Documents::OnePerRow
            };
            let on = |device: &Device, precision, recompute| -> Result<(f64, f64), Failure> {
                let config =
                    config(mixer, Width { d_model: 256, layers: 4, head_dim: 64 }, 1_024, 1_000)?;
                let model = config.init(device, 7).with_precision(precision);
                let (loss, grads) = gradients(&model, 2, &documents, recompute, device)?;
                Ok((f64::from(loss.into_scalar::<f32>()), grads.norm(&model)))
            };
            let (loss, norm) = on(&Device::flex().autodiff(), Precision::F32, false)?;
            for (name, precision, tolerance) in PRECISIONS {
                let line = json!({
                    "check": "agreement", "what": mixer, "packed": packed, "precision": name,
                });
                measure(path, line, || {
                    let (found, found_norm) = on(gpu, precision, packed)?;
                    let difference =
                        (found / loss - 1.0).abs().max((found_norm / norm - 1.0).abs());
                    Ok(json!({
                        "difference": difference, "tolerance": tolerance,
                        "agrees": difference <= tolerance,
                    }))
                })?;
            }
        }
    }
    Ok(())
}

/// Times one sequence layer, d 2048, forward and backward in bf16.
fn layer_time(mixer: &str, seq_len: usize, gpu: &Device) -> Result<Value, Failure> {
    let config = config(mixer, Width { d_model: 2_048, layers: 1, head_dim: 128 }, seq_len, 16)?;
    let layer = config.init(gpu, 7).layers.remove(0).seq;
    let shape = [LAYER_TOKENS / seq_len, seq_len, 2_048];
    let x = Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), gpu)
        .cast(FloatDType::BF16)
        .detach()
        .require_grad();
    // The angles are the model's, computed once.
    let geometry = Geometry::new(&config, &Documents::OnePerRow, seq_len, gpu);
    let once = || -> Result<f64, Failure> {
        gpu.sync()?;
        let start = Instant::now();
        let y = layer.forward(x.clone(), &geometry);
        let grads = Gradients::of(&y.cast(FloatDType::F32).sum(), &layer);
        gpu.sync()?;
        drop(grads);
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    // Kernels are compiled and chosen in the first rounds.
    for _ in 0..2 {
        once()?;
    }
    let mut times = (0..3).map(|_| once()).collect::<Result<Vec<f64>, _>>()?;
    times.sort_by(f64::total_cmp);
    Ok(json!({ "milliseconds": times[1] }))
}

/// How a batch of the whole model is computed.
#[derive(Clone, Copy)]
struct BatchSize {
    micro_batch: usize,
    micro_batches: usize,
    recompute: bool,
}

/// Times iterations of the 1.3B model in bf16: some micro-batches added up, then the optimizer.
fn whole_model(
    mixer: &str,
    BatchSize { micro_batch, micro_batches, recompute }: BatchSize,
    gpu: &Device,
) -> Result<Value, Failure> {
    let config = config(mixer, Width { d_model: 2_048, layers: 24, head_dim: 128 }, 4_096, 32_000)?;
    let mut model = config.init(gpu, 7).with_precision(Precision::Bf16);
    let mut optimizer = OptimizerConfig::default().init();
    let mut seconds = f64::INFINITY;
    for _ in 0..3 {
        gpu.sync()?;
        let start = Instant::now();
        let mut sum: Option<Gradients> = None;
        for _ in 0..micro_batches {
            let (_, grads) = gradients(&model, micro_batch, &Documents::OnePerRow, recompute, gpu)?;
            sum = Some(match sum {
                None => grads,
                Some(sum) => sum.plus(grads, &model),
            });
        }
        let grads = sum.ok_or("no micro-batch")?;
        model = optimizer.update(1e-4, model, grads).model;
        gpu.sync()?;
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    let tokens = (micro_batch * micro_batches * config.seq_len.get()) as f64 / seconds;
    let mfu = tokens * config.flops_per_token() as f64 / PEAK_FLOPS;
    Ok(json!({ "parameters": config.num_params(), "tokens_per_second": tokens, "mfu": mfu }))
}

fn gradients(
    model: &Model,
    rows: usize,
    documents: &Documents,
    recompute: bool,
    device: &Device,
) -> Result<(Tensor<1>, Gradients), Failure> {
    let (seq, vocab) = (model.config().seq_len.get(), model.config().vocab_size.get());
    let vocab = i32::try_from(vocab)?;
    let ids: Vec<i32> =
        (0_i32..).take(rows * seq).map(|i| i.wrapping_mul(7_919).rem_euclid(vocab)).collect();
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(ids, [rows, seq]), device);
    let options = BackwardOptions { divisor: (rows * seq) as f64, recompute };
    Ok(model.gradients(tokens.clone(), tokens, documents, options))
}
