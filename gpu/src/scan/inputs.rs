//! What both passes read.

use super::sizes::Sizes;
use crate::operand::Operand;

/// What both passes read.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Output gates, values, gates and, where there are keys, queries and keys: [rows, seq, channels].
    pub projected: Operand,
    /// What is added to the gates, in f32: `[width]`.
    pub bias: Operand,
    /// 0 where the states begin from zero and 1 elsewhere, in f32: [rows or 1, seq, 1]. It is 0 at the start of each
    /// row, and of each chunk where [`Sizes`] has chunks.
    pub carry: Operand,
}

impl Inputs {
    /// Asserts that the tensors are of these sizes.
    pub(crate) fn assert_of(&self, sizes: &Sizes) {
        let Self { projected, bias, carry } = self;
        assert_eq!(projected.shape(), [sizes.rows, sizes.seq, sizes.channels()]);
        assert_eq!(bias.shape(), [sizes.width], "the gates have a bias for each channel");
        let [rows, seq, one] = carry.shape();
        assert!(
            (rows == 1 || rows == sizes.rows) && seq == sizes.seq && one == 1,
            "there is a mark for each time step: {carry:?} for {sizes:?}"
        );
        let columns = sizes.columns();
        assert_eq!(sizes.width % columns, 0, "each key belongs to as many channels: {sizes:?}");
    }
}
