//! Times the loader on bins in the page cache: bytes of tokens a second, in every order.
//!
//! `cargo run --release -p ratdata-train --example loader_speed -- [MEGABYTES] [SEQ_LEN]`

use std::fs::File;
use std::io::{BufWriter, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use ratdata_train::data::{Cursor, DataConfig, Feed, Order, Prefetch, open_sources};
use ratdata_train::model::ModelConfig;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let argument = |number: usize, otherwise: usize| {
        std::env::args().nth(number).map_or(Ok(otherwise), |text| text.parse())
    };
    let (megabytes, seq_len): (usize, usize) = (argument(1, 1024)?, argument(2, 4096)?);
    let folder = std::env::temp_dir().join(format!("loader-speed-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("tokens.bin");
    let mut file = BufWriter::new(File::create(&path)?);
    for number in 0..megabytes as u64 * 500_000 {
        let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 49;
        file.write_all(&u16::try_from(id % 32_000)?.to_le_bytes())?;
    }
    file.flush()?;
    let model: ModelConfig = toml::from_str(&format!(
        "vocab_size = 32000\nd_model = 128\nlayers = 1\nhead_dim = 32\nseq_len = {seq_len}\n\
         mixers = [\"rnn\"]"
    ))?;
    for order in [Order::Ordered, Order::Random, Order::Shuffled] {
        let data = DataConfig { path: Some(path.clone()), order, ..DataConfig::default() };
        let size = NonZeroUsize::MIN.saturating_add(63).get();
        let sources = Arc::new(open_sources(&data, &model)?);
        let feed = Feed::new(sources, &data, &model, size, Cursor::default())?;
        let batches = feed.epoch_len() / size as u64;
        let mut ahead = Prefetch::start(feed, data.prefetch);
        ahead.take()?;
        let begun = Instant::now();
        let mut checked = 0_u64;
        for _ in 1..batches {
            let batch = ahead.take()?;
            checked += u64::from(batch.labels.last().is_some_and(|&label| label >= 0));
        }
        let tokens = (batches - 1) * (size * seq_len) as u64;
        let seconds = begun.elapsed().as_secs_f64();
        #[expect(clippy::print_stdout, reason = "an example reports on its terminal")]
        {
            println!(
                "{order:?}: {:.2} GB/s of tokens, {:.0} M tokens/s ({checked} batches end in a label)",
                tokens as f64 * 2.0 / 1e9 / seconds,
                tokens as f64 / 1e6 / seconds
            );
        }
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
