//! Input files by name: `hf://` addresses are fetched, paths and patterns are found on disk.

use std::ops::RangeInclusive;

use ratdata_schemas::narrow;

use super::address::Address;
use super::download::{FetchProgress, Hub};
use super::error::HubError;
use super::listing::Listing;
use super::repo::Entry;
use crate::source::{
    Found, FoundFile, LeftOut, SampleFile, SourceError, SourceFile, SplitFiles, find_files, gather,
};

/// The dataset of the reference: what is tokenized where no input is named.
pub const DEFAULT_INPUT: &str = "hf://datasets/HuggingFaceFW/fineweb-edu/sample/100BT";

/// The files that one input stands for.
enum Named<'a> {
    /// Files on disk.
    Local(Vec<FoundFile>),
    /// Files that the hub lists, or the cache recorded.
    Listed(Box<Listed<'a>>),
}

/// What an address of the hub stands for.
struct Listed<'a> {
    hub: Hub<'a>,
    address: Address,
    listing: Listing,
    take: SplitFiles,
}

impl Listed<'_> {
    /// Returns the files that are taken.
    fn entries(&self) -> &[Entry] {
        &self.listing.entries
    }

    /// Fetches one file, or takes it from the cache.
    fn fetch(&self, entry: &Entry) -> Result<FoundFile, HubError> {
        self.address.fetch(&self.hub, entry, self.take)
    }

    /// Records the listing, once all its files were fetched.
    fn record(&self) -> Result<(), HubError> {
        self.hub.record_listing(self.address.repo(), &self.address.path, &self.listing)
    }
}

/// Calls `each` with the files of every input, or of the default input; returns what was left out.
fn each_input(
    inputs: &[String],
    take: SplitFiles,
    progress: &dyn FetchProgress,
    mut each: impl FnMut(Named<'_>) -> Result<(), HubError>,
) -> Result<LeftOut, HubError> {
    let default = [DEFAULT_INPUT.to_owned()];
    let mut left_out = LeftOut::default();
    for input in if inputs.is_empty() { &default } else { inputs } {
        let Some(address) = Address::read(input)? else {
            let found = find_files(input, take)?;
            each(Named::Local(found.files))?;
            left_out.add(found.left);
            continue;
        };
        let hub = Hub::new(progress)?;
        let mut listing = address.list(&hub, take)?;
        let left = std::mem::take(&mut listing.left);
        each(Named::Listed(Box::new(Listed { hub, address, listing, take })))?;
        left_out.add(left);
    }
    Ok(left_out)
}

/// Finds the input files, whatever split they are of; `hf://` addresses are fetched, or taken from
/// the cache.
///
/// # Errors
///
/// An input matches nothing, or cannot be read or fetched.
pub fn resolve_inputs(
    inputs: &[String],
    progress: &dyn FetchProgress,
) -> Result<Vec<SourceFile>, HubError> {
    resolve_splits(inputs, SplitFiles::All, progress).map(|found| found.files)
}

/// Finds the input files as [`resolve_inputs`] does, but of folders and data sets those whose names
/// say that they are of the splits in `take`; the others are left out.
///
/// # Errors
///
/// As of [`resolve_inputs`], and where a folder has no file of those splits.
pub fn resolve_splits(
    inputs: &[String],
    take: SplitFiles,
    progress: &dyn FetchProgress,
) -> Result<Found<SourceFile>, HubError> {
    let mut files = Vec::new();
    let left = each_input(inputs, take, progress, |named| {
        match named {
            Named::Local(found) => files.extend(found),
            Named::Listed(listed) => {
                for entry in listed.entries() {
                    files.push(listed.fetch(entry)?);
                }
                listed.record()?;
            }
        }
        Ok(())
    })?;
    Ok(Found { files: gather(files)?, left })
}

/// Finds the input files as [`resolve_splits`] does, but of each `hf://` address only as many as
/// have `limit` documents together; `count` counts those of a file up to a number.
///
/// # Errors
///
/// As of [`resolve_splits`].
pub fn resolve_until(
    inputs: &[String],
    take: SplitFiles,
    limit: u64,
    count: &dyn Fn(&SourceFile, u64) -> Result<u64, SourceError>,
    progress: &dyn FetchProgress,
) -> Result<Found<SourceFile>, HubError> {
    let mut files = Vec::new();
    let left = each_input(inputs, take, progress, |named| {
        let listed = match named {
            Named::Local(found) => {
                files.extend(found);
                return Ok(());
            }
            Named::Listed(listed) => listed,
        };
        let mut wanted = limit;
        for entry in listed.entries() {
            if wanted == 0 {
                break;
            }
            let file = listed.fetch(entry)?;
            for file in gather(vec![file.clone()])? {
                wanted -= count(&file, wanted)?.min(wanted);
            }
            files.push(file);
        }
        Ok(())
    })?;
    Ok(Found { files: gather(files)?, left })
}

/// Finds input files for an estimate. An `hf://` address and an object store give a few files, evenly spread over their
/// list. Each of these stands for its neighbours.
///
/// # Errors
///
/// As of [`resolve_splits`].
pub fn resolve_sample(
    inputs: &[String],
    take: SplitFiles,
    progress: &dyn FetchProgress,
) -> Result<Found<SampleFile>, HubError> {
    let (mut files, mut local, mut stored) = (Vec::new(), Vec::new(), Vec::new());
    let is_stored = |file: &FoundFile| ratdata_objects::Address::of_path(&file.path).is_some();
    let left = each_input(inputs, take, progress, |named| {
        match named {
            Named::Local(found) if found.first().is_some_and(is_stored) => stored.extend(found),
            Named::Local(found) => local.extend(found),
            Named::Listed(listed) => {
                for around in samples(listed.entries(), |entry| entry.bytes) {
                    let file = listed.fetch(&around[around.len() / 2])?;
                    let bytes = around.iter().map(|entry| entry.bytes).sum();
                    let count = around.len();
                    let found = gather(vec![file])?.into_iter();
                    files.extend(found.map(|file| SampleFile { file, files: count, bytes }));
                }
            }
        }
        Ok(())
    })?;
    if !local.is_empty() {
        files.extend(gather(local)?.into_iter().map(SampleFile::from));
    }
    let stored = gather(stored)?;
    for around in samples(&stored, |file| file.bytes) {
        let file = around[around.len() / 2].clone();
        let bytes = around.iter().map(|file| file.bytes).sum();
        files.push(SampleFile { file, files: around.len(), bytes });
    }
    Ok(Found { files, left })
}

/// How many bytes an estimate fetches of one address, about, unless two files have more.
const SAMPLE_BYTES: u64 = 512 << 20;

/// How many files an estimate fetches of one address.
const SAMPLE_FILES: RangeInclusive<usize> = 2..=8;

/// Parts files that are listed into as many runs as files are looked at: the middle of each stands for its run.
fn samples<T>(entries: &[T], bytes: impl Fn(&T) -> u64) -> impl Iterator<Item = &[T]> {
    let total: u64 = entries.iter().map(bytes).sum();
    let mean = (total / entries.len().max(1) as u64).max(1);
    let (least, most) = SAMPLE_FILES.into_inner();
    let fitting: usize = narrow((SAMPLE_BYTES / mean).min(most as u64));
    let wanted = fitting.max(least).min(entries.len());
    (0..wanted).map(move |number| {
        &entries[number * entries.len() / wanted..(number + 1) * entries.len() / wanted]
    })
}
