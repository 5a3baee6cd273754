//! The folders that a walk of the file system is in, so that a cycle of links ends it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The folders that a walk is in, the outermost first.
///
/// ```
/// use ratdata_schemas::FoldersAbove;
///
/// let mut above = FoldersAbove::default();
/// let folder = std::env::temp_dir();
/// assert!(above.enter(&folder)?);
/// assert!(!above.enter(&folder.join("."))?, "the walk is in this folder already");
/// above.leave();
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug, Default)]
pub struct FoldersAbove(Vec<(u64, u64)>);

impl FoldersAbove {
    /// Enters a folder. Returns `false`, and does not enter it, where the walk is in this folder
    /// already, as behind a link to `..`.
    ///
    /// # Errors
    ///
    /// The system does not say which folder it is.
    pub fn enter(&mut self, folder: &Path) -> io::Result<bool> {
        let metadata = fs::metadata(folder)?;
        let id = (metadata.dev(), metadata.ino());
        let is_new = !self.0.contains(&id);
        if is_new {
            self.0.push(id);
        }
        Ok(is_new)
    }

    /// Leaves the folder that was entered last.
    pub fn leave(&mut self) {
        self.0.pop();
    }

    /// Returns how many folders the walk is in.
    pub fn depth(&self) -> usize {
        self.0.len()
    }
}
