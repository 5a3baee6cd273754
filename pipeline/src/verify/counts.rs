//! Checks of counts: the sources and documents of a manifest agree.

use std::collections::BTreeMap;
use std::path::Path;

use ratdata_schemas::{BinSet, Manifest, Shard, ShardRecord, SplitRecord, TokenId};
use ratdata_tokenize::corpus::Tokenize;
use ratdata_tokenize::provenance::{ProvenanceError, SplitProvenance};
use rayon::prelude::*;

use super::finding::Ended;

/// Checks that the sources give the documents of the splits, and that documents begin and end as the
/// configuration says.
pub(super) fn check_counts(root: &Path, manifest: &Manifest) -> Result<(), Ended> {
    for (name, split) in &manifest.splits {
        let provenance = match SplitProvenance::of(root, manifest, name.as_str()) {
            Ok(provenance) => provenance,
            // Packs and imports do not record how documents follow from sources.
            Err(ProvenanceError::Unknown { .. }) => continue,
            Err(wrong) => return Err(Ended::at(root, wrong)),
        };
        let SplitRecord::Shards { shards } = split else { continue };
        check_sources(root, manifest, (name.as_str(), shards), &provenance)?;
        let jobs: Option<Vec<&Tokenize>> =
            (0..manifest.sources.len()).map(|number| provenance.job(number)).collect();
        let Some(jobs) = jobs else { continue };
        let set = BinSet::from_manifest(root, manifest, name.as_str())
            .map_err(|wrong| Ended::at(root, wrong))?;
        let every = |has: fn(&Tokenize) -> bool| jobs.iter().all(|job| has(job));
        let bos = manifest.tokenizer.bos.filter(|_| every(|job| job.bos.is_on()));
        let eos = manifest.tokenizer.eos.filter(|_| every(|job| job.eos.is_on()));
        if every(|job| job.eos.is_on()) && eos.is_none() {
            let what = "documents end with EOS, and the manifest's tokenizer has none";
            return Err(Ended::at(root, what));
        }
        set.shards().iter().try_for_each(|shard| check_ends(shard, bos, eos))?;
    }
    Ok(())
}

/// Checks that each source gives as many documents as its shards have.
fn check_sources(
    root: &Path,
    manifest: &Manifest,
    (split, shards): (&str, &[ShardRecord]),
    provenance: &SplitProvenance,
) -> Result<(), Ended> {
    let mut held: BTreeMap<usize, u64> = BTreeMap::new();
    for shard in shards {
        // Merged shards do not record their source; their sum is checked above.
        let Some(source) = shard.source else { return Ok(()) };
        let sum = held.entry(source as usize).or_default();
        *sum = sum.saturating_add(shard.documents);
    }
    if let Some(beyond) = held.keys().find(|&&source| source >= manifest.sources.len()) {
        let what = format!(
            "split `{split}` has a shard of source {beyond}, and there are {} sources",
            manifest.sources.len()
        );
        return Err(Ended::at(root, what));
    }
    for (number, source) in manifest.sources.iter().enumerate() {
        let expected = provenance.of_source(number).count() as u64;
        let found = held.get(&number).copied().unwrap_or(0);
        if found != expected {
            let what = format!(
                "split `{split}` holds {found} documents of {}, its rows give {expected}",
                source.name
            );
            return Err(Ended::at(root, what));
        }
    }
    Ok(())
}

/// Checks the first and the last id of every document of a shard.
fn check_ends(shard: &Shard, bos: Option<TokenId>, eos: Option<TokenId>) -> Result<(), Ended> {
    let Some(index) = shard.index() else { return Ok(()) };
    let tokens = shard.bin().tokens();
    let at = |place: u64| usize::try_from(place).ok().and_then(|place| tokens.get(place));
    let wrong = (0..index.len()).into_par_iter().find_map_first(|document| {
        let range = index.range(document)?;
        let told = |what: &str, found: Option<TokenId>, expected: TokenId| {
            let found = found.map_or("nothing".into(), |id| format!("id {id}"));
            Some(format!("document {document} {what} {found}, expected {expected}"))
        };
        let first = at(range.start).filter(|_| !range.is_empty());
        let last = range.end.checked_sub(1).filter(|_| !range.is_empty()).and_then(at);
        match (bos, eos) {
            (Some(bos), _) if first != Some(bos) => told("begins with", first, bos),
            (_, Some(eos)) if last != Some(eos) => told("ends with", last, eos),
            _ => None,
        }
    });
    wrong.map_or(Ok(()), |what| Err(Ended::at(shard.bin().path(), what)))
}
