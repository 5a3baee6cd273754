//! What a sequence layer keeps of the tokens that it has seen, to continue with one token at a time.

mod keys;

use burn::tensor::{Device, Tensor};

pub(super) use keys::KeyCache;

use super::config::{MixerKind, MixerShape};
use super::precision::Precision;

/// What a mixer computed for the tokens of a prompt and may need again.
///
/// # Shapes
/// Keys and values: [1, heads, seq, `head_dim`]; states: [1, seq, `d_model`], in f32.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum Kept {
    /// Of attention: rotated keys, and values.
    Keys { k: Tensor<4>, v: Tensor<4> },
    /// Of the RNN: its states.
    States(Tensor<3>),
    /// Of RAT: the states of keys and values within chunks, and the keys of these states, rotated.
    Chunks { k: Tensor<3>, v: Tensor<3>, rotated_k: Tensor<4> },
}

/// The cache of one layer, for several slots.
///
/// A *slot* is the place of one sequence. Sequences in different slots have different lengths.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each layer")]
pub(super) enum LayerCache {
    /// Of attention: an entry for each token; of local attention: a ring of `window` + 1 entries.
    Keys(KeyCache),
    /// Of the RNN: the last state, in f32: [slots, 1, `d_model`].
    State(Tensor<3>),
    /// Of RAT: an entry for each chunk, and the states of key and value within the last chunk, in
    /// f32: [slots, 1, `d_model`].
    Chunks { entries: KeyCache, k: Tensor<3>, v: Tensor<3> },
}

impl LayerCache {
    /// Makes an empty cache with room for `capacity` tokens a slot.
    pub(super) fn new(
        shape: &MixerShape,
        slots: usize,
        capacity: usize,
        precision: Precision,
        device: &Device,
    ) -> Self {
        let width = shape.heads * shape.head_dim;
        let state = || Tensor::zeros([slots, 1, width], device);
        let keys =
            || KeyCache::new(slots, entries_for(shape, capacity), width, precision.dtype(), device);
        match shape.kind {
            MixerKind::Attention | MixerKind::LocalAttention => Self::Keys(keys()),
            MixerKind::Rnn => Self::State(state()),
            MixerKind::Rat => Self::Chunks { entries: keys(), k: state(), v: state() },
        }
    }

    /// Makes room for `capacity` tokens a slot.
    pub(super) fn grow(&mut self, shape: &MixerShape, capacity: usize) {
        match self {
            Self::Keys(entries) | Self::Chunks { entries, .. } => {
                entries.grow(entries_for(shape, capacity));
            }
            Self::State(_) => {}
        }
    }

    /// Puts what a prompt of `len` tokens left into a slot.
    pub(super) fn admit(&mut self, shape: &MixerShape, slot: usize, len: usize, kept: Kept) {
        let last = |states: Tensor<3>| states.narrow(1, len - 1, 1);
        let place = |into: &mut Tensor<3>, state: Tensor<3>| {
            let width = state.dims()[2];
            let whole = std::mem::replace(into, state.clone());
            *into = whole.slice_assign([slot..slot + 1, 0..1, 0..width], state);
        };
        match (self, kept) {
            (Self::Keys(entries), Kept::Keys { k, v }) => {
                // In a ring the newest tokens are left, each at its position's place.
                let ring = ring_len(shape);
                let first = len.saturating_sub(ring);
                let numbers: Vec<usize> = (first..len).collect();
                let places: Vec<usize> = numbers.iter().map(|number| number % ring).collect();
                entries.write(slot, &places, &numbers, k, v);
            }
            (Self::State(state), Kept::States(states)) => place(state, last(states)),
            (Self::Chunks { entries, k, v }, Kept::Chunks { k: all_k, v: all_v, rotated_k }) => {
                let chunk_len = shape.chunk_len;
                let places: Vec<usize> = (0..len / chunk_len).collect();
                let ends: Vec<usize> =
                    places.iter().map(|chunk| (chunk + 1) * chunk_len - 1).collect();
                let [_, heads, seq, head_dim] = rotated_k.dims();
                let values = all_v.clone().reshape([1, seq, heads, head_dim]).swap_dims(1, 2);
                entries.write(slot, &places, &ends, rotated_k, values);
                place(k, last(all_k));
                place(v, last(all_v));
            }
            (cache, kept) => unreachable!("{cache:?} keeps nothing of {kept:?}"),
        }
    }
}

/// Returns how many entries the newest tokens take in turn.
pub(super) fn ring_len(shape: &MixerShape) -> usize {
    match shape.kind {
        MixerKind::LocalAttention => shape.window.saturating_add(1),
        _ => usize::MAX,
    }
}

/// Returns how many entries a slot of `capacity` tokens needs.
fn entries_for(shape: &MixerShape, capacity: usize) -> usize {
    match shape.kind {
        MixerKind::Rat => capacity.div_ceil(shape.chunk_len),
        _ => capacity.min(ring_len(shape)),
    }
}
