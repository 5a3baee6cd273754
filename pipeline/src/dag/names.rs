//! What a value may be where a path could stand: a tokenizer of the hub, an experiment, a task.

use ratdata_console::{EXPERIMENTS, experiment, experiment_name};
use ratdata_schemas::layered::nearest;
use ratdata_schemas::recipe::TASKS;
use ratdata_tokenize::hub::is_tokenizer_name;

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
            Self::Experiments => experiment(text).is_some(),
            Self::Tasks => TASKS.iter().any(|(name, _)| *name == text),
        }
    }

    /// Returns the name nearest to a text, where one is near enough to be meant.
    pub(crate) fn nearest(self, text: &str) -> Option<&'static str> {
        match self {
            Self::None | Self::Tokenizers => None,
            Self::Experiments => {
                nearest(experiment_name(text), EXPERIMENTS.iter().map(|(name, _)| *name))
            }
            Self::Tasks => nearest(text, TASKS.map(|(name, _)| name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
