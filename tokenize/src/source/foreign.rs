//! Recognises files that are not what their names say: pointers of Git LFS, pages of a web server,
//! pipes, and text in UTF-16.
//!
//! They are found before a file is read, because a reader of documents would call each of them
//! damaged, or take it for a document.

use std::fs::{FileType, Metadata};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::error::SourceError;
use super::input_file::InputFile;
use crate::git_lfs;

/// How much of a file is looked at.
const LOOKED_AT: u64 = 1024;

/// The mark that some editors put before text in UTF-8.
pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

/// What a file is instead of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// What Git leaves in the place of a large file.
    Pointer,
    /// A page of a web server, in the place of what was to be fetched.
    Page,
}

impl Foreign {
    /// Recognises the beginning of a file.
    pub(crate) fn of(beginning: &[u8]) -> Option<Self> {
        if git_lfs::is_pointer(beginning) {
            return Some(Self::Pointer);
        }
        let text = beginning.strip_prefix(BOM).unwrap_or(beginning).trim_ascii_start();
        let begins = |with: &str| {
            text.get(..with.len()).is_some_and(|text| text.eq_ignore_ascii_case(with.as_bytes()))
        };
        let page = ["<!doctype html", "<html", "<?xml"].into_iter().any(begins);
        page.then_some(Self::Page)
    }

    /// Returns the error of a file that is so.
    pub(super) fn error(self, path: &Path) -> SourceError {
        let path = path.to_owned();
        match self {
            Self::Pointer => SourceError::Pointer { path },
            Self::Page => SourceError::Page { path },
        }
    }
}

/// Looks at the beginning of a file of tables or lines.
pub(super) fn check(file: &InputFile) -> Result<(), SourceError> {
    match Foreign::of(&file.beginning(LOOKED_AT)?) {
        Some(foreign) => Err(foreign.error(file.path())),
        None => Ok(()),
    }
}

/// Looks at the beginning of a plain text, which may well be the source of a page.
pub(super) fn check_text(file: &InputFile) -> Result<(), SourceError> {
    match Foreign::of(&file.beginning(LOOKED_AT)?) {
        Some(Foreign::Pointer) => Err(Foreign::Pointer.error(file.path())),
        _ => Ok(()),
    }
}

/// Refuses what is no file on disk, whose parts could be read at several places at once.
pub(super) fn check_kind(path: &Path, metadata: &Metadata) -> Result<(), SourceError> {
    let Some(found) = kind_of(metadata.file_type()) else { return Ok(()) };
    Err(SourceError::NoFile { path: path.to_owned(), found })
}

/// Returns what something is that is no file on disk.
fn kind_of(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        None
    } else if kind.is_fifo() {
        Some("a pipe (FIFO)")
    } else if kind.is_socket() {
        Some("a socket")
    } else if kind.is_dir() {
        Some("a folder")
    } else {
        Some("a device")
    }
}

/// Returns the name of the encoding that the first bytes of a text say, where it is not UTF-8.
pub(super) fn other_encoding(text: &[u8]) -> Option<&'static str> {
    const MARKS: [(&[u8], &str); 4] = [
        (b"\xff\xfe\0\0", "UTF-32"),
        (b"\0\0\xfe\xff", "UTF-32"),
        (b"\xff\xfe", "UTF-16"),
        (b"\xfe\xff", "UTF-16"),
    ];
    MARKS.iter().find(|(mark, _)| text.starts_with(mark)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_and_pages_are_told_from_data() {
        for (beginning, foreign) in [
            (
                &b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\n"[..],
                Some(Foreign::Pointer),
            ),
            (b"\n <!DOCTYPE HTML PUBLIC>", Some(Foreign::Page)),
            (b"\xef\xbb\xbf<html lang=en>", Some(Foreign::Page)),
            (b"<?xml version=\"1.0\"?><Error>", Some(Foreign::Page)),
            (b"{\"text\": \"<html>\"}", None),
            (b"PAR1", None),
            (b"", None),
        ] {
            assert_eq!(Foreign::of(beginning), foreign, "{beginning:?}");
        }
    }

    #[test]
    fn a_mark_names_its_encoding() {
        assert_eq!(other_encoding(b"\xff\xfeh\0"), Some("UTF-16"));
        assert_eq!(other_encoding(b"\xfe\xff\0h"), Some("UTF-16"));
        assert_eq!(other_encoding(b"\xff\xfe\0\0h\0\0\0"), Some("UTF-32"));
        assert_eq!(other_encoding(b"\xef\xbb\xbfh"), None);
        assert_eq!(other_encoding(b""), None);
    }
}
