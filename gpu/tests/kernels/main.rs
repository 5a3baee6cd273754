//! Each kernel on a device of wgpu next to a plain loop in `f64`.

mod device;
mod scans;

use cubecl::ir::{IntKind, UIntKind};
use cubecl::prelude::*;
use ratdata_gpu::{
    adamw, cross_entropy, embedding, gelu, output_gate, rms_norm, rotation, softmax,
};

use self::device::{Buffer, Gpu};

/// Values that repeat nowhere, between -2 and 2, and the same in `f32`.
fn values(count: usize, seed: u32) -> Vec<f64> {
    let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(f32::from_bits(0x3f80_0000 | state >> 9)) * 4.0 - 6.0
    };
    (0..count).map(|_| next()).collect()
}

/// The shapes of tests: one value, odd widths, several rows, more values than a cube has units, and rows so
/// long that the scan takes several segments, of which the last is whole or not.
const SHAPES: [[usize; 3]; 8] = [
    [1, 1, 1],
    [2, 3, 5],
    [3, 17, 5],
    [5, 16, 33],
    [1, 257, 3],
    [2, 100, 129],
    [3, 384, 7],
    [2, 515, 5],
];

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (at, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "value {at}: {a} for {b}");
    }
}

/// Computes Φ(x) by its series, which is exact enough for |x| below 4.
fn phi(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= x * x / f64::from(2 * n + 1);
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt()
}

#[test]
fn the_gelu_and_its_derivative_are_those_of_the_loop() {
    let gpu = Gpu::open();
    for shape in SHAPES {
        let count = shape.iter().product();
        let (x, grad) = (values(count, 1), values(count, 2));
        let (y, by_x) = (gpu.empty(&shape), gpu.empty(&shape));
        let [x_there, grad_there] = [&x, &grad].map(|values| gpu.upload(values, &shape));

        gelu::forward(&gpu.client, x_there.operand(), y.operand());
        gelu::backward(&gpu.client, x_there.operand(), grad_there.operand(), by_x.operand());

        let expected: Vec<f64> = x.iter().map(|&x| x * phi(x)).collect();
        assert_close(&gpu.read(&y), &expected, 1e-6);
        let density = |x: f64| (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
        let expected: Vec<f64> =
            x.iter().zip(&grad).map(|(&x, &grad)| grad * (phi(x) + x * density(x))).collect();
        assert_close(&gpu.read(&by_x), &expected, 2e-6);
    }
}

#[test]
fn the_output_gate_and_its_derivatives_are_those_of_the_loop() {
    let gpu = Gpu::open();
    for [rows, seq, width] in SHAPES {
        let (shape, tokens) = ([rows, seq, width], rows * seq);
        // The gates are the first channels of wider vectors.
        let wide = 3 * width + 2;
        let (z, x) = (values(tokens * wide, 22), values(tokens * width, 23));
        let grad = values(tokens * width, 24);
        let z_there = gpu.upload(&z, &shape);
        let [x_there, grad_there] = [&x, &grad].map(|values| gpu.upload(values, &shape));
        let [y, by_z, by_x] = [(); 3].map(|()| gpu.empty(&shape));
        let vectors = || z_there.vectors([seq * wide, wide, 1]);

        output_gate::forward(&gpu.client, vectors(), x_there.operand(), y.operand());
        let slopes = output_gate::Slopes { by_z: by_z.operand(), by_x: by_x.operand() };
        let (x_operand, grad_operand) = (x_there.operand(), grad_there.operand());
        output_gate::backward(&gpu.client, vectors(), x_operand, grad_operand, slopes);

        let mut expected = [(); 3].map(|()| Vec::new());
        for at in 0..tokens * width {
            let gate = 1.0 / (1.0 + (-z[at / width * wide + at % width]).exp());
            expected[0].push(gate * x[at]);
            expected[1].push(grad[at] * x[at] * gate * (1.0 - gate));
            expected[2].push(grad[at] * gate);
        }
        for (found, expected) in [&y, &by_z, &by_x].into_iter().zip(&expected) {
            assert_close(&gpu.read(found), expected, 1e-6);
        }
    }
}

#[test]
fn vectors_lie_at_one_distance() {
    let gpu = Gpu::open();
    let buffer = gpu.empty(&[2, 3, 4]);

    for strides in [[12, 4, 1], [30, 10, 1]] {
        let _vectors = buffer.vectors(strides);
    }
    // Vectors of rows that lie apart, and channels that do.
    for strides in [[40, 10, 1], [12, 1, 3]] {
        assert!(buffer.try_vectors(strides).is_none(), "{strides:?}");
    }
}

#[test]
fn the_sums_of_derivatives_by_ids_are_those_of_the_loop() {
    let gpu = Gpu::open();
    for (tokens, ids, width) in [(1, 1, 1), (7, 3, 5), (300, 100, 33), (513, 7, 128)] {
        let id = |token: usize| token * token * 31 % ids;
        let grad = values(tokens * width, 25);
        let words = (0..tokens).map(|token| u32::try_from(id(token)).unwrap());
        let ids_there = gpu.upload_words(words, &[tokens], ElemType::Int(IntKind::I32));
        let before = values(ids * width, 26);
        let by_embedding = gpu.upload(&before, &[ids, width]);
        let grad_there = gpu.upload(&grad, &[tokens, width]);

        let operands = (ids_there.operand(), grad_there.operand());
        embedding::backward(&gpu.client, operands.0, operands.1, by_embedding.operand());

        let mut expected = before;
        for (token, grad) in grad.chunks(width).enumerate() {
            for (sum, more) in expected[id(token) * width..].iter_mut().zip(grad) {
                *sum += more;
            }
        }
        assert_close(&gpu.read(&by_embedding), &expected, 2e-5);
    }
}

#[test]
fn the_norm_and_its_derivatives_are_those_of_the_loop() {
    let gpu = Gpu::open();
    let eps = 1e-3;
    for shape in [[1, 1], [3, 5], [70, 33], [130, 64], [2, 300], [65, 513]] {
        let [rows, width] = shape;
        let (x, gain, grad) = (values(rows * width, 6), values(width, 7), values(rows * width, 8));
        let [x_there, grad_there] = [&x, &grad].map(|values| gpu.upload(values, &shape));
        let gain_there = gpu.upload(&gain, &[width]);
        let (y, by_x, roots) = (gpu.empty(&shape), gpu.empty(&shape), gpu.empty(&[rows]));
        let by_gain = gpu.empty(&[rows.div_ceil(rms_norm::ROWS_OF_A_PART), width]);

        let [x_operand, gain_operand] = [&x_there, &gain_there].map(Buffer::operand);
        rms_norm::forward(&gpu.client, x_operand, gain_operand, eps as f32, y.operand());
        let saved = rms_norm::Saved {
            x: x_there.operand(),
            gain: gain_there.operand(),
            grad: grad_there.operand(),
        };
        let slopes = rms_norm::Slopes {
            by_x: by_x.operand(),
            roots: roots.operand(),
            by_gain: by_gain.operand(),
        };
        rms_norm::backward(&gpu.client, saved, eps as f32, slopes);

        let mut expected = [(); 2].map(|()| Vec::new());
        let mut expected_by_gain = vec![0.0; width];
        for (x, grad) in x.chunks(width).zip(grad.chunks(width)) {
            let square: f64 = x.iter().map(|x| x * x).sum::<f64>() / width as f64;
            let root = (square + eps).sqrt().recip();
            let scaled: Vec<f64> = grad.iter().zip(&gain).map(|(a, b)| a * b).collect();
            let dot: f64 = scaled.iter().zip(x).map(|(a, b)| a * b).sum::<f64>() / width as f64;
            for at in 0..width {
                expected[0].push(x[at] * root * gain[at]);
                expected[1].push((scaled[at] - x[at] * dot * root * root) * root);
                expected_by_gain[at] += grad[at] * x[at] * root;
            }
        }
        assert_close(&gpu.read(&y), &expected[0], 1e-5);
        assert_close(&gpu.read(&by_x), &expected[1], 1e-4);
        let mut found = vec![0.0; width];
        for part in gpu.read(&by_gain).chunks(width) {
            for (sum, more) in found.iter_mut().zip(part) {
                *sum += more;
            }
        }
        assert_close(&found, &expected_by_gain, 1e-4);
    }
}

#[test]
fn the_rotation_is_that_of_the_loop_and_turns_back() {
    let gpu = Gpu::open();
    for ([batch, heads, seq, width], rows) in
        [([1, 1, 1, 2], 1), ([2, 3, 5, 8], 1), ([3, 2, 70, 34], 3)]
    {
        let shape = [batch, heads, seq, width];
        let half = width / 2;
        let x = values(shape.iter().product(), 9);
        let turns = values(rows * seq * half, 10);
        let [cos, sin] =
            [f64::cos, f64::sin].map(|of| turns.iter().map(|&turn| of(turn)).collect::<Vec<_>>());
        let angles = [&cos, &sin].map(|values| gpu.upload(values, &[rows, 1, seq, half]));
        let angles = || rotation::Angles { cos: angles[0].operand(), sin: angles[1].operand() };
        let x_there = gpu.upload(&x, &shape);
        let (turned, back) = (gpu.empty(&shape), gpu.empty(&shape));

        rotation::turn(&gpu.client, x_there.operand(), angles(), false, turned.operand());
        rotation::turn(&gpu.client, turned.operand(), angles(), true, back.operand());

        let mut expected = vec![0.0; x.len()];
        for vector in 0..batch * heads * seq {
            let row = if rows == 1 { 0 } else { vector / (heads * seq) };
            for channel in 0..half {
                let angle = (row * seq + vector % seq) * half + channel;
                let first = vector * width + channel;
                let (a, b) = (x[first], x[first + half]);
                expected[first] = a * cos[angle] - b * sin[angle];
                expected[first + half] = b * cos[angle] + a * sin[angle];
            }
        }
        assert_close(&gpu.read(&turned), &expected, 1e-6);
        assert_close(&gpu.read(&back), &x, 1e-6);
    }
}

#[test]
fn the_update_is_that_of_the_loop() {
    let gpu = Gpu::open();
    let numbers = adamw::Numbers {
        clip: 0.5,
        beta_1: 0.9,
        beta_2: 0.95,
        weight_1: 0.1,
        weight_2: 0.05,
        eps: 1e-8,
        shrink: 0.999,
        lr: 0.01,
    };
    for shape in SHAPES {
        let count = shape.iter().product();
        let (grad, value, first) = (values(count, 11), values(count, 12), values(count, 13));
        let second: Vec<f64> = values(count, 14).iter().map(|value| value * value).collect();
        let grad_there = gpu.upload(&grad, &shape);
        let there = [&value, &first, &second].map(|values| gpu.upload(values, &shape));
        let [value_there, first_there, second_there] = &there;

        let parameter = adamw::Parameter {
            value: value_there.operand(),
            first: first_there.operand(),
            second: second_there.operand(),
        };
        adamw::update(&gpu.client, grad_there.operand(), parameter, numbers);

        let mut expected = [(); 3].map(|()| Vec::new());
        for at in 0..count {
            let slope = grad[at] * f64::from(numbers.clip);
            let (beta_1, beta_2) = (f64::from(numbers.beta_1), f64::from(numbers.beta_2));
            let mean = first[at] * beta_1 + slope * (1.0 - beta_1);
            let square = second[at] * beta_2 + slope * slope * (1.0 - beta_2);
            let root = (square / f64::from(numbers.weight_2)).sqrt();
            let step = mean / f64::from(numbers.weight_1) / (root + f64::from(numbers.eps));
            expected[0].push(value[at] * f64::from(numbers.shrink) - step * f64::from(numbers.lr));
            expected[1].push(mean);
            expected[2].push(square);
        }
        for (found, expected) in there.iter().zip(&expected) {
            assert_close(&gpu.read(found), expected, 1e-5);
        }
    }
}

#[test]
fn the_weights_and_their_derivatives_are_those_of_the_loop() {
    let gpu = Gpu::open();
    let scale = 0.7;
    for (queries, keys, own) in [(1, 1, 0), (5, 7, 1), (33, 40, 0), (20, 3, 1), (4, 300, 1)] {
        let (heads, count) = (6, keys + own);
        let (shape, of_rows) = ([2, 3, queries, count], [2, 3, queries, 1]);
        let products = values(heads * queries * count, 15);
        // Each query sees its first key.
        let hidden: Vec<bool> = values(queries * keys, 16)
            .iter()
            .enumerate()
            .map(|(at, &value)| value > 0.5 && at % keys > 0)
            .collect();
        let (by_weights, dots) = (values(heads * queries * count, 17), values(heads * queries, 18));
        let marks = hidden.iter().map(|&hidden| u32::from(hidden));
        let hidden_there =
            gpu.upload_words(marks, &[1, 1, queries, keys], ElemType::UInt(UIntKind::U32));
        let products_there = gpu.upload(&products, &shape);
        let (weights, logs) = (gpu.empty(&shape), gpu.empty(&of_rows));
        let (again, by_products) = (gpu.empty(&shape), gpu.empty(&shape));
        let scores = softmax::Scores {
            products: products_there.operand(),
            hidden: hidden_there.operand(),
            scale: scale as f32,
        };

        softmax::weights(&gpu.client, scores.clone(), weights.operand(), logs.operand());
        let known = softmax::Known {
            logs: logs.operand(),
            by_weights: gpu.upload(&by_weights, &shape).operand(),
            dots: gpu.upload(&dots, &of_rows).operand(),
        };
        softmax::slopes(&gpu.client, scores, known, again.operand(), by_products.operand());

        let mut expected = [(); 3].map(|()| Vec::new());
        for (row, products) in products.chunks(count).enumerate() {
            let sees = |at: usize| at >= keys || !hidden[row % queries * keys + at];
            let powers: Vec<f64> = (0..count)
                .map(|at| if sees(at) { (products[at] * scale).exp() } else { 0.0 })
                .collect();
            let total: f64 = powers.iter().sum();
            expected[1].push(total.ln());
            for (at, power) in powers.iter().enumerate() {
                let weight = power / total;
                expected[0].push(weight);
                let slope = by_weights[row * count + at] - dots[row];
                expected[2].push(weight * scale * slope);
            }
        }
        for found in [&weights, &again] {
            assert_close(&gpu.read(found), &expected[0], 2e-6);
        }
        assert_close(&gpu.read(&logs), &expected[1], 2e-6);
        assert_close(&gpu.read(&by_products), &expected[2], 5e-6);
    }
}

#[test]
fn the_loss_and_its_derivative_are_those_of_the_loop() {
    let gpu = Gpu::open();
    const IGNORED: i32 = -100;
    for (tokens, vocab) in [(1, 1), (3, 5), (7, 300), (2, 1000)] {
        let logits = values(tokens * vocab, 19);
        let label = |token: usize| {
            if token % 3 == 1 { IGNORED } else { i32::try_from(token * 37 % vocab).unwrap() }
        };
        for slopes in [false, true] {
            let labels = (0..tokens).map(|token| label(token).cast_unsigned());
            let labels = gpu.upload_words(labels, &[tokens, 1], ElemType::Int(IntKind::I32));
            let (there, losses) = (gpu.upload(&logits, &[tokens, vocab]), gpu.empty(&[tokens]));

            let (labels, logits_there) = (labels.operand(), there.operand());
            let losses_there = losses.operand();
            cross_entropy::loss(&gpu.client, labels, logits_there, losses_there, IGNORED, slopes);

            let (mut expected, mut expected_slopes) = (Vec::new(), Vec::new());
            for (token, logits) in logits.chunks(vocab).enumerate() {
                let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
                let target = usize::try_from(label(token)).ok();
                expected.push(target.map_or(0.0, |target| total.ln() - logits[target]));
                expected_slopes.extend(logits.iter().enumerate().map(|(at, logit)| {
                    let is_label = f64::from(u8::from(target == Some(at)));
                    if target.is_some() { logit.exp() / total - is_label } else { 0.0 }
                }));
            }
            assert_close(&gpu.read(&losses), &expected, 2e-6);
            let expected = if slopes { &expected_slopes } else { &logits };
            assert_close(&gpu.read(&there), expected, 2e-6);
        }
    }
}
