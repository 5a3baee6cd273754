//! The files below a folder. Links are followed, and a cycle of links ends.

use std::fs;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use ratdata_schemas::FoldersAbove;

use super::data_files::{format, is_own_folder};
use super::error::SourceError;

/// The most folders that one input may have: links between folders can make millions of paths.
const MOST_FOLDERS: usize = 1 << 20;

/// A file and its name within the folder that the walk began in.
pub(super) type NamedFile = (String, PathBuf);

/// A pattern for the files below a folder.
#[derive(Debug)]
pub(super) struct FilePattern {
    file: GlobMatcher,
    /// The folders of each depth that may hold a match; deeper ones all may.
    folders: Vec<GlobMatcher>,
    /// How deep files lie at most, where the pattern says it.
    depth: Option<usize>,
    /// The folder before the first wildcard.
    pub(super) root: PathBuf,
    /// Whether the pattern speaks of names within `root`, and not of whole paths.
    relative: bool,
}

impl FilePattern {
    /// Reads a pattern with `*`, `?`, `[` and `{`, where `**` crosses folders.
    ///
    /// # Errors
    ///
    /// It is no pattern, as where a `[` has no end.
    pub(super) fn new(pattern: &str) -> Result<Self, SourceError> {
        let glob = |text: &str| GlobBuilder::new(text).literal_separator(true).build();
        let file = glob(pattern).map_err(|wrong| SourceError::Pattern {
            pattern: pattern.into(),
            reason: wrong.to_string(),
        })?;
        let fixed = &pattern[..pattern.find(['*', '?', '[', '{']).unwrap_or(0)];
        let slash = fixed.rfind('/');
        let root = slash.map_or(Path::new("."), |slash| Path::new(&fixed[..=slash])).to_owned();
        let first = slash.map_or(0, |slash| slash + 1);
        // An alternative in braces may have slashes of its own, so only other patterns tell the depth.
        let has_braces = pattern.contains('{');
        let slashes = pattern.match_indices('/').map(|(at, _)| at).filter(|&at| at >= first);
        let mut folders = Vec::new();
        for prefix in slashes.map(|at| &pattern[..at]) {
            if has_braces || prefix.contains("**") {
                break;
            }
            let Ok(glob) = glob(prefix) else { break };
            folders.push(glob.compile_matcher());
        }
        let bounded = !has_braces && !pattern.contains("**");
        let depth = bounded.then(|| pattern[first..].matches('/').count());
        Ok(Self { file: file.compile_matcher(), folders, depth, root, relative: slash.is_none() })
    }

    /// Returns whether a file is one that the pattern names.
    pub(super) fn matches(&self, (name, path): &NamedFile) -> bool {
        if self.relative { self.file.is_match(name) } else { self.file.is_match(path) }
    }

    /// Returns whether a folder `depth` levels below the root may hold a match.
    fn enters(&self, folder: &Path, depth: usize) -> bool {
        let name =
            if self.relative { folder.strip_prefix(&self.root).unwrap_or(folder) } else { folder };
        self.depth.is_none_or(|most| depth <= most)
            && self.folders.get(depth - 1).is_none_or(|glob| glob.is_match(name))
    }
}

/// Returns the files below a folder, each with its name there, without those of folders that hold no
/// data; with a pattern, only folders that may hold a match are read.
///
/// # Errors
///
/// A folder cannot be read, a data file's name is not UTF-8, or there are too many folders.
pub(super) fn below(
    root: &Path,
    pattern: Option<&FilePattern>,
) -> Result<Vec<NamedFile>, SourceError> {
    let mut walk =
        Walk { root, pattern, above: FoldersAbove::default(), folders: 0, files: Vec::new() };
    walk.enter(root)?;
    Ok(walk.files)
}

/// A walk through the folders below one.
struct Walk<'a> {
    root: &'a Path,
    pattern: Option<&'a FilePattern>,
    above: FoldersAbove,
    /// How many folders were read.
    folders: usize,
    files: Vec<NamedFile>,
}

impl Walk<'_> {
    /// Takes the files of a folder and of those in it.
    fn enter(&mut self, folder: &Path) -> Result<(), SourceError> {
        let io = |source| SourceError::Io { path: folder.to_owned(), source };
        if !self.above.enter(folder).map_err(io)? {
            return Ok(());
        }
        self.folders += 1;
        if self.folders > MOST_FOLDERS {
            return Err(SourceError::TooManyFolders {
                path: self.root.to_owned(),
                most: MOST_FOLDERS,
            });
        }
        for entry in fs::read_dir(folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            if !path.is_dir() {
                let relative = path.strip_prefix(self.root).unwrap_or(&path);
                if relative.to_str().is_some() || format(&path).is_some() {
                    self.files.push((utf8(&path, relative)?, path));
                }
            } else if self.may_have_data(&path) {
                self.enter(&path)?;
            }
        }
        self.above.leave();
        Ok(())
    }

    /// Returns whether a folder in the current one is read.
    fn may_have_data(&self, folder: &Path) -> bool {
        let own = folder.file_name().is_some_and(|name| is_own_folder(&name.to_string_lossy()));
        let depth = self.above.depth();
        !own && self.pattern.is_none_or(|pattern| pattern.enters(folder, depth))
    }
}

/// Returns the name of a file as a manifest says it: written otherwise it would name another.
pub(super) fn utf8(path: &Path, name: &Path) -> Result<String, SourceError> {
    name.to_str().map(str::to_owned).ok_or_else(|| SourceError::NotUtf8 { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn touch(root: &Path, name: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::io::Write::write_all(&mut fs::File::create(path).unwrap(), b"x").unwrap();
    }

    fn names(files: Vec<NamedFile>) -> Vec<String> {
        let mut names: Vec<String> = files.into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    }

    #[test]
    fn cycles_of_links_end() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        touch(root, "a/1.jsonl");
        touch(root, "b/2.jsonl");
        symlink("..", root.join("a/up")).unwrap();
        symlink("../b", root.join("a/other")).unwrap();
        symlink("../a", root.join("b/back")).unwrap();

        let found = names(below(root, None).unwrap());

        assert_eq!(found, ["a/1.jsonl", "a/other/2.jsonl", "b/2.jsonl", "b/back/1.jsonl"]);
    }

    #[test]
    fn a_pattern_reads_only_folders_that_may_hold_a_match() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["x1/1.jsonl", "x1/deep/2.jsonl", "y1/3.jsonl", "x2/deep/er/4.jsonl"] {
            touch(root, name);
        }
        let read = |pattern: &str| {
            let pattern = FilePattern::new(&format!("{}/{pattern}", root.display())).unwrap();
            names(below(&pattern.root, Some(&pattern)).unwrap())
        };

        assert_eq!(read("x?/*.jsonl"), ["x1/1.jsonl"]);
        assert_eq!(read("x*/deep/*"), ["x1/1.jsonl", "x1/deep/2.jsonl"]);
        assert_eq!(read("x2/**/*.jsonl"), ["deep/er/4.jsonl"]);
        assert_eq!(read("?1/**"), ["x1/1.jsonl", "x1/deep/2.jsonl", "y1/3.jsonl"]);
        assert_eq!(read("{x1,x2/deep}/*").len(), 4);
    }
}
