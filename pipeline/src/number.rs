//! Numbers of the command line: refused with what was found and what is expected.

use std::fmt::Display;
use std::num::{NonZeroU64, NonZeroUsize};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The most threads that work at a time: each has a stack and tables of its own.
pub(crate) const MOST_THREADS: usize = 4096;

/// Reads a number of threads.
pub(crate) fn thread_count(text: &str) -> Result<NonZeroUsize, String> {
    within(text, 1..=MOST_THREADS)
        .ok()
        .and_then(NonZeroUsize::new)
        .ok_or_else(|| {
            format!(
                "found `{text}`, expected a number of threads from 1 to {MOST_THREADS}; leave the option out to use all processors"
            )
        })
}

/// Returns how many threads work: as many as asked for, or as there are processors.
pub(crate) fn threads_of(asked: Option<NonZeroUsize>) -> usize {
    asked.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get)
}

/// Reads how many of something are taken: one at least.
pub(crate) fn count(text: &str) -> Result<NonZeroU64, String> {
    text.parse().map_err(|_| expected(text, &(1..=u64::MAX)))
}

/// Reads how many steps run at once: one at least.
pub(crate) fn jobs(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| expected(text, &(1..=usize::MAX)))
}

/// Reads a seed, or the place of something, counted from 0.
pub(crate) fn whole(text: &str) -> Result<u64, String> {
    within(text, 0..=u64::MAX)
}

/// Reads how many of something small there are, such as the words of an n-gram.
pub(crate) fn small_count(text: &str) -> Result<usize, String> {
    within(text, 1..=256)
}

/// Reads an amount of memory: at least a megabyte, as bytes or with a unit.
pub(crate) fn memory(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u32); 7] =
        [("kb", 10), ("mb", 20), ("gb", 30), ("tb", 40), ("m", 20), ("g", 30), ("", 0)];
    let lower = text.trim().to_ascii_lowercase().replace("ib", "b");
    let read = UNITS.iter().find_map(|(unit, power)| {
        let number: u64 = lower.strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(1 << power)
    });
    read.filter(|bytes| *bytes >= 1 << 20)
        .ok_or_else(|| format!("found `{text}`, expected an amount of at least 1MB, such as 8GB"))
}

/// Reads the place of a column, counted from 0.
pub(crate) fn column(text: &str) -> Result<u32, String> {
    within(text, 0..=u32::MAX)
}

/// Reads how many tokens a row has.
pub(crate) fn length(text: &str) -> Result<u32, String> {
    within(text, 1..=ratdata_schemas::MAX_ROW_LEN)
}

fn within<N: FromStr + PartialOrd + Display>(
    text: &str,
    range: RangeInclusive<N>,
) -> Result<N, String> {
    match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(expected(text, &range)),
    }
}

fn expected<N: Display>(text: &str, range: &RangeInclusive<N>) -> String {
    format!("found `{text}`, expected a whole number from {} to {}", range.start(), range.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told_with_what_does() {
        assert_eq!(thread_count("2").unwrap().get(), 2);
        for text in ["0", "-1", "4097", "99999999999999999999", "two", ""] {
            let said = thread_count(text).unwrap_err();
            assert!(
                said.contains(&format!("found `{text}`, expected a number of threads")),
                "{said}"
            );
        }
        assert_eq!(
            whole("-1").unwrap_err(),
            format!("found `-1`, expected a whole number from 0 to {}", u64::MAX)
        );
        assert_eq!(
            length("4294967295").unwrap_err(),
            "found `4294967295`, expected a whole number from 1 to 16777216"
        );
        assert_eq!(memory("8GB").unwrap(), 8 << 30);
        assert_eq!(memory("500 MiB").unwrap(), 500 << 20);
        assert_eq!(memory("1048576").unwrap(), 1 << 20);
        for text in ["1000", "0GB", "GB", "1.5GB", "99999999999GB"] {
            assert!(memory(text).unwrap_err().contains("such as 8GB"), "{text}");
        }
        assert!(count("0").is_err() && length("0").is_err() && column("4294967296").is_err());
    }
}
