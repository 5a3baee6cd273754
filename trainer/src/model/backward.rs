//! The gradients of a batch: in one graph, or block by block with recomputation.

use burn::module::Module;
use burn::tensor::{Int, Tensor};

use super::decoder::Model;
use super::gradients::Gradients;
use crate::documents::Documents;

/// Says how a backward pass is computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackwardOptions {
    /// What the loss is divided by before it is differentiated: the number of labels that count.
    pub divisor: f64,
    /// Whether the backward pass computes each block again instead of keeping what it computed.
    ///
    /// The forward pass then keeps only the input of each block. That takes memory for one block
    /// instead of all, and about a third more time. The gradients are the same.
    pub recompute: bool,
}

impl Model {
    /// Computes the loss of a batch, as a sum in nats, and the gradients of loss / divisor.
    ///
    /// # Shapes
    /// `tokens` and `labels`: [batch, seq], output: `[1]`, without autodiff.
    pub fn gradients(
        &self,
        tokens: Tensor<2, Int>,
        labels: Tensor<2, Int>,
        documents: &Documents,
        BackwardOptions { divisor, recompute }: BackwardOptions,
    ) -> (Tensor<1>, Gradients) {
        if recompute {
            return self.gradients_by_blocks(tokens, labels, documents, divisor);
        }
        let nll = self.loss(tokens, labels, documents).nll;
        let sum = nll.clone().inner();
        (sum, Gradients::of(&(nll / divisor), self))
    }

    fn gradients_by_blocks(
        &self,
        tokens: Tensor<2, Int>,
        labels: Tensor<2, Int>,
        documents: &Documents,
        divisor: f64,
    ) -> (Tensor<1>, Gradients) {
        let plain = self.valid();
        let mut inputs = Vec::with_capacity(self.layers.len());
        let mut x = {
            let tokens = tokens.clone().inner();
            let geometry = plain.geometry(documents, &tokens);
            let mut x = plain.embed(tokens);
            for layer in &plain.layers {
                inputs.push(x.clone());
                x = layer.forward(x, &geometry);
            }
            x.autodiff().require_grad()
        };
        drop(plain);

        let nll = self.head_loss(x.clone(), labels).nll;
        let sum = nll.clone().inner();
        let mut all = (nll / divisor).backward();
        let mut slope = x.grad_remove(&mut all);
        let mut grads = Gradients::from_backward(all, self);

        let geometry = self.geometry(documents, &tokens);
        for (layer, input) in self.layers.iter().zip(inputs).rev() {
            let Some(by_output) = slope.take() else { break };
            x = input.autodiff().require_grad();
            let mut all = backward_from(layer.forward(x.clone(), &geometry), by_output);
            slope = x.grad_remove(&mut all);
            grads = grads.plus(Gradients::from_backward(all, layer), layer);
        }
        if let Some(by_output) = slope {
            let all = backward_from(self.embed(tokens), by_output);
            grads = grads.plus(Gradients::from_backward(all, self), self);
        }
        (sum, grads)
    }
}

/// Runs the backward pass from a tensor whose derivative is known.
fn backward_from(y: Tensor<3>, by_y: Tensor<3>) -> burn::tensor::Gradients {
    (y * by_y.autodiff()).sum().backward()
}

#[cfg(test)]
mod tests {
    use burn::module::{ModuleVisitor, Param};
    use burn::tensor::TensorData;

    use super::*;
    use crate::device::test_device;
    use crate::model::{ModelConfig, Precision};

    struct Worst<'a> {
        found: &'a Gradients,
        expected: &'a Gradients,
        error: f32,
        seen: usize,
    }

    impl ModuleVisitor for Worst<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let (found, expected) =
                (self.found.get(param).unwrap(), self.expected.get(param).unwrap());
            let scale = expected.clone().abs().max().into_scalar::<f32>();
            let error = (found - expected).abs().max().into_scalar::<f32>();
            self.error = self.error.max(error / scale);
            self.seen += 1;
        }
    }

    #[test]
    fn gradients_by_blocks_are_those_of_the_whole_graph() {
        let device = test_device().unwrap().autodiff();
        let config: ModelConfig = toml::from_str(
            "vocab_size = 61\nd_model = 32\nlayers = 4\nhead_dim = 8\nseq_len = 32\nwindow = 6\n\
             chunk_len = 8\nmixers = [\"rat\", \"attention\", \"rnn\", \"local_attention\"]",
        )
        .unwrap();
        let ids: Vec<i64> = (0..64).map(|i| i * i * 7 % 61).collect();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [2, 32]), &device);
        let packed = Documents::Packed(vec![vec![0, 5, 20], vec![0]]);
        for (precision, tolerance) in [(Precision::F32, 1e-6), (Precision::Bf16, 3e-2)] {
            if !device.supports_dtype(precision.dtype()) {
                continue;
            }
            let model = config.init(&device, 3).with_precision(precision);
            for documents in [Documents::OnePerRow, packed.clone()] {
                let run = |recompute| {
                    let options = BackwardOptions { divisor: 64.0, recompute };
                    model.gradients(ids.clone(), ids.clone(), &documents, options)
                };

                let ((nll, found), (expected_nll, expected)) = (run(true), run(false));

                assert!(!nll.is_autodiff());
                let error = (nll / expected_nll - 1.0).abs().into_scalar::<f32>();
                assert!(error <= 1e-6, "{precision:?}: {error}");
                let mut worst = Worst { found: &found, expected: &expected, error: 0.0, seen: 0 };
                model.visit(&mut worst);
                assert!(worst.error <= tolerance, "{precision:?}: {}", worst.error);
                assert_eq!(worst.seen, 2 + 4 * 6 + 2);
            }
        }
    }

    /// A matrix that is cast once has the gradients of one that each layer casts.
    #[test]
    fn gradients_of_cast_matrices_are_those_of_the_model() {
        let device = test_device().unwrap().autodiff();
        if !device.supports_dtype(Precision::Bf16.dtype()) {
            println!("{device:?} has no bf16: not tested there");
            return;
        }
        let config: ModelConfig = toml::from_str(
            "vocab_size = 61\nd_model = 32\nlayers = 2\nhead_dim = 8\nseq_len = 32\n\
             chunk_len = 8\nmixers = [\"rat\", \"attention\"]",
        )
        .unwrap();
        let ids: Vec<i64> = (0..64).map(|i| i * i * 7 % 61).collect();
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [2, 32]), &device);
        let model = config.init(&device, 3).with_precision(Precision::Bf16);
        let working = model.with_cast_matrices();
        for recompute in [false, true] {
            let options = BackwardOptions { divisor: 64.0, recompute };
            let run = |model: &Model| {
                model.gradients(ids.clone(), ids.clone(), &Documents::OnePerRow, options).1
            };

            let (found, expected) = (run(&working).in_f32(&model), run(&model));

            let mut worst = Worst { found: &found, expected: &expected, error: 0.0, seen: 0 };
            model.visit(&mut worst);
            assert_eq!((worst.error, worst.seen), (0.0, 2 + 2 * 6 + 1));
        }
    }
}
