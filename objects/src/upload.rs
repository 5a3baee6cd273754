//! Writes a file of this machine as an object, which appears whole or not at all.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};

use crate::address::Address;
use crate::error::ObjectError;
use crate::object::{forget, key_of, put, writable};
use crate::runtime::{Pending, wait_for};

/// How many bytes a part has, at least; a file that is no larger is sent as it is.
const PART: u64 = 8 << 20;

/// How many parts an object may have: a little less than S3 allows.
const MOST_PARTS: u64 = 9_000;

/// How many parts are under way at once.
const AT_ONCE: usize = 4;

/// Writes a file as an object.
///
/// # Errors
///
/// The file cannot be read, or the store fails; then the object is what it was before.
pub fn upload(file: &Path, to: &Address) -> Result<(), ObjectError> {
    let disk = |wrong: io::Error| ObjectError::Disk {
        path: file.display().to_string(),
        reason: wrong.to_string(),
    };
    let mut reader = File::open(file).map_err(disk)?;
    let length = reader.metadata().map_err(disk)?.len();
    if length <= PART {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(disk)?;
        return put(to, bytes);
    }
    let (store, key) = (writable(to)?, key_of(to)?);
    let asked = to.clone();
    let begun = wait_for(async move {
        store.put_multipart(&key).await.map_err(|wrong| ObjectError::of(&asked, &wrong))
    })?;
    let mut parts = Parts { to, upload: begun, under_way: VecDeque::new() };
    let size = PART.max(length.div_ceil(MOST_PARTS));
    let sent = loop {
        let mut part = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        match reader.by_ref().take(size).read_to_end(&mut part) {
            Ok(0) => break parts.wait_down_to(0),
            Ok(_) => {
                if let Err(wrong) = parts.send(part.into()) {
                    break Err(wrong);
                }
            }
            Err(wrong) => break Err(disk(wrong)),
        }
    };
    parts.end(sent)?;
    forget(to);
    Ok(())
}

/// An upload that is under way.
struct Parts<'a> {
    to: &'a Address,
    upload: Box<dyn MultipartUpload>,
    under_way: VecDeque<Pending<()>>,
}

impl Parts<'_> {
    /// Sends a part, once few enough are under way.
    fn send(&mut self, part: Bytes) -> Result<(), ObjectError> {
        self.wait_down_to(AT_ONCE - 1)?;
        let sending = self.upload.put_part(PutPayload::from(part));
        let to = self.to.clone();
        let pending =
            Pending::begin(
                async move { sending.await.map_err(|wrong| ObjectError::of(&to, &wrong)) },
            )?;
        self.under_way.push_back(pending);
        Ok(())
    }

    fn wait_down_to(&mut self, count: usize) -> Result<(), ObjectError> {
        while self.under_way.len() > count {
            let Some(first) = self.under_way.pop_front() else { break };
            first.wait()?;
        }
        Ok(())
    }

    /// Makes the object appear, or takes back what was sent.
    fn end(self, sent: Result<(), ObjectError>) -> Result<(), ObjectError> {
        let Self { to, mut upload, under_way } = self;
        drop(under_way);
        let to = to.clone();
        match sent {
            Ok(()) => wait_for(async move {
                upload.complete().await.map(drop).map_err(|wrong| ObjectError::of(&to, &wrong))
            }),
            Err(wrong) => {
                // What cannot be taken back is seen by nobody, and goes by the bucket's own rules.
                drop(wait_for(async move {
                    upload.abort().await.map_err(|wrong| ObjectError::of(&to, &wrong))
                }));
                Err(wrong)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::object::Object;

    #[test]
    fn a_file_of_many_parts_arrives_as_it_is() {
        let to = Address::read("memory://upload/x.bin").unwrap().unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let part = usize::try_from(PART).unwrap();
        for length in [0, 3, part, part + 1, 3 * part - 5] {
            let content: Vec<u8> = (0..251).cycle().take(length).collect();
            file.as_file().set_len(0).unwrap();
            io::Seek::rewind(&mut file).unwrap();
            file.write_all(&content).unwrap();

            upload(file.path(), &to).unwrap();

            let object = Object::open(&to).unwrap();
            assert_eq!(object.state().bytes, length as u64);
            assert!(object.read().unwrap() == content, "{length}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_told_by_its_name() {
        let to = Address::read("memory://upload/y.bin").unwrap().unwrap();

        let told = upload(Path::new("not/there"), &to).unwrap_err();

        assert!(told.to_string().starts_with("not/there: "), "{told}");
        assert!(matches!(Object::open(&to), Err(ObjectError::NotFound { .. })));
    }
}
