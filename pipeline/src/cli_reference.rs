//! The reference of the command line, `docs/cli.md`: generated from the commands, and compared with them.
//!
//! `RATDATA_REGENERATE=1 cargo test --workspace --bin ratdata reference` writes it again.

use clap::{Arg, Command, CommandFactory};

use crate::cli::Cli;

/// Returns the page.
fn page() -> String {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut page = format!(
        "# The command line\n\nGenerated from the program; `ratdata COMMAND --help` says the same.\n\n\
         {}\n\n| command | what it does |\n| --- | --- |\n",
        root.get_after_help().map(ToString::to_string).unwrap_or_default()
    );
    for command in shown(&root) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let name = command.get_name();
        page.push_str(&format!("| [`{name}`](#ratdata-{name}) | {about} |\n"));
    }
    page.push_str("\n## Options of every command\n\n");
    for argument in root.get_arguments().filter(|argument| argument.is_global_set()) {
        describe_argument(argument, &mut page);
    }
    for command in shown(&root) {
        describe(command, "ratdata", &mut page);
    }
    page
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|inner| !inner.is_hide_set() && inner.get_name() != "help")
}

/// Appends one command, and those within it.
fn describe(command: &Command, above: &str, page: &mut String) {
    let name = format!("{above} {}", command.get_name());
    let about = command.get_long_about().or_else(|| command.get_about());
    let mut usage = command.clone();
    let usage = usage.render_usage().to_string();
    page.push_str(&format!("\n## {name}\n\n"));
    if let Some(about) = about {
        page.push_str(&format!("{}\n\n", about.to_string().trim()));
    }
    page.push_str(&format!("```text\n{}\n```\n\n", usage.trim()));
    for argument in command.get_arguments() {
        let own = !argument.is_global_set() && !argument.is_hide_set();
        if own && !matches!(argument.get_id().as_str(), "help" | "version") {
            describe_argument(argument, page);
        }
    }
    if let Some(after) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        let after = after.to_string();
        let text = after.strip_prefix("Examples:\n").map_or_else(
            || after.clone(),
            |lines| {
                let lines: Vec<&str> =
                    lines.lines().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
                format!("```sh\n{}\n```", lines.join("\n"))
            },
        );
        page.push_str(&format!("\n{}\n", text.trim()));
    }
    for inner in shown(command) {
        describe(inner, &name, page);
    }
}

/// Appends one option or operand: its names, its meaning, its values.
fn describe_argument(argument: &Arg, page: &mut String) {
    let values: Vec<String> = argument
        .get_value_names()
        .filter(|_| argument.get_action().takes_values())
        .map(|names| names.iter().map(ToString::to_string).collect())
        .unwrap_or_default();
    let mut names = Vec::new();
    names.extend(argument.get_short().map(|short| format!("-{short}")));
    names.extend(argument.get_long().map(|long| format!("--{long}")));
    let mut shown = names.join(", ");
    if !values.is_empty() {
        let values =
            if names.is_empty() { values.join(" ") } else { format!(" {}", values.join(" ")) };
        shown.push_str(&values);
    }
    let help = argument.get_long_help().or_else(|| argument.get_help());
    page.push_str(&format!("- `{shown}`"));
    if let Some(help) = help {
        page.push_str(&format!(": {}", help.to_string().replace('\n', " ").trim()));
    }
    let defaults: Vec<String> = argument
        .get_default_values()
        .iter()
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    if !defaults.is_empty() && argument.get_action().takes_values() {
        page.push_str(&format!(" (default: {})", defaults.join(", ")));
    }
    page.push('\n');
    if argument.get_action().takes_values() {
        for value in argument.get_possible_values().iter().filter(|value| !value.is_hide_set()) {
            page.push_str(&format!("  - `{}`", value.get_name()));
            if let Some(help) = value.get_help() {
                page.push_str(&format!(": {help}"));
            }
            page.push('\n');
        }
    }
}

#[test]
fn the_reference_is_what_the_commands_say() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let text = page();

    if std::env::var_os("RATDATA_REGENERATE").is_some() {
        use std::io::Write;
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    let held = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        held == text,
        "docs/cli.md is out of date; generate it again: \
         RATDATA_REGENERATE=1 cargo test --workspace --bin ratdata reference"
    );
}

#[test]
fn every_command_shows_an_example() {
    fn check(command: &Command, above: &str, without: &mut Vec<String>) {
        let name = format!("{above} {}", command.get_name());
        let mut inner = shown(command).peekable();
        if inner.peek().is_some() {
            inner.for_each(|command| check(command, &name, without));
            return;
        }
        let help = command.clone().render_long_help().to_string();
        let example = help.lines().any(|line| {
            !line.starts_with("Usage:")
                && line
                    .split("Example: ")
                    .last()
                    .is_some_and(|rest| rest.trim_start().starts_with(&name))
        });
        if !example {
            without.push(name);
        }
    }
    let root = Cli::command();
    let mut without = Vec::new();

    shown(&root).for_each(|command| check(command, "ratdata", &mut without));

    assert!(without.is_empty(), "no line of the help of {without:?} begins with the command");
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}
