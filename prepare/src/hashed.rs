//! Maps whose keys are hashes already.

use std::hash::{BuildHasherDefault, Hasher};

/// Takes a key of 64 bits as its own hash.
pub(crate) type Hashed = BuildHasherDefault<AsItIs>;

/// Hashes what is a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}
