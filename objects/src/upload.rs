//! Writes a file of this machine as an object, which appears whole or not at all.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::address::Address;
use crate::error::ObjectError;
use crate::object::{forget, key_of, put, writable};
use crate::runtime::{Pending, wait_for};

/// How many bytes a file has, at most, that is sent as it is: parts take two more requests, and one each.
const WHOLE: u64 = 2 * PART;

/// How many bytes a part has, at most, unless there would be too many.
const PART: u64 = 8 << 20;

/// How many bytes a part has, at least: S3 takes no smaller ones, but the last.
const SMALLEST_PART: u64 = 5 << 20;

/// How many parts an object may have: a little less than S3 allows.
const MOST_PARTS: u64 = 9_000;

/// How many parts of one file are under way at once.
const AT_ONCE: usize = 8;

/// How many parts of all files are under way at once: as many are in memory.
static UNDER_WAY: Semaphore = Semaphore::const_new(16);

/// Writes a file as an object.
///
/// # Errors
///
/// The file cannot be read, or the store fails; then the object is what it was before.
pub fn upload(file: &Path, to: &Address) -> Result<(), ObjectError> {
    let mut reader = File::open(file).map_err(unread(file))?;
    let length = reader.metadata().map_err(unread(file))?.len();
    if length <= WHOLE {
        let places = u32::try_from(length.div_ceil(PART)).unwrap_or(u32::MAX);
        let _places = places_under_way(places)?;
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(unread(file))?;
        return put(to, bytes);
    }
    let (store, key) = (writable(to)?, key_of(to)?);
    let begin = || {
        let (store, key, asked) = (store.clone(), key.clone(), to.clone());
        wait_for(async move {
            store.put_multipart(&key).await.map_err(|wrong| ObjectError::of(&asked, &wrong))
        })
    };
    let sent = twice(|| send(file, length, to, begin()?));
    forget(to);
    sent
}

/// Waits until so many parts more may be in memory.
fn places_under_way(count: u32) -> Result<SemaphorePermit<'static>, ObjectError> {
    wait_for(async move {
        let places = UNDER_WAY.acquire_many(count).await;
        places.map_err(|closed| ObjectError::Runtime { reason: closed.to_string() })
    })
}

/// How an upload ended.
enum Sent {
    Whole,
    /// The store says that it has not made the object. It may have, and its first answer got lost: asked once more, it
    /// finds no parts that wait.
    Unsure(ObjectError),
}

/// Sends a file, and once more where nobody knows whether it arrived: the content is the same.
fn twice(mut send: impl FnMut() -> Result<Sent, ObjectError>) -> Result<(), ObjectError> {
    if let Sent::Whole = send()? {
        return Ok(());
    }
    match send()? {
        Sent::Whole => Ok(()),
        Sent::Unsure(wrong) => Err(wrong),
    }
}

/// Sends a file in parts, and completes the upload.
fn send(
    file: &Path,
    length: u64,
    to: &Address,
    upload: Box<dyn MultipartUpload>,
) -> Result<Sent, ObjectError> {
    let mut parts = Parts { to, upload, under_way: VecDeque::new() };
    let size = part_size(length);
    let mut reader = match File::open(file).map_err(unread(file)) {
        Ok(reader) => reader,
        Err(wrong) => return parts.end(Err(wrong)),
    };
    let sent = (0..length.div_ceil(size)).try_for_each(|_| {
        let place = parts.place()?;
        let mut part = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        reader.by_ref().take(size).read_to_end(&mut part).map_err(unread(file))?;
        parts.send(part.into(), place)
    });
    let sent = sent.and_then(|()| parts.wait_down_to(0));
    parts.end(sent)
}

/// Returns the size of a file's parts: as many at once as are allowed, since each is sent at a connection's rate.
fn part_size(length: u64) -> u64 {
    let several = length.div_ceil(AT_ONCE as u64).clamp(SMALLEST_PART, PART);
    several.max(length.div_ceil(MOST_PARTS))
}

fn unread(file: &Path) -> impl Fn(io::Error) -> ObjectError + '_ {
    |wrong| ObjectError::Disk { path: file.display().to_string(), reason: wrong.to_string() }
}

/// An upload that is under way.
struct Parts<'a> {
    to: &'a Address,
    upload: Box<dyn MultipartUpload>,
    under_way: VecDeque<Pending<()>>,
}

impl Parts<'_> {
    /// Waits until few enough parts are under way that one more may be read.
    fn place(&mut self) -> Result<SemaphorePermit<'static>, ObjectError> {
        self.wait_down_to(AT_ONCE - 1)?;
        places_under_way(1)
    }

    /// Sends a part, whose place is free again when it has arrived.
    fn send(&mut self, part: Bytes, place: SemaphorePermit<'static>) -> Result<(), ObjectError> {
        let sending = self.upload.put_part(PutPayload::from(part));
        let to = self.to.clone();
        let pending = Pending::begin(async move {
            let sent = sending.await.map_err(|wrong| ObjectError::of(&to, &wrong));
            drop(place);
            sent
        })?;
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
    fn end(self, sent: Result<(), ObjectError>) -> Result<Sent, ObjectError> {
        let Self { to, mut upload, under_way } = self;
        drop(under_way);
        let to = to.clone();
        match sent {
            Ok(()) => {
                let completed = wait_for(async move {
                    upload.complete().await.map(drop).map_err(|wrong| ObjectError::of(&to, &wrong))
                });
                match completed {
                    Ok(()) => Ok(Sent::Whole),
                    Err(wrong @ (ObjectError::Failed { .. } | ObjectError::NotFound { .. })) => {
                        Ok(Sent::Unsure(wrong))
                    }
                    Err(wrong) => Err(wrong),
                }
            }
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

    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use object_store::{PutResult, UploadPart};

    use super::*;
    use crate::object::Object;

    /// An upload to a store that says at the end whether it has found the parts.
    #[derive(Debug)]
    struct Upload {
        finds_parts: bool,
        sent: Arc<Mutex<Vec<usize>>>,
    }

    #[async_trait]
    impl MultipartUpload for Upload {
        fn put_part(&mut self, data: PutPayload) -> UploadPart {
            self.sent.lock().unwrap().push(data.content_length());
            Box::pin(async { Ok(()) })
        }

        async fn complete(&mut self) -> object_store::Result<PutResult> {
            if self.finds_parts {
                return Ok(PutResult {
                    e_tag: None,
                    version: None,
                    extensions: object_store::Extensions::new(),
                });
            }
            Err(object_store::Error::Generic {
                store: "x",
                source: "the block list is invalid".into(),
            })
        }

        async fn abort(&mut self) -> object_store::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_file_is_sent_once_more_where_the_answer_about_it_got_lost() {
        let to = Address::read("memory://upload/z.bin").unwrap().unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&vec![7; usize::try_from(PART).unwrap() + 5]).unwrap();
        let upload = |finds: &[bool]| {
            let (mut finds, sent) = (finds.iter(), Arc::new(Mutex::new(Vec::new())));
            let ended = twice(|| {
                let finds_parts = *finds.next().unwrap();
                let upload = Upload { finds_parts, sent: sent.clone() };
                send(file.path(), PART + 5, &to, Box::new(upload))
            });
            let sent = sent.lock().unwrap().clone();
            (ended, sent)
        };
        let parts =
            [SMALLEST_PART, PART + 5 - SMALLEST_PART].map(|part| usize::try_from(part).unwrap());

        let (ended, sent) = upload(&[false, true]);
        let (failed, _) = upload(&[false, false]);

        ended.unwrap();
        assert_eq!(sent, [parts, parts].concat());
        assert!(failed.unwrap_err().to_string().contains("the block list is invalid"));
        let (ended, sent) = upload(&[true]);
        ended.unwrap();
        assert_eq!(sent, parts);
    }

    #[test]
    fn a_file_of_many_parts_arrives_as_it_is() {
        let to = Address::read("memory://upload/x.bin").unwrap().unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let part = usize::try_from(PART).unwrap();
        for length in [0, 3, part + 1, 2 * part, 2 * part + 1, 3 * part - 5] {
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
    fn parts_are_large_enough_and_not_too_many() {
        let mega = 1 << 20;
        let sizes = [9 * mega, 48 * mega, 64 * mega, 1000 * mega, 100_000 * mega].map(part_size);

        assert_eq!(
            sizes,
            [5 * mega, 6 * mega, 8 * mega, 8 * mega, 100_000 * mega / MOST_PARTS + 1]
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_told_by_its_name() {
        let to = Address::read("memory://upload/y.bin").unwrap().unwrap();

        let told = upload(Path::new("not/there"), &to).unwrap_err();

        assert!(told.to_string().starts_with("not/there: "), "{told}");
        assert!(matches!(Object::open(&to), Err(ObjectError::NotFound { .. })));
    }
}
