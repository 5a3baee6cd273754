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
        let fits = number < count && count <= Self::MOST;
        if fits { Ok(Self { number, count }) } else { Err(expected()) }
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
        let known = |name: &str| environment(name)?.trim().parse::<usize>().ok();
        let (number, count) = match text.split_once('/') {
            Some(("auto", count)) => (None, count.parse().ok()),
            Some((number, count)) => {
                (Some(number.parse().map_err(|_| expected())?), count.parse().ok())
            }
            None if text == "auto" => {
                let count = known("SLURM_ARRAY_TASK_COUNT").ok_or_else(no_count)?;
                let ends = [FIRST, LAST].map(known);
                if let [Some(first), Some(last)] = ends
                    && (first != 0 || last + 1 != count)
                {
                    return Err(gaps(count, first, last));
                }
                (None, Some(count))
            }
            None => (None, None),
        };
        let count = count.filter(|count| (1..=Self::MOST).contains(count)).ok_or_else(expected)?;
        if let Some(number) = number {
            return if number < count { Ok(Self { number, count }) } else { Err(expected()) };
        }
        let (name, number) =
            NUMBER.iter().find_map(|name| Some((name, known(name)?))).ok_or_else(|| {
                format!("`auto` reads {} or {}, and neither is set", NUMBER[0], NUMBER[1])
            })?;
        if number < count { Ok(Self { number, count }) } else { Err(beyond(name, number, count)) }
    }
}

/// Where Slurm tells the least and the largest number of an array.
const FIRST: &str = "SLURM_ARRAY_TASK_MIN";
const LAST: &str = "SLURM_ARRAY_TASK_MAX";

fn expected() -> String {
    "expected I/N with I below N, such as 0/8, or auto/N, and N at most 1000000".into()
}

/// Tells that the scheduler's number is of none of the shares.
fn beyond(name: &str, number: usize, count: usize) -> String {
    let last = count - 1;
    let array = if name == NUMBER[0] {
        format!("number the array from 0, as with `sbatch --array=0-{last}`")
    } else {
        "number the tasks from 0".to_owned()
    };
    format!("{name} is {number}, and the shares of {count} are 0 to {last}; {array}")
}

/// Tells that an array of tasks has other numbers than shares have.
fn gaps(count: usize, first: usize, last: usize) -> String {
    format!(
        "`auto` takes the array's {count} tasks for shares 0 to {}, and it is numbered from {first} to \
         {last}; use `sbatch --array=0-{0}`, or say how many shares there are with auto/N",
        count.saturating_sub(1)
    )
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
    fn an_array_from_1_is_told_with_its_number() {
        let task = |number: &'static str| {
            move |name: &str| match name {
                "SLURM_ARRAY_TASK_ID" => Some(number.to_owned()),
                "SLURM_ARRAY_TASK_COUNT" | "SLURM_ARRAY_TASK_MAX" => Some("4".to_owned()),
                "SLURM_ARRAY_TASK_MIN" => Some("1".to_owned()),
                _ => None,
            }
        };

        let beyond = Share::read("auto/4", &task("4")).unwrap_err();
        assert!(beyond.contains("SLURM_ARRAY_TASK_ID is 4"), "{beyond}");
        assert!(beyond.contains("--array=0-3"), "{beyond}");
        // Share 0 would be nobody's.
        let gaps = Share::read("auto", &task("1")).unwrap_err();
        assert!(gaps.contains("numbered from 1 to 4"), "{gaps}");
        assert_eq!(Share::read("auto/4", &task("1")), Ok(Share { number: 1, count: 4 }));
        let kubernetes = |name: &str| (name == "JOB_COMPLETION_INDEX").then(|| "4".to_owned());
        let beyond = Share::read("auto/4", &kubernetes).unwrap_err();
        assert!(beyond.contains("JOB_COMPLETION_INDEX is 4"), "{beyond}");
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for text in
            ["", "1", "2/2", "-1/2", "x/2", "1/x", "0/0", "auto/x", "auto/0", "auto/4", "auto"]
        {
            assert!(Share::read(text, &|_| None).is_err(), "{text}");
        }
    }
}
