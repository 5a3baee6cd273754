//! Where documents begin within the rows of a batch, and what the layers derive from it.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::blockwise::PackedSight;
use super::config::{MixerKind, ModelConfig};
use super::rope::{Angles, Rotation};
use super::spans::{Spans, chunks, documents};

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
///
/// Only what some layer of the model uses is there.
#[derive(Clone, Debug, Default)]
pub struct Geometry {
    /// Angles by position.
    pub(crate) by_position: Option<Rotation>,
    /// Angles by chunk.
    pub(crate) by_chunk: Option<Rotation>,
    /// 0 at a document's first token, else 1, where a row has several: [batch, seq, 1].
    pub(crate) keep: Option<Tensor<3>>,
    /// What full attention sees of packed rows.
    pub(crate) packed_whole: Option<PackedSight>,
    /// What a window sees of packed rows.
    pub(crate) packed_window: Option<PackedSight>,
    /// The chunks of packed rows, which begin anew with each document.
    pub(crate) packed_chunks: Option<PackedChunks>,
}

/// The chunks of packed documents.
#[derive(Clone, Debug)]
pub(crate) struct PackedChunks {
    /// 0 at a chunk's first token, else 1: [batch, seq, 1].
    pub(crate) keep: Tensor<3>,
    /// The ends of chunks that a query sees.
    pub(crate) sight: PackedSight,
}

impl Geometry {
    /// Computes what the layers of a model need for a batch of this shape: [batch, seq].
    pub fn new(
        config: &ModelConfig,
        context: &Context,
        shape: [usize; 2],
        device: &Device,
    ) -> Self {
        Self::with_angles(&Angles::default(), config, context, shape, device)
    }

    pub(crate) fn with_angles(
        angles: &Angles,
        config: &ModelConfig,
        context: &Context,
        [_, seq]: [usize; 2],
        device: &Device,
    ) -> Self {
        let chunk_len = config.chunk_len.get();
        let has = |kind: MixerKind| config.has(kind);
        let turned = has(MixerKind::Attention) || has(MixerKind::LocalAttention);
        let by_position = turned.then(|| angles.by_position(config, seq, device));
        let by_chunk =
            |rows: Vec<Vec<usize>>| angles.by_number(config, numbers(&rows, seq, device), device);
        let Context::Packed(starts) = context else {
            let row = || vec![(0..seq).map(|t| t / chunk_len).collect()];
            let by_chunk = has(MixerKind::Rat).then(|| by_chunk(row()));
            return Self { by_position, by_chunk, ..Self::default() };
        };
        let windows = |window: usize| PackedSight::new(Spans::windows(starts, seq, window), device);
        let all = |of: &dyn Fn(&Vec<usize>) -> Vec<usize>| starts.iter().map(of).collect();
        let chunks: Vec<Vec<usize>> = all(&|starts| chunks(starts, seq, chunk_len));
        let documents: Vec<Vec<usize>> = all(&|starts| documents(starts, seq));
        Self {
            by_position,
            packed_chunks: has(MixerKind::Rat).then(|| PackedChunks {
                keep: keep(&chunks, seq, device),
                sight: PackedSight::new(Spans::chunks(starts, seq, chunk_len), device),
            }),
            by_chunk: has(MixerKind::Rat).then(|| by_chunk(chunks)),
            keep: has(MixerKind::Rnn).then(|| keep(&documents, seq, device)),
            packed_whole: has(MixerKind::Attention).then(|| windows(usize::MAX)),
            packed_window: has(MixerKind::LocalAttention).then(|| windows(config.window.get())),
        }
    }
}

fn numbers(rows: &[Vec<usize>], seq: usize, device: &Device) -> Tensor<2, Int> {
    let flat: Vec<i64> = rows.iter().flatten().map(|&number| signed(number)).collect();
    Tensor::from_data(TensorData::new(flat, [rows.len(), seq]), device)
}

/// Marks where a row's numbers change, with 0, and where they stay, with 1.
fn keep(rows: &[Vec<usize>], seq: usize, device: &Device) -> Tensor<3> {
    let stays = |row: &[usize], t: usize| t > 0 && row[t] == row[t - 1];
    let marks: Vec<f32> = rows
        .iter()
        .flat_map(|row| (0..seq).map(|t| if stays(row, t) { 1.0 } else { 0.0 }))
        .collect();
    Tensor::from_data(TensorData::new(marks, [rows.len(), seq, 1]), device)
}

#[expect(clippy::cast_possible_wrap, reason = "positions within a row are far below 2^63")]
pub(crate) fn signed(position: usize) -> i64 {
    position as i64
}
