//! What an artifact that others are made of leaves in their recipes.

use std::path::Path;

use crate::bin_set::manifest_checksum;
use crate::manifest::{Manifest, ManifestError};
use crate::recipe::MergedInput;
use crate::records::SplitRecord;

/// Describes the artifact in `root`, to the byte: its manifest names its files with their checksums.
///
/// # Errors
///
/// The manifest cannot be read again.
pub fn merged_input(root: &Path, manifest: &Manifest) -> Result<MergedInput, ManifestError> {
    let documents = |split: &SplitRecord| match split {
        SplitRecord::Shards { shards } => shards.iter().map(|shard| shard.documents).sum(),
        _ => 0,
    };
    let counted = manifest.splits.iter().map(|(name, split)| (name.to_string(), documents(split)));
    Ok(MergedInput {
        manifest: manifest_checksum(root)?,
        name: manifest.name.to_string(),
        sources: manifest.sources.len(),
        documents: counted.collect(),
        recipe: manifest.recipe.clone(),
    })
}
