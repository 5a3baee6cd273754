//! The kinds of steps, and everything that differs between them: one variant and one [`Facts`] each.
//!
//! A step of kind `tokenize` is the command `ratdata tokenize`, and its keys are the options of that
//! command. The lists of keys here add what the options mean for a pipeline. A test compares them
//! with the definitions of the command line, so that neither has an option that the other lacks.
//!
//! Longer than 500 lines because the kinds are one table.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::step_key::{Key, Role};

/// What a step runs: a command of ours, or a program of the user.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StepKind {
    Command,
    Compare,
    Count,
    Decontaminate,
    Dedup,
    Eval,
    Export,
    Filter,
    Generate,
    Import,
    Merge,
    Mix,
    Pack,
    Sample,
    Score,
    Sft,
    Tokenize,
    Train,
    Verify,
}

/// What the tasks of an array divide among themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Nothing: one task does all of it.
    Nothing,
    /// The input files.
    InputFiles,
    /// The files of the result.
    OutputFiles,
    /// The rows of the splits of instruction data.
    TaskRows,
    /// The parts of an artifact that is verified.
    ArtifactParts,
}

/// What distinguishes a kind of step.
struct Facts {
    name: &'static str,
    /// Raised when the same config and inputs would give other bytes.
    version: u32,
    /// Whether it continues with what an earlier attempt left in its folder.
    resumes: bool,
    sharing: Sharing,
    /// The keys, in the order of the command's options.
    keys: &'static [Key],
}

/// Keys that the code reads by name.
pub(crate) mod key {
    /// The variables of a program's environment.
    pub(crate) const ENV: &str = "env";
    /// The files and folders that are read.
    pub(crate) const INPUT: &str = "input";
    /// How many threads a command uses.
    pub(crate) const NUM_PROC: &str = "num_proc";
    /// The files that a program promises.
    pub(crate) const OUTPUTS: &str = "outputs";
    /// The artifact that is verified.
    pub(crate) const PATH: &str = "path";
    /// The words of a program.
    pub(crate) const PROGRAM: &str = "program";
    /// How many documents are encoded again.
    pub(crate) const RETOKENIZE: &str = "retokenize";
    /// The splits that are made.
    pub(crate) const SPLIT: &str = "split";
    /// A task by name.
    pub(crate) const TASK: &str = "task";
    /// A task of the user.
    pub(crate) const TASK_FILE: &str = "task_file";
}

const COMMAND: Facts = Facts {
    name: "command",
    version: 1,
    resumes: false,
    sharing: Sharing::Nothing,
    keys: &[
        Key::word(key::ENV, Role::Setting),
        Key::word("inputs", Role::Input),
        Key::word(key::OUTPUTS, Role::Setting),
        Key::word(key::PROGRAM, Role::Program),
    ],
};

const COMPARE: Facts = Facts {
    name: "compare",
    version: 1,
    resumes: false,
    sharing: Sharing::Nothing,
    keys: &[
        // `NAME=@STEP`
        Key::word("results", Role::Setting),
        Key::option("speed", Role::Input),
        Key::flag("paper"),
    ],
};

const COUNT: Facts = Facts {
    name: "count",
    version: 1,
    resumes: false,
    sharing: Sharing::Nothing,
    keys: &[Key::word("artifacts", Role::Input)],
};

const DECONTAMINATE: Facts = Facts {
    name: "decontaminate",
    version: 1,
    resumes: true,
    sharing: Sharing::InputFiles,
    keys: &[
        Key::option("against", Role::Input),
        Key::option("against_fields", Role::Setting),
        Key::option("ngram_unit", Role::Setting),
        Key::option("tokenizer", Role::Tokenizer),
        Key::option("ngram", Role::Setting),
        Key::option("shortest", Role::Setting),
        Key::option("threshold", Role::Setting),
        Key::word(key::INPUT, Role::Input),
        Key::option("split_files", Role::Setting),
        Key::option(key::NUM_PROC, Role::Speed),
        Key::option("text_column", Role::Setting),
        Key::option("on_bad_row", Role::Setting),
    ],
};

const DEDUP: Facts = Facts {
    name: "dedup",
    version: 1,
    resumes: true,
    sharing: Sharing::InputFiles,
    keys: &[
        Key::option("method", Role::Setting),
        Key::option("unit", Role::Setting),
        Key::option("normalize", Role::Setting),
        Key::option("min_words", Role::Setting),
        Key::option("ngram", Role::Setting),
        Key::option("bands", Role::Setting),
        Key::option("band_size", Role::Setting),
        Key::option("seed", Role::Setting),
        Key::option("memory", Role::Speed),
        Key::word(key::INPUT, Role::Input),
        Key::option("split_files", Role::Setting),
        Key::option(key::NUM_PROC, Role::Speed),
        Key::option("text_column", Role::Setting),
        Key::option("on_bad_row", Role::Setting),
    ],
};

const EVAL: Facts = Facts {
    name: "eval",
    version: 1,
    resumes: true,
    sharing: Sharing::Nothing,
    keys: &[
        Key::word("run", Role::Input),
        Key::option("longbench", Role::Input),
        Key::option("harness", Role::Setting),
        Key::option("tasks", Role::Setting),
        Key::option("python", Role::Setting),
        Key::option("include", Role::Input),
        Key::option("ruler_lengths", Role::Setting),
        Key::option("limit", Role::Setting),
        Key::option("context", Role::Setting),
        Key::option("batch", Role::Speed),
        Key::option("device", Role::Speed),
        Key::flag("grow"),
        Key::option("tokenizer", Role::Tokenizer),
    ],
};

const EXPORT: Facts = Facts {
    name: "export",
    version: 1,
    resumes: false,
    sharing: Sharing::Nothing,
    keys: &[
        Key::word("artifact", Role::Input),
        Key::option("to", Role::Setting),
        Key::option(key::SPLIT, Role::Setting),
        Key::option("eos", Role::Setting),
        Key::option("tokenizer", Role::Tokenizer),
        Key::flag("copy"),
    ],
};

const FILTER: Facts = Facts {
    name: "filter",
    version: 1,
    resumes: true,
    sharing: Sharing::InputFiles,
    keys: &[
        Key::option("where", Role::Setting),
        Key::option("rules", Role::Rules),
        Key::option("set", Role::Setting),
        Key::word(key::INPUT, Role::Input),
        Key::option("split_files", Role::Setting),
        Key::option(key::NUM_PROC, Role::Speed),
        Key::option("text_column", Role::Setting),
        Key::option("on_bad_row", Role::Setting),
    ],
};

const GENERATE: Facts = Facts {
    name: "generate",
    version: 1,
    resumes: true,
    sharing: Sharing::Nothing,
    keys: &[
        Key::word("run", Role::Input),
        Key::option("prompt", Role::Setting),
        Key::option(key::INPUT, Role::Input),
        Key::option(key::SPLIT, Role::Setting),
        Key::option("name", Role::Setting),
        Key::option("limit", Role::Setting),
        Key::option("max_new", Role::Setting),
        Key::option("temperature", Role::Setting),
        Key::option("top_k", Role::Setting),
        Key::option("top_p", Role::Setting),
        Key::option("repetition_penalty", Role::Setting),
        Key::option("seed", Role::Setting),
        Key::option("stop", Role::Setting),
        Key::option("num_return", Role::Setting),
        Key::option("batch", Role::Speed),
        Key::option("device", Role::Speed),
        Key::flag("grow"),
        Key::option("tokenizer", Role::Tokenizer),
    ],
};

const IMPORT: Facts = Facts {
    name: "import",
    version: 2,
    resumes: false,
    sharing: Sharing::Nothing,
    keys: &[
        Key::word("inputs", Role::ForeignInput),
        Key::option("from", Role::Setting),
        Key::option("dtype", Role::Setting),
        Key::option("tokenizer", Role::Tokenizer),
        Key::option("eos", Role::Setting),
        Key::option(key::SPLIT, Role::Setting),
        Key::option("name", Role::Setting),
        Key::flag("link"),
    ],
};

const MERGE: Facts = Facts {
    name: "merge",
    version: 3,
    resumes: false,
    sharing: Sharing::Nothing,
    keys: &[Key::option(key::INPUT, Role::Input), Key::option("name", Role::Setting)],
};

const MIX: Facts = Facts {
    name: "mix",
    version: 1,
    resumes: true,
    sharing: Sharing::OutputFiles,
    keys: &[
        Key::option(key::INPUT, Role::Input),
        Key::option("take", Role::Setting),
        Key::option("tokens", Role::Setting),
        Key::option("documents", Role::Setting),
        Key::option("bytes", Role::Setting),
        Key::option("max_epochs", Role::Setting),
        Key::option("seed", Role::Setting),
        Key::option(key::SPLIT, Role::Setting),
        Key::option("name", Role::Setting),
        Key::option("shard_tokens", Role::Setting),
        Key::option(key::NUM_PROC, Role::Speed),
    ],
};

const PACK: Facts = Facts {
    name: "pack",
    version: 2,
    resumes: false,
    sharing: Sharing::Nothing,
    keys: &[
        Key::option(key::INPUT, Role::Input),
        Key::option("seq_len", Role::Setting),
        Key::option("packing", Role::Setting),
        Key::option("long", Role::Setting),
        Key::option("align", Role::Setting),
        Key::option("seed", Role::Setting),
        Key::flag("materialize"),
        Key::option(key::SPLIT, Role::Setting),
    ],
};

const SAMPLE: Facts =
    Facts { name: "sample", version: 2, resumes: false, sharing: Sharing::Nothing, keys: &[] };

const SCORE: Facts = Facts {
    name: "score",
    version: 1,
    resumes: false,
    sharing: Sharing::Nothing,
    keys: &[
        Key::word("predictions", Role::Input),
        Key::option("metric", Role::Setting),
        Key::option(key::TASK, Role::Setting),
    ],
};

const SFT: Facts = Facts {
    name: "sft",
    version: 5,
    resumes: true,
    sharing: Sharing::TaskRows,
    keys: &[
        Key::option(key::TASK, Role::Task),
        Key::option(key::TASK_FILE, Role::TaskFile),
        Key::option(key::INPUT, Role::Input),
        Key::option(key::SPLIT, Role::Setting),
        Key::option("max_length", Role::Setting),
        Key::option("truncate", Role::Setting),
        Key::option("chat_template", Role::Setting),
        Key::option("loss_on", Role::Setting),
        Key::option("loss_without", Role::Setting),
        Key::option("tokenizer", Role::Tokenizer),
        Key::option(key::NUM_PROC, Role::Speed),
        Key::option("on_bad_row", Role::Setting),
        Key::option("packing", Role::Setting),
        Key::option("long", Role::Setting),
        Key::option("align", Role::Setting),
        Key::option("seed", Role::Setting),
        Key::flag("materialize"),
    ],
};

const TOKENIZE: Facts = Facts {
    name: "tokenize",
    version: 3,
    resumes: true,
    sharing: Sharing::InputFiles,
    keys: &[
        Key::option("tokenizer", Role::Tokenizer),
        Key::option(key::INPUT, Role::Input),
        Key::option("split_files", Role::Setting),
        Key::option(key::NUM_PROC, Role::Speed),
        Key::option("name", Role::Setting),
        Key::option("text_column", Role::Setting),
        Key::option("val_fraction", Role::Setting),
        Key::option("split_seed", Role::Setting),
        Key::option("order", Role::Setting),
        Key::flag("merge"),
        Key::option("eos", Role::Setting),
        Key::option("bos", Role::Setting),
        Key::option("special_in_text", Role::Setting),
        Key::option("dtype", Role::Setting),
        Key::option("limit_docs", Role::Limit),
        Key::option("on_bad_row", Role::Setting),
        Key::option("fim_rate", Role::Setting),
        Key::option("fim_spm_rate", Role::Setting),
        Key::option("fim_seed", Role::Setting),
        Key::option("fim_tokens", Role::Setting),
    ],
};

const TRAIN: Facts = Facts {
    name: "train",
    version: 1,
    resumes: true,
    sharing: Sharing::Nothing,
    keys: &[
        Key::word("config", Role::Experiment),
        Key::option("data", Role::Input),
        Key::option("set", Role::Setting),
        Key::option("device", Role::Speed),
    ],
};

const VERIFY: Facts = Facts {
    name: "verify",
    version: 2,
    resumes: false,
    sharing: Sharing::ArtifactParts,
    keys: &[
        Key::word(key::PATH, Role::Input),
        Key::option(key::RETOKENIZE, Role::Setting),
        Key::option(key::INPUT, Role::Input),
        Key::option("tokenizer", Role::Tokenizer),
        Key::option("sample", Role::Setting),
    ],
};

impl StepKind {
    const fn facts(self) -> &'static Facts {
        match self {
            Self::Command => &COMMAND,
            Self::Compare => &COMPARE,
            Self::Count => &COUNT,
            Self::Decontaminate => &DECONTAMINATE,
            Self::Dedup => &DEDUP,
            Self::Eval => &EVAL,
            Self::Export => &EXPORT,
            Self::Filter => &FILTER,
            Self::Generate => &GENERATE,
            Self::Import => &IMPORT,
            Self::Merge => &MERGE,
            Self::Mix => &MIX,
            Self::Pack => &PACK,
            Self::Sample => &SAMPLE,
            Self::Score => &SCORE,
            Self::Sft => &SFT,
            Self::Tokenize => &TOKENIZE,
            Self::Train => &TRAIN,
            Self::Verify => &VERIFY,
        }
    }

    /// Returns all kinds, in the order in which they are listed.
    pub(crate) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Returns its name in pipelines, which is that of its command.
    pub(crate) const fn name(self) -> &'static str {
        self.facts().name
    }

    /// Returns its version, which is part of every fingerprint.
    pub(crate) const fn version(self) -> u32 {
        self.facts().version
    }

    /// Returns whether it continues with what an earlier attempt left in its folder.
    pub(crate) const fn resumes(self) -> bool {
        self.facts().resumes
    }

    /// Returns what the tasks of an array divide among themselves.
    pub(crate) const fn sharing(self) -> Sharing {
        self.facts().sharing
    }

    /// Returns its keys, in the order of the command's options.
    pub(crate) const fn keys(self) -> &'static [Key] {
        self.facts().keys
    }

    /// Returns the key called `name`.
    pub(crate) fn key(self, name: &str) -> Option<&'static Key> {
        self.keys().iter().find(|key| key.name == name)
    }

    /// Returns whether an option sets the number of its threads.
    pub(crate) fn has_threads(self) -> bool {
        self.key(key::NUM_PROC).is_some()
    }

    /// Returns whether this program's definitions of options say which values are good. The trainer
    /// is a program of its own, which reads its own command line.
    pub(crate) const fn is_checked(self) -> bool {
        !matches!(self, Self::Command | Self::Train)
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use clap::{ArgAction, CommandFactory};

    use super::*;
    use crate::cli::Cli;
    use crate::dag::step_key::Spot;

    /// Options that the executor gives, so that no step may.
    const GIVEN: [&str; 11] = [
        "dry-run", "estimate", "force", "help", "json", "out", "plan", "quiet", "resume", "shard",
        "version",
    ];

    /// The names and spots of the options that a command has and the executor does not give.
    fn options(command: &clap::Command) -> Vec<(String, Spot)> {
        let option = |arg: &clap::Arg| match arg.get_long() {
            Some(option) if GIVEN.contains(&option) => None,
            Some(option) if matches!(arg.get_action(), ArgAction::SetTrue) => {
                Some((option.replace('-', "_"), Spot::Flag))
            }
            Some(option) => Some((option.replace('-', "_"), Spot::Option)),
            None => Some((arg.get_id().to_string(), Spot::Word)),
        };
        command.get_arguments().filter_map(option).collect()
    }

    #[test]
    fn the_keys_of_a_kind_are_the_options_of_its_command() {
        let cli = Cli::command();
        for kind in StepKind::all().iter().filter(|kind| kind.is_checked()) {
            let command = cli.find_subcommand(kind.name()).unwrap();
            let keys: Vec<_> =
                kind.keys().iter().map(|key| (key.name.to_owned(), key.spot)).collect();

            assert_eq!(keys, options(command), "{kind}");
            let has_shard = command.get_arguments().any(|arg| arg.get_long() == Some("shard"));
            assert_eq!(kind.sharing() != Sharing::Nothing, has_shard, "{kind}");
        }
    }

    #[test]
    fn a_key_whose_placeholder_is_a_path_is_an_input() {
        let cli = Cli::command();
        for kind in StepKind::all().iter().filter(|kind| kind.is_checked()) {
            let command = cli.find_subcommand(kind.name()).unwrap();
            for key in kind.keys() {
                let arg = command.get_arguments().find(|arg| match key.spot {
                    Spot::Word => arg.get_id() == key.name,
                    _ => arg.get_long() == Some(&key.option_name()),
                });
                let words = arg.unwrap().get_value_names().unwrap_or_default().join("|");
                let is_path = words
                    .split('|')
                    .any(|word| ["PATH", "DIR", "FILE", "ARTIFACT"].contains(&word));

                assert_eq!(key.role.is_path(), is_path, "{kind}: {}: {words}", key.name);
            }
        }
    }

    #[test]
    fn a_kind_has_one_name() {
        for kind in StepKind::all() {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
            assert_eq!(kind.to_possible_value().unwrap().get_name(), kind.name());
        }
    }
}
