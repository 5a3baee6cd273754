//! JSON and text as Python writes them: `json.dumps(…, ensure_ascii=False)` and `str(…)`.

use serde_json::{Number, Value};

/// What `json.dumps` can be told.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    /// What each level is indented by; none for one line.
    pub(crate) indent: Option<String>,
    /// What stands between two items.
    pub(crate) between_items: String,
    /// What stands between a key and its value.
    pub(crate) behind_key: String,
    /// Whether characters beyond ASCII are escaped.
    pub(crate) ascii: bool,
    /// Whether keys are sorted.
    pub(crate) sorted: bool,
}

impl Style {
    /// Python's defaults, but for `ensure_ascii=False`.
    pub(crate) fn new(indent: Option<String>) -> Self {
        let between_items = if indent.is_some() { "," } else { ", " }.to_owned();
        Self { indent, between_items, behind_key: ": ".to_owned(), ascii: false, sorted: false }
    }
}

/// Returns the JSON of a value on one line, with a space behind each comma and colon.
pub(crate) fn to_string(value: &Value) -> String {
    dumps(value, &Style::new(None))
}

/// Returns the JSON of a value.
pub(crate) fn dumps(value: &Value, style: &Style) -> String {
    let mut text = String::new();
    write(value, style, 0, &mut text);
    text
}

fn write(value: &Value, style: &Style, depth: usize, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => text.push_str(&number_text(number)),
        Value::String(string) => quote(string, style.ascii, text),
        Value::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                begin_item(style, place, depth, text);
                write(item, style, depth + 1, text);
            }
            end_items(style, items.is_empty(), depth, text);
            text.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            if style.sorted {
                fields.sort_by_key(|(key, _)| *key);
            }
            text.push('{');
            for (place, (key, item)) in fields.iter().enumerate() {
                begin_item(style, place, depth, text);
                quote(key, style.ascii, text);
                text.push_str(&style.behind_key);
                write(item, style, depth + 1, text);
            }
            end_items(style, fields.is_empty(), depth, text);
            text.push('}');
        }
    }
}

fn begin_item(style: &Style, place: usize, depth: usize, text: &mut String) {
    if place > 0 {
        text.push_str(&style.between_items);
    }
    if let Some(indent) = &style.indent {
        text.push('\n');
        text.push_str(&indent.repeat(depth + 1));
    }
}

fn end_items(style: &Style, empty: bool, depth: usize, text: &mut String) {
    if let (Some(indent), false) = (&style.indent, empty) {
        text.push('\n');
        text.push_str(&indent.repeat(depth));
    }
}

/// Writes a string in double quotes, with JSON's escapes as Python chooses them.
fn quote(string: &str, ascii: bool, text: &mut String) {
    text.push('"');
    for char in string.chars() {
        match char {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            char if char < ' ' || (ascii && char > '~') => {
                let mut units = [0; 2];
                for unit in char.encode_utf16(&mut units) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
            char => text.push(char),
        }
    }
    text.push('"');
}

/// Returns a number as Python writes it: `1e-07` and `1e+16`, where Rust has other forms.
fn number_text(number: &Number) -> String {
    if number.is_i64() || number.is_u64() {
        return number.to_string();
    }
    number.as_f64().map_or_else(|| number.to_string(), float_text)
}

fn float_text(float: f64) -> String {
    // The shortest digits that read back as the same number, which both languages write.
    let shortest = format!("{float:e}");
    let Some((digits, exponent)) = shortest.split_once('e') else { return shortest };
    let Ok(exponent) = exponent.parse::<i32>() else { return shortest };
    if (-4..16).contains(&exponent) {
        let plain = float.to_string();
        return if plain.contains('.') { plain } else { format!("{plain}.0") };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// Returns what Python's `str` makes of a value: a string as it is, all else as `repr` does.
pub(crate) fn str_of(value: &Value) -> String {
    match value {
        Value::String(string) => string.clone(),
        other => repr(other),
    }
}

fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number_text(number),
        Value::String(string) => repr_string(string),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(repr).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let field =
                |(key, item): (&String, &Value)| format!("{}: {}", repr_string(key), repr(item));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
    }
}

fn repr_string(string: &str) -> String {
    let quote = if string.contains('\'') && !string.contains('"') { '"' } else { '\'' };
    let mut text = String::from(quote);
    for char in string.chars() {
        match char {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            char if char == quote => text.extend(['\\', char]),
            char if char.is_control() => text.push_str(&format!("\\x{:02x}", u32::from(char))),
            char => text.push(char),
        }
    }
    text.push(quote);
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_spacing_is_pythons() {
        let value = json!({"answer": ["é\n", "\u{1}\u{7f}\""], "n": {"a": 1}, "e": [[], {}]});

        assert_eq!(
            to_string(&value),
            "{\"answer\": [\"é\\n\", \"\\u0001\u{7f}\\\"\"], \"n\": {\"a\": 1}, \"e\": [[], {}]}"
        );
        assert_eq!(
            dumps(&value, &Style { sorted: true, ascii: true, ..Style::new(Some("  ".into())) }),
            "{\n  \"answer\": [\n    \"\\u00e9\\n\",\n    \"\\u0001\\u007f\\\"\"\n  ],\n  \"e\": [\n    [],\n    {}\n  ],\n  \"n\": {\n    \"a\": 1\n  }\n}"
        );
    }

    #[test]
    fn numbers_and_texts_are_pythons() {
        let floats = [1.0, -0.5, 1e-7, 1.5e16, 1e15, 123_456.789, 0.0001, 1e22, 5e-324];

        let written = floats.map(|float| to_string(&json!(float)));

        assert_eq!(
            written,
            [
                "1.0",
                "-0.5",
                "1e-07",
                "1.5e+16",
                "1000000000000000.0",
                "123456.789",
                "0.0001",
                "1e+22",
                "5e-324"
            ]
        );
        assert_eq!(
            str_of(&json!({"a": [true, null, "it's", "\"q\"\n"], "b": 2})),
            "{'a': [True, None, \"it's\", '\"q\"\\n'], 'b': 2}"
        );
    }
}
