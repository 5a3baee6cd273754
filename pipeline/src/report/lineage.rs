//! How an artifact came to be: its sources, the steps of its base chain, and what was trained on it.

use std::path::Path;

use ratdata_schemas::{Manifest, SplitRecord};
use serde::Serialize;

use crate::quantity::{grouped, sized};

/// A chain of bases longer than this is not followed.
const LONGEST: usize = 8;

/// One box of the graph; it follows from the one before.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Node {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) settings: String,
}

/// Returns the chain that leads to an artifact, its first sources first.
///
/// A base that is gone ends it.
pub(crate) fn chain_of(root: &Path, manifest: &Manifest) -> Vec<Node> {
    let mut nodes = vec![artifact(root, manifest)];
    let (mut root, mut manifest) = (root.to_owned(), manifest.clone());
    while let Some(base) = manifest.base.take().filter(|_| nodes.len() < LONGEST) {
        root = root.join(&base.path);
        let Ok(read) = Manifest::read(&root) else {
            nodes.push(Node {
                kind: "source",
                name: base.path.clone(),
                about: "its base, which is not there".into(),
                settings: String::new(),
            });
            break;
        };
        nodes.push(artifact(&root, &read));
        manifest = read;
    }
    if !manifest.sources.is_empty() {
        nodes.push(sources(&manifest));
    }
    nodes.reverse();
    nodes
}

fn sources(manifest: &Manifest) -> Node {
    let bytes = manifest.sources.iter().map(|source| source.bytes).fold(0, u64::saturating_add);
    let rows = manifest.sources.iter().map(|source| source.rows).fold(0, u64::saturating_add);
    let name = match &manifest.sources[..] {
        [only] => only.name.clone(),
        many => format!("{} files", grouped(many.len() as u64)),
    };
    Node {
        kind: "source",
        name,
        about: format!("{}, {} rows", sized(bytes), grouped(rows)),
        settings: String::new(),
    }
}

/// Returns what the user calls a folder; for one such as `.`, its own name.
pub(crate) fn name_of(folder: &Path) -> String {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let real = || folder.canonicalize().ok().and_then(|real| name(&real));
    name(folder).or_else(real).unwrap_or_default()
}

fn artifact(root: &Path, manifest: &Manifest) -> Node {
    let name = name_of(root);
    let splits: Vec<String> = manifest
        .splits
        .iter()
        .map(|(name, split)| {
            let (count, what) = match split {
                SplitRecord::Shards { shards } => {
                    (shards.iter().map(|shard| shard.tokens).fold(0, u64::saturating_add), "tokens")
                }
                SplitRecord::Pairs(pairs) => (pairs.rows, "rows"),
                SplitRecord::Pack(pack) => (pack.rows, "rows"),
                SplitRecord::Rows(rows) => (rows.pack.rows, "rows"),
            };
            format!("{name}: {} {what}", grouped(count))
        })
        .collect();
    Node {
        kind: "artifact",
        name: format!("{} → {name}", step_of(manifest)),
        about: splits.join(", "),
        settings: serde_json::to_string_pretty(&manifest.config).unwrap_or_default(),
    }
}

/// Returns the command that made an artifact, by what its configuration has.
fn step_of(manifest: &Manifest) -> &'static str {
    let has = |key: &str| manifest.config.get(key).is_some();
    if has("pack") {
        "pack"
    } else if has("task") {
        "sft"
    } else if has("text_column") {
        "tokenize"
    } else {
        "import"
    }
}
