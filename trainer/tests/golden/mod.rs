//! How far the layers and the models are from the reference's own outputs and gradients.
//!
//! The tests compare a CPU with it, and `examples/gpu_check.rs` a GPU.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a check stops where a value is missing, says why, and reads small ids"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use ratdata_train::documents::Documents;
use ratdata_train::model::{
    BackwardOptions, FeedForward, Geometry, Gradients, MixerKind, ModelConfig, Precision,
};

pub(crate) const KINDS: [(&str, MixerKind); 4] = [
    ("attention", MixerKind::Attention),
    ("local_attention", MixerKind::LocalAttention),
    ("rnn", MixerKind::Rnn),
    ("rat", MixerKind::Rat),
];

pub(crate) const MODELS: [(&str, &[MixerKind]); 5] = [
    ("attention", &[MixerKind::Attention]),
    ("rnn", &[MixerKind::Rnn]),
    ("rat", &[MixerKind::Rat]),
    ("attention_localattention_interleave", &[MixerKind::Attention, MixerKind::LocalAttention]),
    ("rat_localattention_interleave", &[MixerKind::Rat, MixerKind::LocalAttention]),
];

/// The tolerance of bf16, which rounds to eight bits of mantissa some dozen times in a model.
pub(crate) const BF16_TOLERANCE: f64 = 5e-2;

/// Where and how a layer computes.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) device: &'a Device,
    pub(crate) precision: Precision,
}

/// The reference's tensors by name.
pub(crate) struct Goldens(BTreeMap<String, Golden>);

/// One of them.
#[derive(Clone)]
pub(crate) struct Golden {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

/// How far something is from its golden: the largest difference, relative to the largest value.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) what: String,
    pub(crate) error: f64,
}

impl Goldens {
    /// Reads the file of the goldens, from the folder of `RATDATA_SHARED` or from `../shared`.
    pub(crate) fn open() -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let shared = std::env::var_os("RATDATA_SHARED")
            .map_or_else(|| root.join("../shared"), PathBuf::from);
        let path = shared.join("golden/layers.safetensors");
        let bytes = std::fs::read(&path).map_err(|wrong| format!("{}: {wrong}", path.display()))?;
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let tensors = file.iter().map(|(name, view)| {
            let values = view
                .data()
                .chunks_exact(8)
                .map(|bytes| {
                    let bytes = bytes.try_into().unwrap();
                    match view.dtype() {
                        safetensors::Dtype::I64 => i64::from_le_bytes(bytes) as f64,
                        _ => f64::from_le_bytes(bytes),
                    }
                })
                .collect();
            (name.to_owned(), Golden { shape: view.shape().to_vec(), values })
        });
        Ok(Self(tensors.collect()))
    }

    pub(crate) fn get(&self, name: &str) -> &Golden {
        self.find(name).unwrap_or_else(|| panic!("{name} is not among the goldens"))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Golden> {
        self.0.get(name)
    }
}

impl Golden {
    fn data(&self) -> TensorData {
        TensorData::new(self.values.clone(), self.shape.clone()).convert::<f32>()
    }

    fn floats(&self, device: &Device, precision: Precision) -> Tensor<3> {
        Tensor::<3>::from_data(self.data(), device).cast(match precision {
            Precision::F32 => FloatDType::F32,
            Precision::Bf16 => FloatDType::BF16,
        })
    }

    fn ids(&self, device: &Device) -> Tensor<2, Int> {
        let ids: Vec<i64> = self.values.iter().map(|&id| id as i64).collect();
        Tensor::from_data(TensorData::new(ids, self.shape.clone()), device)
    }

    /// Compares values with these.
    pub(crate) fn compared(&self, what: &str, found: &[f64]) -> Comparison {
        assert_eq!(found.len(), self.values.len(), "{what}");
        let scale = self.values.iter().fold(0.0, |scale: f64, x| scale.max(x.abs()));
        let worst = found.iter().zip(&self.values).fold(0.0, |worst: f64, (a, b)| {
            let difference = (a - b).abs();
            if difference.is_nan() { f64::INFINITY } else { worst.max(difference) }
        });
        Comparison { what: what.to_owned(), error: worst / scale.max(f64::MIN_POSITIVE) }
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_to_vec().unwrap()
}

fn config(vocab_size: usize, seq_len: usize, chunk_len: usize, window: usize) -> ModelConfig {
    let text = format!(
        "vocab_size = {vocab_size}\nd_model = 32\nlayers = 4\nhead_dim = 8\nseq_len = {seq_len}\n\
         mixers = [\"attention\"]\nchunk_len = {chunk_len}\nwindow = {window}\n"
    );
    toml::from_str(&text).unwrap()
}

/// Puts the goldens' weights in the place of a module's parameters, by their names.
struct Load<'a> {
    goldens: &'a Goldens,
    prefix: String,
    path: Vec<String>,
    device: Device,
}

impl ModuleMapper for Load<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let golden = self.goldens.get(&format!("{}{}", self.prefix, self.path.join(".")));
        let value = Tensor::<D>::from_data(golden.data(), &self.device);
        assert_eq!(value.dims(), param.val().dims());
        param.map(|_| value.require_grad())
    }
}

/// Compares a module's gradients with the goldens, by their names.
struct Compare<'a> {
    goldens: &'a Goldens,
    prefix: String,
    path: Vec<String>,
    grads: &'a Gradients,
    found: &'a mut Vec<Comparison>,
}

impl ModuleVisitor for Compare<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = format!("{}{}", self.prefix, self.path.join("."));
        if let Some(expected) = self.goldens.find(&name) {
            let found = values(self.grads.get(param).unwrap());
            self.found.push(expected.compared(&name, &found));
        }
    }
}

fn load<M: Module>(module: M, goldens: &Goldens, prefix: String, device: &Device) -> M {
    module.map(&mut Load { goldens, prefix, path: Vec::new(), device: device.clone() })
}

/// Runs a layer forward and backward and compares output and gradients.
fn layer<M: Module>(
    layer: M,
    name: &str,
    goldens: &Goldens,
    Setup { device, precision }: Setup<'_>,
    forward: impl FnOnce(&M, Tensor<3>) -> Tensor<3>,
) -> Vec<Comparison> {
    let layer = load(layer, goldens, format!("layer.{name}.weight."), device);
    let golden = |part: &str| goldens.get(&format!("layer.{name}.{part}"));
    let input = golden("input").floats(device, precision).detach().require_grad();
    let cotangent = golden("cotangent").floats(device, Precision::F32);

    let output = forward(&layer, input.clone()).cast(FloatDType::F32);
    let mut found = vec![golden("output").compared(name, &values(output.clone()))];
    let all = (output * cotangent).sum().backward();
    let by_input = values(input.grad(&all).unwrap());
    found.push(golden("grad.input").compared(&format!("{name} input"), &by_input));
    let grads = Gradients::from_backward(all, &layer);
    let prefix = format!("layer.{name}.grad.");
    let (path, found_grads) = (Vec::new(), &mut found);
    layer.visit(&mut Compare { goldens, prefix, path, grads: &grads, found: found_grads });
    found
}

/// Compares output and gradients of a sequence layer of each kind.
pub(crate) fn sequence_layer(
    goldens: &Goldens,
    (name, kind): (&str, MixerKind),
    Setup { device, precision }: Setup<'_>,
) -> Vec<Comparison> {
    let config = ModelConfig { mixers: vec![kind], ..config(97, 64, 16, 10) };
    let seq = config.init(device, 0).layers.remove(0).seq;
    let geometry = Geometry::new(&config, &Documents::OnePerRow, 64, device);
    layer(seq, name, goldens, Setup { device, precision }, |layer, x| layer.forward(x, &geometry))
}

/// Compares output and gradients of the feed-forward layer.
pub(crate) fn feed_forward(
    goldens: &Goldens,
    Setup { device, precision }: Setup<'_>,
) -> Vec<Comparison> {
    let ffn = config(97, 64, 16, 10).init(device, 0).layers.remove(0).ffn;
    layer(ffn, "ffn", goldens, Setup { device, precision }, FeedForward::forward)
}

/// Compares logits, loss and gradients of a whole model.
pub(crate) fn model(
    goldens: &Goldens,
    (name, mixers): (&str, &[MixerKind]),
    Setup { device, precision }: Setup<'_>,
    recompute: bool,
) -> Vec<Comparison> {
    let config = ModelConfig { mixers: mixers.to_vec(), ..config(97, 32, 8, 8) };
    config.validate().unwrap();
    let model = load(config.init(device, 0), goldens, format!("model.{name}.weight."), device);
    let model = model.with_precision(precision);
    let golden = |part: &str| goldens.get(&format!("model.{name}.{part}"));
    let ids = |part: &str| golden(part).ids(device);

    let logits = values(model.forward(ids("tokens"), &Documents::OnePerRow));
    let mut found = vec![golden("logits").compared(&format!("{name} logits"), &logits)];
    let counted = golden("labels").values.iter().filter(|&&label| label >= 0.0).count() as f64;
    let options = BackwardOptions { divisor: counted, recompute };
    let (nll, grads) =
        model.gradients(ids("tokens"), ids("labels"), &Documents::OnePerRow, options);
    found.push(golden("loss").compared(&format!("{name} loss"), &values(nll / counted)));
    let prefix = format!("model.{name}.grad.");
    let (path, found_grads) = (Vec::new(), &mut found);
    model.visit(&mut Compare { goldens, prefix, path, grads: &grads, found: found_grads });
    found
}
