//! Addresses of data sets on the hub, such as `hf://datasets/OWNER/NAME/PATH`.

use ratdata_schemas::RelativePath;

use super::archive;
use super::download::Hub;
use super::error::HubError;
use super::listing::{Listing, name_below};
use super::repo::{Entry, Repo, RepoKind};
use crate::source::{FoundFile, SplitFiles};

/// The scheme of addresses on the hub.
const SCHEME: &str = "hf://";

/// What `hf://datasets/OWNER/NAME[@REVISION]/PATH` names.
pub(super) struct Address {
    input: String,
    id: String,
    revision: String,
    pub(super) path: String,
    /// `…/data.zip!inner/file.jsonl` names a file within an archive.
    inner: Option<String>,
}

impl Address {
    /// Reads an address; none where the input is a path.
    pub(super) fn read(input: &str) -> Result<Option<Self>, HubError> {
        let malformed = || HubError::Address { address: input.to_owned() };
        let Some(address) = input.strip_prefix(SCHEME) else { return Ok(None) };
        let rest = address.strip_prefix("datasets/").ok_or_else(malformed)?;
        let mut parts = rest.splitn(3, '/');
        let (Some(owner), Some(name)) = (parts.next(), parts.next()) else {
            return Err(malformed());
        };
        let (name, revision) = name.split_once('@').unwrap_or((name, "main"));
        let path = parts.next().unwrap_or("").trim_end_matches('/');
        let (path, inner) =
            path.split_once('!').map_or((path, None), |(path, inner)| (path, Some(inner)));
        // Each becomes a path in the cache.
        let stays = |part: &str| RelativePath::new(part).is_ok();
        if ![owner, name, revision].into_iter().all(stays) || !(path.is_empty() || stays(path)) {
            return Err(malformed());
        }
        Ok(Some(Self {
            input: input.to_owned(),
            id: format!("{owner}/{name}"),
            revision: revision.to_owned(),
            path: path.to_owned(),
            inner: inner.map(str::to_owned),
        }))
    }

    pub(super) fn repo(&self) -> Repo<'_> {
        Repo { kind: RepoKind::Dataset, id: &self.id, revision: &self.revision }
    }

    pub(super) fn list(&self, hub: &Hub<'_>, take: SplitFiles) -> Result<Listing, HubError> {
        hub.list_below(self.repo(), &self.path, take)
    }

    /// Fetches a file, and names it as a file below a local folder would be.
    pub(super) fn fetch(
        &self,
        hub: &Hub<'_>,
        entry: &Entry,
        take: SplitFiles,
    ) -> Result<FoundFile, HubError> {
        let path = hub.fetch_entry(self.repo(), entry)?;
        if let Some(inner) = &self.inner {
            let path = archive::member(&path, inner)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Ok(FoundFile::new(name, path, take));
        }
        let name = name_below(&self.path, &entry.path);
        if name.is_empty() {
            return Err(HubError::Address { address: self.input.clone() });
        }
        Ok(FoundFile::new(name, path, take))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_repository_a_revision_and_a_path() {
        let read = |input: &str| Address::read(input);

        let address = read("hf://datasets/a/b@v1/c/d.zip!e/f.jsonl").unwrap().unwrap();
        assert_eq!((address.id.as_str(), address.revision.as_str()), ("a/b", "v1"));
        assert_eq!(
            (address.path.as_str(), address.inner.as_deref()),
            ("c/d.zip", Some("e/f.jsonl"))
        );
        assert!(read("corpus/a.jsonl").unwrap().is_none());
        for wrong in [
            "hf://models/a/b",
            "hf://datasets/a",
            "hf://datasets//b/c",
            "hf://datasets/a/b@/c",
            "hf://datasets/../b/c",
            "hf://datasets/a/b@../c",
            "hf://datasets/a/b/../../c",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
