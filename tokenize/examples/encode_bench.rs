//! Times a tokenizer on text in memory, or writes its ids: for `scripts/bench_engine.py`.
//!
//! ```console
//! encode_bench time TOKENIZER THREADS RUNS HEAD FILE    # one line of JSON
//! encode_bench whole TOKENIZER RUNS FILE                # the same, with the file as one document
//! encode_bench ids TOKENIZER FILE                       # on stdout, for each document its length and its ids, as `u32`
//! ```
//!
//! A file is cut into documents at line ends after 8 KB. `load` is the start of the program and loading, `cold` is
//! loading and the first `HEAD` bytes, `warm` the median of the runs over all documents. Each has seconds of wall time
//! and of processor time, of all threads together. Processor time is that of Linux's scheduler, in nanoseconds;
//! elsewhere it is `null`.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use ratdata_tokenize::tokenizer::{EncodeError, Encoder, IdWidth, SpecialInText, Tokenizer};

const USAGE: &str = "usage: encode_bench time TOKENIZER THREADS RUNS HEAD FILE | whole TOKENIZER RUNS FILE | ids TOKENIZER FILE";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        ["time", tokenizer, threads, runs, head, file] => {
            let text = std::fs::read_to_string(file)?;
            let plan = Plan { threads: threads.parse()?, runs: runs.parse()?, head: head.parse()? };
            time(tokenizer.as_ref(), &cut(&text), plan)
        }
        ["whole", tokenizer, runs, file] => {
            let text = std::fs::read_to_string(file)?;
            time(tokenizer.as_ref(), &[&text], Plan { threads: 1, runs: runs.parse()?, head: 0 })
        }
        ["ids", tokenizer, file] => ids(tokenizer.as_ref(), &std::fs::read_to_string(file)?),
        _ => Err(USAGE.into()),
    }
}

/// Writes the ids of each document of a text.
fn ids(tokenizer: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    let tokenizer = Tokenizer::load(tokenizer)?;
    let mut encoder = tokenizer.encoder(SpecialInText::Parse);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut ids: Vec<u32> = Vec::new();
    for document in cut(text) {
        ids.clear();
        encoder.encode_into(document, &mut ids)?;
        out.write_all(&u32::try_from(ids.len())?.to_le_bytes())?;
        for id in &ids {
            out.write_all(&id.to_le_bytes())?;
        }
    }
    Ok(out.flush()?)
}

/// What is timed.
#[derive(Clone, Copy)]
struct Plan {
    threads: usize,
    runs: usize,
    /// How many bytes the first, cold pass has.
    head: usize,
}

/// Times loading, a first pass over the head, and passes over all documents.
fn time(path: &Path, documents: &[&str], plan: Plan) -> Result<(), Box<dyn Error>> {
    let before = memory_peak();
    // Loading uses threads that stay.
    let (begun, so_far) = (Clock::now(), all_processor_seconds());
    let tokenizer = Tokenizer::load(path)?;
    let processor = all_processor_seconds().zip(so_far).map(|(now, then)| now - then);
    let load = Span { processor, ..begun.elapsed() };
    let timed = if tokenizer.vocab_size() > 1 << 16 {
        passes::<u32>(&tokenizer, documents, plan)?
    } else {
        passes::<u16>(&tokenizer, documents, plan)?
    };
    let Timed { cold, warm, ids, encoders } = timed;
    let bytes: usize = documents.iter().map(|text| text.len()).sum();
    println!(
        "{}",
        serde_json::json!({
            "bytes": bytes, "head": head_of(documents, plan.head).1, "threads": plan.threads, "ids": ids,
            "left_to_tokenizers": tokenizer.uncovered(),
            "load": load.json(), "cold": load.plus(cold).json(), "warm": warm.json(),
            "tables": tokenizer.memory() + encoders,
            "peak": memory_peak().zip(before).map(|(peak, before)| peak - before),
        })
    );
    Ok(())
}

/// The results of the passes.
struct Timed {
    cold: Span,
    warm: Span,
    ids: usize,
    /// The memory of all encoders, in bytes.
    encoders: usize,
}

fn passes<W: IdWidth>(
    tokenizer: &Tokenizer,
    documents: &[&str],
    plan: Plan,
) -> Result<Timed, Box<dyn Error>> {
    let worker =
        || Worker { encoder: tokenizer.encoder(SpecialInText::Parse), ids: Vec::<W>::new() };
    let begun = Clock::now();
    let mut workers: Vec<Worker<W>> = std::iter::repeat_with(worker).take(plan.threads).collect();
    let (head, _) = head_of(documents, plan.head);
    let threads = run(&mut workers, head)?.1;
    let cold = begun.elapsed().plus_threads(threads);
    let mut ids = 0;
    let mut spans = Vec::new();
    // The pass before the first that counts has seen all documents.
    for number in 0..=plan.runs {
        let begun = Clock::now();
        let (count, threads) = run(&mut workers, documents)?;
        ids = count;
        if number > 0 || plan.runs == 0 {
            spans.push(begun.elapsed().plus_threads(threads));
        }
    }
    let encoders = workers.iter().map(|worker| worker.encoder.memory()).sum();
    Ok(Timed { cold, warm: Span::median(&spans), ids, encoders })
}

/// Returns the first documents that have this many bytes together, and how many they have.
fn head_of<'a, 'b>(documents: &'b [&'a str], most: usize) -> (&'b [&'a str], usize) {
    let mut bytes = 0;
    let count = documents
        .iter()
        .take_while(|text| {
            bytes += text.len();
            bytes <= most
        })
        .count();
    let head = &documents[..count];
    (head, head.iter().map(|text| text.len()).sum())
}

struct Worker<W> {
    encoder: Encoder,
    ids: Vec<W>,
}

/// Encodes all documents, each thread taking the next few that nobody has.
///
/// Returns how many ids there are, and the processor time of the threads.
fn run<W: IdWidth>(
    workers: &mut [Worker<W>],
    documents: &[&str],
) -> Result<(usize, Option<f64>), Box<dyn Error>> {
    let next = AtomicUsize::new(0);
    let results = std::thread::scope(|scope| {
        let threads: Vec<_> = workers
            .iter_mut()
            .map(|worker| {
                scope.spawn(|| {
                    let mut count = 0;
                    loop {
                        let first = next.fetch_add(8, Ordering::Relaxed);
                        let last = documents.len().min(first + 8);
                        let Some(mine) = documents.get(first..last) else { break };
                        if mine.is_empty() {
                            break;
                        }
                        worker.ids.clear();
                        for text in mine {
                            worker.encoder.encode_into(text, &mut worker.ids)?;
                        }
                        count += worker.ids.len();
                    }
                    Ok((count, processor_seconds()))
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Ok((0, None))))
            .collect::<Result<Vec<_>, EncodeError>>()
    })?;
    let count = results.iter().map(|(count, _)| count).sum();
    Ok((count, results.iter().map(|(_, seconds)| *seconds).sum()))
}

/// A moment: wall time, and the processor time of this thread.
struct Clock {
    wall: Instant,
    processor: Option<f64>,
}

impl Clock {
    fn now() -> Self {
        Self { wall: Instant::now(), processor: processor_seconds() }
    }

    fn elapsed(&self) -> Span {
        let wall = self.wall.elapsed().as_secs_f64();
        let processor = processor_seconds().zip(self.processor).map(|(now, then)| now - then);
        Span { wall, processor }
    }
}

/// Seconds.
#[derive(Clone, Copy)]
struct Span {
    wall: f64,
    processor: Option<f64>,
}

impl Span {
    /// Adds the processor time of threads that have ended.
    fn plus_threads(self, seconds: Option<f64>) -> Self {
        Self { processor: self.processor.zip(seconds).map(|(own, other)| own + other), ..self }
    }

    fn plus(self, other: Self) -> Self {
        Self { wall: self.wall + other.wall, ..self }.plus_threads(other.processor)
    }

    /// Returns the medians of wall and processor time.
    fn median(spans: &[Self]) -> Self {
        let median = |mut seconds: Vec<f64>| {
            seconds.sort_by(f64::total_cmp);
            seconds.get(seconds.len() / 2).copied()
        };
        Self {
            wall: median(spans.iter().map(|span| span.wall).collect()).unwrap_or(0.0),
            processor: median(spans.iter().filter_map(|span| span.processor).collect()),
        }
    }

    fn json(self) -> serde_json::Value {
        serde_json::json!({ "wall": self.wall, "processor": self.processor })
    }
}

/// Returns the seconds that this thread has run on a processor.
fn processor_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds as f64 / 1e9)
}

/// Returns the seconds that all threads that there are have run on a processor.
fn all_processor_seconds() -> Option<f64> {
    let seconds = |task: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    let nanoseconds: u64 =
        std::fs::read_dir("/proc/self/task").ok()?.map(seconds).sum::<Option<_>>()?;
    Some(nanoseconds as f64 / 1e9)
}

/// Returns the most memory that this process has had, in bytes.
fn memory_peak() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: usize = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Cuts a text at line ends into documents of about 8 KB.
fn cut(text: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let mut rest = text;
    while rest.len() > 8192 {
        let from = rest.floor_char_boundary(8192);
        let end = rest[from..].find('\n').map_or(rest.len(), |line| from + line + 1);
        let (document, after) = rest.split_at(end);
        documents.push(document);
        rest = after;
    }
    if !rest.is_empty() {
        documents.push(rest);
    }
    documents
}
