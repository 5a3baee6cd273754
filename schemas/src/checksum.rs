//! Checksums of bytes: BLAKE3, over files and over config values.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::regular::open_regular;

/// A BLAKE3 checksum, as 64 lower-case hexadecimal digits.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Checksum(String);

impl Checksum {
    /// Returns the checksum of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        blake3::hash(bytes).into()
    }

    /// Returns the checksum of many bytes, computed on all threads, unless `stop` is set on the way.
    ///
    /// # Errors
    ///
    /// `stop` was set, which is [`io::ErrorKind::Interrupted`].
    pub fn of_many(bytes: &[u8], stop: &AtomicBool) -> io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        for piece in bytes.chunks(64 << 20) {
            if stop.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            hasher.update_rayon(piece);
        }
        Ok(hasher.finalize().into())
    }

    /// Returns the checksum of a file, read through a small buffer, unless `stop` is set on the way.
    ///
    /// # Errors
    ///
    /// The file cannot be read; or `stop` was set, which is [`io::ErrorKind::Interrupted`].
    pub fn of_file(path: &Path, stop: &AtomicBool) -> io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        let mut file = open_regular(path)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            match file.read(&mut buffer)? {
                0 => return Ok(hasher.finalize().into()),
                read => {
                    hasher.update(&buffer[..read]);
                }
            }
        }
    }

    /// Returns the checksum of a value's JSON, with its objects' keys in order.
    ///
    /// Two values that differ only in the order of keys have the same checksum.
    pub fn of_value(value: &serde_json::Value) -> Self {
        Self::of(canonical(value).as_bytes())
    }

    /// Returns the hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn canonical(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort();
            let fields: Vec<_> = keys
                .into_iter()
                .map(|key| {
                    format!("{}:{}", serde_json::Value::from(key.as_str()), canonical(&map[key]))
                })
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        serde_json::Value::Array(items) => {
            format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        plain => plain.to_string(),
    }
}

impl From<blake3::Hash> for Checksum {
    fn from(hash: blake3::Hash) -> Self {
        Self(hash.to_hex().to_string())
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn many_bytes_have_one_checksum_however_they_are_read_and_a_stop_ends_it() {
        let bytes = vec![7; (64 << 20) + 3];

        let whole = Checksum::of_many(&bytes, &AtomicBool::new(false)).unwrap();
        let stopped = Checksum::of_many(&bytes, &AtomicBool::new(true)).unwrap_err();

        assert_eq!(whole, Checksum::of(&bytes));
        assert_eq!(stopped.kind(), io::ErrorKind::Interrupted);
    }

    #[test]
    fn the_order_of_keys_does_not_change_a_checksum() {
        let one = Checksum::of_value(&json!({"a": 1, "b": [true, {"y": 1, "x": 2}]}));
        let other = Checksum::of_value(&json!({"b": [true, {"x": 2, "y": 1}], "a": 1}));

        assert_eq!(one, other);
        assert_ne!(one, Checksum::of_value(&json!({"a": 2})));
    }
}
