//! Finds, in an error of a reader, what an object store said.

use std::error::Error;
use std::io;

use parquet::errors::ParquetError;
use ratdata_objects::ObjectError;

/// Returns what a store said, where that is why something could not be read: a failed connection is no damage.
pub(super) fn store_failure<'a>(mut wrong: &'a (dyn Error + 'static)) -> Option<&'a ObjectError> {
    loop {
        if let Some(found) = wrong.downcast_ref::<ObjectError>() {
            return Some(found);
        }
        // These two do not give the error in them as their cause.
        let of_system = wrong.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let of_table = match wrong.downcast_ref::<ParquetError>() {
            Some(ParquetError::External(inner)) => Some(inner.as_ref()),
            _ => None,
        };
        let inner = of_system.or(of_table).map(|inner| inner as &(dyn Error + 'static));
        wrong = inner.or_else(|| wrong.source())?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_said_is_found_in_the_errors_around_it() {
        let said = || ObjectError::Runtime { reason: "no thread".into() };

        let in_system = io::Error::from(said());
        let in_table = ParquetError::from(io::Error::from(said()));

        assert!(store_failure(&in_system).is_some());
        assert!(store_failure(&in_table).is_some());
        assert!(store_failure(&io::Error::other("else")).is_none());
        assert!(store_failure(&ParquetError::General("else".into())).is_none());
    }
}
