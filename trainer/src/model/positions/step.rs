//! What the layers need to know about the positions of one new token in each slot.

use burn::tensor::{Device, Tensor, TensorData};

use super::rotary::{RotaryTables, Rotation};
use crate::model::config::{MixerKind, ModelConfig};

/// The position of each slot's new token, and what layers derive from it.
#[derive(Clone, Debug)]
pub(in crate::model) struct StepGeometry {
    /// The position of each slot's token; none where a slot is not in use.
    pub(in crate::model) positions: Vec<Option<usize>>,
    /// Angles by position.
    pub(in crate::model) position_rotation: Option<Rotation>,
    /// Angles by the number of the chunk.
    pub(in crate::model) chunk_rotation: Option<Rotation>,
    /// 0 where the token begins a chunk and 1 elsewhere: [slots, 1, 1].
    pub(in crate::model) chunk_carry: Option<Tensor<3>>,
}

impl StepGeometry {
    /// Computes what the layers of a model need; all positions are below `capacity`.
    pub(in crate::model) fn new(
        tables: &RotaryTables,
        config: &ModelConfig,
        positions: Vec<Option<usize>>,
        capacity: usize,
        device: &Device,
    ) -> Self {
        let numbers: Vec<usize> = positions.iter().map(|at| at.unwrap_or(0)).collect();
        let has = |kind: MixerKind| config.has(kind);
        let rotates = has(MixerKind::Attention) || has(MixerKind::LocalAttention);
        let chunk_len = config.chunk_len.get();
        let rat = has(MixerKind::Rat);
        let at = |numbers: &[usize]| tables.at(config, numbers, capacity, device);
        let carry = || {
            let carry: Vec<f32> = numbers
                .iter()
                .map(|number| if number.is_multiple_of(chunk_len) { 0.0 } else { 1.0 })
                .collect();
            Tensor::from_data(TensorData::new(carry, [numbers.len(), 1, 1]), device)
        };
        Self {
            position_rotation: rotates.then(|| at(&numbers)),
            chunk_rotation: rat
                .then(|| at(&numbers.iter().map(|number| number / chunk_len).collect::<Vec<_>>())),
            chunk_carry: rat.then(carry),
            positions,
        }
    }
}
