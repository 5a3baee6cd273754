//! Compares the layers and the models with the reference's own outputs and gradients.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test reads small ids"
)]

mod golden;

use std::io::Write;

use golden::{Comparison, Golden, Goldens, KINDS, MODELS, Setup};
use ratdata_train::device::test_device;
use ratdata_train::model::Precision;
use ratdata_train::reference::{
    BlockWeights, Decoder, FfnWeights, Gradient, Layer, MixerWeights, Sequence, Tape, Var,
};

/// Opens the goldens, or says that the test holds nothing: past the harness, which would keep the
/// words of a test that passes to itself.
fn goldens() -> Option<Goldens> {
    Goldens::open()
        .inspect_err(|wrong| {
            let said = writeln!(std::io::stderr(), "skipped, the goldens are not there: {wrong}");
            drop(said);
        })
        .ok()
}

fn hold(all: &[Comparison], tolerance: f64) {
    for Comparison { what, error } in all {
        assert!(*error <= tolerance, "{what}: relative error {error:e}, at most {tolerance:e}");
    }
}

fn close(what: &str, found: &[f64], expected: &Golden, tolerance: f64) {
    hold(&[expected.compared(what, found)], tolerance);
}

#[test]
fn each_sequence_layer_meets_the_reference_in_f32() {
    let Some(goldens) = goldens() else { return };

    for kind in KINDS {
        let device = test_device().unwrap().autodiff();
        let on = Setup { device: &device, precision: Precision::F32 };

        let found = golden::sequence_layer(&goldens, kind, on);

        hold(&found, 1e-4);
        assert_eq!(found.len(), if kind.1.is_gated() { 6 } else { 5 });
    }
}

#[test]
fn the_feed_forward_layer_meets_the_reference_in_f32() {
    let Some(goldens) = goldens() else { return };

    let found = golden::feed_forward(
        &goldens,
        Setup { device: &test_device().unwrap().autodiff(), precision: Precision::F32 },
    );

    hold(&found, 1e-4);
    assert_eq!(found.len(), 5);
}

#[test]
fn each_model_meets_the_reference_in_f32_however_it_runs_backward() {
    let Some(goldens) = goldens() else { return };

    for model in MODELS {
        for recompute in [false, true] {
            let device = test_device().unwrap().autodiff();
            let on = Setup { device: &device, precision: Precision::F32 };

            let found = golden::model(&goldens, model, on, recompute);

            hold(&found, 1e-4);
            assert!(found.len() > 22, "{}: {} comparisons", model.0, found.len());
        }
    }
}

/// The tolerance of a GPU in bf16 holds on the CPU, too.
#[test]
fn layers_and_models_meet_the_reference_in_bf16_as_far_as_it_goes() {
    let Some(goldens) = goldens() else { return };
    let device = test_device().unwrap().autodiff();
    let on = Setup { device: &device, precision: Precision::Bf16 };

    for kind in KINDS {
        hold(&golden::sequence_layer(&goldens, kind, on), golden::BF16_TOLERANCE);
    }
    hold(&golden::feed_forward(&goldens, on), golden::BF16_TOLERANCE);
    for model in MODELS {
        hold(&golden::model(&goldens, model, on, true), golden::BF16_TOLERANCE);
    }
}

fn rows(golden: &Golden, tape: &mut Tape) -> Vec<Vec<Var>> {
    golden.values.chunks(golden.shape[1]).map(|row| tape.leaves(row)).collect()
}

fn mixer_weights(goldens: &Goldens, prefix: &str, tape: &mut Tape) -> MixerWeights {
    let name = |part: &str| format!("{prefix}{part}");
    let bias = goldens.find(&name("gate_bias"));
    MixerWeights {
        input_norm: tape.leaves(&goldens.get(&name("input_norm")).values),
        in_proj: rows(goldens.get(&name("in_proj")), tape),
        out_proj: rows(goldens.get(&name("out_proj")), tape),
        gate_bias: bias.map_or_else(Vec::new, |bias| tape.leaves(&bias.values)),
    }
}

fn ffn_weights(goldens: &Goldens, prefix: &str, tape: &mut Tape) -> FfnWeights {
    let name = |part: &str| format!("{prefix}{part}");
    FfnWeights {
        ln: tape.leaves(&goldens.get(&name("ln")).values),
        fc1: rows(goldens.get(&name("fc1")), tape),
        fc2: rows(goldens.get(&name("fc2")), tape),
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
    let Some(goldens) = goldens() else { return };

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
    let Some(goldens) = goldens() else { return };
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
    let Some(goldens) = goldens() else { return };

    for (name, mixers) in MODELS {
        let mut tape = Tape::default();
        let prefix = format!("model.{name}.weight.");
        let decoder = Decoder {
            layer: layer(8, 8),
            wte: rows(goldens.get(&format!("{prefix}wte")), &mut tape),
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
