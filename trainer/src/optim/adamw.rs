//! `AdamW` with the recipe's defaults, after clipping by the global norm.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::moments::{self, Moments, OptimError};
use crate::convert::{narrow, rounded};
use crate::kernels::adamw::{self, UpdateNumbers};
use crate::model::{Gradients, Model};

/// Configures `AdamW` and the clipping before it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// What is added to the root of the second moment.
    pub eps: f32,
    /// Weight decay, on all parameters.
    pub weight_decay: f32,
    /// The largest norm over all gradients together; longer gradients are scaled down to it.
    pub max_norm: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.95, eps: 1e-8, weight_decay: 0.1, max_norm: 1.0 }
    }
}

/// What an iteration of the optimizer did.
#[derive(Debug)]
pub struct Updated {
    /// The model after the update.
    pub model: Model,
    /// The norm over all gradients together, before clipping.
    pub grad_norm: f64,
}

/// Iterations after which the decay's power stays as it is: no moment remembers its beginning.
const LONGEST_MEMORY: u64 = i32::MAX.unsigned_abs() as u64;

/// `AdamW` and its moments, in f32 on the device of the parameters.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    moments: Moments,
}

impl OptimizerConfig {
    /// Makes an optimizer without moments.
    pub fn init(&self) -> Optimizer {
        Optimizer { config: *self, moments: Moments::default() }
    }
}

impl Optimizer {
    /// Clips the gradients by their global norm and updates the parameters.
    ///
    /// Where the norm is not finite, the model and the moments stay as they are. The caller finds
    /// the norm in [`Updated::grad_norm`].
    pub fn update(&mut self, lr: f64, model: Model, grads: Gradients) -> Updated {
        let grad_norm = grads.norm(&model);
        if !grad_norm.is_finite() {
            return Updated { model, grad_norm };
        }
        let max_norm = self.config.max_norm;
        let clip = (grad_norm > max_norm).then(|| max_norm / (grad_norm + 1e-6));
        self.moments.iterations += 1;
        let OptimizerConfig { beta_1, beta_2, eps, weight_decay, .. } = self.config;
        let exponent: i32 = narrow(self.moments.iterations.min(LONGEST_MEMORY));
        let numbers = UpdateNumbers {
            clip: rounded(clip.unwrap_or(1.0)),
            beta_1,
            beta_2,
            // Early moments are too small, because they begin at 0.
            weight_1: 1.0 - beta_1.powi(exponent),
            weight_2: 1.0 - beta_2.powi(exponent),
            eps,
            shrink: rounded(1.0 - lr * f64::from(weight_decay)),
            lr: rounded(lr),
        };
        let grads = grads.into_inner();
        let mut update = ParameterUpdate { numbers, grads, moments: &mut self.moments };
        Updated { model: model.map(&mut update), grad_norm }
    }

    /// Writes the moments to a safetensors file, under the names of the model's parameters.
    ///
    /// # Errors
    /// Returns [`OptimError::Write`] where the file cannot be written.
    pub fn save(&self, path: &Path, model: &Model) -> Result<(), OptimError> {
        moments::save(&self.moments, path, model)
    }

    /// Reads moments that [`save`](Self::save) wrote, to the device of the model's parameters.
    ///
    /// # Errors
    /// Returns [`OptimError::Read`] where the file is missing or is of another model.
    pub fn load(self, path: &Path, model: &Model) -> Result<Self, OptimError> {
        Ok(Self { moments: moments::load(path, model)?, ..self })
    }
}

/// Updates one parameter after another.
struct ParameterUpdate<'a> {
    numbers: UpdateNumbers,
    grads: GradientsParams,
    moments: &'a mut Moments,
}

impl ModuleMapper for ParameterUpdate<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(grad) = self.grads.remove::<D>(param.id) else { return param };
        let Moments { first, second, .. } = &mut *self.moments;
        let id = param.id;
        let [first_before, second_before] =
            [&mut *first, &mut *second].map(|moments| moments.remove::<D>(id));
        param.map(|value| {
            let tracked = value.is_autodiff();
            let zeros = || Tensor::zeros(grad.dims(), &grad.device());
            let before = adamw::Updated {
                first: first_before.unwrap_or_else(zeros),
                second: second_before.unwrap_or_else(zeros),
                value: value.inner(),
            };
            let after = adamw::update(before, grad, self.numbers);
            first.register(id, after.first);
            second.register(id, after.second);
            if tracked { after.value.autodiff().require_grad() } else { after.value }
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Int, TensorData};

    use super::*;
    use crate::device::test_device;
    use crate::documents::Documents;
    use crate::model::{BackwardOptions, ModelConfig};

    /// `AdamW` of one value in f64, as its paper defines it.
    #[derive(Clone, Copy, Default)]
    struct Slow {
        first: f64,
        second: f64,
    }

    impl Slow {
        fn update(&mut self, value: f64, grad: f64, lr: f64, iteration: i32) -> f64 {
            self.first = 0.9 * self.first + 0.1 * grad;
            self.second = 0.95 * self.second + 0.05 * grad * grad;
            let mean = self.first / (1.0 - 0.9_f64.powi(iteration));
            let root = (self.second / (1.0 - 0.95_f64.powi(iteration))).sqrt();
            value - lr * (mean / (root + 1e-8) + 0.1 * value)
        }
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.into_data().convert::<f64>().try_to_vec().unwrap()
    }

    /// Some updates are clipped and some are not, so the factor of clipping is tested as well.
    #[test]
    fn updates_are_those_of_adamw_in_f64_after_clipping() {
        let device = test_device().unwrap().autodiff();
        let config: ModelConfig = toml::from_str(
            "vocab_size = 23\nd_model = 16\nlayers = 1\nhead_dim = 4\nseq_len = 16\n\
             chunk_len = 4\nmixers = [\"rat\"]\ninit_std = 0.2",
        )
        .unwrap();
        let mut model = config.init(&device, 3);
        let mut optimizer = OptimizerConfig::default().init();
        let ids: Vec<i64> = (0..32).map(|i| i * i * 7 % 23).collect();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [2, 16]), &device);
        let mut value = values(model.layers[0].ffn.fc1.val());
        let mut slow = vec![Slow::default(); value.len()];
        let mut clipped = 0;

        for iteration in 1..=6 {
            let divisor = if iteration % 2 == 0 { 2.0 } else { 4000.0 };
            let options = BackwardOptions { divisor, recompute: false };
            let (_, grads) =
                model.gradients(ids.clone(), ids.clone(), &Documents::OnePerRow, options);
            let norm = grads.norm(&model);
            let factor = if norm > 1.0 { 1.0 / (norm + 1e-6) } else { 1.0 };
            clipped += u32::from(norm > 1.0);
            let grad = values(grads.get(&model.layers[0].ffn.fc1).unwrap());

            model = optimizer.update(0.01, model, grads).model;
            for ((value, slow), grad) in value.iter_mut().zip(&mut slow).zip(grad) {
                *value = slow.update(*value, grad * factor, 0.01, iteration);
            }

            let found = values(model.layers[0].ffn.fc1.val());
            for (found, expected) in found.iter().zip(&value) {
                assert!(
                    (found - expected).abs() < 3e-6,
                    "iteration {iteration}: {found}, {expected}"
                );
            }
        }
        assert_eq!(clipped, 3, "as many updates are clipped as not");
    }
}
