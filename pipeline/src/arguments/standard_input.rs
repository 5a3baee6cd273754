//! Standard input as an input: `-` stands for a file that what comes is written to, until the command ends.
//!
//! Jobs read their inputs at several places, and more than once: to compare them with what a result was made from.

use std::fs::File;
use std::io::{self, Read, Write};

use ratdata_tokenize::source::ending_of;
use tempfile::TempDir;

use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::ui::Ui;

/// What stands for standard input.
const NAME: &str = "-";

/// How much is read at a time.
const READ: usize = 1 << 20;

/// The inputs of a command, with a file in the place of standard input.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) named: Vec<String>,
    /// Removed with all that is in it when the command ends.
    _folder: Option<TempDir>,
}

impl Inputs {
    /// Takes inputs as they were named, and reads standard input where it is one of them.
    ///
    /// # Errors
    ///
    /// It is named twice, has no byte, or cannot be kept.
    pub(crate) fn take(ui: &Ui, named: &[String]) -> Result<Self, Failure> {
        match named.iter().filter(|name| *name == NAME).count() {
            0 => return Ok(Self { named: named.to_vec(), _folder: None }),
            1 => {}
            _ => return Err(Failure::message(Kind::Usage, "`-`: standard input is named twice")),
        }
        ui.note("reading standard input");
        let folder = TempDir::with_prefix("ratdata-").map_err(|wrong| unkept(&wrong))?;
        let path = keep(&mut io::stdin().lock(), &folder)?;
        let stands = |name: &String| if name == NAME { path.clone() } else { name.clone() };
        Ok(Self { named: named.iter().map(stands).collect(), _folder: Some(folder) })
    }
}

/// Writes what comes to a file, which is named by what its first bytes say that it is.
fn keep(from: &mut dyn Read, folder: &TempDir) -> Result<String, Failure> {
    let mut buffer = vec![0; READ];
    let mut held = fill(from, &mut buffer)?;
    if held == 0 {
        return Err(Failure::message(Kind::Failed, "`-`: standard input has no byte"));
    }
    let path = folder.path().join(format!("stdin.{}", ending_of(&buffer[..held])));
    let mut file = File::create_new(&path).map_err(|wrong| unkept(&wrong))?;
    while held > 0 {
        interrupt::check()?;
        file.write_all(&buffer[..held]).map_err(|wrong| unkept(&wrong))?;
        held = fill(from, &mut buffer)?;
    }
    Ok(path.display().to_string())
}

/// Fills a buffer as far as it goes.
fn fill(from: &mut dyn Read, buffer: &mut [u8]) -> Result<usize, Failure> {
    let mut held = 0;
    while held < buffer.len() {
        match from.read(&mut buffer[held..]) {
            Ok(0) => break,
            Ok(read) => held += read,
            Err(wrong) if wrong.kind() == io::ErrorKind::Interrupted => interrupt::check()?,
            Err(wrong) => {
                let message = format!("`-`: cannot read standard input: {wrong}");
                return Err(Failure::message(Kind::Failed, message));
            }
        }
    }
    Ok(held)
}

fn unkept(wrong: &io::Error) -> Failure {
    Failure::message(
        Kind::Failed,
        format!("`-`: cannot keep what comes from standard input: {wrong}"),
    )
    .hinted(Some("TMPDIR names the folder in which it is kept until the command ends"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_is_kept_as_what_it_is() {
        for (content, name) in [
            (&b"{\"text\": \"a\"}\n"[..], "stdin.jsonl"),
            (b"PAR1...", "stdin.parquet"),
            (b"\x1f\x8b\x08", "stdin.jsonl.gz"),
            (b"\x28\xb5\x2f\xfd", "stdin.jsonl.zst"),
            (b"ARROW1\0\0", "stdin.arrow"),
            (b"id,text\n1,a\n", "stdin.csv"),
        ] {
            let folder = TempDir::new().unwrap();

            let path = keep(&mut &*content, &folder).unwrap();

            assert!(path.ends_with(name), "{path}");
            assert_eq!(std::fs::read(&path).unwrap(), content);
        }
    }

    #[test]
    fn nothing_is_no_input() {
        let folder = TempDir::new().unwrap();

        let told = keep(&mut io::empty(), &folder).unwrap_err();

        assert_eq!(told.text(), "`-`: standard input has no byte");
    }
}
