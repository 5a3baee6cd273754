//! One step of `AdamW` with the recipe's defaults and clipping by the global norm.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gradients::Gradients;
use super::moments::{self, OptimError};
use crate::model::Model;

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
    /// The norm over all gradients together that a step never exceeds.
    pub max_norm: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.95, eps: 1e-8, weight_decay: 0.1, max_norm: 1.0 }
    }
}

/// What a step did.
#[derive(Debug)]
pub struct Step {
    /// The model after the step.
    pub model: Model,
    /// The norm over all gradients together, before clipping.
    pub grad_norm: f64,
}

/// `AdamW` and its moments, which lie where the parameters lie, in f32.
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    moments: Moments,
}

/// The moments of all parameters after some steps.
#[derive(Debug, Default)]
pub(crate) struct Moments {
    pub(crate) steps: u64,
    pub(crate) first: GradientsParams,
    pub(crate) second: GradientsParams,
}

impl OptimizerConfig {
    /// Makes an optimizer without moments.
    pub fn init(&self) -> Optimizer {
        Optimizer { config: *self, moments: Moments::default() }
    }
}

impl Optimizer {
    /// Clips the gradients by their global norm and steps.
    ///
    /// A norm that is not finite leaves the model and the moments as they are: the caller sees it
    /// in [`Step::grad_norm`] and stops.
    pub fn step(&mut self, lr: f64, model: Model, grads: Gradients) -> Step {
        let grad_norm = grads.norm(&model);
        if !grad_norm.is_finite() {
            return Step { model, grad_norm };
        }
        let max_norm = self.config.max_norm;
        let clip = (grad_norm > max_norm).then(|| max_norm / (grad_norm + 1e-6));
        self.moments.steps += 1;
        let mut update = Update {
            config: self.config,
            lr,
            clip,
            grads: grads.into_inner(),
            moments: &mut self.moments,
        };
        Step { model: model.map(&mut update), grad_norm }
    }

    /// Writes the moments to a safetensors file, under the names of the model's parameters.
    ///
    /// # Errors
    /// Returns [`OptimError::Write`] where the file cannot be written.
    pub fn save(&self, path: &Path, model: &Model) -> Result<(), OptimError> {
        moments::save(&self.moments, path, model)
    }

    /// Reads moments that [`save`](Self::save) wrote, to where the model's parameters lie.
    ///
    /// # Errors
    /// Returns [`OptimError::Read`] where the file is missing or is none of this model's.
    pub fn load(self, path: &Path, model: &Model) -> Result<Self, OptimError> {
        Ok(Self { moments: moments::load(path, model)?, ..self })
    }
}

/// Steps one parameter after another.
struct Update<'a> {
    config: OptimizerConfig,
    lr: f64,
    /// What the gradients are multiplied by, where their norm is too large.
    clip: Option<f64>,
    grads: GradientsParams,
    moments: &'a mut Moments,
}

impl Update<'_> {
    /// Takes a gradient into the moments and returns the direction of the step.
    fn direction<const D: usize>(&mut self, param: &Param<Tensor<D>>) -> Option<Tensor<D>> {
        let grad = self.grads.remove::<D>(param.id)?;
        let grad = match self.clip {
            Some(factor) => grad * factor,
            None => grad,
        };
        let OptimizerConfig { beta_1, beta_2, eps, .. } = self.config;
        let Moments { steps, first, second } = &mut *self.moments;
        let moment = |all: &mut GradientsParams, beta: f32, new: Tensor<D>| {
            let new = new * (1.0 - beta);
            let moment = match all.remove::<D>(param.id) {
                Some(old) => old * beta + new,
                None => new,
            };
            all.register(param.id, moment.clone());
            // Early moments are too small, as they began at 0.
            let steps = i32::try_from(*steps).unwrap_or(i32::MAX);
            moment / (1.0 - beta.powi(steps))
        };
        let mean = moment(first, beta_1, grad.clone());
        let mean_square = moment(second, beta_2, grad.square());
        Some(mean / (mean_square.sqrt() + eps))
    }
}

impl ModuleMapper for Update<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(direction) = self.direction(&param) else { return param };
        let (lr, decay) = (self.lr, self.lr * f64::from(self.config.weight_decay));
        param.map(|value| {
            let tracked = value.is_autodiff();
            let value = value.inner() * (1.0 - decay) - direction * lr;
            if tracked { value.autodiff().require_grad() } else { value }
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Int, TensorData};

    use super::*;
    use crate::model::{Context, ModelConfig};

    /// `AdamW` of one value in f64, as its paper has it.
    #[derive(Clone, Copy, Default)]
    struct Slow {
        first: f64,
        second: f64,
    }

    impl Slow {
        fn step(&mut self, value: f64, grad: f64, (lr, step): (f64, i32)) -> f64 {
            self.first = 0.9 * self.first + 0.1 * grad;
            self.second = 0.95 * self.second + 0.05 * grad * grad;
            let mean = self.first / (1.0 - 0.9_f64.powi(step));
            let root = (self.second / (1.0 - 0.95_f64.powi(step))).sqrt();
            value - lr * (mean / (root + 1e-8) + 0.1 * value)
        }
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.into_data().convert::<f64>().try_to_vec().unwrap()
    }

    /// Some steps are clipped and some are not: the factor is part of what is held.
    #[test]
    fn steps_are_those_of_adamw_in_f64_after_clipping() {
        let device = Device::flex().autodiff();
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

        for step in 1..=6 {
            let scale = if step % 2 == 0 { 2.0 } else { 4000.0 };
            let (_, grads) =
                model.gradients(ids.clone(), ids.clone(), &Context::Whole, (scale, false));
            let norm = grads.norm(&model);
            let factor = if norm > 1.0 { 1.0 / (norm + 1e-6) } else { 1.0 };
            clipped += u32::from(norm > 1.0);
            let grad = values(grads.get(&model.layers[0].ffn.fc1).unwrap());

            model = optimizer.step(0.01, model, grads).model;
            for ((value, slow), grad) in value.iter_mut().zip(&mut slow).zip(grad) {
                *value = slow.step(*value, grad * factor, (0.01, step));
            }

            let found = values(model.layers[0].ffn.fc1.val());
            for (found, expected) in found.iter().zip(&value) {
                assert!((found - expected).abs() < 3e-6, "step {step}: {found}, {expected}");
            }
        }
        assert_eq!(clipped, 3, "as many steps are clipped as not");
    }
}
