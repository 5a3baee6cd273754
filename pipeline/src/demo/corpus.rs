//! A sample corpus in FineWeb-Edu's schema: short made-up lessons, written as parquet.
//!
//! A small generator of random numbers puts the text together from lists of words, so the text is the
//! same on every machine. It has numbers, accents, other scripts, tables and code, which are hard for
//! tokenizers.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::failure::{Failure, Kind};
use ratdata_schemas::narrow;

/// How many files the corpus has, each with another codec.
const FILES: usize = 3;

/// How many documents a file has.
const DOCUMENTS: usize = 1200;

/// Writes the corpus into `root/corpus`, over existing files, and returns the texts of the first file,
/// to train a tokenizer.
pub(crate) fn write_corpus(root: &Path) -> Result<Vec<String>, Failure> {
    let folder = root.join("corpus");
    let failed = |path: &Path, error: &dyn std::error::Error| {
        Failure::message(Kind::Failed, format!("{}: cannot write: {error}", path.display()))
    };
    fs::create_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
    let mut sample = Vec::new();
    for number in 0..FILES {
        let texts: Vec<String> = (0..DOCUMENTS)
            .map(|document| Lesson::new((number * DOCUMENTS + document) as u64).text())
            .collect();
        let path = folder.join(format!("000_{number:05}.parquet"));
        write_parquet(&path, number, &texts).map_err(|error| failed(&path, error.as_ref()))?;
        if number == 0 {
            sample = texts;
        }
    }
    Ok(sample)
}

fn write_parquet(
    path: &Path,
    number: usize,
    texts: &[String],
) -> Result<(), Box<dyn std::error::Error>> {
    let codec = match number {
        0 => Compression::ZSTD(ZstdLevel::try_new(3)?),
        1 => Compression::SNAPPY,
        _ => Compression::GZIP(GzipLevel::try_new(6)?),
    };
    let strings = |of: &dyn Fn(usize) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..texts.len()).map(of)))
    };
    let floats = |of: &dyn Fn(usize) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values((0..texts.len()).map(of)))
    };
    let integers = |of: &dyn Fn(usize) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values((0..texts.len()).map(of)))
    };
    let score = |row: usize| 2.5 + f64::from(narrow::<_, u8>(row % 25)) / 10.0;
    let batch = RecordBatch::try_from_iter([
        ("text", strings(&|row| texts[row].clone())),
        ("id", strings(&|row| format!("<urn:demo:{number}:{row}>"))),
        ("dump", strings(&|_| "DEMO-2026".into())),
        ("url", strings(&|row| format!("https://example.org/{number}/{row}"))),
        ("file_path", strings(&|_| format!("demo/{number}"))),
        ("language", strings(&|_| "en".into())),
        ("language_score", floats(&|_| 0.99)),
        ("token_count", integers(&|row| narrow(texts[row].len() / 4))),
        ("score", floats(&score)),
        ("int_score", integers(&|row| if score(row) < 3.5 { 3 } else { 4 })),
    ])?;
    let properties = WriterProperties::builder()
        .set_compression(codec)
        .set_max_row_group_row_count(Some(300))
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

/// One document, and the random numbers that make it.
pub(super) struct Lesson {
    state: u64,
    topic: &'static Topic,
}

struct Topic {
    name: &'static str,
    things: [&'static str; 8],
    acts: [&'static str; 6],
}

const TOPICS: [Topic; 6] = [
    Topic {
        name: "rivers",
        things: [
            "the river",
            "a flood plain",
            "the delta",
            "fresh water",
            "the current",
            "a spring",
            "the bank",
            "silt",
        ],
        acts: ["carries", "wears away", "feeds", "slows down near", "gathers", "divides"],
    },
    Topic {
        name: "numbers",
        things: [
            "a prime",
            "the sum",
            "every even number",
            "a fraction",
            "the remainder",
            "zero",
            "the product",
            "a square",
        ],
        acts: [
            "divides",
            "is larger than",
            "equals",
            "cannot be written as",
            "follows from",
            "counts",
        ],
    },
    Topic {
        name: "stars",
        things: [
            "the sun",
            "a red giant",
            "the nebula",
            "hydrogen",
            "a planet",
            "the moon",
            "light",
            "a comet",
        ],
        acts: ["orbits", "outshines", "is made of", "pulls on", "drifts past", "heats"],
    },
    Topic {
        name: "gardens",
        things: [
            "the soil",
            "a seed",
            "the old apple tree",
            "rain",
            "an earthworm",
            "the gardener",
            "shade",
            "compost",
        ],
        acts: ["needs", "protects", "grows beside", "loosens", "waits for", "feeds"],
    },
    Topic {
        name: "letters",
        things: [
            "the alphabet",
            "a vowel",
            "the printer",
            "a word",
            "the reader",
            "ink",
            "a long sentence",
            "the margin",
        ],
        acts: ["stands for", "is spelt with", "surprises", "precedes", "explains", "copies"],
    },
    Topic {
        name: "machines",
        things: [
            "the lever",
            "a pulley",
            "the engine",
            "steam",
            "a gear",
            "friction",
            "the wheel",
            "a clock",
        ],
        acts: ["turns", "lifts", "slows", "measures", "drives", "wears out"],
    },
];

const LINKS: [&str; 8] =
    ["because", "although", "and so", "while", "until", "whenever", "even if", "after"];
const OPENINGS: [&str; 6] = [
    "In this lesson we look at",
    "Most people have heard of",
    "It is easy to forget",
    "Long ago, somebody asked about",
    "Here is a short account of",
    "Let us begin with",
];
const ASIDES: [&str; 8] = [
    "Émile wrote it down in his cahier: « voilà ».",
    "Größe und Gewicht were measured twice.",
    "In Japanese one would say 川は流れる。",
    "По-русски это звучит иначе.",
    "The answer was marked with a ✓ and a smile 🙂.",
    "Its symbol is π ≈ 3.14159.",
    "See also: https://example.org/notes?page=2#top",
    "\tname,count\n\talpha,12\n\tbeta,7",
];

impl Lesson {
    pub(super) fn new(seed: u64) -> Self {
        let mut lesson =
            Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), topic: &TOPICS[0] };
        lesson.topic = &TOPICS[lesson.below(TOPICS.len())];
        lesson
    }

    /// `SplitMix64`: small, and good enough to choose words with.
    fn below(&mut self, n: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        narrow((mixed ^ mixed >> 31) % n as u64)
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len())]
    }

    /// Returns the topic of the text.
    pub(super) fn topic(&self) -> &'static str {
        self.topic.name
    }

    pub(super) fn text(&mut self) -> String {
        let title = format!("{} {}", self.pick(&OPENINGS), self.topic.name);
        let mut text = format!("{title}.\n\n");
        for _ in 0..=self.below(6) {
            for _ in 0..3 + self.below(6) {
                text.push_str(&self.sentence());
                text.push(' ');
            }
            if self.below(5) == 0 {
                text.push_str(self.pick(&ASIDES));
            }
            text.push_str("\n\n");
        }
        if self.below(12) == 0 {
            let (a, b) = (self.below(90) + 10, self.below(90) + 10);
            text.extend([format!("def add():\n    return {a} + {b}  # {}\n", a + b)]);
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn sentence(&mut self) -> String {
        let clause = |lesson: &mut Self| {
            let (thing, act) = (lesson.pick(&lesson.topic.things), lesson.pick(&lesson.topic.acts));
            format!("{thing} {act} {}", lesson.pick(&lesson.topic.things))
        };
        let first = clause(self);
        let mut sentence = match self.below(4) {
            0 => format!("{first} {} {}", self.pick(&LINKS), clause(self)),
            1 => format!("{first}, {} {}", self.pick(&LINKS), clause(self)),
            2 => format!("in {}, {first}", 1500 + self.below(520)),
            _ => format!("{first} in {} of {} cases", self.below(99) + 1, 100),
        };
        let first_letter = sentence.remove(0).to_ascii_uppercase();
        sentence.insert(0, first_letter);
        sentence.push(if self.below(9) == 0 { '?' } else { '.' });
        sentence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lesson_is_the_same_every_time_and_no_other() {
        assert_eq!(Lesson::new(3).text(), Lesson::new(3).text());
        assert_ne!(Lesson::new(3).text(), Lesson::new(4).text());
    }
}
