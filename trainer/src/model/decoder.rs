//! The decoder: embedding, blocks, output layer and loss.

use burn::module::{Module, Param};
use burn::tensor::{Device, FloatDType, Int, Tensor};
use ratdata_schemas::IGNORE_INDEX;

use super::config::ModelConfig;
use super::layers::{Block, Initializer, linear, rms_norm};
use super::positions::{Geometry, RotaryTables};
use super::precision::Precision;
use crate::documents::Documents;
use crate::kernels::cross_entropy::tied_cross_entropy;
use crate::kernels::embedding::embed;

/// A decoder with a tied embedding.
///
/// The names of its parameters, in files too, are `wte`, `ln`,
/// `layers.N.seq.{input_norm,in_proj,out_proj,gate_bias}` and `layers.N.ffn.{ln,fc1,fc2}`;
/// matrices are stored as [out, in].
#[derive(Module, Debug)]
pub struct Model {
    /// The embedding, which is also the output layer: [`vocab_size`, `d_model`].
    pub wte: Param<Tensor<2>>,
    /// The blocks, first to last.
    pub layers: Vec<Block>,
    /// Gain of the last norm: \[`d_model`\].
    pub ln: Param<Tensor<1>>,
    /// The configuration that the model was made from.
    #[module(skip)]
    config: ModelConfig,
    /// The type in which the layers compute.
    #[module(skip)]
    precision: Precision,
    /// The rotary angles, computed once.
    #[module(skip)]
    rotary: RotaryTables,
}

/// The loss of a batch, as a sum over its labels.
#[derive(Clone, Debug)]
pub struct LossOutput {
    /// Sum of the negative log-likelihoods, in nats: `[1]`.
    pub nll: Tensor<1>,
    /// Number of labels that are not [`IGNORE_INDEX`]: `[1]`.
    pub counted: Tensor<1, Int>,
}

impl ModelConfig {
    /// Draws a model's initial parameters, which are the same for one seed on every device.
    pub fn init(&self, device: &Device, seed: u64) -> Model {
        let draw = Initializer { seed, std: self.init_std, device };
        Model {
            wte: draw.normal("wte", [self.vocab_size.get(), self.d_model.get()]),
            layers: (0..self.layers.get()).map(|layer| Block::init(self, layer, &draw)).collect(),
            ln: draw.ones("ln", self.d_model.get()),
            config: self.clone(),
            precision: Precision::F32,
            rotary: RotaryTables::default(),
        }
    }
}

impl Model {
    /// Returns the configuration that the model was made from.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Sets the type in which the layers compute.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Returns a copy for several backward passes, whose layers need not cast their matrices in each.
    ///
    /// Its gradients have the type of the matrices: [`Gradients::in_f32`](super::Gradients::in_f32) makes those of
    /// this model of them, which are the same bits.
    #[must_use]
    pub(crate) fn with_cast_matrices(&self) -> Self {
        let mut copy = self.clone();
        if self.precision != Precision::F32 {
            let cast = |block: Block| block.with_matrices_in(self.precision.dtype());
            copy.layers = copy.layers.into_iter().map(cast).collect();
        }
        copy
    }

    /// Computes the logits, in f32.
    ///
    /// # Shapes
    /// `tokens`: [batch, seq], output: [batch, seq, `vocab_size`].
    pub fn forward(&self, tokens: Tensor<2, Int>, documents: &Documents) -> Tensor<3> {
        self.logits(self.hidden(tokens, documents))
    }

    /// Computes the logits from the last block's output, in f32.
    pub(super) fn logits(&self, hidden: Tensor<3>) -> Tensor<3> {
        linear(self.last_norm(hidden), self.wte.val()).cast(FloatDType::F32)
    }

    /// Normalizes the last block's output.
    pub(super) fn last_norm(&self, hidden: Tensor<3>) -> Tensor<3> {
        rms_norm(hidden, self.ln.val(), self.config.norm_eps)
    }

    /// Computes the loss of a batch, as a sum.
    ///
    /// # Shapes
    /// `tokens` and `labels`: [batch, seq]; labels of [`IGNORE_INDEX`] count for nothing.
    pub fn loss(
        &self,
        tokens: Tensor<2, Int>,
        labels: Tensor<2, Int>,
        documents: &Documents,
    ) -> LossOutput {
        let hidden = self.hidden(tokens, documents);
        self.head_loss(hidden, labels)
    }

    /// Computes the loss from the last block's output.
    pub(super) fn head_loss(&self, hidden: Tensor<3>, labels: Tensor<2, Int>) -> LossOutput {
        let hidden = self.last_norm(hidden);
        let [batch, seq, width] = hidden.dims();
        let labels = labels.reshape([batch * seq, 1]);
        let counted = labels.clone().not_equal_elem(i64::from(IGNORE_INDEX)).int().sum();
        let hidden = hidden.reshape([batch * seq, width]);
        LossOutput { nll: tied_cross_entropy(hidden, self.wte.val(), labels), counted }
    }

    /// Computes the last block's output, in the type of the layers.
    fn hidden(&self, tokens: Tensor<2, Int>, documents: &Documents) -> Tensor<3> {
        let geometry = self.geometry(documents, &tokens);
        let mut x = self.embed(tokens);
        for layer in &self.layers {
            x = layer.forward(x, &geometry);
        }
        x
    }

    /// Returns the type in which the layers compute.
    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    /// Returns the rotary angles.
    pub(super) fn rotary(&self) -> &RotaryTables {
        &self.rotary
    }

    pub(super) fn geometry(&self, documents: &Documents, tokens: &Tensor<2, Int>) -> Geometry {
        let [_, seq] = tokens.dims();
        Geometry::with_tables(&self.rotary, &self.config, documents, seq, &tokens.device())
    }

    /// Looks up the embedding of each token, in the type of the layers.
    pub(super) fn embed(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let [batch, seq] = tokens.dims();
        let ids = tokens.reshape([batch * seq]);
        let rows = embed(self.wte.val(), ids, self.precision.dtype());
        rows.reshape([batch, seq, self.config.d_model.get()])
    }
}
