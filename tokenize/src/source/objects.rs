//! Finds inputs in object stores: one object, all below a prefix, or those that match a pattern.
//!
//! The rules are those of folders on disk, and the order is that of the names.

use std::path::PathBuf;

use ratdata_objects::{Address, Object, ObjectError, list};
use ratdata_schemas::recipe::SplitFiles;

use super::error::SourceError;
use super::found::{FoundFile, placed};
use super::saved_dataset::of_saved;
use super::sift::{Found, LeftOut, Sifted};
use super::walk::FilePattern;

/// Finds the objects that an address names, those of a prefix by their split.
///
/// # Errors
///
/// Nothing is there or nothing of it is data, or the store cannot be asked.
pub(super) fn find_objects(
    input: &str,
    address: &Address,
    take: SplitFiles,
) -> Result<Found<FoundFile>, SourceError> {
    if address.key().contains(['*', '?', '[']) {
        return find_pattern(input, take);
    }
    if !address.key().is_empty() && !input.ends_with('/') {
        match Object::look(address) {
            Ok(_) => {
                let file = FoundFile::new(address.name().to_owned(), address.path(), take);
                return Ok(Found { files: vec![file], left: LeftOut::default() });
            }
            Err(ObjectError::NotFound { .. }) if address.scheme().is_store() => {}
            Err(wrong) => return Err(wrong.into()),
        }
    }
    let below = below(address)?;
    if below.is_empty() {
        return Err(ObjectError::NotFound { address: address.clone() }.into());
    }
    let below = of_saved(below)?;
    Ok(placed(Sifted::folder(below, take).checked(input, take)?, take))
}

fn find_pattern(input: &str, take: SplitFiles) -> Result<Found<FoundFile>, SourceError> {
    let none = || SourceError::NoInput { pattern: input.to_owned() };
    let pattern = FilePattern::new(input)?;
    let root = pattern.root.to_string_lossy();
    let root = Address::read(&root)?.ok_or_else(none)?;
    let files = below(&root)?.into_iter().filter(|file| pattern.matches(file));
    let sifted = Sifted::pattern(files, input);
    if sifted.taken.is_empty() {
        // A pattern that matches nothing that is read may well be a wrong one.
        let unknown = sifted.left().unknown.first().map(|name| root.join(name).path());
        return Err(unknown.map_or_else(none, |path| SourceError::UnknownKind { path }));
    }
    Ok(placed(sifted, take))
}

/// Returns all objects below an address, each with its name there.
fn below(root: &Address) -> Result<Vec<(String, PathBuf)>, SourceError> {
    let named = |(address, _): (Address, _)| {
        let name = root.below(&address)?.to_owned();
        Some((name, address.path()))
    };
    Ok(list(root)?.into_iter().filter_map(named).collect())
}

#[cfg(test)]
mod tests {
    use ratdata_objects::put;

    use super::super::{find_inputs, inputs::find_files};
    use super::*;

    fn bucket(name: &str, keys: &[&str]) -> String {
        let root = Address::read(&format!("memory://sources-{name}")).unwrap().unwrap();
        for key in keys {
            put(&root.join(key), "{\"text\": \"x\"}\n").unwrap();
        }
        root.to_string()
    }

    fn names(input: &str) -> Vec<String> {
        let found = find_inputs(&[input.to_owned()]).unwrap();
        found.into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn a_prefix_is_read_as_a_folder_is() {
        let root = bucket(
            "prefix",
            &[
                "web/b.jsonl",
                "web/a/1.jsonl",
                "web/.cache/x.jsonl",
                "web/README.md",
                "web-2/c.jsonl",
            ],
        );

        assert_eq!(names(&format!("{root}/web")), ["a/1.jsonl", "b.jsonl"]);
        assert_eq!(names(&format!("{root}/web/")), ["a/1.jsonl", "b.jsonl"]);
        assert_eq!(names(&format!("{root}/web/b.jsonl")), ["b.jsonl"]);
        assert_eq!(names(&root).len(), 3);
        let found = find_inputs(&[format!("{root}/web")]).unwrap();
        assert_eq!(found[1].path, PathBuf::from(format!("{root}/web/b.jsonl")));
        assert_eq!((found[1].bytes, found[1].stem.as_str()), (14, "b"));
    }

    #[test]
    fn a_pattern_matches_keys() {
        let root =
            bucket("pattern", &["web/a1.jsonl", "web/a2.jsonl", "web/b.jsonl", "web/c/a3.jsonl"]);

        assert_eq!(names(&format!("{root}/web/a*.jsonl")), ["a1.jsonl", "a2.jsonl"]);
        assert_eq!(names(&format!("{root}/web/**/*.jsonl")).len(), 4);
        let none = find_files(&format!("{root}/web/z*"), SplitFiles::Train).unwrap_err();
        assert!(matches!(none, SourceError::NoInput { .. }), "{none}");
    }

    #[test]
    fn splits_are_told_by_names_and_what_is_not_there_by_its_address() {
        let root = bucket("splits", &["d/train.jsonl", "d/test.jsonl", "n/x.xlsx"]);

        let found = find_files(&format!("{root}/d"), SplitFiles::Train).unwrap();
        let none = find_files(&format!("{root}/e"), SplitFiles::Train).unwrap_err();
        let unknown = find_files(&format!("{root}/n"), SplitFiles::Train).unwrap_err();

        assert_eq!(found.left.other_splits, ["test.jsonl"]);
        assert_eq!(none.to_string(), format!("{root}/e: not there"));
        assert!(matches!(unknown, SourceError::NoData { .. }), "{unknown}");
    }
}
