//! Which ids begin and end a document (BOS and EOS): as the files next to the tokenizer say, or the
//! model itself, or else by the names that vocabularies give them.

use std::path::Path;

use ratdata_schemas::TokenId;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::added::token::AddedToken;
use super::error::TokenizerError;
use super::file_kind;
use super::sentencepiece::model::{PieceKind, SentencePieceModel};

/// What the token that begins a document is called, the likeliest first.
const BOS: [&str; 5] = ["<s>", "<|begin_of_text|>", "<bos>", "<|startoftext|>", "[CLS]"];

/// What the token that ends a document is called, the likeliest first.
const EOS: [&str; 6] = ["</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "[SEP]", "<|im_end|>"];

/// The files next to a tokenizer that name its tokens, the first to count first.
pub const CONFIG_FILES: [&str; 2] = ["tokenizer_config.json", "special_tokens_map.json"];

/// The ids that begin and end a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BosEos {
    pub(super) bos: Option<TokenId>,
    pub(super) eos: Option<TokenId>,
    /// EOS candidates, best guess first, where only names tell; empty otherwise.
    pub(super) eos_guesses: Vec<String>,
}

/// The names that the tokenizer or a file next to it gives.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    bos: Vec<String>,
    eos: Vec<String>,
}

impl Named {
    /// Reads the files next to a tokenizer; any of them may be missing.
    ///
    /// # Errors
    ///
    /// One of them cannot be read, or is no JSON object.
    pub(super) fn next_to(path: &Path) -> Result<Self, TokenizerError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut named = Self::default();
        for file in CONFIG_FILES {
            let path = folder.join(file);
            let json = match file_kind::read(&path) {
                Ok(json) => json,
                Err(TokenizerError::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound =>
                {
                    continue;
                }
                Err(wrong) => return Err(wrong),
            };
            let config = parse(&json)
                .map_err(|reason| TokenizerError::Config { path: path.clone(), reason })?;
            named.bos.extend(token(&config.bos_token));
            named.eos.extend(token(&config.eos_token));
        }
        Ok(named)
    }

    /// Adds names that the kind of file gives.
    pub(super) fn and(mut self, bos: Option<&str>, eos: &str) -> Self {
        self.bos.extend(bos.map(str::to_owned));
        self.eos.push(eos.to_owned());
        self
    }

    /// Adds what a SentencePiece model calls its own.
    pub(super) fn and_model(mut self, model: &SentencePieceModel) -> Self {
        let is_control = |text: &str| {
            model.pieces.iter().any(|piece| piece.kind == PieceKind::Control && piece.text == text)
        };
        self.bos.extend(Some(model.bos_piece.clone()).filter(|text| is_control(text)));
        self.eos.extend(Some(model.eos_piece.clone()).filter(|text| is_control(text)));
        self
    }

    /// Finds the ids in a vocabulary.
    pub(super) fn resolve(
        &self,
        id_of: impl Fn(&str) -> Option<TokenId>,
        added: &[AddedToken],
    ) -> BosEos {
        let first = |named: &[String]| named.iter().find_map(|text| id_of(text));
        let by_name = |names: &'static [&'static str]| {
            names.iter().filter_map(|name| {
                added.iter().find(|token| token.special && token.content == *name)
            })
        };
        let eos = first(&self.eos);
        let eos_guesses = match eos {
            Some(_) => Vec::new(),
            None => by_name(&EOS).map(|token| token.content.clone()).collect(),
        };
        BosEos {
            bos: first(&self.bos).or_else(|| by_name(&BOS).next().map(|token| token.id)),
            eos: eos.or_else(|| by_name(&EOS).next().map(|token| token.id)),
            eos_guesses,
        }
    }
}

/// The fields of a config that are looked at; the others may be large.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    bos_token: Value,
    #[serde(default)]
    eos_token: Value,
}

/// Reads a config, or says what was found in its place.
fn parse(json: &[u8]) -> Result<Config, String> {
    if let Some(foreign) = file_kind::foreign(json) {
        return Err(format!("expected a JSON object, found {}", foreign.found));
    }
    if serde_json::from_slice::<IgnoredAny>(json).is_ok() && file_kind::name_of(json) != "an object"
    {
        return Err(format!("expected a JSON object, found {}", file_kind::name_of(json)));
    }
    serde_json::from_slice(json).map_err(|wrong| format!("expected a JSON object: {wrong}"))
}

/// Returns a token of a config: a string, or an object with its `content`.
fn token(value: &Value) -> Option<String> {
    let text = value.as_str().or_else(|| value.get("content")?.as_str())?;
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn vocabulary(names: &[&str]) -> Vec<AddedToken> {
        (0..)
            .zip(names)
            .map(|(id, name)| AddedToken {
                id,
                content: (*name).to_owned(),
                special: true,
                normalized: false,
                replaced: Vec::new(),
            })
            .collect()
    }

    fn resolved(named: &Named, names: &[&str]) -> BosEos {
        let added = vocabulary(names);
        let id_of = |text: &str| added.iter().find(|token| token.content == text).map(|t| t.id);
        named.resolve(id_of, &added)
    }

    fn write(path: &Path, text: &str) {
        use std::io::Write;
        fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn the_files_next_to_a_tokenizer_count_before_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["<s>", "</s>", "<|im_end|>", "<|end|>"];
        let tokenizer = folder.path().join("tokenizer.json");

        let alone = resolved(&Named::next_to(&tokenizer).unwrap(), &names);
        write(&folder.path().join("special_tokens_map.json"), r#"{"eos_token": "<|im_end|>"}"#);
        let mapped = resolved(&Named::next_to(&tokenizer).unwrap(), &names);
        let config = r#"{"eos_token": {"content": "<|end|>"}, "bos_token": null}"#;
        write(&folder.path().join("tokenizer_config.json"), config);
        let configured = resolved(&Named::next_to(&tokenizer).unwrap(), &names);

        assert_eq!((alone.bos, alone.eos), (Some(0), Some(1)));
        assert_eq!(alone.eos_guesses, ["</s>", "<|im_end|>"]);
        assert_eq!((mapped.eos, mapped.eos_guesses.len()), (Some(2), 0));
        assert_eq!((configured.bos, configured.eos), (Some(0), Some(3)));
    }

    #[test]
    fn a_token_that_the_vocabulary_lacks_is_passed_over() {
        let named = Named { bos: Vec::new(), eos: vec!["<nowhere>".into()] };

        assert_eq!(resolved(&named, &["<eos>"]).eos, Some(0));
    }

    #[test]
    fn a_config_that_is_no_json_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let deep = format!("{{\"eos_token\": {}", "[".repeat(100_000));
        for (text, says) in [
            ("{", "EOF while parsing"),
            ("null", "found null"),
            ("[]", "found an array"),
            ("", "found an empty file"),
            ("version https://git-lfs.github.com/spec/v1\n", "found a Git LFS pointer"),
            ("<html>", "HTML"),
            (&deep, "recursion limit"),
        ] {
            write(&folder.path().join("tokenizer_config.json"), text);

            let refused = Named::next_to(&folder.path().join("tokenizer.json")).unwrap_err();

            let said = refused.to_string();
            assert!(said.contains("tokenizer_config.json: expected a JSON object"), "{said}");
            assert!(said.contains(says), "{says}: {said}");
        }
    }
}
