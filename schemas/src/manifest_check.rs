//! What a manifest may say: names that lead nowhere, ids of the vocabulary, counts that add up.
//!
//! Manifests come from anywhere. What is wrong here is told under its key, before a file is opened,
//! a path made or memory asked for.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde_json::Value;

use crate::plain_name::{PlainName, shown};
use crate::recipe::Recipe;
use crate::records::{
    MAX_ROW_LEN, PackRecord, ShardRecord, SourceRecord, SplitRecord, TokenizerRecord,
};
use crate::relative_path::RelativePath;
use crate::token::{Dtype, TokenId};

/// Tells of the first name or path that leads anywhere, under its key.
pub(crate) fn check_names(manifest: &Value) -> Result<(), String> {
    if let Some(Value::String(name)) = manifest.get("name") {
        PlainName::new(name).map_err(|wrong| format!("`name`: {wrong}"))?;
    }
    let splits = manifest.get("splits").and_then(Value::as_object);
    for (split, record) in splits.into_iter().flatten() {
        PlainName::new(split).map_err(|wrong| format!("`splits`: {wrong}"))?;
        check_paths(record, &format!("splits.{split}"))?;
    }
    Ok(())
}

/// Looks at every `path` below a value.
fn check_paths(value: &Value, key: &str) -> Result<(), String> {
    match value {
        Value::Array(values) => (0..).zip(values).try_for_each(|(number, value): (usize, _)| {
            check_paths(value, &format!("{key}[{number}]"))
        }),
        Value::Object(fields) => fields.iter().try_for_each(|(field, value)| match value {
            Value::String(path) if field == "path" => {
                RelativePath::new(path).map(drop).map_err(|wrong| format!("`{key}.path`: {wrong}"))
            }
            value => check_paths(value, &format!("{key}.{}", shown(field))),
        }),
        _ => Ok(()),
    }
}

/// Returns the key of the first part that is not of its type; serde tells what is wrong, and not
/// where in a value.
pub(crate) fn wrong_part(manifest: &Value) -> Option<String> {
    fn fits<'de, T: Deserialize<'de>>(value: &'de Value) -> bool {
        T::deserialize(value).is_ok()
    }
    let tokenizer = &manifest["tokenizer"];
    if !fits::<TokenizerRecord>(tokenizer) {
        let ids = ["vocab_size", "bos", "eos", "unk", "pad"];
        let wrong = ids.into_iter().find(|key| !fits::<Option<TokenId>>(&tokenizer[key]));
        return Some(wrong.map_or("tokenizer".into(), |key| format!("tokenizer.{key}")));
    }
    let mut splits = manifest["splits"].as_object().into_iter().flatten();
    if let Some((split, record)) = splits.find(|(_, record)| !fits::<SplitRecord>(record)) {
        let mut shards = record["shards"].as_array().into_iter().flatten();
        let wrong = shards.position(|shard| !fits::<ShardRecord>(shard));
        return Some(match wrong {
            Some(number) => format!("splits.{split}.shards[{number}]"),
            None => format!("splits.{split}"),
        });
    }
    let mut sources = manifest["sources"].as_array().into_iter().flatten();
    let wrong = sources.position(|source| !fits::<SourceRecord>(source));
    if let Some(number) = wrong {
        return Some(format!("sources[{number}]"));
    }
    (!fits::<Recipe>(&manifest["recipe"])).then(|| "recipe".into())
}

/// Tells of the first number that does not fit the others, and of a file that is named twice.
pub(crate) fn check(
    dtype: Dtype,
    tokenizer: &TokenizerRecord,
    splits: &BTreeMap<PlainName, SplitRecord>,
    sources: &[SourceRecord],
) -> Result<(), String> {
    check_ids(dtype, tokenizer)?;
    let mut files = HashSet::new();
    for (name, split) in splits {
        let of_split = |wrong: String| format!("splits.{name}: {wrong}");
        check_split(split).map_err(of_split)?;
        for file in split.files() {
            if !files.insert(&file.path) {
                return Err(of_split(format!("the file `{}` is named twice", file.path)));
            }
        }
    }
    let files = splits.values().flat_map(SplitRecord::files);
    adds_up("`bytes` of the files", files.map(|file| file.bytes))?;
    adds_up("`bytes` of the sources", sources.iter().map(|source| source.bytes))?;
    adds_up("`rows` of the sources", sources.iter().map(|source| source.rows))?;
    adds_up("`bad_rows` of the sources", sources.iter().map(|source| source.bad_rows))?;
    adds_up("`text_bytes` of the sources", sources.iter().map(|source| source.text_bytes))
}

fn check_ids(dtype: Dtype, tokenizer: &TokenizerRecord) -> Result<(), String> {
    let size = tokenizer.vocab_size;
    let named = [
        ("bos", tokenizer.bos),
        ("eos", tokenizer.eos),
        ("unk", tokenizer.unk),
        ("pad", tokenizer.pad),
    ];
    for (name, id) in named {
        if let Some(id) = id.filter(|&id| id >= size) {
            return Err(format!(
                "tokenizer: `{name}` is id {id}, expected below the `vocab_size` of {size}"
            ));
        }
    }
    let narrowest = Dtype::for_vocab(size);
    if dtype == Dtype::U16 && narrowest == Dtype::U32 {
        return Err(format!("`dtype` is u16, which cannot hold the `vocab_size` of {size}"));
    }
    Ok(())
}

fn check_split(split: &SplitRecord) -> Result<(), String> {
    match split {
        SplitRecord::Shards { shards } => {
            adds_up("`documents` of the shards", shards.iter().map(|shard| shard.documents))?;
            adds_up("`tokens` of the shards", shards.iter().map(|shard| shard.tokens))
        }
        SplitRecord::Pairs(pairs) => check_rows(pairs.rows, pairs.row_len).map(drop),
        SplitRecord::Pack(pack) => check_pack(pack),
        SplitRecord::Rows(rows) => check_pack(&rows.pack),
    }
}

fn check_pack(pack: &PackRecord) -> Result<(), String> {
    let places = check_rows(pack.rows, pack.row_len)?;
    if pack.tokens > places {
        return Err(format!(
            "`tokens` is {}, expected at most the {places} of the rows",
            pack.tokens
        ));
    }
    let counts = pack.counts.unwrap_or_default();
    adds_up("`counts`", [counts.documents, counts.cut, counts.dropped, counts.empty])
}

/// Checks the length of rows, and returns how many places they have together.
fn check_rows(rows: u64, row_len: u32) -> Result<u64, String> {
    if row_len == 0 || row_len > MAX_ROW_LEN {
        return Err(format!("`row_len` is {row_len}, expected 1 to {MAX_ROW_LEN}"));
    }
    rows.checked_mul(row_len.into()).ok_or_else(|| {
        format!("`rows` is {rows}, of {row_len} tokens each, expected fewer than 2^64")
    })
}

fn adds_up(what: &str, counts: impl IntoIterator<Item = u64>) -> Result<(), String> {
    let sum = counts.into_iter().try_fold(0_u64, u64::checked_add);
    sum.map(drop).ok_or_else(|| format!("{what} add up to 2^64 or more"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::{Checksum, Manifest, ManifestError};

    fn file(path: &str) -> Value {
        json!({ "path": path, "bytes": 8, "blake3": Checksum::of(b"") })
    }

    fn shard(number: u32) -> Value {
        let (bin, idx) = (file(&format!("x{number}.bin")), file(&format!("x{number}.idx")));
        json!({ "source": 0, "documents": 1, "tokens": 4, "bin": bin, "idx": idx })
    }

    fn whole() -> Value {
        let counts = json!({ "documents": 1, "cut": 0, "dropped": 0, "empty": 0 });
        json!({
            "format_version": 2, "name": "x", "dtype": "u16",
            "tokenizer": {
                "name": "x", "semantics": "tokenizers", "fingerprint": Checksum::of(b""),
                "vocab_size": 100, "bos": null, "eos": 2, "unk": null, "pad": null,
            },
            "splits": {
                "train": { "layout": "shards", "shards": [shard(0), shard(1)] },
                "val": {
                    "layout": "pack", "rows": 1, "row_len": 4, "tokens": 4, "counts": counts,
                    "row_ends": file("v.rows"), "spans": file("v.spans"),
                },
            },
            "sources": [
                { "name": "a", "bytes": 1, "rows": 1, "text_bytes": 1, "fingerprint": Checksum::of(b"") },
                { "name": "b", "bytes": 1, "rows": 1, "text_bytes": 1, "fingerprint": Checksum::of(b"") },
            ],
            "recipe": { "kind": "import", "from": "raw", "split": "train", "eos": null },
        })
    }

    fn parse(manifest: &Value) -> Result<Manifest, ManifestError> {
        Manifest::parse(Path::new("m.json"), manifest.to_string().as_bytes())
    }

    #[test]
    fn a_whole_manifest_is_read() {
        parse(&whole()).unwrap();
    }

    /// Puts a value at a place of the manifest, and returns what is said of it.
    fn said(at: &str, value: impl Into<Value>) -> String {
        let mut manifest = whole();
        *manifest.pointer_mut(at).unwrap() = value.into();
        parse(&manifest).unwrap_err().to_string()
    }

    #[test]
    fn a_number_that_does_not_fit_is_told_under_its_key() {
        for (at, value, says) in [
            ("/tokenizer/eos", 4_000_000_000, "`eos` is id 4000000000, expected below"),
            ("/tokenizer/bos", 100, "`bos` is id 100, expected below"),
            ("/tokenizer/vocab_size", 2, "`eos` is id 2, expected below"),
            ("/tokenizer/vocab_size", 65_537, "`dtype` is u16, which cannot hold"),
            ("/splits/val/row_len", u64::from(u32::MAX), "splits.val: `row_len` is 4294967295"),
            ("/splits/val/row_len", 0, "splits.val: `row_len` is 0, expected 1 to 16777216"),
            ("/splits/val/rows", u64::MAX, "splits.val: `rows` is 18446744073709551615"),
            ("/splits/val/tokens", 5, "splits.val: `tokens` is 5, expected at most the 4"),
            ("/splits/val/counts/cut", u64::MAX, "splits.val: `counts` add up"),
            ("/splits/train/shards/1/tokens", u64::MAX, "splits.train: `tokens` of the shards"),
            ("/splits/train/shards/1/documents", u64::MAX, "splits.train: `documents` of"),
            ("/splits/train/shards/1/bin/bytes", u64::MAX, "`bytes` of the files add up"),
            ("/sources/1/text_bytes", u64::MAX, "`text_bytes` of the sources add up"),
            ("/tokenizer/eos", u64::MAX, "`tokenizer.eos`: invalid value"),
            ("/splits/train/shards/1/source", u64::MAX, "`splits.train.shards[1]`: invalid value"),
            ("/splits/train/shards", 1, "`splits.train`: invalid type"),
            ("/sources/1/fingerprint", 1, "`sources[1]`: invalid type"),
            ("/recipe/kind", 7, "`recipe`: "),
            ("/recipe/eos", u64::MAX, "`recipe`: invalid value"),
        ] {
            let said = said(at, value);

            assert!(said.starts_with("m.json: not a manifest: ") && said.contains(says), "{said}");
        }
    }

    #[test]
    fn a_name_or_path_that_leads_anywhere_is_told_under_its_key() {
        for (at, value, says) in [
            ("/name", "../../evil", "`name`: found the name `../../evil`"),
            ("/name", "nul", "`name`: found the name `nul`"),
            ("/splits/train/shards/1/bin/path", "/etc/x", "`splits.train.shards[1].bin.path`: "),
            ("/splits/val/spans/path", "../x", "`splits.val.spans.path`: found the path `../x`"),
            ("/splits/val/spans/path", "v.rows", "splits.val: the file `v.rows` is named twice"),
        ] {
            let said = said(at, value);

            assert!(said.contains(says), "{said}");
        }
        let mut manifest = whole();
        let train = manifest["splits"]["train"].take();
        manifest["splits"] = json!({ "../../x": train });
        let said = parse(&manifest).unwrap_err().to_string();
        assert!(said.contains("`splits`: found the name `../../x`"), "{said}");
    }

    #[test]
    fn a_manifest_without_splits_is_empty() {
        let said = said("/splits", json!({}));

        assert!(said.contains("the artifact is empty"), "{said}");
    }
}
