//! Fingerprints of input files: their size and a sample of their content.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ratdata_schemas::Checksum;

use super::{InputKind, SourceError, SourceFile};

/// How many places of a file are looked at.
const SAMPLES: u64 = 64;

/// How many bytes are read at each.
const SAMPLE_BYTES: u64 = 16 << 10;

/// Returns the fingerprint of an input: its size and 64 blocks of 16 KiB, evenly spread, with its
/// beginning and its end among them. A file of up to 1 MiB is read whole.
///
/// It tells a changed file at once in practice, without reading hundreds of gigabytes twice.
///
/// # Errors
///
/// The file cannot be read.
pub fn fingerprint(file: &SourceFile) -> Result<Checksum, SourceError> {
    let mut hasher = blake3::Hasher::new();
    match &file.kind {
        InputKind::Texts(paths) => {
            for path in paths {
                sample(path, &mut hasher)?;
            }
        }
        _ => sample(&file.path, &mut hasher)?,
    }
    Ok(hasher.finalize().into())
}

fn sample(path: &Path, hasher: &mut blake3::Hasher) -> Result<(), SourceError> {
    let mut read = || -> io::Result<()> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        hasher.update(&bytes.to_le_bytes());
        let last = bytes.saturating_sub(SAMPLE_BYTES);
        let places = if bytes <= SAMPLES * SAMPLE_BYTES {
            (0..bytes.div_ceil(SAMPLE_BYTES)).map(|block| block * SAMPLE_BYTES).collect()
        } else {
            (0..SAMPLES).map(|number| last / (SAMPLES - 1) * number).collect::<Vec<_>>()
        };
        let mut block = Vec::new();
        for place in places.into_iter().chain([last]) {
            let len = SAMPLE_BYTES.min(bytes - place);
            block.resize(usize::try_from(len).unwrap_or(0), 0);
            file.read_exact_at(&mut block, place)?;
            hasher.update(&block);
        }
        Ok(())
    };
    read().map_err(|source| SourceError::Io { path: path.to_owned(), source })
}
