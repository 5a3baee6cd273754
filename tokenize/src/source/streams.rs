//! Opens files of lines and texts, compressed or not, as streams of bytes.
//!
//! Gzip is read as `gzip` reads it: members one after the other, and zero bytes behind the last,
//! as tapes and archives pad files. A frame of Zstandard may look back as far as `zstd --long=31`
//! writes, 2 GiB; the thread that reads it then takes that much memory.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::GzDecoder;

use super::error::SourceError;
use super::input_file::InputFile;
use super::store_failure::store_failure;

/// How a file of lines or text is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Gzip, one member or several.
    Gzip,
    /// Zstandard, one frame or several.
    Zstd,
}

/// The largest window of a Zstandard frame, as a power of two: what the format's own program reads
/// at most.
const WINDOW_LOG: u32 = 31;

/// How much is taken from the disk or the store at a time where it is decompressed.
const TAKEN: usize = 128 << 10;

/// How much is handed on at a time.
const HANDED: usize = 1 << 20;

/// Opens a file at a place of its bytes; `read` counts them as they are taken.
pub(super) fn open(
    file: &InputFile,
    compression: Compression,
    start: u64,
    read: &Arc<AtomicU64>,
) -> Result<Box<dyn BufRead>, SourceError> {
    let counted = Counted { file: file.stream(start)?, read: read.clone() };
    if compression == Compression::None {
        return Ok(Box::new(BufReader::with_capacity(HANDED, counted)));
    }
    decompressed(BufReader::with_capacity(TAKEN, counted), compression)
        .map_err(SourceError::reading(file.path()))
}

/// Decompresses a stream.
pub(super) fn decompressed<'a>(
    stream: impl BufRead + 'a,
    compression: Compression,
) -> io::Result<Box<dyn BufRead + 'a>> {
    let stream: Box<dyn Read + 'a> = match compression {
        Compression::None => return Ok(Box::new(stream)),
        Compression::Gzip => Box::new(Members::new(stream)),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(stream)?;
            decoder.window_log_max(WINDOW_LOG)?;
            Box::new(decoder)
        }
    };
    Ok(Box::new(BufReader::with_capacity(HANDED, stream)))
}

/// Tells why a stream could not be read on.
pub(super) fn failure(path: &Path, place: String, wrong: &io::Error) -> SourceError {
    if let Some(wrong) = store_failure(wrong) {
        return SourceError::Object(wrong.clone());
    }
    let (path, reason) = (path.to_owned(), wrong.to_string());
    // The decoder has no other word for a window that is too large, or too large for this machine.
    if reason.contains("too much memory") || reason.contains("not enough memory") {
        return SourceError::Window { path, reason };
    }
    SourceError::Damaged { path, place, reason }
}

/// The members of a gzip file, one after the other, up to padding of zero bytes.
struct Members<R> {
    /// None where the last member has ended.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    fn new(file: R) -> Self {
        Self { member: Some(GzDecoder::new(file)) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            self.member = match self.member.take().map(GzDecoder::into_inner) {
                Some(file) => next_member(file)?.map(GzDecoder::new),
                None => None,
            };
        }
        Ok(0)
    }
}

/// Returns the file where its next member begins; none where only padding follows.
fn next_member<R: BufRead>(mut file: R) -> io::Result<Option<R>> {
    loop {
        let held = match file.fill_buf() {
            Err(wrong) if wrong.kind() == io::ErrorKind::Interrupted => continue,
            held => held?,
        };
        let Some(&first) = held.first() else { return Ok(None) };
        match held.iter().position(|&byte| byte != 0) {
            None => {
                let len = held.len();
                file.consume(len);
            }
            Some(0) if first == 0x1f => return Ok(Some(file)),
            Some(0) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!(
                        "behind its last member the gzip file continues with byte {first:#04x}, which begins neither a member nor padding"
                    ),
                ));
            }
            Some(zeros) => file.consume(zeros),
        }
    }
}

/// A file that counts what is read of it.
struct Counted {
    file: Box<dyn Read>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(content: &[u8], compression: Compression) -> io::Result<Vec<u8>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let mut text = Vec::new();
        let file = InputFile::find(file.path()).unwrap();
        open(&file, compression, 0, &Arc::default()).unwrap().read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn members_and_padding_are_read_over() {
        let zeros = vec![0; 300_000];
        for content in [
            gzip(b"onetwo"),
            [gzip(b"one"), gzip(b"two")].concat(),
            [gzip(b"one"), vec![0; 7], gzip(b""), gzip(b"two"), vec![0; 512]].concat(),
            [gzip(b"onetwo"), zeros].concat(),
        ] {
            assert_eq!(read(&content, Compression::Gzip).unwrap(), b"onetwo");
        }
    }

    #[test]
    fn what_is_neither_a_member_nor_padding_is_an_error() {
        for rest in [&b"junk"[..], b"\0\0junk", b"\x1f\x8b", b"\x1fx"] {
            let content = [&gzip(b"one")[..], rest].concat();

            assert!(read(&content, Compression::Gzip).is_err(), "{rest:?}");
        }
        let told = read(&[&gzip(b"one")[..], b"\0J"].concat(), Compression::Gzip).unwrap_err();
        assert!(told.to_string().contains("continues with byte 0x4a"), "{told}");
    }

    /// A frame of one raw block whose header asks for a window of `10 + exponent` bits.
    fn frame(exponent: u8, text: &[u8]) -> Vec<u8> {
        let block = u32::try_from(text.len()).unwrap() << 3 | 1;
        let header = [0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3];
        [&header[..], &block.to_le_bytes()[..3], text].concat()
    }

    #[test]
    fn a_window_of_two_gibibytes_is_read_and_a_larger_one_is_named() {
        assert_eq!(read(&frame(21, b"far back"), Compression::Zstd).unwrap(), b"far back");

        let wrong = read(&frame(22, b"farther"), Compression::Zstd).unwrap_err();
        let told = failure(Path::new("x.zst"), "line 1".into(), &wrong);

        assert!(matches!(told, SourceError::Window { .. }), "{told}");
    }
}
