//! Keys and values of several slots, one entry after the other.

use burn::tensor::{DType, Device, FloatDType, IndexingUpdateOp, Int, Tensor, TensorData};

use crate::convert::narrow;
use crate::kernels::cached_attention::{SeenEntries, cached_attention};
use crate::model::precision::to_dtype;

/// Keys and values of several slots.
///
/// # Shapes
/// `keys` and `values`: [slots · entries, width].
#[derive(Clone, Debug)]
pub(in crate::model) struct KeyCache {
    keys: Tensor<2>,
    values: Tensor<2>,
    slots: usize,
    entries: usize,
}

impl KeyCache {
    /// Makes a cache of zeros.
    pub(super) fn new(
        slots: usize,
        entries: usize,
        width: usize,
        dtype: DType,
        device: &Device,
    ) -> Self {
        let zeros = || Tensor::zeros([slots * entries, width], device);
        let zeros = || to_dtype::<2>(zeros(), dtype);
        Self { keys: zeros(), values: zeros(), slots, entries }
    }

    /// Makes room for so many entries a slot.
    pub(super) fn grow(&mut self, entries: usize) {
        if entries <= self.entries {
            return;
        }
        for tensor in [&mut self.keys, &mut self.values] {
            let ([_, width], device) = (tensor.dims(), tensor.device());
            let rest = [self.slots, entries - self.entries, width];
            let rest = to_dtype(Tensor::<3>::zeros(rest, &device), tensor.dtype());
            // There is no tensor without entries to join with.
            let whole = if self.entries == 0 {
                rest
            } else {
                let old = tensor.clone().reshape([self.slots, self.entries, width]);
                Tensor::cat(vec![old, rest], 1)
            };
            *tensor = whole.reshape([self.slots * entries, width]);
        }
        self.entries = entries;
    }

    /// Writes the tokens `numbers` of a prompt into the entries `places` of a slot.
    ///
    /// # Shapes
    /// `k` and `v`: [1, heads, seq, `head_dim`].
    pub(super) fn write(
        &mut self,
        slot: usize,
        places: &[usize],
        numbers: &[usize],
        k: Tensor<4>,
        v: Tensor<4>,
    ) {
        if places.is_empty() {
            return;
        }
        let rows: Vec<usize> = places.iter().map(|place| slot * self.entries + place).collect();
        let device = k.device();
        let chosen = indices(numbers, &device);
        let flat = |x: Tensor<4>| {
            let [_, heads, seq, head_dim] = x.dims();
            let x = x.swap_dims(1, 2).reshape([seq, heads * head_dim]);
            x.select(0, chosen.clone())
        };
        self.assign(&rows, flat(k), flat(v), &device);
    }

    /// Writes a key and a value for each slot, and attends with a query each to the first `counts`
    /// entries of its slot.
    ///
    /// # Shapes
    /// `q`, `k`, `v` and the output: [slots, heads, 1, `head_dim`].
    pub(in crate::model) fn step(
        &mut self,
        [q, k, v]: [Tensor<4>; 3],
        places: &[usize],
        counts: Vec<usize>,
    ) -> Tensor<4> {
        let [slots, heads, _, head_dim] = q.dims();
        let flat = |x: Tensor<4>| x.reshape([slots, heads * head_dim]);
        let rows: Vec<usize> =
            places.iter().enumerate().map(|(slot, place)| slot * self.entries + place).collect();
        let device = q.device();
        self.assign(&rows, flat(k), flat(v), &device);
        let seen = SeenEntries { capacity: self.entries, head_dim, counts };
        let mixed = cached_attention(flat(q), self.keys.clone(), self.values.clone(), &seen);
        mixed.reshape([slots, heads, 1, head_dim])
    }

    fn assign(&mut self, rows: &[usize], k: Tensor<2>, v: Tensor<2>, device: &Device) {
        let rows = indices(rows, device);
        for (tensor, new) in [(&mut self.keys, k), (&mut self.values, v)] {
            let new = new.cast(FloatDType::from(tensor.dtype()));
            // The only owner of a tensor changes it in place.
            let whole = std::mem::replace(tensor, new.clone());
            *tensor = whole.select_assign(0, rows.clone(), new, IndexingUpdateOp::Assign);
        }
    }
}

fn indices(numbers: &[usize], device: &Device) -> Tensor<1, Int> {
    let numbers: Vec<i64> = numbers.iter().map(|&number| narrow(number)).collect();
    let count = numbers.len();
    Tensor::from_data(TensorData::new(numbers, [count]), device)
}
