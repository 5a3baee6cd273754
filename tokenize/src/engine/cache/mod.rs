//! Caching: the ids of units that were merged before.
//!
//! Four tables hold them. [`shared_units`] and [`shared_long_units`] are shared by all threads and take no
//! lock, [`frequent_units`] is one thread's small copy of what it meets most, and [`long_units`] holds one
//! thread's units that the shared tables have no place for. [`batch`] looks many units up together.

pub(crate) mod batch;
pub(crate) mod frequent_units;
pub(crate) mod long_units;
pub(crate) mod shared_long_units;
pub(crate) mod shared_units;
pub(crate) mod unit_key;

use shared_long_units::SharedLongUnits;
use shared_units::SharedUnits;

/// The tables that all threads share.
#[derive(Debug)]
pub(crate) struct SharedTables {
    pub(crate) units: SharedUnits,
    pub(crate) long: SharedLongUnits,
}

impl SharedTables {
    /// Makes empty tables.
    pub(crate) fn new() -> Self {
        Self { units: SharedUnits::new(), long: SharedLongUnits::new() }
    }

    /// Returns how much memory the tables take, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.units.memory() + self.long.memory()
    }
}
