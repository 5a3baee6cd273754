//! The channels of a projection, and where states begin from zero.

use std::ops::Range;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::DType;

/// What a scan needs to know of its tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScanSizes {
    /// Channels of the queries and of the keys, which divide those of the states. None in a scan of values alone.
    pub(super) key_width: Option<usize>,
    /// Time steps after which every state begins from zero, where that is the same for all rows.
    pub(super) chunk_len: Option<usize>,
    /// The type of the states.
    pub(super) states: DType,
}

/// The parts of a projection, each a range of its channels.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) z: Range<usize>,
    pub(super) values: Range<usize>,
    pub(super) gates: Range<usize>,
    pub(super) queries: Range<usize>,
    pub(super) keys: Range<usize>,
}

impl Parts {
    /// Divides the channels of a projection.
    pub(super) fn of<B: Backend>(projected: &FloatTensor<B>, sizes: ScanSizes) -> Self {
        let [_, _, channels] = projected.shape().dims();
        let key_width = sizes.key_width.unwrap_or(0);
        let width = (channels - 2 * key_width) / 3;
        let first_key = 3 * width + key_width;
        Self {
            z: 0..width,
            values: width..2 * width,
            gates: 2 * width..3 * width,
            queries: 3 * width..first_key,
            keys: first_key..channels,
        }
    }

    /// Returns the channels of the states.
    pub(super) fn width(&self) -> usize {
        self.z.len()
    }
}
