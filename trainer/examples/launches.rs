//! Counts the kernels that an iteration launches, for each kind of layer, on a device of wgpu.
//!
//! `launches [--kernels]`: with `--kernels`, how often each kernel is launched. The counts do not depend on the
//! device, so a software GPU will do.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use cubecl::logging::{LaunchObservation, LaunchObserver};
use ratdata_train::data::Batch;
use ratdata_train::device::DeviceChoice;
use ratdata_train::model::{ModelConfig, Precision};
use ratdata_train::optim::OptimizerConfig;
use ratdata_train::train::{IterationOptions, Outcome, iterate};

/// Sequences in an iteration, in two micro-batches.
const BATCH: usize = 4;

/// Tokens of a sequence.
const SEQ: usize = 64;

/// The kernels that were launched, by name.
#[derive(Default)]
struct Launches(Mutex<BTreeMap<&'static str, usize>>);

impl Launches {
    fn take(&self) -> BTreeMap<&'static str, usize> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl LaunchObserver for Launches {
    fn launched(&self, kernel: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(kernel).or_default() += 1;
    }
}

#[expect(clippy::print_stdout, reason = "an example reports on its terminal")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let by_kernel = std::env::args().any(|argument| argument == "--kernels");
    println!(
        "launches an iteration: two micro-batches of 2 sequences, blocks of one kind, no recomputing"
    );
    for mixer in ["attention", "local_attention", "rnn", "rat"] {
        let [one, two] = [launches(mixer, 1)?, launches(mixer, 2)?];
        let count = |launches: &BTreeMap<&str, usize>| launches.values().sum::<usize>();
        let block = count(&two) - count(&one);
        println!("{mixer:>16}: {} of a block, {} of the rest", block, count(&one) - block);
        for (kernel, count) in two.iter().filter(|_| by_kernel) {
            println!("{count:>20} {}", kernel.rsplit("::").next().unwrap_or(kernel));
        }
    }
    Ok(())
}

/// Runs two iterations of a small model, and counts the launches of the second: the first one tunes kernels.
fn launches(
    mixer: &str,
    layers: usize,
) -> Result<BTreeMap<&'static str, usize>, Box<dyn std::error::Error>> {
    let device = DeviceChoice::Wgpu(0).resolve()?;
    let config: ModelConfig = toml::from_str(&format!(
        "vocab_size = 100\nd_model = 32\nlayers = {layers}\nhead_dim = 16\nseq_len = {SEQ}\nwindow = 16\n\
         chunk_len = 16\nmixers = [\"{mixer}\"]"
    ))?;
    let training = device.clone().autodiff();
    let mut model = config.init(&training, 1).with_precision(Precision::F32);
    let mut optimizer = OptimizerConfig::default().init();
    let mut batch = Batch::sized(BATCH, SEQ);
    for (at, (input, label)) in batch.inputs.iter_mut().zip(&mut batch.labels).enumerate() {
        (*input, *label) = (at as i32 * 7 % 100, at as i32 * 13 % 100);
    }
    let observed = Arc::new(Launches::default());
    let observation = LaunchObservation::new(Arc::clone(&observed) as Arc<dyn LaunchObserver>);
    for _ in 0..2 {
        observed.take();
        let options = IterationOptions { micro_batch: BATCH / 2, recompute: false, lr: 1e-3 };
        let devices = std::slice::from_ref(&training);
        let stop = AtomicBool::new(false);
        let Outcome::Done(updated, _) =
            iterate(model, &mut optimizer, &batch, options, devices, &stop)
        else {
            return Err("the iteration was stopped".into());
        };
        model = updated;
    }
    drop(observation);
    Ok(observed.take())
}
