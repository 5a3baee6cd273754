//! The SHA-256 of each file of an artifact, which Croissant asks for and the manifest does not have.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Read;
use std::path::Path;

use ratdata_schemas::{FileRecord, Manifest, open_regular};
use sha2::{Digest, Sha256};

use crate::failure::{Failure, Kind};
use crate::interrupt;

/// The SHA-256 of each file, by its path in the artifact.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hashes(BTreeMap<String, String>);

impl Hashes {
    /// Reads all files of an artifact.
    pub(crate) fn of(root: &Path, manifest: &Manifest) -> Result<Self, Failure> {
        let files = manifest.files();
        let hashes = files.into_iter().map(|file| Ok((file.path.to_string(), hash(root, file)?)));
        Ok(Self(hashes.collect::<Result<_, Failure>>()?))
    }

    /// Returns the hash of a file.
    pub(crate) fn get(&self, file: &FileRecord) -> &str {
        self.0.get(&file.path.to_string()).map_or("", String::as_str)
    }
}

fn hash(root: &Path, file: &FileRecord) -> Result<String, Failure> {
    let path = file
        .resolve(root)
        .map_err(|wrong| Failure::message(Kind::Failed, wrong.to_string()).hinted(wrong.hint()))?;
    let failed = |wrong: std::io::Error| {
        Failure::message(Kind::Failed, format!("{}: cannot be read: {wrong}", path.display()))
    };
    let mut opened = open_regular(&path).map_err(failed)?;
    let (mut hasher, mut buffer, mut bytes) = (Sha256::new(), vec![0; 1 << 20], 0_u64);
    loop {
        interrupt::check()?;
        match opened.read(&mut buffer).map_err(failed)? {
            0 => break,
            read => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
    if bytes != file.bytes {
        let what = format!("{}: {bytes} bytes, the manifest says {}", path.display(), file.bytes);
        return Err(Failure::message(Kind::Failed, what).hinted(Some("see `ratdata verify`")));
    }
    let mut text = String::with_capacity(64);
    for byte in hasher.finalize() {
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    Ok(text)
}
