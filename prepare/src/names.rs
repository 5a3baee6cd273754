//! The names of the files that are written for the inputs.

use std::collections::HashSet;

use ratdata_tokenize::source::{SourceFile, without_ending};

use crate::rows::RowWriter;

/// Returns the names without their endings: that of the input below the folder that was named, so that
/// its split is still told by it, or its stem where two inputs would have one name.
pub(crate) fn stems(files: &[SourceFile]) -> Vec<String> {
    let names: Vec<String> = files.iter().map(stem).collect();
    let different: HashSet<&String> = names.iter().collect();
    // A name that is no path below a folder leads out of it.
    let plain =
        |name: &String| name.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if different.len() == names.len() && names.iter().all(plain) {
        return names;
    }
    files
        .iter()
        .enumerate()
        .map(|(number, file)| format!("{number:05}-{}", file.stem.replace('/', "-")))
        .collect()
}

/// Returns the ending of the file that is written for an input.
pub(crate) fn ending(file: &SourceFile) -> &'static str {
    RowWriter::ending(file.kind.is_table())
}

fn stem(file: &SourceFile) -> String {
    // The result of one command is the input of the next, and its folder of data says nothing.
    let name = file.name.trim_start_matches("data/");
    let folder = name.rsplit_once('/').map(|(folder, _)| folder);
    // The stem may have a number before it; the name never has.
    let last = name.rsplit('/').next().unwrap_or(name);
    let short = without_ending(last);
    let last = if short.is_empty() { last } else { short };
    folder.map_or_else(|| last.to_owned(), |folder| format!("{folder}/{last}"))
}

#[cfg(test)]
mod tests {
    use ratdata_tokenize::source::InputKind;

    use super::*;

    fn file(name: &str) -> SourceFile {
        SourceFile {
            path: name.into(),
            name: name.into(),
            stem: "s".into(),
            kind: InputKind::Parquet,
            bytes: 1,
        }
    }

    #[test]
    fn a_name_keeps_its_folders_and_loses_its_ending() {
        let files = [
            "en/train-00000-of-00001.parquet",
            "x.jsonl.gz",
            "data/a.b.json",
            "y.tar.zst",
            "texts",
        ];
        let files: Vec<_> = files.map(file).into();

        assert_eq!(stems(&files), ["en/train-00000-of-00001", "x", "a.b", "y", "texts"]);
    }

    #[test]
    fn inputs_of_one_name_are_numbered() {
        assert_eq!(stems(&[file("x.jsonl"), file("x.parquet")]), ["00000-s", "00001-s"]);
        assert_eq!(stems(&[file("../x.jsonl")]), ["00000-s"]);
    }
}
