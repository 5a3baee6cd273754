//! Sifts the files of a folder, or of a data set on the hub: what a job takes, and what it leaves.

use ratdata_schemas::recipe::SplitFiles;

use super::data_files::{Role, is_own_folder, names_ending, role_of};
use super::error::SourceError;
use super::split_names::SplitName;

/// The files of folders that are not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Data files of splits that were not asked for.
    pub other_splits: Vec<String>,
    /// Files of unknown kinds.
    pub unknown: Vec<String>,
}

impl LeftOut {
    pub(crate) fn add(&mut self, other: Self) {
        self.other_splits.extend(other.other_splits);
        self.unknown.extend(other.unknown);
    }
}

/// The files of a job, and what was left out.
#[derive(Clone, Debug, Default)]
pub struct Found<F> {
    /// The files that are read.
    pub files: Vec<F>,
    /// What is not.
    pub left: LeftOut,
}

/// The files of a folder, each with its name below it, sorted into what a job takes and what it
/// leaves.
#[derive(Debug)]
pub(crate) struct Sifted<F> {
    /// What is taken.
    pub(crate) taken: Vec<(String, F)>,
    /// What is left, of splits that were not asked for.
    pub(crate) other_splits: Vec<(String, F)>,
    unknown: Vec<String>,
    /// How many are about the data, or are not data.
    about: usize,
}

impl<F> Sifted<F> {
    /// Sifts the files below a folder.
    pub(crate) fn folder(files: impl IntoIterator<Item = (String, F)>, take: SplitFiles) -> Self {
        let mut sifted = Self::nothing();
        for (name, file) in files {
            match role_of(&name) {
                Role::Data if takes(take, &name) => sifted.taken.push((name, file)),
                Role::Data => sifted.other_splits.push((name, file)),
                Role::About => sifted.about += 1,
                Role::Unknown => sifted.unknown.push(name),
            }
        }
        sifted.sort();
        sifted
    }

    /// Sifts the files that match a pattern: what it names by its ending is taken as well, unless
    /// it is hidden.
    pub(crate) fn pattern(files: impl IntoIterator<Item = (String, F)>, pattern: &str) -> Self {
        let mut sifted = Self::nothing();
        for (name, file) in files {
            let own = name.split('/').any(is_own_folder);
            match role_of(&name) {
                Role::Data => sifted.taken.push((name, file)),
                _ if !own && names_ending(pattern, &name) => sifted.taken.push((name, file)),
                Role::About => sifted.about += 1,
                Role::Unknown => sifted.unknown.push(name),
            }
        }
        sifted.sort();
        sifted
    }

    fn nothing() -> Self {
        Self { taken: Vec::new(), other_splits: Vec::new(), unknown: Vec::new(), about: 0 }
    }

    fn sort(&mut self) {
        self.taken.sort_by(|one, other| one.0.cmp(&other.0));
        self.other_splits.sort_by(|one, other| one.0.cmp(&other.0));
        self.unknown.sort();
    }

    /// Returns what is left out.
    pub(crate) fn left(&self) -> LeftOut {
        let other_splits = self.other_splits.iter().map(|(name, _)| name.clone()).collect();
        LeftOut { other_splits, unknown: self.unknown.clone() }
    }

    /// Refuses a folder of which nothing is taken.
    ///
    /// # Errors
    ///
    /// No file is data, or none is of the split that was asked for.
    pub(crate) fn checked(self, input: &str, take: SplitFiles) -> Result<Self, SourceError> {
        if !self.taken.is_empty() {
            return Ok(self);
        }
        let input = input.to_owned();
        let LeftOut { other_splits: found, unknown } = self.left();
        if found.is_empty() {
            return Err(SourceError::NoData { input, about: self.about, unknown });
        }
        Err(SourceError::NoSplit { input, wanted: data_of(take), found })
    }
}
/// Returns whether a file is taken; its name begins below the folder that was named.
fn takes(wanted: SplitFiles, name: &str) -> bool {
    let split = SplitName::of(name);
    match wanted {
        SplitFiles::Train => !split.is_some_and(SplitName::is_held_out),
        SplitFiles::Validation => split == Some(SplitName::Validation),
        SplitFiles::Test => split == Some(SplitName::Test),
        SplitFiles::All => true,
    }
}

/// Returns what the files of these splits are called in messages.
fn data_of(wanted: SplitFiles) -> &'static str {
    match wanted {
        SplitFiles::Train => "training data",
        SplitFiles::Validation => "validation data",
        SplitFiles::Test => "test data",
        SplitFiles::All => "data",
    }
}
