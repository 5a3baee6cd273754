//! Merging: one unit to its ids.
//!
//! A [`vocabulary`] spells a unit in symbols and says which pairs merge; [`merger`] does the merges fast,
//! long units in [`windows`], one character many times as [`repeats`], [`definition`] as BPE is defined.

pub(crate) mod definition;
pub(crate) mod merger;
pub(crate) mod pairs;
mod repeats;
mod segment;
pub(crate) mod vocabulary;
mod windows;
