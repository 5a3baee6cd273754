//! Finds out from the name of a file which split of a data set it holds.
//!
//! Data sets name their splits by files and folders: `train-00000-of-00002.parquet`,
//! `data/validation.jsonl`, `test/0001.txt`. Held-out files must not become training data, so the
//! rule prefers to call a file held out, and the user sees what it leaves out.

use std::fmt;

/// A split, as the names of files say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SplitName {
    /// What a model is trained on.
    Train,
    /// What is measured while a model is trained.
    Validation,
    /// What is measured at the end.
    Test,
}

/// The words that name a split; a word must be equal to one of them, so `contest`, `latest` and
/// `evaluation` are none.
const WORDS: [(&str, SplitName); 9] = [
    ("train", SplitName::Train),
    ("training", SplitName::Train),
    ("validation", SplitName::Validation),
    ("valid", SplitName::Validation),
    ("val", SplitName::Validation),
    ("dev", SplitName::Validation),
    ("eval", SplitName::Validation),
    ("test", SplitName::Test),
    ("testing", SplitName::Test),
];

/// Words that say nothing about what a file holds: how it is stored, and how parts are counted.
const SILENT: [&str; 20] = [
    "arrow", "csv", "data", "gz", "gzip", "json", "jsonl", "md", "ndjson", "of", "parquet", "part",
    "set", "shard", "split", "tsv", "txt", "v", "zst", "zstd",
];

/// A unit test is a kind of program, so `unit-test-corpus` names no split.
const UNIT: &str = "unit";

impl SplitName {
    /// Returns the split that a path names, with `/` between folders; none where it names none.
    ///
    /// A name is cut into words where a character is no letter. A name that holds nothing but a
    /// split's word, numbers, hashes and endings (`test-00000-of-00001.parquet`, `dev/`) decides
    /// over one that has other words as well (`squad_test.jsonl`). Of two equally plain names the
    /// inner one decides, so the file before its folder. Within one name a held-out word decides
    /// over `train`.
    ///
    /// The path begins below the folder that the user named: to name a folder `test` is to ask for it.
    pub fn of(path: &str) -> Option<Self> {
        let said: Vec<Said> = path.rsplit('/').filter_map(said_by).collect();
        said.iter().find(|said| said.plainly).or(said.first()).map(|said| said.split)
    }

    /// Returns whether a model must not be trained on the split.
    pub fn is_held_out(self) -> bool {
        self != Self::Train
    }

    /// Returns the name that the hub gives the split.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for SplitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one name of a path says.
struct Said {
    split: SplitName,
    /// Whether the name says nothing else.
    plainly: bool,
}

/// Reads the name of one file or folder.
fn said_by(name: &str) -> Option<Said> {
    let lower = name.to_lowercase();
    let pieces =
        lower.split(|letter: char| !letter.is_alphanumeric()).filter(|piece| !is_hash(piece));
    let words: Vec<&str> = pieces
        .flat_map(|piece| piece.split(|letter: char| !letter.is_alphabetic()))
        .filter(|word| !word.is_empty())
        .collect();
    let mut split: Option<SplitName> = None;
    let mut plainly = true;
    for (number, word) in words.iter().enumerate() {
        let named = WORDS.iter().find(|(named, _)| named == word).map(|(_, split)| *split);
        let of_units = number > 0 && words[number - 1] == UNIT;
        match named.filter(|_| !of_units) {
            // The first held-out word decides, and `train` where there is none.
            Some(found) if split.is_none_or(|split| !split.is_held_out()) => {
                plainly &= split.is_none_or(|split| split == found);
                if split.is_none() || found.is_held_out() {
                    split = Some(found);
                }
            }
            Some(found) => plainly &= split == Some(found),
            None => plainly &= SILENT.contains(word),
        }
    }
    split.map(|split| Said { split, plainly })
}

/// Returns whether a piece of a name is a hash, as the hub once put behind the number of a file.
fn is_hash(piece: &str) -> bool {
    piece.len() >= 8
        && piece.bytes().all(|letter| letter.is_ascii_hexdigit())
        && piece.bytes().any(|letter| letter.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn holds(split: Option<SplitName>, paths: &[&str]) {
        for path in paths {
            assert_eq!(SplitName::of(path), split, "{path}");
        }
    }

    #[test]
    fn the_layouts_of_the_hub_name_their_splits() {
        holds(
            Some(SplitName::Train),
            &[
                "train-00000-of-00002.parquet",
                "data/train-00000-of-00001-a09b74b3ef9c3b56.parquet",
                "train/0001.jsonl",
                "en/c4-train.00000-of-01024.json.gz",
                "train_sft-00000-of-00003.parquet",
                "TRAINING.jsonl",
                "train1.jsonl",
            ],
        );
        holds(
            Some(SplitName::Validation),
            &[
                "validation-00000-of-00001.parquet",
                "valid.jsonl",
                "a/b/val/c/1.txt",
                "dev-v1.1.jsonl",
                "eval.jsonl.zst",
                "en/c4-validation.00000-of-00008.json.gz",
                "TinyStoriesV2-GPT4-valid.txt",
                "validation_matched-00000-of-00001.parquet",
                "Val02.jsonl",
            ],
        );
        holds(
            Some(SplitName::Test),
            &[
                "test.jsonl",
                "data/test-00000-of-00001.parquet",
                "testing/a.txt",
                "wiki.test.tokens.txt",
                "test_0.jsonl",
            ],
        );
    }

    #[test]
    fn other_words_name_no_split() {
        holds(
            None,
            &[
                "contest.jsonl",
                "latest.parquet",
                "evaluation.jsonl",
                "000_00000.parquet",
                "CC-MAIN-2024-10/000_00000.parquet",
                "unit-test-corpus/a.jsonl",
                "unit_testing.jsonl",
                "trains.jsonl",
                "attestation/developers.txt",
                "value.jsonl",
                "",
                "/",
            ],
        );
    }

    #[test]
    fn the_plainest_name_decides_and_then_the_innermost() {
        holds(
            Some(SplitName::Train),
            &[
                "test/train-00000-of-00001.parquet",
                "train/how-to-test-a-pump.txt",
                "dev-corpus/train.jsonl",
                "unit-test-corpus/train/1.jsonl",
            ],
        );
        holds(
            Some(SplitName::Test),
            &[
                "train/test.jsonl",
                "test/web-dev.txt",
                "train/test/1.jsonl",
                "web-dev/squad_test.jsonl",
            ],
        );
    }

    #[test]
    fn a_held_out_word_decides_within_a_name() {
        holds(
            Some(SplitName::Validation),
            &["train_val.jsonl", "val-train.jsonl", "dev_test.jsonl"],
        );
        holds(Some(SplitName::Test), &["train-test-split.jsonl", "my-train_test.jsonl"]);
    }
}
