//! Rotary position embedding by halves, with angles by position or by chunk.

use burn::tensor::{Device, Tensor, TensorData};

use super::rms_norm::to_dtype;

/// Holds the cosines and sines of one set of positions.
///
/// # Shapes
/// Both: [rows, 1, seq, `head_dim` / 2], with one row where all sequences share their positions.
#[derive(Clone, Debug)]
pub struct Rotation {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl Rotation {
    /// Computes the angles of the given positions: `position * base^(-2i / head_dim)`.
    ///
    /// The angles are computed in f64 and kept in f32, so position 100,000 is as exact as 1.
    pub(crate) fn new(
        positions: &[Vec<usize>],
        head_dim: usize,
        base: f64,
        device: &Device,
    ) -> Self {
        let half = head_dim / 2;
        let seq = positions.first().map_or(0, Vec::len);
        let count = positions.len() * seq * half;
        let (mut cos, mut sin) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let speeds: Vec<f64> =
            (0..half).map(|i| base.powf(-2.0 * i as f64 / head_dim as f64)).collect();
        for &position in positions.iter().flatten() {
            for speed in &speeds {
                let (s, c) = (position as f64 * speed).sin_cos();
                cos.push(c);
                sin.push(s);
            }
        }
        let shape = [positions.len(), 1, seq, half];
        let upload = |values: Vec<f64>| {
            Tensor::from_data(TensorData::new(values, shape).convert::<f32>(), device)
        };
        Self { cos: upload(cos), sin: upload(sin) }
    }

    /// Turns each pair (i, i + half) of channels by its angle.
    ///
    /// # Shapes
    /// `x`: [batch, heads, seq, `head_dim`], output: the same.
    pub fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let half = x.dims()[3] / 2;
        let cos = to_dtype(self.cos.clone(), x.dtype());
        let sin = to_dtype(self.sin.clone(), x.dtype());
        let first = x.clone().narrow(3, 0, half);
        let second = x.narrow(3, half, half);
        Tensor::cat(
            vec![
                first.clone() * cos.clone() - second.clone() * sin.clone(),
                second * cos + first * sin,
            ],
            3,
        )
    }
}
