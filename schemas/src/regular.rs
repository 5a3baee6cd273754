//! Opens regular files to read, and refuses other kinds: a pipe would make a reader wait.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file to read.
///
/// A named pipe, a socket, a device or a folder is refused at once: opening a pipe without a writer
/// would wait forever.
///
/// # Errors
///
/// The system refuses, or the path is not a regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // Non-blocking: it changes nothing for a regular file, and other kinds are refused below.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
}

/// Reads a whole regular file.
///
/// # Errors
///
/// As [`open_regular`].
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn a_pipe_or_a_folder_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("x.bin");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();

        for path in [pipe.as_path(), folder.path()] {
            let refused = open_regular(path).unwrap_err();

            assert_eq!(refused.to_string(), "not a regular file");
        }
    }
}
