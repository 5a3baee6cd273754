//! What the loss gives: its value, and its derivatives where a backward pass comes.

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;

/// The loss of all tokens, and its derivatives where they are wanted.
#[derive(Debug)]
pub(crate) struct LossAndSlopes<B: Backend> {
    /// The sum of the negative log-likelihoods: `[1]`.
    pub(super) nll: FloatTensor<B>,
    /// The derivatives of the sum by hidden vectors and by the embedding.
    pub(super) slopes: Option<[FloatTensor<B>; 2]>,
}
