//! One added token.

use ratdata_schemas::TokenId;

/// A token that is found in the text before anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddedToken {
    pub(crate) id: TokenId,
    pub(crate) content: String,
    pub(crate) special: bool,
    /// Whether it is found in normalized text, after those that are not.
    pub(crate) normalized: bool,
    /// The texts of the normalized tokens that had its id before it, in their order.
    ///
    /// Hugging Face `tokenizers` keeps the normalized text of such a token, and finds this one by it.
    pub(crate) replaced: Vec<String>,
}
