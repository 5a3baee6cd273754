//! The kinds of steps: a program of the user's own, or a command of ours with its options as keys.
//!
//! A step of kind `tokenize` is `ratdata tokenize`: its keys are the command's options, read from
//! the same definitions that read the command line. So a step and the direct command cannot drift
//! apart, and a new option is a key at once.

use clap::{Arg, ArgAction, Command};
use serde_json::{Map, Value};

use super::names::Names;

/// The kind that runs a program of the user's own.
pub(crate) const COMMAND: &str = "command";

/// A command of ours that makes something of its inputs.
struct Ours {
    name: &'static str,
    /// Raised when the same config and inputs would give other bytes.
    version: u32,
    /// Whether it goes on with what an earlier attempt left in its folder.
    resumes: bool,
}

const OURS: [Ours; 9] = [
    Ours { name: "export", version: 1, resumes: false },
    Ours { name: "import", version: 2, resumes: false },
    Ours { name: "merge", version: 3, resumes: false },
    Ours { name: "pack", version: 2, resumes: false },
    Ours { name: "sample", version: 1, resumes: false },
    Ours { name: "sft", version: 3, resumes: true },
    Ours { name: "tokenize", version: 3, resumes: true },
    Ours { name: "train", version: 1, resumes: true },
    Ours { name: "verify", version: 2, resumes: false },
];

/// Options that the executor gives, so that no step may.
const GIVEN: [&str; 10] =
    ["dry-run", "estimate", "force", "help", "json", "out", "quiet", "resume", "shard", "version"];

/// Options that change how fast the bytes come, and not which.
const KNOBS: [&str; 3] = ["device", "num-proc", "threads"];

/// Where the value of a key stands on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Spot {
    /// After its option.
    Option(String),
    /// Its option is there or not there.
    Flag(String),
    /// Among the words without an option.
    Word,
}

/// One key that steps of a kind take.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    spot: Spot,
    /// Whether its values may be paths of inputs.
    pub(crate) path: bool,
    /// What its values may be instead.
    pub(crate) names: Names,
    /// Whether a path may be a folder's; otherwise a folder of the value's name is not meant.
    pub(crate) folders: bool,
}

impl Key {
    fn of(arg: &Arg) -> Option<Self> {
        let values = arg.get_value_names().unwrap_or_default().join(" ");
        let (name, spot) = match arg.get_long() {
            Some(option) if GIVEN.contains(&option) => return None,
            Some(option) if matches!(arg.get_action(), ArgAction::SetTrue) => {
                (option.replace('-', "_"), Spot::Flag(option.to_owned()))
            }
            Some(option) => (option.replace('-', "_"), Spot::Option(option.to_owned())),
            None => (arg.get_id().to_string(), Spot::Word),
        };
        // `SPLIT_FILES` names files, and is none.
        let is_path = |word: &str| {
            ["PATH", "DIR", "FILE", "ARTIFACT"]
                .iter()
                .any(|&name| word.rsplit('_').next() == Some(name))
        };
        Some(Self {
            name,
            spot,
            path: values.split([' ', '|']).any(is_path),
            names: match arg.get_long() {
                Some("task") => Names::Tasks,
                _ if values.contains("HUB_ID") => Names::Tokenizers,
                _ => Names::None,
            },
            folders: true,
        })
    }

    fn new(name: &str, spot: Spot, path: bool) -> Self {
        Self { name: name.to_owned(), spot, path, names: Names::None, folders: true }
    }

    /// Returns whether the key leaves the bytes as they are.
    pub(crate) fn is_knob(&self) -> bool {
        KNOBS.contains(&self.name.replace('_', "-").as_str())
    }
}

/// A kind of step.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about a command")]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    pub(crate) keys: Vec<Key>,
    /// Whether it goes on with what an earlier attempt left in its folder.
    pub(crate) resumes: bool,
    /// Whether it has an option that sets the number of threads.
    pub(crate) threads: bool,
    /// Whether it can do a share of its work, and leave the result to a run that joins them.
    pub(crate) shards: bool,
    /// Whether the options are those of this program's definitions.
    checked: bool,
}

/// Returns the kinds that a program with these commands has.
pub(crate) fn all(cli: &Command) -> Vec<Kind> {
    let ours = OURS.iter().filter_map(|ours| {
        let command = cli.find_subcommand(ours.name)?;
        let has = |option: &str| command.get_arguments().any(|arg| arg.get_long() == Some(option));
        let kind = Kind {
            name: ours.name,
            version: ours.version,
            keys: command.get_arguments().filter_map(Key::of).collect(),
            resumes: ours.resumes,
            threads: has("num-proc"),
            shards: has("shard"),
            checked: true,
        };
        // The trainer is a program of its own, which reads its own command line.
        let keys = vec![
            Key {
                folders: false,
                names: Names::Experiments,
                ..Key::new("config", Spot::Word, true)
            },
            Key::new("data", Spot::Option("data".into()), true),
            Key::new("set", Spot::Option("set".into()), false),
            Key::new("device", Spot::Option("device".into()), false),
        ];
        let trainer = ours.name == "train";
        Some(if trainer { Kind { keys, checked: false, ..kind } } else { kind })
    });
    let command = Kind {
        name: COMMAND,
        version: 1,
        keys: vec![
            Key::new("env", Spot::Word, false),
            Key::new("inputs", Spot::Word, true),
            Key::new("outputs", Spot::Word, false),
            Key::new("program", Spot::Word, false),
        ],
        resumes: false,
        threads: false,
        shards: false,
        checked: false,
    };
    std::iter::once(command).chain(ours).collect()
}

/// A key and what is wrong with its value.
pub(crate) type Wrong = (String, String);

impl Kind {
    /// Returns the key called `name`.
    pub(crate) fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Returns the words of the command line for a step's values, without those of the executor.
    ///
    /// # Errors
    ///
    /// The key whose value no option can hold, and why.
    pub(crate) fn arguments(
        &self,
        config: &Map<String, Value>,
        text: &dyn Fn(&str) -> String,
    ) -> Result<Vec<String>, Wrong> {
        if self.name == COMMAND {
            return program(config, text);
        }
        let mut arguments = vec![self.name.to_owned()];
        // Words without an option come last, so that none can be taken for an option's value.
        let (words, options): (Vec<_>, Vec<_>) =
            self.keys.iter().partition(|key| key.spot == Spot::Word);
        for key in options.into_iter().chain(words) {
            let Some(value) = config.get(&key.name) else { continue };
            match (&key.spot, value) {
                (Spot::Flag(_), Value::Bool(false)) => {}
                (Spot::Flag(option), Value::Bool(true)) => arguments.push(format!("--{option}")),
                (Spot::Flag(_), _) => {
                    return Err((key.name.clone(), "expected true or false".into()));
                }
                (spot, value) => {
                    for word in words_of(key, value)? {
                        let word = text(&word);
                        arguments.push(match spot {
                            Spot::Option(option) => format!("--{option}={word}"),
                            _ => word,
                        });
                    }
                }
            }
        }
        Ok(arguments)
    }

    /// Reads the arguments as the command line would.
    ///
    /// # Errors
    ///
    /// The key that is to blame, where the message names one, and what is wrong.
    pub(crate) fn check(&self, cli: &Command, arguments: &[String]) -> Result<(), Wrong> {
        if !self.checked {
            return match arguments {
                // Everything that the trainer needs and cannot find out by itself.
                [_, rest @ ..] if self.name == "train" && rest.is_empty() => {
                    Err(("config".into(), "expected an experiment and `data`".into()))
                }
                _ => Ok(()),
            };
        }
        let out = ["--out=x".to_owned()];
        let words = ["ratdata".to_owned()].into_iter().chain(arguments.iter().cloned()).chain(out);
        let Err(wrong) = cli.clone().try_get_matches_from(words) else { return Ok(()) };
        let text = wrong.to_string();
        let mut lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let text = lines.fold(first, |text, line| format!("{text} {line}"));
        let named = |key: &&Key| match &key.spot {
            Spot::Option(option) | Spot::Flag(option) => text.contains(&format!("--{option} ")),
            Spot::Word => text.contains(&format!("<{}>", key.name.to_uppercase())),
        };
        let key = self.keys.iter().find(named);
        Err((key.map_or_else(|| "kind".to_owned(), |key| key.name.clone()), text))
    }
}

/// Returns the words of a `command` step.
fn program(
    config: &Map<String, Value>,
    text: &dyn Fn(&str) -> String,
) -> Result<Vec<String>, Wrong> {
    let expected =
        || ("program".to_owned(), "expected words, such as [\"sort\", \"x\"]".to_owned());
    let words = config.get("program").and_then(Value::as_array).ok_or_else(expected)?;
    let words: Option<Vec<String>> = words.iter().map(|word| word.as_str().map(text)).collect();
    words.filter(|words| !words.is_empty()).ok_or_else(expected)
}

fn words_of(key: &Key, value: &Value) -> Result<Vec<String>, Wrong> {
    let word = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(true) => Ok("on".into()),
        Value::Bool(false) => Ok("off".into()),
        _ => Err((
            key.name.clone(),
            format!("found {value}, expected a text, a number or a list of them"),
        )),
    };
    match value {
        Value::Array(values) => values.iter().map(word).collect(),
        value => Ok(vec![word(value)?]),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn only_keys_that_hold_paths_are_inputs() {
        let kinds = all(&Cli::command());
        let paths = |kind: &str| {
            let kind = kinds.iter().find(|other| other.name == kind).unwrap();
            let keys = kind.keys.iter().filter(|key| key.path);
            keys.map(|key| key.name.as_str()).collect::<Vec<_>>()
        };

        assert_eq!(paths("tokenize"), ["tokenizer", "input"]);
        assert_eq!(paths("pack"), ["input"]);
        assert_eq!(paths("merge"), ["input"]);
    }
}
