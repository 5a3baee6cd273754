//! What a file is that is given as a tokenizer: by its content, and by its name where the content does
//! not say.

use std::io::Read;
use std::path::Path;

use ratdata_schemas::open_regular;
use serde::de::IgnoredAny;

use super::error::TokenizerError;
use super::ranks::{tekken, tiktoken};
use crate::bounds::limits::MOST_BYTES;
use crate::git_lfs;

/// The kinds of files that are tokenizers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Json,
    Model,
    Tiktoken,
    Tekken,
}

/// What was found in the place of a tokenizer, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    pub(super) found: String,
    pub(super) hint: &'static str,
}

const UNPACK: &str = "unpack it, and give the file inside";
const UTF8: &str = "save it as UTF-8 without a byte order mark";
const FETCH: &str =
    "fetch the file itself: `git lfs pull`, or give the tokenizer's hub id in place of a path";
const AGAIN: &str = "the download went wrong; fetch the file again, or give the tokenizer's hub id";
const SAVED: &str =
    "give a file or folder as `transformers` saves it, or a name such as `llama` or `gpt2`";
const CONVERT: &str = "convert the vocabulary to a `tokenizer.json`, as `transformers` saves it";

/// How files begin that are given as tokenizers by mistake, what they are, and what to do.
const SIGNS: [(&[u8], &str, &str); 14] = [
    (b"\x1f\x8b", "a gzip file", UNPACK),
    (b"PK\x03\x04", "a zip archive", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a zstd file", UNPACK),
    (b"BZh", "a bzip2 file", UNPACK),
    (b"\xfd7zXZ\0", "an xz file", UNPACK),
    (b"\xef\xbb\xbf", "a byte order mark (BOM) before the text", UTF8),
    (b"\xff\xfe", "UTF-16 text", UTF8),
    (b"\xfe\xff", "UTF-16 text", UTF8),
    (b"{\0", "UTF-16 text", UTF8),
    (b"\0{", "UTF-16 text", UTF8),
    (b"#version", "a list of merges (`merges.txt`)", SAVED),
    (b"PAR1", "a parquet file", SAVED),
    (b"GGUF", "a GGUF model", CONVERT),
    (b"\x80\x02", "a Python pickle", SAVED),
];

/// Reads a file of bounded size.
///
/// # Errors
///
/// It cannot be read, or is larger than any tokenizer.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, TokenizerError> {
    let io = |source| TokenizerError::Io { path: path.to_owned(), source };
    let file = open_regular(path).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > MOST_BYTES {
        let reason = format!("it is larger than {} MB", MOST_BYTES >> 20);
        return Err(TokenizerError::Invalid { path: path.to_owned(), reason });
    }
    Ok(bytes)
}

/// Returns what the bytes are, where they are of a kind that is met by mistake.
pub(super) fn foreign(bytes: &[u8]) -> Option<Foreign> {
    let foreign = |found: &str, hint| Some(Foreign { found: found.to_owned(), hint });
    if bytes.is_empty() {
        return foreign("an empty file", AGAIN);
    }
    if git_lfs::is_pointer(bytes) {
        return foreign("a Git LFS pointer, which stands for the file", FETCH);
    }
    if let Some((_, found, hint)) = SIGNS.iter().find(|(sign, ..)| bytes.starts_with(sign)) {
        return foreign(found, hint);
    }
    match bytes.trim_ascii_start() {
        [] => foreign("nothing but white space", AGAIN),
        [b'<', ..] => {
            foreign("a page of HTML or XML, as servers send in the place of a file", AGAIN)
        }
        _ => None,
    }
}

/// Tells which kind of tokenizer a file is.
///
/// # Errors
///
/// It is of none of them.
pub(super) fn kind(path: &Path, bytes: &[u8]) -> Result<FileKind, Foreign> {
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        // A UTF-16 file may begin so, too.
        let kind = if tekken::is_tekken(bytes) { FileKind::Tekken } else { FileKind::Json };
        return foreign(bytes).map_or(Ok(kind), Err);
    }
    if let Some(foreign) = foreign(bytes) {
        return Err(foreign);
    }
    if serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
        let found = format!("JSON that is {}, and no object", name_of(bytes));
        return Err(Foreign { found, hint: SAVED });
    }
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
        let found = match serde_json::from_slice::<IgnoredAny>(bytes) {
            Err(wrong) => format!("no JSON: {wrong}"),
            Ok(_) => "no JSON object".to_owned(),
        };
        return Err(Foreign { found, hint: SAVED });
    }
    if tiktoken::is_rank_file(bytes) {
        return Ok(FileKind::Tiktoken);
    }
    if is_text(bytes) {
        let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or(bytes);
        let line = String::from_utf8_lossy(line);
        let found = format!("text that begins with `{}`", crate::bounds::shown(line.trim_end()));
        return Err(Foreign { found, hint: CONVERT });
    }
    Ok(FileKind::Model)
}

/// Returns whether the bytes are text, of which a protobuf message has at most stretches.
fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(1 << 12)];
    let controls = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace();
    let is_utf8 = match std::str::from_utf8(start) {
        Ok(_) => true,
        // The stretch may end within a character.
        Err(wrong) => wrong.error_len().is_none(),
    };
    // The first piece of a model begins with a line end and a length, which is no text in all but
    // a few models; those have control characters soon.
    is_utf8 && !start.iter().any(controls) && bytes.first() != Some(&b'\n')
}

/// Returns what a JSON value is called, by its first character.
pub(super) fn name_of(json: &[u8]) -> &'static str {
    match json.trim_ascii_start().first() {
        Some(b'n') => "null",
        Some(b't' | b'f') => "a boolean",
        Some(b'"') => "a string",
        Some(b'[') => "an array",
        Some(b'{') => "an object",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_tokenizer_is_called_by_its_name() {
        let utf16: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let cases: [(&str, &[u8], &str); 16] = [
            ("tokenizer.json", b"", "an empty file"),
            ("tokenizer.json", b" \n", "nothing but white space"),
            ("tokenizer.json", b"null", "JSON that is null"),
            ("tokenizer.json", b"[]\n", "JSON that is an array"),
            ("tokenizer.model", b"\"x\"", "JSON that is a string"),
            ("tokenizer.json", b"\xef\xbb\xbf{}", "byte order mark"),
            ("tokenizer.json", b"\xff\xfe{\0}\0", "UTF-16"),
            ("tokenizer.json", &utf16, "UTF-16"),
            (
                "tokenizer.json",
                b"version https://git-lfs.github.com/spec/v1\noid",
                "Git LFS pointer",
            ),
            (
                "tokenizer.model",
                b"version https://git-lfs.github.com/spec/v1\noid",
                "Git LFS pointer",
            ),
            ("tokenizer.json", b"<!DOCTYPE html><html>", "HTML"),
            ("tokenizer.model", b"\n<html>", "HTML"),
            ("tokenizer.json", b"\x1f\x8b\x08\0", "a gzip file"),
            ("tokenizer.json", b"hello", "no JSON: expected value at line 1 column 1"),
            ("merges.txt", b"#version: 0.2\na b\n", "a list of merges"),
            ("vocab.txt", b"[PAD]\n[unused0]\n", "text that begins with `[PAD]`"),
        ];
        for (name, bytes, says) in cases {
            let foreign = kind(Path::new(name), bytes).unwrap_err();

            assert!(foreign.found.contains(says), "{name}: {foreign:?}");
        }
    }

    #[test]
    fn the_content_of_a_tokenizer_says_its_kind_whatever_its_name() {
        let model = [0x0a, 11, 0x0a, 2, b'a', b'b', 0x15, 0, 0, 0xc0, 0x3f, 0x18, 6];

        assert_eq!(kind(Path::new("x"), b" {\"model\""), Ok(FileKind::Json));
        assert_eq!(kind(Path::new("x"), &model), Ok(FileKind::Model));
        assert_eq!(kind(Path::new("x"), b"IQ== 0\nIg== 1\n"), Ok(FileKind::Tiktoken));
        assert_eq!(kind(Path::new("x"), b"{\"config\": {"), Ok(FileKind::Tekken));
    }
}
