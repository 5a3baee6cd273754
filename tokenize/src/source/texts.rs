//! Reads plain text files, one document each.

use std::collections::VecDeque;
use std::io::{BufRead, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::data_files::{Format, format_of};
use super::error::SourceError;
use super::foreign::{BOM, check_text};
use super::input_file::InputFile;
use super::rows::{Cell, Rows, Stopped};
use super::streams::{self, Compression};

/// How many files are found before they are read: those of a store are then on their way.
const AHEAD: usize = 16;

/// Gives the text of each file to `each` until that returns `false`.
pub(super) fn read(
    paths: &[PathBuf],
    stopped: Stopped<'_>,
    each: &mut dyn FnMut(Rows) -> bool,
) -> Result<(), SourceError> {
    let mut waiting = paths.iter();
    let mut found = VecDeque::new();
    let mut first = 0;
    loop {
        for path in waiting.by_ref().take(AHEAD - found.len()) {
            let file = InputFile::find(path)?;
            file.begin()?;
            found.push_back(file);
        }
        let Some(file) = found.pop_front() else { break };
        check_text(&file)?;
        let taken = Arc::new(AtomicU64::new(0));
        let text = text_of(&file, &taken, stopped)?;
        let input_bytes = taken.load(Ordering::Relaxed);
        if !each(Rows { first, cells: vec![Cell::Text(text)], input_bytes }) {
            break;
        }
        first += 1;
    }
    Ok(())
}

/// Reads one file whole, without the mark that some editors put before text in UTF-8.
fn text_of(
    file: &InputFile,
    taken: &Arc<AtomicU64>,
    stopped: Stopped<'_>,
) -> Result<Vec<u8>, SourceError> {
    let path = file.path();
    let compression = match path.file_name().map(|name| name.to_string_lossy().into_owned()) {
        Some(name) => match format_of(&name) {
            Some((Format::Text(compression), _)) => compression,
            _ => Compression::None,
        },
        None => Compression::None,
    };
    let mut reader = streams::open(file, compression, 0, taken)?;
    let mut text = Vec::new();
    loop {
        if stopped() {
            return Err(SourceError::Stopped);
        }
        let held = match reader.fill_buf() {
            Err(wrong) if wrong.kind() == ErrorKind::Interrupted => continue,
            Err(wrong) => {
                return Err(streams::failure(path, format!("byte {}", text.len()), &wrong));
            }
            Ok(held) => held,
        };
        if held.is_empty() {
            break;
        }
        text.extend_from_slice(held);
        let len = held.len();
        reader.consume(len);
    }
    if text.starts_with(BOM) {
        text.drain(..BOM.len());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    fn texts(files: &[(&str, &[u8])]) -> Result<Vec<Vec<u8>>, SourceError> {
        let folder = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        for (name, content) in files {
            paths.push(folder.path().join(name));
            File::create(paths.last().unwrap()).unwrap().write_all(content).unwrap();
        }
        let mut texts = Vec::new();
        read(&paths, &|| false, &mut |rows| {
            texts.extend(rows.cells.into_iter().map(|cell| match cell {
                Cell::Text(text) => text,
                other => panic!("{other:?}"),
            }));
            true
        })?;
        Ok(texts)
    }

    #[test]
    fn a_mark_at_the_beginning_is_no_text() {
        let marked = b"\xef\xbb\xbfa\r\n\xef\xbb\xbfb";
        let zst = zstd::encode_all(&marked[..], 1).unwrap();

        let read = texts(&[("a.txt", marked), ("b.txt.zst", &zst), ("c.txt", b"")]).unwrap();

        assert_eq!(read, [&b"a\r\n\xef\xbb\xbfb"[..], b"a\r\n\xef\xbb\xbfb", b""]);
    }

    #[test]
    fn a_pointer_is_no_document_and_the_source_of_a_page_is_one() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 1\n";

        assert!(matches!(texts(&[("a.txt", pointer)]), Err(SourceError::Pointer { .. })));
        assert!(matches!(texts(&[("a.txt.gz", pointer)]), Err(SourceError::Pointer { .. })));
        assert_eq!(texts(&[("a.txt", b"<html>")]).unwrap().len(), 1);
    }

    #[test]
    fn a_stop_is_noticed_within_a_file() {
        let mut file = tempfile::Builder::new().suffix(".txt").tempfile().unwrap();
        file.write_all(&vec![b'x'; 8 << 20]).unwrap();
        let asked = std::cell::Cell::new(0);

        let ended = read(
            &[file.path().to_owned()],
            &|| {
                asked.set(asked.get() + 1);
                asked.get() > 2
            },
            &mut |_| panic!("no whole text is given"),
        );

        assert!(matches!(ended, Err(SourceError::Stopped)));
    }
}
