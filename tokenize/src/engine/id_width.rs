//! The widths that ids are written in.

use ratdata_schemas::{Dtype, TokenId, Tokens};

/// An integer that ids are written as: `u16` or `u32`.
///
/// Whether the vocabulary fits is checked once, when an encoder is first used with a width.
pub trait IdWidth: Copy + Default + Send + Sync + sealed::Sealed + 'static {
    /// The width's name.
    const DTYPE: Dtype;
    /// Writes an id in this width; the upper bits are lost where it does not fit.
    fn of(id: TokenId) -> Self;
    /// Reads an id of this width.
    fn id(self) -> TokenId;
    /// Returns ids of this width as a bin has them.
    fn tokens(ids: &[Self]) -> Tokens<'_>;
}

impl IdWidth for u16 {
    const DTYPE: Dtype = Dtype::U16;
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the vocabulary was checked to fit")]
    fn of(id: TokenId) -> Self {
        id as Self
    }
    #[inline]
    fn id(self) -> TokenId {
        self.into()
    }
    fn tokens(ids: &[Self]) -> Tokens<'_> {
        Tokens::U16(ids)
    }
}

impl IdWidth for u32 {
    const DTYPE: Dtype = Dtype::U32;
    #[inline]
    fn of(id: TokenId) -> Self {
        id
    }
    #[inline]
    fn id(self) -> TokenId {
        self
    }
    fn tokens(ids: &[Self]) -> Tokens<'_> {
        Tokens::U32(ids)
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u16 {}
    impl Sealed for u32 {}
}
