//! Decoding with caches gives what the full forward pass gives, for every mixer and prompt length.
#![expect(clippy::unwrap_used, reason = "a test stops where a value is missing")]

use burn::tensor::{Device, Int, Tensor, TensorData};
use proptest::prelude::*;
use ratdata_train::documents::Documents;
use ratdata_train::model::{Model, ModelConfig};

const CHUNK: usize = 8;
const SEQ: usize = 48;
const PATTERNS: [&str; 6] = [
    "\"attention\"",
    "\"local_attention\"",
    "\"rnn\"",
    "\"rat\"",
    "\"rat\", \"local_attention\"",
    "\"attention\", \"local_attention\"",
];

fn model(mixers: &str) -> Model {
    let text = format!(
        "vocab_size = 61\nd_model = 32\nlayers = 3\nhead_dim = 8\nseq_len = {SEQ}\n\
         chunk_len = {CHUNK}\nwindow = 6\nmixers = [{mixers}]\ninit_std = 0.3"
    );
    let config: ModelConfig = toml::from_str(&text).unwrap();
    config.validate().unwrap();
    config.init(&Device::flex(), 5)
}

fn ids(seed: u32, len: usize) -> Vec<u32> {
    let len = u32::try_from(len).unwrap();
    (0..len).map(|i| (i * i * 7 + i * seed + seed * seed) % 61).collect()
}

/// The logits of every position, by the full forward pass.
fn full(model: &Model, ids: &[u32]) -> Vec<Vec<f32>> {
    full_of(model, ids, SEQ)
}

/// The same for a model of another length.
fn full_of(model: &Model, ids: &[u32], seq: usize) -> Vec<Vec<f32>> {
    let mut padded: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
    padded.resize(seq, 0);
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(padded, [1, seq]), &Device::flex());
    let logits = model.forward(tokens, &Documents::OnePerRow);
    let logits = logits.narrow(1, 0, ids.len()).into_data().try_to_vec::<f32>().unwrap();
    logits.chunks(61).map(<[f32]>::to_vec).collect()
}

fn values<const D: usize>(logits: Tensor<D>) -> Vec<f32> {
    logits.into_data().try_to_vec().unwrap()
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn step_by_step_is_the_full_forward_pass() {
    for mixers in PATTERNS {
        let model = model(mixers);
        let ids = ids(3, SEQ);
        let expected = full(&model, &ids);
        for prompt in 1..=3 * CHUNK + 1 {
            let mut caches = model.caches(1, &Device::flex());

            let mut found = vec![values(model.prefill(&mut caches, 0, &ids[..prompt]))];
            for &id in &ids[prompt..] {
                found.push(values(model.step(&mut caches, &[id]))[..61].to_vec());
            }

            assert_eq!(caches.len_of(0), Some(SEQ));
            for (found, expected) in found.iter().zip(&expected[prompt - 1..]) {
                let error = difference(found, expected);
                assert!(error < 1e-4, "{mixers}, prompt of {prompt}: {error}");
            }
        }
    }
}

#[test]
fn every_position_of_a_prompt_is_reported_as_the_full_forward_pass_has_it() {
    for mixers in PATTERNS {
        let mut config = model(mixers).config().clone();
        config.seq_len = 600.try_into().unwrap();
        let model = config.init(&Device::flex(), 5);
        // One token, a part of a piece, a piece, and more than two pieces.
        for len in [1, 2, CHUNK, 255, 256, 257, 530] {
            let ids = ids(2, len);
            let mut caches = model.caches(1, &Device::flex());

            let mut found: Vec<f32> = Vec::new();
            let last = model.prefill_reporting(&mut caches, 0, &ids, |piece| {
                found.extend(values(piece));
            });
            let last = values(last);

            let mut plain = model.caches(1, &Device::flex());
            assert_eq!(last, values(model.prefill(&mut plain, 0, &ids)), "{mixers}, {len}");
            found.extend(last);
            let expected = full_of(&model, &ids, 600).concat();
            let error = difference(&found, &expected);
            assert!(error < 1e-4, "{mixers}, prompt of {len}: {error}");
        }
    }
}

/// What one prompt's slot gives: the logits of the prefill and of each step.
fn alone(model: &Model, ids: &[u32], prompt: usize) -> Vec<Vec<f32>> {
    let mut caches = model.caches(1, &Device::flex());
    let mut found = vec![values(model.prefill(&mut caches, 0, &ids[..prompt]))];
    for &id in &ids[prompt..] {
        found.push(values(model.step(&mut caches, &[id]))[..61].to_vec());
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Rows of different lengths enter and leave at different times, and each gets the bits that it
    /// gets alone.
    #[test]
    fn any_batch_is_one_by_one(
        pattern in 0..PATTERNS.len(),
        slots in 1..5_usize,
        rows in prop::collection::vec((0..50_u32, 1..20_usize, 0..14_usize), 1..7),
    ) {
        let model = model(PATTERNS[pattern]);
        let texts: Vec<Vec<u32>> =
            rows.iter().map(|&(seed, prompt, steps)| ids(seed, prompt + steps)).collect();
        let mut caches = model.caches(slots, &Device::flex());
        let mut found: Vec<Vec<Vec<f32>>> = vec![Vec::new(); rows.len()];
        let (mut waiting, mut running) = (0..rows.len(), vec![None; slots]);
        loop {
            for (slot, running) in running.iter_mut().enumerate() {
                while running.is_none() {
                    let Some(row) = waiting.next() else { break };
                    let prompt = rows[row].1;
                    found[row].push(values(model.prefill(&mut caches, slot, &texts[row][..prompt])));
                    if texts[row].len() > prompt {
                        *running = Some((row, prompt));
                    } else {
                        caches.free(slot);
                    }
                }
            }
            if running.iter().all(Option::is_none) {
                break;
            }
            let next: Vec<u32> =
                running.iter().map(|at| at.map_or(0, |(row, at): (usize, usize)| texts[row][at])).collect();
            let logits = values(model.step(&mut caches, &next));
            for (slot, running) in running.iter_mut().enumerate() {
                let Some((row, at)) = *running else { continue };
                found[row].push(logits[slot * 61..(slot + 1) * 61].to_vec());
                *running = (at + 1 < texts[row].len()).then_some((row, at + 1));
                if running.is_none() {
                    caches.free(slot);
                }
            }
        }

        for (row, &(_, prompt, _)) in rows.iter().enumerate() {
            prop_assert_eq!(&found[row], &alone(&model, &texts[row], prompt));
        }
    }
}

#[test]
fn greedy_steps_give_the_most_likely_tokens() {
    for mixers in PATTERNS {
        let mut config = model(mixers).config().clone();
        config.vocab_size = 5000.try_into().unwrap();
        let model = config.init(&Device::flex(), 5);
        let Some(table) = model.greedy_table() else {
            #[cfg(target_arch = "x86_64")]
            assert!(!is_x86_feature_detected!("avx2"), "a CPU with AVX2 has a table");
            eprintln!("skipped: this processor computes all logits");
            return;
        };
        let mut caches = model.caches(3, &Device::flex());
        for slot in [0, 2] {
            model.prefill(&mut caches, slot, &ids(7, 5 + slot));
        }
        let mut all = caches.clone();
        let mut tokens = vec![7, 0, 9];

        for _ in 0..12 {
            let best = model.step_greedy(&mut caches, &tokens, &table);
            let logits = values(model.step(&mut all, &tokens));

            for slot in [0, 2] {
                let logits = &logits[slot * 5000..(slot + 1) * 5000];
                let better = |best, at| if logits[at] > logits[best] { at } else { best };
                let first = (1..5000).fold(0, better);
                assert_eq!(best[slot], u32::try_from(first).ok(), "{mixers}");
            }
            tokens = best.into_iter().map(Option::unwrap_or_default).collect();
        }
    }
}

#[test]
fn a_small_model_computes_all_logits() {
    assert!(model("\"rnn\"").greedy_table().is_none());
}
