//! Tells by the first bytes of a stream without a name how a file with them would end.

use std::io::Read;

use super::foreign::BOM;
use super::streams::{Compression, decompressed};

/// Where an archive says that it is one.
const TAR: (usize, &[u8]) = (257, b"ustar");

/// Returns the ending of a name, without its dot, for a file that begins so. What says nothing else is JSON lines.
pub fn ending_of(beginning: &[u8]) -> String {
    if beginning.starts_with(b"PAR1") {
        return "parquet".into();
    }
    let compressions: [(&[u8], Compression, &str); 2] =
        [(b"\x1f\x8b", Compression::Gzip, ".gz"), (b"\x28\xb5\x2f\xfd", Compression::Zstd, ".zst")];
    let found = compressions.into_iter().find(|(mark, _, _)| beginning.starts_with(mark));
    let Some((_, compression, ending)) = found else { return kind_of(beginning).into() };
    // What is cut off says nothing about what comes before.
    let mut inside = Vec::new();
    let whole = decompressed(beginning, compression)
        .and_then(|stream| stream.take(1 << 16).read_to_end(&mut inside));
    drop(whole);
    format!("{}{ending}", kind_of(&inside))
}

/// Returns the ending of what is not compressed.
fn kind_of(beginning: &[u8]) -> &'static str {
    let (at, mark) = TAR;
    if beginning.get(at..at + mark.len()) == Some(mark) {
        return "tar";
    }
    if beginning.starts_with(b"ARROW1") || beginning.starts_with(b"\xff\xff\xff\xff") {
        return "arrow";
    }
    let text = beginning.strip_prefix(BOM).unwrap_or(beginning).trim_ascii_start();
    let header = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    match text.first() {
        None | Some(b'{' | b'[') => "jsonl",
        _ if header.contains(&b'\t') => "tsv",
        _ if header.contains(&b',') => "csv",
        _ => "jsonl",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_so_ends_so() {
        let tar = [&[b'x'; 257][..], b"ustar\0"].concat();
        for (beginning, ending) in [
            (&b"PAR1..."[..], "parquet"),
            (b"ARROW1\0\0", "arrow"),
            (b"\xff\xff\xff\xff\x10\0", "arrow"),
            (&tar, "tar"),
            (b"{\"text\": \"a,b\"}\n", "jsonl"),
            (b"\xef\xbb\xbf[\n {", "jsonl"),
            (b"id,text\n1,\"a\tb\"\n", "csv"),
            (b"id\ttext, too\n", "tsv"),
            (b"no comma in the first line\na,b\n", "jsonl"),
            (b"", "jsonl"),
        ] {
            assert_eq!(ending_of(beginning), ending, "{}", beginning.escape_ascii());
            let packed = zstd::encode_all(beginning, 1).unwrap();
            let inside = if ending == "parquet" { "jsonl" } else { ending };
            assert_eq!(ending_of(&packed), format!("{inside}.zst"));
        }
        assert_eq!(ending_of(b"\x1f\x8b\x08"), "jsonl.gz");
    }
}
