//! An output in an object store of a command that writes a folder: the folder is in the cache until its files have arrived.

use std::fs;
use std::path::{Path, PathBuf};

use ratdata_objects::{Address, ObjectError, list, upload};
use ratdata_schemas::{Checksum, JOB_FOLDER, remove_folder_if_exists};
use ratdata_tokenize::hub::cache_folder;

use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::library_failures::object_failure;

/// The folder, within the cache, of outputs that are on their way to a store.
const OUTGOING: &str = "outgoing";

/// An output in an object store.
#[derive(Debug)]
pub(crate) struct StoredOutput {
    address: Address,
    folder: PathBuf,
}

impl StoredOutput {
    /// Returns the output that an address names; none where it is a folder of this machine.
    ///
    /// # Errors
    ///
    /// It is no right address, the store cannot be asked, or there are objects that are not to be replaced.
    pub(crate) fn of(out: &Path, force: bool) -> Result<Option<Self>, Failure> {
        let text = out.to_str().unwrap_or_default();
        let Some(address) = Address::read(text).map_err(|wrong| object_failure(&wrong.into()))?
        else {
            return Ok(None);
        };
        let hash = Checksum::of(format!("output {address}").as_bytes());
        let folder = cache_folder().join(OUTGOING).join(format!("{:.16}", hash.as_str()));
        let there = list(&address).map_err(|wrong| object_failure(&wrong))?;
        // What an earlier attempt has sent is sent again.
        let continues = folder.join(JOB_FOLDER).exists();
        if let (Some((first, _)), false, false) = (there.first(), force, continues) {
            let message = format!("{first}: there already");
            return Err(Failure::message(Kind::Failed, message)
                .hinted(Some("choose another `--out`, or replace what is there with `--force`")));
        }
        Ok(Some(Self { address, folder }))
    }

    /// Returns the folder that the command writes.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sends all files of the folder, in the order of their names.
    ///
    /// # Errors
    ///
    /// A file cannot be read, the store refuses it, or the user stopped the command.
    pub(crate) fn send(&self) -> Result<(), Failure> {
        let mut names = Vec::new();
        let read = files_below(&self.folder, "", &mut names);
        read.map_err(|wrong| {
            Failure::message(Kind::Failed, format!("{}: {wrong}", self.folder.display()))
        })?;
        names.sort();
        for name in names {
            interrupt::check()?;
            let sent = upload(&self.folder.join(&name), &self.address.join(&name));
            sent.map_err(|wrong: ObjectError| object_failure(&wrong))?;
        }
        Ok(())
    }

    /// Removes the folder, once all its files have arrived.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub(crate) fn end(self) -> Result<(), Failure> {
        remove_folder_if_exists(&self.folder)
            .map_err(|wrong| Failure::new(Kind::Failed, &wrong).hinted(wrong.hint()))
    }
}

/// Gathers the names of the files below a folder, without hidden ones, which are the job's own.
fn files_below(folder: &Path, below: &str, names: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let name = if below.is_empty() { name } else { format!("{below}/{name}") };
        if entry.file_type()?.is_dir() {
            files_below(&entry.path(), &name, names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ratdata_objects::Object;

    use super::*;

    #[test]
    fn the_files_of_a_folder_arrive_without_the_hidden_ones() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("train")).unwrap();
        fs::create_dir_all(folder.path().join(JOB_FOLDER)).unwrap();
        for name in ["train/x.bin", "a.txt", ".ratdata-lock", ".job/note.json"] {
            ratdata_tests::files::write(&folder.path().join(name), name);
        }
        let address = Address::read("memory://stored-output/out").unwrap().unwrap();
        let output = StoredOutput { address, folder: folder.path().to_owned() };

        output.send().unwrap();

        let found = list(&output.address).unwrap();
        let names: Vec<_> = found.iter().filter_map(|(at, _)| output.address.below(at)).collect();
        assert_eq!(names, ["a.txt", "train/x.bin"]);
        assert_eq!(Object::open(&found[1].0).unwrap().read().unwrap(), "train/x.bin");
    }
}
