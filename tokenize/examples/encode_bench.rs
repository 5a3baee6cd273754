//! Times the engine on text in memory: `encode_bench TOKENIZER THREADS RUNS FILE…`
//!
//! Each file is one text; texts are cut into documents at blank lines of about 8 KB, so that threads share the work
//! evenly. Prints one line of JSON: cold and warm MB/s (median of the runs), ids, memory.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use ratdata_tokenize::tokenizer::{Encoder, SpecialInText, Tokenizer};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [tokenizer, threads, runs, files @ ..] = arguments.as_slice() else {
        return Err("usage: encode_bench TOKENIZER THREADS RUNS FILE…".into());
    };
    let (threads, runs): (usize, usize) = (threads.parse()?, runs.parse()?);
    let texts = files.iter().map(std::fs::read_to_string).collect::<Result<Vec<_>, _>>()?;
    let documents: Vec<&str> = texts.iter().flat_map(|text| cut(text)).collect();
    let megabytes = documents.iter().map(|text| text.len()).sum::<usize>() as f64 / 1e6;

    let begun = Instant::now();
    let tokenizer = Tokenizer::load(Path::new(tokenizer))?;
    let loaded = begun.elapsed().as_secs_f64();
    let mut workers: Vec<Worker> = (0..threads)
        .map(|_| Worker { encoder: tokenizer.encoder(SpecialInText::Parse), ids: Vec::new() })
        .collect();
    let mut ids = run(&mut workers, &documents)?;
    let cold = begun.elapsed().as_secs_f64();
    let mut times = Vec::new();
    for _ in 0..runs {
        let begun = Instant::now();
        ids = run(&mut workers, &documents)?;
        times.push(begun.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let memory =
        tokenizer.memory() + workers.iter().map(|worker| worker.encoder.memory()).sum::<usize>();
    println!(
        "{{\"mb\": {megabytes:.1}, \"threads\": {threads}, \"load_s\": {loaded:.4}, \"cold_mb_s\": {:.1}, \
         \"warm_mb_s\": {:.1}, \"ids\": {ids}, \"memory_mb\": {:.1}}}",
        megabytes / cold,
        times.get(runs / 2).map_or(0.0, |median| megabytes / median),
        memory as f64 / 1e6,
    );
    Ok(())
}

struct Worker {
    encoder: Encoder,
    ids: Vec<u16>,
}

/// Encodes all documents, each thread taking the next few that nobody has, and counts the ids.
fn run(workers: &mut [Worker], documents: &[&str]) -> Result<usize, Box<dyn Error>> {
    let next = AtomicUsize::new(0);
    let counts = std::thread::scope(|scope| {
        let threads: Vec<_> = workers
            .iter_mut()
            .map(|worker| {
                scope.spawn(|| {
                    let mut count = 0;
                    loop {
                        let first = next.fetch_add(8, Ordering::Relaxed);
                        let Some(mine) = documents.get(first..documents.len().min(first + 8))
                        else {
                            break;
                        };
                        if mine.is_empty() {
                            break;
                        }
                        worker.ids.clear();
                        for text in mine {
                            worker.encoder.encode_into(text, &mut worker.ids)?;
                        }
                        count += worker.ids.len();
                    }
                    Ok(count)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Ok(0)))
            .collect::<Result<Vec<usize>, ratdata_tokenize::tokenizer::EncodeError>>()
    })?;
    Ok(counts.into_iter().sum())
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
    documents.push(rest);
    documents
}
