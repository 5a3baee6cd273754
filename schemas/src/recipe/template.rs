//! Prompt templates: fixed text with `{column}` where a column's text goes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    /// Text that every prompt has.
    Fixed(String),
    /// The path of a column, such as `document.summary.text`.
    Column(String),
}

/// A template, parsed. `{{` and `}}` stand for braces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Template {
    text: String,
    parts: Vec<TemplatePart>,
}

/// What is wrong with a template, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("template, line {line}, column {column}: {reason}")]
pub struct TemplateError {
    /// The line, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub reason: String,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    ///
    /// A brace is never closed, never opened, or holds no column's name.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut fixed = String::new();
        let mut rest = text.char_indices().peekable();
        while let Some((at, char)) = rest.next() {
            match char {
                '{' | '}' if rest.peek().is_some_and(|&(_, next)| next == char) => {
                    rest.next();
                    fixed.push(char);
                }
                '}' => return Err(wrong(text, at, "`}` closes nothing; write `}}` for a brace")),
                '{' => {
                    let inside = &text[at + 1..];
                    let Some(end) = inside.find('}') else {
                        return Err(wrong(text, at, "`{` is never closed; write `{{` for a brace"));
                    };
                    let path = inside[..end].trim();
                    if path.is_empty() || path.contains(['{', '\n']) {
                        return Err(wrong(text, at, "expected a column's name between the braces"));
                    }
                    if !fixed.is_empty() {
                        parts.push(TemplatePart::Fixed(std::mem::take(&mut fixed)));
                    }
                    parts.push(TemplatePart::Column(path.to_owned()));
                    while rest.next_if(|&(next, _)| next <= at + 1 + end).is_some() {}
                }
                other => fixed.push(other),
            }
        }
        if !fixed.is_empty() {
            parts.push(TemplatePart::Fixed(fixed));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Returns the pieces in order.
    pub fn parts(&self) -> &[TemplatePart] {
        &self.parts
    }

    /// Returns the columns that the template names.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            TemplatePart::Fixed(_) => None,
            TemplatePart::Column(path) => Some(path.as_str()),
        })
    }
}

fn wrong(text: &str, at: usize, reason: &str) -> TemplateError {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    TemplateError {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        reason: reason.to_owned(),
    }
}

impl TryFrom<String> for Template {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        Self::parse(&text)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.text
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_braces_are_told_apart() {
        let template = Template::parse("{{x}} {a.b}\n{c}!").unwrap();

        assert_eq!(
            template.parts(),
            [
                TemplatePart::Fixed("{x} ".into()),
                TemplatePart::Column("a.b".into()),
                TemplatePart::Fixed("\n".into()),
                TemplatePart::Column("c".into()),
                TemplatePart::Fixed("!".into()),
            ]
        );
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_column() {
        let cases = [("a\nb {c", 2, 3, "never closed"), ("a}", 1, 2, "closes nothing")];
        for (text, line, column, reason) in cases {
            let wrong = Template::parse(text).unwrap_err();

            assert_eq!((wrong.line, wrong.column), (line, column));
            assert!(wrong.reason.contains(reason), "{wrong}");
        }
        assert!(Template::parse("x { } y").is_err());
    }
}
