//! One pass over the tokens of a set of bins: how often each id occurs, and what gives a warning.
//!
//! Threads take stretches of about a million tokens, which end at document ends if there is an index.
//! Each thread has its own counts, which are added up. The result does not depend on their number.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use ratdata_schemas::{BinSet, Shard, TokenId, Tokens, narrow};

use super::documents::{Contents, Counter, DocumentCounts, Marks};
use super::eos_gaps::{Gap, gap_of};
use crate::failure::Failure;
use crate::interrupt;

/// How many tokens a thread takes at a time.
const STRETCH: u64 = 1 << 20;

/// The most ids with a counter each: a hostile id must not cause gigabytes of counters.
pub(super) const MOST_IDS: usize = 1 << 22;

/// The counts of one pass over a split.
#[derive(Debug)]
pub(crate) struct Scan {
    /// How often each id occurs.
    pub(crate) counts: Vec<u64>,
    /// Tokens whose ids are too large for a counter.
    pub(crate) beyond_table: u64,
    /// Lengths and ends of the documents.
    pub(crate) document_counts: DocumentCounts,
    /// Documents and blocks by their content.
    pub(crate) contents: Contents,
    /// Tokens that the loss mask leaves out.
    pub(crate) masked: u64,
    /// The longest run of one id, and the id.
    pub(crate) longest_run: (u64, TokenId),
    /// The most tokens between two EOS; 0 if EOS is not known.
    pub(crate) longest_gap: u64,
}

/// A stretch of one shard.
struct Stretch<'a> {
    shard: &'a Shard,
    tokens: Range<usize>,
    documents: Range<usize>,
}

/// Scans a set of bins; `ids` is how many ids have a counter, at most [`MOST_IDS`].
///
/// If a bin has no index, documents end at EOS. Without index and EOS there are no documents.
///
/// # Errors
///
/// The user asked to stop.
pub(crate) fn scan(set: &BinSet, ids: usize, marks: Marks) -> Result<Scan, Failure> {
    let stretches: Vec<Stretch<'_>> =
        set.shards().iter().flat_map(|shard| stretches(shard, marks.eos)).collect();
    let contents = Contents::new();
    let next = AtomicUsize::new(0);
    let counted = rayon::broadcast(|_| {
        let mut worker = Worker::new(ids.min(MOST_IDS), marks, &contents);
        while !interrupt::asked() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(stretch) = stretches.get(number) else { break };
            worker.add(number, stretch);
        }
        worker.finish()
    });
    interrupt::check()?;
    let mut scan = Scan {
        counts: vec![0; ids.min(MOST_IDS)],
        beyond_table: 0,
        document_counts: DocumentCounts::default(),
        contents,
        masked: 0,
        longest_run: (0, 0),
        longest_gap: 0,
    };
    let mut gaps = Vec::new();
    for part in counted {
        for (sum, count) in scan.counts.iter_mut().zip(&part.counts) {
            *sum += count;
        }
        scan.beyond_table += part.beyond_table;
        scan.document_counts.join(part.document_counts);
        scan.masked += part.masked;
        scan.longest_run = longer(scan.longest_run, part.longest_run);
        gaps.extend(part.gaps);
    }
    gaps.sort_unstable_by_key(|&(number, _)| number);
    let whole = gaps.into_iter().fold(Gap::default(), |gap, (_, next)| gap.then(next));
    scan.longest_gap = whole.longest();
    Ok(scan)
}

/// Divides a shard into stretches that end where documents end.
fn stretches(shard: &Shard, eos: Option<TokenId>) -> Vec<Stretch<'_>> {
    let mut stretches = Vec::new();
    let len = shard.bin().tokens().len();
    let Some(index) = shard.index() else {
        let mut start = 0;
        while start < len {
            let end = next_end(shard.bin().tokens(), start + place(STRETCH), eos);
            stretches.push(Stretch { shard, tokens: start..end, documents: 0..0 });
            start = end;
        }
        return stretches;
    };
    let ends = index.ends();
    let (mut document, mut token) = (0, 0_u64);
    while document < ends.len() {
        let after = ends.partition_point(|&end| end < token.saturating_add(STRETCH));
        let last = after.clamp(document + 1, ends.len());
        // A damaged index may point anywhere; reading stays within the bin.
        let tokens = place(token).min(len)..place(ends[last - 1]).min(len);
        // The ids of a long document are counted in parts; its end and repeats as a whole.
        let parted = tokens.len() > 2 * place(STRETCH);
        let parts = if parted { tokens.clone() } else { 0..0 };
        for start in parts.step_by(place(STRETCH)) {
            let part = start..tokens.end.min(start + place(STRETCH));
            stretches.push(Stretch { shard, tokens: part, documents: 0..0 });
        }
        let tokens = if parted { tokens.end..tokens.end } else { tokens };
        stretches.push(Stretch { shard, tokens, documents: document..last });
        (document, token) = (last, ends[last - 1]);
    }
    stretches
}

/// Returns the end of the document that contains `from`; or `from`, if nothing ends documents.
fn next_end(tokens: Tokens<'_>, from: usize, eos: Option<TokenId>) -> usize {
    fn find<T: Copy + PartialEq>(ids: &[T], eos: T) -> Option<usize> {
        ids.iter().position(|&id| id == eos)
    }
    let len = tokens.len();
    let Some(eos) = eos else { return from.min(len) };
    let first = from.saturating_sub(1).min(len);
    let found = match tokens {
        Tokens::U16(ids) => u16::try_from(eos).ok().and_then(|eos| find(&ids[first..], eos)),
        Tokens::U32(ids) => find(&ids[first..], eos),
    };
    found.map_or(len, |place| first + place + 1)
}

/// Returns the length of the longest run of one id, and a position in it; the first among equals.
///
/// If the longest run so far has length n, a longer one contains at least one of the positions that
/// are n apart. So only those positions are checked.
fn longest_run<T: Copy + PartialEq>(ids: &[T]) -> (u64, usize) {
    let (mut longest, mut found) = (0, 0);
    let mut start = 0;
    while start + longest < ids.len() {
        let at = start + longest;
        let id = ids[at];
        let before = ids[start..at].iter().rev().take_while(|&&other| other == id).count();
        let after = ids[at..].iter().take_while(|&&other| other == id).count();
        if before + after > longest {
            (longest, found) = (before + after, at);
        }
        start = at + after;
    }
    (longest as u64, found)
}

/// Returns the longer of two runs; among equals, the one of the smaller id.
fn longer(left: (u64, TokenId), right: (u64, TokenId)) -> (u64, TokenId) {
    let key = |run: (u64, TokenId)| (run.0, std::cmp::Reverse(run.1));
    if key(right) > key(left) { right } else { left }
}

/// Counts the set bits of a mask in a range.
fn bits_set(mask: &[u8], range: &Range<usize>) -> u64 {
    let bit = |at: usize| u64::from(mask.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1));
    let (first, last) = (range.start.next_multiple_of(8), range.end / 8 * 8);
    if first >= last {
        return range.clone().map(bit).sum();
    }
    let whole = mask.get(first / 8..last / 8).unwrap_or(&[]);
    let whole: u64 = whole.iter().map(|byte| u64::from(byte.count_ones())).sum();
    (range.start..first).chain(last..range.end).map(bit).sum::<u64>() + whole
}

/// What one thread counts.
struct Worker<'a> {
    marks: Marks,
    counter: Counter<'a>,
    counts: Vec<u64>,
    even: Vec<u32>,
    odd: Vec<u32>,
    since_sum: u64,
    beyond_table: u64,
    masked: u64,
    longest_run: (u64, TokenId),
    gaps: Vec<(usize, Gap)>,
}

/// The finished counts of one thread.
struct Counted {
    counts: Vec<u64>,
    beyond_table: u64,
    document_counts: DocumentCounts,
    masked: u64,
    longest_run: (u64, TokenId),
    gaps: Vec<(usize, Gap)>,
}

impl<'a> Worker<'a> {
    fn new(ids: usize, marks: Marks, contents: &'a Contents) -> Self {
        Self {
            marks,
            counter: Counter::new(contents, marks),
            counts: vec![0; ids],
            even: vec![0; ids],
            odd: vec![0; ids],
            since_sum: 0,
            beyond_table: 0,
            masked: 0,
            longest_run: (0, 0),
            gaps: Vec::new(),
        }
    }

    fn finish(mut self) -> Counted {
        self.sum_up();
        Counted {
            counts: self.counts,
            beyond_table: self.beyond_table,
            document_counts: self.counter.document_counts.clone(),
            masked: self.masked,
            longest_run: self.longest_run,
            gaps: self.gaps,
        }
    }

    fn add(&mut self, number: usize, stretch: &Stretch<'_>) {
        let tokens = stretch.shard.bin().tokens();
        let Some(slice) = tokens.slice(stretch.tokens.clone()) else { return };
        match slice {
            Tokens::U16(ids) => self.count(ids, usize::from),
            Tokens::U32(ids) => self.count(ids, |id| id as usize),
        }
        if let Some(eos) = self.marks.eos {
            self.gaps.push((number, gap_of(slice, eos)));
        }
        if let Some(mask) = stretch.shard.mask() {
            let trained = bits_set(mask, &stretch.tokens);
            self.masked += (stretch.tokens.len() as u64).saturating_sub(trained);
        }
        if let Some(index) = stretch.shard.index() {
            for document in stretch.documents.clone() {
                if let Some(range) = index.range(document) {
                    let start = place(range.start);
                    self.document(stretch.shard, start..place(range.end).max(start));
                }
            }
            return;
        }
        let mut start = stretch.tokens.start;
        while start < stretch.tokens.end && self.marks.eos.is_some() {
            let end = next_end(tokens, start + 1, self.marks.eos).min(stretch.tokens.end);
            self.document(stretch.shard, start..end);
            start = end;
        }
        if self.marks.eos.is_none() {
            // Nothing says where a document ends, so only blocks are counted.
            let width = stretch.shard.bin().dtype().width();
            let bytes = stretch.tokens.start * width..stretch.tokens.end * width;
            self.counter.blocks(&stretch.shard.bin().bytes()[bytes], width);
        }
    }

    /// Counts ids and finds the longest run of one.
    ///
    /// Adjacent tokens are counted in two tables, so that a repeated id does not wait for the store of
    /// its previous count.
    fn count<T: Copy + PartialEq>(&mut self, ids: &[T], of: impl Fn(T) -> usize) {
        let (even, odd) = (&mut self.even[..], &mut self.odd[..]);
        let (pairs, last) = ids.as_chunks::<2>();
        let mut beyond = 0;
        for &[first, second] in pairs {
            match even.get_mut(of(first)) {
                Some(count) => *count += 1,
                None => beyond += 1,
            }
            match odd.get_mut(of(second)) {
                Some(count) => *count += 1,
                None => beyond += 1,
            }
        }
        for &id in last {
            match even.get_mut(of(id)) {
                Some(count) => *count += 1,
                None => beyond += 1,
            }
        }
        self.beyond_table += beyond;
        self.since_sum += ids.len() as u64;
        if self.since_sum > u64::from(u32::MAX >> 1) {
            self.sum_up();
        }
        let (len, place) = longest_run(ids);
        if len > 0 {
            let id = TokenId::try_from(of(ids[place])).unwrap_or(TokenId::MAX);
            self.longest_run = longer(self.longest_run, (len, id));
        }
    }

    /// Adds the small counts to the large ones before they could overflow.
    fn sum_up(&mut self) {
        for table in [&mut self.even, &mut self.odd] {
            for (count, more) in self.counts.iter_mut().zip(table.iter_mut()) {
                *count += u64::from(std::mem::take(more));
            }
        }
        self.since_sum = 0;
    }

    /// Counts one document of a shard; an empty one if a damaged index points outside.
    fn document(&mut self, shard: &Shard, range: Range<usize>) {
        let width = shard.bin().dtype().width();
        let bytes = range.start.saturating_mul(width)..range.end.saturating_mul(width);
        let bytes = shard.bin().bytes().get(bytes).unwrap_or(&[]);
        let tokens = shard.bin().tokens();
        let at = |place: usize| tokens.get(place);
        let ids = range.end.checked_sub(1).and_then(|last| Some((at(range.start)?, at(last)?)));
        self.counter.document(bytes, width, ids, None);
    }
}

fn place(number: u64) -> usize {
    narrow(number)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;
    use ratdata_schemas::Dtype;

    use super::*;

    /// The expected result of a scan, computed token by token on one thread.
    fn plainly(ids: &[u16], ends: &[usize], (bos, eos): (u16, u16)) -> (Vec<u64>, u64, u64, u64) {
        let mut counts = vec![0; 1 << 16];
        for &id in ids {
            counts[usize::from(id)] += 1;
        }
        let mut seen = std::collections::BTreeMap::new();
        let (mut empty, mut ended, mut start) = (0, 0, 0);
        for &end in ends {
            let document = &ids[start..end];
            start = end;
            let text = document.strip_prefix(&[bos]).unwrap_or(document);
            empty += u64::from(text.strip_suffix(&[eos]).unwrap_or(text).is_empty());
            if document.is_empty() {
                continue;
            }
            ended += u64::from(document.last() == Some(&eos));
            *seen.entry(document.to_vec()).or_insert(0_u64) += 1;
        }
        (counts, empty, ended, seen.values().map(|times| times - 1).sum())
    }

    fn slowest_run(ids: &[u16]) -> u64 {
        let mut longest = 0;
        let mut run = 0;
        for (at, id) in ids.iter().enumerate() {
            run = if at > 0 && ids[at - 1] == *id { run + 1 } else { 1 };
            longest = longest.max(run);
        }
        longest
    }

    proptest! {
        #[test]
        fn a_scan_finds_what_its_slow_twin_finds(
            documents in proptest::collection::vec(
                proptest::collection::vec(0..5_u16, 0..7), 0..60),
        ) {
            let ids = documents.concat();
            let ends: Vec<usize> = documents
                .iter()
                .scan(0, |end, document| { *end += document.len(); Some(*end) })
                .collect();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.bin");
            let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
            std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
            let index: Vec<u8> = ends.iter().flat_map(|&end| (end as u64).to_le_bytes()).collect();
            std::fs::File::create(folder.path().join("x.idx")).unwrap().write_all(&index).unwrap();

            let set = BinSet::open_bin(&path, Dtype::U16).unwrap();
            let found = scan(&set, 1 << 16, Marks { bos: Some(1), eos: Some(2) }).unwrap();

            let (counts, empty, ended, repeated) = plainly(&ids, &ends, (1, 2));
            prop_assert_eq!(&found.counts, &counts);
            prop_assert_eq!((found.document_counts.empty, found.document_counts.ended), (empty, ended));
            prop_assert_eq!(found.contents.documents.repeated(), repeated);
            prop_assert_eq!(found.document_counts.lengths.count(), ends.len() as u64);
            prop_assert_eq!(found.longest_run.0, slowest_run(&ids));
            let gaps = ids.split(|&id| id == 2).map(<[u16]>::len);
            prop_assert_eq!(found.longest_gap, gaps.max().unwrap_or(0) as u64);
        }

        #[test]
        fn the_longest_run_is_found_wherever_it_lies(
            runs in proptest::collection::vec((0..4_u16, 1..40_usize), 0..40),
        ) {
            let ids: Vec<u16> =
                runs.iter().flat_map(|&(id, len)| std::iter::repeat_n(id, len)).collect();

            let (len, place) = longest_run(&ids);

            prop_assert_eq!(len, slowest_run(&ids));
            prop_assert!(ids.is_empty() || slowest_run(&ids[place..]) >= 1);
        }

        #[test]
        fn bits_are_counted_as_one_by_one(mask in proptest::collection::vec(any::<u8>(), 0..20),
            from in 0..90_usize, len in 0..90_usize) {
            let range = from..(from + len).min(mask.len() * 8).max(from);
            let slow =
                range.clone().filter(|at| mask.get(at / 8).is_some_and(|b| b >> (at % 8) & 1 == 1));

            prop_assert_eq!(bits_set(&mask, &range), slow.count() as u64);
        }
    }

    #[test]
    fn ids_of_any_size_need_no_table_of_that_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.bin");
        let bytes: Vec<u8> =
            [u32::MAX, 7, 4_000_000_000].iter().flat_map(|id| id.to_le_bytes()).collect();
        std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();

        let set = BinSet::open_bin(&path, Dtype::U32).unwrap();
        let found = scan(&set, usize::MAX, Marks::default()).unwrap();

        assert_eq!(found.beyond_table, 2);
        assert_eq!((found.counts.len(), found.counts[7]), (MOST_IDS, 1));
        assert_eq!(found.document_counts.lengths.count(), 0, "nothing ends a document");
    }

    #[test]
    fn a_document_of_many_stretches_is_counted_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.bin");
        let len = 3 * place(STRETCH) + 5;
        std::fs::File::create(&path).unwrap().write_all(&vec![0; len * 2]).unwrap();
        let ends = [len as u64, len as u64];
        let index: Vec<u8> = ends.iter().flat_map(|end| end.to_le_bytes()).collect();
        std::fs::File::create(folder.path().join("x.idx")).unwrap().write_all(&index).unwrap();

        let set = BinSet::open_bin(&path, Dtype::U16).unwrap();
        let found = scan(&set, 10, Marks { bos: None, eos: Some(2) }).unwrap();

        assert_eq!(found.counts[0], len as u64);
        assert_eq!(found.longest_gap, len as u64);
        assert_eq!((found.document_counts.lengths.count(), found.document_counts.empty), (2, 1));
    }
}
