//! Where documents begin within the rows of a batch, and what the layers derive from it.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::config::{MixerKind, ModelConfig};
use super::rope::Rotation;

/// Says how the rows of a batch are divided into documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Context {
    /// Each row is one text: a token sees every token before it.
    #[default]
    Whole,
    /// Each row holds several documents, and no token sees another document's.
    ///
    /// One ascending list of starts a row, the first of them 0; padding at a row's end belongs to
    /// the last document.
    Packed(Vec<Vec<usize>>),
}

/// What the layers need to know about positions, computed once for a batch.
#[derive(Clone, Debug)]
pub(crate) struct Geometry {
    /// Angles by position.
    pub(crate) by_position: Rotation,
    /// Angles by chunk, where the model has a layer that uses them.
    pub(crate) by_chunk: Option<Rotation>,
    /// The documents, where a row has several.
    pub(crate) packed: Option<Packed>,
}

/// The division of a batch into documents, as tensors.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    /// 0 at a document's first token, else 1: [batch, seq, 1].
    pub(crate) keep: Tensor<3>,
    /// The number of each token's document within its row: [batch, seq].
    pub(crate) document: Tensor<2, Int>,
    /// The same for the chunks, which begin anew with each document.
    pub(crate) chunks: Option<PackedChunks>,
}

/// The chunks of packed documents.
#[derive(Clone, Debug)]
pub(crate) struct PackedChunks {
    /// 0 at a chunk's first token, else 1: [batch, seq, 1].
    pub(crate) keep: Tensor<3>,
    /// The last token of each chunk, padded with 0: [batch, chunks].
    pub(crate) ends: Tensor<2, Int>,
    /// Whether a query must not see a chunk's end: [batch, 1, seq, chunks].
    pub(crate) hidden: Tensor<4, Bool>,
}

impl Geometry {
    pub(crate) fn new(
        config: &ModelConfig,
        context: &Context,
        [batch, seq]: [usize; 2],
        device: &Device,
    ) -> Self {
        let rotation = |positions: &[Vec<usize>]| {
            Rotation::new(positions, config.head_dim.get(), config.rope_base, device)
        };
        let chunk_len = config.chunk_len.get();
        let by_position = rotation(&[(0..seq).collect()]);
        let rat = config.has(MixerKind::Rat);
        match context {
            Context::Whole => Self {
                by_position,
                by_chunk: rat.then(|| rotation(&[(0..seq).map(|t| t / chunk_len).collect()])),
                packed: None,
            },
            Context::Packed(starts) => {
                let rows: Vec<Row> =
                    (0..batch).map(|row| Row::new(&starts[row], seq, chunk_len)).collect();
                let chunk_numbers: Vec<Vec<usize>> =
                    rows.iter().map(|row| row.chunk.clone()).collect();
                Self {
                    by_position,
                    by_chunk: rat.then(|| rotation(&chunk_numbers)),
                    packed: Some(Packed::new(&rows, seq, rat, device)),
                }
            }
        }
    }
}

/// One row's division, on the host.
struct Row {
    document: Vec<usize>,
    chunk: Vec<usize>,
}

impl Row {
    fn new(starts: &[usize], seq: usize, chunk_len: usize) -> Self {
        let (mut document, mut chunk) = (Vec::with_capacity(seq), Vec::with_capacity(seq));
        let (mut number, mut start, mut chunks) = (0, 0, 0);
        for t in 0..seq {
            if starts.get(number + 1) == Some(&t) {
                number += 1;
                start = t;
                chunks += 1;
            } else if t > 0 && (t - start).is_multiple_of(chunk_len) {
                chunks += 1;
            }
            document.push(number);
            chunk.push(chunks);
        }
        Self { document, chunk }
    }

    fn ends(&self) -> Vec<usize> {
        let last = self.chunk.len() - 1;
        (0..=last).filter(|&t| t == last || self.chunk[t] != self.chunk[t + 1]).collect()
    }
}

impl Packed {
    fn new(rows: &[Row], seq: usize, rat: bool, device: &Device) -> Self {
        let numbers: Vec<i64> =
            rows.iter().flat_map(|row| row.document.iter().map(|&n| signed(n))).collect();
        Self {
            keep: keep(rows.iter().map(|row| &row.document), [rows.len(), seq], device),
            document: Tensor::from_data(TensorData::new(numbers, [rows.len(), seq]), device),
            chunks: rat.then(|| PackedChunks::new(rows, seq, device)),
        }
    }
}

impl PackedChunks {
    fn new(rows: &[Row], seq: usize, device: &Device) -> Self {
        let all_ends: Vec<Vec<usize>> = rows.iter().map(Row::ends).collect();
        let width = all_ends.iter().map(Vec::len).max().unwrap_or(0);
        let mut ends = Vec::with_capacity(rows.len() * width);
        let mut hidden = Vec::with_capacity(rows.len() * seq * width);
        for (row, row_ends) in rows.iter().zip(&all_ends) {
            ends.extend((0..width).map(|i| signed(row_ends.get(i).copied().unwrap_or(0))));
            for t in 0..seq {
                hidden.extend((0..width).map(|i| {
                    row_ends.get(i).is_none_or(|&end| {
                        row.document[end] != row.document[t] || row.chunk[end] >= row.chunk[t]
                    })
                }));
            }
        }
        Self {
            keep: keep(rows.iter().map(|row| &row.chunk), [rows.len(), seq], device),
            ends: Tensor::from_data(TensorData::new(ends, [rows.len(), width]), device),
            hidden: Tensor::from_data(TensorData::new(hidden, [rows.len(), 1, seq, width]), device),
        }
    }
}

/// Marks where a row's numbers change, with 0, and where they stay, with 1.
fn keep<'a>(
    rows: impl Iterator<Item = &'a Vec<usize>>,
    [batch, seq]: [usize; 2],
    device: &Device,
) -> Tensor<3> {
    let marks: Vec<f32> = rows
        .flat_map(|row| {
            (0..row.len()).map(|t| if t > 0 && row[t] == row[t - 1] { 1.0 } else { 0.0 })
        })
        .collect();
    Tensor::from_data(TensorData::new(marks, [batch, seq, 1]), device)
}

#[expect(clippy::cast_possible_wrap, reason = "positions within a row are far below 2^63")]
pub(crate) fn signed(position: usize) -> i64 {
    position as i64
}
