//! Reads a `.tiktoken` file: a line for each piece, with its bytes in Base64 and its rank.

use super::RankedVocabulary;
use crate::bounds::shown;
use crate::stages::decode_base64;
use crate::tokenizer::encoding::Encoding;

/// Returns whether bytes begin as a rank file does.
pub(crate) fn is_rank_file(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or(bytes);
    piece_and_rank(line).is_some()
}

fn piece_and_rank(line: &[u8]) -> Option<(Vec<u8>, u32)> {
    let line = line.trim_ascii_end();
    let space = line.iter().position(|&byte| byte == b' ')?;
    let rank = std::str::from_utf8(&line[space + 1..]).ok()?;
    // A sign or a second space is no number of a rank file.
    let is_number = rank.bytes().all(|byte| byte.is_ascii_digit());
    let rank = is_number.then(|| rank.parse().ok()).flatten()?;
    Some((decode_base64(&line[..space])?, rank))
}

/// Reads the ranks of an encoding.
///
/// # Errors
///
/// A line is no piece with its rank.
pub(crate) fn read(bytes: &[u8], encoding: Encoding) -> Result<RankedVocabulary, String> {
    let mut pieces = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        pieces.push(piece_and_rank(line).ok_or_else(|| {
            let line = shown(&String::from_utf8_lossy(line));
            format!("line {number} is `{line}`, expected Base64, a space and a rank")
        })?);
    }
    let (pattern, specials) = (encoding.pattern().to_owned(), encoding.specials());
    Ok(RankedVocabulary { pattern, pieces, specials })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_piece_and_its_rank() {
        let read = read(b"IQ== 0\nIg== 1\r\n\n", Encoding::R50kBase).unwrap();

        assert_eq!(read.pieces, [(b"!".to_vec(), 0), (b"\"".to_vec(), 1)]);
        assert_eq!(read.specials, [("<|endoftext|>".to_owned(), 50_256)]);
    }

    #[test]
    fn another_line_is_refused_with_its_number() {
        for line in ["IQ==", "IQ== -1", "IQ== x", "I! 2", "IQ==  2", "IQ== 4294967296"] {
            let refused = read(format!("IQ== 0\n{line}").as_bytes(), Encoding::R50kBase);

            let said = refused.unwrap_err();
            assert!(said.starts_with(&format!("line 2 is `{line}`, expected")), "{said}");
        }
    }

    #[test]
    fn harmony_names_every_id_to_its_end_and_one_twice() {
        let specials = Encoding::O200kHarmony.specials();

        let mut ids: Vec<u32> = specials.iter().map(|(_, id)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids, (199_998..201_088).collect::<Vec<_>>());
        assert_eq!(specials.len(), ids.len() + 1);
    }
}
