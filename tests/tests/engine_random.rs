//! The engine against its oracles, on random text made of what each vocabulary stumbles over.
//!
//! A tenth of a megabyte for each vocabulary by default; `RATDATA_RANDOM_MB=1000` makes it a
//! gigabyte for each. What fails is shrunk, and kept in `engine_random.regressions` for all later
//! runs.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use ratdata_tests::families::{Family, gpt2_with_pattern};
use ratdata_tests::shared;
use ratdata_tokenize::tokenizer::{Encoder, SpecialInText, Tokenizer};

/// A part of a random text.
#[derive(Clone, Debug)]
enum Part {
    /// A piece of the vocabulary.
    Piece(u32),
    /// A piece with one of its characters moved to a neighbour in Unicode.
    Near(u32, u8, i8),
    /// The beginning of a piece, so that merges begin and do not end.
    Head(u32, u8),
    /// Any character.
    Char(char),
    /// A character many times over.
    Run(char, u8),
    /// Text that patterns and normalizers look at.
    Odd(u8),
}

const ODD: [&str; 24] = [
    " ",
    "  ",
    "   ",
    "\n",
    "\r\n",
    "\t",
    "\u{a0}",
    "\u{3000}",
    "▁",
    "▁▁",
    "'s",
    "'LL",
    "’re",
    "0",
    "1234567",
    "e\u{301}",
    "\u{200d}",
    "🙂",
    "👩\u{200d}🚀",
    "<s>",
    "</s>",
    "<unk>",
    "<|endoftext|>",
    "\0",
];

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        8 => any::<u32>().prop_map(Part::Piece),
        2 => (any::<u32>(), any::<u8>(), -2_i8..=2).prop_map(|(id, at, by)| Part::Near(id, at, by)),
        2 => (any::<u32>(), any::<u8>()).prop_map(|(id, keep)| Part::Head(id, keep)),
        2 => any::<char>().prop_map(Part::Char),
        1 => (any::<char>(), 1..40_u8).prop_map(|(c, times)| Part::Run(c, times)),
        1 => ("[a-z =\\-#\n]", 1..80_u8).prop_map(|(c, times)| Part::Run(c.chars().next().unwrap(), times)),
        4 => any::<u8>().prop_map(Part::Odd),
    ]
}

/// Spells the parts with the pieces of a vocabulary.
fn text(parts: &[Part], tokenizer: &Tokenizer) -> String {
    let piece = |id: u32| {
        let piece = tokenizer.piece(id % tokenizer.vocab_size()).unwrap_or(" ");
        piece.replace(['▁', 'Ġ'], " ").replace('Ċ', "\n")
    };
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Piece(id) => text += &piece(*id),
            Part::Near(id, at, by) => {
                let piece = piece(*id);
                let at = usize::from(*at) % piece.chars().count().max(1);
                text.extend(piece.chars().enumerate().map(|(number, c)| {
                    let moved = u32::from(c).saturating_add_signed(i32::from(*by));
                    if number == at { char::from_u32(moved).unwrap_or(c) } else { c }
                }));
            }
            Part::Head(id, keep) => text.extend(piece(*id).chars().take(usize::from(*keep) % 8)),
            Part::Char(c) => text.push(*c),
            Part::Run(c, times) => text.extend(std::iter::repeat_n(*c, usize::from(*times))),
            Part::Odd(number) => text += ODD[usize::from(*number) % ODD.len()],
        }
    }
    text
}

fn agree(file: &str) {
    let Some(shared) = shared() else { return };
    hold(file, &Tokenizer::load(shared.join("tokenizers").join(file)).unwrap());
}

/// Holds a tokenizer that has GPT-2's vocabulary and another's pattern to its oracle.
fn agree_with_pattern(family: Family) {
    let Some(shared) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = gpt2_with_pattern(&shared, family, folder.path());
    hold(&format!("{family:?}"), &Tokenizer::load(&path).unwrap());
}

fn hold(file: &str, tokenizer: &Tokenizer) {
    assert_eq!(tokenizer.uncovered(), None, "{file}");
    let oracle = tokenizer.oracle();
    let wanted = std::env::var("RATDATA_RANDOM_MB").ok().and_then(|text| text.parse().ok());
    let wanted = (wanted.unwrap_or(0.1_f64) * 1e6).round();
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
            .run(&prop::collection::vec(part(), 1..120), |parts| {
                let text = text(&parts, tokenizer);
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

/// A unit that nothing cuts is merged in time that grows with its length, not with its square.
#[test]
fn a_megabyte_without_a_cut_is_encoded_in_time() {
    let Some(shared) = shared() else { return };
    let base64: String = (0..1_000_000_u32)
        .map(|n| {
            let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            char::from(digits[(n.wrapping_mul(2_654_435_761) >> 26) as usize % 64])
        })
        .collect();
    let chinese: String = (0..333_333_u32)
        .map(|n| char::from_u32(0x4e00 + n.wrapping_mul(2_654_435_761) % 0x5000).unwrap())
        .collect();
    for file in ["llama/tokenizer.json", "llama/tokenizer.model", "gpt2/tokenizer.json"] {
        let tokenizer = Tokenizer::load(shared.join("tokenizers").join(file)).unwrap();
        for (name, unit) in [("a", &"a".repeat(1_000_000)), ("base64", &base64), ("CJK", &chinese)]
        {
            let mut encoder = tokenizer.encoder(SpecialInText::Plain);
            let mut ids: Vec<u32> = Vec::new();
            let begun = std::time::Instant::now();

            encoder.encode_into(unit, &mut ids).unwrap();

            let speed = unit.len() as f64 / 1e6 / begun.elapsed().as_secs_f64();
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
    let Some(shared) = shared() else { return };
    for file in ["llama/tokenizer.json", "gpt2/tokenizer.json"] {
        let tokenizer = Tokenizer::load(shared.join("tokenizers").join(file)).unwrap();
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
