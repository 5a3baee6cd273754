//! Reads the recipe of a manifest of format 1, whose `config` does not name the step that wrote it.
//!
//! This is the only place that tells steps apart by their keys.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    Form, Import, ImportLayout, MadeFrom, MadeSplit, Merge, MergedInput, Pack, Recipe, Sft, Task,
    Tokenize, Truncate,
};
use crate::checksum::Checksum;
use crate::plain_name::PlainName;
use crate::token::TokenId;

/// Returns the recipe that the `config` of a manifest of format 1 stands for.
///
/// # Errors
///
/// Says why `config` is not the configuration of any step.
pub(crate) fn recipe_of_format_1(config: &Value) -> Result<Recipe, String> {
    let has = |key: &str| config.get(key).is_some();
    if has("pack") {
        return read::<Pack>("pack", config).map(Recipe::Pack);
    }
    if has("task") {
        return read::<OldSft>("sft", config).map(|old| Recipe::Sft(old.into()));
    }
    if has("text_column") {
        return read::<Tokenize>("tokenize", config).map(Recipe::Tokenize);
    }
    if has("import") {
        return read::<OldImport>("import", config).map(|old| Recipe::Import(old.into()));
    }
    if has("merge") {
        let OldMerge { merge } = read("merge", config).map_err(|wrong| {
            format!("{wrong}; it was joined without a record of its inputs, so join them again")
        })?;
        let inputs = merge.into_iter().map(MergedInput::try_from).collect::<Result<_, _>>()?;
        return Ok(Recipe::Merge(Merge { inputs }));
    }
    Err("`config` names no step: expected the keys of `tokenize` (`text_column`), `sft` (`task`), \
         `pack` (`pack`), `merge` (`merge`) or `import` (`import`)"
        .into())
}

fn read<T: DeserializeOwned>(kind: &str, config: &Value) -> Result<T, String> {
    T::deserialize(config).map_err(|wrong| format!("`config` is not one of `{kind}`: {wrong}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldSft {
    task: Task,
    max_length: u32,
    truncate: Truncate,
    packed: bool,
    skip_bad_rows: bool,
    /// By the names of the splits, in the order in which they were made.
    splits: Map<String, Value>,
    template: Option<Checksum>,
}

impl From<OldSft> for Sft {
    fn from(old: OldSft) -> Self {
        let split = |(name, inputs): (String, Value)| MadeSplit {
            name,
            // Where the inputs are in another form, they differ from those of any job.
            inputs: Vec::<MadeFrom>::deserialize(inputs).unwrap_or_default(),
            preference: None,
        };
        Self {
            task: old.task,
            max_length: old.max_length,
            truncate: old.truncate,
            form: if old.packed { Form::Documents } else { Form::Pairs },
            skip_bad_rows: old.skip_bad_rows,
            template: old.template,
            splits: old.splits.into_iter().map(split).collect(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldImport {
    import: ImportLayout,
    split: PlainName,
    eos: Option<TokenId>,
}

impl From<OldImport> for Import {
    fn from(old: OldImport) -> Self {
        Self { from: old.import, split: old.split, eos: old.eos }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldMerge {
    merge: Vec<OldMergedInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldMergedInput {
    manifest: Checksum,
    name: String,
    sources: usize,
    documents: std::collections::BTreeMap<String, u64>,
    config: Value,
}

impl TryFrom<OldMergedInput> for MergedInput {
    type Error = String;

    fn try_from(old: OldMergedInput) -> Result<Self, String> {
        let OldMergedInput { manifest, name, sources, documents, config } = old;
        let recipe = recipe_of_format_1(&config)?;
        Ok(Self { manifest, name, sources, documents, recipe })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::{FORMAT_VERSION, Manifest};

    fn tokenize() -> Value {
        json!({
            "name": "llama", "text_column": "text", "val_fraction": 0.005, "split_seed": 1005,
            "order": "reference", "merge": false, "eos": true, "bos": false,
            "special_in_text": "parse", "dtype": "auto", "limit_docs": null, "on_bad_row": "fail",
        })
    }

    fn pack() -> Value {
        let rows = json!({
            "seq_len": 64, "packing": "best-fit", "long": "split", "align": 1, "seed": null,
        });
        json!({ "pack": rows, "materialize": false, "split": null })
    }

    fn sft() -> Value {
        let split = json!({ "source": "train.jsonl", "answers": ["a"] });
        let inputs = json!([{ "name": "train.jsonl", "fingerprint": Checksum::of(b"x") }]);
        json!({
            "task": { "prompt": "{q}", "max_new_tokens": 256, "truncate": "middle",
                      "splits": { "train": split.clone(), "validation": split } },
            "max_length": 64, "truncate": "left", "packed": true, "skip_bad_rows": true,
            "splits": { "validation": inputs.clone(), "train": inputs },
        })
    }

    fn merge(inputs: &[Value]) -> Value {
        let input = |config: &Value| {
            json!({
                "manifest": Checksum::of(b"m"), "name": "llama", "sources": 0,
                "documents": { "train": 3 }, "config": config,
            })
        };
        json!({ "merge": inputs.iter().map(input).collect::<Vec<_>>() })
    }

    fn import() -> Value {
        json!({ "import": "megatron", "split": "train", "eos": null })
    }

    /// A manifest as version 0.1 wrote it, with the configuration of a step.
    fn manifest(config: &Value) -> Value {
        let file = |path: &str| json!({ "path": path, "bytes": 8, "blake3": Checksum::of(b"") });
        json!({
            "format_version": 1, "name": "llama", "dtype": "u16",
            "tokenizer": {
                "name": "llama", "semantics": "tokenizers", "fingerprint": Checksum::of(b""),
                "vocab_size": 100, "bos": 1, "eos": 2, "unk": 0, "pad": null,
            },
            "splits": { "train": { "layout": "shards", "shards": [
                { "source": null, "documents": 1, "tokens": 4, "bin": file("x.bin"), "idx": file("x.idx") },
            ] } },
            "sources": [],
            "config": config,
        })
    }

    fn parse(config: &Value) -> Result<Manifest, crate::ManifestError> {
        Manifest::parse(Path::new("m.json"), manifest(config).to_string().as_bytes())
    }

    #[test]
    fn a_manifest_of_format_1_has_the_recipe_of_the_step_that_wrote_it() {
        for (config, kind) in [
            (tokenize(), "tokenize"),
            (sft(), "sft"),
            (pack(), "pack"),
            (merge(&[tokenize()]), "merge"),
            (import(), "import"),
        ] {
            let manifest = parse(&config).unwrap();

            assert_eq!((manifest.recipe.kind(), manifest.format_version), (kind, FORMAT_VERSION));
            // What is written now is read as the same.
            let text = serde_json::to_vec(&manifest).unwrap();
            assert_eq!(Manifest::parse(Path::new("m.json"), &text).unwrap(), manifest);
        }
    }

    #[test]
    fn the_settings_of_format_1_are_kept() {
        let Recipe::Sft(found) = recipe_of_format_1(&sft()).unwrap() else { panic!() };
        assert_eq!((found.max_length, found.form), (64, Form::Documents));
        assert_eq!((found.truncate, found.skip_bad_rows), (Truncate::Left, true));
        // Splits are in the order in which they were made, as their sources are.
        let names: Vec<&str> = found.splits.iter().map(|split| &*split.name).collect();
        assert_eq!(names, ["validation", "train"]);
        assert_eq!(found.made("train").unwrap()[0].fingerprint, Checksum::of(b"x"));

        let joined = merge(&[merge(&[tokenize()]), import()]);
        let Recipe::Merge(found) = recipe_of_format_1(&joined).unwrap() else { panic!() };
        let Recipe::Merge(inner) = &found.inputs[0].recipe else { panic!() };
        assert_eq!(inner.inputs[0].recipe, Recipe::Tokenize(Tokenize::default()));
        assert_eq!(found.inputs[1].recipe.kind(), "import");
    }

    #[test]
    fn a_config_of_no_step_is_refused_with_what_was_expected() {
        for (config, says) in [
            (json!(null), "`config` names no step: expected the keys of `tokenize`"),
            (json!({ "seq_len": 4 }), "`config` names no step"),
            (json!({ "text_column": "text" }), "not one of `tokenize`: missing field `name`"),
            (json!({ "merge": ["a", "b"] }), "joined without a record of its inputs"),
        ] {
            let refused = parse(&config).unwrap_err().to_string();

            assert!(refused.starts_with("m.json: not a manifest: "), "{refused}");
            assert!(refused.contains(says), "{refused}");
        }
    }
}
