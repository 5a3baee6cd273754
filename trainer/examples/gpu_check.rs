//! Measures the trainer on one GPU: agreement with the CPU, layer times, the speed of 1.3B.
//!
//! `cargo run --release --features cuda --example gpu_check -- out.jsonl`; without a GPU it says
//! so and ends with status 1. `scripts/gpu_check.sh` runs it beside the same layers in PyTorch.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::time::Instant;

use burn::tensor::{Device, Distribution, FloatDType, Int, Tensor, TensorData};
use ratdata_train::device::DeviceChoice;
use ratdata_train::model::{Context, Model, ModelConfig, Precision};
use ratdata_train::optim::{Gradients, OptimizerConfig};

/// Dense bf16 operations of an H100 SXM in a second, which MFU is counted against.
const PEAK_FLOPS: f64 = 989e12;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "gpu_check.jsonl".to_owned());
    let gpu = DeviceChoice::Cuda(0).resolve()?.autodiff();
    let mut results = File::create(path)?;
    agreement(&gpu, &mut results)?;
    for mixer in ["attention", "rat", "rnn", "local_attention"] {
        for seq_len in [4_096, 16_384, 131_072] {
            layer_time(mixer, seq_len, &gpu, &mut results)?;
        }
    }
    for mixer in ["rat", "attention"] {
        whole_model(mixer, &gpu, &mut results)?;
    }
    Ok(())
}

fn config(
    mixer: &str,
    d_model: usize,
    layers: usize,
    head_dim: usize,
    seq_len: usize,
    vocab_size: usize,
) -> Result<ModelConfig, toml::de::Error> {
    toml::from_str(&format!(
        "vocab_size = {vocab_size}\nd_model = {d_model}\nlayers = {layers}\n\
         head_dim = {head_dim}\nseq_len = {seq_len}\nmixers = [\"{mixer}\"]\nwindow = 1024"
    ))
}

/// Compares loss and gradient norm of small models on the GPU with the CPU's, in f32 and bf16.
fn agreement(gpu: &Device, results: &mut File) -> Result<(), Box<dyn Error>> {
    for mixer in ["attention", "local_attention", "rnn", "rat"] {
        let config = config(mixer, 256, 4, 64, 512, 1_000)?;
        let on = |device: &Device, precision| {
            let model = config.init(device, 7).with_precision(precision);
            let (loss, grads) = loss_and_gradients(&model, 2, device);
            (loss.into_scalar::<f32>(), grads.norm(&model))
        };
        let (loss, norm) = on(&Device::flex().autodiff(), Precision::F32);
        for (name, precision, tolerance) in
            [("f32", Precision::F32, 1e-4), ("bf16", Precision::Bf16, 3e-2)]
        {
            let (found, found_norm) = on(gpu, precision);
            let loss_error = f64::from((found / loss - 1.0).abs());
            let norm_error = (found_norm / norm - 1.0).abs();
            let agrees = loss_error <= tolerance && norm_error <= tolerance;
            writeln!(
                results,
                r#"{{"check":"agreement","mixer":"{mixer}","precision":"{name}","loss_error":{loss_error:e},"norm_error":{norm_error:e},"agrees":{agrees}}}"#
            )?;
        }
    }
    Ok(())
}

/// Times one sequence layer, d 2048, forward and backward over 131,072 tokens in bf16.
fn layer_time(
    mixer: &str,
    seq_len: usize,
    gpu: &Device,
    results: &mut File,
) -> Result<(), Box<dyn Error>> {
    let config = config(mixer, 2_048, 1, 128, seq_len, 16)?;
    let layer = config.init(gpu, 7).layers.remove(0).seq;
    let shape = [131_072 / seq_len, seq_len, 2_048];
    let x = Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), gpu)
        .cast(FloatDType::BF16)
        .require_grad();
    let once = || -> Result<f64, Box<dyn Error>> {
        gpu.sync()?;
        let start = Instant::now();
        let y = layer.forward_at(&config, x.clone(), &Context::Whole);
        let grads = Gradients::of(&y.cast(FloatDType::F32).sum(), &layer);
        gpu.sync()?;
        drop(grads);
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    for _ in 0..2 {
        once()?;
    }
    let mut times = (0..3).map(|_| once()).collect::<Result<Vec<f64>, _>>()?;
    times.sort_by(f64::total_cmp);
    writeln!(
        results,
        r#"{{"check":"layer","mixer":"{mixer}","seq_len":{seq_len},"milliseconds":{:.2}}}"#,
        times[1]
    )?;
    Ok(())
}

/// Times steps of the 1.3B model in bf16.
fn whole_model(mixer: &str, gpu: &Device, results: &mut File) -> Result<(), Box<dyn Error>> {
    let config = config(mixer, 2_048, 24, 128, 4_096, 32_000)?;
    let mut model = config.init(gpu, 7).with_precision(Precision::Bf16);
    let mut optimizer = OptimizerConfig::default().init();
    let rows = 1;
    let mut seconds = f64::INFINITY;
    for _ in 0..4 {
        gpu.sync()?;
        let start = Instant::now();
        let (_, grads) = loss_and_gradients(&model, rows, gpu);
        model = optimizer.step(1e-4, model, grads).model;
        gpu.sync()?;
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    let tokens = (rows * config.seq_len.get()) as f64 / seconds;
    let mfu = tokens * config.flops_per_token() as f64 / PEAK_FLOPS;
    writeln!(
        results,
        r#"{{"check":"model","mixer":"{mixer}","parameters":{},"tokens_per_second":{tokens:.0},"mfu":{mfu:.3}}}"#,
        config.num_params()
    )?;
    Ok(())
}

fn loss_and_gradients(model: &Model, rows: usize, device: &Device) -> (Tensor<1>, Gradients) {
    let (seq, vocab) = (model.config().seq_len.get(), model.config().vocab_size.get());
    let ids: Vec<i32> = (0_i32..).take(rows * seq).collect();
    let vocab = i32::try_from(vocab).unwrap_or(i32::MAX);
    let ids: Vec<i32> = ids.into_iter().map(|i| i.wrapping_mul(7_919).rem_euclid(vocab)).collect();
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(ids, [rows, seq]), device);
    let output = model.loss(tokens.clone(), tokens, &Context::Whole);
    let loss = output.nll / output.counted.float();
    let grads = Gradients::of(&loss, model);
    (loss, grads)
}
