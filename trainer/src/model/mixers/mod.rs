//! What a sequence layer does between its two projections: attention, RNN or RAT.

mod attention;
mod heads;
mod rat;
mod recurrence;
mod rnn;

use burn::tensor::{DType, Tensor};

use super::caches::{Kept, LayerCache};
use super::config::{MixerKind, MixerShape};
use super::positions::{Geometry, StepGeometry};

/// Mixes along the sequence, and returns what a cache may need of it. `gate_bias` is that of the gated
/// mixers, `rnn` and `rat`, whose states are returned in the type `states`.
///
/// # Shapes
/// `projected`: [batch, seq, width], with the width that a layer of this kind projects to;
/// `gate_bias`: [`d_model`]; output: [batch, seq, `d_model`].
pub(super) fn mix(
    projected: &Tensor<3>,
    gate_bias: Option<Tensor<1>>,
    shape: &MixerShape,
    geometry: &Geometry,
    states: DType,
) -> (Tensor<3>, Kept) {
    match (shape.kind, gate_bias) {
        (MixerKind::Rnn, Some(bias)) => rnn::mix(projected, bias, geometry, states),
        (MixerKind::Rat, Some(bias)) => rat::mix(projected, bias, shape, geometry, states),
        _ => attention::mix(projected, shape, geometry),
    }
}

/// Mixes one new token in each slot with what the cache has of the slot, and adds it to the cache.
///
/// # Shapes
/// `projected`: [slots, 1, width], output: [slots, 1, `d_model`].
pub(super) fn step(
    projected: &Tensor<3>,
    gate_bias: Option<Tensor<1>>,
    shape: &MixerShape,
    cache: &mut LayerCache,
    geometry: &StepGeometry,
) -> Tensor<3> {
    match (cache, gate_bias) {
        (LayerCache::State(state), Some(bias)) => rnn::step(projected, bias, state),
        (LayerCache::Chunks { entries, k, v }, Some(bias)) => {
            rat::step(projected, bias, shape, entries, [k, v], geometry)
        }
        (LayerCache::Keys(entries), _) => attention::step(projected, shape, entries, geometry),
        (cache, None) => unreachable!("{cache:?} is of a layer with a gate"),
    }
}
