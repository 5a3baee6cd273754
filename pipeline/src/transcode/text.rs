//! Exports text: a line of JSON for each document or row, decoded by the tokenizer.

use ratdata_schemas::{DocIndex, Shard, Tokens, narrow};
use ratdata_tokenize::tokenizer::Tokenizer;
use rayon::prelude::*;
use serde::Serialize;

use super::error::TranscodeError;
use super::export_files::{Export, ExportedFile};

/// How many documents, and about how many tokens, are decoded at a time, on all threads.
const BATCH: (usize, u64) = (4096, 1 << 22);

/// A document as a line.
#[derive(Serialize)]
struct Document {
    text: String,
}

/// Writes the documents of one shard as `{"text": …}`, without the EOS that ends them.
pub(super) fn export_text(
    export: &Export<'_>,
    split: &str,
    stem: &str,
    shard: &Shard,
    files: &mut Vec<ExportedFile>,
) -> Result<(), TranscodeError> {
    let job = export.job;
    let (ends, tokens) = (shard.index().map_or(&[][..], DocIndex::ends), shard.bin().tokens());
    let at = |place: u64| -> usize { narrow(place) };
    let range = |number: usize| {
        let start = number.checked_sub(1).map_or(0, |before| ends[before]);
        at(start)..at(ends[number])
    };
    let document = |number: usize| {
        let mut range = range(number);
        let last = range.end.checked_sub(1).filter(|&last| last >= range.start);
        if let Some(last) = last.filter(|&last| tokens.get(last) == job.eos) {
            range.end = last;
        }
        let ids = tokens.slice(range).unwrap_or(Tokens::U32(&[]));
        Document { text: decode(job.tokenizer, ids) }
    };
    let lines = Lines { count: ends.len(), tokens: &|number| range(number).len() as u64 };
    write_lines(export, (split, &format!("{stem}.jsonl")), &lines, document, files)
}

/// How many lines there are, and of how many tokens each is.
pub(super) struct Lines<'a> {
    pub(super) count: usize,
    pub(super) tokens: &'a dyn Fn(usize) -> u64,
}

impl Lines<'_> {
    /// Returns the end of the batch that begins at a line: one line at least.
    fn batch_end(&self, first: usize) -> usize {
        let mut tokens = 0_u64;
        let fits = |&number: &usize| {
            tokens = tokens.saturating_add((self.tokens)(number));
            number == first || tokens <= BATCH.1
        };
        let most = self.count.min(first.saturating_add(BATCH.0));
        first + (first..most).take_while(fits).count()
    }
}

/// Writes one line for each number below the count, in order.
pub(super) fn write_lines<T: Serialize>(
    export: &Export<'_>,
    (split, name): (&str, &str),
    lines: &Lines<'_>,
    line: impl Fn(usize) -> T + Sync,
    files: &mut Vec<ExportedFile>,
) -> Result<(), TranscodeError> {
    let mut file = export.create(split, name)?;
    let json = |number: usize| {
        let mut text = Vec::new();
        serde_json::to_writer(&mut text, &line(number))?;
        text.push(b'\n');
        Ok(text)
    };
    let mut first = 0;
    while first < lines.count {
        export.check_stop()?;
        let end = lines.batch_end(first);
        let batch: Vec<serde_json::Result<Vec<u8>>> =
            (first..end).into_par_iter().map(json).collect();
        for text in batch {
            file.write(&text.map_err(|wrong| TranscodeError::io(&file.path)(wrong.into()))?)?;
        }
        first = end;
    }
    file.commit(None, files)
}

/// Returns the text of ids; the command has made sure that there is a tokenizer.
pub(super) fn decode(tokenizer: Option<&Tokenizer>, ids: Tokens<'_>) -> String {
    tokenizer.map_or_else(String::new, |tokenizer| tokenizer.decode_tokens(ids))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_ends_before_it_is_too_long_and_has_a_line_at_least() {
        let tokens = [5, 1 << 30, 1 << 21, 1 << 21, 1];
        let lines = Lines { count: tokens.len(), tokens: &|number| tokens[number] };

        let ends: Vec<usize> = (0..tokens.len()).map(|first| lines.batch_end(first)).collect();

        assert_eq!(ends, [1, 2, 4, 5, 5]);
    }
}
