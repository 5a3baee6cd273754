//! The data that vector forms work on.

use crate::engine::mask::BLOCK;

/// Two tables over ASCII: neighbours `a`, `b` are joined where `first[a] & second[b] != 0`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PairTables<'a> {
    pub(crate) first: &'a [u8; 128],
    pub(crate) second: &'a [u8; 128],
}

/// The joins of one block of up to 64 bytes, one bit a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PairMask {
    /// The byte and the one before it are joined; without meaning next to a byte beyond ASCII.
    pub(crate) joined: u64,
    /// The byte is beyond ASCII.
    pub(crate) beyond: u64,
}

/// The classes of one block of up to 64 bytes, one bit a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClassMasks {
    /// For each bit of a class, the bytes whose class has it; without meaning for a byte beyond ASCII.
    pub(crate) classes: [u64; 8],
    /// The byte is beyond ASCII.
    pub(crate) beyond: u64,
}

/// How many units are looked up together.
///
/// Each loop over some of them ends with a branch that depends on a look-up, so that the processor starts again: the
/// more units, the fewer such ends. The numbers of two batches have to stay in the nearest cache.
pub(crate) const BATCH: usize = 2 * BLOCK;

/// A number for each unit of a batch.
pub(crate) type Lanes = [u64; BATCH];

/// Four keys and then their values, or anything else of that size.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub(crate) struct Line(pub(crate) [u64; 8]);

/// Work on plain arrays, which the compiler turns into vector instructions.
pub(crate) trait Kernel {
    /// What the work gives.
    type Output;

    /// Does the work; it is inlined wherever it is used.
    fn run(self) -> Self::Output;
}
