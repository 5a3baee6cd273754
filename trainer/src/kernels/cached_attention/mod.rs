//! Attention of one query a slot over the keys that the slot has stored.

mod flex;
mod plain;

use std::sync::Arc;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{Device, Tensor};

pub(crate) use plain::plain_cached_attention;

/// Which entries of a cache the query of each slot sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenEntries {
    /// How many entries a slot has room for.
    pub(crate) capacity: usize,
    /// The width of one head.
    pub(crate) head_dim: usize,
    /// How many of its first entries each slot's query sees; 0 for a slot that is not in use.
    pub(crate) counts: Vec<usize>,
}

/// The backends with a kernel of their own: the operation as the dispatcher sees it.
#[backend_extension(Flex)]
pub(crate) trait CachedAttentionBackend: Backend {
    /// Runs [`cached_attention`] on a backend's own tensors.
    fn cached_attention(
        q: FloatTensor<Self>,
        keys: FloatTensor<Self>,
        values: FloatTensor<Self>,
        seen: Arc<SeenEntries>,
    ) -> FloatTensor<Self>;
}

/// Attends with the query of each slot to the first entries of its cache.
///
/// On the CPU, what a slot gets depends on its own entries alone: not on how many slots there are, on
/// their lengths, or on the room in the cache. So a prompt has the same logits, bit by bit, in every
/// batch.
///
/// # Shapes
/// `q` and the output: [slots, width]; `keys` and `values`: [slots · capacity, width].
pub(crate) fn cached_attention(
    q: Tensor<2>,
    keys: Tensor<2>,
    values: Tensor<2>,
    seen: &SeenEntries,
) -> Tensor<2> {
    if q.device() != Device::flex() {
        return plain_cached_attention(q, keys, values, seen);
    }
    let [q, keys, values] = [q, keys, values].map(Tensor::into_dispatch);
    let seen = Arc::new(seen.clone());
    Tensor::from_dispatch(<Dispatch as CachedAttentionBackend>::cached_attention(
        q, keys, values, seen,
    ))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    #[test]
    fn the_kernel_is_the_plain_form() {
        let device = Device::flex();
        for head_dim in [3, 8, 20, 32, 64, 128] {
            let draw = |rows: usize| {
                let shape = [rows, 3 * head_dim];
                Tensor::<2>::random(shape, Distribution::Uniform(-2.0, 2.0), &device)
            };
            let seen = SeenEntries { capacity: 11, head_dim, counts: vec![1, 11, 0, 6] };
            let (q, keys, values) = (draw(4), draw(44), draw(44));

            let fast = cached_attention(q.clone(), keys.clone(), values.clone(), &seen);
            let slow = plain_cached_attention(q, keys, values, &seen);

            let error = (fast.clone() - slow).abs().max().into_scalar::<f32>();
            assert!(error < 2e-6, "{head_dim}: {error}");
            assert!(fast.narrow(0, 2, 1).abs().max().into_scalar::<f32>() == 0.0);
        }
    }

    #[test]
    fn a_slot_does_not_depend_on_the_others() {
        let device = Device::flex();
        let draw = |rows: usize| {
            Tensor::<2>::random([rows, 16], Distribution::Uniform(-2.0, 2.0), &device)
        };
        let (q, keys, values) = (draw(3), draw(60), draw(60));
        let seen = |capacity, counts: &[usize]| SeenEntries {
            capacity,
            head_dim: 8,
            counts: counts.to_vec(),
        };
        let bits = |x: Tensor<2>| x.into_data().try_to_vec::<f32>().unwrap();

        let all =
            cached_attention(q.clone(), keys.clone(), values.clone(), &seen(20, &[20, 13, 2]));
        let rows = |x: &Tensor<2>| x.clone().narrow(0, 20, 14);
        let alone =
            cached_attention(q.narrow(0, 1, 1), rows(&keys), rows(&values), &seen(14, &[13]));

        assert_eq!(bits(all.narrow(0, 1, 1)), bits(alone));
    }
}
