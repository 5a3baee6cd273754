//! Text to token ids: vocabularies, a fast and exact BPE engine, sources of documents, packing and masking.
//!
//! This is the library behind `ratdata`. Its [`Tokenizer`] gives the ids of Hugging Face `tokenizers` for a
//! `tokenizer.json`, and those of SentencePiece for a `.model`. The engine covers the usual kinds of BPE,
//! and the stages every other kind: Unigram, `WordPiece` and all normalizers and pre-tokenizers.
//!
//! # Encode and decode
//!
//! ```
//! use ratdata_tokenize::Tokenizer;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tokenizer = Tokenizer::load("examples/tiny/tokenizer.json")?;
//! let ids = tokenizer.encode("Hello world")?;
//! assert_eq!(ids.len(), 2);
//! assert_eq!(tokenizer.decode(&ids), "Hello world");
//! # Ok(())
//! # }
//! ```
//!
//! # Encode many texts
//!
//! [`Tokenizer::encode`] can be called on any number of threads. A thread that encodes many texts is faster
//! with an encoder of its own, which appends ids to a buffer. It also chooses the width of the ids, and
//! what a special token in the text becomes:
//!
//! ```
//! use ratdata_tokenize::Tokenizer;
//! use ratdata_tokenize::tokenizer::SpecialInText;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tokenizer = Tokenizer::load("examples/tiny/tokenizer.json")?;
//! let mut encoder = tokenizer.encoder(SpecialInText::Plain);
//! let mut ids: Vec<u16> = Vec::new();
//! for text in ["Hello", " world", "<|endoftext|>"] {
//!     encoder.encode_into(text, &mut ids)?;
//! }
//! // `<|endoftext|>` is plain text here, and so more than one id.
//! assert!(ids.len() > 3);
//! # Ok(())
//! # }
//! ```
//!
//! # Write token bins and read them
//!
//! A token bin is a file of ids, with an index of its documents next to it. `ratdata_schemas` writes and
//! reads both:
//!
//! ```
//! use ratdata_schemas::{BinSet, Dtype, ShardFiles, ShardWriter};
//! use ratdata_tokenize::Tokenizer;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tokenizer = Tokenizer::load("examples/tiny/tokenizer.json")?;
//! let folder = tempfile::tempdir()?;
//! let mut writer = ShardWriter::create(ShardFiles { root: folder.path(), stem: "tiny" })?;
//! for text in ["Hello world", "the text of the world"] {
//!     let ids = tokenizer.encode(text)?;
//!     writer.append_u32(&ids, &[u32::try_from(ids.len())?])?;
//! }
//! writer.finish(None)?;
//!
//! let bins = BinSet::open_bin(&folder.path().join("tiny.bin"), Dtype::U32)?;
//! assert_eq!(bins.num_documents(), 2);
//! let shard = &bins.shards()[0];
//! let range = shard.index().and_then(|index| index.range(1)).ok_or("no second document")?;
//! let range = usize::try_from(range.start)?..usize::try_from(range.end)?;
//! let second = shard.bin().tokens().slice(range).ok_or("the index is not of this bin")?;
//! assert_eq!(tokenizer.decode_tokens(second), "the text of the world");
//! # Ok(())
//! # }
//! ```
//!
//! # Pack documents into rows
//!
//! A trainer reads rows of one length. A row is a list of spans over the tokens, so that packing copies no
//! token:
//!
//! ```
//! use ratdata_schemas::Span;
//! use ratdata_tokenize::pack::{Algorithm, BestFit, Document, Long, PackConfig};
//!
//! # fn main() -> std::io::Result<()> {
//! let config =
//!     PackConfig { seq_len: 7, packing: Algorithm::BestFit, long: Long::Split, align: 1, seed: None };
//! let mut packing = BestFit::new(config);
//! let mut rows: Vec<Vec<Span>> = Vec::new();
//! let mut sink = |row: &[Span]| -> std::io::Result<()> {
//!     rows.push(row.to_vec());
//!     Ok(())
//! };
//! // Three documents of five, three and eight tokens, one after the other in a bin.
//! for (start, len) in [(0, 5), (5, 3), (8, 8)] {
//!     packing.push(Document { start, len }, &mut sink)?;
//! }
//! let counts = packing.finish(&mut sink)?;
//! assert_eq!((counts.rows, counts.tokens, counts.cut), (2, 16, 0));
//! assert_eq!(rows[0].len(), 1, "the longest document fills a row of eight tokens");
//! assert_eq!(rows[1].len(), 2, "the other two share a row");
//! # Ok(())
//! # }
//! ```
//!
//! # The rooms
//!
//! - [`tokenizer`]: vocabularies, encoding, decoding.
//! - [`hub`]: names of tokenizers and data sets become files, fetched where they are not there.
//! - [`source`]: documents from parquet, JSON lines and plain text.
//! - [`order`]: the random orders of NumPy and Python, reproduced.
//! - [`corpus`]: the tokenize job, from files of documents to token bins.
//! - [`sft`]: instruction data, from tasks and conversations to rows with a loss mask.
//! - [`pack`]: documents of token bins as rows of one length.
//! - [`mix`]: documents of several artifacts as one, by budgets.
//! - [`next_tokens`]: ids of bins as inputs and labels of a training loop.

mod bounds;
pub mod corpus;
mod engine;
mod git_lfs;
pub mod hub;
pub mod mix;
pub mod next_tokens;
pub mod order;
pub mod pack;
pub mod provenance;
pub mod sft;
mod share;
pub mod source;
mod stages;
mod staging;
pub mod tokenizer;

pub use share::Share;
pub use tokenizer::Tokenizer;
