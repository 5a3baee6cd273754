//! The passages of benchmarks, and where each of their n-grams is.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use ratdata_schemas::Checksum;
use ratdata_tokenize::source::{Source, SourceFile, Table, Undecodable, checksum_of};
use ratdata_tokenize::tokenizer::EncodeError;
use serde_json::{Value, json};

use super::units::{GramUnit, UnitReader};
use super::words::Grams;
use crate::error::PrepareError;
use crate::hashed::Hashed;
use crate::rows::OpenFile;

/// How overlaps are looked for.
#[derive(Clone, Debug)]
pub struct OverlapSettings {
    /// What n-grams are made of.
    pub unit: GramUnit,
    /// How many units an n-gram has.
    pub ngram: usize,
    /// A passage with fewer units than an n-gram is looked for as a whole, from so many on.
    pub shortest: usize,
    /// The fields of the benchmarks' rows that are looked for; all texts where there are none.
    pub fields: Vec<String>,
}

/// A text of a benchmark.
#[derive(Clone, Debug)]
pub(super) struct Passage {
    file: usize,
    place: String,
    field: String,
    pub(super) text: String,
    /// How many n-grams it has.
    pub(super) grams: u32,
}

/// Where an n-gram is: the passage, and its place among those of the passage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Posting {
    pub(super) passage: u32,
    pub(super) gram: u32,
}

/// The passages of all benchmarks.
#[derive(Debug)]
pub struct Passages {
    pub(super) unit: GramUnit,
    files: Vec<(String, Checksum)>,
    pub(super) list: Vec<Passage>,
    /// How many texts have too few units.
    too_short: usize,
    /// The numbers of units that n-grams have: shorter ones are those of short passages.
    pub(super) lengths: Vec<usize>,
    places: HashMap<u64, (u32, u32), Hashed>,
    postings: Vec<Posting>,
    /// One bit for some hashes: where it is not set, no n-gram has such a hash.
    bits: Vec<u64>,
}

impl Passages {
    /// Reads benchmarks.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or has no text that is long enough to be looked for.
    pub fn read(
        files: &[SourceFile],
        settings: &OverlapSettings,
        stop: &AtomicBool,
    ) -> Result<Self, PrepareError> {
        let mut passages = Self {
            unit: settings.unit.clone(),
            files: Vec::new(),
            list: Vec::new(),
            too_short: 0,
            lengths: Vec::new(),
            places: HashMap::default(),
            postings: Vec::new(),
            bits: Vec::new(),
        };
        let mut reader = settings.unit.reader();
        let mut grams: Vec<(u64, Posting)> = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let before = (passages.list.len(), passages.too_short);
            let mut fields: Vec<String> = Vec::new();
            let mut refused = None;
            each_text(file, &settings.fields, &mut |place, field, text| {
                if !fields.contains(&field) {
                    fields.push(field.clone());
                }
                let found = Passage { file: number, place, field, text, grams: 0 };
                if let Err((place, source)) = passages.add(found, settings, &mut reader, &mut grams)
                {
                    refused.get_or_insert((place, source));
                }
            })?;
            if let Some((place, source)) = refused {
                return Err(PrepareError::Encode { path: file.path.clone(), place, source });
            }
            if passages.list.len() == before.0 {
                return Err(PrepareError::NoPassage {
                    path: file.path.clone(),
                    too_short: passages.too_short - before.1,
                    shortest: settings.shortest,
                    unit: settings.unit.to_string(),
                    fields: fields.join(", "),
                });
            }
            let mut checksums = String::new();
            for path in file.paths() {
                checksums.push_str(checksum_of(path, stop)?.as_str());
            }
            passages.files.push((file.name.clone(), Checksum::of(checksums.as_bytes())));
        }
        passages.index(grams);
        Ok(passages)
    }

    /// Adds a passage that is long enough, or tells where a text is that cannot be encoded.
    fn add(
        &mut self,
        passage: Passage,
        settings: &OverlapSettings,
        reader: &mut UnitReader,
        grams: &mut Vec<(u64, Posting)>,
    ) -> Result<(), (String, EncodeError)> {
        let units = match reader.read_passage(&passage.text) {
            Ok(units) => units,
            Err(wrong) => return Err((passage.place, wrong)),
        };
        if units.len() < settings.shortest.min(settings.ngram) {
            self.too_short += 1;
            return Ok(());
        }
        let length = settings.ngram.min(units.len());
        if !self.lengths.contains(&length) {
            self.lengths.push(length);
            self.lengths.sort_unstable();
        }
        let Ok(number) = u32::try_from(self.list.len()) else { return Ok(()) };
        let mut count = 0;
        for gram in Grams::new(units, length) {
            grams.push((gram, Posting { passage: number, gram: count }));
            count += 1;
        }
        self.list.push(Passage { grams: count, ..passage });
        Ok(())
    }

    fn index(&mut self, mut grams: Vec<(u64, Posting)>) {
        grams.sort_unstable();
        let bits = (grams.len() * 16).next_power_of_two().max(64);
        self.bits = vec![0; bits / 64];
        for (hash, posting) in grams {
            let at = u32::try_from(self.postings.len()).unwrap_or(u32::MAX);
            self.places.entry(hash).or_insert((at, at)).1 = at.saturating_add(1);
            self.postings.push(posting);
            let (word, bit) = self.bit(hash);
            self.bits[word] |= bit;
        }
    }

    fn bit(&self, hash: u64) -> (usize, u64) {
        let place: usize = ratdata_schemas::narrow(hash & (self.bits.len() as u64 * 64 - 1));
        (place / 64, 1 << (place % 64))
    }

    /// Returns where an n-gram is.
    pub(super) fn find(&self, gram: u64) -> &[Posting] {
        let (word, bit) = self.bit(gram);
        if self.bits[word] & bit == 0 {
            return &[];
        }
        let found = self.places.get(&gram);
        found.map_or(&[], |(begin, end)| &self.postings[*begin as usize..*end as usize])
    }

    /// Returns how many passages there are, and how many texts were too short to be one.
    pub fn counts(&self) -> (usize, usize) {
        (self.list.len(), self.too_short)
    }

    /// Returns the benchmarks by their names and checksums, as a result records them.
    pub fn described(&self) -> Value {
        self.files
            .iter()
            .map(|(name, checksum)| json!({"name": name, "blake3": checksum}))
            .collect()
    }

    /// Returns where a passage is, as evidence has it.
    pub(super) fn shown(&self, passage: u32, most: usize) -> Value {
        let passage = &self.list[passage as usize];
        let text: String = passage.text.chars().take(most).collect();
        json!({
            "file": self.files[passage.file].0,
            "place": passage.place,
            "field": passage.field,
            "text": text,
        })
    }
}

/// Calls `each` with every text of a benchmark, its place and its field.
fn each_text(
    file: &SourceFile,
    fields: &[String],
    each: &mut dyn FnMut(String, String, String),
) -> Result<(), PrepareError> {
    let mut row_texts = |place: String, row: &Value| {
        if fields.is_empty() {
            gather("", row, &mut |field, text| each(place.clone(), field.to_owned(), text.into()));
            return;
        }
        for field in fields {
            let found = ratdata_tokenize::source::at_path(row, field);
            gather(field, &found.unwrap_or(Value::Null), &mut |field, text| {
                each(place.clone(), field.to_owned(), text.into());
            });
        }
    };
    let path: &PathBuf = &file.path;
    let row_error =
        |place: String, reason: String| PrepareError::Row { path: path.clone(), place, reason };
    if file.kind.is_table() {
        let open = OpenFile::open(file, "", false)?;
        let names: Vec<String> = match fields {
            [] => open.top_columns(),
            fields => fields.to_vec(),
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Table::open(file, &names)?.read(&mut |rows| {
            for row in rows {
                if let Ok(columns) = &row.columns {
                    row_texts(row.place.to_string(), columns);
                }
            }
            true
        })?;
        return Ok(());
    }

    let source = Source::open_without_text(file)?;
    let mut wrong = None;
    source.read_part(0, &|| false, &mut |rows| {
        for (number, cell) in (rows.first..).zip(&rows.cells) {
            let place = source.place(cell, number);
            let row = source.object(cell).unwrap_or_else(|| {
                match source.text(cell, Undecodable::Replace) {
                    Ok(read) => Ok(json!({"text": read.text})),
                    // A file without a byte is no passage.
                    Err(bad) if bad.is_empty() => Ok(Value::Null),
                    Err(bad) => Err(bad.to_string()),
                }
            });
            match row {
                Ok(row) => row_texts(place, &row),
                Err(reason) => {
                    wrong = Some(row_error(place, reason));
                    return false;
                }
            }
        }
        true
    })?;
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    Ok(())
}

/// Calls `each` with every text within a value.
fn gather(field: &str, value: &Value, each: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::String(text) => each(field, text),
        Value::Array(items) => items.iter().for_each(|item| gather(field, item, each)),
        Value::Object(fields) => {
            for (name, value) in fields {
                let inner = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
                gather(&inner, value, each);
            }
        }
        _ => {}
    }
}
