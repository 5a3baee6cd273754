//! Gates and scans next to a loop.

use ratdata_gpu::scan;

use crate::device::Gpu;
use crate::{SHAPES, assert_close, values};

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
