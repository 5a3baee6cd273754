//! Hints for errors of the system when it refuses to write.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::SIGXFSZ;
use signal_hook::flag;

/// Returns what the user can do after the system refused to write a file, if there is something.
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

/// Returns the same as [`refusal_hint`] for an error that a library passes on only as text: it ends
/// with the number of the system's error, as in `(os error 28)`.
pub fn refusal_hint_in(words: &str) -> Option<&'static str> {
    let (_, number) = words.rsplit_once("(os error ")?;
    let (number, _) = number.split_once(')')?;
    refusal_hint(&io::Error::from_raw_os_error(number.parse().ok()?))
}

/// Makes a limit on the size of files (`ulimit -f`) an error like a full disk. By default the system
/// ends the program without a message.
///
/// The signal is handled, not ignored: `exec` removes a handler, so child processes have the default,
/// but an ignored signal stays ignored in them.
///
/// # Errors
///
/// The system refuses the handler.
pub fn tell_file_limit() -> io::Result<()> {
    // The flag is not used: the refused write has a better error.
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
