//! Holds the layers and the models to the reference's own outputs and gradients.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test stops where a value is missing, says why it skips, and reads small ids"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use ratdata_train::model::{Context, MixerKind, Model, ModelConfig};
use ratdata_train::optim::Gradients;
use ratdata_train::reference::{
    BlockWeights, Decoder, FfnWeights, Gradient, Layer, MixerWeights, Sequence, Tape, Var,
};

const KINDS: [(&str, MixerKind); 4] = [
    ("attention", MixerKind::Attention),
    ("local_attention", MixerKind::LocalAttention),
    ("rnn", MixerKind::Rnn),
    ("rat", MixerKind::Rat),
];

const MODELS: [(&str, &[MixerKind]); 5] = [
    ("attention", &[MixerKind::Attention]),
    ("rnn", &[MixerKind::Rnn]),
    ("rat", &[MixerKind::Rat]),
    ("attention_localattention_interleave", &[MixerKind::Attention, MixerKind::LocalAttention]),
    ("rat_localattention_interleave", &[MixerKind::Rat, MixerKind::LocalAttention]),
];

/// The reference's tensors by name.
struct Goldens(BTreeMap<String, Golden>);

#[derive(Clone)]
struct Golden {
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl Goldens {
    fn open() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let shared = std::env::var_os("RATDATA_SHARED")
            .map_or_else(|| root.join("../shared"), PathBuf::from);
        let path = shared.join("golden/layers.safetensors");
        let Ok(bytes) = std::fs::read(&path) else {
            eprintln!("skipped: {} is not there", path.display());
            return None;
        };
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
        Some(Self(tensors.collect()))
    }

    fn get(&self, name: &str) -> &Golden {
        self.0.get(name).unwrap_or_else(|| panic!("{name} is not among the goldens"))
    }

    fn find(&self, name: &str) -> Option<&Golden> {
        self.0.get(name)
    }
}

impl Golden {
    fn data(&self) -> TensorData {
        TensorData::new(self.values.clone(), self.shape.clone()).convert::<f32>()
    }

    fn rows(&self, tape: &mut Tape) -> Vec<Vec<Var>> {
        self.values.chunks(self.shape[1]).map(|row| tape.leaves(row)).collect()
    }
}

/// The largest difference, by the largest expected value.
fn relative_error(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0.0, |scale: f64, x| scale.max(x.abs()));
    let worst = found.iter().zip(expected).fold(0.0, |worst: f64, (a, b)| {
        let difference = (a - b).abs();
        if difference.is_nan() { f64::INFINITY } else { worst.max(difference) }
    });
    worst / scale.max(f64::MIN_POSITIVE)
}

fn close(what: &str, found: &[f64], expected: &Golden, tolerance: f64) {
    let error = relative_error(found, &expected.values);
    assert!(error <= tolerance, "{what}: relative error {error:e}, expected at most {tolerance:e}");
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

/// Holds a module's gradients to the goldens, by their names.
struct Check<'a> {
    goldens: &'a Goldens,
    prefix: String,
    path: Vec<String>,
    grads: &'a Gradients,
    checked: usize,
}

impl ModuleVisitor for Check<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = format!("{}{}", self.prefix, self.path.join("."));
        if let Some(expected) = self.goldens.find(&name) {
            close(&name, &values(self.grads.get(param).unwrap()), expected, 1e-4);
            self.checked += 1;
        }
    }
}

fn load<M: Module>(module: M, goldens: &Goldens, prefix: String, device: &Device) -> M {
    module.map(&mut Load { goldens, prefix, path: Vec::new(), device: device.clone() })
}

fn check<M: Module>(module: &M, goldens: &Goldens, prefix: String, grads: &Gradients) -> usize {
    let mut check = Check { goldens, prefix, path: Vec::new(), grads, checked: 0 };
    module.visit(&mut check);
    check.checked
}

#[test]
fn each_sequence_layer_meets_the_reference_in_f32() {
    let Some(goldens) = Goldens::open() else { return };
    let device = Device::flex().autodiff();

    for (name, kind) in KINDS {
        let config = ModelConfig { mixers: vec![kind], ..config(97, 64, 16, 10) };
        let layer = config.init(&device, 0).layers.remove(0).seq;
        let layer = load(layer, &goldens, format!("layer.{name}.weight."), &device);
        let golden = |part: &str| goldens.get(&format!("layer.{name}.{part}"));
        let input = Tensor::<3>::from_data(golden("input").data(), &device).require_grad();
        let cotangent = Tensor::<3>::from_data(golden("cotangent").data(), &device);

        let output = layer.forward_at(&config, input.clone(), &Context::Whole);
        close(name, &values(output.clone()), golden("output"), 1e-4);
        let loss = (output * cotangent).sum();

        let all = loss.backward();
        let by_input = input.grad(&all).unwrap();
        close(&format!("{name} input"), &values(by_input), golden("grad.input"), 1e-4);
        let grads = Gradients::from_backward(all, &layer);
        let checked = check(&layer, &goldens, format!("layer.{name}.grad."), &grads);
        assert_eq!(checked, if kind.is_gated() { 4 } else { 3 });
    }
}

#[test]
fn the_feed_forward_layer_meets_the_reference_in_f32() {
    let Some(goldens) = Goldens::open() else { return };
    let device = Device::flex().autodiff();
    let layer = config(97, 64, 16, 10).init(&device, 0).layers.remove(0).ffn;
    let layer = load(layer, &goldens, "layer.ffn.weight.".to_owned(), &device);
    let golden = |part: &str| goldens.get(&format!("layer.ffn.{part}"));
    let input = Tensor::<3>::from_data(golden("input").data(), &device).require_grad();
    let cotangent = Tensor::<3>::from_data(golden("cotangent").data(), &device);

    let output = layer.forward(input.clone());
    close("ffn", &values(output.clone()), golden("output"), 1e-4);
    let loss = (output * cotangent).sum();

    let all = loss.backward();
    close("ffn input", &values(input.grad(&all).unwrap()), golden("grad.input"), 1e-4);
    let grads = Gradients::from_backward(all, &layer);
    assert_eq!(check(&layer, &goldens, "layer.ffn.grad.".to_owned(), &grads), 3);
}

fn model(name: &str, mixers: &[MixerKind], goldens: &Goldens, device: &Device) -> Model {
    let config = ModelConfig { mixers: mixers.to_vec(), ..config(97, 32, 8, 8) };
    config.validate().unwrap();
    load(config.init(device, 0), goldens, format!("model.{name}.weight."), device)
}

#[test]
fn each_model_meets_the_reference_in_f32() {
    let Some(goldens) = Goldens::open() else { return };
    let device = Device::flex().autodiff();

    for (name, mixers) in MODELS {
        let model = model(name, mixers, &goldens, &device);
        let ids = |part: &str| {
            let golden = goldens.get(&format!("model.{name}.{part}"));
            let ids: Vec<i64> = golden.values.iter().map(|&id| id as i64).collect();
            Tensor::<2, Int>::from_data(TensorData::new(ids, golden.shape.clone()), &device)
        };

        let logits = model.forward(ids("tokens"), &Context::Whole);
        close(name, &values(logits), goldens.get(&format!("model.{name}.logits")), 1e-4);
        let output = model.loss(ids("tokens"), ids("labels"), &Context::Whole);
        let loss = output.nll / output.counted.float();
        close(name, &values(loss.clone()), goldens.get(&format!("model.{name}.loss")), 1e-5);

        let grads = Gradients::of(&loss, &model);
        let checked = check(&model, &goldens, format!("model.{name}.grad."), &grads);
        assert!(checked > 20, "{name}: {checked} gradients of parameters");
    }
}

fn mixer_weights(goldens: &Goldens, prefix: &str, tape: &mut Tape) -> MixerWeights {
    let name = |part: &str| format!("{prefix}{part}");
    let bias = goldens.find(&name("gate_bias"));
    MixerWeights {
        input_norm: tape.leaves(&goldens.get(&name("input_norm")).values),
        in_proj: goldens.get(&name("in_proj")).rows(tape),
        out_proj: goldens.get(&name("out_proj")).rows(tape),
        gate_bias: bias.map_or_else(Vec::new, |bias| tape.leaves(&bias.values)),
    }
}

fn ffn_weights(goldens: &Goldens, prefix: &str, tape: &mut Tape) -> FfnWeights {
    let name = |part: &str| format!("{prefix}{part}");
    FfnWeights {
        ln: tape.leaves(&goldens.get(&name("ln")).values),
        fc1: goldens.get(&name("fc1")).rows(tape),
        fc2: goldens.get(&name("fc2")).rows(tape),
    }
}

fn flat(rows: &[Vec<Var>]) -> Vec<Var> {
    rows.iter().flatten().copied().collect()
}

/// Cuts [batch, seq, width] into one sequence for each row.
fn sequences(golden: &Golden, tape: &mut Tape) -> Vec<Sequence> {
    let (seq, width) = (golden.shape[1], golden.shape[2]);
    golden
        .values
        .chunks(seq * width)
        .map(|row| row.chunks(width).map(|token| tape.leaves(token)).collect())
        .collect()
}

/// The sum of output and cotangent's products, checked against the golden output on the way.
fn against_cotangent(
    goldens: &Goldens,
    name: &str,
    outputs: &[Sequence],
    tape: &mut Tape,
) -> Gradient {
    let output: Vec<Var> = outputs.iter().flat_map(|rows| flat(rows)).collect();
    let found: Vec<f64> = output.iter().map(|&var| tape.value(var)).collect();
    close(name, &found, goldens.get(&format!("layer.{name}.output")), 1e-9);
    let cotangent = tape.leaves(&goldens.get(&format!("layer.{name}.cotangent")).values);
    let sum = tape.dot(&output, &cotangent);
    tape.gradient(sum)
}

const fn layer(chunk_len: usize, window: usize) -> Layer {
    Layer { heads: 4, chunk_len, kv_groups: 2, window, eps: 1e-6, rope_base: 10_000.0 }
}

#[test]
fn each_slow_twin_of_a_layer_meets_the_reference_in_f64() {
    let Some(goldens) = Goldens::open() else { return };

    for (name, kind) in KINDS {
        let mut tape = Tape::default();
        let weights = mixer_weights(&goldens, &format!("layer.{name}.weight."), &mut tape);
        let input = sequences(goldens.get(&format!("layer.{name}.input")), &mut tape);

        let outputs: Vec<Sequence> =
            input.iter().map(|x| layer(16, 10).mix(&mut tape, kind, &weights, x)).collect();
        let gradient = against_cotangent(&goldens, name, &outputs, &mut tape);

        let input: Vec<Var> = input.iter().flat_map(|rows| flat(rows)).collect();
        let mut parts = vec![
            ("input", input),
            ("input_norm", weights.input_norm),
            ("in_proj", flat(&weights.in_proj)),
            ("out_proj", flat(&weights.out_proj)),
        ];
        if kind.is_gated() {
            parts.push(("gate_bias", weights.gate_bias));
        }
        for (part, vars) in parts {
            let expected = goldens.get(&format!("layer.{name}.grad.{part}"));
            close(&format!("{name} {part}"), &gradient.by(&vars), expected, 1e-9);
        }
    }
}

#[test]
fn the_slow_twin_of_the_feed_forward_layer_meets_the_reference_in_f64() {
    let Some(goldens) = Goldens::open() else { return };
    let mut tape = Tape::default();
    let weights = ffn_weights(&goldens, "layer.ffn.weight.", &mut tape);
    let input = sequences(goldens.get("layer.ffn.input"), &mut tape);

    let outputs: Vec<Sequence> =
        input.iter().map(|x| layer(16, 10).feed_forward(&mut tape, &weights, x)).collect();
    let gradient = against_cotangent(&goldens, "ffn", &outputs, &mut tape);

    let input: Vec<Var> = input.iter().flat_map(|rows| flat(rows)).collect();
    for (part, vars) in [
        ("input", input),
        ("ln", weights.ln),
        ("fc1", flat(&weights.fc1)),
        ("fc2", flat(&weights.fc2)),
    ] {
        let expected = goldens.get(&format!("layer.ffn.grad.{part}"));
        close(&format!("ffn {part}"), &gradient.by(&vars), expected, 1e-9);
    }
}

#[test]
fn each_slow_twin_of_a_model_meets_the_reference_in_f64() {
    let Some(goldens) = Goldens::open() else { return };

    for (name, mixers) in MODELS {
        let mut tape = Tape::default();
        let prefix = format!("model.{name}.weight.");
        let decoder = Decoder {
            layer: layer(8, 8),
            wte: goldens.get(&format!("{prefix}wte")).rows(&mut tape),
            blocks: (0..4)
                .map(|i| BlockWeights {
                    kind: mixers[i % mixers.len()],
                    seq: mixer_weights(&goldens, &format!("{prefix}layers.{i}.seq."), &mut tape),
                    ffn: ffn_weights(&goldens, &format!("{prefix}layers.{i}.ffn."), &mut tape),
                })
                .collect(),
            ln: tape.leaves(&goldens.get(&format!("{prefix}ln")).values),
        };
        let row = |part: &str, row: usize| -> Vec<Option<usize>> {
            goldens.get(&format!("model.{name}.{part}")).values[row * 32..(row + 1) * 32]
                .iter()
                .map(|&id| (id >= 0.0).then_some(id as usize))
                .collect()
        };

        let (mut all, mut losses, mut counted) = (Vec::new(), Vec::new(), 0);
        for b in 0..2 {
            let tokens: Vec<usize> = row("tokens", b).into_iter().flatten().collect();
            let labels = row("labels", b);
            let logits = decoder.logits(&mut tape, &tokens);
            losses.push(decoder.nll(&mut tape, &logits, &labels));
            counted += labels.iter().flatten().count();
            all.extend(flat(&logits).into_iter().map(|var| tape.value(var)));
        }
        close(name, &all, goldens.get(&format!("model.{name}.logits")), 1e-9);
        let sum = tape.sum(&losses);
        let loss = tape.affine(sum, 1.0 / counted as f64, 0.0);
        close(name, &[tape.value(loss)], goldens.get(&format!("model.{name}.loss")), 1e-9);

        let gradient = tape.gradient(loss);
        let mut checked = 0;
        let mut hold = |part: String, vars: Vec<Var>| {
            if let Some(expected) = goldens.find(&format!("model.{name}.grad.{part}")) {
                close(&format!("{name} {part}"), &gradient.by(&vars), expected, 1e-9);
                checked += 1;
            }
        };
        hold("wte".to_owned(), flat(&decoder.wte));
        hold("ln".to_owned(), decoder.ln.clone());
        for (i, block) in decoder.blocks.iter().enumerate() {
            hold(format!("layers.{i}.seq.in_proj"), flat(&block.seq.in_proj));
            hold(format!("layers.{i}.seq.out_proj"), flat(&block.seq.out_proj));
            hold(format!("layers.{i}.seq.input_norm"), block.seq.input_norm.clone());
            hold(format!("layers.{i}.seq.gate_bias"), block.seq.gate_bias.clone());
            hold(format!("layers.{i}.ffn.ln"), block.ffn.ln.clone());
            hold(format!("layers.{i}.ffn.fc1"), flat(&block.ffn.fc1));
            hold(format!("layers.{i}.ffn.fc2"), flat(&block.ffn.fc2));
        }
        assert!(checked > 20, "{name}: {checked} gradients of parameters");
    }
}
