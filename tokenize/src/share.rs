//! A share of a job: what one task of an array of tasks does of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where schedulers tell a task its number: Slurm's arrays, and Kubernetes' indexed jobs.
const NUMBER: [&str; 2] = ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX"];

/// A share of a job: `number` of `count`, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Parts")]
pub struct Share {
    /// Which of the shares.
    pub number: usize,
    /// How many there are.
    pub count: usize,
}

/// A share as it is read back, which a file may say as it likes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    number: usize,
    count: usize,
}

impl TryFrom<Parts> for Share {
    type Error = String;

    fn try_from(Parts { number, count }: Parts) -> Result<Self, String> {
        Self { number, count }.checked()
    }
}

impl Share {
    /// The most shares of a job: each has a file and a place in memory.
    const MOST: usize = 1_000_000;

    /// The only share of a job that is not shared.
    pub const WHOLE: Self = Self { number: 0, count: 1 };

    /// Returns whether the input file, or whatever else is counted, is in the share.
    pub fn has(self, thing: usize) -> bool {
        thing % self.count == self.number
    }

    /// Returns all shares of a job that is cut into so many.
    pub fn all(count: usize) -> impl Iterator<Item = Self> {
        (0..count).map(move |number| Self { number, count })
    }

    /// Returns its name in files: `2-of-8`.
    pub fn name(self) -> String {
        format!("{}-of-{}", self.number, self.count)
    }

    fn read(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let known = |name: &str| environment(name)?.parse::<usize>().ok();
        let (number, count) = match text.split_once('/') {
            Some(("auto", count)) => (None, count.parse().ok()),
            Some((number, count)) => {
                (Some(number.parse().map_err(|_| expected())?), count.parse().ok())
            }
            None if text == "auto" => {
                (None, Some(known("SLURM_ARRAY_TASK_COUNT").ok_or_else(no_count)?))
            }
            None => (None, None),
        };
        let count = count.ok_or_else(expected)?;
        let number = match number {
            Some(number) => number,
            None => NUMBER.iter().find_map(|name| known(name)).ok_or_else(|| {
                format!("`auto` reads {} or {}, and neither is set", NUMBER[0], NUMBER[1])
            })?,
        };
        Self { number, count }.checked()
    }

    fn checked(self) -> Result<Self, String> {
        let fits = self.number < self.count && self.count <= Self::MOST;
        if fits { Ok(self) } else { Err(expected()) }
    }
}

fn expected() -> String {
    "expected I/N with I below N, such as 0/8, or auto/N, and N at most 1000000".into()
}

fn no_count() -> String {
    "SLURM_ARRAY_TASK_COUNT is not set; say how many shares there are with auto/N".into()
}

impl FromStr for Share {
    type Err = String;

    /// Reads `I/N`, `auto/N`, or `auto` in a task of a Slurm array, whose numbers are from 0.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text, &|name| std::env::var(name).ok())
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_told_or_read_from_the_scheduler() {
        let slurm = |name: &str| match name {
            "SLURM_ARRAY_TASK_ID" => Some("3".to_owned()),
            "SLURM_ARRAY_TASK_COUNT" => Some("8".to_owned()),
            _ => None,
        };
        let kubernetes = |name: &str| (name == "JOB_COMPLETION_INDEX").then(|| "1".to_owned());
        let share = |number, count| Ok(Share { number, count });

        assert_eq!(Share::read("2/5", &|_| None), share(2, 5));
        assert_eq!(Share::read("auto", &slurm), share(3, 8));
        assert_eq!(Share::read("auto/9", &slurm), share(3, 9));
        assert_eq!(Share::read("auto/4", &kubernetes), share(1, 4));
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for text in ["", "1", "2/2", "-1/2", "x/2", "1/x", "auto/x", "auto/4", "auto"] {
            assert!(Share::read(text, &|_| None).is_err(), "{text}");
        }
    }
}
