//! From a parsed pattern to what an automaton can search for.
//!
//! # What is taken apart
//!
//! *Possessive.* `C++X` gives nothing back. It is `C+X` where giving back could not help: where `X` may
//! match nothing, for then the first try succeeds; and where no character of `C` begins `X`.
//!
//! *The end.* `C++$`, where `C` has the line feed, is `C+` at the end of the text: behind the longest run of
//! `C` there is no line feed.
//!
//! *Look-ahead.* `\s+(?!\S)` is the run of white space, less its last character where something follows.
//! An automaton finds the run; the search gives the character back. Where there is only one, a later
//! alternative matches it, so that the pattern matches at the same places with and without the look-ahead.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, Look, Repetition};

use super::syntax::{Mode, Node, Times, set};

/// A pattern as alternatives, of which the first that matches counts.
#[derive(Debug)]
pub(super) struct Alternatives {
    pub(super) hirs: Vec<Hir>,
    /// The alternative that is `\s+(?!\S)`; here it is `\s+`.
    pub(super) giving_back: Option<usize>,
    /// Whether every text has a match at its beginning.
    pub(super) is_total: bool,
}

/// Lowers a pattern, or says what in it is not covered.
pub(super) fn lower(node: Node) -> Result<Alternatives, String> {
    let alternatives = match node {
        Node::Either(alternatives) => alternatives,
        one => vec![one],
    };
    let white = set(r"\s")?;
    let mut giving_back = None;
    let mut hirs = Vec::new();
    let mut singles = ClassUnicode::empty();
    for (number, node) in alternatives.iter().enumerate() {
        let hir = if is_giving_back(node, &white) {
            if giving_back.replace(number).is_some() {
                return Err("two look-aheads".into());
            }
            lowered(&Node::Class(white.clone()), &Ahead::end())
                .map(|hir| repeat(hir, ONE_OR_MORE))?
        } else {
            singles.union(&single_characters(node));
            lowered(node, &Ahead::end())?
        };
        if hir.properties().minimum_len().is_none_or(|len| len == 0) {
            return Err("it may match nothing".into());
        }
        hirs.push(hir);
    }
    let all = ClassUnicode::new([ClassUnicodeRange::new('\0', char::MAX)]);
    let is_total = singles == all;
    if let Some(number) = giving_back {
        // A single white space has nothing to give back; then another alternative has to match it.
        let mut others = white;
        others.difference(&union(alternatives[number + 1..].iter().map(single_characters)));
        if !others.ranges().is_empty() {
            return Err("a look-ahead without another match for white space".into());
        }
    }
    Ok(Alternatives { hirs, giving_back, is_total })
}

const ONE_OR_MORE: Times = Times { min: 1, max: None };

fn repeat(hir: Hir, times: Times) -> Hir {
    let Times { min, max } = times;
    Hir::repetition(Repetition { min, max, greedy: true, sub: Box::new(hir) })
}

/// Returns whether an alternative is `\s+(?!\S)`.
fn is_giving_back(node: &Node, white: &ClassUnicode) -> bool {
    let Node::Concat(nodes) = node else { return false };
    let [Node::Repeat { node, times, mode: Mode::Greedy }, Node::NoSolid] = nodes.as_slice() else {
        return false;
    };
    *times == ONE_OR_MORE && matches!(&**node, Node::Class(set) if set == white)
}

/// What may come at a place of a pattern.
#[derive(Clone, Debug)]
struct Ahead {
    /// The characters that may come first.
    first: ClassUnicode,
    /// Whether nothing more has to come.
    is_nullable: bool,
}

impl Ahead {
    fn end() -> Self {
        Self { first: ClassUnicode::empty(), is_nullable: true }
    }

    fn of(node: &Node) -> Self {
        match node {
            Node::Class(set) => Self { first: set.clone(), is_nullable: false },
            Node::Concat(nodes) => nodes.iter().rev().fold(Self::end(), Self::after),
            Node::Either(nodes) => {
                let mut ahead = Self { first: ClassUnicode::empty(), is_nullable: false };
                for node in nodes {
                    let other = Self::of(node);
                    ahead.first.union(&other.first);
                    ahead.is_nullable |= other.is_nullable;
                }
                ahead
            }
            Node::Repeat { node, times, .. } => {
                let mut ahead = Self::of(node);
                ahead.is_nullable |= times.min == 0;
                ahead
            }
            // A line feed has to come, or the end, which no character begins.
            Node::LineEnd => {
                let feed = ClassUnicodeRange::new('\n', '\n');
                Self { first: ClassUnicode::new([feed]), is_nullable: false }
            }
            Node::NoSolid => Self::end(),
        }
    }

    /// Returns what may come where a part comes first, and then this.
    fn after(mut self, node: &Node) -> Self {
        let mut ahead = Self::of(node);
        if ahead.is_nullable {
            self.first.union(&ahead.first);
            ahead.first = self.first;
            ahead.is_nullable = self.is_nullable;
        }
        ahead
    }
}

/// Lowers a part, after which `ahead` may come.
fn lowered(node: &Node, ahead: &Ahead) -> Result<Hir, String> {
    match node {
        Node::Class(set) => Ok(Hir::class(Class::Unicode(set.clone()))),
        Node::Either(nodes) => nodes
            .iter()
            .map(|node| lowered(node, ahead))
            .collect::<Result<_, _>>()
            .map(Hir::alternation),
        Node::Concat(nodes) => sequence(nodes, ahead),
        Node::Repeat { node, times, mode } => {
            if may_be_empty(node) && times.max != Some(1) {
                return Err("a repetition of what may match nothing".into());
            }
            if *mode == Mode::Possessive && !is_greedy_enough(node, ahead) {
                return Err("a possessive quantifier that matters".into());
            }
            // Another round of it may come, too.
            let again =
                Node::Repeat { node: node.clone(), times: Times { min: 0, ..*times }, mode: *mode };
            let sub = Box::new(lowered(node, &ahead.clone().after(&again))?);
            let Times { min, max } = *times;
            Ok(Hir::repetition(Repetition { min, max, greedy: *mode != Mode::Lazy, sub }))
        }
        Node::LineEnd => Ok(Hir::look(Look::EndLF)),
        Node::NoSolid => Err("a look-ahead `(?!\\S)` elsewhere than in `\\s+(?!\\S)`".into()),
    }
}

/// Lowers parts one after the other.
fn sequence(nodes: &[Node], ahead: &Ahead) -> Result<Hir, String> {
    let mut hirs = Vec::new();
    let mut ahead = ahead.clone();
    let mut nodes = nodes;
    while let Some((last, before)) = nodes.split_last() {
        let is_last = hirs.is_empty() && ahead.is_nullable && ahead.first == ClassUnicode::empty();
        if let (Node::LineEnd, true, Some(run)) =
            (last, is_last, before.last().and_then(whole_lines))
        {
            hirs.push(Hir::look(Look::End));
            hirs.push(run);
            // Nothing but the end comes after the run.
            ahead = Ahead { first: ClassUnicode::empty(), is_nullable: false };
            if let Some((run, rest)) = before.split_last() {
                ahead = ahead.after(run);
                nodes = rest;
            }
            continue;
        }
        hirs.push(lowered(last, &ahead)?);
        ahead = ahead.after(last);
        nodes = before;
    }
    hirs.reverse();
    Ok(Hir::concat(hirs))
}

/// Returns a possessive run of a set with the line feed, as a greedy one.
fn whole_lines(node: &Node) -> Option<Hir> {
    let Node::Repeat { node, times, mode: Mode::Possessive } = node else { return None };
    let Node::Class(set) = &**node else { return None };
    let has_feed = set.ranges().iter().any(|range| range.start() <= '\n' && '\n' <= range.end());
    // A bounded run may end before a line feed.
    let is_run = has_feed && times.max.is_none();
    is_run.then(|| repeat(Hir::class(Class::Unicode(set.clone())), *times))
}

/// Returns whether giving back a part's last repetition could not help what comes after it.
fn is_greedy_enough(node: &Node, ahead: &Ahead) -> bool {
    if ahead.is_nullable {
        return true;
    }
    let Node::Class(set) = node else { return false };
    let mut both = set.clone();
    both.intersect(&ahead.first);
    both.ranges().is_empty()
}

/// Returns the characters that a part matches alone, whatever surrounds them.
fn single_characters(node: &Node) -> ClassUnicode {
    match node {
        Node::Class(set) => set.clone(),
        Node::Either(nodes) => union(nodes.iter().map(single_characters)),
        Node::Concat(nodes) => {
            // One part matches the character, and the others nothing.
            let others_may_be_empty = |number: usize| {
                let mut others = nodes.iter().enumerate().filter(|(other, _)| *other != number);
                others.all(|(_, node)| may_be_empty(node))
            };
            let numbered = nodes.iter().enumerate();
            let alone = numbered.filter(|(number, _)| others_may_be_empty(*number));
            union(alone.map(|(_, node)| single_characters(node)))
        }
        Node::Repeat { node, times, .. } => {
            let is_once = times.max != Some(0) && (times.min <= 1 || may_be_empty(node));
            if is_once { single_characters(node) } else { ClassUnicode::empty() }
        }
        Node::LineEnd | Node::NoSolid => ClassUnicode::empty(),
    }
}

/// Returns whether a part may match nothing, whatever surrounds it.
fn may_be_empty(node: &Node) -> bool {
    match node {
        Node::Class(_) | Node::LineEnd | Node::NoSolid => false,
        Node::Either(nodes) => nodes.iter().any(may_be_empty),
        Node::Concat(nodes) => nodes.iter().all(may_be_empty),
        Node::Repeat { node, times, .. } => times.min == 0 || may_be_empty(node),
    }
}

fn union(sets: impl Iterator<Item = ClassUnicode>) -> ClassUnicode {
    sets.fold(ClassUnicode::empty(), |mut all, set| {
        all.union(&set);
        all
    })
}
