//! Which documents of a file go to which split, and in what order.

use crate::order::permutation;

use ratdata_schemas::recipe::Order;

/// The documents of one file, by split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitRows {
    /// The documents of `train`, in order.
    pub train: Vec<u32>,
    /// The documents of `val`, in order.
    pub val: Vec<u32>,
}

/// Splits `documents` documents: the first `ceil(fraction · n)` of the seed's permutation are
/// `val`, the rest `train`, both in the permutation's order, or both in the file's.
///
/// # Source
///
/// Equal to `train_test_split(test_size=fraction, seed=seed, shuffle=True)` of Hugging Face
/// `datasets`, where the order is [`Order::Reference`].
pub fn split_rows(documents: u32, fraction: f64, seed: u64, order: Order) -> SplitRows {
    if fraction <= 0.0 && order == Order::File {
        return SplitRows { train: (0..documents).collect(), val: Vec::new() };
    }
    let mut val = permutation(seed, documents);
    let mut train = val.split_off(val_count(documents, fraction) as usize);
    if order == Order::File {
        train.sort_unstable();
        val.sort_unstable();
    }
    SplitRows { train, val }
}

/// Returns how many of `documents` documents are `val`: `ceil(fraction · n)`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction of 0 to 1 times a u32 fits a u32"
)]
pub(crate) fn val_count(documents: u32, fraction: f64) -> u32 {
    let share = (fraction.clamp(0.0, 1.0) * f64::from(documents)).ceil() as u32;
    share.min(documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_splits_a_thousand_rows_like_this() {
        let split = split_rows(1000, 0.005, 1005, Order::Reference);

        assert_eq!(split.val, [999, 74, 473, 106, 717]);
        assert_eq!(split.train[0], 311);
        assert_eq!(split.train.len(), 995);
    }

    #[test]
    fn the_order_of_the_file_keeps_the_split() {
        let split = split_rows(1000, 0.005, 1005, Order::File);

        assert_eq!(split.val, [74, 106, 473, 717, 999]);
        assert!(split.train.is_sorted());
    }

    #[test]
    fn no_share_is_no_val() {
        assert_eq!(split_rows(3, 0.0, 1, Order::File).train, [0, 1, 2]);
        assert!(split_rows(3, 0.0, 1, Order::Reference).val.is_empty());
        assert_eq!(split_rows(0, 0.5, 1, Order::Reference).train.len(), 0);
    }
}
