//! What the system says when it refuses to write, and what the user can do about it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::SIGXFSZ;
use signal_hook::flag;

/// Returns what the user can do where the system refused to write a file, where there is something.
pub fn refusal_hint(source: &io::Error) -> Option<&'static str> {
    match source.kind() {
        io::ErrorKind::StorageFull => Some("free some space and run the same command again"),
        io::ErrorKind::QuotaExceeded => Some(
            "the quota is used up: free some space, or ask for more, and run the same command again",
        ),
        io::ErrorKind::FileTooLarge => Some(
            "files may not grow so large here: `ulimit -f` shows the limit; raise it, or choose another file system, and run the same command again",
        ),
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            Some("a file stands where a folder is needed; choose another `--out`")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Some("choose a folder that you may write with `--out`")
        }
        _ => None,
    }
}

/// Returns what the user can do, as [`refusal_hint`] does, where a library tells the refusal in words
/// alone: they end with the system's number of it, as in `(os error 28)`.
pub fn refusal_hint_in(words: &str) -> Option<&'static str> {
    let (_, number) = words.rsplit_once("(os error ")?;
    let (number, _) = number.split_once(')')?;
    refusal_hint(&io::Error::from_raw_os_error(number.parse().ok()?))
}

/// Makes a limit on the size of files (`ulimit -f`) an error like a full disk, where by default
/// the system ends the program without a word.
///
/// The signal is handled, not ignored: a handler ends with `exec`, so that children have what they
/// expect, and an ignored signal would stay ignored in each of them.
///
/// # Errors
///
/// The system refuses the handler.
pub fn tell_file_limit() -> io::Result<()> {
    // The flag itself is of no use: the write that was refused says more.
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false))).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_may_not_grow_is_told_with_the_limit_to_raise() {
        let too_large = io::Error::from_raw_os_error(27);

        assert!(refusal_hint(&too_large).unwrap().contains("ulimit -f"));
        assert!(refusal_hint(&io::ErrorKind::StorageFull.into()).unwrap().contains("space"));
        assert_eq!(refusal_hint(&io::ErrorKind::NotFound.into()), None);
        let words = format!("I/O error: {too_large}");
        assert_eq!(refusal_hint_in(&words), refusal_hint(&too_large));
        assert_eq!(refusal_hint_in("shape mismatch (2)"), None);
    }
}
