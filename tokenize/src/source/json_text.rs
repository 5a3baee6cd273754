//! Takes the text out of a line of JSON, and does not look into the fields that are not asked for.
//!
//! Python writes `NaN`, `Infinity` and `-Infinity`, which JSON has not, and readers take them. So a
//! line that has them is read as if a number stood there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::row_text::{BadText, RowText, Undecodable, of_bytes};

/// The fields of a line of JSON, unparsed.
type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// A JSON string, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct BorrowedText<'a>(#[serde(borrow)] Cow<'a, str>);

/// Returns the text of a field of a line; its name has dots where it is nested.
pub(super) fn text_of<'a>(
    line: &'a [u8],
    field: &str,
    undecodable: Undecodable,
) -> Result<RowText<'a>, BadText> {
    let read = of_bytes(line, "the line", undecodable)?;
    let text = match read.text {
        Cow::Borrowed(text) => return text_of_str(text, field, undecodable),
        Cow::Owned(text) => text,
    };
    let range = range_of(&text, field)?;
    // What was wrong outside of the field is no change of the document.
    let inside = replaced_at(line).any(|at| range.contains(&at));
    let found = decode(&text[range], field, undecodable)?;
    Ok(RowText { replaced: found.replaced || inside, text: Cow::Owned(found.text.into_owned()) })
}

fn text_of_str<'a>(
    line: &'a str,
    field: &str,
    undecodable: Undecodable,
) -> Result<RowText<'a>, BadText> {
    if let Some(text) = sound_text(line, field) {
        return Ok(text.into());
    }
    decode(&line[range_of(line, field)?], field, undecodable)
}

/// Returns the text of a field that is not nested, where nothing is wrong with the line: each of its strings is
/// looked at once. What is wrong is told by those that look twice.
fn sound_text<'a>(line: &'a str, field: &str) -> Option<Cow<'a, str>> {
    if field.contains('.') {
        return None;
    }
    let mut reader = serde_json::Deserializer::from_str(line);
    let found = OneField(field).deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    found
}

/// Reads one field of an object, the last of its name, and passes over all others.
struct OneField<'f>(&'f str);

impl<'de> DeserializeSeed<'de> for OneField<'_> {
    type Value = Option<Cow<'de, str>>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneField<'_> {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = fields.next_key::<BorrowedText<'de>>()? {
            if name.0 == self.0 {
                found = Some(fields.next_value::<BorrowedText<'de>>()?.0);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Returns where in the text that is read with U+FFFD the replaced bytes of a line are.
fn replaced_at(line: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    line.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).map(move |chunk| {
        at += chunk.valid().len();
        let here = at;
        at += char::REPLACEMENT_CHARACTER.len_utf8();
        here
    })
}

/// Returns where the value of a field stands in a line.
pub(super) fn range_of(line: &str, field: &str) -> Result<Range<usize>, BadText> {
    match find(line, field) {
        Err(wrong) => match without_nan(line) {
            // What is no number stands as wide as the number in its place.
            Some(numbers) => find(&numbers, field).map_err(Into::into),
            None => Err(wrong.into()),
        },
        found => found.map_err(Into::into),
    }
}

fn find(line: &str, field: &str) -> Result<Range<usize>, String> {
    let mut rest = line;
    for (depth, name) in field.split('.').enumerate() {
        let mut fields: Fields<'_> = serde_json::from_str(rest).map_err(|wrong| {
            let what = without_line(&wrong);
            if depth > 0 {
                format!("`{name}` lies in no object: {what}")
            } else if rest.trim_start().starts_with('[') {
                format!("the line is a JSON array, expected a JSON object a line: {what}")
            } else {
                format!("the line is not a JSON object: {what}")
            }
        })?;
        let Some(value) = fields.remove(name) else {
            let present: Vec<_> = fields.into_keys().collect();
            return Err(format!("no field `{name}`; the fields are: {}", present.join(", ")));
        };
        rest = value.get();
    }
    let start = rest.as_ptr().addr() - line.as_ptr().addr();
    Ok(start..start + rest.len())
}

/// Reads a value that has to be a string.
fn decode<'a>(
    value: &'a str,
    field: &str,
    undecodable: Undecodable,
) -> Result<RowText<'a>, BadText> {
    if value == "null" {
        return Err("the text is null".to_owned().into());
    }
    let wrong = match serde_json::from_str::<BorrowedText<'a>>(value) {
        Ok(text) => return Ok(text.0.into()),
        Err(wrong) => wrong,
    };
    if !value.starts_with('"') {
        let nan = ["NaN", "Infinity", "-Infinity"].contains(&value);
        let found = if nan { format!("{value}, no string") } else { "no string".into() };
        return Err(format!("field `{field}` is {found}").into());
    }
    // An escape of half a surrogate pair, or one that there is not.
    let replaced = with_halves_replaced(value);
    let what = without_line(&wrong);
    let reason = format!("field `{field}` is a string that is no text: {what}");
    match (replaced, undecodable) {
        (Some(text), Undecodable::Replace) => {
            Ok(RowText { text: Cow::Owned(text), replaced: true })
        }
        (Some(_), Undecodable::Refuse) => Err(BadText::undecodable(reason)),
        (None, _) => Err(reason.into()),
    }
}

/// Reads a JSON string, U+FFFD for each half of a surrogate pair that stands alone; none where
/// something else is wrong with it.
fn with_halves_replaced(literal: &str) -> Option<String> {
    let mut rest = literal.strip_prefix('"')?.strip_suffix('"')?;
    let mut text = String::with_capacity(rest.len());
    while let Some(at) = rest.find(['\\', '"']) {
        text.push_str(&rest[..at]);
        let escape = rest[at..].strip_prefix('\\')?;
        let mut letters = escape.chars();
        let plain = match letters.next()? {
            'u' => {
                let (found, after) = unit(escape)?;
                let pair = unit_of_escape(after).filter(|_| (0xd800..0xdc00).contains(&found));
                rest = if let Some((low, after)) =
                    pair.filter(|(low, _)| (0xdc00..0xe000).contains(low))
                {
                    let code = 0x1_0000 + ((found - 0xd800) << 10) + (low - 0xdc00);
                    text.push(char::from_u32(code)?);
                    after
                } else {
                    text.push(char::from_u32(found).unwrap_or(char::REPLACEMENT_CHARACTER));
                    after
                };
                continue;
            }
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            same @ ('"' | '\\' | '/') => same,
            _ => return None,
        };
        text.push(plain);
        rest = letters.as_str();
    }
    text.push_str(rest);
    // A control character has to be escaped.
    let raw = literal.bytes().any(|byte| byte < 0x20);
    (!raw).then_some(text)
}

/// Reads an escape behind another.
fn unit_of_escape(text: &str) -> Option<(u32, &str)> {
    unit(text.strip_prefix('\\')?)
}

/// Reads `uXXXX`, and returns what follows.
fn unit(text: &str) -> Option<(u32, &str)> {
    let digits = text.strip_prefix('u')?.get(..4)?;
    let digits = digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(digits)?;
    Some((u32::from_str_radix(digits, 16).ok()?, &text[5..]))
}

/// Returns a line with a number of the same width in the place of each `NaN` and `Infinity` outside
/// of its strings; none where it has none.
fn without_nan(line: &str) -> Option<String> {
    rewritten(line, &[("NaN", "0.0"), ("Infinity", "0.000000")])
}

/// Returns a line with `null` in the place of each `NaN`, `Infinity` and `-Infinity`; none where it
/// has none.
fn with_null_for_nan(line: &str) -> Option<String> {
    rewritten(line, &[("NaN", "null"), ("Infinity", "null"), ("-Infinity", "null")])
}

/// Puts other words in the place of words that stand outside of strings.
fn rewritten(line: &str, words: &[(&str, &str)]) -> Option<String> {
    let mut out = String::new();
    let (mut copied, mut at, mut in_string) = (0, 0, false);
    let bytes = line.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'N' | b'I' | b'-' if !in_string => {
                let word = words.iter().find(|(word, _)| bytes[at..].starts_with(word.as_bytes()));
                if let Some((word, instead)) = word {
                    out.push_str(&line[copied..at]);
                    out.push_str(instead);
                    at += word.len();
                    copied = at;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    out.push_str(&line[copied..]);
    (copied > 0).then_some(out)
}

/// Reads a line of JSON that has to be an object; `NaN`, which Python writes, is null.
///
/// # Errors
///
/// It is something else, in words.
pub fn object_of(line: &[u8]) -> Result<Value, String> {
    let read = serde_json::from_slice(line).or_else(|wrong| {
        // What Python writes for no number is nothing; what needs it will say that it is missing.
        let text = std::str::from_utf8(line).ok().and_then(with_null_for_nan);
        text.map_or(Err(wrong), |text| serde_json::from_str(&text))
    });
    match read {
        Ok(Value::Object(row)) => Ok(Value::Object(row)),
        Ok(Value::Array(_)) => Err("not a JSON object, but an array".to_owned()),
        Ok(_) => Err("not a JSON object".to_owned()),
        Err(wrong) => {
            // The parser sees one line alone, so its line number says nothing.
            let reason = wrong.to_string();
            let reason = reason.split(" at line ").next().unwrap_or(&reason);
            Err(format!("not JSON: {reason}, column {}", wrong.column()))
        }
    }
}

/// Returns what is wrong and at which column; the number of the line is told already.
fn without_line(wrong: &serde_json::Error) -> String {
    let text = wrong.to_string();
    match text.split_once(" at line ") {
        Some((what, _)) if wrong.column() > 0 => format!("{what} at column {}", wrong.column()),
        Some((what, _)) => what.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn strict(line: &str) -> Result<String, String> {
        let found = text_of(line.as_bytes(), "text", Undecodable::Refuse);
        found.map(|found| found.text.into_owned()).map_err(|bad| bad.to_string())
    }

    fn lenient(line: &[u8]) -> (String, bool) {
        let found = text_of(line, "text", Undecodable::Replace).unwrap();
        (found.text.into_owned(), found.replaced)
    }

    #[test]
    fn what_python_writes_for_no_number_does_not_matter_in_other_fields() {
        for line in [
            r#"{"score": NaN, "text": "NaN, Infinity"}"#,
            r#"{"score": Infinity, "text": "NaN, Infinity"}"#,
            r#"{"text": "NaN, Infinity", "scores": [-Infinity, {"x": NaN}], "s": "\"NaN"}"#,
        ] {
            assert_eq!(strict(line).unwrap(), "NaN, Infinity", "{line}");
        }
        let nested = r#"{"a": NaN, "meta": {"text": "x\ny", "b": NaN}}"#;
        let found = text_of(nested.as_bytes(), "meta.text", Undecodable::Refuse).unwrap();
        assert_eq!(found.text, "x\ny");
    }

    #[test]
    fn no_number_is_no_text() {
        for (line, says) in [
            (r#"{"text": NaN}"#, "field `text` is NaN, no string"),
            (r#"{"text": -Infinity}"#, "field `text` is -Infinity, no string"),
            (r#"{"text": 1, "x": NaN}"#, "field `text` is no string"),
            (r#"{"x": NaN, "y": }"#, "expected value at column"),
            (r#"{"x": Nan, "text": "a"}"#, "expected value at column 7"),
            (r#"{"x": NaN}"#, "no field `text`; the fields are: x"),
            (r#"[{"text": "a"}]"#, "the line is a JSON array"),
        ] {
            let told = strict(line).unwrap_err();
            assert!(told.contains(says), "{line}: {told}");
        }
    }

    #[test]
    fn each_lone_half_of_a_pair_becomes_one_character() {
        for (written, text) in [
            (r"left \ud83d right", "left \u{fffd} right"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
            (r"\uD83D\n\u0041\/", "\u{fffd}\nA/"),
            (r"\ud83d", "\u{fffd}"),
            (r"\ud83dé\\u", "\u{fffd}é\\u"),
        ] {
            let line = format!("{{\"text\": \"{written}\"}}");

            assert_eq!(lenient(line.as_bytes()), (text.to_owned(), true), "{written}");
            let refused = text_of(line.as_bytes(), "text", Undecodable::Refuse).unwrap_err();
            assert!(refused.is_undecodable(), "{refused}");
        }
        let whole = br#"{"text": "\ud83d\ude00"}"#;
        assert_eq!(lenient(whole), ("\u{1f600}".to_owned(), false));
        for broken in [r#"{"text": "\ud83d	"}"#, r#"{"text": "\ud8"}"#, r#"{"text": "\x"}"#] {
            assert!(text_of(broken.as_bytes(), "text", Undecodable::Replace).is_err(), "{broken}");
        }
    }

    #[test]
    fn wrong_bytes_are_told_of_the_text_alone() {
        assert_eq!(lenient(b"{\"text\": \"a\xe9\"}"), ("a\u{fffd}".into(), true));
        assert_eq!(lenient(b"{\"x\": \"a\xe9\", \"text\": \"b\"}"), ("b".into(), false));
        assert_eq!(lenient(b"{\"x\": NaN, \"text\": \"\xff\"}"), ("\u{fffd}".into(), true));
        let outside = text_of(b"{\xff\"text\": \"b\"}", "text", Undecodable::Replace);
        assert!(outside.is_err());
    }

    #[test]
    fn tables_read_null_for_no_number() {
        let line = r#"{"a": NaN, "b": [-Infinity, Infinity, "NaN"], "c": -1}"#;
        let null = r#"{"a": null, "b": [null, null, "NaN"], "c": -1}"#;

        assert_eq!(with_null_for_nan(line).as_deref(), Some(null));
        assert_eq!(with_null_for_nan(null), None);
    }

    #[test]
    fn what_is_no_number_is_null() {
        let row = object_of(br#"{"a": NaN, "b": "NaN"}"#).unwrap();

        assert_eq!(row, json!({"a": null, "b": "NaN"}));
        assert!(object_of(b"[1]").unwrap_err().contains("array"));
    }

    /// A value of any shape, of few levels.
    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[ab]", inner, 0..3)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// One look at a line gives what two looks give, or leaves it to them.
        #[test]
        fn one_look_gives_what_two_looks_give(
            fields in prop::collection::vec(("text|t\\PC?|x", any_value()), 0..5),
            cut in any::<prop::sample::Index>(), is_cut in any::<bool>(),
        ) {
            let named = |(name, value): &(String, Value)| format!("{} : {value}", json!(name));
            let mut line = format!("{{{}}} ", fields.iter().map(named).collect::<Vec<_>>().join(","));
            if is_cut {
                let at = cut.index(line.len());
                line.truncate(line.floor_char_boundary(at));
            }
            let twice = range_of(&line, "text")
                .and_then(|range| decode(&line[range], "text", Undecodable::Refuse));

            let once = sound_text(&line, "text");

            // Of fields with one name, an earlier one that is no text is left to the others.
            let mut texts = fields.iter().filter(|(name, _)| name == "text");
            if once.is_some() || texts.all(|(_, value)| value.is_string()) {
                prop_assert_eq!(once, twice.ok().map(|twice| twice.text));
            }
        }

        /// Where nothing is wrong, the reading that replaces gives what the strict one gives.
        #[test]
        fn a_sound_string_is_read_alike(text in any::<String>()) {
            let literal = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(with_halves_replaced(&literal), Some(text));
        }
    }
}
