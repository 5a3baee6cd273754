//! Searches a text for the pieces that a pattern splits it into: its matches, and what is between them.

use regex_automata::dfa::dense::{Builder, Config, DFA};
use regex_automata::dfa::{Automaton, StartKind};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::Hir;

use super::lower::{Alternatives, lower};
use super::syntax::parse;

/// Bytes of an automaton, and of building it.
const MOST_BYTES: usize = 8 << 20;
const MOST_BUILDING: usize = 16 << 20;

type Automat = DFA<Vec<u32>>;

/// A pattern that splits a text. It looks at nothing in front of a piece, and matches are never empty.
#[derive(Debug)]
pub(crate) struct SplitRegex {
    /// Finds the end of a match, and its alternative.
    forward: Automat,
    /// Finds the beginning of a match that does not begin where the search does; none where the pattern
    /// matches everywhere.
    reverse: Option<Automat>,
    giving_back: Option<GivingBack>,
}

/// The alternative `\s+(?!\S)`, for which the automaton has `\s+`.
#[derive(Debug)]
struct GivingBack {
    alternative: usize,
    /// The alternatives after it, which count where it has nothing to give back.
    others: Automat,
}

impl SplitRegex {
    /// Compiles a pattern in Oniguruma's syntax, or says what in it is not covered.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        let Alternatives { hirs, giving_back, is_total } = lower(parse(pattern)?)?;
        let giving_back = match giving_back {
            Some(alternative) => {
                let others = automaton(&hirs[alternative + 1..], StartKind::Anchored)?;
                Some(GivingBack { alternative, others })
            }
            None => None,
        };
        let start = if is_total { StartKind::Anchored } else { StartKind::Both };
        let forward = automaton(&hirs, start)?;
        let reverse = if is_total { None } else { Some(reverse_automaton(&hirs)?) };
        Ok(Self { forward, reverse, giving_back })
    }

    /// Compiles a pattern that finds a text as it stands.
    pub(crate) fn literal(text: &str) -> Result<Self, String> {
        Self::new(&regex_syntax::escape(text))
    }

    /// Returns whether matches follow each other without anything between them, whatever the text.
    pub(crate) fn is_total(&self) -> bool {
        self.reverse.is_none()
    }

    /// Returns how much memory it takes, in bytes.
    pub(crate) fn memory(&self) -> usize {
        let others = self.giving_back.as_ref().map(|giving_back| &giving_back.others);
        let automatons = [Some(&self.forward), self.reverse.as_ref(), others];
        automatons.into_iter().flatten().map(DFA::memory_usage).sum()
    }

    /// Returns the end of the piece of `text` that begins at `start`, which is before the end.
    pub(crate) fn piece_end(&self, text: &str, start: usize) -> usize {
        if let Some(found) = match_at(&self.forward, text.as_bytes(), start) {
            return self.end_of(&found, text, start);
        }
        // What is before the next match is a piece of its own.
        self.search(text, start).map_or(text.len(), |(next, _)| next)
    }

    /// Returns the beginning and the end of the first match that begins at `start` or later, where `start` is
    /// before the end of the text.
    pub(crate) fn next_match(&self, text: &str, start: usize) -> Option<(usize, usize)> {
        if self.is_total() {
            return Some((start, self.piece_end(text, start)));
        }
        let (start, found) = self.search(text, start)?;
        Some((start, self.end_of(&found, text, start)))
    }

    /// Searches for a match; none where the pattern matches everywhere, which nobody searches for.
    fn search(&self, text: &str, start: usize) -> Option<(usize, Found)> {
        let bytes = text.as_bytes();
        let reverse = self.reverse.as_ref()?;
        let input = Input::new(bytes).range(start..);
        let half = self.forward.try_search_fwd(&input).ok()??;
        let found = Found { alternative: half.pattern().as_usize(), end: half.offset() };
        let input = Input::new(bytes).range(start..found.end).anchored(Anchored::Yes);
        Some((reverse.try_search_rev(&input).ok()??.offset(), found))
    }

    /// Returns the end of a match, whose automaton has `\s+` for `\s+(?!\S)`.
    fn end_of(&self, found: &Found, text: &str, start: usize) -> usize {
        match &self.giving_back {
            Some(giving_back) if found.alternative == giving_back.alternative => {
                giving_back.end(text, start, found.end)
            }
            _ => found.end,
        }
    }
}

impl GivingBack {
    /// Returns the end of a match whose run of white space ends at `end`.
    fn end(&self, text: &str, start: usize, end: usize) -> usize {
        let run = &text[start..end];
        let last = run.chars().next_back().map_or(0, char::len_utf8);
        if end == text.len() {
            end
        } else if last < run.len() {
            end - last
        } else {
            match_at(&self.others, text.as_bytes(), start).map_or(end, |found| found.end)
        }
    }
}

/// A match that begins where it was looked for.
struct Found {
    alternative: usize,
    end: usize,
}

/// Returns the match at a place of a text.
#[inline]
fn match_at(automaton: &Automat, text: &[u8], start: usize) -> Option<Found> {
    let mut state = automaton.universal_start_state(Anchored::Yes)?;
    let mut found = None;
    for (at, &byte) in (start..).zip(&text[start..]) {
        state = automaton.next_state(state, byte);
        if automaton.is_special_state(state) {
            if automaton.is_match_state(state) {
                // A match is known one byte after its end.
                let alternative = automaton.match_pattern(state, 0).as_usize();
                found = Some(Found { alternative, end: at });
            } else if automaton.is_dead_state(state) {
                return found;
            }
        }
    }
    state = automaton.next_eoi_state(state);
    if automaton.is_match_state(state) {
        let alternative = automaton.match_pattern(state, 0).as_usize();
        found = Some(Found { alternative, end: text.len() });
    }
    found
}

fn compiler() -> thompson::Compiler {
    let mut compiler = thompson::Compiler::new();
    let config = thompson::Config::new();
    compiler.configure(config.which_captures(WhichCaptures::None).nfa_size_limit(Some(MOST_BYTES)));
    compiler
}

fn config() -> Config {
    let config = Config::new().accelerate(false);
    config.dfa_size_limit(Some(MOST_BYTES)).determinize_size_limit(Some(MOST_BUILDING))
}

/// Builds the automaton of alternatives, of which the first that matches counts.
fn automaton(hirs: &[Hir], start: StartKind) -> Result<Automat, String> {
    let nfa = compiler().build_many_from_hir(hirs).map_err(|wrong| wrong.to_string())?;
    let config = config().start_kind(start).match_kind(MatchKind::LeftmostFirst);
    let automaton =
        Builder::new().configure(config).build_from_nfa(&nfa).map_err(|wrong| wrong.to_string())?;
    // The search for a match at a place begins in one state, whatever is before the place.
    match automaton.universal_start_state(Anchored::Yes) {
        Some(_) => Ok(automaton),
        None => Err("a match that begins with the end of a line".to_owned()),
    }
}

/// Builds the automaton that goes from the end of a match to its beginning.
fn reverse_automaton(hirs: &[Hir]) -> Result<Automat, String> {
    let mut compiler = compiler();
    let config = thompson::Config::new().which_captures(WhichCaptures::None);
    compiler.configure(config.nfa_size_limit(Some(MOST_BYTES)).reverse(true));
    let nfa = compiler.build_many_from_hir(hirs).map_err(|wrong| wrong.to_string())?;
    let config = self::config().start_kind(StartKind::Anchored).match_kind(MatchKind::All);
    Builder::new().configure(config).build_from_nfa(&nfa).map_err(|wrong| wrong.to_string())
}

#[cfg(test)]
mod tests;
