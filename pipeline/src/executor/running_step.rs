//! A running step: its progress, its rate, and the last line of its log.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ratdata_console::{grouped, sized, sized_f};
use ratdata_schemas::{RunEventKind, StepProgress};

use crate::store;

/// Over how long a rate is taken.
const RATE_OVER: Duration = Duration::from_secs(10);

/// How often the files of a step that tells nothing are measured.
const MEASURED_EVERY: Duration = Duration::from_secs(1);

/// What counts, of a step that does not tell how far it is.
const WRITTEN: &str = "bytes written";

/// A step that runs, and its progress so far.
#[derive(Debug)]
pub(crate) struct RunningStep {
    pub(crate) step: String,
    log: PathBuf,
    /// The folder that it writes into.
    folder: PathBuf,
    since: Instant,
    /// What was done at some moments of the last seconds, the oldest first.
    seen: VecDeque<(Instant, u64)>,
    progress: Option<StepProgress>,
}

impl RunningStep {
    pub(crate) fn new(step: &str, log: &Path, folder: &Path) -> Self {
        Self {
            step: step.to_owned(),
            log: log.to_owned(),
            folder: folder.to_owned(),
            since: Instant::now(),
            seen: VecDeque::new(),
            progress: None,
        }
    }

    /// Looks at how far the step is now: what it tells, or else how much it has written.
    pub(crate) fn look(&mut self) {
        let now = Instant::now();
        let told = StepProgress::read(&progress_file_of(&self.log));
        let progress = match told {
            Some(told) => told,
            None if self.seen.back().is_some_and(|(last, _)| now - *last < MEASURED_EVERY) => {
                return;
            }
            None => {
                let done = store::size(&self.folder).unwrap_or(0);
                StepProgress { done, total: None, unit: WRITTEN.into() }
            }
        };
        if self
            .progress
            .as_ref()
            .is_some_and(|last| last.unit != progress.unit || progress.done < last.done)
        {
            self.seen.clear();
        }
        self.seen.push_back((now, progress.done));
        while self.seen.len() > 2 && self.seen.get(1).is_some_and(|(at, _)| now - *at > RATE_OVER) {
            self.seen.pop_front();
        }
        self.progress = Some(progress);
    }

    /// Returns how far the step is, as an event; none before the first look.
    pub(crate) fn progress(&self) -> Option<RunEventKind> {
        let StepProgress { done, total, unit } = self.progress.clone()?;
        let (rate, seconds) = (self.rate(), self.since.elapsed().as_secs_f64());
        Some(RunEventKind::StepProgress {
            step: self.step.clone(),
            done,
            total,
            unit,
            rate,
            seconds,
        })
    }

    /// Returns how much is done and how much there is to do, where both are known.
    pub(crate) fn share(&self) -> Option<(u64, u64)> {
        let progress = self.progress.as_ref()?;
        Some((progress.done, progress.total.filter(|&total| total > 0)?))
    }

    /// Returns how far the step is, for how long it has run, and what it said last.
    pub(crate) fn words(&self) -> String {
        let mut words = vec![format!("{} s", self.since.elapsed().as_secs())];
        if let Some(progress) = &self.progress {
            words.push(words_of(progress.done, progress.total, &progress.unit, self.rate()));
        }
        words.extend(last_line(&self.log));
        words.retain(|word| !word.is_empty());
        words.join("  ")
    }

    /// Units a second over the last seconds.
    fn rate(&self) -> f64 {
        let (Some((from, first)), Some((to, last))) = (self.seen.front(), self.seen.back()) else {
            return 0.0;
        };
        let seconds = (*to - *from).as_secs_f64();
        if seconds > 0.0 { last.saturating_sub(*first) as f64 / seconds } else { 0.0 }
    }
}

/// Returns where a step with this log tells how far it is.
pub(crate) fn progress_file_of(log: &Path) -> PathBuf {
    log.with_extension("progress")
}

/// Says how much is done, how fast, and how long the rest takes; nothing where nothing is done.
pub(crate) fn words_of(done: u64, total: Option<u64>, unit: &str, rate: f64) -> String {
    if done == 0 && total.is_none() {
        return String::new();
    }
    let bytes = unit == "bytes" || unit == WRITTEN;
    let amount = |count: u64| if bytes { sized(count) } else { grouped(count) };
    let mut text = amount(done);
    if let Some(total) = total.filter(|&total| total > 0) {
        text += &format!(" of {} ({:.0}%)", amount(total), done as f64 / total as f64 * 100.0);
    }
    match unit {
        "bytes" | "" => {}
        WRITTEN => text += " written",
        unit => text += &format!(" {unit}"),
    }
    if rate > 0.0 {
        text += &if bytes { format!(", {}/s", sized_f(rate)) } else { format!(", {rate:.1}/s") };
        if let Some(left) = total.and_then(|total| total.checked_sub(done)) {
            text += &format!(", {:.0} s left", left as f64 / rate);
        }
    }
    text
}

/// Returns the last lines of a log, each on a line of its own and set in.
pub(crate) fn tail(log: &Path, count: usize) -> String {
    let text = as_drawn(&end_of(log, 4096).unwrap_or_default());
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(count)..];
    last.iter().flat_map(|line| ["\n    ", line]).collect()
}

fn last_line(log: &Path) -> Option<String> {
    let text = as_drawn(&end_of(log, 512)?);
    text.lines().rev().find(|line| !line.is_empty() && !line.starts_with("$ ")).map(str::to_owned)
}

fn end_of(path: &Path, bytes: u64) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let len = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(bytes))).ok()?;
    let mut end = Vec::new();
    file.take(bytes).read_to_end(&mut end).ok()?;
    Some(String::from_utf8_lossy(&end).into_owned())
}

/// Takes out of a text what a terminal would obey: escape sequences and all control characters but
/// ends of lines and tabs. A line that was drawn over itself is what was drawn last.
pub(crate) fn as_drawn(text: &str) -> String {
    let mut found = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        let drawn = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
        let mut letters = drawn.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\u{1b}' => skip_sequence(&mut letters),
                '\u{9b}' => skip_parameters(&mut letters),
                '\t' => found.push('\t'),
                letter if letter.is_control() => {}
                letter => found.push(letter),
            }
        }
        found.push_str(end);
    }
    found
}

/// Skips what follows an escape: a control sequence, a string of the operating system, or a letter.
fn skip_sequence(letters: &mut std::str::Chars<'_>) {
    match letters.next() {
        Some('[') => skip_parameters(letters),
        // Up to a bell or the string's own end.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(letter) = letters.next() {
                if letter == '\u{1b}' {
                    letters.next();
                }
                if matches!(letter, '\u{7}' | '\u{1b}' | '\u{9c}') {
                    break;
                }
            }
        }
        // Of two or more characters, such as the choice of a character set.
        Some(' '..='/') => {
            letters.find(|letter| !matches!(letter, ' '..='/'));
        }
        _ => {}
    }
}

fn skip_parameters(letters: &mut std::str::Chars<'_>) {
    letters.find(|letter| !matches!(letter, ' '..='?'));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_shown_without_what_a_terminal_obeys() {
        let cases = [
            ("\u{1b}[31mred\u{1b}[0m, plain\n", "red, plain\n"),
            ("\u{1b}]0;a title\u{7}text", "text"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("10%\r20%\r30%\r\nnext\u{8}\u{0}", "30%\nnext"),
            ("\u{1b}(B\u{1b}[?25l\u{1b}[2Ja\u{9b}1;2Hb\tc", "ab\tc"),
            ("cut off \u{1b}[3", "cut off "),
        ];

        for (raw, shown) in cases {
            assert_eq!(as_drawn(raw), shown, "{raw:?}");
        }
    }

    #[test]
    fn what_is_done_is_told_with_its_rate_and_what_is_left() {
        assert_eq!(
            words_of(2_000_000, Some(8_000_000), "bytes", 1_500_000.0),
            "2.0 MB of 8.0 MB (25%), 1.5 MB/s, 4 s left"
        );
        assert_eq!(words_of(1200, None, "rows", 60.0), "1,200 rows, 60.0/s");
        assert_eq!(words_of(5000, None, WRITTEN, 0.0), "5.0 kB written");
        assert_eq!(words_of(0, None, WRITTEN, 0.0), "");
    }

    #[test]
    fn a_step_that_tells_nothing_is_measured_by_what_it_writes() {
        use std::io::Write;
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.log");
        let out = folder.path().join("out");
        std::fs::create_dir(&out).unwrap();
        File::create(out.join("file")).unwrap().write_all(&[0; 1000]).unwrap();
        let mut running = RunningStep::new("a", &log, &out);

        running.look();
        let measured = running.progress();
        let told = "{\"done\": 3, \"total\": 4, \"unit\": \"files\"}\n";
        File::create(progress_file_of(&log)).unwrap().write_all(told.as_bytes()).unwrap();
        running.look();

        assert!(
            matches!(&measured, Some(RunEventKind::StepProgress { done: 1000, total: None, .. })),
            "{measured:?}"
        );
        assert_eq!(running.share(), Some((3, 4)));
        assert!(running.words().contains("3 of 4 (75%) files"), "{}", running.words());
    }
}
