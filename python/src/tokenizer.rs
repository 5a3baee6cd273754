//! Text to ids and back, for Python.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use numpy::{Element, IntoPyArray, PyArray1, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use ratdata_schemas::recipe::SpecialInText;
use ratdata_schemas::{Dtype, TokenId, Tokens};
use ratdata_tokenize::hub::resolve_tokenizer;
use ratdata_tokenize::tokenizer::{EncodeError, Encoder, IdWidth};

use crate::failure::Failure;

/// Fewer bytes of text than this are not worth a thread.
const BYTES_A_THREAD: usize = 1 << 16;

/// A tokenizer that was loaded.
#[pyclass(frozen, module = "ratdata._ratdata")]
pub(crate) struct Tokenizer {
    name: String,
    loaded: ratdata_tokenize::Tokenizer,
    /// Encoders that no call uses: each has a cache that is worth keeping.
    spare: Mutex<Vec<(SpecialInText, Encoder)>>,
}

/// The ids of texts one after the other, and the end of each text.
struct Encoded<W> {
    ids: Vec<W>,
    ends: Vec<u64>,
}

/// Ids of either width as an array, with the ends of texts.
type Arrays<'py> = (Bound<'py, PyAny>, Bound<'py, PyArray1<u64>>);

#[pymethods]
impl Tokenizer {
    /// Loads a tokenizer from a path, an alias or a name on the hub.
    #[staticmethod]
    fn load(py: Python<'_>, path_or_name: &str) -> PyResult<Self> {
        let loaded = py.detach(|| -> Result<_, Failure> {
            let found = resolve_tokenizer(path_or_name, &())?;
            Ok((ratdata_tokenize::Tokenizer::load(found.path)?, found.name))
        });
        let (loaded, name) = loaded?;
        Ok(Self { name, loaded, spare: Mutex::default() })
    }

    /// Encodes one text.
    #[pyo3(signature = (text, special_in_text))]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        text: PyBackedStr,
        special_in_text: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (ids, _) = self.encode_batch(py, vec![text], special_in_text, NonZeroUsize::MIN)?;
        Ok(ids)
    }

    /// Encodes texts on threads; returns all ids, and the end of each text in them.
    #[pyo3(signature = (texts, special_in_text, threads))]
    fn encode_batch<'py>(
        &self,
        py: Python<'py>,
        texts: Vec<PyBackedStr>,
        special_in_text: &str,
        threads: NonZeroUsize,
    ) -> PyResult<Arrays<'py>> {
        let specials = specials(special_in_text)?;
        match self.dtype() {
            "uint16" => self.encode_as::<u16>(py, &texts, specials, threads),
            _ => self.encode_as::<u32>(py, &texts, specials, threads),
        }
    }

    /// Decodes ids of any integer type.
    fn decode(&self, py: Python<'_>, ids: &Bound<'_, PyAny>) -> PyResult<String> {
        if let Ok(ids) = ids.extract::<PyReadonlyArray1<'_, u16>>()
            && let Ok(ids) = ids.as_slice()
        {
            return Ok(py.detach(|| self.loaded.decode_tokens(Tokens::U16(ids))));
        }
        if let Ok(ids) = ids.extract::<PyReadonlyArray1<'_, u32>>()
            && let Ok(ids) = ids.as_slice()
        {
            return Ok(py.detach(|| self.loaded.decode_tokens(Tokens::U32(ids))));
        }
        let ids: Vec<TokenId> = ids.extract()?;
        Ok(py.detach(|| self.loaded.decode(&ids)))
    }

    /// Returns what one id is written as.
    fn token_text(&self, id: TokenId) -> String {
        self.loaded.token_text(id)
    }

    /// Returns the id of a piece or added token.
    fn id_of(&self, piece: &str) -> Option<TokenId> {
        self.loaded.id_of(piece)
    }

    /// What the tokenizer is called in a manifest.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// The file that was loaded.
    #[getter]
    fn path(&self) -> std::path::PathBuf {
        self.loaded.path().to_owned()
    }

    /// The largest id plus one.
    #[getter]
    fn vocab_size(&self) -> u32 {
        self.loaded.vocab_size()
    }

    /// NumPy's name of the type of ids.
    #[getter]
    fn dtype(&self) -> &'static str {
        Dtype::for_vocab(self.loaded.vocab_size()).numpy_name()
    }

    /// The id that begins a document.
    #[getter]
    fn bos(&self) -> Option<TokenId> {
        self.loaded.bos()
    }

    /// The id that ends a document.
    #[getter]
    fn eos(&self) -> Option<TokenId> {
        self.loaded.eos()
    }

    /// The id that fills rows up.
    #[getter]
    fn pad(&self) -> Option<TokenId> {
        self.loaded.pad()
    }

    /// The id of text that cannot be spelt.
    #[getter]
    fn unk(&self) -> Option<TokenId> {
        self.loaded.unk()
    }

    /// The checksum of the tokenizer and its semantics, as manifests record it.
    #[getter]
    fn fingerprint(&self) -> String {
        self.loaded.fingerprint().to_string()
    }
}

impl Tokenizer {
    fn encode_as<'py, W: IdWidth + Element>(
        &self,
        py: Python<'py>,
        texts: &[PyBackedStr],
        specials: SpecialInText,
        threads: NonZeroUsize,
    ) -> PyResult<Arrays<'py>> {
        let encoded = py.detach(|| self.encode_all::<W>(texts, specials, threads.get()));
        let Encoded { ids, ends } = encoded?;
        Ok((ids.into_pyarray(py).into_any(), ends.into_pyarray(py)))
    }

    /// Encodes texts on threads, each a range of them with about as many bytes as the others.
    fn encode_all<W: IdWidth>(
        &self,
        texts: &[PyBackedStr],
        specials: SpecialInText,
        threads: usize,
    ) -> Result<Encoded<W>, Failure> {
        let ranges = ranges(texts, threads);
        let mut encoded = std::thread::scope(|scope| {
            let mut ranges = ranges.into_iter();
            let first = ranges.next().unwrap_or_default();
            let running: Vec<_> = ranges
                .map(|range| scope.spawn(move || self.encode_range::<W>(range, specials)))
                .collect();
            let mut encoded = vec![self.encode_range::<W>(first, specials)];
            encoded.extend(running.into_iter().map(|thread| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }));
            encoded.into_iter()
        });
        let mut all =
            encoded.next().unwrap_or(Ok(Encoded { ids: Vec::new(), ends: Vec::new() }))?;
        for part in encoded {
            let (part, before) = (part?, all.ids.len() as u64);
            all.ids.extend_from_slice(&part.ids);
            all.ends.extend(part.ends.iter().map(|end| before + end));
        }
        Ok(all)
    }

    fn encode_range<W: IdWidth>(
        &self,
        texts: &[PyBackedStr],
        specials: SpecialInText,
    ) -> Result<Encoded<W>, EncodeError> {
        let mut encoder = self.take(specials);
        let (mut ids, mut ends) = (Vec::new(), Vec::with_capacity(texts.len()));
        for text in texts {
            encoder.encode_into(text, &mut ids)?;
            ends.push(ids.len() as u64);
        }
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push((specials, encoder));
        Ok(Encoded { ids, ends })
    }

    /// Takes an encoder that no call uses, or makes one.
    fn take(&self, specials: SpecialInText) -> Encoder {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        match spare.iter().position(|(known, _)| *known == specials) {
            Some(place) => spare.swap_remove(place).1,
            None => self.loaded.encoder(specials),
        }
    }
}

/// Divides texts into at most `threads` ranges with about as many bytes each.
fn ranges(texts: &[PyBackedStr], threads: usize) -> Vec<&[PyBackedStr]> {
    let total: usize = texts.iter().map(|text| text.len()).sum();
    let each = total.div_ceil(threads).max(BYTES_A_THREAD);
    let (mut ranges, mut from, mut bytes) = (Vec::new(), 0, 0);
    for (place, text) in texts.iter().enumerate() {
        bytes += text.len();
        if bytes >= each {
            ranges.push(&texts[from..=place]);
            (from, bytes) = (place + 1, 0);
        }
    }
    if from < texts.len() {
        ranges.push(&texts[from..]);
    }
    ranges
}

/// Reads what becomes of special tokens in a text.
fn specials(name: &str) -> PyResult<SpecialInText> {
    match name {
        "parse" => Ok(SpecialInText::Parse),
        "plain" => Ok(SpecialInText::Plain),
        "error" => Ok(SpecialInText::Error),
        found => Err(PyValueError::new_err(format!(
            "special_in_text is `{found}`, expected `parse`, `plain` or `error`"
        ))),
    }
}
