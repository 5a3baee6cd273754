//! Objects: what is there, and bytes of one of them.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path as Key;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::address::{Address, AddressError};
use crate::error::ObjectError;
use crate::runtime::{Pending, wait_for};
use crate::store::{Store, store_of};

/// What an object was when it was seen: while it stays the same, the content stays the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Its size.
    pub bytes: u64,
    /// Its entity tag, or the time of its last change where the server has no tags.
    pub tag: String,
}

/// An object that was found.
#[derive(Clone, Debug)]
pub struct Object {
    address: Address,
    key: Key,
    state: State,
    store: Store,
}

/// What this process has seen: a later look at the same object is a look at the same content, since every
/// answer is compared with it.
static SEEN: LazyLock<Mutex<HashMap<Address, State>>> = LazyLock::new(Mutex::default);

fn seen() -> MutexGuard<'static, HashMap<Address, State>> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Object {
    /// Finds an object, as it was when this process first saw it.
    ///
    /// # Errors
    ///
    /// It is not there, or the store cannot be asked.
    pub fn open(address: &Address) -> Result<Self, ObjectError> {
        let known = seen().get(address).cloned();
        match known {
            Some(state) => Self::with(address, state),
            None => Self::look(address),
        }
    }

    /// Finds an object, as it is now.
    ///
    /// # Errors
    ///
    /// As of [`Object::open`].
    pub fn look(address: &Address) -> Result<Self, ObjectError> {
        if address.key().is_empty() {
            return Err(ObjectError::NotFound { address: address.clone() });
        }
        let (store, key) = (store_of(address)?, key_of(address)?);
        let asked = address.clone();
        let meta = wait_for(async move {
            store.head(&key).await.map_err(|wrong| ObjectError::of(&asked, &wrong))
        })?;
        let state = state_of(address, &meta)?;
        seen().insert(address.clone(), state.clone());
        Self::with(address, state)
    }

    fn with(address: &Address, state: State) -> Result<Self, ObjectError> {
        let (store, key) = (store_of(address)?, key_of(address)?);
        Ok(Self { address: address.clone(), key, state, store })
    }

    /// Returns its address.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Returns what it was when it was seen.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Begins to fetch some of its bytes; the range is within the object.
    ///
    /// # Errors
    ///
    /// No connection can be made; what is begun may fail in many ways, among them that the object is no more
    /// what was seen.
    pub fn fetch(&self, range: Range<u64>) -> Result<Pending<Bytes>, ObjectError> {
        let Self { address, key, state, store } = self.clone();
        Pending::begin(async move {
            if range.is_empty() {
                return Ok(Bytes::new());
            }
            let told = |wrong| ObjectError::of(&address, &wrong);
            let length = range.end - range.start;
            let options = GetOptions::new().with_range(Some(range));
            let answer = store.get_opts(&key, options).await.map_err(told)?;
            if state_of(&address, &answer.meta)? != state {
                return Err(ObjectError::Changed { address });
            }
            let bytes = answer.bytes().await.map_err(told)?;
            if bytes.len() as u64 != length {
                let reason = format!("{} bytes came, {length} were asked for", bytes.len());
                return Err(ObjectError::Failed { address, reason });
            }
            Ok(bytes)
        })
    }

    /// Fetches all of it: for objects that are small.
    ///
    /// # Errors
    ///
    /// As of [`Object::fetch`].
    pub fn read(&self) -> Result<Bytes, ObjectError> {
        self.fetch(0..self.state.bytes)?.wait()
    }
}

/// Lists all objects below an address, in the order of their keys.
///
/// # Errors
///
/// It is no address of a store that can be listed, or the store cannot be asked.
pub fn list(folder: &Address) -> Result<Vec<(Address, State)>, ObjectError> {
    if !folder.scheme().is_store() {
        return Err(ObjectError::NoStore { address: folder.clone() });
    }
    let store = store_of(folder)?;
    let prefix = if folder.key().is_empty() { None } else { Some(key_of(folder)?) };
    let asked = folder.clone();
    let metas: Vec<ObjectMeta> = wait_for(async move {
        let listed = store.list(prefix.as_ref()).try_collect().await;
        listed.map_err(|wrong| ObjectError::of(&asked, &wrong))
    })?;
    let mut found = Vec::new();
    for meta in metas {
        let address = folder.with_key(meta.location.as_ref());
        let state = state_of(&address, &meta)?;
        seen().insert(address.clone(), state.clone());
        found.push((address, state));
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

/// Writes a small object, which appears whole or not at all.
///
/// # Errors
///
/// The store refuses it.
pub fn put(address: &Address, bytes: impl Into<Bytes>) -> Result<(), ObjectError> {
    let (store, key) = (writable(address)?, key_of(address)?);
    let (asked, bytes) = (address.clone(), bytes.into());
    wait_for(async move {
        store.put(&key, bytes.into()).await.map_err(|wrong| ObjectError::of(&asked, &wrong))
    })?;
    seen().remove(address);
    Ok(())
}

/// Removes objects of one bucket, by as few requests as the store allows; one that is not there is removed already.
///
/// S3 removes objects by a request that the client does not make again by itself. To remove twice is no harm, so it is made
/// again here.
///
/// # Errors
///
/// The store refuses one of them; the others may be removed.
pub fn remove(addresses: &[Address]) -> Result<(), ObjectError> {
    let Some(first) = addresses.first() else { return Ok(()) };
    let store = writable(first)?;
    let mut keys = addresses.iter().map(key_of).collect::<Result<HashSet<Key>, _>>()?;
    let mut pauses = PAUSES.into_iter();
    let removed = loop {
        let (store, asked) = (store.clone(), first.clone());
        let left: Vec<_> = keys.iter().cloned().map(Ok).collect();
        let (removed, wrong) = wait_for(async move {
            let mut answers = store.delete_stream(stream::iter(left).boxed());
            let (mut removed, mut wrong) = (Vec::new(), None);
            while let Some(answer) = answers.next().await {
                match answer.map_err(|wrong| ObjectError::of(&asked, &wrong)) {
                    Ok(key) => removed.push(key),
                    Err(ObjectError::NotFound { .. }) => {}
                    Err(failed) => wrong = Some(failed),
                }
            }
            Ok((removed, wrong))
        })?;
        // Of many requests some fail each time, so only what is left is asked for again.
        for key in &removed {
            keys.remove(key);
        }
        match (wrong, pauses.next()) {
            (Some(ObjectError::Failed { .. }), Some(pause)) => std::thread::sleep(pause),
            (wrong, _) => break wrong.map_or(Ok(()), Err),
        }
    };
    addresses.iter().for_each(forget);
    removed
}

/// The pauses before a removal is tried again.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(10),
];

/// Returns the store of an address that can be written to.
pub(crate) fn writable(address: &Address) -> Result<Store, ObjectError> {
    if !address.scheme().is_store() {
        return Err(ObjectError::NoStore { address: address.clone() });
    }
    store_of(address)
}

/// Forgets what was seen of an object that is written again.
pub(crate) fn forget(address: &Address) {
    seen().remove(address);
}

/// Returns the key of an address as the library has it.
pub(crate) fn key_of(address: &Address) -> Result<Key, ObjectError> {
    let malformed = || AddressError {
        address: address.to_string(),
        reason: "a part of it is no name of an object",
    };
    // The address of a web server is written with `%XX`, and the key of a store as it is.
    if address.scheme().is_store() {
        Ok(Key::parse(address.key()).map_err(|_| malformed())?)
    } else {
        Ok(Key::from_url_path(address.key()).map_err(|_| malformed())?)
    }
}

/// Returns what is compared of an object: a listing and an answer quote the same tag in two ways.
fn state_of(address: &Address, meta: &ObjectMeta) -> Result<State, ObjectError> {
    let tag = meta.e_tag.as_deref().map(|tag| tag.trim_start_matches("W/").trim_matches('"'));
    let tag = match tag.filter(|tag| !tag.is_empty()) {
        Some(tag) => tag.to_owned(),
        // Where the server says nothing, the library puts the beginning of time.
        None if meta.last_modified.timestamp() > 0 => meta.last_modified.to_rfc3339(),
        None => return Err(ObjectError::NoIdentity { address: address.clone() }),
    };
    Ok(State { bytes: meta.size, tag })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::read(text).unwrap().unwrap()
    }

    #[test]
    fn what_is_put_is_listed_in_order_and_read() {
        let folder = address("memory://object-list/web");
        for (name, text) in [("b/2", "two"), ("a", "one"), ("b/1", "three")] {
            put(&folder.join(name), text.as_bytes().to_vec()).unwrap();
        }
        put(&address("memory://object-list/web-2/x"), "no").unwrap();

        let found = list(&folder).unwrap();

        let names: Vec<_> = found.iter().filter_map(|(found, _)| folder.below(found)).collect();
        assert_eq!(names, ["a", "b/1", "b/2"]);
        assert_eq!(found[1].1.bytes, 5);
        let object = Object::open(&folder.join("b/1")).unwrap();
        assert_eq!(object.read().unwrap(), "three");
        assert_eq!(object.fetch(1..3).unwrap().wait().unwrap(), "hr");
    }

    #[test]
    fn an_object_that_was_replaced_is_told_from_the_one_that_was_seen() {
        let place = address("memory://object-changed/x");
        put(&place, "one").unwrap();
        let first = Object::open(&place).unwrap();

        put(&place, "two").unwrap();

        assert!(matches!(first.read(), Err(ObjectError::Changed { .. })));
        assert_eq!(Object::open(&place).unwrap().read().unwrap(), "two");
    }

    #[test]
    fn what_is_not_there_is_told_and_removed_without_an_error() {
        let place = address("memory://object-gone/x");

        let told = Object::open(&place).unwrap_err();

        assert_eq!(told.to_string(), "memory://object-gone/x: not there");
        let other = address("memory://object-gone/y");
        put(&other, "there").unwrap();
        remove(&[place, other.clone()]).unwrap();
        assert!(matches!(Object::open(&other), Err(ObjectError::NotFound { .. })));
        remove(&[]).unwrap();
        let web = address("https://example.org/folder");
        assert!(matches!(list(&web), Err(ObjectError::NoStore { .. })));
        assert!(matches!(put(&web, "x"), Err(ObjectError::NoStore { .. })));
        assert!(matches!(remove(&[web]), Err(ObjectError::NoStore { .. })));
    }
}
