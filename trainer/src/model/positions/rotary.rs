//! Rotary position embedding by halves, with angles by position or by chunk.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::convert::narrow;
use crate::kernels::rotation::rotate;
use crate::model::config::ModelConfig;

/// Holds the cosines and sines of one set of positions.
///
/// # Shapes
/// Both: [rows, 1, seq, `head_dim` / 2]. There is one row where all sequences have the same
/// positions.
#[derive(Clone, Debug)]
pub struct Rotation {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl Rotation {
    /// Rotates each pair (i, i + half) of channels by its angle.
    ///
    /// # Shapes
    /// `x`: [batch, heads, seq, `head_dim`], output: the same.
    pub fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        rotate(x, self.cos.clone(), self.sin.clone())
    }
}

/// The angles of positions from 0, computed once for each device and for longer sequences again.
/// Copies of a model share them.
#[derive(Clone, Debug, Default)]
pub(in crate::model) struct RotaryTables {
    tables: Arc<Mutex<Vec<Table>>>,
}

/// Cosines and sines by position: [positions, `head_dim` / 2].
#[derive(Clone, Debug)]
struct Table {
    device: Device,
    positions: usize,
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl RotaryTables {
    /// Returns the rotation by position of sequences of this length.
    pub(in crate::model) fn by_position(
        &self,
        config: &ModelConfig,
        seq: usize,
        device: &Device,
    ) -> Rotation {
        let table = self.table(config, seq, device);
        let shape = [1, 1, seq, config.head_dim.get() / 2];
        let of = |angles: Tensor<2>| angles.narrow(0, 0, seq).reshape(shape);
        Rotation { cos: of(table.cos), sin: of(table.sin) }
    }

    /// Returns the rotation by other numbers than positions, such as the numbers of chunks.
    ///
    /// # Shapes
    /// `numbers`: [rows, seq], each below seq.
    pub(in crate::model) fn by_number(
        &self,
        config: &ModelConfig,
        numbers: Tensor<2, Int>,
        device: &Device,
    ) -> Rotation {
        let [rows, seq] = numbers.dims();
        let table = self.table(config, seq, device);
        let flat = numbers.reshape([rows * seq]);
        let of = |angles: Tensor<2>| {
            angles.select(0, flat.clone()).reshape([rows, 1, seq, config.head_dim.get() / 2])
        };
        Rotation { cos: of(table.cos), sin: of(table.sin) }
    }

    /// Returns the rotation of one token a row, by numbers below `positions`.
    pub(super) fn at(
        &self,
        config: &ModelConfig,
        numbers: &[usize],
        positions: usize,
        device: &Device,
    ) -> Rotation {
        let table = self.table(config, positions, device);
        let rows = numbers.len();
        let numbers: Vec<i64> = numbers.iter().map(|&number| narrow(number)).collect();
        let numbers = Tensor::<1, Int>::from_data(TensorData::new(numbers, [rows]), device);
        let of = |angles: Tensor<2>| {
            angles.select(0, numbers.clone()).reshape([rows, 1, 1, config.head_dim.get() / 2])
        };
        Rotation { cos: of(table.cos), sin: of(table.sin) }
    }

    /// Returns a table of at least so many positions.
    fn table(&self, config: &ModelConfig, positions: usize, device: &Device) -> Table {
        let plain = device.clone().inner();
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |table: &&Table| table.positions >= positions && table.device == plain;
        let found = tables.iter().find(known).cloned();
        let mut table = found.unwrap_or_else(|| {
            let table = Table::new(config, positions, plain.clone());
            tables.retain(|shorter| shorter.device != plain);
            tables.push(table.clone());
            table
        });
        if device.is_autodiff() {
            (table.cos, table.sin) = (table.cos.autodiff(), table.sin.autodiff());
        }
        table
    }
}

impl Table {
    /// Computes the angles of the positions: `position * base^(-2i / head_dim)`.
    ///
    /// The angles are computed in f64 and stored as f32, so position 100,000 is as exact as 1.
    fn new(config: &ModelConfig, positions: usize, device: Device) -> Self {
        let (head_dim, half) = (config.head_dim.get(), config.head_dim.get() / 2);
        let (mut cos, mut sin) =
            (Vec::with_capacity(positions * half), Vec::with_capacity(positions * half));
        let speeds: Vec<f64> =
            (0..half).map(|i| config.rope_base.powf(-2.0 * i as f64 / head_dim as f64)).collect();
        for position in 0..positions {
            for speed in &speeds {
                let (s, c) = (position as f64 * speed).sin_cos();
                cos.push(c);
                sin.push(s);
            }
        }
        let upload = |values: Vec<f64>| {
            let data = TensorData::new(values, [positions, half]).convert::<f32>();
            Tensor::from_data(data, &device)
        };
        let (cos, sin) = (upload(cos), upload(sin));
        Self { device, positions, cos, sin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::test_device;

    #[test]
    fn angles_are_computed_once_for_the_longest_sequence() {
        let config: ModelConfig = toml::from_str(
            "vocab_size = 9\nd_model = 8\nlayers = 1\nhead_dim = 4\nseq_len = 8\n\
             mixers = [\"attention\"]",
        )
        .unwrap();
        let (tables, device) = (RotaryTables::default(), test_device().unwrap());
        let copy = tables.clone();

        let first = copy.by_position(&config, 4, &device);
        for seq in [8, 8, 4] {
            drop(copy.by_position(&config, seq, &device));
            drop(tables.by_position(&config, seq, &device.clone().autodiff()));
        }

        let known = tables.tables.lock().unwrap().len();
        assert_eq!(known, 1);
        let again = tables.by_position(&config, 4, &device);
        first.cos.into_data().assert_eq(&again.cos.into_data(), true);
    }
}
