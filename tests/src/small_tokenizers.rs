//! Small tokenizers of every form that the engine covers, and of every part that the stages have, trained on the
//! documentation of this project.
//!
//! So the proof of both needs no file that is not in the checkout.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a fixture fails by panicking")]

use std::fs;
use std::sync::LazyLock;

use serde_json::{Value, json};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::unigram::{Unigram, UnigramTrainer};
use tokenizers::models::wordlevel::{WordLevel, WordLevelTrainer};
use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainer};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::whitespace::Whitespace;
use tokenizers::{AddedToken, ModelWrapper, Tokenizer};

use crate::families::{Family, split_by};
use crate::kinds::{normalizers, pre_tokenizers};

/// A small tokenizer.
#[derive(Clone, Debug)]
pub struct SmallTokenizer {
    /// Its form, in words.
    pub name: String,
    /// Its `tokenizer.json`.
    pub file: Value,
}

/// Text of several scripts, so that vocabularies have pieces beyond ASCII.
const SCRIPTS: &str = "Größe naïve café été ÉTÉ İstanbul ἀρχή привет Привет мир שלום عليكم नमस्ते สวัสดี 中文字 \
    漢字 ひらがな カタカナ 한국어 ١٢٣ ½ ² 🙂 👩\u{200d}🚀 e\u{301}t\u{e9} —“quoted” €100 ≤ ∑ \u{3000}全角";

/// Returns the text that the vocabularies are trained on.
pub fn training_text() -> String {
    let mut text = String::new();
    let docs = crate::root().join("docs");
    let mut paths: Vec<_> =
        fs::read_dir(docs).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        text += &fs::read_to_string(path).unwrap();
    }
    text + &format!("{SCRIPTS}\n").repeat(9)
}

/// Returns the small tokenizers that the engine covers.
pub fn small_tokenizers() -> Vec<SmallTokenizer> {
    static ALL: LazyLock<Vec<SmallTokenizer>> = LazyLock::new(|| {
        let mut all = spaces();
        all.extend(byte_level());
        all
    });
    ALL.clone()
}

/// Returns small tokenizers that have every model, every normalizer and every pre-tokenizer.
///
/// Each has the next one of each list, so that there are as many as the longest list has.
pub fn small_tokenizers_of_stages() -> Vec<SmallTokenizer> {
    static ALL: LazyLock<Vec<SmallTokenizer>> = LazyLock::new(|| {
        let (models, normalizers, cuts) = (models(), normalizers(), pre_tokenizers());
        let many = models.len().max(normalizers.len()).max(cuts.len());
        let parts = models.iter().cycle().zip(normalizers.iter().cycle()).zip(cuts.iter().cycle());
        let tokenizer = |(((kind, file), normalizer), cut): ((&(&str, Value), &Value), &Value)| {
            let mut file = file.clone();
            file["normalizer"] = normalizer.clone();
            file["pre_tokenizer"] = cut.clone();
            SmallTokenizer { name: format!("{kind}, {normalizer}, {cut}"), file }
        };
        parts.take(many).map(tokenizer).collect()
    });
    ALL.clone()
}

/// Trains each model, with pieces for what pre-tokenizers leave of words.
fn models() -> Vec<(&'static str, Value)> {
    let unknown =
        || vec![AddedToken::from("<unk>", true), AddedToken::from("[MASK]", true).lstrip(true)];
    let mut unigram = UnigramTrainer::default();
    (unigram.vocab_size, unigram.show_progress) = (1500, false);
    (unigram.unk_token, unigram.special_tokens) = (Some("<unk>".to_owned()), unknown());
    let word_piece = WordPieceTrainer::builder()
        .vocab_size(1500)
        .show_progress(false)
        .special_tokens(unknown())
        .build();
    let mut word_level = WordLevelTrainer::default();
    (word_level.vocab_size, word_level.show_progress) = (1500, false);
    word_level.special_tokens = unknown();
    let suffixed = BpeTrainer::builder()
        .vocab_size(1500)
        .show_progress(false)
        .special_tokens(unknown())
        .end_of_word_suffix("</w>".to_owned())
        .build();
    let marks = || PreTokenizerWrapper::from(Metaspace::new('▁', PrependScheme::Always, true));
    let words = || PreTokenizerWrapper::from(Whitespace);
    let unigram = file_of(Unigram::default().into(), marks(), unigram.into());
    let mut word_piece = file_of(WordPiece::default().into(), words(), word_piece.into());
    let mut word_level = file_of(WordLevel::default().into(), words(), word_level.into());
    let mut suffixed = file_of(BPE::default().into(), words(), suffixed.into());
    for file in [&mut word_piece, &mut word_level, &mut suffixed] {
        file["model"]["unk_token"] = "<unk>".into();
    }
    let mut falls_back = unigram.clone();
    falls_back["model"]["byte_fallback"] = true.into();
    let bytes = (0..256).map(|byte| json!([format!("<0x{byte:02X}>"), -9.0]));
    falls_back["model"]["vocab"].as_array_mut().unwrap().extend(bytes);
    let mut fused = suffixed.clone();
    fused["model"]["fuse_unk"] = true.into();
    vec![
        ("Unigram", unigram),
        ("WordPiece", word_piece),
        ("Unigram with bytes", falls_back),
        ("BPE with a suffix", suffixed),
        ("WordLevel", word_level),
        ("BPE with a suffix, unknown ones fused", fused),
    ]
}

/// Trains a model, and returns its file.
fn file_of(model: ModelWrapper, cut: PreTokenizerWrapper, mut trainer: TrainerWrapper) -> Value {
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(cut));
    tokenizer.train(&mut trainer, training_text().lines().map(str::to_owned)).unwrap();
    serde_json::from_str(&tokenizer.to_string(false).unwrap()).unwrap()
}

/// Trains a vocabulary with a pre-tokenizer that stops merges.
fn trained(pre_tokenizer: impl Into<PreTokenizerWrapper>, specials: &[String]) -> Value {
    let pre_tokenizer = pre_tokenizer.into();
    let is_byte_level = matches!(pre_tokenizer, PreTokenizerWrapper::ByteLevel(_));
    let alphabet = ByteLevel::alphabet().into_iter().filter(|_| is_byte_level).collect();
    let mut tokenizer = Tokenizer::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(pre_tokenizer));
    let trainer = BpeTrainer::builder()
        .vocab_size(1500)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(specials.iter().map(|text| AddedToken::from(text.clone(), true)).collect())
        .initial_alphabet(alphabet)
        .build();
    let mut trainer = TrainerWrapper::from(trainer);
    tokenizer.train(&mut trainer, std::iter::once(training_text())).unwrap();
    serde_json::from_str(&tokenizer.to_string(false).unwrap()).unwrap()
}

/// SentencePiece-style forms: a space is `▁`.
fn spaces() -> Vec<SmallTokenizer> {
    let bytes = (0..256).map(|byte| format!("<0x{byte:02X}>"));
    let specials: Vec<String> =
        ["<unk>", "<s>", "</s>"].map(str::to_owned).into_iter().chain(bytes).collect();
    let mut base = trained(Metaspace::new('▁', PrependScheme::Always, true), &specials);
    let added = base["added_tokens"].as_array_mut().unwrap();
    added.retain(|token| token["id"].as_u64() < Some(3));
    for token in added.iter_mut() {
        token["normalized"] = false.into();
    }
    base["model"]["unk_token"] = "<unk>".into();
    base["model"]["byte_fallback"] = true.into();
    base["model"]["fuse_unk"] = true.into();
    base["pre_tokenizer"] = Value::Null;

    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"});
    let sequence = json!({"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"}, replace]});
    let form = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut file = base.clone();
        change(&mut file);
        SmallTokenizer { name: name.to_owned(), file }
    };
    let mut all = vec![
        form("Llama", &|file| file["normalizer"] = sequence.clone()),
        form("a replaced space alone", &|file| file["normalizer"] = replace.clone()),
        form("Gemma", &|file| {
            file["normalizer"] = replace.clone();
            file["pre_tokenizer"] = json!({"type": "Split", "pattern": {"String": " "},
                "behavior": "MergedWithPrevious", "invert": false});
        }),
        form("Gemini, in which a byte has no piece but its character has", &|file| {
            file["normalizer"] = replace.clone();
            let vocab = file["model"]["vocab"].as_object_mut().unwrap();
            let id = vocab.remove("<0x2E>").unwrap();
            assert!(vocab.contains_key("."), "the training text has full stops");
            vocab.insert("<unused>".to_owned(), id);
        }),
        form("Llama with whole units", &|file| {
            file["normalizer"] = sequence.clone();
            file["model"]["ignore_merges"] = true.into();
        }),
        form("unknown characters fused", &|file| {
            file["normalizer"] = sequence.clone();
            file["model"]["byte_fallback"] = false.into();
        }),
        form("unknown characters one by one", &|file| {
            file["normalizer"] = sequence.clone();
            file["model"]["byte_fallback"] = false.into();
            file["model"]["fuse_unk"] = false.into();
        }),
    ];
    for scheme in ["first", "always", "never"] {
        for split in [true, false] {
            all.push(form(&format!("Metaspace, {scheme}, split {split}"), &|file| {
                file["pre_tokenizer"] = json!({"type": "Metaspace", "replacement": "▁",
                    "prepend_scheme": scheme, "split": split});
            }));
        }
    }
    all
}

/// Byte-level forms: a pattern, and a letter for each byte.
fn byte_level() -> Vec<SmallTokenizer> {
    let mut base = trained(ByteLevel::new(false, true, true), &["<|endoftext|>".to_owned()]);
    base["added_tokens"][0]["normalized"] = false.into();
    let mut all = vec![SmallTokenizer { name: "GPT-2".to_owned(), file: base.clone() }];
    for family in [Family::Llama3, Family::Qwen2, Family::O200k] {
        let mut file = base.clone();
        split_by(&mut file, family);
        all.push(SmallTokenizer { name: format!("{family:?}"), file });
    }
    for (name, has_regex, steps) in sequences() {
        let mut file = base.clone();
        let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
            "use_regex": has_regex});
        let steps: Vec<Value> = steps.into_iter().chain([bytes]).collect();
        file["pre_tokenizer"] = json!({"type": "Sequence", "pretokenizers": steps});
        all.push(SmallTokenizer { name: name.to_owned(), file });
    }
    all
}

/// Byte-level forms with other pre-tokenizers: a name, whether GPT-2's pattern comes last, and the steps.
fn sequences() -> Vec<(&'static str, bool, Vec<Value>)> {
    const CL100K: &str = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s";
    const DEEPSEEK: &str = r"[!\x22#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let split = |regex: &str, behavior: &str, invert: bool| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": invert});
    let digits = |alone: bool| json!({"type": "Digits", "individual_digits": alone});
    let comma = json!({"type": "Split", "pattern": {"String": ", "}, "behavior": "Isolated",
        "invert": false});
    vec![
        ("GPT-4o as packaged", false, vec![split(Family::O200k.pattern(), "Removed", true)]),
        ("cl100k as in tiktoken", false, vec![split(CL100K, "Removed", true)]),
        (
            "DeepSeek-V3",
            false,
            vec![
                split(r"\p{N}{1,3}", "Isolated", false),
                split("[一-龥\u{3040}-ゟ゠-ヿ]+", "Isolated", false),
                split(DEEPSEEK, "Isolated", false),
            ],
        ),
        ("SmolLM", true, vec![digits(true)]),
        ("digits together", true, vec![digits(false)]),
        ("a text that splits", true, vec![comma]),
        ("Bloom", false, vec![split(r" ?[^(\s|[.,!?…。，、।۔،])]+", "Isolated", false)]),
        ("bytes alone", false, vec![]),
    ]
}
