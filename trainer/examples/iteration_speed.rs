//! Times forward pass, backward pass and update of a small model on the CPU, in tokens a second.

use std::time::Instant;

use burn::tensor::{Device, Int, Tensor, TensorData};
use ratdata_train::documents::Documents;
use ratdata_train::model::{Gradients, ModelConfig};
use ratdata_train::optim::OptimizerConfig;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex().autodiff();
    for (name, mixers) in [("rat", "\"rat\""), ("rnn", "\"rnn\""), ("attention", "\"attention\"")] {
        let config: ModelConfig = toml::from_str(&format!(
            "vocab_size = 32000\nd_model = 128\nlayers = 4\nhead_dim = 32\nseq_len = 256\n\
             mixers = [{mixers}]"
        ))?;
        let mut model = config.init(&device, 1);
        let mut optimizer = OptimizerConfig::default().init();
        let ids: Vec<i64> = (0..8 * 256).map(|i| i * 7919 % 32_000).collect();
        let batch = Tensor::<2, Int>::from_data(TensorData::new(ids, [8, 256]), &device);
        let mut times = [0.0; 3];
        for round in 0..6 {
            let start = Instant::now();
            let output = model.loss(batch.clone(), batch.clone(), &Documents::OnePerRow);
            let loss = output.nll / output.counted.float();
            let forward = start.elapsed().as_secs_f64();
            let grads = Gradients::of(&loss, &model);
            let backward = start.elapsed().as_secs_f64();
            model = optimizer.update(1e-3, model, grads).model;
            let update = start.elapsed().as_secs_f64();
            if round > 0 {
                for (sum, time) in
                    times.iter_mut().zip([forward, backward - forward, update - backward])
                {
                    *sum += time / 5.0;
                }
            }
        }
        let total: f64 = times.iter().sum();
        #[expect(clippy::print_stdout, reason = "an example reports on its terminal")]
        {
            println!(
                "{name}: {:.0} tokens/s, forward {:.3} s, backward {:.3} s, update {:.3} s",
                2048.0 / total,
                times[0],
                times[1],
                times[2]
            );
        }
    }
    Ok(())
}
