//! The command that a cluster's job runs, and how its step is called there.

use std::path::Path;

use super::run::Run;
use crate::dag::plan::Planned;

/// How many characters of a step's name are in a job's.
const NAME: usize = 30;

/// Returns the words that make a step, after the program's own name.
pub(super) fn words(
    run: &Run<'_>,
    planned: &Planned,
    pipeline: &Path,
    arguments: &[String],
    cpus: Option<usize>,
) -> Vec<String> {
    let mut words = vec!["run".to_owned(), pipeline.display().to_string(), planned.name.clone()];
    words.extend(arguments.iter().cloned());
    words.push(format!("--store={}", run.store.root().display()));
    words.extend(cpus.map(|cpus| format!("--num-proc={cpus}")));
    words
}

/// Returns a step's name with small letters, digits and `-` alone, as the names of jobs may have it.
pub(super) fn plain_name(step: &str) -> String {
    let plain = |char: char| {
        let char = char.to_ascii_lowercase();
        if char.is_ascii_alphanumeric() { char } else { '-' }
    };
    let name: String = step.chars().map(plain).take(NAME).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "step".into() } else { name.to_owned() }
}

/// Quotes a word for the shell.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_survives_the_shell() {
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }

    #[test]
    fn a_name_of_a_step_becomes_one_of_a_job() {
        assert_eq!(plain_name("Train_rat.XL"), "train-rat-xl");
        assert_eq!(plain_name("__"), "step");
        assert_eq!(plain_name(&"x".repeat(99)).len(), NAME);
    }
}
