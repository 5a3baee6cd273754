//! The files that an address of the hub stands for, as the hub lists them or as the cache recorded.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use super::download::Hub;
use super::error::HubError;
use super::repo::{Entry, Repo};
use crate::source::{LeftOut, Sifted, SplitFiles, is_text};

/// What an address stands for.
#[derive(Debug)]
pub(super) struct Listing {
    /// The files that are taken; plain texts come last, as in a job.
    pub(super) entries: Vec<Entry>,
    pub(super) left: LeftOut,
    /// The paths of all data files, of whatever split.
    all: Vec<String>,
}

impl Hub<'_> {
    /// Lists the files that a path stands for: itself, the data files below it, or, where its last
    /// name has a `*`, those that match it. Of a folder those of the splits in `take` are taken.
    pub(super) fn list_below(
        &self,
        repo: Repo<'_>,
        path: &str,
        take: SplitFiles,
    ) -> Result<Listing, HubError> {
        if let Some(listed) = self.listed(repo, path, take) {
            return Ok(listed);
        }
        let what = format!("{}/{path}", repo.id);
        if self.offline {
            let cached = self.cached(repo, path).filter(|_| !path.is_empty() && !is_pattern(path));
            let Some(file) = cached else {
                return Err(HubError::Offline { what, cache: self.cache.clone() });
            };
            let bytes = file.metadata().map_or(0, |metadata| metadata.len());
            return Ok(Listing::one(Entry::cached(path, bytes)));
        }
        // A name with a dot may be a file's or a folder's; the folder above it says which.
        if last_name(path).contains('.')
            && !is_pattern(path)
            && let Some(entry) = self.entry(repo, path)?
        {
            return Ok(Listing::one(entry));
        }
        let above = if is_pattern(path) {
            path.rsplit_once('/').map_or("", |(above, _)| above)
        } else {
            path
        };
        let mut entries = self.list(repo, above, true)?;
        if is_pattern(path) {
            let glob = globset::Glob::new(path)
                .map_err(|_| HubError::Address { address: what.clone() })?
                .compile_matcher();
            entries.retain(|entry| glob.is_match(&entry.path));
        }
        if entries.is_empty() {
            return Err(HubError::NotFound { what, endpoint: self.endpoint() });
        }
        Listing::sifted(repo, path, entries, take)
    }

    /// Records what a path stands for, once all that is taken of it was fetched, so that no listing
    /// is needed.
    pub(super) fn record_listing(
        &self,
        repo: Repo<'_>,
        path: &str,
        listing: &Listing,
    ) -> Result<(), HubError> {
        let target = self.listing(repo, path);
        let cache = |source| HubError::Cache { path: target.clone(), source };
        let folder = target.parent().unwrap_or(&self.cache);
        fs::create_dir_all(folder).map_err(cache)?;
        // Another process may record the same.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(cache)?;
        file.write_all(listing.all.join("\n").as_bytes()).map_err(cache)?;
        file.persist(&target).map_err(|wrong| cache(wrong.error))?;
        Ok(())
    }

    /// Returns what was recorded, where all that is taken of it is still there.
    fn listed(&self, repo: Repo<'_>, path: &str, take: SplitFiles) -> Option<Listing> {
        let listed = fs::read_to_string(self.listing(repo, path)).ok()?;
        if listed == path {
            let bytes = self.cached(repo, path)?.metadata().ok()?.len();
            return Some(Listing::one(Entry::cached(path, bytes)));
        }
        let entries = listed.lines().map(|path| Entry::cached(path, 0)).collect();
        let mut listing = Listing::sifted(repo, path, entries, take).ok()?;
        for entry in &mut listing.entries {
            entry.bytes = self.cached(repo, &entry.path)?.metadata().ok()?.len();
        }
        Some(listing)
    }

    fn listing(&self, repo: Repo<'_>, path: &str) -> PathBuf {
        let name = if path.is_empty() { "all".into() } else { path.replace('/', "-") };
        self.folder(repo).join(format!(".listing-{name}"))
    }
}

impl Listing {
    /// The listing of a file that is named by itself.
    fn one(entry: Entry) -> Self {
        let all = vec![entry.path.clone()];
        Self { entries: vec![entry], left: LeftOut::default(), all }
    }

    /// Sifts the files below a path, or those that match it.
    fn sifted(
        repo: Repo<'_>,
        path: &str,
        entries: Vec<Entry>,
        take: SplitFiles,
    ) -> Result<Self, HubError> {
        let what = || format!("hf://datasets/{}/{path}", repo.id);
        let named = entries.into_iter().map(|entry| (name_below(path, &entry.path), entry));
        let sifted = if is_pattern(path) {
            Sifted::pattern(named, path).checked(&what(), SplitFiles::All)?
        } else {
            Sifted::folder(named, take).checked(&what(), take)?
        };
        let left = sifted.left();
        let mut entries: Vec<Entry> = sifted.taken.into_iter().map(|(_, entry)| entry).collect();
        entries.sort_by_key(|entry| (is_text(&entry.path), entry.path.clone()));
        let others = sifted.other_splits.iter().map(|(_, entry)| entry);
        let all = entries.iter().chain(others).map(|entry| entry.path.clone()).collect();
        Ok(Self { entries, left, all })
    }
}

/// Returns the name that a file has by the path that it was found by, as a file below a local folder
/// would: a pattern's files are named by the last folder before its first wildcard.
pub(super) fn name_below(path: &str, file: &str) -> String {
    let root = match path.find('*') {
        Some(wildcard) => path[..wildcard].rsplit_once('/').map_or("", |(folder, _)| folder),
        None => path,
    };
    let below = file.strip_prefix(root).unwrap_or(file).trim_start_matches('/');
    if below.is_empty() { last_name(file).to_owned() } else { below.to_owned() }
}

fn is_pattern(path: &str) -> bool {
    last_name(path).contains('*')
}

fn last_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::repo::RepoKind;

    const REPO: Repo<'static> = Repo { kind: RepoKind::Dataset, id: "a/b", revision: "main" };

    fn sifted(path: &str, files: &[&str], take: SplitFiles) -> Result<Listing, HubError> {
        let entries = files.iter().map(|file| Entry::cached(file, 1)).collect();
        Listing::sifted(REPO, path, entries, take)
    }

    fn paths(listing: &Listing) -> Vec<&str> {
        listing.entries.iter().map(|entry| entry.path.as_str()).collect()
    }

    #[test]
    fn the_files_of_an_address_are_sifted_as_those_of_a_folder() {
        let files =
            ["README.md", "data/a.txt", "data/test-0.jsonl", "data/train-0.jsonl", "x.xlsx"];

        let train = sifted("", &files, SplitFiles::Train).unwrap();

        assert_eq!(paths(&train), ["data/train-0.jsonl", "data/a.txt"]);
        assert_eq!(train.left.other_splits, ["data/test-0.jsonl"]);
        assert_eq!(train.left.unknown, ["x.xlsx"]);
        assert_eq!(train.all, ["data/train-0.jsonl", "data/a.txt", "data/test-0.jsonl"]);
        let test = sifted("", &files, SplitFiles::Test).unwrap();
        assert_eq!(paths(&test), ["data/test-0.jsonl"]);
    }

    #[test]
    fn a_pattern_and_the_folder_that_is_named_ask_for_their_files() {
        let pattern = sifted("data/*.jsonl", &["data/test-0.jsonl"], SplitFiles::Train).unwrap();
        let folder = sifted("data/test", &["data/test/0.jsonl"], SplitFiles::Train).unwrap();
        let refused = sifted("data", &["data/test-0.jsonl"], SplitFiles::Train).unwrap_err();

        assert_eq!(paths(&pattern), ["data/test-0.jsonl"]);
        assert_eq!(paths(&folder), ["data/test/0.jsonl"]);
        assert!(refused.to_string().starts_with("`hf://datasets/a/b/data`: no file"), "{refused}");
    }

    #[test]
    fn a_file_is_named_by_what_it_was_found_by() {
        for (path, file, name) in [
            ("sample/10BT", "sample/10BT/a.parquet", "a.parquet"),
            ("data/*.jsonl", "data/a.jsonl", "a.jsonl"),
            ("data/a.jsonl", "data/a.jsonl", "a.jsonl"),
            ("", "data/a.jsonl", "data/a.jsonl"),
        ] {
            assert_eq!(name_below(path, file), name);
        }
    }
}
