//! Caching: the ids of units that were merged before.
//!
//! Three tables hold them. [`shared_units`] is shared by all threads and takes no lock,
//! [`frequent_units`] is one thread's small copy of what it meets most, and [`long_units`] holds one
//! thread's units that the shared table has no place for. [`batch`] looks many units up together.

pub(crate) mod batch;
pub(crate) mod frequent_units;
pub(crate) mod long_units;
pub(crate) mod shared_units;
pub(crate) mod unit_key;
