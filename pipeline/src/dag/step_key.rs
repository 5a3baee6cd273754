//! The keys that steps take: what their values stand for, and how they become words of a command line.

use ratdata_console::{EXPERIMENTS, experiment, experiment_name};
use ratdata_prepare::Rules;
use ratdata_schemas::layered::nearest;
use ratdata_schemas::recipe::TASKS;
use ratdata_tokenize::hub::is_tokenizer_name;

/// What the values of a key stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A setting that decides bytes.
    Setting,
    /// A setting that decides how fast the bytes come, and not which: no part of a fingerprint.
    Speed,
    /// How many documents of all inputs are read. So the tasks of an array cannot share the step.
    Limit,
    /// Paths of inputs.
    Input,
    /// Paths of files in the layout of another tool, which are read with their indexes and masks.
    ForeignInput,
    /// A task file of instruction data, which names inputs by itself.
    TaskFile,
    /// A task of instruction data that is compiled in.
    Task,
    /// A tokenizer: a path, an alias or an id on the hub.
    Tokenizer,
    /// An experiment: a file, or a name that is compiled in.
    Experiment,
    /// Rules about texts: a file, or a name that is compiled in.
    Rules,
    /// The words of a program, some of which may be files.
    Program,
}

impl Role {
    /// Returns whether a value may be a path of an input.
    pub(crate) fn is_path(self) -> bool {
        match self {
            Self::Input
            | Self::ForeignInput
            | Self::TaskFile
            | Self::Tokenizer
            | Self::Experiment
            | Self::Rules => true,
            Self::Setting | Self::Speed | Self::Limit | Self::Task | Self::Program => false,
        }
    }

    /// Returns whether a folder may be the input; if not, a folder that has the value's name by
    /// chance is not meant.
    pub(crate) fn takes_folders(self) -> bool {
        !matches!(self, Self::Experiment | Self::Rules)
    }

    /// Returns whether values may be names of things that are compiled in or on the hub.
    pub(crate) fn has_names(self) -> bool {
        matches!(self, Self::Task | Self::Tokenizer | Self::Experiment | Self::Rules)
    }

    /// Returns whether a text is a name of such a thing.
    pub(crate) fn is_name(self, text: &str) -> bool {
        match self {
            Self::Task => TASKS.iter().any(|(name, _)| *name == text),
            Self::Tokenizer => is_tokenizer_name(text),
            Self::Experiment => experiment(text).is_some(),
            Self::Rules => Rules::names().any(|name| name == text),
            _ => false,
        }
    }

    /// Returns the name nearest to a text, where one is near enough to be meant.
    pub(crate) fn nearest(self, text: &str) -> Option<&'static str> {
        match self {
            Self::Task => nearest(text, TASKS.map(|(name, _)| name)),
            Self::Rules => nearest(text, Rules::names()),
            Self::Experiment => {
                nearest(experiment_name(text), EXPERIMENTS.iter().map(|(name, _)| *name))
            }
            _ => None,
        }
    }
}

/// Where the value of a key is on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// After its option.
    Option,
    /// Its option is given or not.
    Flag,
    /// Among the words without an option.
    Word,
}

/// One key that steps of a kind take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) spot: Spot,
}

impl Key {
    /// A key whose value follows an option.
    pub(crate) const fn option(name: &'static str, role: Role) -> Self {
        Self { name, role, spot: Spot::Option }
    }

    /// A key that is true or false.
    pub(crate) const fn flag(name: &'static str) -> Self {
        Self { name, role: Role::Setting, spot: Spot::Flag }
    }

    /// A key whose values are words without an option.
    pub(crate) const fn word(name: &'static str, role: Role) -> Self {
        Self { name, role, spot: Spot::Word }
    }

    /// Returns the option of the key: that of `val_fraction` is `--val-fraction`.
    pub(crate) fn option_name(&self) -> String {
        self.name.replace('_', "-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_from_a_path_that_is_not_there() {
        for name in ["xl", "../xl.toml", "configs/experiment/tiny-rat.toml"] {
            assert!(Role::Experiment.is_name(name), "{name}");
        }
        for name in ["llama", "huggyllama/llama-7b"] {
            assert!(Role::Tokenizer.is_name(name), "{name}");
        }
        for path in ["/nosuch/tokenizer.json", "./x", "tokenizer.json", "a/b/c"] {
            assert!(!Role::Tokenizer.is_name(path), "{path}");
        }
        assert_eq!(Role::Experiment.nearest("tiny-rta"), Some("tiny-rat"));
        assert!(!Role::Task.is_name("qmsun"));
    }
}
