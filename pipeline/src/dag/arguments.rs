//! A step as a command line: its values as words, and what the command says of them.

use clap::Command;
use clap::error::{ContextKind, ContextValue};
use serde_json::{Map, Value};

use super::step_key::{Key, Spot};
use super::step_kind::{StepKind, key};

/// A key and what is wrong with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadValue {
    pub(crate) key: String,
    pub(crate) wrong: String,
}

impl BadValue {
    /// A value of `key` that is wrong.
    pub(crate) fn new(key: &str, wrong: impl Into<String>) -> Self {
        Self { key: key.to_owned(), wrong: wrong.into() }
    }
}

/// Returns the words of the command line for a step's values, without those of the executor; `text`
/// says what a text of the config stands for.
///
/// # Errors
///
/// The value that no option can hold.
pub(crate) fn arguments(
    kind: StepKind,
    config: &Map<String, Value>,
    text: &dyn Fn(&str) -> String,
) -> Result<Vec<String>, BadValue> {
    if kind == StepKind::Command {
        return program(config, text);
    }
    let mut arguments = vec![kind.name().to_owned()];
    // Words without an option come last, so that none can be taken for an option's value.
    let (words, options): (Vec<&Key>, Vec<_>) =
        kind.keys().iter().partition(|key| key.spot == Spot::Word);
    for key in options.into_iter().chain(words) {
        let Some(value) = config.get(key.name) else { continue };
        let option = key.option_name();
        match (key.spot, value) {
            (Spot::Flag, Value::Bool(false)) => {}
            (Spot::Flag, Value::Bool(true)) => arguments.push(format!("--{option}")),
            (Spot::Flag, _) => return Err(BadValue::new(key.name, "expected true or false")),
            (Spot::Option, value) => {
                let words = words_of(key, value)?;
                arguments.extend(words.iter().map(|word| format!("--{option}={}", text(word))));
            }
            (Spot::Word, value) => {
                arguments.extend(words_of(key, value)?.iter().map(|word| text(word)));
            }
        }
    }
    Ok(arguments)
}

/// Reads the arguments as the command line would.
///
/// # Errors
///
/// The key whose value is wrong, where one is to blame, and else `kind`.
pub(crate) fn check(kind: StepKind, cli: &Command, arguments: &[String]) -> Result<(), BadValue> {
    if kind == StepKind::Train && arguments.len() < 2 {
        // Everything that the trainer needs and cannot find out by itself.
        return Err(BadValue::new("config", "expected an experiment and `data`"));
    }
    if !kind.is_checked() {
        return Ok(());
    }
    let mut cli = cli.clone();
    let out = ["--out=x".to_owned()];
    let words = ["ratdata".to_owned()].into_iter().chain(arguments.iter().cloned()).chain(out);
    let Err(wrong) = cli.try_get_matches_from_mut(words) else { return Ok(()) };
    let key = cli.find_subcommand(kind.name()).and_then(|command| to_blame(kind, command, &wrong));
    let text = wrong.to_string();
    let mut lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let text = lines.fold(first, |text, line| format!("{text} {line}"));
    Err(BadValue::new(key.map_or("kind", |key| key.name), text))
}

/// Returns the first key whose argument an error is about.
fn to_blame(kind: StepKind, command: &Command, wrong: &clap::Error) -> Option<&'static Key> {
    let of = |context| match wrong.get(context) {
        Some(ContextValue::String(argument)) => vec![argument.as_str()],
        Some(ContextValue::Strings(arguments)) => arguments.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let blamed = [of(ContextKind::InvalidArg), of(ContextKind::PriorArg)].concat();
    let is_blamed = |key: &&Key| {
        let arg = command.get_arguments().find(|arg| match key.spot {
            Spot::Word => arg.get_id() == key.name,
            Spot::Option | Spot::Flag => arg.get_long() == Some(&key.option_name()),
        });
        // An error has arguments as they are shown.
        arg.is_some_and(|arg| blamed.contains(&arg.to_string().as_str()))
    };
    kind.keys().iter().find(is_blamed)
}

/// Returns the words of a `command` step.
fn program(
    config: &Map<String, Value>,
    text: &dyn Fn(&str) -> String,
) -> Result<Vec<String>, BadValue> {
    let expected = || BadValue::new(key::PROGRAM, "expected words, such as [\"sort\", \"x\"]");
    let words = config.get(key::PROGRAM).and_then(Value::as_array).ok_or_else(expected)?;
    let words: Option<Vec<String>> = words.iter().map(|word| word.as_str().map(text)).collect();
    words.filter(|words| !words.is_empty()).ok_or_else(expected)
}

fn words_of(key: &Key, value: &Value) -> Result<Vec<String>, BadValue> {
    let word = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(true) => Ok("on".into()),
        Value::Bool(false) => Ok("off".into()),
        _ => Err(BadValue::new(
            key.name,
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
    use serde_json::json;

    use super::*;
    use crate::cli::Cli;

    fn checked(kind: StepKind, config: Value) -> Result<(), BadValue> {
        let Value::Object(config) = config else { unreachable!("an object") };
        let arguments = arguments(kind, &config, &|text| text.to_owned())?;
        check(kind, &Cli::command(), &arguments)
    }

    #[test]
    fn the_key_to_blame_is_named() {
        for (kind, config, key) in [
            (StepKind::Tokenize, json!({ "input": "x", "val_fraction": 2 }), "val_fraction"),
            (StepKind::Tokenize, json!({ "order": "random" }), "order"),
            (StepKind::Tokenize, json!({ "merge": 1 }), "merge"),
            (StepKind::Sft, json!({ "task": "a", "task_file": "b" }), "task"),
            (StepKind::Sft, json!({}), "task"),
            (StepKind::Pack, json!({ "seq_len": 8 }), "input"),
            (StepKind::Import, json!({ "from": "raw" }), "inputs"),
            (StepKind::Train, json!({}), "config"),
            (StepKind::Command, json!({}), "program"),
        ] {
            let wrong = checked(kind, config.clone()).unwrap_err();

            assert_eq!(wrong.key, key, "{kind}: {config}: {}", wrong.wrong);
        }
        assert_eq!(checked(StepKind::Pack, json!({ "input": "x" })), Ok(()));
    }
}
