//! One sequence layer by itself, for measuring: a forward and backward pass, a prompt, one token.

use burn::module::Module;
use burn::tensor::{Device, FloatDType, Tensor};

use super::caches::LayerCache;
use super::config::ModelConfig;
use super::decoder::Model;
use super::gradients::Gradients;
use super::layers::SequenceLayer;
use super::positions::{Geometry, StepGeometry};
use super::precision::{Precision, to_dtype};
use crate::documents::Documents;

/// The first sequence layer of a model, without the rest of it.
///
/// Its inputs are embeddings in f32. It computes in the type of the layers, with weights in f32.
#[derive(Debug)]
pub struct SoleLayer {
    /// With autodiff.
    trained: Model,
    /// Without.
    plain: Model,
    precision: Precision,
    device: Device,
}

/// The cache of a layer, for several sequences of one length.
#[derive(Debug)]
pub struct SoleCache {
    cache: LayerCache,
    /// How many sequences there are.
    slots: usize,
    /// How many tokens a sequence has at most.
    capacity: usize,
}

impl SoleLayer {
    /// Draws the layer's weights; of the configuration, the first block alone is made.
    pub fn new(config: &ModelConfig, precision: Precision, device: &Device) -> Self {
        let one = std::num::NonZeroUsize::MIN;
        let config = ModelConfig { layers: one, vocab_size: one, ..config.clone() };
        let trained = config.init(&device.clone().autodiff(), 1);
        let plain = trained.valid();
        Self { trained, plain, precision, device: device.clone() }
    }

    /// Makes a cache of zeros for `slots` sequences of up to `capacity` tokens.
    pub fn cache(&self, slots: usize, capacity: usize) -> SoleCache {
        let shape = &self.layer().shape;
        let cache = LayerCache::new(shape, slots, capacity, self.precision, &self.device);
        SoleCache { cache, slots, capacity }
    }

    /// Computes the output's mean and its gradients by the weights, not by the input.
    ///
    /// # Shapes
    /// `x`: [batch, seq, `d_model`], without autodiff; output: `[1]`, the first weight's gradient.
    pub fn train(&self, x: Tensor<3>) -> Tensor<1> {
        let [_, seq, _] = x.dims();
        let layer = &self.trained.layers[0].seq;
        let device = self.device.clone().autodiff();
        let geometry = Geometry::new(self.trained.config(), &Documents::OnePerRow, seq, &device);
        let x = to_dtype(x.autodiff(), self.precision.dtype());
        let loss = layer.forward(x, &geometry).cast(FloatDType::F32).mean();
        let first = Gradients::of(&loss, layer).get(&layer.input_norm);
        first.map_or_else(|| Tensor::zeros([1], &self.device), |first| first.narrow(0, 0, 1))
    }

    /// Reads sequences into the cache, one after the other, as decoding does.
    ///
    /// # Shapes
    /// `x`: [slots, seq, `d_model`], output: `[1]`, the last sequence's first number.
    pub fn prefill(&self, cache: &mut SoleCache, x: &Tensor<3>) -> Tensor<1> {
        let [slots, seq, _] = x.dims();
        let layer = self.layer();
        let config = self.plain.config();
        let geometry = Geometry::new(config, &Documents::OnePerRow, seq, &self.device);
        let mut last = Tensor::zeros([1], &self.device);
        for slot in 0..slots {
            let x = to_dtype(x.clone().narrow(0, slot, 1), self.precision.dtype());
            let (mixed, kept) = layer.forward_keeping(x, &geometry);
            cache.cache.admit(&layer.shape, slot, seq, kept);
            last = first_of(mixed);
        }
        last
    }

    /// Adds a token to each sequence as its last one, at position `capacity` - 1, whatever the cache has.
    ///
    /// # Shapes
    /// `x`: [slots, 1, `d_model`], output: `[1]`, the first sequence's first number.
    pub fn step(&self, cache: &mut SoleCache, x: Tensor<3>) -> Tensor<1> {
        let geometry = StepGeometry::new(
            self.plain.rotary(),
            self.plain.config(),
            vec![Some(cache.capacity - 1); cache.slots],
            cache.capacity,
            &self.device,
        );
        let x = to_dtype(x, self.precision.dtype());
        first_of(self.layer().step(x, &mut cache.cache, &geometry))
    }

    fn layer(&self) -> &SequenceLayer {
        &self.plain.layers[0].seq
    }
}

fn first_of(x: Tensor<3>) -> Tensor<1> {
    x.narrow(0, 0, 1).narrow(1, 0, 1).narrow(2, 0, 1).reshape([1]).cast(FloatDType::F32)
}
