//! How an artifact was made: a graph of levels.
//!
//! The first level has sources and the tokenizer. Then each step follows its inputs. The last level has
//! the runs that were trained on the artifact.

use std::path::Path;

use ratdata_schemas::recipe::{MergedInput, Mix, Recipe};
use ratdata_schemas::{Manifest, SplitRecord};
use serde::Serialize;

use ratdata_console::{grouped, sized};

/// A chain of bases longer than this is not followed.
const LONGEST: usize = 8;

/// More sources or inputs than this share one box.
const APART: usize = 4;

/// One box of the graph; it follows from all boxes of the level before.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Node {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) settings: String,
}

impl Node {
    fn plain(kind: &'static str, name: String, about: String) -> Self {
        Self { kind, name, about, settings: String::new() }
    }
}

/// Returns the levels of an artifact, from its first sources to the artifact.
///
/// They begin later if a base is missing.
pub(crate) fn levels_of(root: &Path, manifest: &Manifest) -> Vec<Vec<Node>> {
    let mut levels = vec![vec![artifact(root, manifest)]];
    let (mut root, mut manifest) = (root.to_owned(), manifest.clone());
    while let Some(base) = manifest.base.take().filter(|_| levels.len() < LONGEST) {
        root = root.join(&base.path);
        let Ok(read) = Manifest::read(&root) else {
            let about = "its base, which is not there".into();
            levels.push(vec![Node::plain("source", base.path.clone(), about)]);
            levels.reverse();
            return levels;
        };
        levels.push(vec![artifact(&root, &read)]);
        manifest = read;
    }
    match &manifest.recipe {
        Recipe::Merge(merge) => levels.push(merged(&merge.inputs)),
        Recipe::Mix(mix) => levels.push(mixed(mix)),
        _ => {}
    }
    let mut first = sources(&manifest);
    let record = &manifest.tokenizer;
    let about = format!("{}, {} ids", record.semantics, grouped(record.vocab_size.into()));
    first.push(Node::plain("tokenizer", record.name.clone(), about));
    levels.push(first);
    levels.reverse();
    levels
}

fn sources(manifest: &Manifest) -> Vec<Node> {
    if manifest.sources.len() <= APART {
        let node = |source: &ratdata_schemas::SourceRecord| {
            let about = format!("{}, {} rows", sized(source.bytes), grouped(source.rows));
            Node::plain("source", source.name.clone(), about)
        };
        return manifest.sources.iter().map(node).collect();
    }
    let bytes = manifest.sources.iter().map(|source| source.bytes).fold(0, u64::saturating_add);
    let rows = manifest.sources.iter().map(|source| source.rows).fold(0, u64::saturating_add);
    let name = format!("{} files", grouped(manifest.sources.len() as u64));
    vec![Node::plain("source", name, format!("{}, {} rows", sized(bytes), grouped(rows)))]
}

/// Returns the artifacts that were joined.
fn merged(inputs: &[MergedInput]) -> Vec<Node> {
    if inputs.len() > APART {
        let name = format!("{} artifacts", grouped(inputs.len() as u64));
        return vec![Node::plain("artifact", name, "joined in their order".into())];
    }
    let node = |input: &MergedInput| {
        let counted =
            |(split, count): (&String, &u64)| format!("{split}: {} documents", grouped(*count));
        Node {
            kind: "artifact",
            name: format!("{} → {}", input.recipe, input.name),
            about: input.documents.iter().map(counted).collect::<Vec<_>>().join(", "),
            settings: settings(&input.recipe),
        }
    };
    inputs.iter().map(node).collect()
}

/// Returns the artifacts that a mix takes documents of.
fn mixed(mix: &Mix) -> Vec<Node> {
    if mix.sources.len() > APART {
        let name = format!("{} artifacts", grouped(mix.sources.len() as u64));
        return vec![Node::plain("artifact", name, "mixed".into())];
    }
    let node = |source: &ratdata_schemas::recipe::MixedSource| {
        let input = &source.input;
        let given = |(split, given): (&String, &u64)| {
            let there = input.documents.get(split).copied().unwrap_or(0);
            format!("{split}: {} of {} documents", grouped(*given), grouped(there))
        };
        Node {
            kind: "artifact",
            name: format!("{} → {}, {}", input.recipe, input.name, source.take),
            about: source.given.iter().map(given).collect::<Vec<_>>().join(", "),
            settings: settings(&input.recipe),
        }
    };
    mix.sources.iter().map(node).collect()
}

/// Returns the name of a folder as the user wrote it; for a folder such as `.`, its real name.
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
        name: format!("{} → {name}", manifest.recipe),
        about: splits.join(", "),
        settings: settings(&manifest.recipe),
    }
}

/// Returns the settings of a step as they are shown.
fn settings(recipe: &Recipe) -> String {
    serde_json::to_string_pretty(recipe).unwrap_or_default()
}
