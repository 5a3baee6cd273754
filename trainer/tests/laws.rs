//! Laws of the layers and the model that hold for all weights.
#![expect(clippy::unwrap_used, reason = "a test stops where a value is missing")]

use burn::module::Param;
use burn::tensor::{Device, Int, Tensor, TensorData};
use ratdata_train::documents::Documents;
use ratdata_train::model::{BackwardOptions, Geometry, Gradients, ModelConfig, SequenceLayer};
use ratdata_train::optim::OptimizerConfig;

fn config(mixers: &str, rest: &str) -> ModelConfig {
    let text = format!(
        "vocab_size = 61\nd_model = 32\nlayers = 2\nhead_dim = 8\nseq_len = 32\n\
         mixers = [{mixers}]\ninit_std = 0.3\n{rest}"
    );
    let config: ModelConfig = toml::from_str(&text).unwrap();
    config.validate().unwrap();
    config
}

fn layer(config: &ModelConfig) -> SequenceLayer {
    config.init(&Device::flex(), 7).layers.remove(0).seq
}

fn input() -> Tensor<3> {
    let values: Vec<f32> =
        (0..2 * 32 * 32).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0).sin()).collect();
    Tensor::from_data(TensorData::new(values, [2, 32, 32]), &Device::flex())
}

fn ids(rows: &[&[i64]], device: &Device) -> Tensor<2, Int> {
    let flat: Vec<i64> = rows.concat();
    Tensor::from_data(TensorData::new(flat, [rows.len(), rows[0].len()]), device)
}

/// The gradients of a mean over so many labels, in one graph.
fn mean_of(divisor: f64) -> BackwardOptions {
    BackwardOptions { divisor, recompute: false }
}

fn row(seed: i64) -> Vec<i64> {
    (0..32).map(|i| (i * i * 7 + i * seed + seed) % 61).collect()
}

/// Applies a layer of this model to the input.
fn forward(layer: &SequenceLayer, config: &ModelConfig) -> Tensor<3> {
    let geometry = Geometry::new(config, &Documents::OnePerRow, 32, &Device::flex());
    layer.forward(input(), &geometry)
}

fn difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    (a - b).abs().max().into_scalar::<f32>()
}

#[test]
fn rat_of_one_chunk_is_the_rnn_over_its_values() {
    let (rat, rnn) = (config("\"rat\"", "chunk_len = 32"), config("\"rnn\"", ""));
    let (mut as_rnn, layer) = (layer(&rnn), layer(&rat));
    as_rnn.in_proj = Param::from_tensor(layer.in_proj.val().narrow(0, 0, 96));
    as_rnn.out_proj = layer.out_proj.clone();
    as_rnn.gate_bias = layer.gate_bias.clone();

    let found = forward(&layer, &rat);
    let expected = forward(&as_rnn, &rnn);

    assert!(difference(found, expected) < 1e-5);
}

#[test]
fn rat_of_chunks_of_one_with_open_gates_is_attention() {
    let rat = config("\"rat\"", "chunk_len = 1\nkv_groups = 4");
    let attention = config("\"attention\"", "");
    let (mut layer, mut as_attention) = (layer(&rat), layer(&attention));
    let part = |index: usize| layer.in_proj.val().narrow(0, index * 32, 32);
    as_attention.in_proj = Param::from_tensor(Tensor::cat(vec![part(1), part(3), part(4)], 0));
    // The output gate is sigmoid(0), a half; the gate forgets everything.
    let zeros = part(0) * 0.0;
    let rest = layer.in_proj.val().narrow(0, 32, 128);
    as_attention.out_proj = Param::from_tensor(layer.out_proj.val() * 0.5);
    layer.in_proj = Param::from_tensor(Tensor::cat(vec![zeros, rest], 0));
    layer.gate_bias = Some(Param::from_tensor(layer.gate_bias.unwrap().val() * 0.0 - 60.0));

    let found = forward(&layer, &rat);
    let expected = forward(&as_attention, &attention);

    assert!(difference(found, expected) < 1e-5);
}

#[test]
fn a_window_of_the_whole_sequence_is_attention() {
    let window = config("\"local_attention\"", "window = 32");
    let attention = config("\"attention\"", "");

    let found = forward(&layer(&window), &window);
    let expected = forward(&layer(&attention), &attention);

    assert!(difference(found, expected) < 1e-5);
}

#[test]
fn a_smaller_window_is_not_attention() {
    let window = config("\"local_attention\"", "window = 5");
    let attention = config("\"attention\"", "");

    let found = forward(&layer(&window), &window);
    let expected = forward(&layer(&attention), &attention);

    assert!(difference(found, expected) > 1e-3);
}

const EVERY_PATTERN: [&str; 4] =
    ["\"attention\"", "\"rnn\"", "\"rat\", \"local_attention\"", "\"attention\", \"rat\""];

#[test]
fn no_logit_knows_a_later_token() {
    let device = Device::flex();

    for mixers in EVERY_PATTERN {
        let model = config(mixers, "chunk_len = 8\nwindow = 6").init(&device, 3);
        let tokens = row(5);
        let logits = model.forward(ids(&[&tokens], &device), &Documents::OnePerRow);
        for t in [0, 6, 7, 8, 15, 30] {
            let mut changed = tokens.clone();
            changed[t + 1] = (changed[t + 1] + 1) % 61;
            let others = model.forward(ids(&[&changed], &device), &Documents::OnePerRow);

            let before = logits.clone().narrow(1, 0, t + 1);
            assert!(difference(before, others.clone().narrow(1, 0, t + 1)) == 0.0, "{mixers} {t}");
            let after = logits.clone().narrow(1, t + 1, 1);
            assert!(difference(after, others.narrow(1, t + 1, 1)) > 0.0, "{mixers} {t}");
        }
    }
}

#[test]
fn packed_documents_are_what_they_are_alone() {
    let device = Device::flex();

    for mixers in EVERY_PATTERN {
        let config = config(mixers, "chunk_len = 8\nwindow = 6");
        let model = config.init(&device, 3);
        let (first, second) = (row(5), row(11));
        let starts = vec![vec![0, 3, 16], vec![0, 21]];
        let packed = model.forward(ids(&[&first, &second], &device), &Documents::Packed(starts));

        for (b, tokens, start, end) in
            [(0, &first, 0, 3), (0, &first, 3, 16), (0, &first, 16, 32), (1, &second, 21, 32)]
        {
            // Alone, padded to whole chunks: no token sees the padding after it.
            let mut alone = tokens[start..end].to_vec();
            alone.resize(32, 0);
            let alone = model.forward(ids(&[&alone], &device), &Documents::OnePerRow);
            let found = packed.clone().narrow(0, b, 1).narrow(1, start, end - start);
            assert!(difference(found, alone.narrow(1, 0, end - start)) < 1e-4, "{mixers} {start}");
        }
    }
}

#[test]
fn an_update_is_clipped_to_the_norm_and_says_what_it_was() {
    let device = Device::flex().autodiff();
    let model = config("\"rat\"", "chunk_len = 8").init(&device, 3);
    let tokens = ids(&[&row(5)], &device);
    let gradients = || {
        let output = model.loss(tokens.clone(), tokens.clone(), &Documents::OnePerRow);
        Gradients::of(&(output.nll * 1e3), &model)
    };
    let norm = gradients().norm(&model);

    let clipped = gradients().scaled(1.0 / (norm + 1e-6), &model).norm(&model);
    let updated = OptimizerConfig::default().init().update(1e-3, model.clone(), gradients());

    assert!((clipped - 1.0).abs() < 1e-5);
    assert!((updated.grad_norm - norm).abs() <= 1e-6 * norm);
    assert!(difference(updated.model.wte.val(), model.wte.val()) > 0.0);
}

#[test]
fn moments_survive_a_file() {
    let device = Device::flex().autodiff();
    let config = config("\"rat\", \"local_attention\"", "chunk_len = 8\nwindow = 4");
    let tokens = row(5);
    let run = |reload: bool| {
        let mut model = config.init(&device, 3);
        let mut optimizer = OptimizerConfig::default().init();
        for iteration in 0..4 {
            if reload && iteration == 2 {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("optimizer.safetensors");
                optimizer.save(&path, &model).unwrap();
                optimizer = OptimizerConfig::default().init().load(&path, &model).unwrap();
            }
            let batch = ids(&[&tokens], &device);
            let output = model.loss(batch.clone(), batch, &Documents::OnePerRow);
            let grads = Gradients::of(&output.nll, &model);
            model = optimizer.update(1e-3, model, grads).model;
        }
        model.wte.val().into_data().try_to_vec::<f32>().unwrap()
    };

    assert_eq!(run(true), run(false));
}

#[test]
fn a_tiny_model_of_each_kind_memorizes_eight_sequences() {
    let device = Device::flex().autodiff();
    let mut state = 12_345_u64;
    let mut draw = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).cast_signed() % 61
    };
    let rows: Vec<Vec<i64>> = (0..8).map(|_| (0..33).map(|_| draw()).collect()).collect();
    let cut = |from: usize| {
        let rows: Vec<&[i64]> = rows.iter().map(|row| &row[from..from + 32]).collect();
        ids(&rows, &device)
    };

    for mixers in ["\"rat\"", "\"attention\"", "\"rnn\"", "\"local_attention\""] {
        let config = ModelConfig { init_std: 0.02, ..config(mixers, "chunk_len = 8\nwindow = 6") };
        let mut model = config.init(&device, 1);
        let mut optimizer = OptimizerConfig { weight_decay: 0.0, ..Default::default() }.init();
        let mut loss = f32::INFINITY;
        for _ in 0..400 {
            let (nll, grads) =
                model.gradients(cut(0), cut(1), &Documents::OnePerRow, mean_of(256.0));
            loss = nll.into_scalar::<f32>() / 256.0;
            if loss < 0.05 {
                break;
            }
            model = optimizer.update(4e-3, model, grads).model;
        }

        assert!(loss < 0.1, "{mixers}: loss {loss}");
    }
}

/// A file from a machine with a GPU can be read on one without, and the other way round: the
/// moments are moved to the device of the parameters, and have their names.
#[test]
fn moments_lie_in_the_file_under_the_parameters_names() {
    let device = Device::flex().autodiff();
    let model = config("\"rat\"", "chunk_len = 8").init(&device, 3);
    let batch = ids(&[&row(5)], &device);
    let (_, grads) = model.gradients(batch.clone(), batch, &Documents::OnePerRow, mean_of(32.0));
    let mut optimizer = OptimizerConfig::default().init();
    let model = optimizer.update(1e-3, model, grads).model;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("optimizer.safetensors");

    optimizer.save(&path, &model).unwrap();

    let bytes = std::fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), 2 * (2 + 2 * 7));
    assert_eq!(file.tensor("first.layers.1.seq.gate_bias").unwrap().shape(), [32]);
    assert_eq!(file.tensor("second.wte").unwrap().shape(), [61, 32]);
    let other = config("\"attention\"", "").init(&device, 3);
    let refused = OptimizerConfig::default().init().load(&path, &other).err().unwrap();
    assert!(refused.to_string().contains("`first.layers.0.seq.in_proj`"), "{refused}");
}
