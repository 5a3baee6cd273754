//! What a chat template may cost: its own length and nesting, and the work and memory of writing.
//!
//! Templates come from the hub with a tokenizer, so they are foreign programs. A bound is looked at
//! before the work that it bounds: nesting before anything is parsed, for a parser calls itself for
//! each level; a value's size before the value is made.

use minijinja::value::{Value as JinjaValue, ValueKind};
use minijinja::{Error, ErrorKind, State};

/// The most bytes of a template.
const MOST_BYTES: usize = 1 << 20;

/// The most words and signs within one tag: each may be a level of an expression.
const MOST_PARTS: usize = 10_000;

/// The most `elif` of a template: each is a level of blocks, and the parser counts only the others.
const MOST_ELIFS: usize = 1_000;

/// The stack of the thread that parses: 16 KiB for each level that the bounds allow.
const PARSER_STACK: usize = 16 * 1024 * (MOST_PARTS + MOST_ELIFS);

/// What writing one conversation may cost, in steps of the template: each also pays for 64 bytes.
///
/// So a template may make 186 MiB of text and lists with [`FREE_BYTES`], and write 64 MiB of it.
const STEPS: u64 = 2_000_000;

/// The bounds of writing, as an error tells them.
pub(super) const MOST_TOLD: &str = "2 million steps, of which each also pays for 64 bytes, and 16 more for each byte of the conversation";

/// What each byte of the conversation adds: 1024 bytes that the template may make.
const STEPS_PER_BYTE: u64 = 16;

/// How deep lists and maps may lie in each other where they are written.
const MOST_LEVELS: u64 = 128;

/// What an item of a list costs to write, in steps.
const STEPS_PER_ITEM: u64 = 2;

/// How many bytes a step pays for.
const BYTES_PER_STEP: u64 = 64;

/// Returns the steps that a conversation of so many bytes may take.
pub(super) fn steps(bytes: usize) -> u64 {
    STEPS.saturating_add((bytes as u64).saturating_mul(STEPS_PER_BYTE))
}

/// Returns how many bytes of a conversation cost nothing: so small ones share one environment.
pub(super) const FREE_BYTES: usize = 64 << 10;

/// Runs the parser with a stack that holds whatever [`check`] lets through.
pub(super) fn with_parser_stack<T: Send>(parse: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(PARSER_STACK);
        let parser = thread.spawn_scoped(scope, parse).map_err(|wrong| wrong.to_string())?;
        parser.join().map_err(|_| "the template's parser failed".to_owned())
    })
}

/// Checks a template's length and nesting, before it is parsed.
///
/// # Errors
///
/// Says which bound is passed, and where.
pub(super) fn check(source: &str) -> Result<(), String> {
    if source.len() > MOST_BYTES {
        return Err(format!(
            "the template has {} bytes, expected at most {MOST_BYTES}",
            source.len()
        ));
    }
    let line = |at: usize| memchr::memchr_iter(b'\n', &source.as_bytes()[..at]).count() + 1;
    let mut elifs = 0;
    for tag in Tags::of(source) {
        if tag.parts > MOST_PARTS {
            return Err(format!(
                "line {}: a tag has more than {MOST_PARTS} words and signs, too many to be parsed",
                line(tag.at)
            ));
        }
        elifs += usize::from(tag.first == "elif");
        if elifs > MOST_ELIFS {
            return Err(format!("line {}: more than {MOST_ELIFS} `elif`", line(tag.at)));
        }
    }
    Ok(())
}

/// A tag of a template, as the lexer of `minijinja` finds it.
pub(super) struct Tag<'a> {
    /// Where it begins.
    pub(super) at: usize,
    /// Its first word, where it begins with one.
    pub(super) first: &'a str,
    /// How many words and signs it has.
    pub(super) parts: usize,
    /// Whether it is a block, `{% … %}`, and no expression.
    pub(super) is_block: bool,
}

/// Walks over the tags of a template: past comments and raw blocks, and past strings within tags.
///
/// Brackets and braces are counted as the lexer does, since a tag does not end within them.
pub(super) struct Tags<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Tags<'a> {
    pub(super) fn of(source: &'a str) -> Self {
        Self { source, at: 0 }
    }

    /// Reads the tag that begins at `start`, behind its two signs, up to `close`.
    fn tag(&mut self, start: usize, close: &[u8]) -> Tag<'a> {
        let bytes = self.source.as_bytes();
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        let mut tag = Tag { at: start, first: "", parts: 0, is_block: close == b"%}" };
        let signed = usize::from(matches!(bytes.get(start + 2), Some(b'-' | b'+')));
        let (mut at, mut open) = (start + 2 + signed, 0_i64);
        while at < bytes.len() {
            let rest = &bytes[at..];
            let begun = at;
            if rest[0].is_ascii_whitespace() {
                at += 1;
                continue;
            }
            if open == 0 {
                let signed = usize::from(matches!(rest[0], b'-' | b'+'));
                if rest[signed..].starts_with(close) {
                    at += signed + close.len();
                    break;
                }
            }
            match rest[0] {
                quote @ (b'\'' | b'"') => {
                    at += 1;
                    while at < bytes.len() && bytes[at] != quote {
                        at += if bytes[at] == b'\\' { 2 } else { 1 };
                    }
                    at += 1;
                }
                byte if word(byte) => {
                    while at < bytes.len() && word(bytes[at]) {
                        at += 1;
                    }
                    if tag.parts == 0 {
                        tag.first = self.source.get(begun..at).unwrap_or_default();
                    }
                }
                sign => {
                    open += i64::from(matches!(sign, b'(' | b'[' | b'{'));
                    open -= i64::from(matches!(sign, b')' | b']' | b'}'));
                    at += 1;
                }
            }
            tag.parts += 1;
        }
        self.at = at.min(bytes.len());
        tag
    }

    /// Returns where a raw block ends whose content begins at `at`.
    fn behind_raw(&self, mut at: usize) -> usize {
        loop {
            let begun = self.behind(at, "{%");
            if begun == self.source.len() {
                return begun;
            }
            let inside = &self.source[begun..];
            let inside = inside.strip_prefix(['-', '+']).unwrap_or(inside);
            let word = inside.trim_ascii_start().strip_prefix("endraw").map(str::trim_ascii_start);
            let end = word.map(|rest| rest.strip_prefix(['-', '+']).unwrap_or(rest));
            if let Some(rest) = end.and_then(|rest| rest.strip_prefix("%}")) {
                return self.source.len() - rest.len();
            }
            at = begun;
        }
    }

    /// Returns where what begins at `at` ends: behind the next `close`, or with the template.
    fn behind(&self, at: usize, close: &str) -> usize {
        let rest = self.source.get(at..).unwrap_or_default();
        rest.find(close).map_or(self.source.len(), |found| at + found + close.len())
    }
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        loop {
            let start = self.at + self.source.get(self.at..)?.find('{')?;
            let rest = &self.source.as_bytes()[start..];
            match rest.get(1) {
                Some(b'#') => {
                    let signed = usize::from(matches!(rest.get(2), Some(b'-' | b'+')));
                    self.at = self.behind(start + 2 + signed, "#}");
                }
                Some(b'{') => return Some(self.tag(start, b"}}")),
                Some(b'%') => {
                    let tag = self.tag(start, b"%}");
                    if tag.first != "raw" || tag.parts != 1 {
                        return Some(tag);
                    }
                    // Nothing in a raw block is a tag but the one that ends it.
                    self.at = self.behind_raw(self.at);
                }
                _ => self.at = start + 1,
            }
        }
    }
}

/// How a value is to be written: what each of its items takes in addition to its own text.
#[derive(Clone, Copy, Default)]
pub(super) struct Spacing {
    /// The bytes of an indent, which an item takes once for each level.
    pub(super) indent: u64,
    /// The bytes between two items, and between a key and its value.
    pub(super) between: u64,
}

/// Pays for a value to be written as text, before it is.
///
/// # Errors
///
/// It is too large, or its lists lie too deep in each other.
pub(super) fn pay_for(state: &State<'_, '_>, value: &JinjaValue) -> Result<(), Error> {
    // A text is paid for where it is written.
    if value.as_str().is_some() {
        return Ok(());
    }
    pay_for_spaced(state, value, Spacing::default())
}

/// Pays for a value to be written with spacing, before it is.
///
/// # Errors
///
/// As [`pay_for`].
pub(super) fn pay_for_spaced(
    state: &State<'_, '_>,
    value: &JinjaValue,
    spacing: Spacing,
) -> Result<(), Error> {
    pay(state, value, spacing, 0)
}

fn pay(
    state: &State<'_, '_>,
    value: &JinjaValue,
    spacing: Spacing,
    level: u64,
) -> Result<(), Error> {
    if level > MOST_LEVELS {
        let reason = format!("lists or maps lie more than {MOST_LEVELS} deep in each other");
        return Err(Error::new(ErrorKind::InvalidOperation, reason));
    }
    let text = value.as_str().map_or(0, str::len) as u64;
    let around = spacing.indent.saturating_mul(level + 1).saturating_add(spacing.between);
    let bytes = text.saturating_add(around);
    state.consume_fuel(STEPS_PER_ITEM.saturating_add(bytes / BYTES_PER_STEP))?;
    let kind = value.kind();
    if !matches!(kind, ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
        return Ok(());
    }
    let Ok(items) = value.try_iter() else { return Ok(()) };
    for item in items {
        if kind == ValueKind::Map {
            pay(state, &value.get_item(&item)?, spacing, level + 1)?;
        }
        pay(state, &item, spacing, level + 1)?;
    }
    Ok(())
}

/// Pays for so many bytes, before they are made.
///
/// # Errors
///
/// They are too many.
pub(super) fn pay_for_bytes(state: &State<'_, '_>, bytes: u64) -> Result<(), Error> {
    state.consume_fuel(bytes / BYTES_PER_STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(source: &str) -> Vec<(&str, usize)> {
        Tags::of(source).map(|tag| (tag.first, tag.parts)).collect()
    }

    #[test]
    fn tags_are_found_where_the_lexer_finds_them() {
        let source = "{ {# {{ a }} #}{{ '}}' ~ \"%}\\\"}}\" }}{% raw %}{{ a.b }}{% x %}{%- endraw -%}\
                      {%- if {'a': {}}['}}'] -%}{{ {} }}{% endif";

        assert_eq!(tags(source), [("", 3), ("if", 10), ("", 2), ("endif", 1)]);
        assert_eq!(tags("{#-#}{{ a }}"), [("a", 1)]);
        assert_eq!(tags("{% raw %}{{ a"), []);
        assert_eq!(tags("{{ 'never closed"), [("", 1)]);
    }

    #[test]
    fn a_template_that_is_too_long_or_nested_is_told_before_it_is_parsed() {
        let far = "\n\n{{ ".to_owned();
        for (source, says) in [
            ("x".repeat(MOST_BYTES + 1), "the template has 1048577 bytes"),
            (far.clone() + &"not ".repeat(200_000) + "x }}", "line 3: a tag has more"),
            (far.clone() + &"-".repeat(200_000) + "x }}", "line 3: a tag has more"),
            (far.clone() + "x" + &".a".repeat(200_000) + "}}", "line 3: a tag has more"),
            (far.clone() + "x" + &"|upper".repeat(100_000) + "}}", "line 3: a tag has more"),
            (far.clone() + &"1 if 1 else ".repeat(50_000) + "1 }}", "line 3: a tag has more"),
            (far + &"[".repeat(200_000), "line 3: a tag has more"),
            ("{% if x %}".to_owned() + &"\n{% elif x %}".repeat(50_000), "line 1002: more than"),
        ] {
            let refused = check(&source).unwrap_err();

            assert!(refused.starts_with(says), "{refused}");
        }
    }

    #[test]
    fn a_long_but_flat_template_is_good() {
        let items = "'a', ".repeat(4_000);

        assert_eq!(
            check(&format!("{{% set all = [{items}] %}}{}", "{{ x }}\n".repeat(90_000))),
            Ok(())
        );
    }
}
