//! What the layers derive from positions and documents: rotary angles, restarts, attention masks.

mod rotary;
mod step;

use burn::tensor::{Device, Int, Tensor, TensorData};

pub use rotary::Rotation;

pub(super) use rotary::RotaryTables;
pub(super) use step::StepGeometry;

use super::config::{MixerKind, ModelConfig};
use crate::convert::narrow;
use crate::documents::{Documents, chunk_numbers, document_starts};
use crate::kernels::attention::{KeyRanges, PackedMask};

/// What the layers need to know about positions, computed once for a batch.
///
/// It holds only what some layer of the model uses.
#[derive(Clone, Debug, Default)]
pub struct Geometry {
    /// Angles by the position of a token.
    pub(super) position_rotation: Option<Rotation>,
    /// Angles by the number of a token's chunk.
    pub(super) chunk_rotation: Option<Rotation>,
    /// 0 at a document's first token and 1 elsewhere: [batch, seq, 1], or one row if all are the same.
    pub(super) document_carry: Option<Tensor<3>>,
    /// The mask of full attention over packed rows.
    pub(super) full_mask: Option<PackedMask>,
    /// The mask of local attention over packed rows.
    pub(super) window_mask: Option<PackedMask>,
    /// The chunks.
    pub(super) rat: Option<RatGeometry>,
}

/// The chunks of rows; each document begins a new chunk.
#[derive(Clone, Debug)]
pub(super) struct RatGeometry {
    /// 0 at a chunk's first token and 1 elsewhere: [batch, seq, 1], or one row if all are the same.
    pub(super) carry: Tensor<3>,
    /// For packed rows, the ends of chunks that a query sees.
    pub(super) packed: Option<PackedMask>,
}

impl Geometry {
    /// Computes what the layers of a model need for a batch of sequences of length `seq`.
    pub fn new(config: &ModelConfig, documents: &Documents, seq: usize, device: &Device) -> Self {
        Self::with_tables(&RotaryTables::default(), config, documents, seq, device)
    }

    pub(super) fn with_tables(
        tables: &RotaryTables,
        config: &ModelConfig,
        documents: &Documents,
        seq: usize,
        device: &Device,
    ) -> Self {
        let chunk_len = config.chunk_len.get();
        let has = |kind: MixerKind| config.has(kind);
        let rotates = has(MixerKind::Attention) || has(MixerKind::LocalAttention);
        let position_rotation = rotates.then(|| tables.by_position(config, seq, device));
        let by_chunk =
            |rows: &[Vec<usize>]| tables.by_number(config, numbers(rows, seq, device), device);
        let Documents::Packed(starts) = documents else {
            let chunks = [(0..seq).map(|t| t / chunk_len).collect()];
            let rat = || RatGeometry { carry: carry(&chunks, seq, device), packed: None };
            return Self {
                position_rotation,
                chunk_rotation: has(MixerKind::Rat).then(|| by_chunk(&chunks)),
                document_carry: has(MixerKind::Rnn).then(|| carry(&[vec![0; seq]], seq, device)),
                rat: has(MixerKind::Rat).then(rat),
                ..Self::default()
            };
        };
        let windows = |window| PackedMask::new(KeyRanges::windows(starts, seq, window), device);
        let chunks: Vec<Vec<usize>> =
            starts.iter().map(|starts| chunk_numbers(starts, seq, chunk_len)).collect();
        let documents: Vec<Vec<usize>> =
            starts.iter().map(|starts| document_starts(starts, seq)).collect();
        Self {
            position_rotation,
            rat: has(MixerKind::Rat).then(|| RatGeometry {
                carry: carry(&chunks, seq, device),
                packed: Some(PackedMask::new(KeyRanges::chunks(starts, seq, chunk_len), device)),
            }),
            chunk_rotation: has(MixerKind::Rat).then(|| by_chunk(&chunks)),
            document_carry: has(MixerKind::Rnn).then(|| carry(&documents, seq, device)),
            full_mask: has(MixerKind::Attention).then(|| windows(usize::MAX)),
            window_mask: has(MixerKind::LocalAttention).then(|| windows(config.window.get())),
        }
    }
}

fn numbers(rows: &[Vec<usize>], seq: usize, device: &Device) -> Tensor<2, Int> {
    let flat: Vec<i64> = rows.iter().flatten().map(|&number| narrow(number)).collect();
    Tensor::from_data(TensorData::new(flat, [rows.len(), seq]), device)
}

/// Returns 0 where a row's numbers change and 1 where they stay the same.
fn carry(rows: &[Vec<usize>], seq: usize, device: &Device) -> Tensor<3> {
    let stays = |row: &[usize], t: usize| t > 0 && row[t] == row[t - 1];
    let marks: Vec<f32> = rows
        .iter()
        .flat_map(|row| (0..seq).map(|t| if stays(row, t) { 1.0 } else { 0.0 }))
        .collect();
    Tensor::from_data(TensorData::new(marks, [rows.len(), seq, 1]), device)
}
