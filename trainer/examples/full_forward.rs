//! Log-probabilities of sequences by one full forward pass each, without caches and without the code
//! that `generate` has for them: what `scripts/check_harness.py` compares a server with.
//!
//! `cargo run -p ratdata-train --example full_forward RUN < sequences.jsonl`: a line is a list of ids, and
//! gives `{"token_logprobs": [null, …], "best": [null, …]}`, both with a number for each id: its own, and
//! the highest of its position.

use std::io::BufRead;
use std::path::PathBuf;

use burn::tensor::{Device, Int, Tensor, TensorData};
use ratdata_train::device::Hardware;
use ratdata_train::documents::Documents;
use ratdata_train::generate::load_run;
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let run: PathBuf = std::env::args_os().nth(1).ok_or("usage: full_forward RUN")?.into();
    let device = Device::flex();
    let trained = load_run(&run, &device, Hardware::Cpu)?;
    let config = trained.model.config();
    let multiple = config.chunk_len.get();
    for line in std::io::stdin().lock().lines() {
        let ids: Vec<u32> = serde_json::from_str(&line?)?;
        // No position sees the padding behind it.
        let mut padded: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
        padded.resize(ids.len().next_multiple_of(multiple), 0);
        let shape = [1, padded.len()];
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(padded, shape), &device);
        let logits = trained.model.forward(tokens, &Documents::OnePerRow);
        let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
        let (mut own, mut best) = (vec![None], vec![None]);
        for (row, &next) in logits.chunks(config.vocab_size.get()).zip(ids.iter().skip(1)) {
            let row: Vec<f64> = row.iter().map(|&logit| f64::from(logit)).collect();
            let highest = row.iter().copied().fold(f64::MIN, f64::max);
            let sum: f64 = row.iter().map(|logit| (logit - highest).exp()).sum();
            own.push(Some(row[next as usize] - highest - sum.ln()));
            best.push(Some(-sum.ln()));
        }
        #[expect(clippy::print_stdout, reason = "an example reports on its terminal")]
        {
            println!("{}", json!({"token_logprobs": own, "best": best}));
        }
    }
    Ok(())
}
