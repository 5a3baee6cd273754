//! What Git leaves in the place of a large file: a pointer, which every reader would call damaged.

/// How a pointer begins; the whole has less than 1 KiB by its specification.
const BEGINNING: &[u8] = b"version https://git-lfs.github.com/spec/v1";

/// Returns whether a file that begins so is a pointer.
pub(crate) fn is_pointer(beginning: &[u8]) -> bool {
    beginning.starts_with(BEGINNING)
}
