//! What a value may be where a path could stand: a tokenizer of the hub, an experiment, a task.

use std::path::Path;

use ratdata_schemas::layered::nearest;
use ratdata_tokenize::hub::is_tokenizer_name;
use ratdata_tokenize::sft::TASKS;

/// The experiments that are compiled into the trainer, which is a program of its own.
const EXPERIMENTS: [&str; 18] = [
    "demo",
    "fineweb_edu/attention-xl",
    "fineweb_edu/attention_localattention_interleave-xl",
    "fineweb_edu/rat-xl",
    "fineweb_edu/rat_localattention_interleave-xl",
    "fineweb_edu/rnn-xl",
    "sft/attention-xl",
    "sft/attention_localattention_interleave-xl",
    "sft/rat-xl",
    "sft/rat_localattention_interleave-xl",
    "sft/rnn-xl",
    "tiny",
    "tiny-attention",
    "tiny-attention_localattention_interleave",
    "tiny-rat",
    "tiny-rat_localattention_interleave",
    "tiny-rnn",
    "xl",
];

/// The names that values of a key can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// None: it is a path, or anything.
    None,
    /// An alias of a tokenizer, or its id on the hub.
    Tokenizers,
    /// Experiments that are compiled in.
    Experiments,
    /// Tasks of instruction data that are compiled in.
    Tasks,
}

impl Names {
    /// Returns whether a text is one of the names.
    pub(crate) fn have(self, text: &str) -> bool {
        match self {
            Self::None => false,
            Self::Tokenizers => is_tokenizer_name(text),
            Self::Experiments => EXPERIMENTS.contains(&plain(text)),
            Self::Tasks => TASKS.iter().any(|(name, _)| *name == text),
        }
    }

    /// Returns the name nearest to a text, where one is near enough to be meant.
    pub(crate) fn nearest(self, text: &str) -> Option<&'static str> {
        match self {
            Self::None | Self::Tokenizers => None,
            Self::Experiments => nearest(plain(text), EXPERIMENTS),
            Self::Tasks => nearest(text, TASKS.map(|(name, _)| name)),
        }
    }
}

/// Takes the name of an experiment as the trainer does: with or without its folder and ending.
fn plain(name: &str) -> &str {
    let name = name.trim_start_matches("./").trim_start_matches("../");
    let name = name.strip_prefix("configs/experiment/").unwrap_or(name);
    Path::new(name)
        .extension()
        .filter(|ending| *ending == "toml")
        .map_or(name, |_| name.strip_suffix(".toml").unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_experiments_are_the_files_of_their_folder() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/experiment");
        let (mut folders, mut found) = (vec![root.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&root).unwrap().with_extension("");
                    found.push(name.to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();

        assert_eq!(found, EXPERIMENTS);
    }

    #[test]
    fn a_name_is_told_from_a_path_that_is_not_there() {
        for name in ["xl", "../xl.toml", "configs/experiment/tiny-rat.toml"] {
            assert!(Names::Experiments.have(name), "{name}");
        }
        for name in ["llama", "huggyllama/llama-7b"] {
            assert!(Names::Tokenizers.have(name), "{name}");
        }
        for path in ["/nosuch/tokenizer.json", "./x", "tokenizer.json", "a/b/c"] {
            assert!(!Names::Tokenizers.have(path), "{path}");
        }
        assert_eq!(Names::Experiments.nearest("tiny-rta"), Some("tiny-rat"));
        assert!(!Names::Tasks.have("qmsun"));
    }
}
