//! Times decoding with caches on the CPU, in tokens a second, and a full forward pass for each token.
//!
//! `cargo run --release -p ratdata-train --example decode_speed [BATCH] [PROMPT] [NEW] [VOCABULARY]`

use std::time::Instant;

use burn::tensor::{Device, Int, Tensor, TensorData};
use ratdata_train::documents::Documents;
use ratdata_train::model::{Model, ModelConfig};

const MIXERS: [&str; 5] = [
    "\"rat\"",
    "\"rnn\"",
    "\"attention\"",
    "\"rat\", \"local_attention\"",
    "\"attention\", \"local_attention\"",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let mut next = |usual: usize| numbers.next().unwrap_or(Ok(usual));
    let (batch, prompt, new, vocab) = (next(16)?, next(1024)?, next(128)?, next(32_000)?);
    let seq_len = (prompt + new).next_multiple_of(16);
    for mixers in MIXERS {
        let config: ModelConfig = toml::from_str(&format!(
            "vocab_size = {vocab}\nd_model = 128\nlayers = 4\nhead_dim = 32\nwindow = 64\n\
             seq_len = {seq_len}\nmixers = [{mixers}]"
        ))?;
        let device = Device::flex();
        let model = config.init(&device, 1);
        let ids: Vec<u32> = (0..u32::try_from(prompt)?).map(|i| i * 7919 % 1000).collect();

        let mut caches = model.caches(batch, &device);
        model.reserve(&mut caches, seq_len);
        let begun = Instant::now();
        for slot in 0..batch {
            drop(model.prefill(&mut caches, slot, &ids).into_data());
        }
        let prefill = (batch * prompt) as f64 / begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        for _ in 0..new {
            drop(model.step(&mut caches, &vec![1; batch]).into_data());
        }
        let decode = (batch * new) as f64 / begun.elapsed().as_secs_f64();
        let full = 1.0 / full_forward(&model, seq_len, &device);
        #[expect(clippy::print_stdout, reason = "an example reports on its terminal")]
        {
            println!(
                "{mixers}: {decode:.0} tokens/s, {:.0} times a full forward pass for each token; \
                 prefill {prefill:.0} tokens/s",
                decode / full
            );
        }
    }
    Ok(())
}

/// Returns the seconds of a forward pass over one sequence, which gives one token without caches.
fn full_forward(model: &Model, seq_len: usize, device: &Device) -> f64 {
    let ids: Vec<i64> = vec![1; seq_len];
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, seq_len]), device);
    let begun = Instant::now();
    drop(model.forward(tokens, &Documents::OnePerRow).into_data());
    begun.elapsed().as_secs_f64()
}
