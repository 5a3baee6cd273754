//! The boundary to code that is not ours: what it does to a run ends here, as a value.
//!
//! Hugging Face `tokenizers` and what it is made of panic on some files and some texts, and some files
//! ask for work without end. Inside [`caught`] a panic is an error and nothing is printed; inside
//! [`bounded`] the steps of a tokenizer draw on what one text may cost, too.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{
    AssertUnwindSafe, PanicHookInfo, catch_unwind, resume_unwind, set_hook, take_hook,
};
use std::sync::Once;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use thiserror::Error;

use crate::bounds::limits::{most_added, most_seconds};

/// A bound of what one text may cost, which a tokenizer has met.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Bound {
    /// A regular expression tries too much.
    #[error(
        "the pattern `{pattern}` of its {part} takes more than {steps} steps at byte {at} of a piece of {bytes} bytes"
    )]
    Steps {
        /// The part of the tokenizer.
        part: &'static str,
        /// The pattern, or its beginning.
        pattern: String,
        /// How many steps it may take at one place.
        steps: u32,
        /// Where the search began.
        at: usize,
        /// How long the text is that it looks at.
        bytes: usize,
    },
    /// A regular expression fails on a text for another reason.
    #[error("the pattern `{pattern}` of its {part} fails: {reason}")]
    Pattern {
        /// The part of the tokenizer.
        part: &'static str,
        /// The pattern, or its beginning.
        pattern: String,
        /// What Oniguruma says.
        reason: String,
    },
    /// Regular expressions are at one text for too long.
    #[error(
        "the pattern `{pattern}` of its {part} is not done with a text of {bytes} bytes after {seconds} s"
    )]
    Seconds {
        /// The part of the tokenizer.
        part: &'static str,
        /// The pattern, or its beginning.
        pattern: String,
        /// For how long they may be.
        seconds: u64,
        /// How long the text is.
        bytes: usize,
    },
    /// A part of the tokenizer makes the text too long.
    #[error("its {part} adds more than {most} bytes to a text of {bytes}")]
    Growth {
        /// The part of the tokenizer.
        part: &'static str,
        /// How many bytes it may add.
        most: usize,
        /// How long the text is.
        bytes: usize,
    },
}

/// Why code beyond the boundary has not returned.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It met a bound.
    Bound(Bound),
    /// It panicked, and said this.
    Panic(String),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bound(bound) => bound.fmt(f),
            Self::Panic(said) => f.write_str(said),
        }
    }
}

/// What the text at hand has cost, and may cost.
#[derive(Clone, Copy)]
struct Spent {
    begun: Instant,
    /// The processor time of this thread when the text began.
    processor: Duration,
    bytes: usize,
    added: usize,
}

thread_local! {
    /// Whether this thread is beyond the boundary.
    static BEYOND: Cell<bool> = const { Cell::new(false) };
    /// What the last panic beyond the boundary said.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
    static SPENT: Cell<Option<Spent>> = const { Cell::new(None) };
}

/// Puts back what a thread had before it crossed the boundary, however it returns.
struct Crossing {
    beyond: bool,
    spent: Option<Spent>,
}

impl Crossing {
    fn begin(spent: Option<Spent>) -> Self {
        Self { beyond: BEYOND.replace(true), spent: SPENT.replace(spent) }
    }
}

impl Drop for Crossing {
    fn drop(&mut self) {
        BEYOND.set(self.beyond);
        SPENT.set(self.spent);
    }
}

/// Runs code that may panic; a panic is an error, and is not printed.
pub(crate) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, Broken> {
    cross(SPENT.get(), run)
}

/// Runs code that may panic, on a text of so many bytes, which bounds what it may cost.
pub(crate) fn bounded<T>(bytes: usize, run: impl FnOnce() -> T) -> Result<T, Broken> {
    cross(Some(Spent { begun: Instant::now(), processor: processor_time(), bytes, added: 0 }), run)
}

fn cross<T>(spent: Option<Spent>, run: impl FnOnce() -> T) -> Result<T, Broken> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| if BEYOND.get() { remember(info) } else { before(info) }));
    });
    let crossing = Crossing::begin(spent);
    let ended = catch_unwind(AssertUnwindSafe(run));
    drop(crossing);
    ended.map_err(|payload| broken(payload.as_ref()))
}

/// Keeps what a panic says, and in which file of the source.
fn remember(info: &PanicHookInfo<'_>) {
    let said = info.payload_as_str().unwrap_or("it gave no reason");
    let place = info.location().map(|place| {
        // The path begins with where a dependency lay when this program was built.
        let file = place.file().rsplit('/').take(3).collect::<Vec<_>>();
        let file = file.into_iter().rev().collect::<Vec<_>>().join("/");
        format!(" ({file}:{})", place.line())
    });
    SAID.set(Some(format!("{said}{}", place.unwrap_or_default())));
}

fn broken(payload: &(dyn Any + Send)) -> Broken {
    match payload.downcast_ref::<Bound>() {
        Some(bound) => Broken::Bound(bound.clone()),
        None => Broken::Panic(SAID.take().unwrap_or_else(|| "it gave no reason".into())),
    }
}

/// Ends what runs beyond the boundary, where an error that is returned would be dropped.
pub(crate) fn leave(bound: Bound) -> ! {
    resume_unwind(Box::new(bound))
}

/// Draws on the bytes that may be added to the text at hand.
pub(crate) fn grow(part: &'static str, by: usize) -> Result<(), Bound> {
    let Some(mut spent) = SPENT.get() else { return Ok(()) };
    let most = most_added(spent.bytes);
    spent.added = spent.added.saturating_add(by);
    if spent.added > most {
        return Err(Bound::Growth { part, most, bytes: spent.bytes });
    }
    SPENT.set(Some(spent));
    Ok(())
}

/// Returns the time that the text at hand may take and its length, where that time is over.
pub(crate) fn is_late() -> Option<(u64, usize)> {
    let spent = SPENT.get()?;
    let most = most_seconds(spent.bytes);
    // Processor time decides, since a stopped program or a busy machine is no fault of the text. It costs a call to the
    // system, so the clock is asked first.
    let is_late = spent.begun.elapsed().as_secs() >= most
        && processor_time().saturating_sub(spent.processor).as_secs() >= most;
    is_late.then_some((most, spent.bytes))
}

/// Returns how long this thread has run on a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_what_it_says_and_where() {
        let ended = caught(|| {
            let empty: Vec<u8> = Vec::new();
            empty.first().copied().expect("a number")
        });

        let Err(Broken::Panic(said)) = ended else { panic!("{ended:?}") };
        assert!(said.starts_with("a number (src/bounds/boundary.rs:"), "{said}");
        assert!(!BEYOND.get());
    }

    #[test]
    fn growth_is_counted_over_all_steps_of_a_text_and_begins_again_with_the_next() {
        let most = most_added(3);
        let twice = || grow("normalizer", most / 2).and_then(|()| grow("decoder", most / 2 + 1));

        let ended = bounded(3, || twice().unwrap_or_else(|bound| leave(bound)));
        let again = bounded(3, || grow("normalizer", most));

        assert_eq!(ended, Err(Broken::Bound(Bound::Growth { part: "decoder", most, bytes: 3 })));
        assert_eq!(again, Ok(Ok(())));
    }
}
