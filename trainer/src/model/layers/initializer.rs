//! Initial weights: each parameter is drawn from its own stream of random numbers.

use burn::module::{Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};

use crate::convert::rounded;
use ratdata_schemas::draw::SplitMix64;

/// Draws the initial values of a model's parameters.
///
/// A parameter's values depend only on the seed and on its name. So they are the same on every
/// device, and two models that differ in the number of layers agree in the layers that both have.
#[derive(Clone, Debug)]
pub(crate) struct Initializer<'a> {
    pub(crate) seed: u64,
    pub(crate) std: f64,
    pub(crate) device: &'a Device,
}

impl Initializer<'_> {
    /// Draws a matrix from the normal distribution around 0.
    pub(crate) fn normal(&self, name: &str, shape: [usize; 2]) -> Param<Tensor<2>> {
        let mut stream = Stream::new(self.seed, name);
        let values: Vec<f32> =
            (0..shape[0] * shape[1]).map(|_| rounded(stream.normal() * self.std)).collect();
        self.param(name, values, shape)
    }

    /// Fills a vector with ones, the initial gain of a norm.
    pub(crate) fn ones(&self, name: &str, width: usize) -> Param<Tensor<1>> {
        self.param(name, vec![1.0; width], [width])
    }

    /// Draws ln(uniform(1, `memory` - 1)) for each channel: the gates then forget over 2 to
    /// `memory` tokens.
    pub(crate) fn gate_bias(&self, name: &str, width: usize, memory: usize) -> Param<Tensor<1>> {
        let mut stream = Stream::new(self.seed, name);
        let high = (memory.max(2) - 1) as f64;
        let values = (0..width).map(|_| rounded((1.0 + stream.uniform() * (high - 1.0)).ln()));
        self.param(name, values.collect(), [width])
    }

    /// Makes a parameter whose id is a hash of its name.
    ///
    /// Burn keeps an optimizer's moments under these ids. By default it draws the ids at random, and
    /// the moments of one process would mean nothing to the next.
    fn param<const D: usize>(
        &self,
        name: &str,
        values: Vec<f32>,
        shape: [usize; D],
    ) -> Param<Tensor<D>> {
        let param = Param::from_data(TensorData::new(values, shape), self.device);
        let (_, value, mapper) = param.consume();
        Param::from_mapped_value(ParamId::from(hash(&[name.as_bytes()])), value, mapper)
    }
}

fn hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// A stream of random numbers that begins with a hash of seed and name.
struct Stream {
    random: SplitMix64,
    spare: Option<f64>,
}

impl Stream {
    fn new(seed: u64, name: &str) -> Self {
        let random = SplitMix64::new(hash(&[&seed.to_le_bytes(), name.as_bytes()]));
        Self { random, spare: None }
    }

    /// Draws from [0, 1).
    fn uniform(&mut self) -> f64 {
        self.random.uniform()
    }

    /// Draws from the standard normal distribution, by the Box-Muller transform.
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draws_have_the_moments_of_a_standard_normal() {
        let mut stream = Stream::new(1005, "wte");
        let draws: Vec<f64> = (0..100_000).map(|_| stream.normal()).collect();

        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let square = draws.iter().map(|x| x * x).sum::<f64>() / draws.len() as f64;

        assert!(mean.abs() < 0.02, "mean {mean}");
        assert!((square - 1.0).abs() < 0.02, "mean square {square}");
    }

    #[test]
    fn another_name_gives_another_stream() {
        let mut first = Stream::new(1, "layers.0.ffn.fc1");
        let mut second = Stream::new(1, "layers.1.ffn.fc1");

        assert_ne!(first.random.draw(), second.random.draw());
    }
}
