//! The rules that FineWeb adds.

use std::collections::HashSet;
use std::sync::OnceLock;

use super::settings::FineWeb;
use super::{Counted, duplicates, share};
use crate::words::{WordReader, strip};

/// The characters that end sentences in many scripts.
const TERMINAL: &str = include_str!("terminal_punctuation.txt");

/// Returns whether a line ends as sentences do.
fn is_ended(line: &str) -> bool {
    static ENDS: OnceLock<HashSet<char>> = OnceLock::new();
    let ends = ENDS.get_or_init(|| TERMINAL.chars().filter(|sign| *sign != '\n').collect());
    line.chars().next_back().is_some_and(|sign| ends.contains(&sign))
}

impl FineWeb {
    /// Returns why a text is left out.
    pub(super) fn reason(
        &self,
        counted: &mut Counted<'_>,
        reader: &mut WordReader,
    ) -> Option<&'static str> {
        let text = counted.text;
        let lines: Vec<&str> = text.split('\n').filter(|line| !strip(line).is_empty()).collect();
        if lines.is_empty() {
            return Some("empty");
        }
        let ended = lines.iter().filter(|line| is_ended(line)).count();
        if share(ended, lines.len()) < self.line_punct_thr
            && !(ended == 0 && self.line_punct_exclude_zero)
        {
            return Some("line_punct_ratio");
        }
        let is_short = |line: &&&str| line.chars().count() <= self.short_line_length;
        if share(lines.iter().filter(is_short).count(), lines.len()) > self.short_line_thr {
            return Some("short_line_ratio");
        }
        let line_ends = text.bytes().filter(|byte| *byte == b'\n').count();
        let chars = counted.chars() - line_ends;
        if share(duplicates(lines.iter().copied()).1, chars) > self.char_duplicates_ratio {
            return Some("char_dup_ratio");
        }
        let words = counted.words(reader).len();
        (share(line_ends, words) > self.new_line_ratio).then_some("list_ratio")
    }
}
