//! The messages of a stream: a schema, then dictionaries and record batches, each with its body.

use std::collections::HashMap;
use std::io::{BufRead, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::{read_dictionary, read_record_batch};
use arrow_ipc::{Endianness, Message, MessageHeader, root_as_message};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use ratdata_schemas::narrow;

use super::guard::check_batch;
use crate::source::error::SourceError;
use crate::source::input_file::InputFile;
use crate::source::rows::Stopped;
use crate::source::streams::{self, Compression};

/// What a file begins with, before the zeros that fill it to a multiple of up to 64 bytes.
const FILE: &[u8] = b"ARROW1";

/// The most zeros behind it.
const MOST_ZEROS: usize = 64;

/// What stands before the length of a message.
const CONTINUES: u32 = u32::MAX;

/// How much of a body is read between two looks at whether to stop.
const PIECE: u64 = 4 << 20;

/// The messages of a file.
pub(super) struct Messages {
    path: PathBuf,
    stream: Box<dyn BufRead>,
    schema: SchemaRef,
    dictionaries: HashMap<i64, ArrayRef>,
    /// How many rows were read.
    rows: u64,
}

/// One message as it is stored.
struct Stored {
    metadata: Vec<u8>,
    body: Buffer,
}

impl Messages {
    /// Opens a file and reads its schema; `taken` counts the bytes that are taken from it.
    pub(super) fn open(
        file: &InputFile,
        compression: Compression,
        taken: &Arc<AtomicU64>,
    ) -> Result<Self, SourceError> {
        let mut messages = Self {
            path: file.path().to_owned(),
            stream: streams::open(file, compression, 0, taken)?,
            schema: Arc::new(Schema::empty()),
            dictionaries: HashMap::new(),
            rows: 0,
        };
        messages.skip_mark()?;
        let place = "its schema";
        let Some(stored) = messages.next_stored(place, &|| false)? else {
            return Err(messages.damaged(place, "the stream ends before its schema"));
        };
        let message = messages.parsed(&stored, place)?;
        let Some(schema) = message.header_as_schema() else {
            return Err(messages.damaged(place, "the first message is no schema"));
        };
        if schema.endianness() != Endianness::Little {
            return Err(
                messages.damaged(place, "its numbers are big-endian, expected little-endian")
            );
        }
        let schema = try_fb_to_schema(schema).map_err(|wrong| messages.wrong(place, &wrong))?;
        messages.schema = Arc::new(schema);
        Ok(messages)
    }

    /// Returns the columns of the file.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Has the batches decoded with another schema, whose columns are laid out as the file's are.
    pub(super) fn set_schema(&mut self, schema: SchemaRef) {
        self.schema = schema;
    }

    /// Returns the next record batch, of which the columns at `projection` are decoded.
    pub(super) fn next_batch(
        &mut self,
        projection: &[usize],
        stopped: Stopped<'_>,
    ) -> Result<Option<RecordBatch>, SourceError> {
        loop {
            let place = format!("row {}", self.rows);
            let Some(stored) = self.next_stored(&place, stopped)? else { return Ok(None) };
            let path = self.path.clone();
            let message = parsed(&path, &stored, &place)?;
            let version = message.version();
            let wrong = |wrong: ArrowError| SourceError::damaged(&path, place.clone(), &wrong);
            match message.header_type() {
                MessageHeader::DictionaryBatch => {
                    let Some(batch) = message.header_as_dictionary_batch() else { continue };
                    if let Some(data) = batch.data() {
                        check_batch(&data, &stored.body)
                            .map_err(|reason| self.damaged(&place, &reason))?;
                    }
                    let dictionaries = &mut self.dictionaries;
                    read_dictionary(&stored.body, batch, &self.schema, dictionaries, &version)
                        .map_err(wrong)?;
                }
                MessageHeader::RecordBatch => {
                    let Some(batch) = message.header_as_record_batch() else { continue };
                    check_batch(&batch, &stored.body)
                        .map_err(|reason| self.damaged(&place, &reason))?;
                    let batch = read_record_batch(
                        &stored.body,
                        batch,
                        self.schema.clone(),
                        &self.dictionaries,
                        Some(projection),
                        &version,
                    )
                    .map_err(wrong)?;
                    self.rows += batch.num_rows() as u64;
                    return Ok(Some(batch));
                }
                other => {
                    let reason = format!("found a message of kind {}, expected rows", other.0);
                    return Err(self.damaged(&place, &reason));
                }
            }
        }
    }

    /// Goes over the mark that begins a file, and is not in a stream.
    fn skip_mark(&mut self) -> Result<(), SourceError> {
        let path = self.path.clone();
        let failed = |wrong| streams::failure(&path, "its beginning".into(), &wrong);
        let held = self.stream.fill_buf().map_err(failed)?;
        if held.starts_with(FILE) {
            self.stream.consume(FILE.len());
            for _ in 0..MOST_ZEROS {
                if self.stream.fill_buf().map_err(failed)?.first() != Some(&0) {
                    break;
                }
                self.stream.consume(1);
            }
        } else if !held.starts_with(&CONTINUES.to_le_bytes()) {
            let shown = held[..held.len().min(8)].escape_ascii().to_string();
            let reason = format!(
                "found `{shown}`, expected the mark of an Arrow file (`ARROW1`) or stream (ff ff ff ff)"
            );
            return Err(self.damaged("its beginning", &reason));
        }
        Ok(())
    }

    /// Reads the next message; none where the stream says that it ends.
    fn next_stored(
        &mut self,
        place: &str,
        stopped: Stopped<'_>,
    ) -> Result<Option<Stored>, SourceError> {
        let mark = self.word(place)?;
        if mark != CONTINUES {
            let reason = format!("found {mark:#010x}, expected the mark of a message (0xffffffff)");
            return Err(self.damaged(place, &reason));
        }
        let len = self.word(place)?;
        if len == 0 {
            return Ok(None);
        }
        if i32::try_from(len).is_err() {
            return Err(self.damaged(place, &format!("a message of {len} bytes")));
        }
        let metadata = self.bytes(len.into(), place, stopped)?;
        let mut stored = Stored { metadata, body: Buffer::default() };
        let len = self.parsed(&stored, place)?.bodyLength();
        let Ok(len) = u64::try_from(len) else {
            return Err(self.damaged(place, &format!("a message with a body of {len} bytes")));
        };
        stored.body = Buffer::from(self.bytes(len, place, stopped)?);
        Ok(Some(stored))
    }

    fn word(&mut self, place: &str) -> Result<u32, SourceError> {
        let bytes = self.bytes(4, place, &|| false)?;
        Ok(bytes.as_chunks::<4>().0.first().map_or(0, |four| u32::from_le_bytes(*four)))
    }

    /// Reads so many bytes, and no memory is taken for those that are not there.
    fn bytes(
        &mut self,
        len: u64,
        place: &str,
        stopped: Stopped<'_>,
    ) -> Result<Vec<u8>, SourceError> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < len {
            if stopped() {
                return Err(SourceError::Stopped);
            }
            let piece = PIECE.min(len - bytes.len() as u64);
            bytes.reserve(narrow(piece));
            let read = Read::by_ref(&mut self.stream).take(piece).read_to_end(&mut bytes);
            match read {
                Ok(0) => {
                    return Err(self.damaged(
                        place,
                        "the file ends within a batch of rows, or without the mark that ends it: it was cut, or its \
                         writer did not close it",
                    ));
                }
                Ok(_) => {}
                Err(wrong) if wrong.kind() == ErrorKind::Interrupted => {}
                Err(wrong) => return Err(streams::failure(&self.path, place.into(), &wrong)),
            }
        }
        Ok(bytes)
    }

    fn parsed<'b>(&self, stored: &'b Stored, place: &str) -> Result<Message<'b>, SourceError> {
        parsed(&self.path, stored, place)
    }

    fn wrong(&self, place: &str, wrong: &ArrowError) -> SourceError {
        SourceError::damaged(&self.path, place, wrong)
    }

    pub(super) fn damaged(&self, place: &str, reason: &str) -> SourceError {
        damaged(&self.path, place, reason.to_owned())
    }
}

fn parsed<'b>(path: &Path, stored: &'b Stored, place: &str) -> Result<Message<'b>, SourceError> {
    root_as_message(&stored.metadata)
        .map_err(|wrong| damaged(path, place, format!("a message that cannot be read: {wrong}")))
}

fn damaged(path: &Path, place: &str, reason: String) -> SourceError {
    SourceError::Damaged { path: path.to_owned(), place: place.to_owned(), reason }
}
