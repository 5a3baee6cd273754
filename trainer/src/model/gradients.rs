//! Gradients of a model between the backward pass and the optimizer: sums, factors, norms.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, FloatDType, Tensor};

use crate::kernels::adamw::sum_of_squares;

/// The gradients of all parameters of one model, without autodiff.
///
/// Gradients of several micro-batches or devices are added up.
#[derive(Debug, Default)]
pub struct Gradients {
    inner: GradientsParams,
}

impl Gradients {
    /// Runs the backward pass and takes each parameter's gradient.
    ///
    /// # Shapes
    /// `loss`: `[1]`.
    pub fn of<M: Module>(loss: &Tensor<1>, model: &M) -> Self {
        Self::from_backward(loss.backward(), model)
    }

    /// Takes each parameter's gradient from a backward pass that has run.
    pub fn from_backward<M: Module>(all: burn::tensor::Gradients, model: &M) -> Self {
        Self { inner: GradientsParams::from_grads(all, model) }
    }

    /// Adds another batch's gradients to these.
    #[must_use]
    pub fn plus<M: Module>(mut self, mut other: Self, model: &M) -> Self {
        model.visit(&mut Add { sum: &mut self.inner, other: &mut other.inner });
        self
    }

    /// Multiplies each gradient.
    #[must_use]
    pub fn scaled<M: Module>(mut self, factor: f64, model: &M) -> Self {
        model.visit(&mut Scale { grads: &mut self.inner, factor });
        self
    }

    /// Casts each gradient to f32, the type of the parameters.
    #[must_use]
    pub fn in_f32<M: Module>(mut self, model: &M) -> Self {
        model.visit(&mut InF32 { grads: &mut self.inner });
        self
    }

    /// Returns the Euclidean norm over all gradients together. It waits for the device.
    pub fn norm<M: Module>(&self, model: &M) -> f64 {
        let mut squares = Squares { grads: &self.inner, parts: Vec::new() };
        model.visit(&mut squares);
        if squares.parts.is_empty() {
            return 0.0;
        }
        f64::from(Tensor::cat(squares.parts, 0).sum().into_scalar::<f32>()).sqrt()
    }

    /// Moves the gradients to a device.
    #[must_use]
    pub fn to_device<M: Module>(self, device: &Device, model: &M) -> Self {
        Self { inner: self.inner.to_device(device, model) }
    }

    /// Returns the gradient of one parameter.
    pub fn get<const D: usize>(&self, param: &Param<Tensor<D>>) -> Option<Tensor<D>> {
        self.inner.get(param.id)
    }

    pub(crate) fn into_inner(self) -> GradientsParams {
        self.inner
    }
}

struct Add<'a> {
    sum: &'a mut GradientsParams,
    other: &'a mut GradientsParams,
}

impl ModuleVisitor for Add<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(other) = self.other.remove::<D>(param.id) else { return };
        let sum = match self.sum.remove::<D>(param.id) {
            Some(sum) => sum + other,
            None => other,
        };
        self.sum.register(param.id, sum);
    }
}

struct Scale<'a> {
    grads: &'a mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            self.grads.register(param.id, grad * self.factor);
        }
    }
}

struct InF32<'a> {
    grads: &'a mut GradientsParams,
}

impl ModuleVisitor for InF32<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            self.grads.register(param.id, grad.cast(FloatDType::F32));
        }
    }
}

struct Squares<'a> {
    grads: &'a GradientsParams,
    parts: Vec<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            self.parts.push(sum_of_squares(grad));
        }
    }
}
