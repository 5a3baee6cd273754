//! Patterns that texts are split by, or that are replaced in them.

use std::cell::Cell;
use std::fmt;

use memchr::memmem::Finder;

use crate::bounds::pattern::BoundedPattern;
use crate::engine::Level;
use crate::engine::pre_tokenizer::cutter::{CutState, Cuts, Cutter, Window};
use crate::engine::pre_tokenizer::pattern;
use crate::engine::pre_tokenizer::regex::split_regex::SplitRegex;

use super::stop::Stop;

/// What is looked for in a text.
pub(super) enum Pattern {
    /// A text as it stands, which is not empty.
    Text(Box<Finder<'static>>),
    /// A pattern that the engine knows, whose matches are the whole text.
    Engine(Box<Cutter>, Level),
    /// A regular expression that an automaton runs.
    Automaton(Box<SplitRegex>),
    /// Any other regular expression, as Oniguruma runs it.
    Oniguruma(BoundedPattern),
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Pattern::Text",
            Self::Engine(..) => "Pattern::Engine",
            Self::Automaton(_) => "Pattern::Automaton",
            Self::Oniguruma(_) => "Pattern::Oniguruma",
        })
    }
}

impl Pattern {
    /// Makes a pattern that finds a text as it stands.
    ///
    /// # Errors
    ///
    /// Oniguruma refuses it.
    pub(super) fn text(part: &'static str, text: &str) -> Result<Self, String> {
        if text.is_empty() {
            // The empty pattern matches everywhere.
            return BoundedPattern::literal(part, text).map(Self::Oniguruma);
        }
        Ok(Self::Text(Box::new(Finder::new(text).into_owned())))
    }

    /// Compiles a regular expression.
    ///
    /// # Errors
    ///
    /// Oniguruma refuses it.
    pub(super) fn regex(part: &'static str, text: &str) -> Result<Self, String> {
        let bounded = BoundedPattern::regex(part, text)?;
        if let (Some(known), Ok(level)) = (pattern::Pattern::known(text), Level::of_machine()) {
            return Ok(Self::Engine(Box::new(Cutter::Pattern(known)), level));
        }
        Ok(match SplitRegex::new(text) {
            Ok(regex) => Self::Automaton(Box::new(regex)),
            Err(_) => Self::Oniguruma(bounded),
        })
    }

    /// Calls `each` for every match, in order, until it returns false.
    pub(super) fn matches(
        &self,
        text: &str,
        mut each: impl FnMut(usize, usize) -> Result<bool, Stop>,
    ) -> Result<(), Stop> {
        if text.is_empty() {
            return Ok(());
        }
        match self {
            Self::Text(finder) => {
                let len = finder.needle().len();
                for start in finder.find_iter(text.as_bytes()) {
                    if !each(start, start + len)? {
                        break;
                    }
                }
                Ok(())
            }
            Self::Engine(cutter, level) => engine_matches(cutter, *level, text, each),
            Self::Automaton(regex) => {
                let mut at = 0;
                while at < text.len()
                    && let Some((start, end)) = regex.next_match(text, at)
                {
                    if !each(start, end)? {
                        break;
                    }
                    at = end;
                }
                Ok(())
            }
            Self::Oniguruma(bounded) => {
                for ((start, end), is_match) in bounded.stretches(text)? {
                    if is_match && !each(start, end)? {
                        break;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Calls `each` for every unit that the engine cuts.
fn engine_matches(
    cutter: &Cutter,
    level: Level,
    text: &str,
    mut each: impl FnMut(usize, usize) -> Result<bool, Stop>,
) -> Result<(), Stop> {
    thread_local! {
        /// Kept, since the cuts of a piece of a few bytes need as much room as those of a window.
        static CUTS: Cell<Cuts> = Cell::default();
    }
    let mut cuts = CUTS.take();
    let mut state = CutState::new(false);
    let mut start = 0;
    for window in Window::all(text) {
        cutter.cuts(level, &mut state, window, &mut cuts);
        for &end in cuts.ends() {
            let end = end as usize;
            if !each(start, end)? {
                return Ok(());
            }
            start = end;
        }
    }
    CUTS.set(cuts);
    Ok(())
}
