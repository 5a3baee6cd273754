//! Checksums of input files: of all their bytes, which are read once until a file is touched.
//!
//! An object is told by its size and entity tag, and not read for that. Where a record is of a content, as of a file
//! that was copied into a store, its content is compared.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use parquet::file::reader::Length;
use ratdata_objects::{Address, Object, State};
use ratdata_schemas::{Checksum, FileState, Identity, Known, TOUCHED, narrow};

use super::input_file::{InputFile, ReadAt};
use super::{InputKind, SourceError, SourceFile};

/// An input as it was seen at one moment: a write after it shows.
#[derive(Clone, Debug)]
pub struct Seen {
    files: Vec<(PathBuf, Look)>,
    /// Whether it is several files, however many there are.
    texts: bool,
}

/// What was seen of a file.
#[derive(Clone, Debug)]
enum Look {
    File(FileState),
    /// Every answer of the store is compared with it.
    Object(State),
}

impl Look {
    fn of(path: &Path) -> Result<Self, SourceError> {
        Ok(match Address::of_path(path) {
            Some(address) => Self::Object(Object::open(&address)?.state().clone()),
            None => Self::File(FileState::of(path).map_err(io_error(path))?),
        })
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::File(state) => state.identity.bytes(),
            Self::Object(state) => state.bytes,
        }
    }
}

/// What a result records of an input that it was made from.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// Its size, where that was recorded.
    pub bytes: Option<u64>,
    /// The checksum of its content, or of samples of it.
    pub fingerprint: &'a Checksum,
}

impl Seen {
    /// Looks at an input, without reading it.
    ///
    /// # Errors
    ///
    /// It cannot be opened, or is no regular file.
    pub fn of(file: &SourceFile) -> Result<Self, SourceError> {
        let look = |path: &PathBuf| Ok((path.clone(), Look::of(path)?));
        let files = file.paths().iter().map(look).collect::<Result<_, SourceError>>()?;
        Ok(Self { files, texts: matches!(file.kind, InputKind::Texts(_)) })
    }

    /// Returns how many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, look)| look.bytes()).sum()
    }

    /// Returns the checksum of the content that was seen: what is known, or else read now.
    ///
    /// # Errors
    ///
    /// It cannot be read, or was touched since; `stop` was set, which is
    /// [`io::ErrorKind::Interrupted`].
    pub fn fingerprint(&self, known: &Known, stop: &AtomicBool) -> Result<Checksum, SourceError> {
        self.joined(|path, look| match look {
            Look::File(state) => known.checksum(path, state, stop).map_err(io_error(path)),
            Look::Object(state) => {
                Ok(Checksum::of(format!("object {} {}", state.bytes, state.tag).as_bytes()))
            }
        })
    }

    /// Returns the checksum of the content that was seen, of objects too, which are read for it; none where no
    /// object is among the files.
    fn content(&self, known: &Known, stop: &AtomicBool) -> Result<Option<Checksum>, SourceError> {
        if !self.files.iter().any(|(_, look)| matches!(look, Look::Object(_))) {
            return Ok(None);
        }
        let content = self.joined(|path, look| match look {
            Look::File(state) => known.checksum(path, state, stop).map_err(io_error(path)),
            Look::Object(_) => checksum_of_object(path, stop),
        });
        content.map(Some)
    }

    /// Joins the checksums of the files to one.
    fn joined(
        &self,
        checksum: impl Fn(&Path, &Look) -> Result<Checksum, SourceError>,
    ) -> Result<Checksum, SourceError> {
        let checksum = |(path, look): &(PathBuf, Look)| checksum(path, look);
        if let ([file], false) = (self.files.as_slice(), self.texts) {
            return checksum(file);
        }
        let mut lines = String::new();
        for file in &self.files {
            lines.push_str(checksum(file)?.as_str());
            lines.push('\n');
        }
        Ok(Checksum::of(lines.as_bytes()))
    }

    /// Checks that nothing was touched since it was seen.
    ///
    /// # Errors
    ///
    /// A file was, or cannot be opened any more.
    pub fn check(&self) -> Result<(), SourceError> {
        for (path, look) in &self.files {
            let Look::File(state) = look else { continue };
            if Identity::of(path).map_err(io_error(path))? != state.identity {
                return Err(SourceError::Touched { path: path.clone() });
            }
        }
        Ok(())
    }
}

/// Returns how an input differs from what is recorded of it, in words; none where it is the same.
///
/// The file is read whole where it is not known, for example after it was touched. A record of samples
/// can show that a file is another one, but not that it is the same, unless the samples are all of it.
///
/// # Errors
///
/// The input cannot be read, or is touched while it is.
pub fn changed(
    file: &SourceFile,
    recorded: Recorded<'_>,
    known: &Known,
    stop: &AtomicBool,
) -> Result<Option<String>, SourceError> {
    let seen = Seen::of(file)?;
    if let Some(bytes) = recorded.bytes.filter(|bytes| *bytes != seen.bytes()) {
        return Ok(Some(format!("size: {bytes} -> {} bytes", seen.bytes())));
    }
    let found = seen.fingerprint(known, stop)?;
    if found == *recorded.fingerprint {
        return Ok(None);
    }
    if let Some(content) = seen.content(known, stop)? {
        return Ok((content != *recorded.fingerprint).then(|| {
            "content: it has another size or entity tag than the object that was read, and another content".into()
        }));
    }
    if sampled(file)? == *recorded.fingerprint {
        let whole = seen.files.iter().all(|(_, look)| look.bytes() <= SAMPLED_WHOLE);
        return Ok((!whole).then(|| {
            "content: an older version recorded 64 samples of it, which do not show an edit between them"
                .into()
        }));
    }
    Ok(Some(format!("content: {:.12} -> {:.12}", recorded.fingerprint.as_str(), found.as_str())))
}

/// How many places of a file older versions looked at, and how many bytes they read at each.
const SAMPLES: u64 = 64;
const SAMPLE_BYTES: u64 = 16 << 10;

/// The size up to which the samples are the whole file.
const SAMPLED_WHOLE: u64 = SAMPLES * SAMPLE_BYTES;

/// Returns the fingerprint that older versions gave an input: its size and 64 blocks of 16 KiB,
/// evenly spread, with its beginning and its end among them.
///
/// # Errors
///
/// The file cannot be read.
pub fn sampled(file: &SourceFile) -> Result<Checksum, SourceError> {
    let mut hasher = blake3::Hasher::new();
    for path in file.paths() {
        let input = InputFile::find(path)?.at_any_place()?;
        sample(&input, &mut hasher).map_err(SourceError::reading(path))?;
    }
    Ok(hasher.finalize().into())
}

fn sample(file: &ReadAt, hasher: &mut blake3::Hasher) -> io::Result<()> {
    let bytes = file.len();
    hasher.update(&bytes.to_le_bytes());
    let last = bytes.saturating_sub(SAMPLE_BYTES);
    let places = if bytes <= SAMPLED_WHOLE {
        (0..bytes.div_ceil(SAMPLE_BYTES)).map(|block| block * SAMPLE_BYTES).collect()
    } else {
        (0..SAMPLES).map(|number| last / (SAMPLES - 1) * number).collect::<Vec<_>>()
    };
    for place in places.into_iter().chain([last]) {
        let len = SAMPLE_BYTES.min(bytes - place);
        hasher.update(&file.bytes_at(place, narrow(len))?);
    }
    Ok(())
}

/// How many bytes of an object are read at a time.
const READ: usize = 1 << 20;

/// Returns the checksum of the content of a file or an object, which is read.
///
/// # Errors
///
/// It cannot be read, or `stop` was set.
pub fn checksum_of(path: &Path, stop: &AtomicBool) -> Result<Checksum, SourceError> {
    match Address::of_path(path) {
        Some(_) => checksum_of_object(path, stop),
        None => Checksum::of_file(path, stop).map_err(io_error(path)),
    }
}

fn checksum_of_object(path: &Path, stop: &AtomicBool) -> Result<Checksum, SourceError> {
    let mut stream = InputFile::find(path)?.stream(0)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ];
    while !stop.load(Ordering::Relaxed) {
        match stream.read(&mut buffer).map_err(SourceError::reading(path))? {
            0 => return Ok(hasher.finalize().into()),
            read => hasher.update(&buffer[..read]),
        };
    }
    Err(SourceError::Stopped)
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> SourceError + '_ {
    |source| {
        let path = path.to_owned();
        let touched = source.kind() == io::ErrorKind::Other && source.to_string() == TOUCHED;
        if touched { SourceError::Touched { path } } else { SourceError::Io { path, source } }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;
    use crate::source::Compression;

    static NO_STOP: AtomicBool = AtomicBool::new(false);

    fn put(path: &Path, bytes: &[u8]) -> SourceFile {
        File::create(path).unwrap().write_all(bytes).unwrap();
        SourceFile {
            path: path.to_owned(),
            name: "x.jsonl".into(),
            stem: "x".into(),
            kind: InputKind::Lines(Compression::None),
            bytes: bytes.len() as u64,
        }
    }

    fn ask(file: &SourceFile, fingerprint: &Checksum, known: &Known) -> Option<String> {
        let recorded = Recorded { bytes: Some(file.bytes), fingerprint };
        changed(file, recorded, known, &NO_STOP).unwrap()
    }

    #[test]
    fn an_edit_between_the_samples_is_seen_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.jsonl");
        let mut bytes = vec![b'x'; 3 << 20];
        let file = put(&path, &bytes);
        let known = Known::default();
        let whole = Seen::of(&file).unwrap().fingerprint(&known, &NO_STOP).unwrap();
        let samples = sampled(&file).unwrap();
        assert_eq!(whole, Checksum::of(&bytes));
        assert_eq!((ask(&file, &whole, &known), known.reads()), (None, 1));

        bytes[20 << 10] = b'y';
        put(&path, &bytes);

        assert_eq!(sampled(&file).unwrap(), samples);
        let told = ask(&file, &whole, &known).unwrap();
        assert!(told.starts_with(&format!("content: {:.12} -> ", whole.as_str())), "{told}");
        let told = ask(&file, &samples, &known).unwrap();
        assert!(told.contains("64 samples"), "{told}");
        let longer = put(&path, &[&bytes[..], b"z"].concat());
        let recorded = Recorded { bytes: Some(file.bytes), fingerprint: &whole };
        let told = changed(&longer, recorded, &known, &NO_STOP).unwrap().unwrap();
        assert_eq!(told, "size: 3145728 -> 3145729 bytes");
    }

    #[test]
    fn a_record_of_before_that_saw_all_bytes_still_tells() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.jsonl");
        let file = put(&path, b"one");
        let samples = sampled(&file).unwrap();
        let known = Known::default();

        assert_eq!(ask(&file, &samples, &known), None);
        let file = put(&path, b"two");
        assert!(ask(&file, &samples, &known).unwrap().starts_with("content: "));
    }

    #[test]
    fn a_file_that_is_touched_under_a_reader_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.jsonl");
        let file = put(&path, b"one");
        let seen = Seen::of(&file).unwrap();
        seen.check().unwrap();

        put(&path, b"two");

        assert!(matches!(seen.check(), Err(SourceError::Touched { .. })));
        let read = seen.fingerprint(&Known::default(), &NO_STOP);
        assert!(matches!(read, Err(SourceError::Touched { .. })));
    }
}
