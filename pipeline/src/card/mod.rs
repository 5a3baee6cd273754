//! What a card says of an artifact: a page for people, and metadata for programs.

mod about;
mod croissant;
mod hashes;
mod holds;
mod page;

pub(crate) use about::About;
pub(crate) use croissant::croissant;
pub(crate) use hashes::Hashes;
pub(crate) use page::DatasetCard;
