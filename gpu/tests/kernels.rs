//! Each kernel on a device of wgpu next to a plain loop in `f64`.

use cubecl::device::WgpuDevice;
use cubecl::ir::{FloatKind, IntKind, UIntKind};
use cubecl::prelude::*;
use cubecl::server::Handle;
use ratdata_gpu::{
    Operand, Vectors, adamw, cross_entropy, embedding, gelu, output_gate, rms_norm, rotation, scan,
    softmax,
};

/// Buffers of f32 on the device.
struct Gpu {
    client: Client,
}

/// A tensor on the device.
struct Buffer {
    handle: Handle,
    shape: Vec<usize>,
    element: ElemType,
}

impl Gpu {
    fn open() -> Self {
        Self { client: cubecl::device::Device::Wgpu(WgpuDevice::default()).client() }
    }

    fn upload(&self, values: &[f64], shape: &[usize]) -> Buffer {
        let words = values.iter().map(|&value| (value as f32).to_bits());
        self.upload_words(words, shape, ElemType::Float(FloatKind::F32))
    }

    fn upload_words(
        &self,
        words: impl Iterator<Item = u32>,
        shape: &[usize],
        element: ElemType,
    ) -> Buffer {
        let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        Buffer { handle: self.client.create_from_slice(&bytes), shape: shape.to_vec(), element }
    }

    fn empty(&self, shape: &[usize]) -> Buffer {
        // A value that a kernel forgets shows.
        self.upload(&vec![f64::NAN; shape.iter().product()], shape)
    }

    fn read(&self, buffer: &Buffer) -> Vec<f64> {
        let bytes = self.client.read_one_unchecked(buffer.handle.clone());
        let (words, _) = bytes.as_chunks::<4>();
        words.iter().map(|&word| f64::from(f32::from_le_bytes(word))).collect()
    }
}

impl Buffer {
    fn operand(&self) -> Operand {
        let mut strides = vec![1; self.shape.len()];
        for at in (1..self.shape.len()).rev() {
            strides[at - 1] = strides[at] * self.shape[at];
        }
        Operand::new(self.binding(strides), self.element)
    }

    fn binding(&self, strides: Vec<usize>) -> TensorBinding {
        #[expect(unsafe_code, reason = "a buffer's shape")]
        // SAFETY: the buffer was made for the shape; where the strides leave gaps, for these too, or it is not read.
        unsafe {
            TensorBinding::from_raw_parts(
                self.handle.clone(),
                strides.into(),
                self.shape.clone().into(),
            )
        }
    }

    fn try_vectors(&self, strides: [usize; 3]) -> Option<Vectors> {
        Vectors::new(self.binding(strides.to_vec()), self.element)
    }

    fn vectors(&self, strides: [usize; 3]) -> Vectors {
        self.try_vectors(strides).unwrap()
    }
}

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

/// The scan of a projection in a loop: states of values and keys, and the derivatives.
struct ScanLoop {
    values: Vec<f64>,
    keys: Vec<f64>,
    by_projected: Vec<f64>,
    by_bias: Vec<f64>,
}

impl ScanLoop {
    /// `slopes` are the derivatives by output gates, by the states of values, by queries and by the states of keys.
    fn run(sizes: scan::Sizes, [projected, bias, carry]: [&[f64]; 3], slopes: [&[f64]; 4]) -> Self {
        let scan::Sizes { rows, seq, width, .. } = sizes;
        let (channels, key_width) = (sizes.channels(), sizes.key_width.unwrap_or(0));
        let mut found = Self {
            values: vec![0.0; rows * seq * width],
            keys: vec![0.0; rows * seq * width],
            by_projected: vec![0.0; projected.len()],
            by_bias: vec![0.0; width],
        };
        for channel in 0..rows * width {
            let (row, channel) = (channel / width, channel % width);
            let token = |t: usize| row * seq + t;
            let gate_at = |t: usize| token(t) * channels + 2 * width + channel;
            let gate = |t: usize| 1.0 / (1.0 + (-projected[gate_at(t)] - bias[channel]).exp());
            let kept = |t: usize| carry[(row * seq + t) % carry.len()];
            let value_at = |t: usize| token(t) * channels + width + channel;
            let key_at =
                |t: usize| token(t) * channels + 3 * width + key_width + channel % key_width.max(1);
            let key = |at: usize| if key_width == 0 { 0.0 } else { projected[at] };
            let state_at = |t: usize| token(t) * width + channel;
            let (mut value_state, mut key_state) = (0.0, 0.0);
            for t in 0..seq {
                let (g, c) = (gate(t), kept(t));
                value_state = g * c * value_state + (1.0 - g) * projected[value_at(t)];
                key_state = g * c * key_state + (1.0 - g) * key(key_at(t));
                found.values[state_at(t)] = value_state;
                found.keys[state_at(t)] = key_state;
            }
            let (mut value_slope, mut key_slope) = (0.0, 0.0);
            for t in (0..seq).rev() {
                let (g, c) = (gate(t), kept(t));
                let before =
                    |states: &[f64]| if t == 0 { 0.0 } else { c * states[state_at(t - 1)] };
                value_slope += slopes[1][state_at(t)];
                let mut by_gate = value_slope * (before(&found.values) - projected[value_at(t)]);
                found.by_projected[value_at(t)] = value_slope * (1.0 - g);
                value_slope *= g * c;
                if key_width > 0 {
                    key_slope += slopes[3][state_at(t)];
                    by_gate += key_slope * (before(&found.keys) - key(key_at(t)));
                    found.by_projected[key_at(t)] += key_slope * (1.0 - g);
                    key_slope *= g * c;
                }
                found.by_projected[gate_at(t)] = by_gate * g * (1.0 - g);
                found.by_bias[channel] += by_gate * g * (1.0 - g);
                found.by_projected[token(t) * channels + channel] = slopes[0][state_at(t)];
            }
        }
        for token in 0..rows * seq {
            let own = token * channels + 3 * width;
            let by_q = &slopes[2][token * key_width..(token + 1) * key_width];
            found.by_projected[own..own + key_width].copy_from_slice(by_q);
        }
        found
    }
}

fn assert_scan_is_that_of_the_loop(gpu: &Gpu, sizes: scan::Sizes, carry: &[f64]) {
    let scan::Sizes { rows, seq, width, key_width, .. } = sizes;
    let (of_states, keys) = ([rows, seq, width], key_width.unwrap_or(0));
    let count = rows * seq * width;
    let projected = values(rows * seq * sizes.channels(), 3);
    let bias = values(width, 4);
    let slopes =
        [values(count, 5), values(count, 19), values(rows * seq * keys, 20), values(count, 21)];
    let inputs = || scan::Inputs {
        projected: gpu.upload(&projected, &[rows, seq, sizes.channels()]).operand(),
        bias: gpu.upload(&bias, &[width]).operand(),
        carry: gpu.upload(carry, &[carry.len() / seq, seq, 1]).operand(),
    };
    let (value_states, key_states) = (gpu.empty(&of_states), gpu.empty(&of_states));
    let by_projected = gpu.empty(&[rows, seq, sizes.channels()]);
    let by_bias = gpu.empty(&[rows * sizes.strands_of_a_row(), width]);
    let [by_z, by_values, by_q, by_keys] = &slopes;
    let there = |values: &[f64]| gpu.upload(values, &of_states).operand();

    let states = scan::States {
        values: value_states.operand(),
        keys: key_width.map(|_| key_states.operand()),
    };
    scan::forward(&gpu.client, sizes, inputs(), states);
    let saved = scan::Saved {
        values: value_states.operand(),
        by_values: there(by_values),
        by_z: there(by_z),
        keys: key_width.map(|key_width| {
            let by_q = gpu.upload(by_q, &[rows, seq, key_width]).operand();
            [key_states.operand(), there(by_keys), by_q]
        }),
    };
    let written = scan::Slopes { by_projected: by_projected.operand(), by_bias: by_bias.operand() };
    scan::backward(&gpu.client, sizes, inputs(), saved, written);

    let slopes = slopes.each_ref().map(Vec::as_slice);
    let expected = ScanLoop::run(sizes, [&projected, &bias, carry], slopes);
    assert_close(&gpu.read(&value_states), &expected.values, 2e-5);
    if key_width.is_some() {
        assert_close(&gpu.read(&key_states), &expected.keys, 2e-5);
    }
    assert_close(&gpu.read(&by_projected), &expected.by_projected, 5e-5);
    let mut found = vec![0.0; width];
    for strand in gpu.read(&by_bias).chunks(width) {
        for (sum, more) in found.iter_mut().zip(strand) {
            *sum += more;
        }
    }
    assert_close(&found, &expected.by_bias, 2e-4);
}

/// Returns marks: 0 where `begins` says so, and at the start of each row.
fn marks(rows: usize, seq: usize, begins: impl Fn(usize, usize) -> bool) -> Vec<f64> {
    let mark = |at: usize| {
        let (row, t) = (at / seq, at % seq);
        f64::from(u8::from(t > 0 && !begins(row, t)))
    };
    (0..rows * seq).map(mark).collect()
}

#[test]
fn the_scan_of_values_is_that_of_the_loop() {
    let gpu = Gpu::open();
    let mut kinds = Vec::new();
    for [rows, seq, width] in SHAPES {
        let sizes = scan::Sizes { rows, seq, width, key_width: None, chunk_len: None };
        kinds.push(sizes.strands());
        assert_scan_is_that_of_the_loop(&gpu, sizes, &marks(1, seq, |_, _| false));
        let packed = marks(rows, seq, |row, t| (t * (row + 3)) % 97 == 5);
        assert_scan_is_that_of_the_loop(&gpu, sizes, &packed);
    }
    assert!(kinds.contains(&scan::Strands::Rows) && kinds.contains(&scan::Strands::Joined));
}

#[test]
fn the_scan_of_values_and_keys_is_that_of_the_loop() {
    let gpu = Gpu::open();
    let chunk_len = 5;
    let mut kinds = Vec::new();
    let shapes = (1..=3 * chunk_len + 1).map(|seq| [2, seq, 6, 3]).chain([
        [1, 1, 1, 1],
        [3, 40, 33, 11],
        [2, 20, 129, 129],
        [2, 300, 8, 1],
        [1, 515, 6, 2],
    ]);
    for [rows, seq, width, key_width] in shapes {
        let key_width = Some(key_width);
        let marked = scan::Sizes { rows, seq, width, key_width, chunk_len: None };
        kinds.push(marked.strands());
        let every = marks(1, seq, |_, t| t % chunk_len == 0);
        assert_scan_is_that_of_the_loop(&gpu, marked, &every);
        let packed = marks(rows, seq, |row, t| t % 7 == row || t % 11 == 3);
        assert_scan_is_that_of_the_loop(&gpu, marked, &packed);
        if seq % chunk_len == 0 {
            let chunks = scan::Sizes { chunk_len: Some(chunk_len), ..marked };
            kinds.push(chunks.strands());
            assert_scan_is_that_of_the_loop(&gpu, chunks, &every);
        }
    }
    for kind in [scan::Strands::Rows, scan::Strands::Chunks, scan::Strands::Overlapping] {
        assert!(kinds.contains(&kind), "{kind:?}");
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
