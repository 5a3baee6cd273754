//! The model: a decoder of attention, window, RNN and RAT blocks with a tied embedding.

mod attention;
mod block;
mod blockwise;
mod config;
mod context;
mod cross_entropy;
mod ffn;
mod gelu;
mod import;
mod init;
mod linear;
mod rat;
mod recompute;
mod rms_norm;
mod rnn;
mod rope;
mod sight;
mod spans;

use burn::module::{Module, Param};
use burn::tensor::module::embedding;
use burn::tensor::{DType, Device, FloatDType, Int, Tensor};

pub use block::{Block, MixerShape, SequenceLayer};
pub use config::{MixerKind, ModelConfig, ModelConfigError};
pub use context::{Context, Geometry};
pub use ffn::FeedForward;
pub use import::WeightsError;
pub use rms_norm::rms_norm;
pub use rope::Rotation;

use cross_entropy::tied_cross_entropy;
use init::Initializer;
use rope::Angles;

/// The label that no loss is taken at.
pub const IGNORED: i64 = -100;

/// A decoder with a tied embedding.
///
/// The names of its parameters, in files too, are `wte`, `ln`,
/// `layers.N.seq.{input_norm,in_proj,out_proj,gate_bias}` and `layers.N.ffn.{ln,fc1,fc2}`;
/// matrices lie as [out, in].
#[derive(Module, Debug)]
pub struct Model {
    /// The embedding, which is the output layer too: [`vocab_size`, `d_model`].
    pub wte: Param<Tensor<2>>,
    /// The blocks, first to last.
    pub layers: Vec<Block>,
    /// Gain of the last norm: \[`d_model`\].
    pub ln: Param<Tensor<1>>,
    /// What the model was made from.
    #[module(skip)]
    config: ModelConfig,
    /// The type in which the layers compute.
    #[module(skip)]
    precision: Precision,
    /// The rotary angles, computed once.
    #[module(skip)]
    angles: Angles,
}

/// Names the type in which the layers compute; parameters and the loss are f32 always.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with the exponent of 32, for GPUs.
    Bf16,
}

/// The loss of a batch before it is divided by anything.
#[derive(Clone, Debug)]
pub struct LossOutput {
    /// Sum of the negative log-likelihoods, in nats: `[1]`.
    pub nll: Tensor<1>,
    /// Number of labels that are not [`IGNORED`]: `[1]`.
    pub counted: Tensor<1, Int>,
}

impl ModelConfig {
    /// Draws a model's initial parameters, the same for one seed on every device.
    pub fn init(&self, device: &Device, seed: u64) -> Model {
        let draw = Initializer { seed, std: self.init_std, device };
        Model {
            wte: draw.normal("wte", [self.vocab_size.get(), self.d_model.get()]),
            layers: (0..self.layers.get()).map(|layer| Block::init(self, layer, &draw)).collect(),
            ln: draw.ones("ln", self.d_model.get()),
            config: self.clone(),
            precision: Precision::F32,
            angles: Angles::default(),
        }
    }
}

impl Model {
    /// Returns what the model was made from.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Sets the type in which the layers compute.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self
    }

    /// Computes the logits, in f32.
    ///
    /// # Shapes
    /// `tokens`: [batch, seq], output: [batch, seq, `vocab_size`].
    pub fn forward(&self, tokens: Tensor<2, Int>, context: &Context) -> Tensor<3> {
        let hidden = rms_norm(self.hidden(tokens, context), self.ln.val(), self.config.norm_eps);
        linear::linear(hidden, self.wte.val()).cast(FloatDType::F32)
    }

    /// Computes the loss of a batch, as a sum.
    ///
    /// # Shapes
    /// `tokens` and `labels`: [batch, seq]; labels of [`IGNORED`] count for nothing.
    pub fn loss(
        &self,
        tokens: Tensor<2, Int>,
        labels: Tensor<2, Int>,
        context: &Context,
    ) -> LossOutput {
        let hidden = self.hidden(tokens, context);
        self.head_loss(hidden, labels)
    }

    /// Computes the loss from the last block's output.
    fn head_loss(&self, hidden: Tensor<3>, labels: Tensor<2, Int>) -> LossOutput {
        let hidden = rms_norm(hidden, self.ln.val(), self.config.norm_eps);
        let [batch, seq, width] = hidden.dims();
        let labels = labels.reshape([batch * seq, 1]);
        let counted = labels.clone().not_equal_elem(IGNORED).int().sum();
        let hidden = hidden.reshape([batch * seq, width]);
        LossOutput { nll: tied_cross_entropy(hidden, self.wte.val(), labels), counted }
    }

    /// Computes the last block's output, in the type the layers compute in.
    fn hidden(&self, tokens: Tensor<2, Int>, context: &Context) -> Tensor<3> {
        let geometry = self.geometry(context, &tokens);
        let mut x = self.embed(tokens);
        for layer in &self.layers {
            x = layer.forward(x, &geometry);
        }
        x
    }

    fn geometry(&self, context: &Context, tokens: &Tensor<2, Int>) -> Geometry {
        let device = tokens.device();
        Geometry::with_angles(&self.angles, &self.config, context, tokens.dims(), &device)
    }

    /// Looks the tokens up, in the type the layers compute in.
    fn embed(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let dtype = match self.precision {
            Precision::F32 => DType::F32,
            Precision::Bf16 => DType::BF16,
        };
        rms_norm::to_dtype(embedding(self.wte.val(), tokens), dtype)
    }
}
