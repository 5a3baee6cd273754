//! Jinja as Hugging Face sets it up for chat templates: its settings, functions and blocks.
//!
//! What Python would write is written: `None` and `True`, numbers, lists and JSON. What reads a
//! clock there reads the task's date here.

use std::error::Error as _;
use std::fmt;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Rest, Value as JinjaValue, ValueKind, from_args};
use minijinja::{Environment, Error, ErrorKind, State};
use serde_json::Value;

use super::error::SftError;
use super::python_json::{self, Style};
use super::template_bounds::{
    self, FREE_BYTES, Spacing, Tags, pay_for, pay_for_bytes, pay_for_spaced, with_parser_stack,
};
use ratdata_schemas::recipe::Date;

/// Marks that no text holds: the last two code points of the last private plane.
pub(super) const BEGIN: char = '\u{10fffc}';
pub(super) const END: char = '\u{10fffd}';

/// A compiled template.
#[derive(Debug)]
pub(super) struct Jinja {
    environment: Environment<'static>,
    source: String,
    marks_generation: bool,
}

/// Why a conversation was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenderError {
    /// The template is at fault, whatever the conversation.
    Template(String),
    /// The conversation is one that the template does not write.
    Conversation(String),
    /// The user asked to stop.
    Interrupted,
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Template(reason) | Self::Conversation(reason) => f.write_str(reason),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// The template called `raise_exception`.
#[derive(Debug)]
struct Raised;

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("raised by the template")
    }
}

impl std::error::Error for Raised {}

impl Jinja {
    /// Compiles a template.
    ///
    /// # Errors
    ///
    /// It is malformed, too long or too nested; the message has its line, and its column where one
    /// is known.
    pub(super) fn compile(source: &str, date: Date) -> Result<Self, SftError> {
        template_bounds::check(source).map_err(|reason| SftError::ChatTemplate { reason })?;
        let (source, marks_generation) = rename_generation(source);
        let malformed = |wrong: &Error| SftError::ChatTemplate { reason: told(&source, wrong) };
        let mut environment = Environment::new();
        let blocks = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(|wrong| malformed(&wrong))?;
        environment.set_syntax(blocks);
        environment.set_unknown_method_callback(method);
        environment.set_fuel(Some(template_bounds::steps(FREE_BYTES)));
        environment.set_formatter(|out, state, value| {
            pay_for(state, value)?;
            out.write_str(&text_of(value)).map_err(Error::from)
        });
        pay_before_filters(&mut environment);
        // It is no function of Hugging Face's, and writes all that there is.
        environment.remove_global("debug");
        environment.add_function("raise_exception", |text: String| -> Result<(), Error> {
            Err(Error::new(ErrorKind::InvalidOperation, text).with_source(Raised))
        });
        environment.add_function("strftime_now", move |format: &str| {
            date.format(format).map_err(|wrong| Error::new(ErrorKind::InvalidOperation, wrong))
        });
        environment.add_filter(
            "tojson",
            |state: &State<'_, '_>, value: &JinjaValue, options: Kwargs| {
                to_json(state, value, &options)
            },
        );
        environment.add_filter("string", |state: &State<'_, '_>, value: JinjaValue| {
            pay_for(state, &value).map(|()| text_of(&value))
        });
        // To Python a text is a sequence of characters, and a mapping is one of keys.
        environment.add_test("sequence", |value: &JinjaValue| is_collection(value));
        environment.add_test("iterable", |value: &JinjaValue| {
            is_collection(value) || value.is_undefined() || value.kind() == ValueKind::Iterable
        });
        environment.add_filter(GENERATION_FILTER, |body: &str| format!("{BEGIN}{body}{END}"));
        with_parser_stack(|| environment.add_template_owned("chat", source.clone()))
            .map_err(|reason| SftError::ChatTemplate { reason })?
            .map_err(|wrong| malformed(&wrong))?;
        Ok(Self { environment, source, marks_generation })
    }

    /// Returns whether the template has `{% generation %}` blocks, which stand between marks.
    pub(super) fn marks_generation(&self) -> bool {
        self.marks_generation
    }

    /// Writes a conversation of so many bytes.
    pub(super) fn write(&self, context: JinjaValue, bytes: usize) -> Result<String, RenderError> {
        let write = |environment: &Environment<'_>| {
            environment.get_template("chat").and_then(|template| template.render(context))
        };
        let written = if bytes <= FREE_BYTES {
            write(&self.environment)
        } else {
            let mut environment = self.environment.clone();
            environment.set_fuel(Some(template_bounds::steps(bytes)));
            write(&environment)
        };
        written.map_err(|wrong| self.blame(&wrong))
    }

    /// Tells a template's mistake from a conversation that it was not made for.
    fn blame(&self, wrong: &Error) -> RenderError {
        let mut cause = wrong.source();
        while let Some(inner) = cause {
            if inner.is::<Raised>() {
                let text = wrong.detail().unwrap_or("it says no more");
                return RenderError::Conversation(format!("the chat template refuses it: {text}"));
            }
            cause = inner.source();
        }
        let reason = told(&self.source, wrong);
        let of_nothing = wrong
            .detail()
            .is_some_and(|detail| detail.starts_with("none ") || detail.starts_with("undefined "));
        match wrong.kind() {
            ErrorKind::OutOfFuel => RenderError::Template(format!(
                "{reason}: it takes more steps or makes more text than the bounds allow, {}",
                template_bounds::MOST_TOLD
            )),
            ErrorKind::UnknownMethod if of_nothing => {
                RenderError::Conversation(format!("chat template: {reason}"))
            }
            ErrorKind::UnknownFilter
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod
            | ErrorKind::UnknownTest
            | ErrorKind::UnknownBlock
            | ErrorKind::MissingArgument
            | ErrorKind::TooManyArguments
            | ErrorKind::SyntaxError
            | ErrorKind::TemplateNotFound => RenderError::Template(reason),
            _ => RenderError::Conversation(format!("chat template: {reason}")),
        }
    }
}

/// Tells what is wrong with a template, and where.
fn told(source: &str, wrong: &Error) -> String {
    let place = match (wrong.line(), wrong.range()) {
        (Some(line), Some(range)) => {
            let before = source.get(..range.start).unwrap_or(source);
            let column = before.chars().rev().take_while(|&char| char != '\n').count() + 1;
            format!("line {line}, column {column}: ")
        }
        (Some(line), None) => format!("line {line}: "),
        _ => String::new(),
    };
    let kind = wrong.kind();
    wrong
        .detail()
        .map_or_else(|| format!("{place}{kind}"), |detail| format!("{place}{kind}: {detail}"))
}

/// Returns what Python writes for a value; nothing for what is not defined.
fn text_of(value: &JinjaValue) -> String {
    if value.is_undefined() {
        return String::new();
    }
    if let Some(text) = value.as_str() {
        return text.to_owned();
    }
    // What is no data, such as a namespace or a macro, has a form of its own.
    json_of(value).map_or_else(|_| value.to_string(), |json| python_json::str_of(&json))
}

fn json_of(value: &JinjaValue) -> Result<Value, Error> {
    serde_json::to_value(value)
        .map_err(|wrong| Error::new(ErrorKind::BadSerialization, wrong.to_string()))
}

fn is_collection(value: &JinjaValue) -> bool {
    matches!(value.kind(), ValueKind::String | ValueKind::Seq | ValueKind::Map)
}

/// Hugging Face's filter `tojson`: `json.dumps` with its named arguments.
fn to_json(
    state: &State<'_, '_>,
    value: &JinjaValue,
    options: &Kwargs,
) -> Result<JinjaValue, Error> {
    if value.is_undefined() {
        let reason = "`tojson` was given what is not defined";
        return Err(Error::new(ErrorKind::UndefinedError, reason));
    }
    let indent: Option<JinjaValue> = options.get("indent")?;
    let indent = match indent.filter(|indent| !indent.is_none()) {
        None => None,
        Some(indent) => Some(if let Some(text) = indent.as_str() {
            text.to_owned()
        } else {
            let width = usize::try_from(indent)?;
            pay_for_bytes(state, width as u64)?;
            " ".repeat(width)
        }),
    };
    let mut style = Style::new(indent);
    style.ascii = options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    style.sorted = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    if let Some(separators) = options.get::<Option<Vec<String>>>("separators")? {
        let [between_items, behind_key] = separators
            .try_into()
            .map_err(|_| Error::new(ErrorKind::InvalidOperation, "`separators` are two texts"))?;
        (style.between_items, style.behind_key) = (between_items, behind_key);
    }
    options.assert_all_used()?;
    let spacing = Spacing {
        indent: style.indent.as_ref().map_or(0, String::len) as u64,
        between: (style.between_items.len() + style.behind_key.len()) as u64,
    };
    pay_for_spaced(state, value, spacing)?;
    Ok(JinjaValue::from_safe_string(python_json::dumps(&json_of(value)?, &style)))
}

/// The filters that write a value as text, or look at all that is in it.
///
/// What lists share takes no memory, but is written once for each list that holds it: forty lists
/// of two can be a billion of items long. So such a value is paid for before it is looked at.
const LOOKING: [&str; 22] = [
    "capitalize",
    "dictsort",
    "e",
    "escape",
    "format",
    "groupby",
    "indent",
    "join",
    "lines",
    "lower",
    "max",
    "min",
    "pprint",
    "replace",
    "safe",
    "sort",
    "split",
    "sum",
    "title",
    "trim",
    "unique",
    "upper",
];

/// Lets the filters of [`LOOKING`] take only what was paid for.
fn pay_before_filters(environment: &mut Environment<'static>) {
    let mut plain = Environment::new();
    plain.set_fuel(environment.fuel());
    let plain = std::sync::Arc::new(plain);
    for name in LOOKING {
        let plain = plain.clone();
        let filter = move |state: &State<'_, '_>, arguments: Rest<JinjaValue>| {
            arguments.iter().try_for_each(|argument| pay_for(state, argument))?;
            plain.empty_state().apply_filter(name, &arguments)
        };
        environment.add_filter(name, filter);
    }
}

/// Returns how many bytes `str.format` may make beyond what it is given: the widths in the format,
/// and those that it takes from the arguments.
fn widths(format: &str, arguments: &[JinjaValue]) -> u64 {
    let numbers = format.split(|char: char| !char.is_ascii_digit());
    let written = numbers
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse::<u64>().unwrap_or(u64::MAX));
    let nested = format.split('{').any(|field| field.contains(':') && !field.contains('}'));
    let given = arguments
        .iter()
        .filter(|_| nested)
        .filter_map(|argument| u64::try_from(argument.clone()).ok());
    written.chain(given).fold(0, u64::saturating_add)
}

/// The methods of Python's strings that templates call, those of `minijinja_contrib` included.
fn method(
    state: &mut State<'_, '_>,
    value: &JinjaValue,
    name: &str,
    arguments: &[JinjaValue],
) -> Result<JinjaValue, Error> {
    if matches!(name, "join" | "format" | "count" | "index") {
        arguments.iter().chain([value]).try_for_each(|looked_at| pay_for(state, looked_at))?;
    }
    let Some(text) = value.as_str() else {
        return minijinja_contrib::pycompat::unknown_method_callback(state, value, name, arguments);
    };
    if name == "format" {
        pay_for_bytes(state, widths(text, arguments))?;
    }
    match name {
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(arguments)?;
            Ok(text.strip_prefix(prefix).unwrap_or(text).into())
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(arguments)?;
            Ok(text.strip_suffix(suffix).unwrap_or(text).into())
        }
        "partition" => {
            let (separator,): (&str,) = from_args(arguments)?;
            let parts = text.split_once(separator);
            Ok(three(parts.map_or([text, "", ""], |(before, after)| [before, separator, after])))
        }
        "rpartition" => {
            let (separator,): (&str,) = from_args(arguments)?;
            let parts = text.rsplit_once(separator);
            Ok(three(parts.map_or(["", "", text], |(before, after)| [before, separator, after])))
        }
        _ => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, arguments),
    }
}

fn three(parts: [&str; 3]) -> JinjaValue {
    parts.map(JinjaValue::from).to_vec().into()
}

/// The filter that a `generation` block becomes; as long as the rest of the word allows.
const GENERATION_FILTER: &str = "gen";

/// Turns `{% generation %}` into a block that any Jinja has, and says whether there was one.
///
/// It stays a block, so that the white space around it is trimmed as around any; and each
/// replacement is as long as what it replaces, so that places in the template stay true.
fn rename_generation(source: &str) -> (String, bool) {
    let mut renamed = String::with_capacity(source.len());
    let (mut copied, mut any) = (0, false);
    for tag in Tags::of(source).filter(|tag| tag.is_block && tag.parts == 1) {
        let filter = match tag.first {
            "generation" => "filter gen",
            "endgeneration" => "endfilter    ",
            _ => continue,
        };
        any |= tag.first == "generation";
        let word = source[tag.at..].find(tag.first).map_or(tag.at, |found| tag.at + found);
        renamed.push_str(&source[copied..word]);
        renamed.push_str(filter);
        copied = word + tag.first.len();
    }
    renamed.push_str(&source[copied..]);
    (renamed, any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tags_are_renamed_and_their_length_stays() {
        let source = "{# {% generation %} #}{{ '{% generation %}' }}{% raw %}{% generation %}{% endraw %}{%- generation -%}x{%+ endgeneration %}{ {% if '%}' %}";

        let (renamed, any) = rename_generation(source);

        assert!(any);
        assert_eq!(renamed.len(), source.len());
        assert_eq!(
            renamed,
            "{# {% generation %} #}{{ '{% generation %}' }}{% raw %}{% generation %}{% endraw %}{%- filter gen -%}x{%+ endfilter     %}{ {% if '%}' %}"
        );
        assert!(!rename_generation("{{ generation }} {% set generation = 1 %}").1);
    }
}
