//! Regular expressions that an automaton runs with the meaning that they have in Oniguruma.
//!
//! An automaton takes a few steps a character, where Oniguruma tries one way after the other. It knows
//! neither look-around nor references, and the two libraries differ in syntax, in case folding and in their
//! tables of Unicode. So this is an allow-list: literals, classes, groups, alternatives and plain repetitions,
//! none of which can be empty. Every class is what Oniguruma says of each code point.
//!
//! One kind of look-ahead is taken apart, since nearly all pre-tokenizers end with it: `\s+(?!\S)|\s+`. The
//! first of the two finds a run of white space, and gives back its last character where something else follows;
//! a run of one character is left to the second, which finds it whole.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use onig::Regex;
use regex_automata::Input;
use regex_automata::meta;
use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{
    self, Ast, ClassSet, ClassSetItem, GroupKind, LiteralKind, RepetitionKind,
};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, Repetition};

use super::stop::Stop;

/// A pattern as automata; its alternatives at the top are numbered.
#[derive(Debug)]
pub(super) struct Automaton {
    regex: meta::Regex,
    /// The number of the alternative that gives back its last character.
    gives_back: Option<usize>,
}

/// The look-ahead that is known, and what follows it.
const WHITE_BEFORE_WHITE: &str = r"\s+(?!\S)";
const WHITE: &str = r"\s+";

impl Automaton {
    /// Compiles a pattern; none where it is not known to mean the same here.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        let alternatives = alternatives(pattern)?;
        let gives_back = alternatives.iter().position(|text| *text == WHITE_BEFORE_WHITE);
        if let Some(place) = gives_back
            && alternatives.get(place + 1) != Some(&WHITE)
        {
            return None;
        }
        let texts = alternatives.into_iter().enumerate();
        let texts = texts.map(|(place, text)| if Some(place) == gives_back { WHITE } else { text });
        let parsed = texts.map(|text| translate(&Parser::new().parse(text).ok()?, text));
        let parsed: Vec<Hir> = parsed.collect::<Option<_>>()?;
        if parsed.iter().any(|hir| hir.properties().minimum_len().is_none_or(|len| len == 0)) {
            return None;
        }
        let config = meta::Config::new().utf8_empty(false).nfa_size_limit(Some(1 << 24));
        let regex = meta::Builder::new().configure(config).build_many_from_hir(&parsed).ok()?;
        Some(Self { regex, gives_back })
    }

    /// Calls `each` for every match, in order, until it returns false.
    pub(super) fn matches(
        &self,
        text: &str,
        mut each: impl FnMut(usize, usize) -> Result<bool, Stop>,
    ) -> Result<(), Stop> {
        let mut at = 0;
        while let Some(found) = self.regex.search(&Input::new(text).span(at..text.len())) {
            let (start, mut end) = (found.start(), found.end());
            if Some(found.pattern().as_usize()) == self.gives_back && end < text.len() {
                let last = text[start..end].chars().next_back().map_or(0, char::len_utf8);
                if end - last > start {
                    end -= last;
                }
            }
            if !each(start, end)? {
                break;
            }
            at = end;
        }
        Ok(())
    }
}

/// Returns the alternatives of a pattern that are within no group or class.
fn alternatives(pattern: &str) -> Option<Vec<&str>> {
    let (mut depth, mut class, mut start) = (0_usize, 0_usize, 0);
    let mut found = Vec::new();
    let mut places = pattern.char_indices();
    while let Some((place, character)) = places.next() {
        match character {
            '\\' => drop(places.next()?),
            '[' => class += 1,
            ']' if class > 0 => class -= 1,
            _ if class > 0 => {}
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            '|' if depth == 0 => {
                found.push(&pattern[start..place]);
                start = place + 1;
            }
            _ => {}
        }
    }
    found.push(&pattern[start..]);
    (depth == 0 && class == 0).then_some(found)
}

fn translate(ast: &Ast, pattern: &str) -> Option<Hir> {
    let all = |asts: &[Ast]| asts.iter().map(|ast| translate(ast, pattern)).collect::<Option<_>>();
    match ast {
        Ast::Literal(literal) => {
            character(literal).map(|c| Hir::literal(c.to_string().into_bytes()))
        }
        Ast::Dot(_) => {
            let newline = ClassUnicodeRange::new('\n', '\n');
            let mut class = ClassUnicode::new([newline]);
            class.negate();
            Some(Hir::class(Class::Unicode(class)))
        }
        Ast::ClassUnicode(_) | Ast::ClassPerl(_) | Ast::ClassBracketed(_) => {
            let class = class_of(ast, pattern)?;
            (!class.ranges().is_empty()).then(|| Hir::class(Class::Unicode(class)))
        }
        Ast::Repetition(repetition) => repeated(repetition, pattern),
        Ast::Group(group) => match &group.kind {
            GroupKind::CaptureIndex(_) => translate(&group.ast, pattern),
            GroupKind::NonCapturing(flags) if flags.items.is_empty() => {
                translate(&group.ast, pattern)
            }
            _ => None,
        },
        Ast::Alternation(alternation) => all(&alternation.asts).map(Hir::alternation),
        Ast::Concat(concat) => all(&concat.asts).map(Hir::concat),
        Ast::Empty(_) | Ast::Flags(_) | Ast::Assertion(_) => None,
    }
}

/// Returns a literal that is the same character in both syntaxes.
fn character(literal: &ast::Literal) -> Option<char> {
    let known = match literal.kind {
        LiteralKind::Verbatim => true,
        LiteralKind::Meta | LiteralKind::Superfluous => literal.c.is_ascii_punctuation(),
        LiteralKind::Special(_) => matches!(literal.c, '\n' | '\r' | '\t' | ' '),
        _ => false,
    };
    known.then_some(literal.c)
}

fn repeated(repetition: &ast::Repetition, pattern: &str) -> Option<Hir> {
    // A second quantifier makes the first one possessive in Oniguruma.
    if matches!(*repetition.ast, Ast::Repetition(_)) {
        return None;
    }
    let inner = translate(&repetition.ast, pattern)?;
    if inner.properties().minimum_len().is_none_or(|len| len == 0) {
        return None;
    }
    let (min, max) = match &repetition.op.kind {
        RepetitionKind::ZeroOrOne => (0, Some(1)),
        RepetitionKind::ZeroOrMore => (0, None),
        RepetitionKind::OneOrMore => (1, None),
        // `{2}?` is no lazy repetition in Oniguruma.
        RepetitionKind::Range(_) if !repetition.greedy => return None,
        RepetitionKind::Range(ast::RepetitionRange::Exactly(count)) => (*count, Some(*count)),
        RepetitionKind::Range(ast::RepetitionRange::AtLeast(min)) => (*min, None),
        RepetitionKind::Range(ast::RepetitionRange::Bounded(min, max)) => (*min, Some(*max)),
    };
    Some(Hir::repetition(Repetition { min, max, greedy: repetition.greedy, sub: Box::new(inner) }))
}

/// Returns the characters of a class, which are what Oniguruma says of its whole text: of some characters of
/// Latin-1 it says otherwise within brackets.
fn class_of(ast: &Ast, pattern: &str) -> Option<ClassUnicode> {
    let is_known = match ast {
        Ast::ClassPerl(_) => true,
        Ast::ClassUnicode(class) => is_plain_name(class),
        Ast::ClassBracketed(class) => is_known_set(&class.kind),
        _ => false,
    };
    let span = ast.span();
    let text = pattern.get(span.start.offset..span.end.offset)?;
    if is_known { oniguruma(text) } else { None }
}

/// Returns whether a class has the name of a category or script, which is no negation.
fn is_plain_name(class: &ast::ClassUnicode) -> bool {
    match &class.kind {
        ast::ClassUnicodeKind::OneLetter(letter) => letter.is_ascii_alphabetic(),
        ast::ClassUnicodeKind::Named(name) => name.chars().all(|c| c.is_ascii_alphabetic()),
        ast::ClassUnicodeKind::NamedValue { .. } => false,
    }
}

/// Returns whether the items of a set in brackets are read alike in both syntaxes.
fn is_known_set(set: &ClassSet) -> bool {
    let ClassSet::Item(item) = set else { return false };
    match item {
        ClassSetItem::Literal(literal) => character(literal).is_some(),
        ClassSetItem::Range(range) => {
            character(&range.start).is_some() && character(&range.end).is_some()
        }
        ClassSetItem::Unicode(class) => is_plain_name(class),
        ClassSetItem::Perl(_) => true,
        ClassSetItem::Bracketed(class) => is_known_set(&class.kind),
        ClassSetItem::Union(union) => {
            union.items.iter().all(|item| is_known_set(&ClassSet::Item(item.clone())))
        }
        ClassSetItem::Empty(_) | ClassSetItem::Ascii(_) => false,
    }
}

/// Returns a class by its text: what Oniguruma finds among all characters.
fn oniguruma(text: &str) -> Option<ClassUnicode> {
    static KNOWN: LazyLock<Mutex<HashMap<String, ClassUnicode>>> = LazyLock::new(Mutex::default);
    static ALL: LazyLock<String> =
        LazyLock::new(|| (0..0x11_0000).filter_map(char::from_u32).collect());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(class) = known.get(text) {
        return Some(class.clone());
    }
    let regex = Regex::new(&format!("{text}+")).ok()?;
    let runs = regex.find_iter(&ALL).filter_map(|(start, end)| {
        let run = &ALL[start..end];
        Some(ClassUnicodeRange::new(run.chars().next()?, run.chars().next_back()?))
    });
    let class = ClassUnicode::new(runs);
    known.insert(text.to_owned(), class.clone());
    Some(class)
}
