//! A small tokenizer like Llama's, trained on the demo's corpus.

use std::path::{Path, PathBuf};

use ratdata_schemas::write_json;
use serde_json::{Value, json};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{AddedToken, Tokenizer};

use crate::failure::{Failure, Kind};

/// How many ids the tokenizer has.
const VOCABULARY: usize = 1024;

const MARKS: [&str; 3] = ["<unk>", "<s>", "</s>"];

/// Trains a byte-fallback BPE tokenizer and writes its `tokenizer.json` below `root`.
pub(crate) fn train_tokenizer(root: &Path, texts: &[String]) -> Result<PathBuf, Failure> {
    let path = root.join("tokenizer").join("tokenizer.json");
    let file = train(texts).map_err(|error| {
        Failure::message(Kind::Failed, format!("{}: cannot train: {error}", path.display()))
    })?;
    write_json(&path, &file)
        .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))?;
    Ok(path)
}

fn train(texts: &[String]) -> Result<Value, tokenizers::Error> {
    let model =
        BPE::builder().unk_token("<unk>".into()).fuse_unk(true).byte_fallback(true).build()?;
    let mut tokenizer = Tokenizer::new(model);
    // Training sees each word separately; the finished file does not split at words.
    tokenizer.with_pre_tokenizer(Some(Metaspace::new('▁', PrependScheme::Always, true)));
    let bytes = (0..256).map(|byte| format!("<0x{byte:02X}>"));
    let specials = MARKS
        .iter()
        .map(ToString::to_string)
        .chain(bytes)
        .map(|mark| AddedToken::from(mark, true))
        .collect();
    let trainer = BpeTrainer::builder()
        .vocab_size(VOCABULARY)
        .special_tokens(specials)
        .show_progress(false)
        .limit_alphabet(160)
        .build();
    let mut trainer = TrainerWrapper::from(trainer);
    tokenizer.train(&mut trainer, texts.iter().map(String::as_str))?;
    let mut file: Value = serde_json::from_str(&tokenizer.to_string(false)?)?;
    if let Some(added) = file["added_tokens"].as_array_mut() {
        added.retain(|token| MARKS.iter().any(|mark| token["content"] == *mark));
    }
    file["pre_tokenizer"] = Value::Null;
    file["normalizer"] = json!({"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    ]});
    file["decoder"] = json!({"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ]});
    Ok(file)
}
