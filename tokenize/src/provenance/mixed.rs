//! Which artifact a document of a mix was taken of, and its place there.

use ratdata_schemas::draw::{Draw, MixOrder};

/// The documents of a mix, by the artifacts that they were taken of.
#[derive(Debug)]
pub(super) struct Mixed<P> {
    order: MixOrder,
    /// What is known of each artifact, and how many input files those before it have.
    parts: Vec<(usize, P)>,
}

impl<P> Mixed<P> {
    /// Joins an order with what is known of its artifacts.
    pub(super) fn new(order: MixOrder, parts: Vec<(usize, P)>) -> Self {
        Self { order, parts }
    }

    /// Returns how many documents there are.
    pub(super) fn len(&self) -> u64 {
        self.order.len()
    }

    /// Returns the artifact of the document at a place, with the input files before its own, and the
    /// document's place there; none past the last.
    pub(super) fn find(&self, place: u64) -> Option<(usize, &P, u64)> {
        if place >= self.order.len() {
            return None;
        }
        let Draw { source, row } = self.order.at(place);
        let (files_before, part) = self.parts.get(source)?;
        Some((*files_before, part, row))
    }
}
