//! Reads archives (tar) of files of JSON lines: their members in order, as one source.
//!
//! An archive is read once, from its beginning to its end. So its members are what a folder's files
//! are, but what is wrong with one is told when it is come to.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tar::{Archive, Entry, EntryType};

use super::data_files::{Format, Role, format_of, role_of};
use super::error::SourceError;
use super::foreign;
use super::input_file::InputFile;
use super::json_text::text_of;
use super::lines::read_objects;
use super::row_text::{BadText, RowText, Undecodable};
use super::rows::{Batches, Rows, Stopped};
use super::split_names::SplitName;
use super::streams::{self, Compression};

/// Which members of an archive are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Members {
    /// Those of all splits.
    All,
    /// Those of training data; one whose name says that it is held out is an error.
    Train,
}

/// An archive of files of JSON lines.
#[derive(Debug)]
pub struct TarSource {
    file: InputFile,
    compression: Compression,
    members: Members,
    field: String,
}

/// How much is read at a time.
const READ: usize = 128 << 10;

/// How many bytes of zeros end an archive, at least.
const END: u64 = 512;

impl TarSource {
    /// Opens an archive; `field` is the name of the text field, with dots where it is nested.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or is something else.
    pub fn open(
        path: &Path,
        compression: Compression,
        members: Members,
        field: &str,
    ) -> Result<Self, SourceError> {
        let file = InputFile::find(path)?;
        foreign::check(&file)?;
        let source = Self { file, compression, members, field: field.to_owned() };
        streams::open(&source.file, compression, 0, &Arc::default()).map(|_| source)
    }

    /// Returns the file.
    pub(crate) fn file(&self) -> &InputFile {
        &self.file
    }

    /// Returns how the archive is compressed.
    pub(crate) fn compression(&self) -> Compression {
        self.compression
    }

    /// Returns the name of the text field.
    pub(super) fn field(&self) -> &str {
        &self.field
    }

    /// Returns the text of one line.
    ///
    /// # Errors
    ///
    /// The line is no JSON object, or its text field is missing or no string.
    pub fn text<'a>(
        &self,
        line: &'a [u8],
        undecodable: Undecodable,
    ) -> Result<RowText<'a>, BadText> {
        text_of(line, &self.field, undecodable)
    }

    /// Reads the rows of all members.
    ///
    /// # Errors
    ///
    /// The archive cannot be read, ends early, or has a member that is neither data nor about data, or is held out;
    /// a member is damaged; or `stopped` said so.
    pub fn read(
        &self,
        stopped: Stopped<'_>,
        each: &mut dyn FnMut(Rows) -> bool,
    ) -> Result<(), SourceError> {
        let taken: Arc<AtomicU64> = Arc::default();
        let stream = streams::open(&self.file, self.compression, 0, &taken)?;
        let mut batches = Batches::new(&taken, each);
        let mut archive = Archive::new(Watched { stream, zeros: 0 });
        let entries = archive.entries().map_err(|wrong| self.failure("its beginning", &wrong))?;
        let mut before = "its beginning".to_owned();
        for entry in entries {
            if stopped() {
                return Err(SourceError::Stopped);
            }
            let entry = entry.map_err(|wrong| self.failure(&before, &wrong))?;
            let Some(name) = self.name_of(&entry)? else { continue };
            before = format!("what follows member `{name}`");
            if !self.read_member(entry, &name, stopped, &mut batches)? {
                return Ok(());
            }
        }
        self.check_end(archive.into_inner(), &before)?;
        batches.hand_on();
        Ok(())
    }

    /// Returns the name of a member that is read.
    fn name_of<R: Read>(&self, entry: &Entry<'_, R>) -> Result<Option<String>, SourceError> {
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind == EntryType::XGlobalHeader {
            return Ok(None);
        }
        let name = entry.path_bytes();
        let path = || self.file.path().to_owned();
        let Ok(name) = std::str::from_utf8(&name) else {
            return Err(self.refused(&String::from_utf8_lossy(&name), "a name that is not UTF-8"));
        };
        let name = name.trim_start_matches("./");
        match role_of(name) {
            Role::About => return Ok(None),
            Role::Data if matches!(format_of(name), Some((Format::Lines(_), _))) => {}
            Role::Data | Role::Unknown => {
                return Err(self.refused(name, "a kind of file that is not read in archives"));
            }
        }
        if !(kind.is_file() || kind.is_contiguous() || kind.is_gnu_sparse()) {
            return Err(self.refused(name, "a link or a device"));
        }
        match SplitName::of(name).filter(|split| split.is_held_out()) {
            Some(split) if self.members == Members::Train => {
                let (path, member) = (path(), name.to_owned());
                Err(SourceError::HeldOutMember { path, member, split: split.as_str() })
            }
            _ => Ok(Some(name.to_owned())),
        }
    }

    fn refused(&self, member: &str, found: &'static str) -> SourceError {
        let (path, member) = (self.file.path().to_owned(), member.to_owned());
        SourceError::Member { path, member, found }
    }

    /// Reads the rows of one member; returns whether to continue.
    fn read_member<R: Read>(
        &self,
        entry: Entry<'_, R>,
        name: &str,
        stopped: Stopped<'_>,
        batches: &mut Batches<'_>,
    ) -> Result<bool, SourceError> {
        let Some((Format::Lines(compression), _)) = format_of(name) else { return Ok(true) };
        let member: Arc<str> = name.into();
        let whole = Whole { left: entry.size(), entry };
        let reader = BufReader::with_capacity(READ, whole);
        let mut stream = streams::decompressed(reader, compression)
            .map_err(|wrong| self.failure(&format!("member `{name}`"), &wrong))?;
        read_objects(self.file.path(), stream.as_mut(), Some(&member), stopped, batches)
    }

    /// Checks that the archive ended with its mark, and that nothing is behind it.
    fn check_end(&self, mut end: Watched, before: &str) -> Result<(), SourceError> {
        let damaged = |reason: &str| SourceError::Damaged {
            path: self.file.path().to_owned(),
            place: before.to_owned(),
            reason: reason.to_owned(),
        };
        if end.zeros < END {
            return Err(damaged(
                "the archive ends without the blocks of zeros that end one: it was cut, or its writer did not close it",
            ));
        }
        let mut buffer = vec![0; READ];
        loop {
            match end.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) if buffer[..read].iter().all(|&byte| byte == 0) => {}
                Ok(_) => {
                    return Err(damaged(
                        "other bytes follow the end of the archive: was another archive appended to it?",
                    ));
                }
                Err(wrong) if wrong.kind() == io::ErrorKind::Interrupted => {}
                Err(wrong) => return Err(self.failure(before, &wrong)),
            }
        }
    }

    fn failure(&self, place: &str, wrong: &io::Error) -> SourceError {
        streams::failure(self.file.path(), place.to_owned(), wrong)
    }
}

/// The stream of an archive, which remembers how many zeros it gave last.
struct Watched {
    stream: Box<dyn BufRead>,
    zeros: u64,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        let given = &buffer[..read];
        let zeros = given.iter().rev().take_while(|&&byte| byte == 0).count();
        self.zeros = if zeros == read { self.zeros + zeros as u64 } else { zeros as u64 };
        Ok(read)
    }
}

/// A member that is as long as its header says.
struct Whole<'a, R: Read> {
    entry: Entry<'a, R>,
    left: u64,
}

impl<R: Read> Read for Whole<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.entry.read(buffer)?;
        self.left = self.left.saturating_sub(read as u64);
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            let reason = format!("the archive ends {} bytes before the member does", self.left);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::rows::Cell;
    use super::*;

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, content) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn read(content: &[u8], members: Members) -> Result<Vec<(String, String)>, SourceError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let source = TarSource::open(file.path(), Compression::None, members, "text")?;
        let mut found = Vec::new();
        source.read(&|| false, &mut |rows| {
            for cell in rows.cells {
                let Cell::Json(place, json) = cell else { unreachable!() };
                let text = source.text(&json, Undecodable::Refuse).unwrap().text.into_owned();
                found.push((place.to_string(), text));
            }
            true
        })?;
        Ok(found)
    }

    const LINES: &[u8] = b"{\"text\": \"a\"}\n\n{\"text\": \"b\"}";

    #[test]
    fn members_are_read_in_order_and_named() {
        let long = format!("{}/c.jsonl", "deep/".repeat(40).trim_end_matches('/'));
        let packed = zstd::encode_all(LINES, 1).unwrap();
        let content = archive(&[
            ("README.md", b"about"),
            ("./b.jsonl", LINES),
            ("a.jsonl.zst", &packed),
            ("empty.jsonl", b""),
            (&long, b"[{\"text\": \"c\"}]"),
        ]);

        let read = read(&content, Members::Train).unwrap();

        let places: Vec<(&str, &str)> =
            read.iter().map(|(place, text)| (place.as_str(), text.as_str())).collect();
        let last = format!("`{long}`, row 0, line 1");
        assert_eq!(
            places,
            [
                ("`b.jsonl`, line 1", "a"),
                ("`b.jsonl`, line 3", "b"),
                ("`a.jsonl.zst`, line 1", "a"),
                ("`a.jsonl.zst`, line 3", "b"),
                (&last, "c"),
            ]
        );
    }

    #[test]
    fn an_archive_that_is_cut_anywhere_is_told() {
        let content = archive(&[("a.jsonl", LINES), ("b.jsonl", LINES)]);
        // Two blocks of zeros end it; one of them is enough.
        let end = content.len() - 512;
        for len in (1..end).step_by(7).chain([512, 1024, 1536, end - 512]) {
            let told = read(&content[..len], Members::All).unwrap_err().to_string();
            assert!(told.contains("damaged at "), "{len}: {told}");
        }
        assert_eq!(read(&content[..end], Members::All).unwrap().len(), 4);
        let told = read(&content[..600], Members::All).unwrap_err().to_string();
        assert!(told.contains("`a.jsonl`"), "{told}");
        let told = read(&content[..2048], Members::All).unwrap_err().to_string();
        assert!(told.contains("what follows member `b.jsonl`: the archive ends without"), "{told}");
    }

    #[test]
    fn nothing_of_an_archive_is_left_out_in_silence() {
        let twice = archive(&[("a.jsonl", LINES)]).repeat(2);
        let told = read(&twice, Members::All).unwrap_err().to_string();
        assert!(told.contains("other bytes follow the end of the archive"), "{told}");

        let images = archive(&[("a.jsonl", LINES), ("b.jpg", b"x")]);
        let told = read(&images, Members::All).unwrap_err().to_string();
        assert!(told.contains("member `b.jpg`: a kind of file that is not read"), "{told}");

        let splits = archive(&[("train.jsonl", LINES), ("test.jsonl", LINES)]);
        assert_eq!(read(&splits, Members::All).unwrap().len(), 4);
        let told = read(&splits, Members::Train).unwrap_err();
        assert!(matches!(told, SourceError::HeldOutMember { .. }), "{told}");
    }
}
