//! One step of `AdamW` with the recipe's defaults and clipping by the global norm.

use std::path::Path;

use burn::optim::{AdamWConfig, ModuleOptimizer};
use burn::tensor::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::gradients::Gradients;
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

/// An error of keeping an optimizer's moments.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OptimError {
    /// The moments could not be written.
    #[error("cannot write the optimizer's state: {reason}")]
    Write {
        /// What the store says.
        reason: String,
    },
    /// The moments could not be read.
    #[error("cannot read the optimizer's state: {reason}")]
    Read {
        /// What the store says.
        reason: String,
    },
}

/// What a step did.
#[derive(Debug)]
pub struct Step {
    /// The model after the step.
    pub model: Model,
    /// The norm over all gradients together, before clipping.
    pub grad_norm: f64,
}

/// `AdamW` and its moments.
#[derive(Clone)]
pub struct Optimizer {
    inner: ModuleOptimizer,
    max_norm: f64,
}

impl OptimizerConfig {
    /// Makes an optimizer without moments.
    pub fn init(&self) -> Optimizer {
        let config = AdamWConfig::new()
            .with_beta_1(self.beta_1)
            .with_beta_2(self.beta_2)
            .with_epsilon(self.eps)
            .with_weight_decay(self.weight_decay);
        Optimizer { inner: config.init(), max_norm: self.max_norm }
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
        let grads = if grad_norm > self.max_norm {
            grads.scaled(self.max_norm / (grad_norm + 1e-6), &model)
        } else {
            grads
        };
        Step { model: self.inner.step(lr, model, grads.into_inner()), grad_norm }
    }

    /// Writes the moments to a file.
    ///
    /// # Errors
    /// Returns [`OptimError::Write`] where the store refuses.
    pub fn save(&self, path: &Path) -> Result<(), OptimError> {
        self.inner.save(path).map_err(|error| OptimError::Write { reason: error.to_string() })
    }

    /// Reads moments that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// Returns [`OptimError::Read`] where the file is missing or is none of ours.
    pub fn load(self, path: &Path) -> Result<Self, OptimError> {
        let refuse = |error: &dyn std::fmt::Display| OptimError::Read { reason: error.to_string() };
        // Burn's own `load` reads the file at the first step, when it may be gone.
        let bytes = std::fs::read(path).map_err(|error| refuse(&error))?;
        let bytes = Bytes::from_bytes_vec(bytes);
        let inner = self.inner.from_bytes(bytes).map_err(|error| refuse(&error))?;
        Ok(Self { inner, max_norm: self.max_norm })
    }
}
