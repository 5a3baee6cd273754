//! Repositories of the hub, and their files.

/// The kinds of repositories that are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum RepoKind {
    Model,
    Dataset,
}

impl RepoKind {
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
        }
    }
}

/// One repository at one revision.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repo<'a> {
    pub(super) kind: RepoKind,
    pub(super) id: &'a str,
    pub(super) revision: &'a str,
}

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) path: String,
    pub(super) bytes: u64,
    /// The object id of its content.
    pub(super) oid: String,
}

impl Entry {
    /// A file that the cache has.
    pub(super) fn cached(path: &str, bytes: u64) -> Self {
        Self { path: path.to_owned(), bytes, oid: String::new() }
    }
}

/// A repository whose names a request on another thread can keep.
pub(super) struct OwnedRepo {
    kind: RepoKind,
    id: String,
    revision: String,
}

impl OwnedRepo {
    pub(super) fn as_repo(&self) -> Repo<'_> {
        Repo { kind: self.kind, id: &self.id, revision: &self.revision }
    }
}

impl From<Repo<'_>> for OwnedRepo {
    fn from(repo: Repo<'_>) -> Self {
        Self { kind: repo.kind, id: repo.id.to_owned(), revision: repo.revision.to_owned() }
    }
}
