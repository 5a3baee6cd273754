//! Why a program ends early, and the exit status of each kind of failure.

use std::io;

/// The kinds of failure. Each has its own exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The work failed: status 1.
    Failed,
    /// The command line or a configuration is wrong: status 2.
    Usage,
    /// An artifact is not what its manifest says: status 3.
    Mismatch,
    /// Steps of a plan are stale, and the user asked: status 4.
    Stale,
    /// The user interrupted the program: status 130.
    Interrupted,
    /// The reader of stdout closed the pipe, which is no failure: status 0.
    ClosedPipe,
}

impl FailureKind {
    /// Returns the kind of an error of writing to stdout.
    pub fn of_stdout(wrong: &io::Error) -> Self {
        if wrong.kind() == io::ErrorKind::BrokenPipe { Self::ClosedPipe } else { Self::Failed }
    }

    /// Returns the exit status.
    pub fn status(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Mismatch => 3,
            Self::Stale => 4,
            Self::Interrupted => 130,
            Self::ClosedPipe => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_failure_and_a_full_disk_is_one() {
        let status = |kind: io::ErrorKind| FailureKind::of_stdout(&io::Error::from(kind)).status();

        assert_eq!(status(io::ErrorKind::BrokenPipe), 0);
        assert_eq!(status(io::ErrorKind::StorageFull), 1);
    }
}
