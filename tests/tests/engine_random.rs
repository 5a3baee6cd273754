//! The engine against its oracles, on random text made of what each vocabulary stumbles over.
//!
//! A tenth of a megabyte for each vocabulary by default; `RATDATA_RANDOM_MB=1000` makes it a
//! gigabyte for each, and `RATDATA_TOKENIZERS=DIR` adds every `DIR/NAME/tokenizer.json`. What fails is shrunk, and kept in `engine_random.regressions` for all later
//! runs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::Write;

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use ratdata_tests::families::{Family, gpt2_with_pattern};
use ratdata_tests::random_text::{parts, spell};
use ratdata_tests::small_tokenizers::{
    SmallTokenizer, small_tokenizers, small_tokenizers_of_stages,
};
use ratdata_tests::{given_tokenizers, shared, thread_seconds};
use ratdata_tokenize::tokenizer::{Encoder, SpecialInText, Tokenizer};

fn agree(file: &str) {
    let Some(shared) = shared() else { return };
    compare(file, 0.1, &Tokenizer::load(shared.join("tokenizers").join(file)).unwrap());
}

/// Compares a tokenizer that has GPT-2's vocabulary and another's pattern with its oracle.
fn agree_with_pattern(family: Family) {
    let Some(shared) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = gpt2_with_pattern(&shared, family, folder.path());
    compare(&format!("{family:?}"), 0.1, &Tokenizer::load(&path).unwrap());
}

/// Compares a tokenizer with its oracle on so many megabytes, or as many as the environment says.
fn compare(file: &str, megabytes: f64, tokenizer: &Tokenizer) {
    assert_eq!(tokenizer.uncovered(), None, "{file}");
    let oracle = tokenizer.oracle();
    let wanted = std::env::var("RATDATA_RANDOM_MB").ok().and_then(|text| text.parse().ok());
    let wanted: f64 = wanted.unwrap_or(megabytes) * 1e6;
    let mut encoder = tokenizer.encoder(SpecialInText::Plain);
    let mut bytes = 0.0;
    while bytes < wanted {
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 256,
            failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
                "tests/engine_random.regressions",
            ))),
            ..ProptestConfig::default()
        });
        let round = std::cell::Cell::new(0.0);
        let (encoder, seen) = (std::cell::RefCell::new(&mut encoder), &round);
        runner
            .run(&parts(), |parts| {
                let text = spell(&parts, tokenizer.vocab_size(), |id| tokenizer.piece(id));
                seen.set(seen.get() + text.len() as f64);
                let mut ids: Vec<u32> = Vec::new();
                encoder.borrow_mut().encode_into(&text, &mut ids).unwrap();
                let expected = oracle.encode(&text, SpecialInText::Plain).unwrap();
                prop_assert_eq!(ids, expected, "{} on {:?}", file, text);
                Ok(())
            })
            .unwrap();
        bytes += round.get();
    }
}

fn load(SmallTokenizer { file, .. }: &SmallTokenizer) -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    File::create(&path).unwrap().write_all(file.to_string().as_bytes()).unwrap();
    let tokenizer = Tokenizer::load(&path).unwrap();
    // The oracle is loaded from the file when it is first needed.
    tokenizer.oracle().encode("", SpecialInText::Parse).unwrap();
    tokenizer
}

#[test]
fn every_form_of_the_engine_on_random_text() {
    for small in small_tokenizers() {
        compare(&small.name, 0.02, &load(&small));
    }
}

#[test]
fn every_part_of_the_stages_on_random_text() {
    for small in small_tokenizers_of_stages() {
        compare(&small.name, 0.02, &load(&small));
    }
}

#[test]
fn given_tokenizers_on_random_text() {
    for path in given_tokenizers() {
        compare(&path.display().to_string(), 0.1, &Tokenizer::load(&path).unwrap());
    }
}

#[test]
fn llama_json_on_random_text() {
    agree("llama/tokenizer.json");
}

#[test]
fn llama_model_on_random_text() {
    agree("llama/tokenizer.model");
}

#[test]
fn mistral_json_on_random_text() {
    agree("mistral-v1/tokenizer.json");
}

#[test]
fn mistral_model_on_random_text() {
    agree("mistral-v1/tokenizer.model");
}

#[test]
fn gpt2_json_on_random_text() {
    agree("gpt2/tokenizer.json");
}

#[test]
fn the_pattern_of_llama3_on_random_text() {
    agree_with_pattern(Family::Llama3);
}

#[test]
fn the_pattern_of_qwen2_on_random_text() {
    agree_with_pattern(Family::Qwen2);
}

#[test]
fn the_pattern_of_o200k_on_random_text() {
    agree_with_pattern(Family::O200k);
}

/// The tokenizers of the tests of speed and memory: small ones, and real ones where they are there.
fn tokenizers(real: &[&str]) -> Vec<(String, Tokenizer)> {
    let small = small_tokenizers();
    let small = small.iter().filter(|small| ["Llama", "GPT-2"].contains(&&*small.name));
    let mut all: Vec<_> = small.map(|small| (small.name.clone(), load(small))).collect();
    if let Some(shared) = shared() {
        let load = |file: &&str| Tokenizer::load(shared.join("tokenizers").join(file)).unwrap();
        all.extend(real.iter().map(|file| ((*file).to_owned(), load(file))));
    }
    all
}

/// A unit that nothing cuts is merged in time that grows with its length, not with its square.
#[test]
fn a_megabyte_without_a_cut_is_encoded_in_time() {
    let base64: String = (0..1_000_000_u32)
        .map(|n| {
            let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            char::from(digits[(n.wrapping_mul(2_654_435_761) >> 26) as usize % 64])
        })
        .collect();
    let chinese: String = (0..333_333_u32)
        .map(|n| char::from_u32(0x4e00 + n.wrapping_mul(2_654_435_761) % 0x5000).unwrap())
        .collect();
    for (file, tokenizer) in
        tokenizers(&["llama/tokenizer.json", "llama/tokenizer.model", "gpt2/tokenizer.json"])
    {
        for (name, unit) in [("a", &"a".repeat(1_000_000)), ("base64", &base64), ("CJK", &chinese)]
        {
            let mut encoder = tokenizer.encoder(SpecialInText::Plain);
            let mut ids: Vec<u32> = Vec::new();
            let begun = thread_seconds();

            encoder.encode_into(unit, &mut ids).unwrap();

            let speed = unit.len() as f64 / 1e6 / (thread_seconds() - begun);
            // Without optimization the same work takes several times as long.
            let least = if cfg!(debug_assertions) { 0.5 } else { 5.0 };
            assert!(speed > least, "{file}: {name} at {speed:.1} MB/s");
            assert!(encoder.memory() < 256 << 20, "{} bytes", encoder.memory());
        }
    }
}

/// Text of which no unit ever comes again fills the caches and grows them no further.
#[test]
fn the_caches_stay_bounded_on_text_that_never_repeats() {
    for (file, tokenizer) in tokenizers(&["llama/tokenizer.json", "gpt2/tokenizer.json"]) {
        let mut encoders: Vec<_> =
            (0..4).map(|_| tokenizer.encoder(SpecialInText::Plain)).collect();
        let mut number = 0_u64;
        for round in 0..40 {
            let mut text = String::new();
            for _ in 0..20_000 {
                number += 1;
                let word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                // Short and long units, all different.
                text += &format!(" {word:x}{}", "qz".repeat((number % 23) as usize));
            }
            let mut ids: Vec<u32> = Vec::new();
            encoders[round % 4].encode_into(&text, &mut ids).unwrap();
        }

        let memory = tokenizer.memory() + encoders.iter().map(Encoder::memory).sum::<usize>();

        assert!(memory <= 256 << 20, "{file}: {} MB", memory >> 20);
    }
}
