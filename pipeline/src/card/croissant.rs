//! Croissant 1.0: what a data set is, as JSON-LD that search engines and loaders read.

use ratdata_schemas::{FileRecord, Manifest};
use serde_json::{Map, Value, json};

use super::about::About;
use super::hashes::Hashes;
use super::holds::Holds;

/// Returns the metadata of an artifact.
pub(crate) fn croissant(manifest: &Manifest, about: &About, hashes: &Hashes) -> Value {
    let mut files: Vec<Value> =
        manifest.files().into_iter().map(|file| file_object(file, about, hashes)).collect();
    files.sort_by_key(|file| file["@id"].as_str().unwrap_or_default().to_owned());
    let mut metadata = Map::new();
    let mut set = |key: &str, value: Value| drop(metadata.insert(key.to_owned(), value));
    set("@context", context());
    set("@type", json!("sc:Dataset"));
    set("conformsTo", json!("http://mlcommons.org/croissant/1.0"));
    set("name", json!(about.title));
    set("description", json!(description(manifest, about)));
    if let Some(license) = &about.license {
        set("license", json!(license));
    }
    if let Some(url) = &about.url {
        set("url", json!(url));
    }
    if let Some(creator) = &about.creator {
        set("creator", json!({"@type": "sc:Organization", "name": creator}));
    }
    if !about.languages.is_empty() {
        set("inLanguage", json!(about.languages));
    }
    if let Some(published) = &about.published {
        set("datePublished", json!(published));
    }
    set("version", json!("1.0.0"));
    set("distribution", Value::Array(files));
    set("recordSet", json!([splits(manifest)]));
    Value::Object(metadata)
}

/// Says what the data are, in the user's words or in those of the manifest.
pub(super) fn description(manifest: &Manifest, about: &About) -> String {
    let tokenizer = &manifest.tokenizer;
    about.description.clone().unwrap_or_else(|| {
        format!(
            "Text as token ids of `{}` ({} ids), prepared for language-model training.",
            tokenizer.name, tokenizer.vocab_size
        )
    })
}

fn file_object(file: &FileRecord, about: &About, hashes: &Hashes) -> Value {
    let path = file.path.to_string();
    let address = match &about.url {
        Some(url) => format!("{}/resolve/main/{path}", url.trim_end_matches('/')),
        None => path.clone(),
    };
    json!({
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": address,
        "contentSize": format!("{} B", file.bytes),
        "encodingFormat": "application/octet-stream",
        "sha256": hashes.get(file),
    })
}

/// The splits as records, which are part of the metadata: the ids themselves are in no format that
/// Croissant describes.
fn splits(manifest: &Manifest) -> Value {
    let field = |name: &str, kind: &str, what: &str| {
        json!({
            "@type": "cr:Field",
            "@id": format!("splits/{name}"),
            "name": name,
            "description": what,
            "dataType": kind,
        })
    };
    let rows: Vec<Value> = manifest
        .splits
        .iter()
        .map(|(name, split)| {
            let holds = Holds::of(split);
            json!({
                "splits/name": name.as_str(),
                "splits/layout": holds.layout,
                "splits/records": holds.records,
                "splits/bytes": holds.bytes,
            })
        })
        .collect();
    json!({
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "The splits of the data set, and what each holds.",
        "key": {"@id": "splits/name"},
        "field": [
            field("name", "sc:Text", "The name of the split."),
            field("layout", "sc:Text", "What its records are."),
            field("records", "sc:Integer", "How many documents or rows it holds."),
            field("bytes", "sc:Integer", "How many bytes its files have."),
        ],
        "data": rows,
    })
}

/// The words of Croissant 1.0, as its own examples give them.
fn context() -> Value {
    let plain = [
        "citeAs",
        "column",
        "equivalentProperty",
        "extract",
        "field",
        "fileProperty",
        "fileObject",
        "fileSet",
        "format",
        "includes",
        "isLiveDataset",
        "jsonPath",
        "key",
        "md5",
        "parentField",
        "path",
        "recordSet",
        "references",
        "regex",
        "repeated",
        "replace",
        "samplingRate",
        "separator",
        "source",
        "subField",
        "transform",
    ];
    let others = [
        ("@language", json!("en")),
        ("@vocab", json!("https://schema.org/")),
        ("conformsTo", json!("dct:conformsTo")),
        ("cr", json!("http://mlcommons.org/croissant/")),
        ("data", json!({"@id": "cr:data", "@type": "@json"})),
        ("dataType", json!({"@id": "cr:dataType", "@type": "@vocab"})),
        ("dct", json!("http://purl.org/dc/terms/")),
        ("examples", json!({"@id": "cr:examples", "@type": "@json"})),
        ("rai", json!("http://mlcommons.org/croissant/RAI/")),
        ("sc", json!("https://schema.org/")),
    ];
    let mut words: Map<String, Value> =
        others.into_iter().map(|(word, meaning)| (word.to_owned(), meaning)).collect();
    words.extend(plain.map(|word| (word.to_owned(), Value::from(format!("cr:{word}")))));
    Value::Object(words)
}
