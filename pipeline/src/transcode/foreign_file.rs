//! Finds the files of a foreign layout and reads what their headers and indexes say.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use ratdata_schemas::layouts::datatrove::DatatroveMetadata;
use ratdata_schemas::layouts::llmc::LlmcHeader;
use ratdata_schemas::layouts::megatron::MegatronIndex;
use ratdata_schemas::layouts::npy::NpyHeader;
use ratdata_schemas::layouts::{LayoutError, llmc, olmo, parse_ends};
use ratdata_schemas::recipe::ImportLayout;
use ratdata_schemas::{Dtype, open_regular, read_regular};

use super::error::TranscodeError;
use super::foreign_rows::RowFile;
use super::stored_array::StoredArray;

/// A foreign file of ids, and what is known of it.
#[derive(Debug)]
pub(super) struct ForeignFile {
    /// Where the ids lie.
    pub(super) path: PathBuf,
    /// The file's name, and the same without its ending.
    pub(super) name: String,
    pub(super) stem: String,
    /// The width of the ids.
    pub(super) dtype: Dtype,
    /// The byte where the ids begin.
    pub(super) from: u64,
    /// How many ids there are.
    pub(super) tokens: u64,
    /// The documents' ends; none where only an EOS id says them.
    pub(super) ends: Option<Vec<u64>>,
    /// A file whose bytes are those of our document index.
    pub(super) index: Option<PathBuf>,
    /// A file with one byte a token, set where the token is trained on, and the byte where those begin.
    pub(super) mask: Option<(PathBuf, u64)>,
    /// Whether it holds rows, of which nothing is known before they are read.
    pub(super) has_rows: bool,
}

/// Finds the files that `inputs` name: files as they are, and of folders those of the layout.
///
/// # Errors
///
/// An input is not there, or a folder holds no file of the layout.
pub(super) fn find(inputs: &[PathBuf], from: ImportLayout) -> Result<Vec<PathBuf>, TranscodeError> {
    let mut found = Vec::new();
    for input in inputs {
        // Megatron's users give the prefix that both files share.
        let prefixed = with_ending(input, ending(from));
        if input.is_dir() {
            let before = found.len();
            let entries = fs::read_dir(input).map_err(TranscodeError::io(input))?;
            for entry in entries {
                let path = entry.map_err(TranscodeError::io(input))?.path();
                if path.is_file() && is_payload(&path, from) {
                    found.push(path);
                }
            }
            if found.len() == before {
                let (path, expected) = (input.clone(), ending(from));
                return Err(TranscodeError::NoFiles { path, expected });
            }
            found[before..].sort();
        } else if from == ImportLayout::Megatron && !input.exists() && prefixed.is_file() {
            found.push(prefixed);
        } else if from == ImportLayout::Megatron && input.extension().is_some_and(|e| e == "idx") {
            found.push(input.with_extension("bin"));
        } else {
            found.push(input.clone());
        }
    }
    Ok(found)
}

/// Returns the files that some layout reads together with a file of ids: indexes, ends, masks.
pub(crate) fn companions(path: &Path) -> Vec<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let after = |ending: &str| path.with_file_name(format!("{name}{ending}"));
    let instead = |ending: &str| path.with_extension(ending);
    let mut files = vec![
        instead("idx"),
        after(".metadata"),
        after(".loss"),
        after(".index"),
        instead("csv.gz"),
        path.with_file_name(format!("label_mask/{name}")),
        instead("ends.npy"),
        instead("mask.npy"),
    ];
    files.retain(|file| file != path && file.is_file());
    files
}

/// Returns the ending of the files that hold ids.
fn ending(layout: ImportLayout) -> &'static str {
    match layout {
        ImportLayout::Raw | ImportLayout::Megatron | ImportLayout::Llmc => ".bin",
        ImportLayout::Datatrove => ".ds",
        ImportLayout::Olmo | ImportLayout::Npy => ".npy",
        ImportLayout::Npz => ".npz",
        ImportLayout::Safetensors => ".safetensors",
        ImportLayout::Arrow => ".arrow",
        ImportLayout::MegatronSft => ".idx.parquet",
    }
}

fn is_payload(path: &Path, from: ImportLayout) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let ends = |ending: &str| name.ends_with(ending.as_bytes());
    let endings = [".ends.npy", ".mask.npy"];
    ends(ending(from)) && !(from == ImportLayout::Npy && endings.into_iter().any(ends))
}

/// Returns a path with an ending behind its name, whatever letters it has.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// Reads what the header and the companions say about the ids of `path`.
///
/// # Errors
///
/// A file cannot be read, or is not in the layout.
pub(super) fn open(
    path: &Path,
    from: ImportLayout,
    wanted: Option<Dtype>,
) -> Result<ForeignFile, TranscodeError> {
    let bytes = fs::metadata(path).map_err(TranscodeError::io(path))?.len();
    // The artifact's files and manifest have the name, and another spelling is another name.
    let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let name = name.ok_or_else(|| TranscodeError::NotUtf8 { path: path.to_owned() })?;
    let stem = name.strip_suffix(ending(from)).unwrap_or(&name).to_owned();
    let plain = |dtype: Dtype| -> Result<ForeignFile, TranscodeError> {
        let width = dtype.width() as u64;
        let tokens = bytes / width;
        let found = ForeignFile {
            path: path.to_owned(),
            name: name.clone(),
            stem: stem.clone(),
            dtype,
            from: 0,
            tokens,
            ends: None,
            index: None,
            mask: None,
            has_rows: false,
        };
        if !bytes.is_multiple_of(width) {
            let (path, width) = (path.to_owned(), dtype.width());
            return Err(ratdata_schemas::BinError::Ragged { path, bytes, width }.into());
        }
        Ok(found)
    };
    let found = match from {
        ImportLayout::Raw => plain(wanted.unwrap_or(Dtype::U16))?,
        ImportLayout::Megatron => {
            let index_path = path.with_extension("idx");
            let index_bytes = read(&index_path)?;
            let wrong = TranscodeError::layout(&index_path);
            let index = MegatronIndex::parse(&index_bytes).map_err(&wrong)?;
            let ends = Some(index.ends(bytes).map_err(&wrong)?);
            ForeignFile { ends, ..plain(index.dtype())? }
        }
        ImportLayout::Llmc => {
            let header = LlmcHeader::parse(&head(path, llmc::HEADER_BYTES)?, bytes)
                .map_err(TranscodeError::layout(path))?;
            let (dtype, tokens, from) = (header.dtype, header.tokens, llmc::HEADER_BYTES as u64);
            // The header makes the file's size no whole number of wider ids; it is counted here.
            ForeignFile {
                path: path.to_owned(),
                name,
                stem,
                dtype,
                from,
                tokens,
                ends: None,
                index: None,
                mask: None,
                has_rows: false,
            }
        }
        ImportLayout::Datatrove => open_datatrove(path, wanted, plain)?,
        ImportLayout::Olmo => open_olmo(path, wanted, plain)?,
        ImportLayout::Npy => open_npy(path, bytes, (name, stem))?,
        ImportLayout::Npz => {
            let rows = RowFile::open(path, StoredArray::in_npz)?;
            of_rows(path, (name, stem), width_of(&rows.inputs, path)?)
        }
        ImportLayout::Safetensors => open_safetensors(path, (name, stem))?,
        ImportLayout::Arrow | ImportLayout::MegatronSft => {
            of_rows(path, (name, stem), wanted.unwrap_or(Dtype::U16))
        }
    };
    match wanted {
        Some(expected) if expected != found.dtype => {
            Err(TranscodeError::Dtype { path: path.to_owned(), found: found.dtype, expected })
        }
        _ => Ok(found),
    }
}

fn open_olmo(
    path: &Path,
    wanted: Option<Dtype>,
    plain: impl Fn(Dtype) -> Result<ForeignFile, TranscodeError>,
) -> Result<ForeignFile, TranscodeError> {
    let found = plain(wanted.unwrap_or(Dtype::U16))?;
    let csv = path.with_file_name(format!("{}.csv.gz", found.stem));
    let text = inflate(&csv, most_csv_bytes(found.tokens))?;
    let wrong = TranscodeError::layout(&csv);
    let ends = olmo::parse_ends(&text).map_err(&wrong)?;
    ratdata_schemas::layouts::check_ends(&ends, found.tokens).map_err(&wrong)?;
    let mask = path.with_file_name(format!("label_mask/{}", found.name));
    let mask = mask_file(mask, found.tokens)?;
    Ok(ForeignFile { ends: Some(ends), mask, ..found })
}

fn open_datatrove(
    path: &Path,
    wanted: Option<Dtype>,
    plain: impl Fn(Dtype) -> Result<ForeignFile, TranscodeError>,
) -> Result<ForeignFile, TranscodeError> {
    let named = |ending: &str| with_ending(path, ending);
    let metadata = named(".metadata");
    let said = if metadata.is_file() {
        let said = DatatroveMetadata::parse(&head(&metadata, 1 << 16)?);
        Some(said.map_err(TranscodeError::layout(&metadata))?)
    } else {
        None
    };
    let dtype = said.as_ref().map(|said| said.dtype).or(wanted).unwrap_or(Dtype::U16);
    let found = plain(dtype)?;
    if let Some(said) = said.filter(|said| said.tokens != found.tokens) {
        return Err(TranscodeError::layout(&metadata)(LayoutError::Field {
            what: "the number of tokens",
            found: said.tokens.to_string(),
            expected: format!("the {} that the `.ds` has", found.tokens),
        }));
    }
    let mask = mask_file(named(".loss"), found.tokens)?;
    let index = named(".index");
    if !index.is_file() {
        return Ok(ForeignFile { mask, ..found });
    }
    let ends = parse_ends(&read(&index)?, found.tokens).map_err(TranscodeError::layout(&index))?;
    Ok(ForeignFile { ends: Some(ends), index: Some(index), mask, ..found })
}

fn open_npy(
    path: &Path,
    bytes: u64,
    (name, stem): (String, String),
) -> Result<ForeignFile, TranscodeError> {
    let wrong = TranscodeError::layout(path);
    let header = NpyHeader::parse(&head(path, 1 << 16)?).map_err(&wrong)?;
    let dtype = match header.descr.as_str() {
        "<u2" => Dtype::U16,
        // Ids below 2³¹ look the same in both; larger ones are caught with the ids.
        "<u4" | "<i4" => Dtype::U32,
        other => {
            return Err(wrong(LayoutError::Field {
                what: "the element type",
                found: format!("`{other}`"),
                expected: "`<u2`, `<u4` or `<i4`".into(),
            }));
        }
    };
    let tokens = header.flat_len(dtype.width() as u64, bytes).map_err(&wrong)?;
    let ends_path = path.with_file_name(format!("{stem}.ends.npy"));
    let ends = if ends_path.is_file() {
        let wrong = TranscodeError::layout(&ends_path);
        let content = read(&ends_path)?;
        let header = NpyHeader::parse(&content).map_err(&wrong)?;
        header.flat_len(8, content.len() as u64).map_err(&wrong)?;
        Some(parse_ends(&content[header.data_offset..], tokens).map_err(&wrong)?)
    } else {
        None
    };
    let mask_path = path.with_file_name(format!("{stem}.mask.npy"));
    let mask = if mask_path.is_file() {
        let wrong = TranscodeError::layout(&mask_path);
        let header = NpyHeader::parse(&head(&mask_path, 1 << 16)?).map_err(&wrong)?;
        let size = fs::metadata(&mask_path).map_err(TranscodeError::io(&mask_path))?.len();
        if header.flat_len(1, size).map_err(&wrong)? != tokens {
            let (what, expected) = ("the mask", tokens);
            return Err(wrong(LayoutError::Short { what, found: size, expected }));
        }
        Some((mask_path.clone(), header.data_offset as u64))
    } else {
        None
    };
    let (path, from) = (path.to_owned(), header.data_offset as u64);
    let (index, has_rows) = (None, false);
    Ok(ForeignFile { path, name, stem, dtype, from, tokens, ends, index, mask, has_rows })
}

/// Returns a file of rows, whose sequences become documents.
fn of_rows(path: &Path, (name, stem): (String, String), dtype: Dtype) -> ForeignFile {
    ForeignFile {
        path: path.to_owned(),
        name,
        stem,
        dtype,
        from: 0,
        tokens: 0,
        ends: Some(Vec::new()),
        index: None,
        mask: None,
        has_rows: true,
    }
}

/// Returns the width of the ids of an array.
fn width_of(ids: &StoredArray, path: &Path) -> Result<Dtype, TranscodeError> {
    match ids.width {
        2 => Ok(Dtype::U16),
        4 => Ok(Dtype::U32),
        width => Err(TranscodeError::layout(path)(LayoutError::Field {
            what: "the element type",
            found: format!("numbers of {width} bytes"),
            expected: "ids of 2 or 4 bytes".into(),
        })),
    }
}

/// Reads what a file says of its tokens and the ends of its documents, or of its packed rows.
fn open_safetensors(path: &Path, names: (String, String)) -> Result<ForeignFile, TranscodeError> {
    let find = |name| StoredArray::in_safetensors(path, name);
    let Some(tokens) = find("tokens")? else {
        let rows = RowFile::open(path, StoredArray::in_safetensors)?;
        return Ok(of_rows(path, names, width_of(&rows.inputs, path)?));
    };
    let wrong = TranscodeError::layout(path);
    let ends = match find("document_ends")? {
        None => None,
        Some(ends) => {
            let mut found = Vec::new();
            for end in ends.numbers()?.take(ends.len())? {
                found.push(u64::try_from(end).unwrap_or(u64::MAX));
            }
            ratdata_schemas::layouts::check_ends(&found, tokens.len()).map_err(&wrong)?;
            Some(found)
        }
    };
    let mask = match find("loss_mask")? {
        None => None,
        Some(mask) if mask.width == 1 && mask.len() == tokens.len() => {
            Some((path.to_owned(), mask.from))
        }
        Some(mask) => {
            let (what, found, expected) = ("the mask", mask.len(), tokens.len());
            return Err(wrong(LayoutError::Short { what, found, expected }));
        }
    };
    let (from, dtype) = (tokens.from, width_of(&tokens, path)?);
    let tokens = tokens.len();
    Ok(ForeignFile { from, tokens, ends, mask, has_rows: false, ..of_rows(path, names, dtype) })
}

/// Returns a mask of one byte a token, where there is a file of that name.
fn mask_file(path: PathBuf, tokens: u64) -> Result<Option<(PathBuf, u64)>, TranscodeError> {
    if !path.is_file() {
        return Ok(None);
    }
    let found = fs::metadata(&path).map_err(TranscodeError::io(&path))?.len();
    if found != tokens {
        let source = LayoutError::Short { what: "the mask", found, expected: tokens };
        return Err(TranscodeError::Layout { path, source });
    }
    Ok(Some((path, 0)))
}

/// Returns more bytes than the rows of a file of so many tokens take: a line for each document, and
/// a document has many tokens.
///
/// A few bytes of gzip can stand for gigabytes, which nobody is to be made to hold.
fn most_csv_bytes(tokens: u64) -> u64 {
    tokens.saturating_mul(256).saturating_add(1 << 20)
}

fn inflate(path: &Path, most: u64) -> Result<Vec<u8>, TranscodeError> {
    let mut text = Vec::new();
    let file = open_regular(path).map_err(TranscodeError::io(path))?;
    let mut limited = MultiGzDecoder::new(file).take(most.saturating_add(1));
    limited.read_to_end(&mut text).map_err(TranscodeError::io(path))?;
    if text.len() as u64 > most {
        return Err(TranscodeError::layout(path)(LayoutError::Field {
            what: "the size of its text",
            found: format!("more than {most} bytes"),
            expected: "a line for each of the documents that the tokens are of".into(),
        }));
    }
    Ok(text)
}

fn read(path: &Path) -> Result<Vec<u8>, TranscodeError> {
    read_regular(path).map_err(TranscodeError::io(path))
}

/// Reads at most the first `most` bytes of a file.
fn head(path: &Path, most: usize) -> Result<Vec<u8>, TranscodeError> {
    let mut bytes = Vec::new();
    let file = open_regular(path).map_err(TranscodeError::io(path))?;
    file.take(most as u64).read_to_end(&mut bytes).map_err(TranscodeError::io(path))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn a_small_file_that_stands_for_a_large_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        fs::File::create(&path).unwrap().write_all(&[1, 0, 2, 0]).unwrap();
        let csv = fs::File::create(folder.path().join("x.csv.gz")).unwrap();
        let mut csv = GzEncoder::new(csv, Compression::fast());
        csv.write_all(&vec![b'1'; 8 << 20]).unwrap();
        csv.finish().unwrap();

        let refused = open(&path, ImportLayout::Olmo, None).unwrap_err();

        assert!(refused.to_string().contains("x.csv.gz"), "{refused}");
        let source =
            std::error::Error::source(&refused).map_or_else(String::new, ToString::to_string);
        assert!(format!("{refused}{source}").contains("more than"), "{refused}: {source}");
    }
}
