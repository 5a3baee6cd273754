//! Where documents begin within the rows of a batch.

/// Says how the rows of a batch are divided into documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Documents {
    /// Each row is one document: a token sees every token before it.
    #[default]
    OnePerRow,
    /// Each row holds several documents, and no token sees another document's tokens.
    ///
    /// There is one ascending list of starts for each row, and its first start is 0. Padding at
    /// the end of a row belongs to the last document.
    Packed(Vec<Vec<usize>>),
}

/// Returns for each token where its document begins.
pub(crate) fn document_starts(starts: &[usize], seq: usize) -> Vec<usize> {
    let (mut number, mut start) = (0, 0);
    (0..seq)
        .map(|t| {
            if starts.get(number + 1) == Some(&t) {
                (number, start) = (number + 1, t);
            }
            start
        })
        .collect()
}

/// Returns for each token the number of its chunk, where each document begins a new chunk.
pub(crate) fn chunk_numbers(starts: &[usize], seq: usize, chunk_len: usize) -> Vec<usize> {
    let documents = document_starts(starts, seq);
    let mut number = 0;
    (0..seq)
        .map(|t| {
            number += usize::from(t > 0 && (t - documents[t]).is_multiple_of(chunk_len));
            number
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_knows_where_its_document_begins() {
        assert_eq!(document_starts(&[0, 3, 4], 6), [0, 0, 0, 3, 4, 4]);
        assert_eq!(document_starts(&[0], 3), [0, 0, 0]);
    }

    #[test]
    fn a_new_document_begins_a_new_chunk() {
        assert_eq!(chunk_numbers(&[0, 3], 8, 2), [0, 0, 1, 2, 2, 3, 3, 4]);
    }
}
