//! Reads the numbers of a command line, and says in plain words what was expected.

use std::num::{NonZeroU64, NonZeroUsize};

/// More threads than any machine has processors.
const MOST_THREADS: usize = 4096;

/// Reads a number of threads.
pub(crate) fn thread_count(text: &str) -> Result<NonZeroUsize, String> {
    let count = text.parse().ok().filter(|count: &NonZeroUsize| count.get() <= MOST_THREADS);
    count.ok_or_else(|| {
        format!("expected a number of threads from 1 on, {MOST_THREADS} at most; leave the option out to use all processors")
    })
}

/// Reads a number of documents.
pub(crate) fn document_count(text: &str) -> Result<NonZeroU64, String> {
    text.parse().map_err(|_| {
        "expected a number of documents from 1 on; leave the option out to take all".into()
    })
}

/// Reads the seed of a random order.
pub(crate) fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_make_no_sense_are_refused_in_plain_words() {
        for text in ["0", "-1", "99999999999999999999", "5000", "x", ""] {
            let refused = thread_count(text).unwrap_err();
            assert!(refused.contains("a number of threads from 1 on, 4096 at most"), "{refused}");
        }
        assert_eq!(thread_count("8").unwrap().get(), 8);
        for text in ["0", "-1", "1.5"] {
            assert!(document_count(text).unwrap_err().contains("documents from 1 on"), "{text}");
            let refused = seed(text).err();
            assert_eq!(refused.is_none(), text == "0", "{refused:?}");
        }
    }
}
