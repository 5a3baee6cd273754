//! Reads a regular expression in Oniguruma's syntax, as `tokenizers` gives it to Oniguruma.
//!
//! What means something else elsewhere, or what no tokenizer is known to need, is refused.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

use super::oniguruma;

/// How deep groups and classes may be nested.
const DEEPEST: usize = 50;

/// Names of `\p{…}` whose characters are the same for Oniguruma and `regex-syntax`; a test compares them.
pub(super) const PROPERTIES: [&str; 45] = [
    "L",
    "Lu",
    "Ll",
    "Lt",
    "Lm",
    "Lo",
    "M",
    "Mn",
    "Mc",
    "Me",
    "N",
    "Nd",
    "Nl",
    "No",
    "P",
    "Pc",
    "Pd",
    "Ps",
    "Pe",
    "Pi",
    "Pf",
    "Po",
    "S",
    "Sm",
    "Sc",
    "Sk",
    "So",
    "Z",
    "Zs",
    "Zl",
    "Zp",
    "Han",
    "Hiragana",
    "Katakana",
    "Hangul",
    "Latin",
    "Greek",
    "Cyrillic",
    "Arabic",
    "Hebrew",
    "Thai",
    "Devanagari",
    "Armenian",
    "Bengali",
    "Tamil",
];

/// A part of a pattern.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// One character of a set.
    Class(ClassUnicode),
    /// Parts one after the other.
    Concat(Vec<Node>),
    /// The first of these that leads to a match.
    Either(Vec<Node>),
    /// A part several times.
    Repeat { node: Box<Node>, times: Times, mode: Mode },
    /// `$`: before a line feed, or the end.
    LineEnd,
    /// `(?!\S)`: before white space, or the end.
    NoSolid,
}

/// How often a part is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) min: u32,
    /// None where there is no bound.
    pub(super) max: Option<u32>,
}

/// What a repetition prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Many, and gives back.
    Greedy,
    /// Few.
    Lazy,
    /// Many, and gives nothing back.
    Possessive,
}

/// Parses a pattern, or says what in it is not covered.
pub(super) fn parse(pattern: &str) -> Result<Node, String> {
    let mut parser = Parser { rest: Rest(pattern), folds: false, depth: 0 };
    let node = parser.alternatives()?;
    match parser.rest.next() {
        None => Ok(node),
        Some(found) => Err(format!("`{found}` without a group")),
    }
}

/// Returns the set of a class of `regex-syntax`, such as `\s` or `\p{L}`.
pub(super) fn set(class: &str) -> Result<ClassUnicode, String> {
    let parsed = regex_syntax::Parser::new().parse(class).map_err(|wrong| wrong.to_string())?;
    match parsed.into_kind() {
        HirKind::Class(Class::Unicode(set)) => Ok(set),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).map_err(|wrong| wrong.to_string())?;
            Ok(ClassUnicode::new(text.chars().map(|c| ClassUnicodeRange::new(c, c))))
        }
        _ => Err(format!("`{class}` is no class")),
    }
}

fn one(character: char) -> ClassUnicode {
    ClassUnicode::new([ClassUnicodeRange::new(character, character)])
}

/// Returns the only character of a set.
fn only(set: &ClassUnicode) -> Option<char> {
    match set.ranges() {
        [range] if range.start() == range.end() => Some(range.start()),
        _ => None,
    }
}

fn is_ascii(set: &ClassUnicode) -> bool {
    set.ranges().last().is_none_or(|range| range.end().is_ascii())
}

/// What of a pattern was not read yet.
#[derive(Clone, Copy)]
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn peek(self) -> Option<char> {
        self.0.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.0 = &self.0[next.len_utf8()..];
        Some(next)
    }

    fn next_if(&mut self, expected: impl Fn(&char) -> bool) -> Option<char> {
        let next = self.peek().filter(expected)?;
        self.next();
        Some(next)
    }

    fn next_if_eq(&mut self, expected: char) -> Option<char> {
        self.next_if(|next| *next == expected)
    }

    /// Reads up to an end, which is read, too.
    fn next_until(&mut self, end: char) -> Option<&'a str> {
        let (text, rest) = self.0.split_once(end)?;
        self.0 = rest;
        Some(text)
    }
}

struct Parser<'a> {
    rest: Rest<'a>,
    /// Whether case is ignored.
    folds: bool,
    depth: usize,
}

impl Parser<'_> {
    fn alternatives(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("it is nested deeper than {DEEPEST} levels"));
        }
        let mut alternatives = vec![self.sequence()?];
        while self.rest.next_if_eq('|').is_some() {
            alternatives.push(self.sequence()?);
        }
        self.depth -= 1;
        if alternatives.len() == 1 {
            return Ok(alternatives.remove(0));
        }
        Ok(Node::Either(alternatives))
    }

    fn sequence(&mut self) -> Result<Node, String> {
        let mut nodes = Vec::new();
        let mut before = None;
        while let Some(next) = self.rest.peek() {
            if matches!(next, '|' | ')') {
                break;
            }
            self.rest.next();
            let atom = self.atom(next)?;
            let is_letter = self.folds && next.is_ascii_alphabetic();
            let letter = is_letter.then(|| next.to_ascii_lowercase());
            if let (Some(before), Some(letter)) = (before, letter) {
                check_fold(before, letter)?;
            }
            before = letter;
            nodes.push(self.repeated(atom)?);
        }
        if nodes.len() == 1 {
            return Ok(nodes.remove(0));
        }
        Ok(Node::Concat(nodes))
    }

    /// Reads the part that begins with a character.
    fn atom(&mut self, first: char) -> Result<Node, String> {
        match first {
            '(' => self.group(),
            '[' => self.whole_class().and_then(|set| self.folded(set)).map(Node::Class),
            '\\' => self.escape().and_then(|set| self.folded(set)).map(Node::Class),
            '.' => {
                let mut set = one('\n');
                set.negate();
                Ok(Node::Class(set))
            }
            '$' => Ok(Node::LineEnd),
            '^' | '*' | '+' | '?' | '{' => Err(format!("`{first}`")),
            literal => self.folded(one(literal)).map(Node::Class),
        }
    }

    /// Reads a group, whose bracket was read.
    fn group(&mut self) -> Result<Node, String> {
        let folds = self.folds;
        if self.rest.next_if_eq('?').is_some() {
            match (self.rest.next(), self.rest.peek()) {
                (Some(':'), _) => {}
                (Some('i'), Some(':')) => {
                    self.rest.next();
                    self.folds = true;
                }
                (Some('i'), Some(')')) => {
                    // It speaks of all that follows in the enclosing group, alternatives too.
                    self.rest.next();
                    self.folds = true;
                    let node = self.alternatives()?;
                    self.folds = folds;
                    return Ok(node);
                }
                (Some('!'), _) => {
                    for expected in ['\\', 'S', ')'] {
                        if self.rest.next() != Some(expected) {
                            return Err("a look-ahead other than `(?!\\S)`".into());
                        }
                    }
                    return Ok(Node::NoSolid);
                }
                (found, _) => {
                    return Err(format!("`(?{}`", found.map_or(String::new(), String::from)));
                }
            }
        }
        let node = self.alternatives()?;
        self.folds = folds;
        match self.rest.next() {
            Some(')') => Ok(node),
            _ => Err("a group without an end".into()),
        }
    }

    /// Reads the quantifiers after a part.
    fn repeated(&mut self, mut node: Node) -> Result<Node, String> {
        loop {
            let (times, is_interval) = match self.rest.peek() {
                Some('*') => (Times { min: 0, max: None }, false),
                Some('+') => (Times { min: 1, max: None }, false),
                Some('?') => (Times { min: 0, max: Some(1) }, false),
                Some('{') => (self.interval()?, true),
                _ => return Ok(node),
            };
            if matches!(node, Node::LineEnd | Node::NoSolid) {
                return Err("a repeated look-ahead".into());
            }
            if !is_interval {
                self.rest.next();
            }
            let mode = match self.rest.peek() {
                Some('?') if is_interval => return Err("`{…}?`".into()),
                Some('?') => Mode::Lazy,
                // After an interval a `+` repeats the whole, which the next round reads.
                Some('+') if !is_interval => Mode::Possessive,
                _ => Mode::Greedy,
            };
            if mode != Mode::Greedy {
                self.rest.next();
            }
            node = Node::Repeat { node: Box::new(node), times, mode };
        }
    }

    /// Reads `{2}`, `{2,}`, `{,3}` or `{2,3}`; another `{` is an error.
    fn interval(&mut self) -> Result<Times, String> {
        self.rest.next();
        let min = self.number()?;
        let times = match (self.rest.next(), min) {
            (Some('}'), Some(times)) => Some(Times { min: times, max: Some(times) }),
            (Some(','), min) => {
                let max = self.number()?;
                let is_some = self.rest.next() == Some('}') && (min.is_some() || max.is_some());
                is_some.then_some(Times { min: min.unwrap_or(0), max })
            }
            _ => None,
        };
        let is_right = |times: &Times| times.max.is_none_or(|max| times.min <= max);
        times.filter(is_right).ok_or_else(|| "a `{` that is no interval".to_owned())
    }

    fn number(&mut self) -> Result<Option<u32>, String> {
        let mut digits = String::new();
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        if digits.is_empty() {
            return Ok(None);
        }
        digits.parse().map(Some).map_err(|_| format!("`{{{digits}`"))
    }

    /// Reads a class that is in no other, whose bracket was read.
    fn whole_class(&mut self) -> Result<ClassUnicode, String> {
        let begun = self.rest.0;
        let set = self.class()?;
        let text = &begun[..begun.len() - self.rest.0.len()];
        oniguruma::within_brackets(set, &format!("[{text}"))
    }

    /// Reads a class, whose bracket was read.
    fn class(&mut self) -> Result<ClassUnicode, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("it is nested deeper than {DEEPEST} levels"));
        }
        let is_negated = self.rest.next_if_eq('^').is_some();
        if self.rest.peek() == Some(']') {
            return Err("a class that begins with `]`".into());
        }
        let mut left: Option<ClassUnicode> = None;
        let mut set = ClassUnicode::empty();
        loop {
            let item = match self.rest.next() {
                None => return Err("a class without an end".into()),
                Some(']') => break,
                Some('[') if self.rest.peek() == Some(':') => return Err("`[[:`".into()),
                Some('[') => self.class()?,
                Some('&') if self.rest.next_if_eq('&').is_some() => {
                    left = Some(intersection(left, set));
                    set = ClassUnicode::empty();
                    continue;
                }
                Some('\\') => self.escape()?,
                Some(literal) => one(literal),
            };
            set.union(&self.ranged(item)?);
        }
        let mut set = intersection(left, set);
        if is_negated {
            set.negate();
        }
        self.depth -= 1;
        Ok(set)
    }

    /// Reads the end of a range that an item of a class begins, if it begins one.
    fn ranged(&mut self, item: ClassUnicode) -> Result<ClassUnicode, String> {
        if self.rest.peek() != Some('-') {
            return Ok(item);
        }
        let mut ahead = self.rest;
        ahead.next();
        if ahead.peek() == Some(']') {
            return Ok(item);
        }
        self.rest.next();
        let end = match self.rest.next() {
            Some('\\') => only(&self.escape()?),
            Some('[' | '&') | None => None,
            literal => literal,
        };
        match (only(&item), end) {
            (Some(start), Some(end)) if start <= end => {
                Ok(ClassUnicode::new([ClassUnicodeRange::new(start, end)]))
            }
            _ => Err("a range that is none".into()),
        }
    }

    /// Reads an escape, whose backslash was read.
    fn escape(&mut self) -> Result<ClassUnicode, String> {
        let Some(kind) = self.rest.next() else { return Err("a `\\` at the end".into()) };
        match kind {
            's' | 'S' | 'd' | 'D' => set(&format!("\\{kind}")),
            'w' | 'W' => oniguruma::set_of(&format!("\\{kind}")),
            'n' => Ok(one('\n')),
            'r' => Ok(one('\r')),
            't' => Ok(one('\t')),
            'f' => Ok(one('\u{c}')),
            'v' => Ok(one('\u{b}')),
            'a' => Ok(one('\u{7}')),
            'e' => Ok(one('\u{1b}')),
            'p' | 'P' => self.property(kind == 'P'),
            'u' => self.hexadecimal(4),
            'x' if self.rest.next_if_eq('{').is_some() => {
                let code = self.rest.next_until('}').ok_or("`\\x{` without an end")?;
                character(code)
            }
            // Above these it is a byte, not a character.
            'x' => self.hexadecimal(2).and_then(|set| {
                if is_ascii(&set) { Ok(set) } else { Err("a byte that is not ASCII".into()) }
            }),
            literal if literal.is_ascii_punctuation() || literal == ' ' => Ok(one(literal)),
            other => Err(format!("`\\{other}`")),
        }
    }

    fn hexadecimal(&mut self, digits: usize) -> Result<ClassUnicode, String> {
        let code = self.rest.0.get(..digits).ok_or("a code without an end")?;
        self.rest.0 = &self.rest.0[digits..];
        character(code)
    }

    /// Reads the name of a property: `{L}` or `{^L}`.
    fn property(&mut self, is_negated: bool) -> Result<ClassUnicode, String> {
        if self.rest.next() != Some('{') {
            return Err("`\\p` without a bracket".into());
        }
        let is_twice = self.rest.next_if_eq('^').is_some();
        let name = self.rest.next_until('}').ok_or("`\\p{` without an end")?;
        let class = format!("\\p{{{name}}}");
        let mut set = if PROPERTIES.contains(&name) {
            set(&class)?
        } else if name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            oniguruma::set_of(&class)?
        } else {
            return Err(format!("`{class}`"));
        };
        if is_negated != is_twice {
            set.negate();
        }
        Ok(set)
    }

    /// Adds the other cases of a set's characters, where case is ignored.
    fn folded(&self, mut set: ClassUnicode) -> Result<ClassUnicode, String> {
        if self.folds {
            let has_letters = |range: &ClassUnicodeRange| {
                (range.start()..=range.end()).any(|c| c.is_ascii_alphabetic())
            };
            // Beyond ASCII, Oniguruma lets some characters stand for several.
            if !is_ascii(&set) {
                return Err("characters beyond ASCII in any case".into());
            }
            if set.ranges().iter().any(has_letters) {
                set.try_case_fold_simple().map_err(|wrong| wrong.to_string())?;
            }
        }
        Ok(set)
    }
}

fn intersection(left: Option<ClassUnicode>, mut right: ClassUnicode) -> ClassUnicode {
    if let Some(left) = left {
        right.intersect(&left);
    }
    right
}

fn character(code: &str) -> Result<ClassUnicode, String> {
    let code = u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
    code.map(one).ok_or_else(|| "a code that is no character's".to_owned())
}

/// Refuses two letters that one character of several stands for, such as `ß` for `ss`.
fn check_fold(before: char, letter: char) -> Result<(), String> {
    match (before, letter) {
        ('s', 's' | 't') | ('f', 'f' | 'i' | 'l') => {
            Err(format!("`{before}{letter}` in any case, which one character may stand for"))
        }
        _ => Ok(()),
    }
}
