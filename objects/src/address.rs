//! Addresses of objects: `s3://BUCKET/KEY`, `gs://…`, `az://CONTAINER/…`, `https://HOST/PATH`.
//!
//! An address is also a path of the program, as an input or an output is: a path that begins with one of the
//! schemes names an object, and never a file on disk.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What an address begins with: which protocol its store speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Amazon S3, and stores that speak its protocol.
    S3,
    /// Google Cloud Storage.
    Gs,
    /// Azure Blob Storage.
    Az,
    /// A file of a web server, over TLS.
    Https,
    /// A file of a web server, without TLS.
    Http,
    /// The memory of this process, for tests.
    Memory,
}

impl Scheme {
    const ALL: [Self; 6] = [Self::S3, Self::Gs, Self::Az, Self::Https, Self::Http, Self::Memory];

    /// Returns what an address of this kind begins with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::S3 => "s3://",
            Self::Gs => "gs://",
            Self::Az => "az://",
            Self::Https => "https://",
            Self::Http => "http://",
            Self::Memory => "memory://",
        }
    }

    /// Returns whether objects can be listed and written: a web server only shows single files.
    pub fn is_store(self) -> bool {
        !matches!(self, Self::Https | Self::Http)
    }
}

/// A text that is an address by its scheme, and no right one.
#[derive(Clone, Debug, Error)]
#[error("`{address}`: not an address of an object: {reason}; expected such as `s3://BUCKET/KEY`")]
pub struct AddressError {
    /// What was given.
    pub address: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The address of an object, or of all objects whose keys begin so.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    scheme: Scheme,
    /// The bucket, container, or host.
    bucket: String,
    /// What names the object there: without a `/` at either end.
    key: String,
}

impl Address {
    /// Returns whether a text has the form of an address, right or wrong.
    pub fn is_one(text: &str) -> bool {
        Scheme::ALL.iter().any(|scheme| text.starts_with(scheme.prefix()))
    }

    /// Reads an address; none where the text is a path on disk.
    ///
    /// # Errors
    ///
    /// It names no bucket, or has a `.`, `..` or empty part, or a query.
    pub fn read(text: &str) -> Result<Option<Self>, AddressError> {
        let found = Scheme::ALL
            .iter()
            .find_map(|scheme| Some((*scheme, text.strip_prefix(scheme.prefix())?)));
        let Some((scheme, rest)) = found else { return Ok(None) };
        let malformed = |reason| AddressError { address: text.to_owned(), reason };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if matches!(bucket, "" | "." | "..") {
            return Err(malformed("it names no bucket"));
        }
        let key = key.strip_suffix('/').unwrap_or(key);
        if !scheme.is_store() && key.contains(['?', '#']) {
            return Err(malformed("a query or fragment is not read"));
        }
        let wrong = |part: &str| matches!(part, "" | "." | "..");
        if !key.is_empty() && key.split('/').any(wrong) {
            return Err(malformed("a part between two `/` is empty, `.` or `..`"));
        }
        Ok(Some(Self { scheme, bucket: bucket.to_owned(), key: key.to_owned() }))
    }

    /// Reads the address that a path is; none where it is a path on disk, or no right address.
    pub fn of_path(path: &Path) -> Option<Self> {
        Self::read(path.to_str()?).ok().flatten()
    }

    /// Returns the address as a path of the program.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(self.to_string())
    }

    /// Returns its scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns its bucket, container or host.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Returns what names the object in its bucket.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the last part of the key; of a whole bucket, the bucket's name.
    pub fn name(&self) -> &str {
        match self.key.rsplit_once('/') {
            Some((_, name)) => name,
            None if self.key.is_empty() => &self.bucket,
            None => &self.key,
        }
    }

    /// Returns the address of what is below this one; `name` may have several parts.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let key = if self.key.is_empty() { name.into() } else { format!("{}/{name}", self.key) };
        Self { scheme: self.scheme, bucket: self.bucket.clone(), key }
    }

    /// Returns the address that a path leads to from here, such as `../tokens`; none where it leads out of the bucket.
    pub fn resolve(&self, path: &str) -> Option<Self> {
        if path.starts_with('/') {
            return None;
        }
        let mut parts: Vec<&str> = self.key.split('/').filter(|part| !part.is_empty()).collect();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()?),
                part => parts.push(part),
            }
        }
        Some(self.with_key(&parts.join("/")))
    }

    /// Returns another key of the same bucket.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self { scheme: self.scheme, bucket: self.bucket.clone(), key: key.to_owned() }
    }

    /// Returns the part of another address that is below this one.
    pub fn below<'a>(&self, other: &'a Self) -> Option<&'a str> {
        if (self.scheme, &self.bucket) != (other.scheme, &other.bucket) {
            return None;
        }
        if self.key.is_empty() {
            return Some(&other.key);
        }
        other.key.strip_prefix(&self.key)?.strip_prefix('/')
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.scheme.prefix(), self.bucket)?;
        if self.key.is_empty() { Ok(()) } else { write!(f, "/{}", self.key) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::read(text).unwrap().unwrap()
    }

    #[test]
    fn an_address_has_a_scheme_a_bucket_and_a_key() {
        let found = address("s3://corpora/web/a b.parquet");

        assert_eq!(found.scheme(), Scheme::S3);
        assert_eq!((found.bucket(), found.key()), ("corpora", "web/a b.parquet"));
        assert_eq!(found.name(), "a b.parquet");
        assert_eq!(found.to_string(), "s3://corpora/web/a b.parquet");
        assert_eq!(Address::of_path(&found.path()), Some(found));
        assert_eq!(address("gs://corpora/").key(), "");
        assert_eq!(address("gs://corpora").name(), "corpora");
        assert_eq!(address("az://c/web/").key(), "web");
    }

    #[test]
    fn a_path_is_no_address_and_a_wrong_address_is_an_error() {
        for path in ["data/a.jsonl", "/s3/a", "s3:/a/b", "hf://datasets/a/b", "-", ""] {
            assert_eq!(Address::read(path).unwrap(), None, "{path}");
        }
        for wrong in
            ["s3://", "s3:///a", "s3://../a", "gs://b/../c", "az://c/a//b", "https://h/a.jsonl?x=1"]
        {
            assert!(Address::is_one(wrong));
            assert!(Address::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_below_an_address_is_named_from_there() {
        let root = address("s3://b/tokens");

        assert_eq!(root.join("shards/x.bin"), address("s3://b/tokens/shards/x.bin"));
        assert_eq!(root.below(&root.join("shards/x.bin")), Some("shards/x.bin"));
        assert_eq!(root.below(&address("s3://b/tokens-2/x.bin")), None);
        assert_eq!(root.below(&address("s3://c/tokens/x.bin")), None);
        assert_eq!(address("s3://b").below(&address("s3://b/x.bin")), Some("x.bin"));
        assert_eq!(address("s3://b").join("x"), address("s3://b/x"));
        assert_eq!(root.resolve("../packed/a"), Some(address("s3://b/packed/a")));
        assert_eq!(root.resolve("../../x"), None);
        assert_eq!(root.resolve("/data/tokens"), None);
    }
}
