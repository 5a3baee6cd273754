//! A row as the sequences in it, without padding: each token with whether the loss counts it.
//!
//! Our labels are shifted: the label of a position is the next token. Trainers that shift them
//! themselves need the row's tokens, one more than its inputs, and which of them are trained on.

use ratdata_schemas::{IGNORE_INDEX, Row, TokenId};

/// The sequences of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sequences {
    /// The tokens of all sequences.
    pub(super) ids: Vec<TokenId>,
    /// Whether each token is the label of the one before it; the first of a sequence is of none.
    pub(super) trained: Vec<bool>,
    /// Where each sequence ends.
    pub(super) ends: Vec<u32>,
}

/// A label that is not the next token, so that no shift makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OtherLabel {
    pub(super) column: usize,
    pub(super) label: i32,
}

impl Sequences {
    /// Takes the sequences of a row; the token behind the last input is taken where it is a label.
    ///
    /// # Errors
    ///
    /// A label is not the next token, as where the middle of an example was cut out.
    pub(super) fn of(row: &Row) -> Result<Self, OtherLabel> {
        let mut ids = row.text().to_vec();
        let mut ends = row.document_ends.clone();
        let inputs = ids.len();
        let last = inputs.checked_sub(1).and_then(|last| row.labels.get(last));
        if let Some(&label) = last
            && let Ok(id) = TokenId::try_from(label)
            && let Some(end) = ends.last_mut()
        {
            ids.push(id);
            *end += 1;
        }
        let mut trained = vec![false; ids.len()];
        for (column, &label) in row.labels.iter().enumerate().take(inputs) {
            if label == IGNORE_INDEX {
                continue;
            }
            if ids.get(column + 1).map(|id| id.cast_signed()) != Some(label) {
                return Err(OtherLabel { column, label });
            }
            trained[column + 1] = true;
        }
        Ok(Self { ids, trained, ends })
    }

    /// Returns the tokens that are labels as they are, and -100 in the place of the others.
    pub(super) fn labels(&self) -> impl Iterator<Item = i32> + '_ {
        let label = |(id, trained): (&TokenId, &bool)| {
            if *trained { id.cast_signed() } else { IGNORE_INDEX }
        };
        self.ids.iter().zip(&self.trained).map(label)
    }

    /// Returns how many tokens each sequence has.
    pub(super) fn lengths(&self) -> impl Iterator<Item = u32> + '_ {
        self.starts().zip(&self.ends).map(|(start, end)| end - start)
    }

    /// Returns where each sequence begins.
    pub(super) fn starts(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::once(0).chain(self.ends.iter().copied()).take(self.ends.len())
    }

    /// Returns the place of each token in its sequence.
    pub(super) fn positions(&self) -> impl Iterator<Item = u32> + '_ {
        self.lengths().flat_map(|len| 0..len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_moved_back_to_their_tokens() {
        let row = Row {
            inputs: vec![5, 6, 7, 8, 9, 0, 0],
            labels: vec![-100, 7, -100, 9, 4, -100, -100],
            document_ends: vec![3, 5],
        };

        let sequences = Sequences::of(&row).unwrap();

        assert_eq!(sequences.ids, [5, 6, 7, 8, 9, 4]);
        assert_eq!(sequences.labels().collect::<Vec<_>>(), [-100, -100, 7, -100, 9, 4]);
        assert_eq!(sequences.lengths().collect::<Vec<_>>(), [3, 3]);
        assert_eq!(sequences.starts().collect::<Vec<_>>(), [0, 3]);
        assert_eq!(sequences.positions().collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2]);
        // The loss has as many terms as before.
        let terms = row.labels.iter().filter(|&&label| label != IGNORE_INDEX).count();
        assert_eq!(sequences.trained.iter().filter(|&&is| is).count(), terms);
    }

    #[test]
    fn a_last_token_that_no_loss_counts_is_left_out_and_another_label_is_refused() {
        let row =
            Row { inputs: vec![5, 6, 7], labels: vec![6, -100, -100], document_ends: vec![3] };
        assert_eq!(Sequences::of(&row).unwrap().ids, [5, 6, 7]);

        let cut = Row { labels: vec![8, -100, -100], ..row };
        assert_eq!(Sequences::of(&cut), Err(OtherLabel { column: 0, label: 8 }));
        assert_eq!(Sequences::of(&Row::default()), Ok(Sequences::default()));
    }
}
